"""Clocks that jump, differ or stop at a boundary: what is stated of each, over a real store."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from policy import Attempt, Command, Decision, Engine, Verdict, load_policy, parse_address, parse_reply
from policy.attempt import EARLIEST, LATEST
from policy.contract import write_suppression
from policy.contract.suppression import read_suppression
from policy.contract.times import read_reckoned_time, read_time, write_time
from policy.decision import Action, Suspend
from policy.ports import Store
from policy.rules.source import RulesFile, build_policy
from policy.testing.store_lines import JO, PAIR, commit, entry, history, suppress

HOUR, DAY, MINUTE, INSTANT = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1), timedelta(microseconds=1)
YEAR = 365 * DAY
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECIPIENT = parse_address(JO)
POLICY = load_policy()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "mail.db")
    yield store
    store.close()


@pytest.fixture
def engine(store: Store) -> Engine:
    return Engine(POLICY, store)


def said(engine: Engine, text: str, now: datetime, *, message: str = "m", command: Command = Command.RCPT) -> Decision:
    """What is decided when Jo's server says so at that time."""
    attempt = Attempt(
        outcome=parse_reply(text),
        command=command,
        recipient=RECIPIENT,
        message_id=message,
        attempt_id=f"{message} {now.isoformat()} {text}",
        at=now,
    )
    return engine.observe(attempt, now=now)


def verdict(engine: Engine, now: datetime, message: str | None = "m") -> Verdict:
    return engine.plan(RECIPIENT, now=now, message=message).verdict


LATER = "451 4.3.0 try again later"
DEAD = "550 5.1.1 no such user"


# -- clocks that jump (21, 25) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [INSTANT, MINUTE, HOUR, YEAR])
def test_a_clock_that_goes_back_neither_loses_an_attempt_nor_moves_the_end(
    engine: Engine, store: Store, back: timedelta
) -> None:
    first = said(engine, LATER, NOON)
    second = said(engine, LATER, NOON - back)
    assert second.action is Action.RETRY
    assert len(list(store.entries())) == 2
    third = said(engine, LATER, NOON + HOUR)
    assert third.retry_at is not None
    assert third.retry_at > NOON + HOUR
    assert first.give_up_at is not None
    assert third.give_up_at is not None
    assert third.give_up_at <= first.give_up_at  # never later than the true first attempt allows


def test_a_clock_that_jumps_a_year_forward_gives_a_waiting_message_up_and_stays_with_that(engine: Engine) -> None:
    said(engine, LATER, NOON)
    assert said(engine, LATER, NOON + YEAR).action is Action.BOUNCE
    assert verdict(engine, NOON + MINUTE) is Verdict.SETTLED
    assert verdict(engine, NOON + MINUTE, "other") is Verdict.SEND  # the address is not to blame


def test_a_suppression_of_a_clock_that_was_a_year_fast_binds_until_its_end_or_its_release(
    engine: Engine, store: Store
) -> None:
    assert said(engine, DEAD, NOON + YEAR).suppress
    assert verdict(engine, NOON, None) is Verdict.SUPPRESSED
    with store.unit() as unit:
        assert len(unit.undo(since=NOON + DAY, provider=None, rule=None, now=NOON)) == 1
    assert verdict(engine, NOON, None) is Verdict.SEND


def test_a_suspension_of_a_clock_that_was_a_year_fast_binds_until_it_is_cancelled(store: Store) -> None:
    commit(store, entry("a", Suspend(target=PAIR, until=NOON + YEAR + HOUR), at=NOON + YEAR))
    (kept,) = history(store).suspensions
    assert kept.active(NOON)
    with store.unit() as unit:
        assert unit.cancel(PAIR, NOON)
    (kept,) = history(store).suspensions
    assert not kept.active(NOON)


