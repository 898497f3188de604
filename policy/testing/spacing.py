"""How many of some times lie apart: the slow way, to compare `policy.suppression.spaced` with."""

from collections.abc import Sequence
from datetime import datetime, timedelta


def most_apart(times: Sequence[datetime], apart: timedelta) -> int:
    """How many of the times, the last one among them, can be chosen that lie `apart` from each other."""
    longest: list[int] = []
    for number, time in enumerate(times):
        longest.append(1 + max((longest[n] for n in range(number) if time - times[n] >= apart), default=0))
    return longest[-1]
