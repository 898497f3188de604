"""Laws of what a rule does to a destination: when it counts, when and how long it suspends or slows, what ends that."""

from datetime import datetime, timedelta
from itertools import pairwise

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from policy.decision import RuleRef, Suspend, Throttle, Trigger
from policy.destination import Destination, Reach
from policy.diagnosis.category import Category
from policy.history import History, PastTrigger, Suspension, Throttling
from policy.restraining import Restraint, alerted, recovered, restrained
from policy.rules.rule import AlertTerms, Often, Rule, SuspendTerms, ThrottleTerms
from policy.rules.source import load_policy
from policy.testing.scenarios import NOW
from policy.throttle import Rate, Traffic, counted

BOTTOM = load_policy().rules[-1]
OTHER = RuleRef("other", "own.yaml", 1)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TO = Destination(identity="ours.example", domain="dest.example", provider=None, stream="news")
KEY = TO.key(Reach.PAIR, "direct")

spans = st.integers(1, 10_000).map(lambda minutes: minutes * MINUTE)
moments = st.integers(-5000, 5000).map(lambda minutes: NOW + minutes * MINUTE)
rates = st.builds(Rate, st.integers(1, 1000), spans)
suspensions = st.builds(
    lambda rule, since, lasting, times, usual, well, ends: Suspension(
        target=KEY,
        rule=rule,
        reason=Category.RATE_LIMITED,
        since=since,
        until=since + lasting,
        times=times,
        usual=usual,
        well_at=well,
        ends_on_success=ends,
    ),
    *(st.sampled_from([BOTTOM.ref, OTHER]), moments, spans, st.integers(1, 5), st.integers(0, 500)),
    *(st.none() | moments, st.booleans()),
)


def over(suspension: Suspension) -> Suspension:
    """The same, and as long, but over by now."""
    if not suspension.active(NOW):
        return suspension
    return evolve(suspension, since=NOW - (suspension.until - suspension.since), until=NOW)


suspending = st.builds(
    SuspendTerms,
    lasting=spans,
    longest=st.none() | spans,
    scope=st.sampled_from(Reach),
    ends_on_success=st.booleans(),
)
slowing = st.builds(ThrottleTerms, rate=st.none() | rates, lasting=spans, scope=st.sampled_from(Reach))


def ruled(suspend: SuspendTerms | None = None, throttle: ThrottleTerms | None = None) -> Rule:
    return evolve(BOTTOM, then=evolve(BOTTOM.then, suspend=suspend, throttle=throttle))


def due(rule: Rule, history: History | None = None, now: datetime = NOW) -> tuple[Restraint, ...]:
    return restrained(rule, TO, "direct", history or History(), now)


def throttling(rate: Rate, until: datetime) -> Throttling:
    return Throttling(
        target=KEY, rule=OTHER, reason=Category.RATE_LIMITED, rate=rate, since=until - 24 * HOUR, until=until
    )


def trigger(number: int, at: datetime, rule: str = BOTTOM.ref.id, target: str = KEY) -> PastTrigger:
    return PastTrigger(target=target, rule=rule, at=at, attempt=f"a{number}")


# ---- when ----------------------------------------------------------------------------------------------------------


@given(suspend=suspending, throttle=slowing)
def test_a_rule_restrains_just_what_its_terms_name(suspend: SuspendTerms, throttle: ThrottleTerms) -> None:
    assert due(ruled()) == ()
    both = due(ruled(suspend, throttle))
    assert [type(each) for each in both] == [Suspend, Throttle]
    assert [each.target for each in both] == [TO.key(each.scope, "direct") for each in (suspend, throttle)]
    assert due(ruled(suspend)) + due(ruled(throttle=throttle)) == both


@given(
    ages=st.lists(st.integers(-30, 90), max_size=12),
    needed=st.integers(2, 8),
    within=st.integers(0, 60),
)
def test_it_takes_as_many_in_the_time_as_the_rule_says(ages: list[int], needed: int, within: int) -> None:
    terms = SuspendTerms(lasting=HOUR, after=Often(needed=needed, within=within * MINUTE))
    past = tuple(trigger(number, NOW - age * MINUTE) for number, age in enumerate(ages))
    found = due(ruled(terms), History(triggers=past))
    count = 1 + sum(0 <= age <= within for age in ages)
    assert found[0] == Trigger(target=KEY, rule=BOTTOM.ref.id, count=count, needed=needed, nth=1)
    assert [type(each) for each in found[1:]] == ([Suspend] if count >= needed else [])


