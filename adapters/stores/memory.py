"""A store in this process' memory, for tests, dry runs and replays; it is gone when the process is.

Each table is a mapping to values that never change. A unit writes into a layer of its own over the tables, which is
merged into them when the block ends and thrown away when it raises; what was dropped is None or empty in a layer.
"""

import heapq
import threading
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, Unpack

import attrs
from attrs import field, frozen

from adapters.stores.facts import COUNTED, BackupRefused, StoreFacts
from policy.decision import Scope
from policy.guard import Watch, without
from policy.history import (
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
    stream_target,
)
from policy.ledger import Asked, Cut
from policy.ports import StoreUnavailable, Unit
from policy.retention import Line, Old
from policy.shelf import strike_order, trigger_order, young_order
from policy.shelved import ShelvedUnit
from policy.throttle import Traffic

_T = TypeVar("_T", bound=Old)


@frozen
class _Tables:
    entries: MutableMapping[tuple[str, str], Entry | None] = field(factory=dict)
    progress: MutableMapping[tuple[str, str], Progress | None] = field(factory=dict)
    successes: MutableMapping[str, datetime | None] = field(factory=dict)
    strikes: MutableMapping[str, Mapping[tuple[str, str], PastStrike]] = field(factory=dict)
    suppressions: MutableMapping[tuple[Scope, str], Suppression | None] = field(factory=dict)
    suspensions: MutableMapping[str, Suspension | None] = field(factory=dict)
    triggers: MutableMapping[str, Mapping[tuple[str, str], PastTrigger]] = field(factory=dict)
    throttlings: MutableMapping[str, Throttling | None] = field(factory=dict)
    traffics: MutableMapping[str, Traffic] = field(factory=dict)
    learned: MutableMapping[str, Learned] = field(factory=dict)
    freezes: MutableMapping[str, Freeze | None] = field(factory=dict)
    watches: MutableMapping[str, Watch] = field(factory=dict)
    forwards: MutableMapping[str, ForwardNote | None] = field(factory=dict)

    def layer(self) -> "_Tables":
        """Return tables that show these and keep what is written to themselves."""
        return _Tables(*(ChainMap[Any, Any]({}, table) for table in self._all()))

    def merge(self, layer: "_Tables") -> None:
        """Take over what was written to `layer`."""
        for table, over in zip(self._all(), layer._all(), strict=True):
            table.update(over.maps[0])
            for key in [key for key, value in over.maps[0].items() if value is None]:
                del table[key]

    def _all(self) -> Iterable[Any]:
        return attrs.astuple(self, recurse=False)


class MemoryStore:
    """A `policy.ports.Store` without a medium: only a closed one is unavailable. Threads may share it."""

    def __init__(self) -> None:
        self._tables = _Tables()
        self._lock = threading.RLock()
        self._open = False  # a unit of this store is open, in the thread that holds the lock
        self._closed = False

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """Open a transaction; other threads' wait for its end. RuntimeError when this thread has one open."""
        with self._lock:
            self._ready()
            if self._open:
                raise RuntimeError("a unit of this store is open in this thread")
            unit = _MemoryUnit(self._tables.layer())
            self._open = True
            try:
                yield unit
                self._tables.merge(unit.end())
            finally:
                self._open = False
                unit.end()

    def suppressions(self, *, since: datetime | None = None) -> Iterator[Suppression]:
        """All entries from then on, expired ones too, by (since, target)."""
        kept = (each for each in self._snapshot(self._tables.suppressions) if since is None or each.since >= since)
        return iter(sorted(kept, key=lambda each: (each.since, each.target, each.scope.value)))

    def suspensions(self) -> Iterator[Suspension]:
        """All of them, past ones too, by (since, target)."""
        return iter(sorted(self._snapshot(self._tables.suspensions), key=lambda each: (each.since, each.target)))

    def freezes(self) -> Iterator[Freeze]:
        """All that stand, by provider."""
        kept = (each for each in self._snapshot(self._tables.freezes) if each is not None)
        return iter(sorted(kept, key=lambda each: each.provider))

    def throttlings(self) -> Iterator[Throttling]:
        """All of them, past ones too, by (since, target)."""
        return iter(sorted(self._snapshot(self._tables.throttlings), key=lambda each: (each.since, each.target)))

    def watches(self) -> Iterator[Watch]:
        """All that the guard remembers, by key."""
        return iter(sorted(self._snapshot(self._tables.watches), key=lambda each: each.key))

    def forwards(self) -> Iterator[ForwardNote]:
        """All notes, by (since, address)."""
        return iter(sorted(self._snapshot(self._tables.forwards), key=lambda each: (each.since, each.address)))

    def entries(self, **asked: Unpack[Asked]) -> Iterator[Entry]:
        """The lines of the ledger that are meant, by (at, attempt_id, recipient)."""
        return iter(Cut(**asked).lines(self._snapshot(self._tables.entries)))

    def schema(self) -> None:
        """Return None: memory has no versions."""

    def facts(self) -> StoreFacts:
        """Say how much is kept."""
        times = [each.at for each in self.entries()]
        kept = attrs.asdict(self._tables, recurse=False)
        counts = {name: len(table) for name, table in kept.items() if name not in ("strikes", "triggers")}
        counts |= {name: sum(map(len, kept[name].values())) for name in ("strikes", "triggers")}
        return StoreFacts(
            kind="memory",
            name="memory:",
            counts={name: counts[_TABLES.get(name, name)] for name in COUNTED},
            oldest=min(times, default=None),
            newest=max(times, default=None),
        )

    def backup(self, target: Path, *, force: bool = False) -> int:  # noqa: ARG002 - as every store is asked
        """Refuse: it would be gone before anybody needs it."""
        raise BackupRefused("`memory:` holds nothing to back up")

    def close(self) -> None:
        """Refuse what comes from now on; a second call does nothing."""
        self._closed = True

    def _snapshot(self, table: Mapping[Any, Any]) -> list[Any]:
        with self._lock:
            self._ready()
            return list(table.values())

    def _ready(self) -> None:
        if self._closed:
            raise StoreUnavailable("store `memory:` is closed")


