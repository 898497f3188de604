"""What an operator asks of a store: how much it keeps, from when on, in which schema."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from attrs import frozen

from adapters.stores.cells import moment

# What is counted, and the table that it is in.
COUNTED = {
    "ledger": "ledger",
    "progress": "progress",
    "successes": "success",
    "strikes": "strike",
    "suppressions": "suppression",
    "suspensions": "suspension",
    "throttles": "throttling",
    "freezes": "frozen",
    "triggers": "past_trigger",
    "watches": "watch",
    "forwards": "forward",
}


class BackupRefused(Exception):
    """No backup is made; one line says why, and what to do instead."""


@frozen(kw_only=True)
class StoreFacts:
    """How much a store keeps.

    Args:
        kind: the scheme of its URL; name: what messages call it.
        schema: the version that it has; current: the one that this program writes. None: it has none.
        size: in bytes; None where it takes no room on a disk.
        oldest, newest: times of the ledger's first and last line; None when there is none.
    """

    kind: str
    name: str
    schema: int | None = None
    current: int | None = None
    size: int | None = None
    counts: dict[str, int]
    oldest: datetime | None
    newest: datetime | None


def row_facts(ask: Callable[[str], Any], tables: Collection[str], **known: Any) -> StoreFacts:
    """Ask a store of rows, of whatever schema.

    Args:
        ask: returns the one value that a query finds.
        tables: those that there are; an older schema has fewer.
        known: the rest of the facts.
    """
    counts = {
        name: int(ask(f"SELECT count(*) FROM {table}")) if table in tables else 0  # noqa: S608 - our names
        for name, table in COUNTED.items()
    }
    # One after the other: SQLite answers each of them by the index, and both together by reading everything.
    ends = [ask(f"SELECT {end}(at) FROM ledger") if "ledger" in tables else None for end in ("min", "max")]  # noqa: S608
    oldest, newest = (None if at is None else moment(at) for at in ends)
    return StoreFacts(counts=counts, oldest=oldest, newest=newest, **known)
