"""The shelf of a store that keeps rows: which statement keeps and finds which value, in the SQL of all databases here.

Rows hold what is looked up or sorted by in columns, and the value itself (see `adapters.stores.cells`). Places of
values are written `?`.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar, Unpack

from adapters.stores.attic import RowAttic
from adapters.stores.cells import loaded, micros, moment
from policy.contract.entry import dump
from policy.decision import Scope
from policy.diagnosis.category import Category
from policy.guard import Watch
from policy.history import Entry, ForwardNote, PastStrike, PastTrigger, Progress, Suppression, Suspension
from policy.ledger import Asked, Cut
from policy.remembering import ShelvedUnit

_T = TypeVar("_T")

# What the lists of a store read, in their order.
LISTS: dict[type[Any], str] = {
    Suppression: "SELECT value FROM suppression ORDER BY since, target, scope",
    Suspension: "SELECT value FROM suspension ORDER BY since, target",
    Watch: "SELECT value FROM watch ORDER BY key",
    ForwardNote: "SELECT value FROM forward ORDER BY since, address",
    Entry: "SELECT value FROM ledger ORDER BY at, attempt_id, recipient",
}


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

    def suppressions(self) -> Iterator[Suppression]:
        """All entries, expired ones too, by (since, target)."""
        return self.listed(Suppression)

    def suspensions(self) -> Iterator[Suspension]:
        """All of them, past ones too, by (since, target)."""
        return self.listed(Suspension)

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


class RowUnit(RowAttic, ShelvedUnit):
    """The unit's face to the engine (the methods of `Unit`) and its shelf (the rest), over `rows` and `write`."""

    def recorded(self, attempt_id: str, recipient: str) -> Entry | None:
        query = "SELECT value FROM ledger WHERE attempt_id = ? AND recipient = ?"
        return self._value(Entry, query, attempt_id, recipient)

    def append(self, entry: Entry) -> None:
        values = entry.attempt_id, entry.recipient, micros(entry.at), dump(entry)
        if not self.write("INSERT INTO ledger VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", *values):
            raise ValueError(f"attempt `{entry.attempt_id}` to `{entry.recipient}` is in the ledger")

    def progress(self, message: str, recipient: str) -> Progress | None:
        query = "SELECT value FROM progress WHERE message = ? AND recipient = ?"
        return self._value(Progress, query, message, recipient)

    def put_progress(self, progress: Progress) -> None:
        self._put("progress", {"message": progress.message, "recipient": progress.recipient}, {"value": dump(progress)})

    def last_success(self, target: str) -> datetime | None:
        found = self.rows("SELECT at FROM success WHERE target = ?", target)
        return moment(found[0][0]) if found else None

    def put_last_success(self, target: str, at: datetime) -> None:
        self._put("success", {"target": target}, {"at": micros(at)})

    def newest_strikes(self, target: str, count: int) -> Iterable[PastStrike]:
        query = """SELECT message, reason, at FROM strike WHERE target = ?
            ORDER BY at DESC, message DESC, reason DESC LIMIT ?"""
        return [
            PastStrike(target=target, message=message, reason=self._reason(reason), at=moment(at))
            for message, reason, at in self.rows(query, target, count)
        ]

    def add_strike(self, strike: PastStrike) -> None:
        values = strike.target, strike.message, dump(strike.reason), micros(strike.at)
        self.write("INSERT INTO strike VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", *values)

    def drop_strikes(self, target: str) -> None:
        self.write("DELETE FROM strike WHERE target = ?", target)

    def suppression(self, scope: Scope, target: str) -> Suppression | None:
        query = "SELECT value FROM suppression WHERE scope = ? AND target = ?"
        return self._value(Suppression, query, scope.value, target)

    def put_suppression(self, suppression: Suppression) -> None:
        keys: dict[str, str | int] = {"scope": suppression.scope.value, "target": suppression.target}
        self._put("suppression", keys, {"since": micros(suppression.since), "value": dump(suppression)})

    def young_suppressions(self, since: datetime) -> Iterable[Suppression]:
        found = self.rows("SELECT value FROM suppression WHERE since >= ?", micros(since))
        return [self._loaded(text, Suppression) for (text,) in found]

    def suspension(self, target: str) -> Suspension | None:
        return self._value(Suspension, "SELECT value FROM suspension WHERE target = ?", target)

    def put_suspension(self, suspension: Suspension) -> None:
        values: dict[str, str | int] = {"since": micros(suspension.since), "value": dump(suspension)}
        self._put("suspension", {"target": suspension.target}, values)

    def newest_triggers(self, target: str, count: int) -> Iterable[PastTrigger]:
        query = """SELECT rule, attempt, at FROM past_trigger WHERE target = ?
            ORDER BY at DESC, rule DESC, attempt DESC LIMIT ?"""
        return [
            PastTrigger(target=target, rule=rule, attempt=attempt, at=moment(at))
            for rule, attempt, at in self.rows(query, target, count)
        ]

    def add_trigger(self, trigger: PastTrigger) -> None:
        values = trigger.target, trigger.rule, trigger.attempt, micros(trigger.at)
        self.write("INSERT INTO past_trigger VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", *values)

    def watch_of(self, key: str) -> Watch | None:
        return self._value(Watch, "SELECT value FROM watch WHERE key = ?", key)

    def watch(self, watch: Watch) -> None:
        self._put("watch", {"key": watch.key}, {"value": dump(watch)})

    def forward(self, address: str) -> ForwardNote | None:
        return self._value(ForwardNote, "SELECT value FROM forward WHERE address = ?", address)

    def put_forward(self, note: ForwardNote) -> None:
        self._put("forward", {"address": note.address}, {"since": micros(note.since), "value": dump(note)})

    def _put(self, table: str, keys: dict[str, str | int], values: dict[str, str | int]) -> None:
        """Keep one row, in place of the one with these keys."""
        names, places = ", ".join(keys | values), ", ".join("?" * len(keys | values))
        news = ", ".join(f"{each} = excluded.{each}" for each in values)
        upsert = f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {news}"
        self.write(f"INSERT INTO {table} ({names}) VALUES ({places}) {upsert}", *(keys | values).values())  # noqa: S608 - our names

    def _value(self, kind: type[_T], query: str, *keys: str) -> _T | None:
        found = self.rows(query, *keys)
        return self._loaded(found[0][0], kind) if found else None

    def _reason(self, text: str) -> Category:
        return _REASONS.get(text) or self._loaded(text, Category)

    def _loaded(self, text: str, kind: type[_T]) -> _T:
        return loaded(text, kind, self.name)


_REASONS = {dump(each): each for each in Category}  # a look-up reads up to 64 of them
