"""How long a reply asks us to wait: `try again in 5 minutes`. Untrusted, so bounded."""

import re
from datetime import timedelta

LONGEST_HINT = timedelta(days=1)

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_ASKS = re.compile(r"try\b|retry|again|wait|after|later|greylist|graylist|defer|come back|delay")
# No days: what is told in days is an age (`90 days old`), not a wait that a retry can heed.
_WAIT = re.compile(r"(?<![\w.:/-])([0-9]{1,6}) ?(s|sec|secs|seconds?|m|min|mins|minutes?|h|hrs?|hours?)\b")
_MORE = re.compile(r"(?:,? and)?,? ?([0-9]{1,6}) ?(s|sec|secs|seconds?|m|min|mins|minutes?)\b")
# `00:04:30`; later in the day, after a date, or `at` and `since`, it is a time of day.
_CLOCK = re.compile(r"(?<![\w.:/-])(?<![0-9] )(?<!at )(?<!since )(?<!seen )(0[0-3]):([0-5][0-9]):([0-5][0-9])(?![\w:])")


def retry_after(text: str) -> timedelta | None:
    """Return the wait that a searchable text asks for, from one second to `LONGEST_HINT`; None when it names none.

    >>> retry_after("greylisted, try again in 5 minutes")
    datetime.timedelta(seconds=300)
    >>> retry_after("retry in 1 hour 30 minutes")
    datetime.timedelta(seconds=5400)
    >>> retry_after("mailbox unused for 90 days") is None
    True
    """
    if not _ASKS.search(text):
        return None
    if found := _WAIT.search(text):
        wait = int(found[1]) * _SECONDS[found[2][0]]
        if more := _MORE.match(text, found.end()):  # 1 hour 30 minutes
            wait += int(more[1]) * _SECONDS[more[2][0]]
    elif found := _CLOCK.search(text):
        hours, minutes, seconds = map(int, found.groups())
        wait = hours * 3600 + minutes * 60 + seconds
    else:
        return None
    return timedelta(seconds=min(max(wait, 1), LONGEST_HINT.total_seconds()))
