"""`mailverdict log`, `suppressions list`, `forwards list`: what was kept, in order, in the contract's keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapters.cli import listing
from adapters.cli.app import cli

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
REPLIES = {
    "ann@x.example": "250 2.0.0 queued",
    "jo@x.example": "251 User not local; will forward to <jo@new.example>",
    "ghost@x.example": "550 5.1.1 no such user",
    "bare@x.example": "550",
    "bob@x.example": "550 5.7.1 blocked by policy",
}
LISTS = [("log",), ("suppressions", "list"), ("forwards", "list"), ("states", "list")]


@pytest.fixture(autouse=True)
def _past(run: Run, lines: Lines) -> None:
    attempts = (
        {"reply": reply, "command": "RCPT", "recipient": to, "now": f"2026-01-01T00:00:0{n}Z", "attempt_id": f"a{n}"}
        for n, (to, reply) in enumerate(REPLIES.items())
    )
    run("observe", "--batch", lines(*reversed(list(attempts))), *STORE)


def test_the_log_has_a_decision_for_each_attempt_the_oldest_first(document: Document) -> None:
    logged = document("log", *STORE)
    assert [each["id"] for each in logged] == ["a0", "a1", "a2", "a3", "a4"]
    assert [each["recipient"] for each in logged] == list(REPLIES)
    assert [each["outcome"] for each in logged] == list(REPLIES.values())
    about = ["id", "at", "recipient", "message_id", "attempt", "outcome"]
    assert list(logged[0])[:9] == [*about, "action", "final", "category"]


def test_the_log_can_be_cut_to_a_recipient_and_to_the_newest(document: Document) -> None:
    assert [each["id"] for each in document("log", *STORE, "--last", "2")] == ["a3", "a4"]
    assert [each["id"] for each in document("log", *STORE, "--to", "GHOST@x.example")] == ["a2"]
    assert document("log", *STORE, "--to", "nobody@x.example") == []


def test_suppressions_have_the_keys_of_the_contract_the_oldest_first(document: Document) -> None:
    entries = document("suppressions", "list", *STORE, "--now", "2026-01-01T01:00:00Z")
    keys = ["address", "scope", "strength", "reason", "rule", "reply", "since", "expires_at", "source", "state"]
    keys += ["provider", "note"]
    assert [list(each) for each in entries] == [keys, keys]
    assert [each["address"] for each in entries] == ["ghost@x.example", "bare@x.example"]
    assert entries[0]["rule"]["id"] == "no-such-mailbox"


def test_expired_suppressions_are_shown_only_when_all_are_asked_for(document: Document) -> None:
    later = ("--now", "2026-02-01T00:00:00Z")
    active = document("suppressions", "list", *STORE, *later)
    assert [each["address"] for each in active] == ["ghost@x.example"]
    assert len(document("suppressions", "list", "--all", *STORE, *later)) == 2


def test_forwards_have_the_keys_of_the_contract(document: Document) -> None:
    (note,) = document("forwards", "list", *STORE)
    assert list(note) == ["address", "forward_path", "state", "reply", "since", "seen_at"]
    assert (note["address"], note["forward_path"], note["state"]) == ("jo@x.example", "jo@new.example", "pending")


def test_a_policy_refusal_suppresses_nobody(document: Document) -> None:
    assert "bob@x.example" not in str(document("suppressions", "list", "--all", *STORE))


@pytest.mark.parametrize(
    ("words", "row"),
    [(LISTS[0], "RCPT: 251 User not local"), (LISTS[1], "ghost@x.example"), (LISTS[2], "jo@new.example")],
)
def test_text_shows_the_same_rows(words: tuple[str, ...], row: str, run: Run) -> None:
    shown = run(*words, *STORE, *(("--now", "2026-01-02T00:00:00Z") if words[0] == "suppressions" else ())).stdout
    assert row in shown


def test_pages_after_the_first_show_every_row(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("log", *STORE).stdout.split()
    monkeypatch.setattr(listing, "_PAGE", 2)
    paged = run("log", *STORE).stdout
    assert [each for each in whole if each not in paged.split()] == []
    assert [paged.count(each) for each in REPLIES if "forward" not in REPLIES[each]] == [1] * 4


@pytest.mark.parametrize("words", LISTS)
def test_a_list_of_a_store_that_is_not_there_is_unavailable_and_makes_none(words: tuple[str, ...], run: Run) -> None:
    result = run(*words, "--store", "sqlite:///other.db", status=3)
    assert result.stderr == "mailverdict: no such store: `other.db`\n"


@pytest.mark.parametrize("words", LISTS)
def test_a_list_of_an_empty_store_is_an_empty_array(words: tuple[str, ...], document: Document) -> None:
    assert document(*words, "--store", "memory:") == []


@pytest.mark.parametrize("words", LISTS)
def test_lists_take_the_store_of_the_environment(words: tuple[str, ...], run: Run) -> None:
    env = {"MAILVERDICT_STORE": STORE[1]}
    assert run(*words, "--format", "json", env=env).stdout == run(*words, "--format", "json", *STORE).stdout


def test_the_newest_none_are_no_number(run: Run) -> None:
    assert "--last" in run("log", "--last", "0", *STORE, status=2).stderr


def test_a_removed_suppression_no_longer_binds(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text('{"reply": "550 5.1.1 no such user", "command": "RCPT", "recipient": "Jo@example.org"}\n', "utf-8")
    store = f"sqlite:///{tmp_path}/a.db"
    for args, said in (
        (["observe", "--batch", str(lines)], "hard-bounce"),
        (["plan", "--to", "jo@example.org"], "suppressed"),
        (["suppressions", "remove", "JO@example.org"], "jo@example.org: released"),
        (["suppressions", "remove", "jo@example.org"], "was not suppressed"),
        (["plan", "--to", "jo@example.org"], "send"),
    ):
        result = CliRunner().invoke(cli, [*args, "--store", store])
        assert result.exit_code == 0
        assert said in result.output


def test_an_approved_forward_is_where_plan_says_to_write(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    reply = "251 User not local; will forward to <jo@new.example>"
    lines.write_text(f'{{"reply": "{reply}", "command": "RCPT", "recipient": "jo@old.example"}}\n', "utf-8")
    store = f"sqlite:///{tmp_path}/a.db"
    for args, said in (
        (["observe", "--batch", str(lines)], "accept-and-note-forward"),
        (["plan", "--to", "jo@old.example", "--format", "json"], '"deliver_to": null'),
        (["forwards", "approve", "jo@old.example", "jo@new.example"], "jo@old.example: approved"),
        (["plan", "--to", "jo@old.example", "--format", "json"], '"deliver_to": "jo@new.example"'),
        (["forwards", "reject", "jo@old.example", "jo@new.example"], "jo@old.example: rejected"),
        (["plan", "--to", "jo@old.example", "--format", "json"], '"deliver_to": null'),
    ):
        result = CliRunner().invoke(cli, [*args, "--store", store])
        assert result.exit_code == 0, result.output
        assert said in result.output


EMPTY = {
    LISTS[0]: "nothing is recorded\n",
    LISTS[1]: "nothing is suppressed\n",
    LISTS[2]: "no forward is noted\n",
    LISTS[3]: "nothing is suspended, throttled or frozen, and no outage guard is open\n",
    ("rescue", "--since", "2h"): "nobody to rescue\n",
    ("suppressions", "undo", "--since", "2h", "--dry-run"): "nothing to release\n",
    ("log", "--domain", "y.example"): "nothing of that kind is recorded\n",
    ("suppressions", "list", "--provider", "google"): "nothing of that kind is suppressed\n",
}


@pytest.mark.parametrize("words", EMPTY)
def test_an_empty_list_says_so_in_place_of_bare_columns(words: tuple[str, ...], run: Run) -> None:
    assert run(*words, "--store", "memory:").stdout == EMPTY[words]


def test_all_entries_say_in_text_what_has_become_of_them(run: Run) -> None:
    run("suppressions", "remove", "ghost@x.example", *STORE)
    later = ("--now", "2026-02-01T00:00:00Z")
    shown = run("suppressions", "list", "--all", *STORE, *later).stdout.splitlines()
    assert [line.split()[:2] for line in shown if "@x" in line] == [
        ["ghost@x.example", "released"],
        ["bare@x.example", "expired"],
    ]
    run("suppressions", "add", "jo@x.example", *STORE, *later)
    assert " state " not in run("suppressions", "list", *STORE, *later).stdout


def test_an_entry_for_ever_ends_in_the_words_of_the_plan_wherever_it_is_shown(run: Run, lines: Lines) -> None:
    told = {"event": "complaint", "recipient": "eve@x.example", "message_id": "m", "now": "2026-01-01T00:00:09Z"}
    run("observe", "--batch", lines(told), *STORE)
    now = ("--now", "2026-01-02T00:00:00Z")
    for words in (
        ("suppressions", "list"),
        ("suppressions", "show", "eve@x.example"),
        ("why", "m"),
        ("plan", "--to", "eve@x.example"),
    ):
        assert "it is released" in run(*words, *STORE, *now).stdout
    assert "2026-06-30 00:00 UTC" in run("suppressions", "show", "ghost@x.example", *STORE, *now).stdout


def test_the_text_of_the_log_names_what_why_takes(run: Run, lines: Lines) -> None:
    known = "<20260101000000.4711.0123456789@mail.news.example.org>"
    told = {"reply": "250 ok", "command": "DOT", "recipient": "fay@x.example", "message_id": known}
    run("observe", "--batch", lines(told), *STORE)
    for row in run("log", *STORE).stdout.splitlines():
        if "@x.example" in row and "fay" not in row:
            run("why", row.split()[-1], *STORE)
    folded = run("log", "--to", "fay@x.example", *STORE).stdout.splitlines()
    assert (
        "".join(row.split()[-1] for row in folded[3:] if row.strip()) == known
    )  # after a blank, the head and its line


def test_a_note_that_is_too_old_to_be_followed_says_so(run: Run, document: Document) -> None:
    for now, state in (("2026-01-02T00:00:00Z", "pending "), ("2027-01-02T00:00:00Z", "pending, too old")):
        assert state in run("forwards", "list", "--now", now, *STORE).stdout
        assert document("forwards", "list", "--now", now, *STORE)[0]["state"] == "pending"
