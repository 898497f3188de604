"""The shelf of a store that keeps rows: which statement keeps and finds which value, in the SQL of all databases here.

Rows hold what is looked up or sorted by in columns (times as microseconds since 1970) and the value itself as the JSON
of `policy.contract.entry`. Places of values are written `?`.
"""

from abc import abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from attrs import frozen

from adapters.stores.attic import RowAttic
from adapters.stores.cells import micros, readable
from adapters.stores.kept_entries import ENTRY, entry_of, rows_of
from adapters.stores.tables import (
    FORWARD,
    FROZEN,
    LEARNED,
    LEDGER,
    PROGRESS,
    STRIKES,
    SUCCESS,
    SUPPRESSION,
    SUSPENSION,
    THROTTLING,
    TRAFFIC,
    TRIGGERS,
    WATCH,
    Key,
    Pile,
    Question,
    Table,
)
from policy.alike import Alike
from policy.contract.entry import dump
from policy.contract.mistake import ContractError
from policy.decision import Scope
from policy.guard import Watch
from policy.history import (
    Entry,
    ForwardNote,
    Freeze,
    HistoryKey,
    Learned,
    PastStrike,
    PastTrigger,
    Progress,
    Suppression,
    Suspension,
    Throttling,
)
from policy.shelf import trigger_order
from policy.shelved import ShelvedUnit
from policy.throttle import Traffic

_T = TypeVar("_T")
_K = TypeVar("_K")