@given(ages=st.lists(st.integers(0, 10), max_size=12), needed=st.integers(2, 8))
def test_what_other_rules_or_other_destinations_brought_counts_nothing(ages: list[int], needed: int) -> None:
    terms = SuspendTerms(lasting=HOUR, after=Often(needed=needed, within=HOUR))
    foreign = [trigger(number, NOW - age * MINUTE, rule=OTHER.id) for number, age in enumerate(ages)]
    elsewhere = [trigger(number, NOW - age * MINUTE, target=f"{KEY}.au") for number, age in enumerate(ages)]
    (found,) = due(ruled(terms), History(triggers=(*foreign, *elsewhere)))
    assert found == Trigger(target=KEY, rule=BOTTOM.ref.id, count=1, needed=needed, nth=1)


@given(needed=st.integers(2, 8), reach=st.sampled_from(Reach), other=st.sampled_from(Reach))
def test_what_counts_towards_both_for_one_destination_is_told_once(needed: int, reach: Reach, other: Reach) -> None:
    often = Often(needed=needed, within=HOUR)
    suspend = SuspendTerms(lasting=HOUR, after=often, scope=reach)
    throttle = ThrottleTerms(rate=None, lasting=HOUR, after=often, scope=other)
    found = due(ruled(suspend, throttle))
    assert [each.target for each in found] == list(dict.fromkeys(TO.key(each, "direct") for each in (reach, other)))


# ---- how often ------------------------------------------------------------------------------------------------------


class Past:
    """A destination that lives on: each attempt there is decided, and what it counts is kept."""

    def __init__(self) -> None:
        self.triggers: tuple[PastTrigger, ...] = ()
        self.traffic = Traffic(target=KEY)

    def history(self) -> History:
        return History(triggers=self.triggers, traffics=(self.traffic,))

    def keep(self, found: Trigger | None, at: datetime) -> None:
        self.traffic = counted(self.traffic, at)
        if found is not None:
            past = PastTrigger(target=KEY, rule=found.rule, at=at, attempt=f"a{self.traffic.total}", nth=found.nth)
            self.triggers = (*self.triggers, past)


oftens = st.builds(
    Often,
    needed=st.integers(2, 4),
    within=st.integers(1, 30).map(lambda m: m * MINUTE),
    among=st.none() | st.integers(4, 9),
)
days = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8)), max_size=40
)  # is it of the rule, and minutes since the last


@given(often=oftens, day=days)
def test_a_share_is_counted_among_the_newest_attempts_there(often: Often, day: list[tuple[bool, int]]) -> None:
    past, at, seen = Past(), NOW, list[tuple[datetime, bool]]()
    for of_the_rule, later in day:
        at += later * MINUTE
        seen.append((at, of_the_rule))
        found = None
        if of_the_rule:
            newest = seen if often.among is None else seen[-often.among :]
            many = sum(mine and at - often.within <= when for when, mine in newest)
            found, *suspends = due(ruled(SuspendTerms(lasting=HOUR, after=often)), past.history(), at)
            assert isinstance(found, Trigger)
            assert found.count == many
            assert bool(suspends) is (many >= often.needed)
        past.keep(found, at)


@given(often=oftens, once=spans, day=days)
def test_an_alert_is_raised_when_it_comes_too_often_and_then_is_silent(
    often: Often, once: timedelta, day: list[tuple[bool, int]]
) -> None:
    past, at, told, seen = Past(), NOW, list[datetime](), list[tuple[datetime, bool]]()
    terms = AlertTerms(to="ops", after=often, once=once)
    for of_the_rule, later in day:
        at += later * MINUTE
        silent = any(at - once < each <= at for each in told)
        seen.append((at, of_the_rule and not silent))
        trigger = None
        if of_the_rule:
            newest = seen if often.among is None else seen[-often.among :]
            many = sum(mine and at - often.within <= when for when, mine in newest)
            words, trigger = alerted(ruled(), terms, TO, "direct", past.history(), at)
            assert (words is not None) is (many >= often.needed and not silent)
            if words is not None:
                assert words.startswith(f"{many} " if often.among else f"{many}: ")
                told.append(at)
                seen[-1] = (at, False)
        past.keep(trigger, at)


@given(once=spans, gaps=st.lists(st.integers(0, 5000), max_size=12))
def test_once_is_once_in_that_time(once: timedelta, gaps: list[int]) -> None:
    past, at, told = Past(), NOW, list[datetime]()
    for gap in gaps:
        at += gap * MINUTE
        words, trigger = alerted(ruled(), AlertTerms(to="ops", once=once), TO, "direct", past.history(), at)
        past.keep(trigger, at)
        told += [at] if words is not None else []
        assert at - told[-1] < once
    assert all(later - sooner >= once for sooner, later in pairwise(told))


