"""Laws of the outage guard through the engine: what is held, what is put aside, who is told, and what is tried."""

from datetime import datetime, timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from policy.address import Address, parse_address
from policy.attempt import Attempt, Command, Failure
from policy.decision import Action, Alert, CloseGuard, Decision, OpenGuard
from policy.engine import Engine, history_key
from policy.history import EntryState, Source
from policy.planning import Verdict
from policy.reply import parse_reply
from policy.rules.source import load_policy
from policy.testing.laws import law_16_outage_guard
from policy.testing.scenarios import NOW

SHIPPED = load_policy()
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GOOGLE, HOSTED = "gmail-smtp-in.l.google.com", "aspmx.l.google.com"
UNKNOWN, DELIVERED = "550 5.1.1 User unknown", "250 2.0.0 queued"
FEWER = settings(max_examples=max(10, settings().max_examples // 3))


def person(number: int, domain: str = "gmail.com") -> Address:
    return parse_address(f"p{number}@{domain}")


def attempt(
    to: Address, at: datetime, *, ok: bool = False, mx: str = GOOGLE, message: str = "m", **more: datetime
) -> Attempt:
    return Attempt(
        outcome=parse_reply(DELIVERED if ok else UNKNOWN),
        command=Command.DOT if ok else Command.RCPT,
        recipient=to,
        mx=mx,
        at=at,
        message_id=message,
        attempt_id=f"{message} {to} {at}",
        **more,
    )


def guard(good: list[Address], mx: str = GOOGLE) -> Engine:
    """An engine that delivered to these yesterday."""
    engine = Engine(SHIPPED, MemoryStore())
    engine.observe_all([attempt(each, NOW - DAY, ok=True, mx=mx, message="before") for each in good], now=NOW)
    return engine


def refuse(engine: Engine, *to: Address, at: datetime = NOW, mx: str = GOOGLE) -> list[Decision]:
    return [engine.observe(attempt(each, at, mx=mx), now=at) for each in to]


def is_open(engine: Engine, key: str = "google") -> bool:
    return any(each.key == key and each.is_open for each in engine.store.watches())


def binding(engine: Engine, now: datetime = NOW) -> set[str]:
    return {each.target for each in engine.store.suppressions() if each.active(now)}


def told(decisions: list[Decision]) -> list[str]:
    return [
        str(each.text) for one in decisions for each in one.effects if isinstance(each, Alert) and each.to == "guard"
    ]


# ---- open ----------------------------------------------------------------------------------------------------------


def test_an_outage_holds_puts_aside_what_came_before_it_was_seen_and_tells_once() -> None:
    people = [person(number) for number in range(12)]
    engine = guard(people)
    decisions = refuse(engine, *people)
    assert is_open(engine)
    assert [each.action for each in decisions[:4]] == [Action.HARD_BOUNCE] * 4
    assert [each.action for each in decisions[4:]] == [Action.RETRY] * 8
    assert binding(engine) == set()
    assert [each.state for each in engine.store.suppressions()] == [EntryState.QUARANTINED] * 4
    assert len(told(decisions)) == 1
    assert "opened" in told(decisions)[0]


def test_who_was_put_aside_can_be_mailed_again() -> None:
    people = [person(number) for number in range(6)]
    engine = guard(people)
    refuse(engine, *people)
    assert engine.plan(people[0], now=NOW + MINUTE, message="next").verdict is Verdict.SEND


def test_what_people_entered_is_not_put_aside_nor_what_is_older_than_an_hour() -> None:
    people = [person(number) for number in range(8)]
    engine = guard(people)
    refuse(engine, people[6], at=NOW - HOUR - MINUTE)
    refuse(engine, people[7], at=NOW)
    (entry,) = [each for each in engine.store.suppressions() if each.target == people[7].key]
    with engine.store.unit() as unit:
        unit.put(attrs.evolve(entry, target="x@gmail.com", source=Source.MANUAL))
    refuse(engine, *people[:5])
    assert is_open(engine)
    assert binding(engine) == {people[6].key, "x@gmail.com"}


def test_strangers_neither_open_the_guard_nor_are_spared_before() -> None:
    engine = Engine(SHIPPED, MemoryStore())
    decisions = refuse(engine, *map(person, range(100)))
    assert {each.action for each in decisions} == {Action.HARD_BOUNCE}
    assert not is_open(engine)
    assert told(decisions) == []


def test_a_delivery_of_long_ago_makes_nobody_known_good() -> None:
    people = [person(number) for number in range(10)]
    engine = guard(people)
    refuse(engine, *people, at=NOW + 30 * DAY)
    assert not is_open(engine)


def test_while_it_is_open_strangers_are_held_too_and_other_providers_are_not() -> None:
    people = [person(number) for number in range(5)]
    engine = guard(people)
    refuse(engine, *people)
    (held,) = refuse(engine, person(99))
    (other,) = refuse(engine, person(1, "yahoo.com"), mx="mta5.am0.yahoodns.net")
    assert (held.action, held.suppress, other.suppress) == (Action.RETRY, False, True)


def test_a_held_message_gives_up_when_it_always_would_have_and_then_only_bounces() -> None:
    people = [person(number) for number in range(6)]
    engine = guard(people)
    refuse(engine, *people[:5])
    first = NOW - 4 * DAY + HOUR
    held = engine.observe(attempt(people[5], NOW, first_attempt_at=first), now=NOW)
    assert (held.action, held.give_up_at) == (Action.RETRY, NOW + HOUR)
    over = engine.observe(attempt(people[5], NOW + HOUR, first_attempt_at=first), now=NOW)
    assert (over.action, over.suppress) == (Action.BOUNCE, False)


def test_a_yes_and_a_refusal_for_another_reason_are_what_they_were() -> None:
    people = [person(number) for number in range(6)]
    engine = guard(people)
    refuse(engine, *people[:5])
    assert engine.observe(attempt(people[5], NOW, ok=True), now=NOW).action is Action.ACCEPT
    blocked = attrs.evolve(attempt(people[5], NOW, message="n"), outcome=parse_reply("550 5.7.1 Blocked by policy"))
    assert engine.observe(blocked, now=NOW).action is Action.BOUNCE


def test_a_customers_domain_is_held_alone_and_what_it_suppressed_that_day_is_put_aside() -> None:
    people = [person(number, "small.example") for number in range(4)]
    engine = guard(people, HOSTED)
    decisions = [refuse(engine, each, at=NOW + place * 2 * HOUR, mx=HOSTED)[0] for place, each in enumerate(people)]
    assert [each.action for each in decisions] == [Action.HARD_BOUNCE] * 2 + [Action.RETRY] * 2
    assert (is_open(engine, "small.example"), is_open(engine)) == (True, False)
    assert binding(engine, NOW + 5 * HOUR) == set()


# ---- close ---------------------------------------------------------------------------------------------------------


def test_it_closes_when_people_are_answered_well_and_who_still_fails_is_suppressed() -> None:
    people = [person(number) for number in range(20)]
    engine = guard(people)
    refuse(engine, *people[:10])
    well = [engine.observe(attempt(each, NOW + HOUR, ok=True), now=NOW) for each in people[5:]]
    assert not is_open(engine)
    assert len(told(well)) == 1
    still = refuse(engine, people[0], at=NOW + 2 * HOUR)
    assert still[0].suppress
    assert binding(engine, NOW + 2 * HOUR) == {people[0].key}


def test_a_provider_that_lies_for_ever_gains_three_days() -> None:
    people = [person(number) for number in range(10)]
    engine = guard(people)
    for hour in range(80):
        refuse(engine, *people, at=NOW + hour * HOUR)
    assert not is_open(engine)
    assert binding(engine, NOW + 80 * HOUR) == {each.key for each in people}


def test_it_closes_after_three_days_though_only_strangers_are_mailed() -> None:
    people = [person(number) for number in range(5)]
    engine = guard(people)
    refuse(engine, *people)
    (before, after) = (
        *refuse(engine, person(50), at=NOW + 3 * DAY - MINUTE),
        *refuse(engine, person(51), at=NOW + 3 * DAY),
    )
    assert (before.suppress, after.suppress) == (False, True)
    assert len(told([after])) == 1
    assert not is_open(engine)


# ---- probes --------------------------------------------------------------------------------------------------------


def test_ten_of_those_held_are_tried_in_a_quarter_of_an_hour_and_new_mail_goes_on() -> None:
    people = [person(number) for number in range(40)]
    engine = guard(people)
    refuse(engine, *people)
    due = NOW + 6 * MINUTE
    plans = [engine.plan(each, now=due + MINUTE, message="m") for each in people[4:]]
    assert [each.verdict for each in plans] == [Verdict.SEND] * 10 + [Verdict.WAIT] * 26
    assert {each.not_before for each in plans[10:]} == {due + 16 * MINUTE}
    assert engine.plan(people[30], now=due + MINUTE, message="new").verdict is Verdict.SEND
    assert engine.plan(people[30], now=due + 16 * MINUTE, message="m").verdict is Verdict.SEND


def test_strangers_are_not_probed_but_wait() -> None:
    people = [person(number) for number in range(5)]
    engine = guard(people)
    refuse(engine, *people, *map(person, range(50, 60)))
    plans = [engine.plan(person(number), now=NOW + HOUR, message="m") for number in range(50, 60)]
    assert {each.verdict for each in plans} == {Verdict.WAIT}
    assert all(each.probes == () for each in engine.store.watches())


# ---- whatever happens ------------------------------------------------------------------------------------------------

Step = tuple[int, bool, int]  # (whom, refused?, minutes since the last step)
steps = st.lists(
    st.tuples(st.integers(0, 24), st.booleans(), st.sampled_from([0, 0, 0, 1, 5, 20, 600, 5000])), max_size=60
) | st.lists(st.tuples(st.integers(0, 24), st.just(True), st.sampled_from([0, 0, 1])), min_size=20, max_size=60)


def story(told_steps: list[Step]) -> list[Attempt]:
    """Attempts at 15 known-good people, 5 of them in a customer's domain, and at 10 strangers."""
    attempts, at = [], NOW
    for place, (whom, refused, minutes) in enumerate(told_steps):
        at += minutes * MINUTE
        to = person(whom, "small.example" if whom < 5 else "gmail.com")
        mx = HOSTED if whom < 5 else GOOGLE
        made = attempt(to, at, ok=not refused, mx=mx, message=f"message {place // 3}")
        attempts.append(attrs.evolve(made, attempt_id=f"attempt {place}"))
    return attempts


def known() -> Engine:
    engine = guard([person(number) for number in range(5, 15)])
    before = [person(number, "small.example") for number in range(5)]
    engine.observe_all([attempt(each, NOW - DAY, ok=True, mx=HOSTED, message="before") for each in before], now=NOW)
    return engine


@FEWER
@given(told_steps=steps)
def test_while_open_nothing_is_suppressed_and_each_opening_puts_aside_once(told_steps: list[Step]) -> None:
    engine, open_now = known(), set[str]()
    for each in story(told_steps):
        assert each.at is not None
        with engine.store.unit() as unit:
            history = unit.history(history_key(SHIPPED, each))
        before = {(entry.target, entry.state) for entry in engine.store.suppressions()}
        law_16_outage_guard(SHIPPED, each, history, each.at, 0.5)
        decision = engine.observe(each, now=each.at)
        changes = [effect for effect in decision.effects if isinstance(effect, OpenGuard | CloseGuard)]
        for change in changes:  # opened and closed by turns
            assert (change.key in open_now) is isinstance(change, CloseGuard)
            open_now ^= {change.key}
        assert open_now == {watch.key for watch in engine.store.watches() if watch.is_open}
        assert len(told([decision])) == len(changes)
        aside = {(entry.target, entry.state) for entry in engine.store.suppressions()} - before
        if not any(isinstance(change, OpenGuard) for change in changes):
            assert all(state is not EntryState.QUARANTINED for _, state in aside)


@FEWER
@given(told_steps=steps, order=st.randoms(use_true_random=False))
def test_telling_the_same_attempts_again_changes_nothing(told_steps: list[Step], order: object) -> None:
    engine, attempts = known(), story(told_steps)
    first = {each.identity: engine.observe(each, now=NOW) for each in attempts}
    kept = [list(each) for each in (engine.store.watches(), engine.store.suppressions(), engine.store.entries())]
    order.shuffle(attempts)  # type: ignore[attr-defined]
    assert {each.identity: engine.observe(each, now=NOW) for each in attempts} == first
    assert [
        list(each) for each in (engine.store.watches(), engine.store.suppressions(), engine.store.entries())
    ] == kept


@FEWER
@given(order=st.permutations(range(5, 15)))
def test_refusals_of_one_moment_end_alike_in_any_order(order: list[int]) -> None:
    engine = known()
    refuse(engine, *map(person, order))
    assert is_open(engine)
    assert binding(engine) == set()
    assert sum(each.state is EntryState.QUARANTINED for each in engine.store.suppressions()) == 4


@pytest.mark.parametrize("hours", [1, 30])
def test_the_same_people_are_suppressed_in_the_end_as_without_an_outage(hours: int) -> None:
    people = [person(number) for number in range(40)]
    engine = guard(people)
    for hour in range(hours):
        refuse(engine, *people, at=NOW + hour * HOUR)
    end = NOW + (hours + 1) * HOUR
    gone, there = people[:3], people[3:]
    engine.observe_all([attempt(each, end + n * MINUTE, ok=True) for n, each in enumerate(there)], now=NOW)
    refuse(engine, *gone, at=end + HOUR)
    assert binding(engine, end + HOUR) == {each.key for each in gone}


# ---- our own resolver ------------------------------------------------------------------------------------------------


def nowhere(of: Engine, number: int, at: datetime) -> Decision:
    told = Attempt(
        outcome=Failure.NO_SUCH_DOMAIN,
        recipient=parse_address(f"jo@d{number}.example"),
        at=at,
        attempt_id=f"n{number} {at}",
        message_id=f"n{number} {at}",
    )
    return of.observe(told, now=at)


def delivered_to(of: Engine, number: int, at: datetime) -> None:
    told = Attempt(
        outcome=parse_reply("250 2.0.0 queued"),
        command=Command.DOT,
        recipient=parse_address(f"jo@d{number}.example"),
        at=at,
        attempt_id=f"d{number}",
        message_id=f"d{number}",
    )
    of.observe(told, now=at)


def test_many_known_domains_that_do_not_exist_at_once_are_our_resolvers_fault() -> None:
    of = Engine(SHIPPED, MemoryStore())
    for number in range(12):
        delivered_to(of, number, NOW - timedelta(days=1))
    decisions = [nowhere(of, number, NOW + timedelta(seconds=number)) for number in range(8)]
    assert [each.suppress for each in decisions] == [True] * 4 + [False] * 4  # the fifth domain opens it
    assert decisions[4].action is Action.RETRY
    assert not any(each.active(NOW + timedelta(minutes=1)) for each in of.store.suppressions())  # put aside
    hours = NOW + timedelta(hours=2)
    assert nowhere(of, 9, hours).suppress  # one alone, later, is believed again


def test_domains_that_never_took_mail_say_nothing_of_our_resolver() -> None:
    of = Engine(SHIPPED, MemoryStore())
    assert all(nowhere(of, number, NOW).suppress for number in range(20))


def test_one_domain_that_is_gone_is_gone_however_many_write_to_it() -> None:
    of = Engine(SHIPPED, MemoryStore())
    delivered_to(of, 1, NOW - timedelta(days=1))
    for minute in range(10):
        assert nowhere(of, 1, NOW + timedelta(minutes=minute)).suppress
