"""Laws of suspensions: how long, how often it takes, what counts towards them, and that they end by themselves."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from policy.address import parse_address
from policy.attempt import Attempt, Command
from policy.decision import Decision, Suspend, Trigger
from policy.engine import Engine
from policy.planning import Plan, Verdict
from policy.reply import parse_reply
from policy.rules.source import RulesFile, build_policy, load_policy
from policy.testing.laws import law_7_retry_times
from policy.testing.scenarios import NOW, Scenario, scenarios

SHIPPED = load_policy()
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SENDER = parse_address("news@ours.example")
SLOW, SPF = "451 4.7.1 You are sending too fast", "550 5.7.23 SPF did not pass"
BLOCKED = "550 5.7.1 Your address 192.0.2.7 is on a blocklist"
THREE = """
mailverdict: 1
rules:
  - {id: three, when: {text: three}, then: {action: retry, suspend: {for: 20m, after: 3 in 10m}}}
  - {id: other, when: {text: other}, then: {action: retry, suspend: {for: 1h, after: 3 in 10m}}}
"""


def engine(rules: str = "") -> Engine:
    policy = build_policy([RulesFile("own.yaml", rules.encode())]) if rules else SHIPPED
    return Engine(policy, MemoryStore())


def tell(of: Engine, text: str, at: datetime, *, id_: str = "", to: str = "jo@dest.example") -> Decision:
    told = Attempt(
        outcome=parse_reply(text),
        command=Command.RCPT,
        recipient=parse_address(to),
        sender=SENDER,
        at=at,
        attempt_id=id_ or f"{text} {to} {at}",
        message_id=id_ or f"m {at}",
    )
    return of.observe(told, now=at)


def suspension(decision: Decision) -> Suspend | None:
    return next((each for each in decision.effects if isinstance(each, Suspend)), None)


def lasting(decision: Decision, at: datetime) -> timedelta:
    found = suspension(decision)
    assert found is not None
    return found.until - at


def count(decision: Decision) -> str:
    return next((f"{each.count} of {each.needed}" for each in decision.effects if isinstance(each, Trigger)), "")


def plan(of: Engine, at: datetime, to: str = "jo@dest.example") -> Plan:
    return of.plan(parse_address(to), now=at, sender=SENDER)


# ---- how long ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hours"), [(SLOW, [0.25, 0.5, 1, 2, 4, 4, 4]), ("451 4.7.0 Bad reputation", [1, 2, 4, 4])]
)
def test_it_doubles_up_to_the_longest_when_it_comes_again_at_once(text: str, hours: list[float]) -> None:
    of, at, found = engine(), NOW, []
    for _ in hours:
        found.append(lasting(tell(of, text, at), at))
        at += found[-1]
    assert found == [each * HOUR for each in hours]


@pytest.mark.parametrize(("pause", "minutes"), [(15 * MINUTE - SECOND, 30), (15 * MINUTE, 15)])
def test_after_as_long_a_peace_as_it_lasted_it_starts_anew(pause: timedelta, minutes: int) -> None:
    of = engine()
    tell(of, SLOW, NOW)
    again = NOW + 15 * MINUTE + pause
    assert lasting(tell(of, SLOW, again), again) == minutes * MINUTE


def test_without_a_longest_it_does_not_grow() -> None:
    of, at = engine("mailverdict: 1\nrules:\n  - {id: own, then: {action: retry, suspend: {for: 15m}}}\n"), NOW
    for _ in range(4):
        assert lasting(tell(of, SLOW, at), at) == 15 * MINUTE
        at += 15 * MINUTE


@given(seconds=st.lists(st.integers(0, 15 * 60 - 1), max_size=20))
def test_what_was_under_way_when_it_began_changes_nothing(seconds: list[int]) -> None:
    of = engine()
    first = suspension(tell(of, SLOW, NOW, id_="first"))
    for place, each in enumerate(sorted(seconds)):
        assert suspension(tell(of, SLOW, NOW + each * SECOND, id_=f"late {place}")) == first
    (kept,) = of.store.suspensions()
    assert first is not None
    assert (kept.since, kept.until, kept.times) == (NOW, first.until, 1)


def test_a_longer_one_of_another_rule_stands() -> None:
    of = engine()
    tell(of, "451 4.7.0 Bad reputation", NOW)
    tell(of, SLOW, NOW + MINUTE)
    (kept,) = of.store.suspensions()
    assert kept.until == NOW + HOUR


# ---- how often it takes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [BLOCKED, SPF])
def test_the_shipped_rules_take_twenty_in_a_quarter_of_an_hour(text: str) -> None:
    of = engine()
    decisions = [tell(of, text, NOW + number * 45 * SECOND, id_=str(number)) for number in range(20)]
    assert [count(each) for each in decisions[:19]] == [f"{number} of 20" for number in range(1, 20)]
    assert lasting(decisions[19], NOW + 19 * 45 * SECOND) == HOUR
    assert {each.action.value for each in decisions} == {"bounce"}


@settings(max_examples=max(10, settings().max_examples // 2))
@given(gaps=st.lists(st.sampled_from([0, 1, 199, 200, 300, 599, 600, 601, 1300]), min_size=1, max_size=12))
def test_the_first_suspension_comes_with_the_third_in_ten_minutes(gaps: list[int]) -> None:
    of, at, times = engine(THREE), NOW, []
    for place, gap in enumerate(gaps):
        at += gap * SECOND
        times.append(at)
        decision = tell(of, "450 three", at, id_=str(place))
        recent = [each for each in times if at - 10 * MINUTE <= each]
        if len(recent) >= 3:
            assert lasting(decision, at) == 20 * MINUTE
            return
        assert count(decision) == f"{len(recent)} of 3"
    assert list(of.store.suspensions()) == []


def test_an_attempt_that_is_told_often_counts_once() -> None:
    of = engine(THREE)
    for _ in range(10):
        assert count(tell(of, "450 three", NOW, id_="same")) == "1 of 3"
    assert count(tell(of, "450 three", NOW, id_="next")) == "2 of 3"


def test_other_rules_and_other_destinations_do_not_count() -> None:
    of = engine(THREE)
    for number in range(2):
        tell(of, "450 three", NOW, id_=f"a{number}")
        tell(of, "450 other", NOW, id_=f"b{number}")
        tell(of, "450 three", NOW, id_=f"c{number}", to="jo@elsewhere.example")
    assert list(of.store.suspensions()) == []
    assert suspension(tell(of, "450 three", NOW, id_="third")) is not None
    assert plan(of, NOW, "jo@elsewhere.example").verdict is Verdict.SEND


def test_a_yes_counts_nothing() -> None:
    of = engine("mailverdict: 1\nrules:\n  - {id: own, then: {action: accept, suspend: {for: 1h}}}\n")
    assert tell(of, "250 ok", NOW).effects == ()


# ---- what it does ----------------------------------------------------------------------------------------------------


def test_the_plan_waits_until_it_ends_by_itself() -> None:
    of = engine()
    until = NOW + lasting(tell(of, SLOW, NOW), NOW)
    for at in (NOW, until - SECOND):
        waiting = plan(of, at)
        assert waiting.verdict is Verdict.WAIT
        assert waiting.not_before is not None
        assert until <= waiting.not_before <= until + (until - NOW) / 4
        assert "rate-limited" in waiting.why
    assert plan(of, until).verdict is Verdict.SEND
    assert plan(of, NOW, "mo@dest.example").verdict is Verdict.WAIT  # the destination, not the recipient
    assert plan(of, NOW, "jo@other.example").verdict is Verdict.SEND


def test_a_retry_is_not_due_before_the_suspension_ends() -> None:
    of = engine(THREE.replace("for: 20m", "for: 9h"))
    for number in range(3):
        decision = tell(of, "450 three", NOW, id_=str(number))
    assert decision.retry_at is not None
    assert decision.retry_at < NOW + HOUR
    found = of.plan(parse_address("jo@dest.example"), now=NOW, sender=SENDER, message="2")
    assert found.not_before is not None
    assert NOW + 9 * HOUR <= found.not_before <= NOW + 10 * HOUR


def test_a_suspension_does_not_move_the_end_of_a_message() -> None:
    of = engine(THREE.replace("for: 20m", "for: 9h"))
    for number in range(3):
        decision = tell(of, "450 three", NOW, id_=str(number))
    assert decision.give_up_at == NOW + 4 * DAY


POLICIES = {
    then: build_policy(
        [RulesFile("own.yaml", f"mailverdict: 1\nrules:\n  - {{id: wicked, then: {{action: {then}}}}}\n".encode())]
    )
    for then in ("retry, suspend: {for: 1h, longest: 1d}", "retry, suspend: {for: 3d, after: 2 in 1h}")
}


@given(
    scenario=scenarios(),
    rule=st.sampled_from(["retry, suspend: {for: 1h, longest: 1d}", "retry, suspend: {for: 3d, after: 2 in 1h}"]),
)
def test_retry_times_keep_their_law_whatever_is_suspended(scenario: Scenario, rule: str) -> None:
    law_7_retry_times(POLICIES[rule], *scenario)
