"""What becomes of an entry that a person or an import brings: it is kept, or it stands behind what is there.

Taking the same list twice is taking it once: what is there already, and says the same, keeps its first time and words.
What a person or a recipient said (a complaint, an unsubscribe, an entry by hand) stands as it is against any other.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

from policy.alike import Alike
from policy.decision import Scope, Strength
from policy.history import HistoryKey, Source, Suppression, stream_of
from policy.ports import Unit


class Intake(Enum):
    """What `take` did with an entry."""

    KEPT = "kept"
    STANDS = "stands"  # an entry that is as strong or stronger is there, and stays
    OVER = "over"  # it binds nobody any more: expired, quarantined or released


def take(unit: Unit, new: Suppression, now: datetime) -> Intake:
    """Keep `new` unless it is over at `now`, or an entry stands against it."""
    if not new.active(now):
        return Intake.OVER
    old = present(unit, new.scope, new.target)
    if old is not None and old.active(now) and _says_as_much(old, new):
        return Intake.STANDS
    return Intake.KEPT if unit.put(new) else Intake.STANDS


def take_all(unit: Unit, entries: Sequence[Alike], now: datetime) -> list[Intake]:
    """Take entries in order, with the outcome of `take` one by one, at a fraction of the cost."""
    binds = {mould: mould.entry.active(now) for mould in {each.mould for each in entries}}
    put = unit.put_all(
        [each for each in entries if binds[each.mould]],
        unless=lambda old, new: old.active(now) and _says_as_much(old, new),
    )
    rest = iter(put)
    return [(Intake.KEPT if next(rest) else Intake.STANDS) if binds[each.mould] else Intake.OVER for each in entries]


def present(unit: Unit, scope: Scope, target: str) -> Suppression | None:
    """Return the entry for a target, active or not; None when there is none."""
    is_address = scope is Scope.ADDRESS
    if scope is Scope.STREAM:
        of = stream_of(target)
        found = unit.history(HistoryKey(recipient=of[0].key, stream=of[1])).suppressions if of is not None else ()
    else:
        key = HistoryKey(recipient=target) if is_address else HistoryKey(domain=target)
        found = unit.history(key).suppressions
    return next((each for each in found if each.scope is scope), None)


def _says_as_much(old: Suppression, new: Suppression) -> bool:
    lasts = old.expires_at is None and old.strength is Strength.PERMANENT
    if lasts and old.source is not Source.BOUNCE:
        return True
    return (old.source, old.strength, old.reason, old.expires_at) == (
        new.source,
        new.strength,
        new.reason,
        new.expires_at,
    )
