"""Laws of schedules: whole ones as literal lists, and that every one grows, keeps its bounds and ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.retry import LONGEST, SHORTEST, Schedule, give_up_time, next_try
from policy.rules.source import load_policy

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHIPPED = load_policy()
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

spans = st.one_of(
    st.timedeltas(SHORTEST, 2 * DAY),
    st.timedeltas(SHORTEST, LONGEST),
    st.sampled_from([SHORTEST, MINUTE, HOUR, LONGEST]),
)
schedules = st.builds(
    Schedule,
    waits=st.lists(spans, min_size=1, max_size=4).map(tuple),
    factor=st.integers(1, 100),
    longest=st.none() | spans,
    spread=st.floats(0, 1, exclude_max=True),
    give_up=spans,
    tries=st.none() | st.integers(1, 20),
    hint=st.none() | spans,
)
attempt_numbers = st.one_of(st.integers(1, 40), st.sampled_from([53, 1000, 1_000_000, 2**31, 10**18]))
spreads = st.floats(0, 1, exclude_max=True)


def whole(schedule: Schedule, *, hint: timedelta | None = None, spread: float = 0.5) -> list[float]:
    """Minutes after the first attempt at which each further one comes, until it gives up."""
    end = give_up_time(schedule, START, held=timedelta(0))
    times, now, attempt = [], START, 1
    while (due := next_try(schedule, attempt, now=now, give_up_at=end, spread=spread, hint=hint)) is not None:
        times.append((due - START) / MINUTE)
        now, attempt = due, attempt + 1
    return times


def test_standard_doubles_from_five_minutes_to_four_hours_for_four_days() -> None:
    assert whole(SHIPPED.schedule("standard")) == [
        5, 15, 35, 75, 155, 315, 555, 795, 1035, 1275, 1515, 1755, 1995, 2235, 2475, 2715, 2955, 3195, 3435, 3675, 3915,
        4155, 4395, 4635, 4875, 5115, 5355, 5595, 5760,
    ]  # fmt: skip


def test_greylist_tries_soon_and_goes_on_as_standard() -> None:
    assert whole(SHIPPED.schedule("greylist")) == [
        5, 15, 45, 105, 225, 465, 705, 945, 1185, 1425, 1665, 1905, 2145, 2385, 2625, 2865, 3105, 3345, 3585, 3825,
        4065, 4305, 4545, 4785, 5025, 5265, 5505, 5745, 5760,
    ]  # fmt: skip


def test_over_quota_waits_hours_then_days_and_gives_up_after_three() -> None:
    assert whole(SHIPPED.schedule("over-quota")) == [60, 300, 1020, 2460, 3900, 4320]


def test_uncertain_makes_three_more_tries_and_no_more() -> None:
    assert whole(SHIPPED.schedule("uncertain")) == [30, 60, 90]


def test_a_hint_makes_each_wait_longer_and_only_up_to_the_schedules_cap() -> None:
    greylist = SHIPPED.schedule("greylist")
    assert whole(greylist, hint=20 * MINUTE)[:5] == [20, 40, 70, 130, 250]
    assert whole(greylist, hint=MINUTE) == whole(greylist)
    assert whole(greylist, hint=DAY)[:3] == [240, 480, 720]


def test_a_schedule_without_a_hint_does_not_listen_to_one() -> None:
    quota = SHIPPED.schedule("over-quota")
    assert whole(quota, hint=2 * HOUR) == whole(quota)


def test_the_last_try_is_moved_forward_to_the_give_up_time() -> None:
    assert whole(Schedule(waits=(HOUR,), give_up=90 * MINUTE)) == [60]
    assert whole(Schedule(waits=(10 * MINUTE, HOUR), give_up=HOUR)) == [10, 60]


def test_no_try_comes_sooner_than_the_floor_even_at_the_end() -> None:
    schedule = Schedule(waits=(HOUR,), give_up=DAY)
    nearly = START + DAY - 59 * MINUTE
    assert next_try(schedule, 9, now=nearly, give_up_at=START + DAY, spread=0.5) is None


@given(schedule=schedules, attempt=attempt_numbers, spread=spreads, ago=spans, hint=st.none() | spans)
def test_a_due_time_keeps_the_floor_and_never_passes_the_give_up_time(
    schedule: Schedule, attempt: int, spread: float, ago: timedelta, hint: timedelta | None
) -> None:
    end = give_up_time(schedule, START, held=timedelta(0))
    now = START + ago
    due = next_try(schedule, attempt, now=now, give_up_at=end, spread=spread, hint=hint)
    if due is None:
        return
    assert now + min(schedule.waits) * (1 - schedule.spread) <= due <= end
    assert due >= now + SHORTEST
    assert schedule.tries is None or attempt < schedule.tries


@given(schedule=schedules, attempt=attempt_numbers, more=st.integers(0, 10**6))
def test_waits_never_shrink_once_they_grow_and_stay_below_the_longest(
    schedule: Schedule, attempt: int, more: int
) -> None:
    attempt = max(attempt, len(schedule.waits))
    wait = schedule.wait(attempt)
    assert schedule.waits[-1] <= wait <= schedule.wait(attempt + more)
    assert wait <= max(schedule.waits[-1], schedule.longest or LONGEST)


@given(schedule=schedules, attempt=attempt_numbers)
def test_each_wait_is_the_former_times_the_factor_until_the_longest(schedule: Schedule, attempt: int) -> None:
    attempt = max(attempt, len(schedule.waits))
    longest = max(schedule.waits[-1], schedule.longest or LONGEST)
    seconds = schedule.wait(attempt).total_seconds() * schedule.factor
    grown = schedule.wait(attempt + 1)
    assert grown.total_seconds() == pytest.approx(min(seconds, longest.total_seconds())) or (
        schedule.factor == 1 and grown == schedule.waits[-1]
    )


@given(schedule=schedules, attempt=attempt_numbers, spread=spreads)
def test_the_spread_stays_inside_its_share(schedule: Schedule, attempt: int, spread: float) -> None:
    due = next_try(schedule, attempt, now=START, give_up_at=START + 10_000 * DAY, spread=spread)
    if due is None:
        assert schedule.tries is not None
        return
    wait = schedule.wait(attempt).total_seconds()
    share = schedule.spread * wait + 1e-3
    assert max(wait - share, 0) <= (due - START).total_seconds() <= max(wait + share, SHORTEST.total_seconds())


@given(schedule=schedules, held=spans, cap=st.none() | spans)
def test_the_give_up_time_is_the_first_attempts_moved_by_what_was_held(
    schedule: Schedule, held: timedelta, cap: timedelta | None
) -> None:
    plain = give_up_time(schedule, START, held=timedelta(0), cap=cap)
    assert plain == START + min(each for each in (schedule.give_up, cap) if each is not None)
    assert give_up_time(schedule, START, held=held, cap=cap) == plain + held


@given(schedule=schedules)
def test_nothing_is_retried_at_or_after_the_give_up_time(schedule: Schedule) -> None:
    end = give_up_time(schedule, START, held=timedelta(0))
    assert next_try(schedule, 1, now=end, give_up_at=end, spread=0.5) is None
    assert next_try(schedule, 1, now=end + DAY, give_up_at=end, spread=0.5) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"waits": ()},
        {"waits": (timedelta(0),)},
        {"waits": (-HOUR,)},
        {"waits": (HOUR,), "spread": 1.0},
        {"waits": (HOUR,), "spread": -0.1},
        {"waits": (HOUR,), "factor": 0},
        {"waits": (HOUR,), "tries": 0},
        {"waits": (HOUR,), "longest": 2 * LONGEST},
    ],
)
def test_a_schedule_that_could_not_be_kept_is_no_schedule(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|Length"):
        Schedule(**{"give_up": DAY, **wrong})  # type: ignore[arg-type]