class RowUnit(RowAttic, ShelvedUnit):
    """The unit's face to the engine (the methods of `Unit`) and its shelf (the rest), over `answers` and `write`.

    What the unit has read or put it knows, absence too, and does not ask again: nobody else writes while it is open.
    """

    def __init__(self, name: str) -> None:
        self.name = name  # of the store, as its messages show it
        self._known: dict[Table[Any], dict[Key, Any]] = {each: {} for each in KEYED}
        self._newest: dict[Pile[Any], dict[str, list[Any]]] = {each: {} for each in PILES}
        self._changes = 0

    young = f"SELECT {ENTRY} FROM suppression WHERE since >= ?"  # noqa: S608 - with all that bounces made since

    @abstractmethod
    def answers(self, questions: Sequence[Question]) -> list[list[Any]]:
        """Return the rows that each question finds."""

    @abstractmethod
    def write(self, statement: str, *values: str | int) -> bool:
        """Run a statement that changes rows; say whether it changed any."""

    def write_all(self, statement: str, rows: Iterable[Sequence[str | int]]) -> None:
        """Run a statement for each of the rows."""
        for each in rows:
            self.write(statement, *each)

    @abstractmethod
    def keep(self, table: Table[_T], key: Key, value: _T) -> None:
        """Write the row of a value, when `settle` is called at the latest."""

    @abstractmethod
    def settle(self) -> None:
        """Write what was kept back."""

    @abstractmethod
    def check(self) -> None:
        """Raise what is to be told when the unit has ended, or failed."""

    def foresee(self, attempts: Iterable[Key], keys: Iterable[HistoryKey]) -> None:
        self._make_room()
        wanted = _Wanted.of(attempts, keys)
        self._learn(wanted.rows, wanted.piles)

    def recorded(self, attempt_id: str, recipient: str) -> Entry | None:
        return self._value(LEDGER, attempt_id, recipient)

    def append(self, entry: Entry) -> None:
        if self.recorded(entry.attempt_id, entry.recipient) is not None:
            raise ValueError(f"attempt `{entry.attempt_id}` to `{entry.recipient}` is in the ledger")
        self._put(LEDGER, (entry.attempt_id, entry.recipient), entry)

    def progress(self, message: str, recipient: str) -> Progress | None:
        return self._value(PROGRESS, message, recipient)

    def put_progress(self, progress: Progress) -> None:
        self._put(PROGRESS, (progress.message, progress.recipient), progress)

    def last_success(self, target: str) -> datetime | None:
        return self._value(SUCCESS, target)

    def put_last_success(self, target: str, at: datetime) -> None:
        self._put(SUCCESS, (target,), at)

    def newest_strikes(self, target: str, count: int) -> Iterable[PastStrike]:
        return self._piled(STRIKES, target)[:count]

    def add_strike(self, strike: PastStrike) -> None:
        values = strike.target, strike.message, dump(strike.reason), micros(strike.at)
        self.write("INSERT INTO strike VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", *values)
        self._newest[STRIKES].pop(strike.target, None)

    def drop_strikes(self, target: str) -> None:
        if self._piled(STRIKES, target):
            self.write("DELETE FROM strike WHERE target = ?", target)
            self._newest[STRIKES][target] = []

    def suppression(self, scope: Scope, target: str) -> Suppression | None:
        return self._value(SUPPRESSION, scope.value, target)

    def put_suppression(self, suppression: Suppression) -> None:
        self._put(SUPPRESSION, (suppression.scope.value, suppression.target), suppression)

    def suppressions_of(self, scope: Scope, targets: Sequence[str]) -> Mapping[str, Suppression]:
        self.settle()
        questions = [SUPPRESSION.found([(scope.value, each) for each in part]) for part in _parts(targets, ())]
        rows = (row for lines in self.answers(questions) for row in lines)
        return {row[1]: self._read(entry_of, row) for row in rows}

    def put_suppressions(self, entries: Iterable[Alike]) -> None:
        self.settle()
        self.write_all(SUPPRESSION.put, rows_of(entries))
        self.forget(SUPPRESSION)

    def streams_of(self, address: str) -> Sequence[Suppression]:
        self.settle()
        query = f"SELECT {ENTRY} FROM suppression WHERE scope = ? AND target > ? AND target < ? ORDER BY target"  # noqa: S608
        ends = f"{address}#", f"{address}$"  # the sign after `#`
        (found,) = self.answers([(query, (Scope.STREAM.value, *ends))])
        return [self._read(entry_of, row) for row in found]

    def young_suppressions(
        self, since: datetime, after: Suppression | None = None, count: int | None = None
    ) -> Sequence[Suppression]:
        self.settle()
        query: str = self.young
        values: list[str | int] = [micros(since)]
        if after is not None:
            query += " AND (since, scope, target) > (?, ?, ?)"
            values += [micros(after.since), after.scope.value, after.target]
        if count is not None:
            query += " ORDER BY since, scope, target LIMIT ?"
            values.append(count)
        (found,) = self.answers([(query, values)])
        return [self._read(entry_of, row) for row in found]

    def suspension(self, target: str) -> Suspension | None:
        return self._value(SUSPENSION, target)

    def put_suspension(self, suspension: Suspension) -> None:
        self._put(SUSPENSION, (suspension.target,), suspension)

    def throttling(self, target: str) -> Throttling | None:
        return self._value(THROTTLING, target)

    def put_throttling(self, throttling: Throttling) -> None:
        self._put(THROTTLING, (throttling.target,), throttling)

    def traffic(self, target: str) -> Traffic | None:
        return self._value(TRAFFIC, target)

    def count(self, traffic: Traffic) -> None:
        self._put(TRAFFIC, (traffic.target,), traffic)

    def learned(self, domain: str) -> Learned | None:
        return self._value(LEARNED, domain)

    def learn(self, learned: Learned) -> None:
        self._put(LEARNED, (learned.domain,), learned)

    def frozen(self, provider: str) -> Freeze | None:
        return self._value(FROZEN, provider)

    def put_freeze(self, freeze: Freeze) -> None:
        self._put(FROZEN, (freeze.provider,), freeze)

    def drop_freeze(self, provider: str) -> None:
        self.settle()
        self.write("DELETE FROM frozen WHERE provider = ?", provider)
        self._known[FROZEN][provider,] = None

    def newest_triggers(self, target: str, count: int) -> Iterable[PastTrigger]:
        return self._piled(TRIGGERS, target)[:count]

    def add_trigger(self, trigger: PastTrigger) -> None:
        values = trigger.target, trigger.rule, trigger.attempt, micros(trigger.at), trigger.nth
        is_new = self.write("INSERT INTO past_trigger VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", *values)
        known = self._newest[TRIGGERS].get(trigger.target)
        if known is None or not is_new:
            return
        if known and trigger_order(trigger) < trigger_order(known[0]):
            del self._newest[TRIGGERS][trigger.target]
        else:  # as a rule: nothing need be read again
            self._newest[TRIGGERS][trigger.target] = [trigger, *known[: TRIGGERS.height - 1]]

    def watch_of(self, key: str) -> Watch | None:
        return self._value(WATCH, key)

    def watch(self, watch: Watch) -> None:
        self._put(WATCH, (watch.key,), watch)

    def forward(self, address: str) -> ForwardNote | None:
        return self._value(FORWARD, address)

    def put_forward(self, note: ForwardNote) -> None:
        self._put(FORWARD, (note.address,), note)

    def _put(self, table: Table[_T], key: Key, value: _T) -> None:
        """Keep one row, in place of the one with this key."""
        self._make_room()
        self.keep(table, key, value)
        self._known[table][key] = value

    def _value(self, table: Table[_T], *key: str) -> _T | None:
        self.check()
        known = self._known[table]
        if key not in known:
            self._make_room()
            (rows,) = self.answers([table.found((key,))])
            known[key] = self._read(table.read, rows[0]) if rows else None
        found: _T | None = known[key]
        return found

    def _piled(self, pile: Pile[_T], target: str) -> list[_T]:
        self.check()
        if target not in self._newest[pile]:
            self._learn_newest([(pile, target)])
        return self._newest[pile][target]

    def _learn(self, rows: Mapping[Table[Any], Iterable[Key]], piles: Mapping[Pile[Any], Iterable[str]]) -> None:
        """Read what is not known yet, all in one go."""
        keyed = [(each, part) for each, keys in rows.items() for part in _parts(keys, self._known[each])]
        piled = [(each, part) for each, targets in piles.items() for part in _parts(targets, self._newest[each])]
        if not keyed and not piled:
            return
        questions = [*(table.found(part) for table, part in keyed), *(pile.having(part) for pile, part in piled)]
        found = self.answers(questions)
        for (table, keys), lines in zip(keyed, found[: len(keyed)], strict=True):
            known = self._known[table]
            known.update(dict.fromkeys(keys))
            known.update((row[: len(table.keys)], self._read(table.read, row)) for row in lines)
        for pile, targets in piled:
            self._newest[pile].update((each, []) for each in targets)
        having = zip(piled, found[len(keyed) :], strict=True)
        self._learn_newest([(pile, target) for (pile, _), lines in having for (target,) in dict.fromkeys(lines)])

    def _learn_newest(self, wanted: Sequence[tuple[Pile[Any], str]]) -> None:
        if not wanted:
            return
        found = self.answers([pile.newest(target) for pile, target in wanted])
        for (pile, target), lines in zip(wanted, found, strict=True):
            self._newest[pile][target] = [self._read(pile.read, target, *line) for line in lines]

    def forget(self, table: Table[Any]) -> None:
        """What is known of a table is known no more: many of its rows were written at once."""
        self._known[table].clear()

    def forget_all(self) -> None:
        """Nothing is known any more: rows of any table were removed."""
        self.settle()
        for rows in self._known.values():
            rows.clear()
        for newest in self._newest.values():
            newest.clear()

    def _make_room(self) -> None:
        """A unit may be of any length; what it knows is not."""
        self._changes += 1
        if self._changes % _LOOKED and self._changes > _LOOKED:
            return
        if sum(map(len, self._known.values())) > _ROWS_KNOWN:
            self.forget_all()

    def _read(self, read: Callable[..., _T], *columns: object) -> _T:
        try:
            return read(*columns)
        except ContractError:  # to enter the block each time would cost more than the rest
            with readable(self.name):
                raise