@given(steps=st.lists(st.timedeltas(-2 * HOUR, 2 * HOUR), min_size=1, max_size=8))
def test_between_decision_and_schedule_the_clock_may_step_and_the_due_time_stays(steps: list[timedelta]) -> None:
    engine = Engine(POLICY, MemoryStore())
    due = said(engine, LATER, NOON).retry_at
    assert due is not None
    now = NOON
    for step in steps:
        now += step
        plan = engine.plan(RECIPIENT, now=now, message="m")
        assert plan.verdict is (Verdict.WAIT if now < due else Verdict.SEND)
        assert plan.not_before == (due if now < due else None)


# -- clocks that differ (26) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [10 * MINUTE, -10 * MINUTE])
def test_two_hosts_ten_minutes_apart_on_one_store_count_every_attempt_and_every_strike_once(
    store: Store, apart: timedelta
) -> None:
    hosts = [(Engine(POLICY, store), timedelta(0)), (Engine(POLICY, store), apart)]
    end, due = None, NOON
    for number in range(6):
        engine, offset = hosts[number % 2]
        decision = said(engine, LATER, NOON + number * HOUR + offset)
        assert decision.retry_at is not None
        assert decision.retry_at > due
        due = decision.retry_at
        end = end or decision.give_up_at
        assert decision.give_up_at == end
    assert len(list(store.entries())) == 6
    for number in range(3):
        engine, offset = hosts[number % 2]
        decision = said(engine, "552 5.2.2 mailbox full", NOON + (10 + 3 * number) * DAY + offset, message=f"q{number}")
        assert decision.suppress == (number == 2)
    for engine, offset in hosts:
        assert verdict(engine, NOON + 16 * DAY + HOUR + offset, None) is Verdict.SUPPRESSED


def test_a_success_and_a_failure_of_two_hosts_end_alike_in_either_order(store: Store) -> None:
    one, other = Engine(POLICY, store), Engine(POLICY, store)
    said(one, "250 2.0.0 ok", NOON + 10 * MINUTE, command=Command.DOT)
    said(other, LATER, NOON + MINUTE)  # it was later, by a slower clock
    assert verdict(one, NOON + HOUR) is verdict(other, NOON + HOUR) is Verdict.SETTLED


# -- boundaries (27) --------------------------------------------------------------------------------------------------


def test_what_expires_binds_up_to_its_end_and_no_longer(engine: Engine, store: Store) -> None:
    commit(store, entry("a", suppress(until=NOON)))
    seen = [verdict(engine, NOON + step, None) for step in (-INSTANT, timedelta(0), INSTANT)]
    assert seen == [Verdict.SUPPRESSED, Verdict.SEND, Verdict.SEND]
    due = said(engine, LATER, NOON, message="n").retry_at
    assert due is not None
    seen = [verdict(engine, due + step, "n") for step in (-INSTANT, timedelta(0), INSTANT)]
    assert seen == [Verdict.WAIT, Verdict.SEND, Verdict.SEND]
    commit(store, entry("b", Suspend(target=PAIR, until=NOON)))
    (kept,) = history(store).suspensions
    assert [kept.active(NOON + step) for step in (-INSTANT, timedelta(0))] == [True, False]


# -- times that are odd (22, 23, 24) ----------------------------------------------------------------------------------

BERLIN = ZoneInfo("Europe/Berlin")


def test_the_hour_that_comes_twice_is_two_hours_and_the_one_that_does_not_come_is_none(engine: Engine) -> None:
    twice = [datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1)]
    first, second = (said(engine, LATER, each) for each in twice)
    assert first.retry_at is not None
    assert second.retry_at is not None
    assert second.retry_at - first.retry_at >= HOUR
    assert second.give_up_at == first.give_up_at
    never = datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN)  # between 2 and 3 the clocks go forward
    assert Attempt(outcome=parse_reply("450"), at=never).at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@given(minutes=st.integers(0, 2 * 24 * 60), fold=st.sampled_from([0, 1]))
def test_a_zone_changes_no_decision(minutes: int, fold: int) -> None:
    at = (datetime(2026, 10, 24, tzinfo=BERLIN) + minutes * MINUTE).replace(fold=fold)
    there, here = (said(Engine(POLICY, MemoryStore()), DEAD, each) for each in (at, at.astimezone(UTC)))
    assert there.effects == here.effects
    assert there.action is here.action


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z", "2017-01-01T00:59:60+01:00"])
def test_a_leap_second_is_a_time_and_not_a_mistake(text: str) -> None:
    assert read_time(text) == datetime(2017, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)


