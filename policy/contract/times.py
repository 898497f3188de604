"""Times as RFC 3339 writes them: read with any offset, written in UTC with a `Z`."""

import re
from datetime import MAXYEAR, UTC, datetime, time, timedelta
from functools import lru_cache

from policy.attempt import EARLIEST, moment
from policy.text import clean

_RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9:]{5})")

_LAST = datetime.max.replace(tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)


@lru_cache(maxsize=1024)  # a ledger's line names one moment several times, and writing it takes 2 us
def write_time(value: datetime) -> str:
    """Return an aware time to the second, or to the microsecond where it has some.

    >>> write_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat()[: -len("+00:00")] + "Z"


def read_time(text: str) -> datetime:
    """Return the moment that an RFC 3339 text names, in UTC; digits past the microsecond are cut.

    A leap second is the last instant of its minute: it has no number of its own here.

    Raises:
        ValueError: for any other form, for a time that does not exist or is not in 1970-2999, and for one without its
            offset from UTC.
    """
    return moment(_named(text))


def read_reckoned_time(text: str) -> datetime:
    """As `read_time`, for what we wrote: up to the calendar's end.

    An end is a start that somebody said and a duration, so it may lie behind all that anybody may say. It never lies
    behind the calendar: durations have at most 3650 days, and a hold at most what there is between two times.
    """
    value = _named(text)
    if value < EARLIEST or value > _LAST:
        raise ValueError(f"time `{value.isoformat()}` is not in {EARLIEST.year}-{MAXYEAR}")
    return value.astimezone(UTC)


def _named(text: str) -> datetime:
    found = _RFC_3339.fullmatch(text)
    if found is None:
        shown = clean(text, limit=40)
        if _RFC_3339.fullmatch(f"{text}Z"):
            raise ValueError(f"time `{shown}` needs its offset from UTC, such as a final `Z`")
        raise ValueError(f"`{shown}` is not an RFC 3339 time such as 2026-01-02T03:04:05Z")
    leap = text[17:19] == "60"
    try:
        value = datetime.fromisoformat((f"{text[:17]}59.999999{found[2]}" if leap else text).upper())
        after = (value + _INSTANT).astimezone(UTC) if leap else None
        if after is not None and (after.day, after.time()) != (1, time(0)):  # RFC 3339 5.7: at the end of a month
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(f"time `{clean(text, limit=40)}` does not exist") from None
    return value
