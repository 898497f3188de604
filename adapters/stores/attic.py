"""How a prune walks through rows: a page of a table by its primary key, and the row of one value removed."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from attrs import frozen

from adapters.stores.cells import loaded, micros, moment
from adapters.stores.kept_entries import ENTRY
from adapters.stores.lists import listed_value
from adapters.stores.tables import WATCH, Question
from policy.contract.entry import dump
from policy.diagnosis.category import Category
from policy.guard import Watch, without
from policy.history import (
    PastStrike,
    PastTrigger,
    Progress,
    Suppression,
    Suspension,
    Throttling,
    stream_target,
)
from policy.retention import Line, Old

_T = TypeVar("_T", bound=Old)
_Keys: TypeAlias = tuple[str | int, ...]


@frozen
class _Table:
    """Where the values of a kind are.

    Args:
        order: columns that no two rows share, with an index.
        cells: columns that a value is made of.
        place: what a value has in `order`; value: what `cells` say, given the store's name for its messages.
    """

    name: str
    order: str
    cells: str
    place: Callable[[Any], _Keys]
    value: Callable[[Any, str], Old]

    def page(self, after: Old | None, count: int) -> tuple[str, _Keys]:
        """The query for the values behind one, and what stands in its places."""
        keys = () if after is None else self.place(after)
        behind = f"WHERE ({self.order}) > ({', '.join('?' * len(keys))}) " if keys else ""
        return f"SELECT {self.cells} FROM {self.name} {behind}ORDER BY {self.order} LIMIT ?", (*keys, count)  # noqa: S608 - our names

    def drop(self, value: Old) -> tuple[str, _Keys]:
        """The statement that removes a value's row, and what stands in its places."""
        keys = self.place(value)
        return f"DELETE FROM {self.name} WHERE ({self.order}) = ({', '.join('?' * len(keys))})", keys  # noqa: S608 - our names


def _whole(kind: type[_T]) -> Callable[[Any, str], _T]:
    return lambda row, name: loaded(row[0], kind, name)


_TABLES: dict[type[Any], _Table] = {
    Line: _Table(
        "ledger",
        "at, attempt_id, recipient",
        "at, attempt_id, recipient, message",
        lambda each: (micros(each.at), each.attempt_id, each.recipient),
        # A row of which no message can be read belongs to none that waits.
        lambda row, _: Line(at=moment(row[0]), attempt_id=row[1], recipient=row[2], message=row[3] or ""),
    ),
    Progress: _Table(
        "progress", "message, recipient", "value", lambda each: (each.message, each.recipient), _whole(Progress)
    ),
    PastStrike: _Table(
        "strike",
        "target, message, reason",
        "target, message, reason, at",
        lambda each: (each.target, each.message, dump(each.reason)),
        lambda row, name: PastStrike(
            target=row[0], message=row[1], reason=loaded(row[2], Category, name), at=moment(row[3])
        ),
    ),
    PastTrigger: _Table(
        "past_trigger",
        "target, rule, attempt",
        "target, rule, attempt, at, nth",
        lambda each: (each.target, each.rule, each.attempt),
        lambda row, _: PastTrigger(target=row[0], rule=row[1], attempt=row[2], at=moment(row[3]), nth=row[4]),
    ),
    Suppression: _Table(
        "suppression",
        "scope, target",
        ENTRY,
        lambda each: (each.scope.value, each.target),
        lambda row, name: listed_value(Suppression, row, name),
    ),
    Suspension: _Table("suspension", "target", "value", lambda each: (each.target,), _whole(Suspension)),
    Throttling: _Table("throttling", "target", "value", lambda each: (each.target,), _whole(Throttling)),
}


# Where rows of one address are; `?` is its key, or what the targets of its streams begin with.
_OF_ADDRESS = {
    "ledger": ("ledger", "recipient = ?"),
    "progress": ("progress", "recipient = ?"),
    "strikes": ("strike", "target = ?"),
    "successes": ("success", "target = ?"),
    "forwards": ("forward", "address = ?"),
}
_OF_LIST = (
    ("suppression", "scope = 'address' AND target = ?"),
    ("suppression", "scope = 'stream' AND substr(target, 1, length(?)) = ?"),
)


class RowAttic:
    """The methods of `policy.retention.Attic` over `answers` and `write`."""

    name: str  # of the store, as its messages show it

    @abstractmethod
    def answers(self, questions: Sequence[Question]) -> list[list[Any]]:
        """Return the rows that each question finds."""

    @abstractmethod
    def write(self, statement: str, *values: str | int) -> bool:
        """Run a statement that changes rows; say whether it changed any."""

    @abstractmethod
    def forget_all(self) -> None:
        """Write what is not written yet, and know nothing of rows any more."""

    def page(self, kind: type[_T], after: _T | None, count: int) -> list[_T]:
        table = _TABLES[kind]
        self.forget_all()
        (rows,) = self.answers([table.page(after, count)])
        found: Any = [table.value(row, self.name) for row in rows]
        return list(found)

    def drop(self, value: Old) -> None:
        statement, values = _TABLES[type(value)].drop(value)
        self.write(statement, *values)
        self.forget_all()

    def erase(self, recipient: str, *, suppressions: bool) -> dict[str, int]:
        self.forget_all()
        erased = {name: self._erase(*place, recipient) for name, place in _OF_ADDRESS.items()}
        erased["guard"] = self._erase_from_watches(recipient)
        (whole, streams), prefix = _OF_LIST, stream_target(recipient, "")
        erased["suppressions"] = (
            self._erase(*whole, recipient) + self._erase(*streams, prefix, prefix) if suppressions else 0
        )
        self.forget_all()
        return erased

    def _erase(self, table: str, where: str, *values: str) -> int:
        ((count,),) = self.answers([(f"SELECT count(*) FROM {table} WHERE {where}", values)])[0]  # noqa: S608 - our names
        if count:
            self.write(f"DELETE FROM {table} WHERE {where}", *values)  # noqa: S608 - our names
        return int(count)

    def _erase_from_watches(self, recipient: str) -> int:
        (rows,) = self.answers([("SELECT value FROM watch", ())])
        watches = [loaded(row[0], Watch, self.name) for row in rows]
        changed = [each for each in watches if without(each, recipient) is not each]
        for each in changed:
            self.write(WATCH.put, each.key, *WATCH.row(without(each, recipient)))
        return len(changed)
