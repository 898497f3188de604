"""A rule that nobody knows: told where nothing was found by it, and never an error."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from adapters.cli import ledger

Run = Callable[..., Result]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
NOON = ("--now", "2026-01-01T12:00:00Z")
ASKED = [
    ("log",),
    ("log", "--last", "5"),
    ("rescue",),
    ("suppressions", "list"),
    ("suppressions", "undo", "--yes"),
    ("suppressions", "undo", "--dry-run"),
]
OURS = "mailverdict: 1\nrules:\n  - {id: ours-alone, when: {text: ours}, then: {action: bounce}}\n"


@pytest.fixture(autouse=True)
def _past(run: Run, lines: Lines) -> None:
    Path("ours.yaml").write_text(OURS)
    told = {"command": "RCPT", "reply": "550 5.1.1 no", "recipient": "jo@x.example", "now": NOON[1]}
    ours = {**told, "reply": "550 ours", "recipient": "bo@x.example"}
    run("observe", "--batch", lines(told, ours), "--rules", "ours.yaml", *STORE)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("words", ASKED)
def test_an_unknown_rule_by_which_nothing_is_found_is_told_with_the_likeliest(
    words: tuple[str, ...], form: str, run: Run
) -> None:
    now = () if words[0] == "log" else NOON
    said = run(*words, "--rule", "no-such-mailbx", "--format", form, *now, *STORE).stderr
    assert said == (
        "mailverdict: no shipped rule is called `no-such-mailbx`, and it decided nothing here; "
        "did you mean `no-such-mailbox`?\n"
    )


@pytest.mark.parametrize("rule", ["over-quota", "greylisted", "no-such-mailbox", "ours-alone"])
def test_a_rule_in_force_or_one_that_decided_something_is_no_reason_for_a_hint(rule: str, run: Run) -> None:
    assert run("log", "--rule", rule, *STORE).stderr == ""


def test_the_rules_of_the_environment_count_and_broken_ones_say_nothing(run: Run) -> None:
    Path("broken.yaml").write_text("mailverdict: 2\n")
    for file, said in (("ours.yaml", "did you mean `ours-alone`?"), ("broken.yaml", "")):
        result = run("suppressions", "list", "--rule", "ours-alon", *NOON, *STORE, env={"MAILVERDICT_RULES": file})
        assert said in result.stderr
        assert bool(said) is bool(result.stderr)


def test_who_follows_a_rule_that_nobody_knows_is_told_once_and_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter((0, 0, 0))

    def sleep(_: float) -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(ledger.time, "sleep", sleep)
    assert run("log", "--follow", "--rule", "no-such-mailbx", *STORE).stderr.count("did you mean") == 1


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("words", [each for each in ASKED if each[0] != "log"])
@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("gogle", "no shipped provider is called `gogle`, and nothing is kept of it here; did you mean `google`?"),
        ("gmail", "nothing is kept here under `gmail`; did you mean `google`?"),
        ("Gmail.com", "nothing is kept here under `Gmail.com`; did you mean `google`?"),
        ("google", None),
        ("z.example", None),
        ("x.example", None),
    ],
)
def test_an_unknown_provider_of_which_nothing_is_found_is_told_with_the_likeliest(
    provider: str, said: str | None, words: tuple[str, ...], form: str, run: Run
) -> None:
    since = ("--since", "1d") if words[0] == "rescue" else ()
    result = run(*words, *since, "--provider", provider, "--format", form, *NOON, *STORE)
    assert result.stderr == (f"mailverdict: {said}\n" if said else "")
