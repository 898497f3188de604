"""What becomes of an entry that a person or an import brings: it is kept, or it stands behind what is there.

Taking the same list twice is taking it once: what is there already, and says the same, keeps its first time and words.
Which of two entries stays is said in `policy.curating.stands`: no list weakens what is there.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from operator import attrgetter

from policy.alike import Alike, alike
from policy.curating import stands
from policy.history import Suppression
from policy.ports import Unit


class Intake(Enum):
    """What `take` did with an entry."""

    KEPT = "kept"
    STANDS = "stands"  # an entry that is as strong or stronger is there, and stays
    OVER = "over"  # it binds nobody any more: expired, quarantined or released


def take(unit: Unit, new: Suppression, now: datetime) -> Intake:
    """Keep `new` unless it is over at `now`, or an entry stands against it."""
    (taken,) = take_all(unit, [alike(new)], now)
    return taken


def take_all(unit: Unit, entries: Sequence[Alike], now: datetime) -> list[Intake]:
    """Take entries in order, with the outcome of `take` one by one, at a fraction of the cost."""
    over = {each for each in set(map(_MOULD, entries)) if not each.entry.active(now)}
    binding = [each for each in entries if each.mould not in over] if over else entries
    put = unit.put_all(binding, unless=lambda old, new: stands(old, new, now))
    if not over:
        return list(map(_TAKEN.__getitem__, put))
    rest = iter(put)
    return [Intake.OVER if each.mould in over else _TAKEN[next(rest)] for each in entries]


_MOULD = attrgetter("mould")
_TAKEN = {True: Intake.KEPT, False: Intake.STANDS}