class _MemoryUnit(ShelvedUnit):
    """The unit's face to the engine (the methods of `Unit`) and its shelf (the rest)."""

    def __init__(self, tables: _Tables) -> None:
        self._layer: _Tables | None = tables

    def end(self) -> _Tables:
        """Return what was written, and let nobody write any more."""
        layer, self._layer = self._layer, None
        return layer or _Tables().layer()

    @property
    def _tables(self) -> _Tables:
        if self._layer is None:
            raise RuntimeError("this unit has ended")
        return self._layer

    def recorded(self, attempt_id: str, recipient: str) -> Entry | None:
        return self._tables.entries.get((attempt_id, recipient))

    def append(self, entry: Entry) -> None:
        key = entry.attempt_id, entry.recipient
        if self._tables.entries.get(key) is not None:
            raise ValueError(f"attempt `{entry.attempt_id}` to `{entry.recipient}` is in the ledger")
        self._tables.entries[key] = entry

    def progress(self, message: str, recipient: str) -> Progress | None:
        return self._tables.progress.get((message, recipient))

    def put_progress(self, progress: Progress) -> None:
        self._tables.progress[progress.message, progress.recipient] = progress

    def last_success(self, target: str) -> datetime | None:
        return self._tables.successes.get(target)

    def put_last_success(self, target: str, at: datetime) -> None:
        self._tables.successes[target] = at

    def newest_strikes(self, target: str, count: int) -> Iterable[PastStrike]:
        return heapq.nlargest(count, self._tables.strikes.get(target, {}).values(), key=strike_order)

    def add_strike(self, strike: PastStrike) -> None:
        kept = self._tables.strikes.get(strike.target, {})
        self._tables.strikes[strike.target] = {(strike.message, strike.reason.value): strike, **kept}

    def drop_strikes(self, target: str) -> None:
        self._tables.strikes[target] = {}

    def suppression(self, scope: Scope, target: str) -> Suppression | None:
        return self._tables.suppressions.get((scope, target))

    def put_suppression(self, suppression: Suppression) -> None:
        self._tables.suppressions[suppression.scope, suppression.target] = suppression

    def streams_of(self, address: str) -> Sequence[Suppression]:
        kept = (each for each in self._tables.suppressions.values() if each is not None and each.scope is Scope.STREAM)
        meant = (each for each in kept if each.target.startswith(f"{address}#"))
        return sorted(meant, key=lambda each: each.target)

    def young_suppressions(
        self, since: datetime, after: Suppression | None = None, count: int | None = None
    ) -> Sequence[Suppression]:
        young = (each for each in self._tables.suppressions.values() if each is not None and each.since >= since)
        if count is None:
            return list(young)
        behind = (each for each in young if after is None or young_order(each) > young_order(after))
        return heapq.nsmallest(count, behind, key=young_order)

    def suspension(self, target: str) -> Suspension | None:
        return self._tables.suspensions.get(target)

    def put_suspension(self, suspension: Suspension) -> None:
        self._tables.suspensions[suspension.target] = suspension

    def throttling(self, target: str) -> Throttling | None:
        return self._tables.throttlings.get(target)

    def put_throttling(self, throttling: Throttling) -> None:
        self._tables.throttlings[throttling.target] = throttling

    def traffic(self, target: str) -> Traffic | None:
        return self._tables.traffics.get(target)

    def count(self, traffic: Traffic) -> None:
        self._tables.traffics[traffic.target] = traffic

    def learned(self, domain: str) -> Learned | None:
        return self._tables.learned.get(domain)

    def learn(self, learned: Learned) -> None:
        self._tables.learned[learned.domain] = learned

    def frozen(self, provider: str) -> Freeze | None:
        return self._tables.freezes.get(provider)

    def put_freeze(self, freeze: Freeze) -> None:
        self._tables.freezes[freeze.provider] = freeze

    def drop_freeze(self, provider: str) -> None:
        self._tables.freezes[provider] = None

    def newest_triggers(self, target: str, count: int) -> Iterable[PastTrigger]:
        return heapq.nlargest(count, self._tables.triggers.get(target, {}).values(), key=trigger_order)

    def add_trigger(self, trigger: PastTrigger) -> None:
        kept = self._tables.triggers.get(trigger.target, {})
        self._tables.triggers[trigger.target] = {(trigger.rule, trigger.attempt): trigger, **kept}

    def watch_of(self, key: str) -> Watch | None:
        return self._tables.watches.get(key)

    def watch(self, watch: Watch) -> None:
        self._tables.watches[watch.key] = watch

    def forward(self, address: str) -> ForwardNote | None:
        return self._tables.forwards.get(address)

    def put_forward(self, note: ForwardNote) -> None:
        self._tables.forwards[note.address] = note

    def page(self, kind: type[_T], after: _T | None, count: int) -> list[_T]:
        order: Callable[[Any], Any] = _ORDERS[kind]
        values: Iterable[Any] = (each for each in self._values(kind) if each is not None)
        behind = (each for each in values if after is None or order(each) > order(after))
        return heapq.nsmallest(count, behind, key=order)

    def _values(self, kind: type[Any]) -> Iterable[Old | None]:
        tables = self._tables
        if kind is Line:
            return map(_line, filter(None, tables.entries.values()))
        if kind in (PastStrike, PastTrigger):
            kept: Any = tables.strikes if kind is PastStrike else tables.triggers
            return (each for values in kept.values() for each in values.values())
        singly: dict[type[Any], Any] = {
            Progress: tables.progress,
            Suppression: tables.suppressions,
            Suspension: tables.suspensions,
            Throttling: tables.throttlings,
        }
        values: Iterable[Old | None] = singly[kind].values()
        return values

    def erase(self, recipient: str, *, suppressions: bool) -> dict[str, int]:
        tables = self._tables
        strikes = tables.strikes.get(recipient, {})
        tables.strikes[recipient] = {}
        watches = [each for each in tables.watches.values() if without(each, recipient) is not each]
        for each in watches:
            tables.watches[each.key] = without(each, recipient)
        of_streams = stream_target(recipient, "")
        entries: list[Any] = [
            (scope, target)
            for scope, target in tables.suppressions
            if (scope is Scope.ADDRESS and target == recipient)
            or (scope is Scope.STREAM and target.startswith(of_streams))
        ]
        return {
            "ledger": _drop(tables.entries, [key for key in tables.entries if key[1] == recipient]),
            "progress": _drop(tables.progress, [key for key in tables.progress if key[1] == recipient]),
            "strikes": len(strikes),
            "successes": _drop(tables.successes, [recipient]),
            "forwards": _drop(tables.forwards, [recipient]),
            "guard": len(watches),
            "suppressions": _drop(tables.suppressions, entries) if suppressions else 0,
        }

    def drop(self, value: Old) -> None:
        tables = self._tables
        match value:
            case Line():
                tables.entries[value.attempt_id, value.recipient] = None
            case Progress():
                tables.progress[value.message, value.recipient] = None
            case PastStrike(target=target):
                tables.strikes[target] = _without(tables.strikes.get(target, {}), value)
            case PastTrigger(target=target):
                tables.triggers[target] = _without(tables.triggers.get(target, {}), value)
            case Suppression():
                tables.suppressions[value.scope, value.target] = None
            case Suspension():
                tables.suspensions[value.target] = None
            case Throttling():
                tables.throttlings[value.target] = None


def _drop(table: MutableMapping[Any, Any], keys: Iterable[Any]) -> int:
    """Drop what is there under these keys; return how much it was."""
    there = [key for key in keys if table.get(key) is not None]
    table.update(dict.fromkeys(there))
    return len(there)


def _line(entry: Entry) -> Line:
    return Line(at=entry.at, attempt_id=entry.attempt_id, recipient=entry.recipient, message=entry.progress.message)


def _without(kept: Mapping[tuple[str, str], Any], value: Old) -> dict[tuple[str, str], Any]:
    return {key: each for key, each in kept.items() if each != value}


# By what a prune walks through the values of a kind; no two values share one.
_TABLES = {"ledger": "entries", "throttles": "throttlings"}
_ORDERS: dict[type[Any], Callable[[Any], Any]] = {
    Line: lambda each: (each.at, each.attempt_id, each.recipient),
    Progress: lambda each: (each.message, each.recipient),
    PastStrike: lambda each: (each.target, each.message, each.reason.value),
    PastTrigger: lambda each: (each.target, each.rule, each.attempt),
    Suppression: lambda each: (each.scope.value, each.target),
    Suspension: lambda each: each.target,
    Throttling: lambda each: each.target,
}
