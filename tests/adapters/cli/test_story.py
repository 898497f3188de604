"""`mailverdict why`: a message's attempts in order with what was decided and why, and how it stands now."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import Result

from adapters.cli.show import strike
from adapters.stores import open_store
from policy.decision import Scope, Strike
from policy.diagnosis.category import Category
from policy.guard import Watch

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
LATER = ("--now", "2026-01-01T12:00:00Z")
USUAL = {"command": "RCPT", "recipient": "jo@x.example", "message_id": "m", "sender": "news@y.example"}
TOLD = [
    {**USUAL, "attempt_id": "a2", "reply": "550 5.1.1 no such \x1b[2Juser", "now": "2026-01-01T10:00:00Z"},
    {**USUAL, "attempt_id": "a1", "reply": "450 4.7.0 rate limit exceeded", "now": "2026-01-01T09:00:00Z"},
    {**USUAL, "attempt_id": "b1", "recipient": "Bo@z.example", "failure": "timeout", "now": "2026-01-01T09:30:00Z"},
    {**USUAL, "attempt_id": "c1", "message_id": "other", "reply": "250 ok", "now": "2026-01-01T09:00:00Z"},
]


@pytest.fixture(autouse=True)
def _past(run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines(*reversed(TOLD)), *STORE)


def test_a_story_has_each_attempt_in_order_recipient_by_recipient(document: Document) -> None:
    story = document("why", "m", *LATER, *STORE)
    assert list(story) == ["message_id", "recipients"]
    told = {each["recipient"]: [line["id"] for line in each["attempts"]] for each in story["recipients"]}
    assert told == {"jo@x.example": ["a1", "a2"], "bo@z.example": ["b1"]}
    assert list(story["recipients"][0]) == ["recipient", "attempts", "now"]
    assert list(story["recipients"][0]["now"]) == [
        "plan",
        "progress",
        "suppressions",
        "suspension",
        "suspensions",
        "throttles",
        "freezes",
        "guards",
    ]


def test_how_it_stands_now_is_what_the_store_knows_now(document: Document, run: Run) -> None:
    def now(*words: str) -> dict[str, Any]:
        (jo,) = document("why", "m", "--to", "JO@x.example", *words, *STORE)["recipients"]
        return dict(jo["now"])

    assert now(*LATER)["progress"]["action"] == "hard-bounce"
    assert [each["address"] for each in now(*LATER)["suppressions"]] == ["jo@x.example"]
    assert now("--now", "2026-01-01T09:00:01Z")["suspension"]["target"] == "y.example>x.example"
    assert now(*LATER)["guards"] == []
    store = open_store(STORE[1])
    with store.unit() as unit:
        unit.watch(Watch(key="x.example", open_since=datetime(2026, 1, 1, tzinfo=UTC)))
    store.close()
    run("suppressions", "remove", "jo@x.example", *STORE)
    assert now(*LATER)["suppressions"] == []
    assert [each["target"] for each in now(*LATER)["guards"]] == ["x.example"]


def test_text_tells_what_they_said_what_was_decided_by_which_rule_and_on_what(run: Run) -> None:
    shown = run("why", "m", *LATER, *STORE).stdout
    for words in ("1. 2026-01-01 09:00:00", "450 4.7.0 rate limit", "2. 2026-01-01 10:00:00", "no-such-mailbox ("):
        assert words in shown
    assert shown.index("attempt a1") < shown.index("attempt a2") < shown.index("attempt b1")
    assert "settled: hard-bounce" in shown
    assert "jo@x.example is suppressed until" in shown
    assert "attempt 2 has been due since" in shown
    assert "\x1b" not in shown
    assert "attempt c1" not in shown


def test_an_attempt_names_its_message_too(document: Document) -> None:
    by_attempt = document("why", "b1", *LATER, *STORE)["recipients"]
    assert by_attempt == document("why", "m", *LATER, *STORE)["recipients"]


def test_telling_changes_nothing(run: Run, document: Document) -> None:
    asked = ("states", "list", "--all", *LATER, *STORE)
    before = document(*asked)
    run("why", "m", *LATER, *STORE)
    assert document(*asked) == before


def test_of_an_unknown_message_there_is_no_story(run: Run) -> None:
    result = run("why", "n\x1bo", *STORE, status=1)
    assert result.stderr == "mailverdict: nothing is recorded of message `n?o`\n"
    assert '"recipients": []' in run("why", "no", "--format", "json", *STORE, status=1).stdout
    run("why", "m", "--to", "ed@x.example", *STORE, status=1)


def test_what_a_reader_says_is_told_as_that_and_not_as_a_step_of_a_delivery(run: Run, lines: Lines) -> None:
    said = {"message_id": "e", "recipient": "eve@x.example", "now": "2026-01-01T09:00:00Z"}
    events = [{**said, "event": "complaint"}, {**said, "event": "unsubscribe", "now": "2026-01-01T09:05:00Z"}]
    run("observe", "--batch", lines(*events), *STORE)
    shown = " ".join(run("why", "e", *LATER, *STORE).stdout.split())
    assert "the reader complained of it; that settles nothing" in shown
    assert "the reader unsubscribed; that settles nothing" in shown
    assert "final dot" not in shown
    assert "now no attempt to deliver it is recorded" in shown
    delivered = {**said, "reply": "250 ok", "command": "DOT", "now": "2026-01-01T09:10:00Z"}
    run("observe", "--batch", lines(delivered), *STORE)
    assert "now settled: accept" in " ".join(run("why", "e", *LATER, *STORE).stdout.split())


def test_every_time_of_the_present_says_its_zone(run: Run, lines: Lines) -> None:
    run("states", "freeze", *LATER, *STORE)
    shown = run("why", "m", "--now", "2026-01-01T09:00:01Z", *STORE).stdout.partition("\nnow\n")[2]
    assert "all mail is frozen since 2026-01-01 12:00 UTC" in shown
    times = re.findall(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?= )[^:]{4}", shown)
    assert times
    assert all(each.endswith(" UTC") for each in times)


def test_a_strike_that_the_guard_made_of_a_suppression_is_no_first_of_one() -> None:
    made = Strike(target="jo@x.example", scope=Scope.ADDRESS, reason=Category.BAD_MAILBOX, count=1, needed=1)
    assert strike(made) == "strike in place of a suppression (the outage guard is open)"
    assert strike(evolve(made, needed=3)) == "strike 1 of 3"


@pytest.mark.parametrize("now", ["2026-01-01T09:00:01Z", "2026-01-01T09:45:00Z", "2026-01-01T12:00:00Z"])
@pytest.mark.parametrize("lifted", [False, True])
@pytest.mark.parametrize("suppressed", [False, True])
def test_the_story_ends_with_what_the_plan_says(
    now: str, lifted: bool, suppressed: bool, document: Document, run: Run, lines: Lines
) -> None:
    run("states", "freeze", "--now", "2026-01-01T08:00:00Z", *STORE)
    gone = {**USUAL, "recipient": "fay@w.example", "reply": "550 5.1.1 User unknown", "now": "2026-01-01T09:00:00Z"}
    run("observe", "--batch", lines(gone), *STORE)
    if lifted:
        run("states", "lift", *STORE)
    if suppressed:
        run("suppressions", "add", "fay@w.example", "bo@z.example", *LATER, *STORE)
    stories = document("why", "m", "--now", now, *STORE)["recipients"]
    verdicts = {each["recipient"]: each["now"]["plan"]["verdict"] for each in stories}
    assert len(verdicts) == 3
    assert verdicts["fay@w.example"] == ("suppressed" if suppressed else "send" if lifted else "held")
    for story in stories:
        to, said = story["recipient"], story["now"]["plan"]
        asked = ("plan", "--to", said["recipient"], "--from", USUAL["sender"], "--message-id", "m", "--now", now)
        assert document(*asked, *STORE) == [said]
        text = run("why", "m", "--to", to, "--now", now, *STORE).stdout.partition("\nnow\n")[2]
        assert (f"so `plan` says {said['verdict']}" in text) is not story["now"]["progress"]["final"]
        assert "a person must act" not in text


def test_to_tell_the_plan_takes_no_slot_of_a_rate(document: Document, run: Run) -> None:
    Path("slow.yaml").write_text(
        "mailverdict: 1\nlimits: {slow: {rate: 1/1h}}\ndomains: {z.example: {defaults: {limit: slow}}}\n"
    )
    rules = ("--rules", "slow.yaml")
    plan = ("plan", "--to", "bo@z.example", "--from", USUAL["sender"], "--message-id", "m", *LATER, *rules, *STORE)
    for verdict in ("send", "wait"):
        for _ in range(3):
            (bo,) = document("why", "m", "--to", "bo@z.example", *LATER, *rules, *STORE)["recipients"]
            assert bo["now"]["plan"]["verdict"] == verdict
        assert document(*plan)[0]["verdict"] == verdict
