"""What a store may forget once it is old: the rule that every store shares.

What is in force is never forgotten, however old: a suppression that is neither released nor expired, a message that is
not settled (its lines of the ledger stay with it), a suspension that runs. Forward notes, with what a person said of
them, the last success of an address and the guard's watches stay too: they are a row an address or a provider.

A prune walks through the values of one kind by their keys, a few in each unit, so that nobody waits long for it.
"""

from datetime import datetime
from typing import Protocol, TypeAlias, TypeVar

from attrs import frozen

from policy.history import EntryState, PastStrike, PastTrigger, Progress, Suppression, Suspension, Throttling


@frozen(kw_only=True, order=True)
class Line:
    """The keys of a line of the ledger, in its order, and its message."""

    at: datetime
    attempt_id: str
    recipient: str
    message: str


Old: TypeAlias = Line | Progress | PastStrike | PastTrigger | Suppression | Suspension | Throttling
KINDS: dict[str, type[Old]] = {
    "ledger": Line,
    "progress": Progress,
    "strikes": PastStrike,
    "triggers": PastTrigger,
    "suppressions": Suppression,
    "suspensions": Suspension,
    "throttles": Throttling,
}

# What is kept of an address, and can be erased; `guard`: watches that remember it.
ERASED = ("ledger", "progress", "strikes", "successes", "forwards", "guard", "suppressions")

_T = TypeVar("_T", bound=Old)


class Attic(Protocol):
    """The places of one open unit, as a prune walks through them."""

    def page(self, kind: type[_T], after: _T | None, count: int) -> list[_T]:
        """Return the first `count` values behind `after`, by key; lines of the ledger by time and then by key."""

    def drop(self, value: Old) -> None:
        """Remove the value under this one's key."""

    def progress(self, message: str, recipient: str) -> Progress | None: ...


@frozen
class Pruned:
    """What one step of a prune has done.

    Args:
        removed: how many values.
        last: where the next step goes on; None: there is none.
    """

    removed: int
    last: Old | None


def prune(attic: Attic, kind: type[Old], *, before: datetime, after: Old | None, count: int) -> Pruned:
    """Remove what is older than `before` among the next `count` values of a kind."""
    page = attic.page(kind, after, count)
    old = [each for each in page if is_old(each, before) and not _is_unsettled(attic, each)]
    for each in old:
        attic.drop(each)
    done = len(page) < count or (isinstance(page[-1], Line) and page[-1].at >= before)
    return Pruned(len(old), None if done else page[-1])


def is_old(value: Old, before: datetime) -> bool:
    """Was the value over before that time?

    Of a suppression that was released only the beginning is known, and counts.
    """
    match value:
        case Line(at=at) | PastStrike(at=at) | PastTrigger(at=at):
            return at < before
        case Progress():
            return value.final and value.last_at < before
        case Suspension() | Throttling():
            return value.until < before
        case Suppression(state=EntryState.RELEASED):
            return value.since < before
        case Suppression():
            return value.expires_at is not None and value.expires_at < before


def _is_unsettled(attic: Attic, value: Old) -> bool:
    if not isinstance(value, Line):
        return False
    progress = attic.progress(value.message, value.recipient)
    return progress is not None and not progress.final
