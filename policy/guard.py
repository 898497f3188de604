"""The outage guard: a mass of false "no such user" must not empty a list.

A provider whose directory is broken answers `550 5.1.1` for people who read their mail yesterday (Gmail, 14 and 15
December 2020). One reply cannot be told from the truth; many together can. So for each provider (and for each small
domain) a `Watch` counts what happens to *known-good* recipients, those to whom mail was delivered in the last 30 days.
Where so many of them fail within 15 minutes that chance does not explain it, the guard is open: nothing is suppressed
there, what the last hour suppressed is put aside, and each failure waits. It closes when known-good recipients are
answered well again. The guard delays, it never pardons: who still fails days later is suppressed then.

Bounds: a watch is of a fixed size whatever happens; recipients that were never delivered to neither open nor close it.
"""

import math
from datetime import UTC, datetime, timedelta

from attrs import evolve, frozen

KNOWN_GOOD = timedelta(days=30)  # how long a delivery makes a recipient known-good
WINDOW = timedelta(minutes=15)
BASELINE = timedelta(days=7)
DAY = timedelta(days=1)
UNDO = timedelta(minutes=60)  # suppressions this young are put aside when the guard opens
LEAST_SHARE = 0.005  # of failures on a quiet day: the baseline is never lower
CHANCE = 1e-6  # less likely than this is no chance
LEAST_FAILING = 5  # distinct known-good recipients, at a provider
LEAST_FAILING_IN_DOMAIN = 3
LEAST_DOMAINS = 2  # where all that fail are customers' domains; in one alone it is that domain's own matter
CLOSING_SHARE = 0.05
PROBES = 10  # held recipients that are tried in a window while the guard is open
KEPT = 64  # failing recipients that are told apart; more are not needed to be sure

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen(kw_only=True)
class Seen:
    """What a known-good recipient's provider answered.

    Args:
        failed: "no such user"; False: delivered. Any other answer says nothing here.
        hosted: the domain is a customer's of the provider, and not one that the provider names as its own.
    """

    at: datetime
    recipient: str
    domain: str
    failed: bool
    hosted: bool = False


@frozen
class Count:
    """Answers in one minute or hour, and how many of them failed; `bucket` counts from 1970."""

    bucket: int
    answers: int
    failed: int


@frozen
class Failing:
    """A known-good recipient that failed, and when last."""

    recipient: str
    domain: str
    at: datetime
    hosted: bool = False


@frozen(kw_only=True)
class Watch:
    """What the guard remembers of one provider, or of one small domain.

    Args:
        minutes: the last 15, oldest first; hours: the last 7 days, without those in which the guard was open.
        failing: distinct known-good recipients that failed in the window, the newest `KEPT`.
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
        is_domain: the watch is of one domain inside a provider's, and judged by the rule for small domains.
    """
    after = _counted(watch, seen, is_domain)
    if after.is_open:
        return evolve(after, open_since=None, probes=()) if _recovered(after, seen) else after
    opens = _opens_domain(after) if is_domain else _opens(after)
    return evolve(after, open_since=seen.at) if seen.failed and opens else after


def may_probe(watch: Watch, now: datetime) -> Watch | None:
    """Return the watch with one more probe, when one is left in this window; None when not."""
    recent = tuple(at for at in watch.probes if now - WINDOW < at <= now)
    return evolve(watch, probes=(*recent, now)) if len(recent) < PROBES else None


def baseline(watch: Watch) -> float:
    """The share of failures among known-good recipients that is usual here."""
    answers = sum(each.answers for each in watch.hours)
    failed = sum(each.failed for each in watch.hours)
    return max(LEAST_SHARE, failed / answers if answers else 0.0)


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
    """A provider: enough distinct recipients, in more than one of its domains, and no chance."""
    distinct = len(watch.failing)
    domains = {each.domain for each in watch.failing}
    if distinct < LEAST_FAILING:
        return False
    if len(domains) < LEAST_DOMAINS and all(each.hosted for each in watch.failing):
        return False
    answers = sum(each.answers for each in watch.minutes)
    failed = sum(each.failed for each in watch.minutes) if distinct >= KEPT else distinct
    return tail(failed, max(answers, failed), baseline(watch)) < CHANCE


def _opens_domain(watch: Watch) -> bool:
    """A small domain: at least half of its known-good recipients of the day fail."""
    small = len(watch.attempted) < KEPT
    return small and len(watch.failing) >= max(LEAST_FAILING_IN_DOMAIN, len(watch.attempted) / 2)


def _recovered(watch: Watch, seen: Seen) -> bool:
    """A known-good recipient is answered well, and few of the window are not."""
    answers = sum(each.answers for each in watch.minutes)
    failed = sum(each.failed for each in watch.minutes)
    share = failed / answers if answers else 1.0
    return not seen.failed and share < CLOSING_SHARE and share < 2 * baseline(watch)


def _counted(watch: Watch, seen: Seen, is_domain: bool) -> Watch:
    here = Failing(seen.recipient, seen.domain, seen.at, seen.hosted)
    failing = watch.failing
    if seen.failed or (failing and failing[0].at <= seen.at - WINDOW) or any(_same(each, here) for each in failing):
        failing = _newest(failing, here, WINDOW, with_it=seen.failed)
    return evolve(
        watch,
        minutes=_added(watch.minutes, seen, _MINUTE, WINDOW),
        hours=watch.hours if watch.is_open else _added(watch.hours, seen, _HOUR, BASELINE),
        failing=failing,
        attempted=_newest(watch.attempted, here, DAY, with_it=True) if is_domain else (),
    )


def _same(one: Failing, other: Failing) -> bool:
    return one.recipient == other.recipient


def _newest(known: tuple[Failing, ...], here: Failing, span: timedelta, *, with_it: bool) -> tuple[Failing, ...]:
    """The recipients of the span before `here`, each once; it is the newest of them, or no longer one."""
    others = [each for each in known if here.at - span < each.at and not _same(each, here)]
    return tuple([*others, here][-KEPT:]) if with_it else tuple(others)


def _added(counts: tuple[Count, ...], seen: Seen, size: timedelta, span: timedelta) -> tuple[Count, ...]:
    """The counts with one more answer, without what is older than `span`; an answer told late counts in its place."""
    bucket = (seen.at - _EPOCH) // size
    if counts and counts[-1].bucket == bucket:
        last = counts[-1]
        return (*counts[:-1], Count(bucket, last.answers + 1, last.failed + seen.failed))
    kept = {each.bucket: each for each in counts}
    former = kept.get(bucket, Count(bucket, 0, 0))
    kept[bucket] = Count(bucket, former.answers + 1, former.failed + seen.failed)
    oldest = max(kept) - span // size
    return tuple(kept[each] for each in sorted(kept) if each > oldest)