@pytest.mark.parametrize("text", ["2016-12-31T23:58:60Z", "2016-12-31T22:59:60Z", "2016-12-31T23:59:61Z"])
def test_a_sixtieth_second_anywhere_else_does_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        read_time(text)


def test_a_time_without_its_offset_is_refused_everywhere(engine: Engine) -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="needs its offset from UTC"):
        said(engine, LATER, naive)
    with pytest.raises(ValueError, match="needs its offset from UTC"):
        engine.plan(RECIPIENT, now=naive)
    with pytest.raises(ValueError, match="needs its offset from UTC"):
        read_time("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    "at",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 7, 999999, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
        EARLIEST,
        LATEST - YEAR,
    ],
    ids=str,
)
def test_the_ends_of_other_peoples_calendars_are_days_like_others(engine: Engine, store: Store, at: datetime) -> None:
    decision = said(engine, LATER, at)
    assert decision.retry_at is not None
    assert decision.retry_at > at
    assert [each.at for each in store.entries()] == [at]
    assert said(engine, DEAD, at + HOUR, message="n").suppress
    assert [each.since for each in store.suppressions()] == [at + HOUR]
    assert read_time(write_time(at)) == at


# The longest that a file may say, of all that is reckoned from a time.
LONGEST = """mailverdict: 1
schedules: {endless: {waits: [3650d], give_up: 3650d}}
rules:
  - id: gone
    when: {enhanced: "5.1.1"}
    then: {action: hard-bounce, suppress: {strength: weak, for: 3650d}}
  - id: slow
    when: {enhanced: "4.3.0"}
    then:
      {action: retry, schedule: endless, suspend: {for: 3650d, longest: 3650d}, throttle: {rate: 1/3650d, for: 3650d}}
  - id: person
    when: {enhanced: "4.7.0"}
    then: {action: hold}
"""
_moments = st.sampled_from([EARLIEST, LATEST - INSTANT, LATEST]) | st.datetimes(
    EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC)
)


@settings(max_examples=15)
@given(
    own=st.booleans(),
    heard=st.lists(st.tuples(_moments, st.sampled_from([LATER, DEAD, "450 4.7.0 ask us", "250 ok"])), max_size=6),
)
@example(own=True, heard=[(EARLIEST, "450 4.7.0 ask us"), (LATEST, LATER), (LATEST, DEAD)])
def test_whatever_is_decided_at_any_time_is_kept_so_that_it_can_be_read(
    own: bool, heard: list[tuple[datetime, str]]
) -> None:
    with TemporaryDirectory() as place:
        policy = build_policy([RulesFile("own.yaml", LONGEST.encode())]) if own else POLICY
        for at, text in heard:  # each over a store that is opened anew
            with closing(SqliteStore(Path(place) / "mail.db")) as store:
                said(Engine(policy, store), text, at)
        with closing(SqliteStore(Path(place) / "mail.db")) as store:
            assert len(list(store.entries())) == len(set(heard))
            for listed in (store.suppressions(), store.suspensions(), store.throttlings(), store.watches()):
                assert len(list(listed)) < 100  # each is read
            for at in (EARLIEST, LATEST):
                assert verdict(Engine(policy, store), at) in Verdict
            for each in store.suppressions():
                row = read_suppression(json.loads(json.dumps(write_suppression(each))), now=LATEST)
                assert (row.expires_at, row.since) == (each.expires_at, each.since)


def test_an_end_that_was_reckoned_may_be_later_than_any_time_that_is_said() -> None:
    for text in ("3000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        assert write_time(read_reckoned_time(text)) == text
        with pytest.raises(ValueError, match="is not in 1970-2999"):
            read_time(text)
    for text in ("1969-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00"):
        with pytest.raises(ValueError, match="is not in 1970-9999"):
            read_reckoned_time(text)
