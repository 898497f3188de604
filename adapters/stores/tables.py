"""The tables of a store of rows: how the rows of many keys are found in one statement, and how one is kept.

SQL of all databases here; places of values are written `?`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from adapters.stores.cells import micros, moment
from adapters.stores.kept_entries import entry_of, row_of
from policy.contract.entry import dump, load
from policy.diagnosis.category import Category
from policy.guard import Watch
from policy.history import (
    STRIKES_KEPT,
    TRIGGERS_KEPT,
    Entry,
    ForwardNote,
    Freeze,
    Learned,
    PastStrike,
    PastTrigger,
    Progress,
    Suppression,
    Suspension,
    Throttling,
)
from policy.throttle import Traffic

_T = TypeVar("_T")
Key = tuple[str, ...]
Question = tuple[str, Sequence[str | int]]  # a query, and the values for its places


@frozen(eq=False)
class Table(Generic[_T]):
    """One table.

    Args:
        keys: the columns of its primary key; columns: the others, the last of them holds the value.
        row: the columns of a value after those of its key.
        read: the value, from the columns of its key and `cells`.
        cells: what is read besides the key; when empty, the last column.
    """

    name: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    row: Callable[[_T], tuple[str | int, ...]] = field(repr=False)
    read: Callable[[Any], _T] = field(repr=False)
    cells: tuple[str, ...] = ()
    put: str = field(init=False, repr=False)
    one: str = field(init=False, repr=False)  # the query for the row of one key

    @one.default
    def _one(self) -> str:
        columns = ", ".join((*self.keys, *(self.cells or self.columns[-1:])))
        ours = " AND ".join(f"{each} = ?" for each in self.keys)
        return f"SELECT {columns} FROM {self.name} WHERE {ours}"  # noqa: S608 - our names

    @put.default
    def _upsert(self) -> str:
        names = *self.keys, *self.columns
        news = ", ".join(f"{each} = excluded.{each}" for each in self.columns)
        places = ", ".join("?" * len(names))
        start = f"INSERT INTO {self.name} ({', '.join(names)}) VALUES ({places})"  # noqa: S608 - our names
        return f"{start} ON CONFLICT ({', '.join(self.keys)}) DO UPDATE SET {news}"

    def found(self, keys: Sequence[Key]) -> Question:
        """The question for the rows of these keys: (the key's columns, `cells`); `_rounded` says for how many."""
        if len(keys) == 1:
            return self.one, keys[0]
        room = _rounded(len(keys))
        values = [part for key in keys for part in key] + [*keys[-1]] * (room - len(keys))
        return _found(self.name, self.keys, self.cells or self.columns[-1:], room), values


@lru_cache(maxsize=256)
def _found(table: str, keys: tuple[str, ...], cells: tuple[str, ...], room: int) -> str:
    columns = ", ".join((*keys, *cells))
    one = f"({', '.join('?' * len(keys))})"
    ours = " AND ".join(f"{each} = column{place}" for place, each in enumerate(keys, 1))
    # A join in this order: SQLite scans the whole table for `(a, b) IN (VALUES ...)`.
    wanted = f"(VALUES {', '.join([one] * room)}) AS wanted"
    return f"SELECT {columns} FROM {wanted} CROSS JOIN {table} WHERE {ours}"  # noqa: S608 - our names


@frozen(eq=False)
class Pile(Generic[_T]):
    """A table of many rows a target, of which only the newest count.

    Args:
        columns: those after the target's, of which the last is the time; names: how many of them are of the key.
        height: how many count.
        read: one row, from its target and those columns.
    """

    name: str
    columns: tuple[str, ...]
    names: int
    height: int
    read: Callable[..., _T] = field(repr=False)

    def newest(self, target: str) -> Question:
        """The question for the rows that count."""
        order = ", ".join(f"{each} DESC" for each in (self.columns[-1], *self.columns[: self.names]))
        query = f"SELECT {', '.join(self.columns)} FROM {self.name} WHERE target = ? ORDER BY {order} LIMIT ?"  # noqa: S608 - our names
        return query, (target, self.height)

    def having(self, targets: Sequence[str]) -> Question:
        """The question which of these targets have any row."""
        room = _rounded(len(targets))
        return _having(self.name, room), [*targets, *[targets[-1]] * (room - len(targets))]


@lru_cache(maxsize=64)
def _having(table: str, room: int) -> str:
    wanted = f"(VALUES {', '.join(['(?)'] * room)}) AS wanted"
    any_row = f"SELECT 1 FROM {table} WHERE target = column1"  # noqa: S608 - our names
    return f"SELECT column1 FROM {wanted} WHERE EXISTS ({any_row})"  # noqa: S608 - our names


def _rounded(count: int) -> int:
    """A power of two, so that there are few statements to prepare."""
    return 1 << (count - 1).bit_length()


def _valued(name: str, keys: tuple[str, ...], kind: type[_T]) -> Table[_T]:
    return Table(name, keys, ("value",), lambda value: (dump(value),), _loading(kind))


def _since(name: str, keys: tuple[str, ...], kind: type[_T]) -> Table[_T]:
    """One that is listed in the order of time."""
    return Table(
        name,
        keys,
        ("since", "value"),
        lambda value: (micros(value.since), dump(value)),  # type: ignore[attr-defined]
        _loading(kind),
    )


def _loading(kind: type[_T]) -> Callable[[Any], _T]:
    return lambda row: load(row[-1], kind)


LEDGER: Table[Entry] = Table(
    "ledger",
    ("attempt_id", "recipient"),
    ("at", "domain", "message", "value"),
    lambda entry: (micros(entry.at), entry.recipient.rpartition("@")[2], entry.progress.message, dump(entry)),
    _loading(Entry),
)
PROGRESS = _valued("progress", ("message", "recipient"), Progress)
SUCCESS: Table[datetime] = Table("success", ("target",), ("at",), lambda at: (micros(at),), lambda row: moment(row[-1]))
SUPPRESSION: Table[Suppression] = Table(
    "suppression",
    ("scope", "target"),
    ("since", "value"),
    row_of,
    entry_of,
    ("since", "value"),
)
SUSPENSION = _since("suspension", ("target",), Suspension)
THROTTLING = _since("throttling", ("target",), Throttling)
TRAFFIC = _valued("traffic", ("target",), Traffic)
LEARNED = _valued("learned", ("domain",), Learned)
FROZEN = _valued("frozen", ("provider",), Freeze)
WATCH = _valued("watch", ("key",), Watch)
FORWARD = _since("forward", ("address",), ForwardNote)


def _strike(target: str, message: str, reason: str, at: int) -> PastStrike:
    return PastStrike(
        target=target, message=message, reason=_REASONS.get(reason) or load(reason, Category), at=moment(at)
    )


def _trigger(target: str, rule: str, attempt: str, nth: int, at: int) -> PastTrigger:
    return PastTrigger(target=target, rule=rule, attempt=attempt, nth=nth, at=moment(at))


_REASONS = {dump(each): each for each in Category}  # a look-up reads up to 64 of them
STRIKES = Pile("strike", ("message", "reason", "at"), 2, STRIKES_KEPT, _strike)
TRIGGERS = Pile("past_trigger", ("rule", "attempt", "nth", "at"), 2, TRIGGERS_KEPT, _trigger)
