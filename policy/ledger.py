"""Which lines of the ledger are meant, and the order that they stand in.

Stores answer a `Cut` by their indexes; `Cut.lines` says the same of a ledger that is in memory.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias, TypedDict

from attrs import frozen

from policy.history import Entry

Place: TypeAlias = tuple[datetime, str, str]  # (at, attempt_id, recipient), by which the ledger is ordered


class Asked(TypedDict, total=False):
    """The keywords of `Store.entries`, those of a `Cut`; None: any."""

    since: datetime | None
    until: datetime | None
    recipient: str | None
    domain: str | None
    message: str | None
    attempt: str | None
    after: Place | None
    last: int | None


@frozen(kw_only=True)
class Cut:
    """Lines that have all of this; None: any.

    Args:
        since, until: attempts made from the one time on, and before the other.
        recipient: address key; `""` where it is not known.
        domain: the recipient's.
        message: the message's id.
        attempt: the attempt's id.
        after: only what stands behind this place, of a line that was seen.
        last: of these lines only so many, the newest.
    """

    since: datetime | None = None
    until: datetime | None = None
    recipient: str | None = None
    domain: str | None = None
    message: str | None = None
    attempt: str | None = None
    after: Place | None = None
    last: int | None = None

    def lines(self, ledger: Iterable[Entry]) -> list[Entry]:
        """Return the lines that are meant, in order."""
        found = sorted(filter(self._fits, ledger), key=place)
        return found if self.last is None else found[max(len(found) - self.last, 0) :]

    def _fits(self, entry: Entry) -> bool:
        return (
            (self.since is None or self.since <= entry.at)
            and (self.until is None or entry.at < self.until)
            and self.recipient in (None, entry.recipient)
            and self.domain in (None, entry.recipient.rpartition("@")[2])
            and self.message in (None, entry.progress.message)
            and self.attempt in (None, entry.attempt_id)
            and (self.after is None or self.after < place(entry))
        )


def place(entry: Entry) -> Place:
    """Where a line stands in the ledger."""
    return entry.at, entry.attempt_id, entry.recipient
