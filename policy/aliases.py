"""What is kept of one recipient under several names (see `policy.veil`), read as if there had been one name all along.

Names come newest first. What is kept under one was written before anything under a newer one. So what a newer name
knows came later, and does to what is older what it would have done under one name: a delivery takes strikes and a
weak entry back, an entry replaces another one or stands behind it. Nothing is moved: it is read so.
"""

from collections.abc import Sequence

from attrs import evolve

from policy.curating import stays
from policy.decision import Scope, Strength
from policy.diagnosis.category import Category
from policy.history import (
    STRIKES_KEPT,
    EntryState,
    HistoryKey,
    PastStrike,
    Progress,
    Source,
    Suppression,
    stream_target,
)
from policy.shelf import Shelf, strike_order


def progress(shelf: Shelf, key: HistoryKey) -> Progress | None:
    """How far the message is, under the first name that has any."""
    found = (shelf.progress(message, name) for message, name in key.messages)
    return next((each for each in found if each is not None), None)


def strikes(shelf: Shelf, key: HistoryKey) -> tuple[PastStrike, ...]:
    """The newest `STRIKES_KEPT` strikes of the recipient, and of its domain, oldest first.

    Those of the key's message are under the id that it has now: one message strikes once for one reason.
    """
    kept: list[PastStrike] = []
    for name in reversed(key.names):
        kept = [each for each in kept if not _taken_back(shelf, name, each)]
        kept += sorted(shelf.newest_strikes(name, STRIKES_KEPT), key=strike_order)
    domain = [] if key.domain is None else sorted(shelf.newest_strikes(key.domain, STRIKES_KEPT), key=strike_order)
    return tuple(sorted([*_newest(kept, key), *_newest(domain, key)], key=strike_order))


def _newest(kept: list[PastStrike], key: HistoryKey) -> list[PastStrike]:
    """Of one target, in the order in which they were kept."""
    if not key.aliases:
        return kept
    ids, first = {message for message, _ in key.messages}, dict[tuple[str, Category], PastStrike]()
    for each in kept:
        message = key.message if key.message is not None and each.message in ids else each.message
        first.setdefault((message, each.reason), evolve(each, message=message))
    return sorted(first.values(), key=strike_order)[-STRIKES_KEPT:]


def suppressions(shelf: Shelf, key: HistoryKey) -> list[Suppression]:
    """The entries for the address, for its domain and for the stream to it, as far as the key names them."""
    streams = [(stream_target(each, key.stream), each) for each in key.names if each and key.stream]
    found = (
        _entry(shelf, Scope.ADDRESS, [(each, each) for each in key.names]),
        None if key.domain is None else shelf.suppression(Scope.DOMAIN, key.domain),
        _entry(shelf, Scope.STREAM, streams),
    )
    return [each for each in found if each is not None]


def _entry(shelf: Shelf, scope: Scope, targets: Sequence[tuple[str, str]]) -> Suppression | None:
    """The one entry that there would be; `targets` come with the names that they are made of."""
    kept: Suppression | None = None
    for target, name in reversed(targets):
        if kept is not None and scope is Scope.ADDRESS and _shown_wrong(shelf, name, kept):
            kept = evolve(kept, state=EntryState.RELEASED)
        newer = shelf.suppression(scope, target)
        if newer is not None and (kept is None or not stays(kept, newer)):
            kept = newer
    return kept


def _taken_back(shelf: Shelf, name: str, strike: PastStrike) -> bool:
    """Has a delivery, or a release, that is kept under a newer name taken an older one's strike back?"""
    success, entry = shelf.last_success(name), shelf.suppression(Scope.ADDRESS, name)
    released = entry is not None and entry.state is EntryState.RELEASED and strike.at <= entry.since
    return released or (success is not None and strike.at <= success)


def _shown_wrong(shelf: Shelf, name: str, entry: Suppression) -> bool:
    """Has a delivery that is kept under a newer name released an older one's entry?"""
    success = shelf.last_success(name)
    guess = entry.source is Source.BOUNCE and entry.strength is Strength.WEAK and entry.state is EntryState.ACTIVE
    return guess and success is not None and entry.since <= success
