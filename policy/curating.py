"""What people do to what is remembered: put, release and undo suppressions, cancel, freeze and lift, judge forwards."""

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import evolve

from policy.alike import Alike
from policy.attempt import LATEST
from policy.decision import Scope, Strength
from policy.forward import ForwardState
from policy.history import EntryState, Freeze, Source, Suppression
from policy.shelf import Shelf

_PAGE = 1000  # entries that are looked at together
_STRENGTHS = (Strength.WEAK, Strength.STRONG, Strength.PERMANENT)  # weakest first
# A success or `undo` releases what bounces say; what people say no list takes back.
_FIRMNESS = {Source.BOUNCE: 0, Source.IMPORT: 1, Source.COMPLAINT: 2, Source.UNSUBSCRIBE: 2, Source.MANUAL: 2}


def release(shelf: Shelf, target: str) -> int:
    """Let mail go to the target again; return how many suppressions were not released yet."""
    found = [shelf.suppression(scope, target) for scope in Scope]  # a target is of one scope: its form tells
    held = [each for each in found if each is not None and each.state is not EntryState.RELEASED]
    for each in held:
        shelf.put_suppression(evolve(each, state=EntryState.RELEASED))
    shelf.drop_strikes(target)
    return len(held)


def put(shelf: Shelf, new: Suppression) -> bool:
    """Keep an entry that a person or an import brings; False when one stands against it."""
    old = shelf.suppression(new.scope, new.target)
    if old is not None and stands(old, new, new.since):
        return False
    shelf.put_suppression(new)
    return True


def put_all(
    shelf: Shelf, entries: Sequence[Alike], unless: Callable[[Suppression, Suppression], bool]
) -> Sequence[bool]:
    """Put entries in order unless an old one speaks against it, with one look-up and one writing for all of them."""
    if shelf.put_new(entries):
        return [True] * len(entries)
    held: dict[tuple[str, str], Suppression] = {}
    for scope in Scope:
        targets = [each.target for each in entries if each.mould.scope == scope.value]
        held.update(((scope.value, key), old) for key, old in shelf.suppressions_of(scope, targets).items())
    kept: dict[tuple[str, str], Alike] = {}
    answers = []
    for new in entries:
        place = new.mould.scope, new.target
        newer = kept.get(place)
        old = held.get(place) if newer is None else newer.whole
        puts = old is None or not unless(old, new.whole)
        if puts:
            kept[place] = new
        answers.append(puts)
    shelf.put_suppressions(kept.values())
    return answers


def undo(
    shelf: Shelf,
    *,
    since: datetime,
    provider: str | None,
    rule: str | None,
    now: datetime,
    after: Suppression | None = None,
    count: int | None = None,
) -> list[Suppression]:
    """Release what bounces have suppressed since then; return it as it was, by (since, target).

    Args:
        after, count: of those behind an entry, by `young_order`, about so many; None: all.
    """
    undone: list[Suppression] = []
    while count is None or len(undone) < count:
        page = shelf.young_suppressions(since, after, _PAGE)
        meant = [
            each
            for each in page
            if each.source is Source.BOUNCE
            and each.active(now)
            and provider in (None, each.provider)
            and rule in (None, each.rule.id)
        ]
        for each in meant:
            shelf.put_suppression(evolve(each, state=EntryState.RELEASED))
            shelf.drop_strikes(each.target)
        undone += meant
        if len(page) < _PAGE:
            break
        after = page[-1]
    return sorted(undone, key=lambda each: (each.since, each.target, each.scope.value))


def cancel(shelf: Shelf, target: str, now: datetime) -> bool:
    """End now what holds mail to a destination back; False when nothing does."""
    suspension, throttling = shelf.suspension(target), shelf.throttling(target)
    ended = False
    if suspension is not None and (suspension.active(now) or suspension.rate(now) is not None):
        # what went there before is forgotten, so that nothing has to recover
        shelf.put_suspension(evolve(suspension, until=min(suspension.until, now), well_at=now, usual=0))
        ended = True
    if throttling is not None and throttling.active(now):
        shelf.put_throttling(evolve(throttling, until=now))
        ended = True
    return ended


def freeze(shelf: Shelf, new: Freeze) -> None:
    """Keep a freeze, unless one of the same stands."""
    if shelf.frozen(new.provider) is None:
        shelf.put_freeze(new)


def lift(shelf: Shelf, provider: str) -> Freeze | None:
    """End a freeze; return what it was."""
    found = shelf.frozen(provider)
    if found is not None:
        shelf.drop_freeze(provider)
    return found


def judge(shelf: Shelf, address: str, path: str, state: ForwardState) -> bool:
    """Keep what a person said of a note; False when another path, or none, is noted by now."""
    note = shelf.forward(address)
    if note is None or note.forward_path.quoted != path:
        return False
    shelf.put_forward(evolve(note, state=state))
    return True


def stands(old: Suppression, new: Suppression, now: datetime) -> bool:
    """Does the old entry stand against one that a person or an import brings? A list never weakens what is there.

    What a person or a recipient said for good stands as it is. Otherwise a person's entry replaces any other, and of
    two the stronger one stays, of two as strong the one that lasts longer, then the one that more firmly says so; where
    they are equal, nothing changes.
    """
    if not old.active(now):
        return False
    said = _FIRMNESS[old.source] == _FIRMNESS[Source.MANUAL]
    if said and old.strength is Strength.PERMANENT and old.expires_at is None:
        return True
    if new.source is Source.MANUAL and old.source is not Source.MANUAL:
        return False
    return _weight(old) >= _weight(new)


def _weight(entry: Suppression) -> tuple[int, bool, datetime, int]:
    until = entry.expires_at
    return _STRENGTHS.index(entry.strength), until is None, until or LATEST, _FIRMNESS[entry.source]


def stays(old: Suppression, new: Suppression) -> bool:
    """Does the old entry stand against what an attempt says: still active, and stronger, or as strong and longer?

    What a person or a recipient said stands against what a bounce says.
    """
    if not old.active(new.since):
        return False
    if (old.source is Source.BOUNCE) is not (new.source is Source.BOUNCE):
        return new.source is Source.BOUNCE
    if old.strength is not new.strength:
        return _STRENGTHS.index(old.strength) > _STRENGTHS.index(new.strength)
    return new.expires_at is not None and (old.expires_at is None or old.expires_at > new.expires_at)
