"""Schedules: when is the next attempt, and when do we give up.

The wait after failed attempt `n` (counted from 1) is the `n`th of `waits`; past its end the last wait grows by `factor`
each time, up to `longest`. `spread` moves each wait by up to that share either way, so that a thousand messages that
failed together do not come back together. The give-up time counts from the first attempt only.
"""

from datetime import datetime, timedelta

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, instance_of, le, lt, min_len, optional

SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(days=3650)

_span = (instance_of(timedelta), ge(SHORTEST), le(LONGEST))


@frozen(kw_only=True)
class Schedule:
    """A schedule of retries.

    Args:
        waits: the first waits, in order; at least one, each from `SHORTEST` to `LONGEST`.
        factor: by which the last wait grows after that; 1 repeats it.
        longest: no grown wait is longer; None: no limit but the give-up time.
        spread: share of a wait by which it may vary, 0 <= spread < 1.
        give_up: how long after the first attempt retrying ends.
        tries: attempts that may fail before giving up, counted from 1; None: only time counts.
        hint: the longest wait that a reply may ask for and get; None: replies are not listened to.
    """

    waits: tuple[timedelta, ...] = field(validator=(min_len(1), deep_iterable(_span)))
    factor: int = field(default=1, validator=(instance_of(int), ge(1), le(100)))
    longest: timedelta | None = field(default=None, validator=optional(_span))
    spread: float = field(default=0.0, validator=(ge(0.0), lt(1.0)))
    give_up: timedelta = field(validator=_span)
    tries: int | None = field(default=None, validator=optional((instance_of(int), ge(1))))
    hint: timedelta | None = field(default=None, validator=optional(_span))

    @property
    def floor(self) -> timedelta:
        """No wait is shorter than this."""
        return max(SHORTEST, min(self.waits) * (1 - self.spread))

    def wait(self, attempt: int) -> timedelta:
        """Return the wait after failed attempt `attempt`, counted from 1, before it is spread."""
        grown = attempt - len(self.waits)
        if grown <= 0:
            return self.waits[attempt - 1]
        longest = self.longest or LONGEST
        if self.factor == 1:
            return self.waits[-1]
        wait = self.waits[-1]
        for _ in range(grown):  # a few rounds only, since the wait at least doubles in each
            if wait >= longest:
                break
            wait = min(wait * self.factor, longest)
        return wait


def give_up_time(
    schedule: Schedule, first_attempt_at: datetime, *, held: timedelta, cap: timedelta | None = None
) -> datetime:
    """Return when retrying ends.

    Args:
        held: time spent waiting for a person, which does not count.
        cap: a shorter give-up of the mail's stream; None: the schedule's own.
    """
    return first_attempt_at + min(schedule.give_up, cap or schedule.give_up) + held


def next_try(
    schedule: Schedule,
    attempt: int,
    *,
    now: datetime,
    give_up_at: datetime,
    spread: float,
    tried: int | None = None,
    hint: timedelta | None = None,
) -> datetime | None:
    """Return when to try again after failed attempt `attempt`; None: give up.

    Always at least `schedule.floor` after `now`, and never after `give_up_at`: the last try is moved forward to it.

    Args:
        now: never before the first attempt (see `decide`, which holds a clock that went back).
        spread: from 0 (earliest) to 1 (latest); fixed for an attempt, so that asking twice gives one answer.
        tried: failures in a row that `schedule.tries` counts; None: all attempts.
        hint: the wait the reply asks for; it can only make the wait longer, and never longer than `schedule.hint`.
    """
    if now >= give_up_at or (schedule.tries is not None and (tried or attempt) >= schedule.tries):
        return None
    wait = schedule.wait(attempt) * (1 + schedule.spread * (2 * spread - 1))
    if hint is not None and schedule.hint is not None:
        wait = max(wait, min(hint, schedule.hint))
    due = now + max(wait, schedule.floor)
    if due <= give_up_at:
        return due
    return give_up_at if give_up_at - now >= schedule.floor else None
