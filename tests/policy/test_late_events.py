"""Events that come late, twice or out of order: what is settled stays settled."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.stores.memory import MemoryStore
from policy import Action, Attempt, Command, Engine, Failure, Verdict, load_policy, parse_address, parse_reply

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JO = parse_address("jo@dest.example")


@pytest.fixture
def engine() -> Engine:
    return Engine(load_policy(), MemoryStore())


def told(reply: str, at: datetime, command: Command = Command.RCPT, message: str | None = "m") -> Attempt:
    outcome = Failure(reply) if reply in {each.value for each in Failure} else parse_reply(reply)
    return Attempt(outcome=outcome, command=command, recipient=JO, at=at, attempt_id=f"{reply}{at}", message_id=message)


@pytest.mark.parametrize(("reply", "at"), [("450 greylisted", NOW), ("timeout", NOW + 2 * HOUR)])
def test_no_other_event_reopens_a_delivered_message(engine: Engine, reply: str, at: datetime) -> None:
    engine.observe(told("250 ok", NOW + HOUR, Command.DOT), now=NOW)
    engine.observe(told(reply, at), now=NOW)
    assert engine.plan(JO, now=NOW + 3 * HOUR, message="m").verdict is Verdict.SETTLED


def test_a_delivery_settles_whatever_came_before(engine: Engine) -> None:
    engine.observe(told("550 5.7.1 blocked", NOW + HOUR), now=NOW)
    engine.observe(told("250 ok", NOW, Command.DOT), now=NOW)
    assert engine.plan(JO, now=NOW + 3 * HOUR, message="m").why.startswith("this message is settled: accept")


def test_a_success_that_is_told_late_takes_back_nothing_newer(engine: Engine) -> None:
    engine.observe(told("550", NOW + 5 * DAY), now=NOW)
    engine.observe(told("250 ok", NOW, Command.DOT, "other"), now=NOW)
    assert engine.plan(JO, now=NOW + 6 * DAY).verdict is Verdict.SUPPRESSED


def test_two_attempts_without_ids_are_two(engine: Engine) -> None:
    bare = Attempt(outcome=parse_reply("450 later"), command=Command.RCPT, recipient=JO, message_id="m")
    first, second = engine.observe(bare, now=NOW), engine.observe(bare, now=NOW + DAY)
    assert second.retry_at
    assert first.retry_at
    assert second.retry_at > first.retry_at


def test_greylisting_before_does_not_use_up_the_tries_of_a_lost_dot(engine: Engine) -> None:
    at = NOW
    for _ in range(5):
        engine.observe(told("450 4.7.1 Greylisted", at), now=at)
        at += HOUR
    actions = []
    for _ in range(4):
        actions.append(engine.observe(told("lost-after-dot", at, Command.DOT), now=at).action)
        at += HOUR
    assert actions == [Action.RETRY, Action.RETRY, Action.RETRY, Action.BOUNCE]


def test_what_is_not_counted_as_an_attempt_waits_longer_each_time_if_its_schedule_grows(engine: Engine) -> None:
    waits = []
    at = NOW
    for _ in range(4):
        due = engine.observe(told("not-attempted", at), now=at).retry_at
        assert due
        waits.append(due - at)
        at = due
    assert waits[-1] > 2 * waits[0]
