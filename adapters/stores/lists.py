"""The lists of a store of rows: what each reads, and in which order."""

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime
from typing import Any, TypeVar, Unpack

from adapters.stores.cells import loaded, micros, readable
from adapters.stores.kept_entries import ENTRY, entry_of
from policy.guard import Watch
from policy.history import Entry, ForwardNote, Freeze, Suppression, Suspension, Throttling
from policy.ledger import Asked, Cut

_T = TypeVar("_T")

# What the lists of a store read, in their order.
LISTS: dict[type[Any], str] = {
    Suppression: f"SELECT {ENTRY} FROM suppression ORDER BY since, target, scope",  # noqa: S608 - our names
    Suspension: "SELECT value FROM suspension ORDER BY since, target",
    Freeze: "SELECT value FROM frozen ORDER BY provider",
    Throttling: "SELECT value FROM throttling ORDER BY since, target",
    Watch: "SELECT value FROM watch ORDER BY key",
    ForwardNote: "SELECT value FROM forward ORDER BY since, address",
    Entry: "SELECT value FROM ledger ORDER BY at, attempt_id, recipient",
}


def listed_value(kind: type[_T], row: tuple[Any, ...], name: str) -> _T:
    """Return what a row that was listed holds.

    Raises:
        StoreUnavailable: when it is damaged; `name` is the store's.
    """
    if kind is not Suppression:
        return loaded(row[0], kind, name)
    with readable(name):
        found: Any = entry_of(row)
    return found  # type: ignore[no-any-return]


def lines_of(cut: Cut) -> tuple[str, list[str | int]]:
    """Return the query for the lines of the ledger that are meant, and what stands in its places."""
    asked: list[tuple[str, list[str | int]]] = [
        (f"{column} = ?", [value])
        for column in ("recipient", "domain", "message", "attempt_id")
        if (value := getattr(cut, column.removesuffix("_id"))) is not None
    ]
    if cut.since is not None:
        asked.append(("at >= ?", [micros(cut.since)]))
    if cut.until is not None:
        asked.append(("at < ?", [micros(cut.until)]))
    if cut.after is not None:
        at, attempt_id, recipient = cut.after
        asked.append(("(at, attempt_id, recipient) > (?, ?, ?)", [micros(at), attempt_id, recipient]))
    where = " WHERE " * bool(asked) + " AND ".join(condition for condition, _ in asked)
    values = [each for _, values in asked for each in values]
    if cut.last is None:
        return LISTS[Entry].replace(" ORDER", f"{where} ORDER"), values
    newest = f"SELECT * FROM ledger{where} ORDER BY at DESC, attempt_id DESC, recipient DESC LIMIT ?"  # noqa: S608
    return LISTS[Entry].replace("ledger", f"({newest}) AS newest"), [*values, cut.last]


class RowLists:
    """The lists of a store, over `listed`."""

    @abstractmethod
    def listed(self, kind: type[_T], query: str = "", *values: str | int) -> Iterator[_T]:
        """Read what the query finds of a kind, in a snapshot; without one, what `LISTS` has."""

    def suppressions(self, *, since: datetime | None = None) -> Iterator[Suppression]:
        """All entries from then on, expired ones too, by (since, target)."""
        if since is None:
            return self.listed(Suppression)
        return self.listed(Suppression, LISTS[Suppression].replace(" ORDER", " WHERE since >= ? ORDER"), micros(since))

    def suspensions(self) -> Iterator[Suspension]:
        """All of them, past ones too, by (since, target)."""
        return self.listed(Suspension)

    def freezes(self) -> Iterator[Freeze]:
        """All that stand, by provider."""
        return self.listed(Freeze)

    def throttlings(self) -> Iterator[Throttling]:
        """All of them, past ones too, by (since, target)."""
        return self.listed(Throttling)

    def watches(self) -> Iterator[Watch]:
        """All that the guard remembers, by key."""
        return self.listed(Watch)

    def forwards(self) -> Iterator[ForwardNote]:
        """All notes, by (since, address)."""
        return self.listed(ForwardNote)

    def entries(self, **asked: Unpack[Asked]) -> Iterator[Entry]:
        """The lines of the ledger that are meant, by (at, attempt_id, recipient)."""
        query, values = lines_of(Cut(**asked))
        return self.listed(Entry, query, *values)
