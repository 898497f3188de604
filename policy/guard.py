"""The outage guard: a mass of false "no such user" must not empty a list.

A provider whose directory is broken answers `550 5.1.1` for people who read their mail yesterday (Gmail, 14 and 15
December 2020). One reply cannot be told from the truth; many together can. So for each provider (and for each of its
customers' domains) a `Watch` counts what happens to *known-good* recipients, those to whom mail was delivered in the
last 30 days. Where so many of them fail within 15 minutes that chance does not explain it, the guard is open: nothing
is suppressed there, what the last hour suppressed is put aside, and each failure waits. It closes when known-good
recipients are answered well again, or after `LONGEST_OPEN`: what goes on for days is how it is there. The guard
delays, it never pardons: who still fails after that is suppressed then.

People leave at a rate a day, so an answer counts once for each day since the recipient's last delivery: a weekly list
finds seven times as many gone as a daily one, and neither is an outage.

A resolver of our own that is broken says of every domain that it does not exist. One watch counts the domains, of
known-good recipients, of which that is said: many at once are no chance either.

Bounds: a watch is of a fixed size whatever happens; recipients that were never delivered to neither open nor close it.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from attrs import evolve, frozen

KNOWN_GOOD = timedelta(days=30)  # how long a delivery makes a recipient known-good
WINDOW = timedelta(minutes=15)
BASELINE = timedelta(days=8)  # a week and a day: a weekly mailing is measured by the one before
DAY = timedelta(days=1)
UNDO = timedelta(minutes=60)  # suppressions this young are put aside when the guard opens
LONGEST_OPEN = timedelta(days=3)
RESOLVER = "our-resolver"  # a watch of our own DNS: it sees whose domain is said not to exist, and no deliveries
LONGEST_OPEN_RESOLVER = timedelta(hours=1)  # so it closes by time, and opens again when it is not over
LEAST_SHARE = 0.005  # of failures a day: the baseline is never lower
PRIOR = 200  # answers with the least share that count before any were seen: one failure in two is no habit
CHANCE = 1e-6  # less likely than this is no chance
LEAST_FAILING = 5  # distinct known-good recipients, at a provider
LEAST_FAILING_IN_DOMAIN = 3  # within a day: a small domain gets little mail
UNDO_IN_DOMAIN = DAY
USUAL_IN_DOMAIN = 0.1  # a small domain that fails this many a day is used to it
CLOSING_SHARE = 0.05
PROBES = 10  # held recipients that are tried in a window while the guard is open
KEPT = 64  # recipients that are told apart; more are not needed to be sure

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


@frozen(kw_only=True)
class Seen:
    """What a known-good recipient's provider answered.

    Args:
        failed: "no such user"; False: delivered. Any other answer says nothing here.
        hosted: the domain is a customer's of the provider, and not one that the provider names as its own.
        days: since the last delivery, at least 1.
    """

    at: datetime
    recipient: str
    domain: str
    failed: bool
    hosted: bool = False
    days: int = 1


@frozen
class Count:
    """Answers in one minute or hour, and how many of them failed; `bucket` counts from 1970.

    Args:
        answers: each as many times as there were days since the delivery before it.
    """

    bucket: int
    answers: int
    failed: int


@frozen
class Failing:
    """A known-good recipient that failed (or, in `Watch.attempted`, was answered), and when last."""

    recipient: str
    domain: str
    at: datetime
    hosted: bool = False


@frozen(kw_only=True)
class Watch:
    """What the guard remembers of one provider, or of one customer's domain there.

    Args:
        minutes: the last 15, oldest first; hours: the last 8 days, without those of outages that passed.
        failing: distinct known-good recipients that failed in the window (for a domain, in 24 h), the newest `KEPT`;
            while a provider's guard is open, those that opened it.
        attempted: for a domain, distinct known-good recipients answered in 24 h, at most `KEPT` (then it is not small).
        open_since: None when it is closed.
        probes: times of the probes of the window.
    """

    key: str
    minutes: tuple[Count, ...] = ()
    hours: tuple[Count, ...] = ()
    failing: tuple[Failing, ...] = ()
    attempted: tuple[Failing, ...] = ()
    open_since: datetime | None = None
    probes: tuple[datetime, ...] = ()

    @property
    def is_open(self) -> bool:
        """Is nothing to be suppressed here?"""
        return self.open_since is not None


def watched(watch: Watch, seen: Seen, *, is_domain: bool = False) -> Watch:
    """Return the watch after one more answer; it may have opened or closed by it.

    Args:
        is_domain: the watch is of one domain inside a provider's, and judged by the rule for domains.
    """
    after = _counted(watch, seen, is_domain)
    if after.open_since is not None:
        if after.open_since <= seen.at and not seen.failed and _recovered(after, is_domain):
            usual = tuple(each for each in after.hours if each.bucket < _first_unusual(after))
            return evolve(after, hours=usual, open_since=None, failing=(), probes=())
        return standing(after, seen.at)
    opens = seen.failed and (_opens_domain(after) if is_domain else _opens(after))
    return evolve(after, open_since=seen.at) if opens else after


def standing(watch: Watch, now: datetime) -> Watch:
    """Return the watch as it stands at `now`: closed when it has been open for too long; what it saw is usual then."""
    longest = LONGEST_OPEN_RESOLVER if watch.key == RESOLVER else LONGEST_OPEN
    if watch.open_since is None or now - watch.open_since < longest:
        return watch
    usual = tuple(each for each in watch.hours if each.bucket >= _first_unusual(watch))
    return evolve(watch, hours=usual, open_since=None, failing=(), probes=())


def without(watch: Watch, recipient: str) -> Watch:
    """Return the watch as if it told this recipient from no other; what was counted stays counted."""
    if not any(each.recipient == recipient for each in (*watch.failing, *watch.attempted)):
        return watch
    return evolve(
        watch,
        failing=tuple(each for each in watch.failing if each.recipient != recipient),
        attempted=tuple(each for each in watch.attempted if each.recipient != recipient),
    )


def may_probe(watch: Watch, now: datetime) -> Watch | None:
    """Return the watch with one more probe, when one is left in this window; None when not."""
    recent = tuple(at for at in watch.probes if now - WINDOW < at <= now)
    return evolve(watch, probes=(*recent, now)) if len(recent) < PROBES else None


def baseline(watch: Watch) -> float:
    """The share of failures among known-good recipients that is usual here, a day; the window is no part of it."""
    end = _first_unusual(watch)
    answers, failed = _sums(each for each in watch.hours if each.bucket < end)
    return max(LEAST_SHARE, (failed + PRIOR * LEAST_SHARE) / (answers + PRIOR))


def tail(failed: int, answers: int, share: float) -> float:
    """Return how likely at least `failed` of `answers` fail by chance, each with probability `share` (binomial).

    >>> round(tail(5, 1000, 0.005), 3), tail(50, 1000, 0.005) < 1e-6
    (0.56, True)
    """
    if failed <= 0:
        return 1.0
    if failed > answers or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    below = failed <= answers * share
    start, step = (failed - 1, -1) if below else (failed, 1)  # sum the shorter, falling side
    term = math.exp(
        math.lgamma(answers + 1)
        - math.lgamma(start + 1)
        - math.lgamma(answers - start + 1)
        + start * math.log(share)
        + (answers - start) * math.log1p(-share)
    )
    total, count, odds = 0.0, start, share / (1 - share)
    while 0 <= count <= answers and term > 1e-18 * max(total, 1e-300):
        total += term
        term *= odds * (answers - count) / (count + 1) if step > 0 else count / ((answers - count + 1) * odds)
        count += step
    return 1 - total if below else min(total, 1.0)


def _opens(watch: Watch) -> bool:
    """A provider: enough distinct recipients, and no chance; what one customer's domain does is its own matter."""
    if len(watch.failing) < LEAST_FAILING:
        return False
    hosted = [each.domain for each in watch.failing if each.hosted]
    elsewhere = len(watch.failing) - max(map(hosted.count, set(hosted)), default=0)
    return elsewhere >= LEAST_FAILING and _is_no_chance(watch, elsewhere)


