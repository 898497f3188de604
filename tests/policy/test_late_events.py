"""Events that come late, twice or out of order: what is settled stays settled."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.stores.memory import MemoryStore
from policy import Action, Attempt, Command, Engine, Event, Failure, Verdict, load_policy, parse_address, parse_reply
from policy.decision import Strike, Suppress

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


@pytest.mark.parametrize("event", Event)
def test_an_event_without_a_recipient_is_no_attempt(event: Event) -> None:
    with pytest.raises(ValueError, match=f"^event `{event.value}` needs a `recipient`"):
        Attempt(outcome=event)


@pytest.mark.parametrize("command", [Command.RCPT, Command.DOT, None])
def test_a_bounce_of_nobody_knows_whom_is_kept_and_suppresses_nobody(engine: Engine, command: Command | None) -> None:
    bounce = Attempt(outcome=parse_reply("550 5.1.1 no such user"), command=command, attempt_id="b", at=NOW)
    decision = engine.observe(bounce, now=NOW)
    assert (decision.action, decision.final, decision.suppress) == (Action.BOUNCE, True, False)
    assert decision.evidence[-1].value == "hard-bounce became bounce"
    assert [each.decision for each in engine.store.entries()] == [decision]
    assert list(engine.store.suppressions()) == []


def test_a_full_mailbox_of_nobody_knows_whom_is_no_strike(engine: Engine) -> None:
    full = Attempt(outcome=parse_reply("452 4.2.2 mailbox full"), command=Command.RCPT, attempt_id="f", at=NOW)
    decision = engine.observe(full, now=NOW)
    assert decision.action is Action.RETRY
    assert not [each for each in decision.effects if isinstance(each, Strike | Suppress)]
