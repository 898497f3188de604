"""The shelf of a store that keeps rows: which statement keeps and finds which value, in the SQL of all databases here.

Rows hold what is looked up or sorted by in columns (times as microseconds since 1970) and the value itself as the JSON
of `policy.contract.entry`. Places of values are written `?`.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from policy.alike import Alike
from policy.contract.entry import dump, load
from policy.contract.mistake import ContractError
from policy.contract.moulded import dumps, load_suppression
from policy.decision import Scope
from policy.diagnosis.category import Category
from policy.guard import Watch
from policy.history import Entry, ForwardNote, PastStrike, PastTrigger, Progress, Suppression, Suspension
from policy.ports import StoreUnavailable
from policy.remembering import ShelvedUnit

_T = TypeVar("_T")

_ASKED = 500  # targets in one query

# What the lists of a store read, in their order.
LISTS: dict[type[Any], str] = {
    Suppression: "SELECT value FROM suppression ORDER BY since, target, scope",
    Suspension: "SELECT value FROM suspension ORDER BY since, target",
    Watch: "SELECT value FROM watch ORDER BY key",
    ForwardNote: "SELECT value FROM forward ORDER BY since, address",
    Entry: "SELECT value FROM ledger ORDER BY at, attempt_id, recipient",
}


class RowLists:
    """The lists of a store, over `listed`."""

    @abstractmethod
    def listed(self, kind: type[_T]) -> Iterator[_T]:
        """Read what `LISTS` has of a kind, in a snapshot."""

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

    def entries(self) -> Iterator[Entry]:
        """The ledger, by (at, attempt_id, recipient)."""
        return self.listed(Entry)


class RowUnit(ShelvedUnit):
    """The unit's face to the engine (the methods of `Unit`) and its shelf (the rest), over `rows` and `write`."""

    name: str  # of the store, as its messages show it
    young = "SELECT value FROM suppression WHERE since >= ?"

    @abstractmethod
    def rows(self, query: str, *values: str | int) -> list[Any]:
        """Return what the query finds."""

    @abstractmethod
    def write(self, statement: str, *values: str | int) -> int:
        """Run a statement that changes rows; return how many it changed."""

    def write_all(self, statement: str, rows: Iterable[Sequence[str | int]]) -> None:
        """Run a statement for each of the rows."""
        for each in rows:
            self.write(statement, *each)

    def recorded(self, attempt_id: str, recipient: str) -> Entry | None:
        query = "SELECT value FROM ledger WHERE attempt_id = ? AND recipient = ?"
        return self._value(Entry, query, attempt_id, recipient)

    def append(self, entry: Entry) -> None:
        values = entry.attempt_id, entry.recipient, _micros(entry.at), dump(entry)
        if not self.write("INSERT INTO ledger VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", *values):
            raise ValueError(f"attempt `{entry.attempt_id}` to `{entry.recipient}` is in the ledger")

    def progress(self, message: str, recipient: str) -> Progress | None:
        query = "SELECT value FROM progress WHERE message = ? AND recipient = ?"
        return self._value(Progress, query, message, recipient)

    def put_progress(self, progress: Progress) -> None:
        self._put("progress", {"message": progress.message, "recipient": progress.recipient}, {"value": dump(progress)})

    def last_success(self, target: str) -> datetime | None:
        found = self.rows("SELECT at FROM success WHERE target = ?", target)
        return _moment(found[0][0]) if found else None

    def put_last_success(self, target: str, at: datetime) -> None:
        self._put("success", {"target": target}, {"at": _micros(at)})

    def newest_strikes(self, target: str, count: int) -> Iterable[PastStrike]:
        query = """SELECT message, reason, at FROM strike WHERE target = ?
            ORDER BY at DESC, message DESC, reason DESC LIMIT ?"""
        return [
            PastStrike(target=target, message=message, reason=self._reason(reason), at=_moment(at))
            for message, reason, at in self.rows(query, target, count)
        ]

    def add_strike(self, strike: PastStrike) -> None:
        values = strike.target, strike.message, dump(strike.reason), _micros(strike.at)
        self.write("INSERT INTO strike VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", *values)

    def drop_strikes(self, target: str) -> None:
        self.write("DELETE FROM strike WHERE target = ?", target)

    def suppression(self, scope: Scope, target: str) -> Suppression | None:
        query = "SELECT value FROM suppression WHERE scope = ? AND target = ?"
        return self._value(Suppression, query, scope.value, target)

    def put_suppression(self, suppression: Suppression) -> None:
        keys: dict[str, str | int] = {"scope": suppression.scope.value, "target": suppression.target}
        self._put("suppression", keys, {"since": _micros(suppression.since), "value": dump(suppression)})

    def suppressions_of(self, scope: Scope, targets: Sequence[str]) -> Mapping[str, Suppression]:
        found: dict[str, Suppression] = {}
        for start in range(0, len(targets), _ASKED):
            asked = targets[start : start + _ASKED]
            places = ", ".join("?" * len(asked))
            query = f"SELECT target, value FROM suppression WHERE scope = ? AND target IN ({places})"  # noqa: S608 - ours
            rows = self.rows(query, scope.value, *asked)
            found.update((target, self._loaded(text, Suppression)) for target, text in rows)
        return found

    def put_suppressions(self, entries: Iterable[Alike]) -> None:
        statement = """INSERT INTO suppression (scope, target, since, value) VALUES (?, ?, ?, ?)
            ON CONFLICT (scope, target) DO UPDATE SET since = excluded.since, value = excluded.value"""
        self.write_all(statement, rows_of(entries))

    def young_suppressions(self, since: datetime) -> Iterable[Suppression]:
        found = self.rows(self.young, _micros(since))
        return [self._loaded(text, Suppression) for (text,) in found]

    def suspension(self, target: str) -> Suspension | None:
        return self._value(Suspension, "SELECT value FROM suspension WHERE target = ?", target)

    def put_suspension(self, suspension: Suspension) -> None:
        values: dict[str, str | int] = {"since": _micros(suspension.since), "value": dump(suspension)}
        self._put("suspension", {"target": suspension.target}, values)

    def newest_triggers(self, target: str, count: int) -> Iterable[PastTrigger]:
        query = """SELECT rule, attempt, at FROM past_trigger WHERE target = ?
            ORDER BY at DESC, rule DESC, attempt DESC LIMIT ?"""
        return [
            PastTrigger(target=target, rule=rule, attempt=attempt, at=_moment(at))
            for rule, attempt, at in self.rows(query, target, count)
        ]

    def add_trigger(self, trigger: PastTrigger) -> None:
        values = trigger.target, trigger.rule, trigger.attempt, _micros(trigger.at)
        self.write("INSERT INTO past_trigger VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", *values)

    def watch_of(self, key: str) -> Watch | None:
        return self._value(Watch, "SELECT value FROM watch WHERE key = ?", key)

    def watch(self, watch: Watch) -> None:
        self._put("watch", {"key": watch.key}, {"value": dump(watch)})

    def forward(self, address: str) -> ForwardNote | None:
        return self._value(ForwardNote, "SELECT value FROM forward WHERE address = ?", address)

    def put_forward(self, note: ForwardNote) -> None:
        self._put("forward", {"address": note.address}, {"since": _micros(note.since), "value": dump(note)})

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


def loaded(text: str, kind: type[_T], name: str) -> _T:
    """Read a kept value.

    Raises:
        StoreUnavailable: when it is damaged, or of a version that knows more; `name` is the store's.
    """
    try:
        return load_suppression(text) if kind is Suppression else load(text, kind)  # type: ignore[return-value]
    except ContractError as error:
        raise StoreUnavailable(f"store `{name}` holds a value that cannot be read: {error}") from error


_REASONS = {dump(each): each for each in Category}  # a look-up reads up to 64 of them
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def rows_of(entries: Iterable[Alike]) -> Iterator[tuple[str, str, int, str]]:
    """What the table keeps of entries: scope, target, time, value."""
    last, at = None, 0
    for (target, since, _, mould), text in dumps(entries):
        if since is not last:
            last, at = since, _micros(since)
        yield mould.scope, target, at, text


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND
