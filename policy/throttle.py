"""How fast mail goes to a destination: what went there of late, which rates hold, and when the next may go.

A rate is a number of messages in a span, and they go evenly: at `60/1h` one a minute. Three things can ask for one: a
limit of the operator's, a rule that throttled, and a suspension that has ended. After a suspension nobody knows whether
the door is open again, so a probe goes each minute until one is delivered; from then on half of what went there before
(a quarter after the second suspension in a row, and so on), and more every quarter of an hour, as TCP does it: down by
halves, up in steps.

Who may not go yet is told a time of his own, one slot after the other, so that a queue of 100,000 that asks at once
does not come back at once. A told time is no reservation: who comes first is served first, and who comes too late is
told another one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from attrs import evolve, field, frozen
from attrs.validators import ge, gt, instance_of

PROBING_LASTS = timedelta(days=7)  # a suspension this long over, and nothing delivered since, is forgotten
STEP = timedelta(minutes=15)  # after which a recovering destination gets more
STEPS = 8  # of them bring back what went there before
LEAST_AN_HOUR = 60  # no recovery is slower than a probe
LONGEST_WAIT = timedelta(hours=4)  # nobody is told to wait longer; he asks again then

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


@frozen
class Rate:
    """So many messages in such a time."""

    count: int = field(validator=(instance_of(int), ge(1)))
    per: timedelta = field(validator=(instance_of(timedelta), gt(timedelta(0))))

    @property
    def interval(self) -> timedelta:
        """The time between two messages."""
        return self.per / self.count

    def __str__(self) -> str:
        seconds = int(self.per.total_seconds())
        for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
            if seconds % size == 0:
                return f"{self.count}/{seconds // size}{unit}"
        return f"{self.count}/{seconds}s"


PROBE = Rate(1, timedelta(minutes=1))


@frozen(kw_only=True)
class Traffic:
    """What went to one destination of late.

    Args:
        hour: the last hour in which something went there, counted from 1970; count: how much; before: in the hour
            before that one.
        total: how much ever went there.
        next_at: the next free slot; None: never was one taken.
        told_at: the last slot that somebody who waits was told of.
    """

    target: str
    hour: int = 0
    count: int = 0
    before: int = 0
    total: int = 0
    next_at: datetime | None = None
    told_at: datetime | None = None

    def an_hour(self, now: datetime) -> int:
        """How many went there in the hour up to `now`, as near as two counts tell."""
        hour, past = divmod(now - _EPOCH, _HOUR)
        if hour < self.hour:
            return self.count
        count = self.count if hour == self.hour else 0
        before = {0: self.before, 1: self.count}.get(hour - self.hour, 0)
        return count + round(before * (1 - past / _HOUR))


def counted(traffic: Traffic, at: datetime) -> Traffic:
    """Return the traffic with one more attempt; one that is told late counts in the hour in which it is known."""
    hour = (at - _EPOCH) // _HOUR
    before, count = traffic.before, traffic.count + 1
    if hour > traffic.hour:
        before, count = traffic.count if hour == traffic.hour + 1 else 0, 1
    return Traffic(
        target=traffic.target,
        hour=max(hour, traffic.hour),
        count=count,
        before=before,
        total=traffic.total + 1,
        next_at=traffic.next_at,
        told_at=traffic.told_at,
    )


def half(traffic: Traffic, now: datetime, *, times: int = 1) -> Rate:
    """Return half of what goes to a destination now; a quarter the second time in a row, and so on."""
    return Rate(max(traffic.an_hour(now) >> min(times, 32), LEAST_AN_HOUR), _HOUR)


def recovering(ended: datetime, well_at: datetime | None, usual: int, times: int, now: datetime) -> Rate | None:
    """Return how fast mail may go after a suspension; None: as fast as it likes.

    Args:
        ended: when the suspension was over.
        well_at: when mail was delivered there again; None: not yet.
        usual: how much went there in the hour before it began.
        times: which suspension in a row it was.
    """
    if well_at is None:
        return PROBE if now - ended < PROBING_LASTS else None
    steps = max(now - well_at, timedelta(0)) // STEP
    if usual <= LEAST_AN_HOUR or steps >= STEPS:
        return None
    start = usual >> min(times, 32)
    return Rate(max(start + (usual - start) * steps // STEPS, LEAST_AN_HOUR), _HOUR)


def slowest(*rates: Rate | None) -> Rate | None:
    """Return the slowest; None: no rate at all."""
    return max((each for each in rates if each is not None), key=lambda each: each.interval, default=None)


def admitted(
    traffics: Mapping[str, Traffic], rates: Mapping[str, Rate], now: datetime, *, spread: float
) -> tuple[tuple[Traffic, ...], datetime | None]:
    """Ask for one slot at each destination that has a rate: all of them are taken, or none.

    Args:
        traffics, rates: by destination.
        spread: 0 to 1, this message's own: who would wait longer than `LONGEST_WAIT` asks again about then.

    Returns:
        The traffics that changed, and the time at which to ask again; None: go now.
    """
    known = {target: traffics.get(target) or Traffic(target=target) for target in rates}
    waits = [target for target, each in known.items() if each.next_at is not None and now < each.next_at]
    if not waits:
        return tuple(
            evolve(each, next_at=now + rates[each.target].interval, told_at=None) for each in known.values()
        ), None
    told = tuple(_told(known[target], rates[target], now) for target in waits)
    latest = max(each.told_at for each in told if each.told_at is not None)
    if latest - now <= LONGEST_WAIT:
        return told, latest
    return (), now + LONGEST_WAIT * (0.5 + 0.5 * spread)


def _told(traffic: Traffic, rate: Rate, now: datetime) -> Traffic:
    """The next slot that nobody was told of."""
    free = traffic.next_at or now
    if traffic.told_at is not None:
        free = max(free, traffic.told_at + rate.interval)
    return evolve(traffic, told_at=free)
