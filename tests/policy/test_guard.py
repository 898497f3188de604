"""Laws of the outage guard, pure: when a watch opens and closes, and what becomes of a list in an outage."""

import importlib.util
import math
import random
import sys
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.guard import (
    KEPT,
    LONGEST_OPEN,
    PROBES,
    WINDOW,
    Seen,
    Watch,
    baseline,
    may_probe,
    standing,
    tail,
    watched,
)
from policy.testing.scenarios import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def _benchmark() -> ModuleType:
    """The trial, which is a command and no part of a package."""
    path = Path(__file__).parents[2] / "benchmarks" / "outage.py"
    spec = importlib.util.spec_from_file_location("outage_trial", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


trial = _benchmark()


def after(*seen: Seen, watch: Watch | None = None, is_domain: bool = False) -> Watch:
    watch = watch or Watch(key="google")
    for each in seen:
        watch = watched(watch, each, is_domain=is_domain)
    return watch


def answer(number: int, *, failed: bool, at: timedelta = timedelta(0), domain: str = "gmail.com", **more: int) -> Seen:
    return Seen(at=NOW + at, recipient=f"{number}@{domain}", domain=domain, failed=failed, **more)


def failures(count: int, at: timedelta = timedelta(0)) -> list[Seen]:
    return [answer(number, failed=True, at=at) for number in range(count)]


# ---- the trial: what becomes of a list ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in trial.STORIES if not name.startswith("5 %")])
def test_nobody_who_is_there_is_lost_and_everybody_who_is_gone_is_found(name: str) -> None:
    gone = trial.Trial(trial.STORIES[name](2_000)).run()
    assert gone.lost == []
    assert gone.missed == []
    assert len(gone.found) > 50


def test_without_the_guard_the_same_outage_loses_people() -> None:
    story = trial.STORIES["Gmail, December 2020"](2_000)
    assert len(trial.Trial(story, guarded=False).run().lost) > 100


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hours", [1, 24])
def test_quiet_days_never_open(seed: int, hours: int) -> None:
    assert trial.Trial(trial.Story(addresses=4_000, days=4, hours=hours, seed=seed)).run().openings == []


def test_people_who_leave_in_a_week_are_no_outage() -> None:
    assert trial.Trial(trial.Story(addresses=4_000, every=7, hours=2, days=15)).run().openings == []


def test_one_customers_domain_opens_its_own_watch_only() -> None:
    for size in (12, 500):
        lie = trial.Outage(start=trial.at(9, 0), end=trial.at(10, 0), share=1, domains=("one.example",))
        story = trial.Story(addresses=2_000, hosted={"one.example": size}, days=5, outages=(lie,))
        assert {key for key, _ in trial.Trial(story).run().openings} == {"one.example"}


# ---- opening --------------------------------------------------------------------------------------------------------


def test_five_of_five_open_a_provider_and_four_do_not() -> None:
    assert not after(*failures(4)).is_open
    assert after(*failures(5)).open_since == NOW


@given(times=st.lists(st.timedeltas(timedelta(0), WINDOW), max_size=200))
def test_one_recipient_never_opens_however_often_it_fails(times: list[timedelta]) -> None:
    assert not after(*(answer(1, failed=True, at=each) for each in sorted(times))).is_open


def test_failures_that_are_told_late_are_not_of_now() -> None:
    late = [answer(number, failed=True, at=-number * HOUR) for number in range(1, 20)]
    assert not after(answer(0, failed=False), *late).is_open
    assert not after(*reversed(late)).is_open


def test_a_success_takes_a_recipient_from_those_that_fail_and_a_late_one_does_not() -> None:
    four = after(*failures(4))
    assert len(after(answer(3, failed=False, at=MINUTE), watch=four).failing) == 3
    assert len(after(answer(3, failed=False, at=-MINUTE), watch=four).failing) == 4


@given(order=st.permutations(range(12)))
def test_failures_of_one_moment_leave_one_watch_in_any_order(order: list[int]) -> None:
    former = after(*(answer(number, failed=False, at=-HOUR) for number in range(20)))
    seen = [answer(number, failed=number % 3 > 0) for number in order]
    one, other = after(*seen, watch=former), after(*sorted(seen, key=lambda each: each.recipient), watch=former)
    assert one.is_open
    assert (one.open_since, one.minutes, one.hours) == (other.open_since, other.minutes, other.hours)
    few = [each for each in seen if each.recipient < "4"]
    assert after(*few, watch=former) == after(*reversed(few), watch=former)


def test_the_outage_itself_is_not_what_is_usual() -> None:
    begin = [answer(number, failed=number % 2 > 0, at=number * MINUTE / 10) for number in range(8)]
    assert baseline(after(*begin)) == 0.005
    assert after(*begin, *failures(9, at=MINUTE)).is_open


def test_what_is_usual_here_is_no_outage() -> None:
    usual = [answer(number, failed=number % 5 == 0, at=-DAY + number * MINUTE) for number in range(1_440)]
    watch = after(*usual)
    watch = standing(watch, NOW + LONGEST_OPEN)  # the first day of it may have opened
    assert baseline(after(answer(0, failed=False), watch=watch)) == pytest.approx(0.2, abs=0.05)
    now = [answer(number, failed=number % 5 == 0) for number in range(100)]
    assert not after(*now, watch=watch).is_open


@pytest.mark.parametrize(("elsewhere", "opens"), [(4, False), (5, True)])
def test_what_one_customers_domain_does_counts_nothing_at_the_provider(elsewhere: int, opens: bool) -> None:
    one = [answer(number, failed=True, domain="one.example", hosted=True) for number in range(8)]
    others = [answer(number, failed=True, domain=f"{number}.example", hosted=True) for number in range(elsewhere)]
    assert after(*one, *others).is_open is opens


def test_a_domain_opens_when_three_fail_that_are_half_of_those_of_the_day() -> None:
    for fine, opens in ((3, True), (4, False)):
        good = [answer(number + 10, failed=False, at=-HOUR) for number in range(fine)]
        assert after(*good, *failures(3), is_domain=True).is_open is opens
    assert not after(*failures(2), is_domain=True).is_open


# ---- closing --------------------------------------------------------------------------------------------------------


@cache
def opened() -> Watch:
    usual = (answer(number, failed=False, at=number * MINUTE / 2 - 2 * DAY) for number in range(5_000))
    watch = after(*usual, *failures(40))
    assert watch.is_open
    return watch


def good(count: int, at: timedelta) -> list[Seen]:
    return [answer(number, failed=False, at=at) for number in range(count)]


def test_one_good_answer_does_not_close_and_five_do() -> None:
    assert after(*good(4, HOUR), watch=opened()).is_open
    assert not after(*good(5, HOUR), watch=opened()).is_open


def test_good_answers_close_nothing_while_others_fail() -> None:
    assert after(*good(60, MINUTE), watch=opened()).is_open
    mixed = [answer(number, failed=number % 20 == 0, at=HOUR) for number in range(20, 120)]
    assert after(*mixed, watch=opened()).is_open


def test_a_share_that_opens_a_large_list_does_not_close_it() -> None:
    failed = [answer(number, failed=True, at=HOUR) for number in range(95)]
    rest = [answer(number, failed=False, at=HOUR) for number in range(100, 10_005)]
    assert after(*failed, *rest, watch=opened()).is_open  # 0.95 %: less than twice the usual, and yet no chance
    assert not after(*failed[:50], *rest, watch=opened()).is_open


@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.008, 0.01, 0.02]))
def test_what_closed_does_not_open_by_the_next_failure(seed: int, share: float) -> None:
    chance = random.Random(seed)  # noqa: S311
    watch, since = opened(), 0
    for number in range(300):
        former = watch
        seen = answer(1_000 + number, failed=chance.random() < share, at=HOUR + number * MINUTE / 20)
        watch = watched(watch, seen)
        since = since + seen.failed if not former.is_open else 0
        assert former.is_open or not watch.is_open or since >= 5