@frozen
class _Wanted:
    """What a group of look-ups will ask for."""

    rows: Mapping[Table[Any], Iterable[Key]]
    piles: Mapping[Pile[Any], Iterable[str]]

    @classmethod
    def of(cls, attempts: Iterable[Key], keys: Iterable[HistoryKey]) -> "_Wanted":
        keys = list(keys)
        recipients = [each.recipient for each in keys if each.recipient is not None]
        names = [name for each in keys for name in each.names]
        domains = [each.domain for each in keys if each.domain is not None]
        destinations = [target for each in keys for target in each.destinations]
        rows: dict[Table[Any], Iterable[Key]] = {
            LEDGER: attempts,
            PROGRESS: [place for each in keys for place in each.messages],
            SUCCESS: [(each,) for each in names],
            SUPPRESSION: [(scope.value, target) for each in keys for scope, target in each.targets],
            SUSPENSION: [(each,) for each in destinations],
            THROTTLING: [(each,) for each in destinations],
            TRAFFIC: [(each,) for each in destinations],
            LEARNED: [(each,) for each in domains],
            FROZEN: [(provider,) for each in keys for provider in each.freezes],
            WATCH: [(watch,) for each in keys for watch in each.watches],
            FORWARD: [(each,) for each in recipients],
        }
        return cls(rows, {STRIKES: names + domains, TRIGGERS: destinations})


def _parts(keys: Iterable[_K], known: Container[_K]) -> Iterator[list[_K]]:
    """The unknown ones among the keys, as many at a time as one statement asks for."""
    unknown = [each for each in dict.fromkeys(keys) if each not in known]
    return (unknown[start : start + _ASKED] for start in range(0, len(unknown), _ASKED))


KEYED: tuple[Table[Any], ...] = (
    LEDGER, PROGRESS, SUCCESS, SUPPRESSION, SUSPENSION, THROTTLING, TRAFFIC, LEARNED, FROZEN, WATCH, FORWARD,
)  # fmt: skip
PILES: tuple[Pile[Any], ...] = (STRIKES, TRIGGERS)
_ASKED = 512
_ROWS_KNOWN = 50_000
_LOOKED = 256  # how seldom it is counted
