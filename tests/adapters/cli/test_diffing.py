"""`mailverdict diff`: what changes is shown with both decisions, what does not is not told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]

AT = ("--now", "2026-01-01T00:00:00Z")
HEAD = "mailverdict: 1\n"
GREY = HEAD + "rules:\n  - {id: grey, when: {category: greylisted}, then: {action: bounce, alert: ops}}\n"
GONE = HEAD + "disable: [no-such-mailbox]\n"
QUICK = HEAD + "schedules: {standard: {waits: [1m, 5m], give_up: 2d}}\n"
HIDDEN = HEAD + "override:\n  - {id: greylisted, set: {then: {schedule: standard}}}\n"


@pytest.fixture(autouse=True)
def _files() -> None:
    for name, text in (("grey", GREY), ("gone", GONE), ("quick", QUICK), ("hidden", HIDDEN)):
        Path(f"{name}.yaml").write_text(text)


def test_a_change_shows_its_rules_a_reply_and_what_differs(run: Run) -> None:
    lines = run("diff", "shipped", "grey.yaml").stdout.splitlines()
    assert lines[0] == "retry becomes bounce"
    assert lines[1].startswith("  rules: greylisted (rules.yaml:")
    assert lines[1].endswith(") -> grey (grey.yaml:3)")
    assert lines[2].startswith("  for example: `4")
    assert lines[3:] == ["  before: retry, retry in 5m, give up in 4d, route direct", "  after: bounce, alert ops"]


def test_only_what_differs_is_told_of_the_two_decisions(run: Run) -> None:
    said = run("diff", "-", "gone.yaml").stdout
    assert "  before: hard-bounce, suppress the address for 180d (strong), count 1 of 11\n" in said
    assert "  after: hard-bounce, suppress the address for 7d (weak)\n" in said
    assert "category" not in said


SETTINGS = {
    "never_suppress: [jo@example.org, example.net]": "`never_suppress` spares `example.net`, `jo@example.org`",
    "limits: {slow: {rate: 30/1h}}\ndefaults: {limit: slow}": "limit none becomes 30/1h for everyone",
    "streams: {bulk: {give_up: 2d, wanted: true}}": "stream `bulk` becomes wanted for everyone",
}


@pytest.mark.parametrize("text", SETTINGS)
def test_what_changes_without_a_rule_is_told_in_one_line_and_counts(text: str, run: Run, document: Document) -> None:
    Path("a.yaml").write_text(f"{HEAD}{text}\n")
    result = run("diff", "shipped", "a.yaml", "--exit-code", status=1)
    assert (result.stdout, result.stderr) == (f"{SETTINGS[text]}\n", "1 change: 1 of settings\n")
    (entry,) = document("diff", "shipped", "a.yaml")
    assert (entry["about"], entry["says"], entry["rules"]) == (text.partition(":")[0], [SETTINGS[text]], [])


def test_what_changes_without_a_rule_stands_between_what_is_shown_and_what_is_possible(run: Run) -> None:
    Path("a.yaml").write_text(f"{GREY}never_suppress: jo@example.org\n")
    result = run("diff", "shipped", "a.yaml")
    assert result.stdout.splitlines()[-2:] == ["", "`never_suppress` spares `jo@example.org`"]
    assert result.stderr == "2 changes: 1 shown, 1 of settings\n"


def test_many_rules_that_change_alike_are_one_change(run: Run, document: Document) -> None:
    assert ", and " in run("diff", "shipped", "quick.yaml").stdout
    assert max(len(each["rules"]) for each in document("diff", "shipped", "quick.yaml")) > 3


@pytest.mark.parametrize(("old", "new"), [("shipped", "-"), ("grey.yaml", "grey.yaml")])
def test_nothing_changes_is_said_so(old: str, new: str, run: Run, document: Document) -> None:
    result = run("diff", old, new, "--exit-code")
    assert (result.stdout, result.stderr) == ("", "nothing changes\n")
    assert document("diff", old, new) == []


def test_what_is_only_possible_stands_last_and_counts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policy.rules.proof.diff.Witnesses.find", lambda *_, **__: None)
    result = run("diff", "shipped", "grey.yaml", "--exit-code", status=1)
    first, second = result.stdout.splitlines()
    assert first == "possible, though no reply was found that shows it:"
    assert second.startswith("  retry becomes bounce: greylisted (rules.yaml:")
    assert result.stderr == "1 change: 1 possible\n"


def test_a_change_is_a_finding_only_where_it_is_asked_for(run: Run) -> None:
    run("diff", "shipped", "grey.yaml")
    assert run("diff", "shipped", "grey.yaml", "--exit-code", status=1).stderr == "1 change: 1 shown\n"


def test_to_turn_a_change_round_turns_what_is_told_round(document: Document) -> None:
    (there,) = document("diff", "shipped", "grey.yaml", *AT)
    (back,) = document("diff", "grey.yaml", "shipped", *AT)
    assert (there["before"]["action"], there["after"]["action"]) == ("retry", "bounce")
    assert (back["before"]["action"], back["after"]["action"]) == ("bounce", "retry")


def test_json_has_the_attempt_and_both_decisions(run: Run, document: Document) -> None:
    (change,) = document("diff", "shipped", "grey.yaml", *AT)
    assert list(change) == ["says", "rules", "witness", "before", "after", "about"]
    assert change["says"] == ["retry becomes bounce"]
    assert change["rules"][0]["new"] == {"id": "grey", "file": "grey.yaml", "line": 3}
    Path("a.jsonl").write_text(json.dumps(change["witness"]) + "\n")
    decided = json.loads(run("decide", "--batch", "a.jsonl", "--rules", "grey.yaml").stdout)
    assert decided["action"] == change["after"]["action"]
    assert decided["rule"] == change["after"]["rule"]


def test_rules_of_the_option_lie_under_both_and_those_of_the_environment_do_not(run: Run, document: Document) -> None:
    env = {"MAILVERDICT_RULES": "grey.yaml"}
    assert len(document("diff", "shipped", "grey.yaml", env=env)) == 1
    Path("over.yaml").write_text(GREY.replace("id: grey", "id: over"))
    assert document("diff", "shipped", "over.yaml", "--rules", "grey.yaml") == []


def test_a_file_with_mistakes_or_none_at_all_is_no_change(run: Run) -> None:
    Path("bad.yaml").write_text("mailverdict: 1\nruels: []\n")
    assert "bad.yaml:2:1: unknown-key: " in run("diff", "shipped", "bad.yaml", status=2).stderr
    assert "cannot be read" in run("diff", "missing.yaml", "grey.yaml", status=3).stderr
    run("diff", "grey.yaml", status=2)


def test_hostile_words_are_shown_as_plain_text(run: Run) -> None:
    hostile = '{code: "251", text: "x\u202e\\e[31m y"}, then: {action: hold, remedy: "\u202e\\e[2J"}'
    Path("a.yaml").write_text(f"{HEAD}rules:\n  - {{id: a, when: {hostile}}}\n")
    result = run("diff", "shipped", "a.yaml")
    assert "hold" in result.stdout
    assert all(line.isprintable() for line in result.output.splitlines())