def test_three_days_are_no_outage_any_more_and_what_they_showed_is_usual_then() -> None:
    watch = opened()
    for hour in range(73):
        watch = after(*(answer(n, failed=True, at=hour * HOUR + n * MINUTE) for n in range(40)), watch=watch)
    assert not watch.is_open
    assert baseline(watch) > 0.9
    assert not after(*failures(60, at=74 * HOUR), watch=watch).is_open
    assert standing(opened(), NOW + LONGEST_OPEN - MINUTE).is_open
    assert not standing(opened(), NOW + LONGEST_OPEN).is_open


def test_an_outage_that_passed_is_not_usual() -> None:
    watch = after(*(answer(n, failed=True, at=n * MINUTE) for n in range(200)), watch=opened())
    closed = after(*good(5, 5 * HOUR), watch=watch)
    assert not closed.is_open
    assert baseline(closed) == 0.005


# ---- bounds ---------------------------------------------------------------------------------------------------------


@given(
    told=st.lists(st.tuples(st.integers(0, 300), st.booleans(), st.timedeltas(-30 * DAY, 30 * DAY)), max_size=300),
    is_domain=st.booleans(),
)
def test_a_watch_is_of_a_fixed_size_and_in_order(told: list[tuple[int, bool, timedelta]], is_domain: bool) -> None:
    watch = after(*(answer(number, failed=failed, at=at) for number, failed, at in told), is_domain=is_domain)
    assert len(watch.minutes) <= 15
    assert len(watch.hours) <= 8 * 24
    assert max(len(watch.failing), len(watch.attempted)) <= KEPT
    for counts in (watch.minutes, watch.hours):
        assert [each.bucket for each in counts] == sorted({each.bucket for each in counts})
        assert all(0 <= each.failed <= each.answers for each in counts)
    for kept in (watch.failing, watch.attempted):
        assert [each.at for each in kept] == sorted(each.at for each in kept)
        assert len({each.recipient for each in kept}) == len(kept)


@given(minutes=st.lists(st.integers(0, 120), max_size=80).map(sorted))
def test_never_more_than_ten_probes_in_a_window(minutes: list[int]) -> None:
    watch, made = Watch(key="google", open_since=NOW), []
    for minute in minutes:
        probing = may_probe(watch, NOW + minute * MINUTE)
        if probing is not None:
            watch = probing
            made.append(minute)
    assert all(sum(end - 15 < each <= end for each in made) <= PROBES for end in made)
    assert len(made) >= min(PROBES, len(minutes))


@given(answers=st.integers(1, 60), failed=st.integers(0, 60), share=st.sampled_from([0.005, 0.1, 0.5, 0.97]))
def test_the_tail_is_the_sum_of_the_binomials(answers: int, failed: int, share: float) -> None:
    exact = math.fsum(
        math.comb(answers, k) * share**k * (1 - share) ** (answers - k) for k in range(failed, answers + 1)
    )
    assert tail(failed, answers, share) == pytest.approx(exact, rel=1e-6, abs=1e-12)