def test_an_alert_without_terms_is_raised_each_time_and_remembers_nothing() -> None:
    assert alerted(ruled(), AlertTerms(to="ops"), TO, "direct", History(), NOW) == ("", None)


# ---- how long ------------------------------------------------------------------------------------------------------


@given(terms=suspending, former=suspensions.map(over))
def test_a_suspension_lasts_at_least_once_and_at_most_the_longest(terms: SuspendTerms, former: Suspension) -> None:
    (found,) = due(ruled(evolve(terms, scope=Reach.PAIR)), History(suspensions=(former,)))
    assert isinstance(found, Suspend)
    longest = terms.longest or terms.lasting
    assert min(terms.lasting, longest) <= found.until - NOW <= longest
    assert found.ends_on_success is terms.ends_on_success


@given(terms=suspending, former=suspensions)
def test_what_was_under_way_when_it_began_repeats_it_word_for_word(terms: SuspendTerms, former: Suspension) -> None:
    assume(former.active(NOW))
    (found,) = due(ruled(evolve(terms, scope=Reach.PAIR)), History(suspensions=(evolve(former, rule=BOTTOM.ref),)))
    assert isinstance(found, Suspend)
    said = (found.until, found.times, found.usual, found.ends_on_success)
    assert said == (former.until, former.times, former.usual, former.ends_on_success)


@given(lasting=spans, times=st.integers(1, 8))
def test_each_in_a_row_is_twice_as_long_until_the_longest(lasting: timedelta, times: int) -> None:
    terms, at, history = SuspendTerms(lasting=lasting, longest=10 * lasting), NOW, History()
    for number in range(times):
        (found,) = due(ruled(terms), history, at)
        assert isinstance(found, Suspend)
        assert (found.times, found.until - at) == (number + 1, min(lasting * 2**number, 10 * lasting))
        former = Suspension(
            target=KEY, rule=BOTTOM.ref, reason=Category.UNKNOWN, since=at, until=found.until, times=found.times
        )
        history, at = History(suspensions=(former,)), found.until


@given(terms=suspending, former=suspensions)
def test_after_as_long_a_peace_or_by_another_rule_it_is_the_first(terms: SuspendTerms, former: Suspension) -> None:
    peace = former.until + (former.until - former.since) <= NOW
    assume(peace or former.rule == OTHER)
    (found,) = due(ruled(evolve(terms, scope=Reach.PAIR)), History(suspensions=(former,)))
    assert isinstance(found, Suspend)
    longest = terms.longest or terms.lasting
    assert (found.times, found.until - NOW) == (1, min(terms.lasting, longest))


# ---- how slow ------------------------------------------------------------------------------------------------------


@given(terms=slowing, former=st.none() | st.tuples(rates, moments), went=st.integers(0, 500))
def test_a_throttle_has_the_stated_rate_or_half_of_what_goes_and_never_half_of_a_half(
    terms: ThrottleTerms, former: tuple[Rate, datetime] | None, went: int
) -> None:
    traffic = Traffic(target=KEY)
    for _ in range(went):
        traffic = counted(traffic, NOW)
    throttlings = () if former is None else (throttling(*former),)
    (found,) = due(
        ruled(throttle=evolve(terms, scope=Reach.PAIR)), History(throttlings=throttlings, traffics=(traffic,))
    )
    assert isinstance(found, Throttle)
    assert found.until == NOW + terms.lasting
    if terms.rate is not None:
        assert found.rate == terms.rate
    elif former is not None and former[1] > NOW:
        assert found.rate == former[0]
    else:
        assert found.rate == Rate(max(went // 2, 60), HOUR)


# ---- what a delivery takes back --------------------------------------------------------------------------------------


@given(former=st.lists(suspensions, max_size=4))
def test_a_delivery_ends_what_is_to_end_by_it_and_makes_well_what_is_over(former: list[Suspension]) -> None:
    found = [evolve(each, target=f"t{number}") for number, each in enumerate(former)]
    taken_back = [each.target for each in recovered(found, NOW)]
    for each in found:
        told_late = each.since > NOW
        binds = each.until > NOW
        if told_late or each.well_at is not None:
            assert each.target not in taken_back
        else:
            assert (each.target in taken_back) is (each.ends_on_success or not binds)
