"""Laws of rates: never faster than the rate, no herd, half after a suspension, and all of it in the end."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.throttle import (
    LONGEST_WAIT,
    PROBE,
    PROBING_LASTS,
    STEP,
    STEPS,
    Rate,
    Traffic,
    admitted,
    counted,
    half,
    recovering,
    slowest,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
RATES = st.builds(Rate, st.integers(1, 1000), st.sampled_from([SECOND, MINUTE, HOUR, 24 * HOUR]))
GAPS = st.lists(st.timedeltas(timedelta(0), 10 * MINUTE), max_size=60)


def asked(traffics: dict[str, Traffic], rates: dict[str, Rate], now: datetime, spread: float = 0.5) -> datetime | None:
    """Ask once, and remember what changed."""
    changed, not_before = admitted(traffics, rates, now, spread=spread)
    traffics.update({each.target: each for each in changed})
    return not_before


@given(RATES, GAPS)
def test_two_that_go_are_never_closer_than_the_rate_allows(rate: Rate, gaps: list[timedelta]) -> None:
    traffics: dict[str, Traffic] = {}
    now, went = NOW, []
    for gap in gaps:
        now += gap
        if asked(traffics, {"a": rate}, now) is None:
            went.append(now)
    assert all(later - sooner >= rate.interval for sooner, later in pairwise(went))


@given(RATES, GAPS)
def test_who_asks_after_a_pause_as_long_as_the_rate_asks_goes(rate: Rate, gaps: list[timedelta]) -> None:
    traffics: dict[str, Traffic] = {}
    now = NOW
    for gap in gaps:
        now += gap
        asked(traffics, {"a": rate}, now)
    assert asked(traffics, {"a": rate}, now + rate.interval) is None


@given(RATES, st.integers(2, 200))
def test_a_herd_that_asks_at_once_is_told_times_that_lie_apart(rate: Rate, size: int) -> None:
    traffics: dict[str, Traffic] = {}
    told = [asked(traffics, {"a": rate}, NOW, spread=number / size) for number in range(size)]
    assert told[0] is None
    times = sorted(each for each in told[1:] if each is not None)
    assert len(times) == size - 1
    assert all(NOW < each <= NOW + LONGEST_WAIT for each in times)
    near = [each for each in times if each < NOW + LONGEST_WAIT / 2]
    assert all(later - sooner >= rate.interval for sooner, later in pairwise(near))


@given(RATES, st.integers(1, 60))
def test_who_comes_at_the_told_time_goes(rate: Rate, size: int) -> None:
    traffics: dict[str, Traffic] = {}
    asked(traffics, {"a": rate}, NOW)
    told = [asked(traffics, {"a": rate}, NOW) for _ in range(size)]
    for time in (each for each in told if each is not None and each - NOW < LONGEST_WAIT / 2):
        assert asked(traffics, {"a": rate}, time) is None


@given(RATES, RATES)
def test_of_two_destinations_the_slower_one_holds_and_no_slot_is_lost(one: Rate, other: Rate) -> None:
    traffics: dict[str, Traffic] = {}
    both = {"a": one, "b": other}
    assert asked(traffics, both, NOW) is None
    assert asked(traffics, both, NOW + max(one.interval, other.interval)) is None
    busy = asked(traffics, both, NOW + max(one.interval, other.interval))
    assert busy is not None
    assert traffics["a"].next_at == NOW + max(one.interval, other.interval) + one.interval


@given(st.lists(st.timedeltas(timedelta(0), 20 * MINUTE), min_size=1, max_size=200))
def test_the_count_of_an_hour_is_near_the_truth(gaps: list[timedelta]) -> None:
    traffic, now, times = Traffic(target="a"), NOW, []
    for gap in gaps:
        now += gap
        times.append(now)
        traffic = counted(traffic, now)
    truth = sum(now - HOUR < each <= now for each in times)
    wide = sum(now - 2 * HOUR <= each <= now for each in times)
    assert traffic.an_hour(now) <= wide
    assert (traffic.an_hour(now) > 0) == (truth > 0)
    assert traffic.an_hour(now + 3 * HOUR) == 0


def test_an_even_stream_is_counted_as_it_is() -> None:
    traffic = Traffic(target="a")
    for minute in range(240):
        traffic = counted(traffic, NOW + minute * MINUTE)
    assert 58 <= traffic.an_hour(NOW + 239 * MINUTE) <= 62


def test_a_clock_that_goes_back_counts_and_forgets_nothing() -> None:
    traffic = counted(counted(Traffic(target="a"), NOW), NOW - 5 * HOUR)
    assert (traffic.count, traffic.an_hour(NOW)) == (2, 2)
    assert traffic.an_hour(NOW - 5 * HOUR) == 2


def test_nothing_recovers_before_it_was_seen_to_be_well_but_by_probes() -> None:
    assert recovering(NOW, None, 10_000, 1, NOW) == PROBE
    assert recovering(NOW, None, 10_000, 1, NOW + PROBING_LASTS) is None


@given(st.integers(0, 10**6), st.integers(1, 40))
def test_recovery_begins_with_half_and_ends_with_all(usual: int, times: int) -> None:
    at = [recovering(NOW, NOW, usual, times, NOW + step * STEP) for step in range(STEPS + 1)]
    assert at[-1] is None
    found = [each for each in at if each is not None]
    if usual > 120 and times == 1:
        assert found[0] == Rate(usual // 2, HOUR)
    assert all(60 <= each.count <= max(usual, 60) for each in found)
    assert [each.count for each in found] == sorted(each.count for each in found)


@given(st.integers(0, 10**6))
def test_half_is_never_slower_than_a_probe(count: int) -> None:
    rate = half(Traffic(target="a", hour=int(NOW.timestamp()) // 3600, count=count), NOW)
    assert rate.interval <= PROBE.interval
    assert rate.count == max(count // 2, 60)


@given(st.lists(st.none() | RATES, max_size=4))
def test_the_slowest_rate_is_one_of_them(rates: list[Rate | None]) -> None:
    found = slowest(*rates)
    known = [each for each in rates if each is not None]
    assert found is None if not known else found in known
    assert found is None or all(found.interval >= each.interval for each in known)


@pytest.mark.parametrize(("rate", "text"), [(Rate(30, HOUR), "30/1h"), (Rate(1, 90 * SECOND), "1/90s")])
def test_a_rate_reads_as_it_is_written(rate: Rate, text: str) -> None:
    assert str(rate) == text
