"""`mailverdict states`: what holds mail back is shown with its reason, and can be ended."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from click.testing import Result

from adapters.cli.state_lines import suspension_words
from adapters.stores import open_store
from policy.guard import Failing, Watch

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
NOON = ("--now", "2026-01-01T12:00:00Z")
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAIR = "y.example>x.example"


@pytest.fixture(autouse=True)
def _past(run: Run, lines: Lines) -> None:
    slow = {"reply": "450 4.7.0 rate limit exceeded, slow down", "command": "RCPT", "sender": "news@y.example"}
    run("observe", "--batch", lines({**slow, "recipient": "jo@x.example", "now": NOON[1]}), *STORE)
    store = open_store(STORE[1])
    failing = tuple(Failing(f"a{n}@gmail.com", "gmail.com", AT) for n in range(7))
    with store.unit() as unit:
        unit.watch(Watch(key="google", open_since=AT, failing=failing, probes=(AT,)))
        unit.watch(Watch(key="yahoo"))
    store.close()


def test_states_that_bind_are_listed_and_explained(document: Document, run: Run) -> None:
    suspension, guard = document("states", "list", *NOON, *STORE)
    assert list(suspension) == [
        "kind",
        "target",
        "reason",
        "rule",
        "since",
        "until",
        "times",
        "well_at",
        "active",
        "recovering_at",
        "why",
    ]
    assert list(guard) == ["kind", "target", "since", "failing", "probes", "active", "why"]
    assert (suspension["kind"], suspension["target"], suspension["active"]) == ("suspension", PAIR, True)
    assert "mail from y.example to x.example waits: rate-limited" in suspension["why"]
    assert (guard["target"], guard["since"], guard["failing"], guard["probes"]) == ("google", NOON[1], 7, 1)
    text = run("states", "list", *NOON, *STORE).stdout
    assert PAIR in text
    assert "nothing is suppressed at google: 7 recipients" in text


def test_states_that_are_over_are_listed_among_all_only(document: Document) -> None:
    def active(at: str) -> dict[str, bool]:
        assert [each["target"] for each in document("states", "list", "--now", at, *STORE)] == [
            key for key, binds in listed(at).items() if binds
        ]
        return {key: binds for key, binds in listed(at).items() if key in (PAIR, "google", "yahoo")}

    def listed(at: str) -> dict[str, bool]:
        return {each["target"]: each["active"] for each in document("states", "list", "--all", "--now", at, *STORE)}

    assert active("2026-01-02T12:00:00Z") == {PAIR: True, "google": True, "yahoo": False}  # the pair recovers
    assert active("2027-01-01T00:00:00Z") == {PAIR: False, "google": False, "yahoo": False}  # open for too long


def test_a_cancelled_suspension_holds_nothing_back(document: Document, run: Run) -> None:
    plan = ("plan", "--to", "jo@x.example", "--from", "news@y.example", *NOON, *STORE)
    assert document(*plan)[0]["verdict"] == "wait"
    assert document("states", "cancel", PAIR, *NOON, *STORE) == {"target": PAIR, "cancelled": True}
    assert document(*plan)[0]["verdict"] == "send"
    assert [each["target"] for each in document("states", "list", *NOON, *STORE)] == ["google"]
    assert "is not held back" in run("states", "cancel", PAIR, *NOON, *STORE, status=1).stdout


def test_a_closed_guard_goes_on_watching_from_nothing(document: Document, run: Run) -> None:
    before = {each.key: each for each in open_store(STORE[1]).watches()}
    assert document("states", "close", "google", *STORE) == {"target": "google", "closed": True}
    after = {each.key: each for each in open_store(STORE[1]).watches()}
    assert after.keys() == before.keys()
    assert (after["google"].is_open, after["google"].failing, after["google"].probes) == (False, (), ())
    assert [each["target"] for each in document("states", "list", *NOON, *STORE)] == [PAIR]
    assert "is not open" in run("states", "close", "google", *STORE, status=1).stdout
    assert "is not open" in run("states", "close", "no\x1bwhere", *STORE, status=1).stdout


def test_an_unknown_guard_is_not_made_by_closing_it(run: Run) -> None:
    run("states", "close", "nowhere", *STORE, status=1)
    assert "nowhere" not in [each.key for each in open_store(STORE[1]).watches()]


def test_all_states_say_in_text_what_has_become_of_them(run: Run) -> None:
    def words(*when: str) -> list[str]:
        shown = run("states", "list", "--all", *when, *STORE).stdout.splitlines()
        named = [line.split() for line in shown if any(each in line for each in (PAIR, " google ", " yahoo "))]
        return [next(each for each in line if each in ("active", "recovering", "ended", "closed")) for line in named]

    assert words(*NOON) == ["active", "active", "closed"]
    assert words("--now", "2026-01-02T12:00:00Z") == ["recovering", "active", "closed"]
    assert words("--now", "2027-01-01T00:00:00Z") == ["ended", "closed", "closed"]
    run("states", "cancel", PAIR, *NOON, *STORE)
    assert words(*NOON) == ["ended", "active", "closed"]
    assert " state " not in run("states", "list", *NOON, *STORE).stdout


def test_a_guard_is_closed_as_of_the_time_that_is_said(run: Run) -> None:
    late = ("--now", "2026-01-09T12:00:00Z")
    assert "is not open" in run("states", "close", "google", *late, *STORE, status=1).stdout
    assert run("states", "close", "google", *NOON, *STORE).stdout == "google: closed\n"


def test_one_recipient_is_one(run: Run) -> None:
    store = open_store(STORE[1])
    with store.unit() as unit:
        unit.watch(Watch(key="one", failing=(Failing("a@one.example", "one.example", AT),)))
    store.close()
    assert (
        "1 recipient who had mail of late fails there"
        in run("states", "list", "--all", *NOON, *STORE, env={"COLUMNS": "200"}).stdout
    )


@pytest.mark.parametrize("target", ["x.exam", "y.example>x.exampel", "Y.EXAMPLE>X.EXAMPEL", "EXAMPLE"])
def test_who_cancels_what_is_not_held_back_is_told_what_was_meant(target: str, run: Run) -> None:
    shown = run("states", "cancel", target, *NOON, *STORE, status=1).stdout
    assert shown == f"{target}: is not held back\n  held back: {PAIR}; did you mean `{PAIR}`?\n"


def test_of_many_that_are_held_back_ten_are_told_and_no_guard_is_among_them(run: Run, lines: Lines) -> None:
    slow = {"reply": "450 4.7.0 rate limit exceeded, slow down", "command": "RCPT", "sender": "news@y.example"}
    run(
        "observe",
        "--batch",
        lines(*({**slow, "recipient": f"jo@q{n:02}.example", "now": NOON[1]} for n in range(12))),
        *STORE,
    )
    shown = run("states", "cancel", "google", *NOON, *STORE, status=1).stdout
    assert shown.count(">") == 10
    assert "google," not in shown
    assert "and 3 more" in shown
    assert (
        "held back: nothing"
        in run("states", "cancel", "google", "--now", "2099-01-01T00:00:00Z", *STORE, status=1).stdout
    )


def test_who_closes_what_is_not_open_is_told_what_is(run: Run) -> None:
    shown = run("states", "close", "gogle", *NOON, *STORE, status=1).stdout
    assert shown == "gogle: is not open\n  open: google; did you mean `google`?\n"


@pytest.mark.parametrize(("times", "said"), [(1, ""), (2, ", 2 times in a row"), (11, ", 11 times in a row")])
def test_how_often_in_a_row_a_suspension_came_is_told_from_the_second_on(times: int, said: str) -> None:
    store = open_store(STORE[1])
    (made,) = store.suspensions()
    store.close()
    assert suspension_words(evolve(made, times=times)) == suspension_words(evolve(made, times=1)) + said