def _opens_domain(watch: Watch) -> bool:
    """A domain: at least half of the known-good recipients of the day fail where they are few, else no chance."""
    failing, attempted = len(watch.failing), len(watch.attempted)
    if attempted < KEPT:
        return failing >= max(LEAST_FAILING_IN_DOMAIN, attempted / 2) and baseline(watch) < USUAL_IN_DOMAIN
    start = watch.failing[-1].at - WINDOW
    return _is_no_chance(watch, sum(each.at > start for each in watch.failing))


def _is_no_chance(watch: Watch, distinct: int) -> bool:
    """So many distinct recipients do not fail by chance; `distinct` are those of the failing that are meant."""
    answers, failed = _sums(watch.minutes)
    if len(watch.failing) >= KEPT:  # there are more than are told apart: as many as their share of all that failed
        distinct = max(distinct, failed * distinct // KEPT)
    usual = baseline(watch)
    return distinct > answers * usual and tail(distinct, max(answers, distinct), usual) < CHANCE


def _recovered(watch: Watch, is_domain: bool) -> bool:
    """Known-good recipients are answered well, and so few of the window are not that it would not open again."""
    if is_domain and len(watch.attempted) < KEPT:
        return 4 * len(watch.failing) < len(watch.attempted)
    answers, failed = _sums(watch.minutes)
    if answers - failed < LEAST_FAILING or failed >= answers * CLOSING_SHARE:
        return False
    usual = baseline(watch)
    return failed < answers * 2 * usual and tail(failed, answers, usual) >= CHANCE


def _sums(counts: Iterable[Count]) -> tuple[int, int]:
    answers = failed = 0
    for each in counts:
        answers += each.answers
        failed += each.failed
    return answers, failed


def _first_unusual(watch: Watch) -> int:
    """The hour in which the window began: its own, or that in which the guard opened."""
    if watch.open_since is not None:
        return (watch.open_since - WINDOW - _EPOCH) // _HOUR
    return (watch.minutes[-1].bucket - WINDOW // _MINUTE) * _MINUTE // _HOUR if watch.minutes else 0


def _counted(watch: Watch, seen: Seen, is_domain: bool) -> Watch:
    here = Failing(seen.recipient, seen.domain, seen.at, seen.hosted)
    failing, attempted = watch.failing, watch.attempted
    if (watch.open_since is None or is_domain) and (seen.failed or failing):
        failing = _newest(failing, here, DAY if is_domain else WINDOW, with_it=seen.failed)
    if is_domain and (len(attempted) < KEPT or attempted[0].at <= seen.at - DAY):  # full: only that it is counts
        attempted = _newest(attempted, here, DAY, with_it=True)
    return Watch(
        key=watch.key,
        minutes=_added(watch.minutes, seen, _MINUTE, WINDOW),
        hours=_added(watch.hours, seen, _HOUR, BASELINE),
        failing=failing,
        attempted=attempted if is_domain else (),
        open_since=watch.open_since,
        probes=watch.probes,
    )


def _newest(known: tuple[Failing, ...], here: Failing, span: timedelta, *, with_it: bool) -> tuple[Failing, ...]:
    """The recipients of the last `span`, each once, oldest first; what is told late takes back nothing newer."""
    start = (max(here.at, known[-1].at) if known else here.at) - span
    recipient = here.recipient
    former = next((each for each in known if each.recipient == recipient), None)
    late = here.at <= start or (former is not None and here.at < former.at)
    if late or not with_it:
        if former is None and known and start < known[0].at:
            return known
        return tuple(each for each in known if start < each.at and (late or each is not former))
    others = [each for each in known if start < each.at and each is not former]
    if others and here.at <= others[-1].at:
        return tuple(sorted([*others, here], key=_age)[-KEPT:])
    return (*others[-KEPT + 1 :], here)


def _age(each: Failing) -> tuple[datetime, str]:
    return each.at, each.recipient


def _added(counts: tuple[Count, ...], seen: Seen, size: timedelta, span: timedelta) -> tuple[Count, ...]:
    """The counts with one more answer, without what is older than `span`; an answer told late counts in its place."""
    bucket = (seen.at - _EPOCH) // size
    place = len(counts)
    while place and counts[place - 1].bucket > bucket:
        place -= 1
    answers, failed = seen.days, int(seen.failed)
    end = place
    if place and counts[place - 1].bucket == bucket:
        place -= 1
        answers, failed = answers + counts[place].answers, failed + counts[place].failed
    kept = (*counts[:place], Count(bucket, answers, failed), *counts[end:])
    oldest = kept[-1].bucket - span // size
    first = 0
    while kept[first].bucket <= oldest:
        first += 1
    return kept[first:]
