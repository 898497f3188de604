"""What people do to what is remembered: put, release and undo suppressions, cancel, freeze and lift, judge forwards."""

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import evolve

from policy.alike import Alike
from policy.decision import Scope, Strength
from policy.forward import ForwardState
from policy.history import EntryState, Freeze, Source, Suppression
from policy.shelf import Shelf

_STRENGTHS = (Strength.WEAK, Strength.STRONG, Strength.PERMANENT)  # weakest first


def release(shelf: Shelf, target: str) -> int:
    """Let mail go to the target again; return how many suppressions were not released yet."""
    found = [shelf.suppression(scope, target) for scope in Scope]  # a target is of one scope: its form tells
    held = [each for each in found if each is not None and each.state is not EntryState.RELEASED]
    for each in held:
        shelf.put_suppression(evolve(each, state=EntryState.RELEASED))
    shelf.drop_strikes(target)
    return len(held)


def put(shelf: Shelf, new: Suppression) -> bool:
    """Keep an entry of a person's; False when one stands against it."""
    old = shelf.suppression(new.scope, new.target)
    if old is not None and stays(old, new):
        return False
    shelf.put_suppression(new)
    return True


def put_all(
    shelf: Shelf, entries: Sequence[Alike], unless: Callable[[Suppression, Suppression], bool]
) -> Sequence[bool]:
    """Put entries in order, as `put` does one by one, with one look-up and one writing for all of them."""
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
        stands = old is not None and (unless(old, whole := new.whole) or stays(old, whole))
        if not stands:
            kept[place] = new
        answers.append(not stands)
    shelf.put_suppressions(kept.values())
    return answers


def undo(shelf: Shelf, *, since: datetime, provider: str | None, rule: str | None, now: datetime) -> list[Suppression]:
    """Release what bounces have suppressed since then; return it as it was, by (since, target)."""
    meant = [
        each
        for each in shelf.young_suppressions(since)
        if each.source is Source.BOUNCE
        and each.active(now)
        and provider in (None, each.provider)
        and rule in (None, each.rule.id)
    ]
    for each in meant:
        shelf.put_suppression(evolve(each, state=EntryState.RELEASED))
        shelf.drop_strikes(each.target)
    return sorted(meant, key=lambda each: (each.since, each.target, each.scope.value))


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


def stays(old: Suppression, new: Suppression) -> bool:
    """Does the old entry stand against the new one: still active, and stronger, or as strong and longer?

    What a person or a recipient said stands against what a bounce says.
    """
    if not old.active(new.since):
        return False
    if (old.source is Source.BOUNCE) is not (new.source is Source.BOUNCE):
        return new.source is Source.BOUNCE
    if old.strength is not new.strength:
        return _STRENGTHS.index(old.strength) > _STRENGTHS.index(new.strength)
    return new.expires_at is not None and (old.expires_at is None or old.expires_at > new.expires_at)
