"""A store in one SQLite file, shared by the threads and processes of one host.

WAL, so that lists never wait for a unit; `synchronous=FULL`, so that what was committed survives a power cut. A unit is
one `BEGIN IMMEDIATE` transaction on the store's one writing connection; each list reads a snapshot on a connection of
its own. Connections do not survive a fork: open the store in the child.

Rows hold what is looked up or sorted by in columns (times as microseconds since 1970) and the value itself as the JSON
of `policy.contract.entry`. Every look-up of a unit goes through a primary key or an index, however many rows there are.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from policy.contract.entry import dump, load
from policy.contract.mistake import ContractError
from policy.decision import Scope
from policy.diagnosis.category import Category
from policy.guard import Watch
from policy.history import Entry, ForwardNote, PastStrike, PastTrigger, Progress, Suppression, Suspension
from policy.ports import StoreUnavailable, Unit
from policy.remembering import ShelvedUnit

_T = TypeVar("_T")

PATIENCE = timedelta(seconds=10)  # how long a unit waits for another's lock
APPLICATION_ID = 0x6D766472  # "mvdr", in the file's header: no other program's database is written to

# Steps from one schema to the next, never changed once they were released; the file's `user_version` counts them.
_MIGRATIONS = (
    """
CREATE TABLE ledger (attempt_id TEXT, recipient TEXT, at INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (attempt_id, recipient));
CREATE INDEX ledger_in_order ON ledger (at, attempt_id, recipient);
CREATE TABLE progress (message TEXT, recipient TEXT, value TEXT NOT NULL,
    PRIMARY KEY (message, recipient)) WITHOUT ROWID;
CREATE TABLE success (target TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE strike (target TEXT, message TEXT, reason TEXT, at INTEGER NOT NULL,
    PRIMARY KEY (target, message, reason)) WITHOUT ROWID;
CREATE INDEX strike_in_order ON strike (target, at, message, reason);
CREATE TABLE suppression (scope TEXT, target TEXT, since INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (scope, target)) WITHOUT ROWID;
CREATE INDEX suppression_in_order ON suppression (since, target, scope);
CREATE TABLE suspension (target TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE forward (address TEXT PRIMARY KEY, since INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX forward_in_order ON forward (since, address);
""",
    # What a suspension stands on is kept from here on; those that were running when this came are over in hours.
    """
DROP TABLE suspension;
CREATE TABLE suspension (target TEXT PRIMARY KEY, since INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX suspension_in_order ON suspension (since, target);
CREATE TABLE past_trigger (target TEXT, rule TEXT, attempt TEXT, at INTEGER NOT NULL,
    PRIMARY KEY (target, rule, attempt)) WITHOUT ROWID;
CREATE INDEX trigger_in_order ON past_trigger (target, at, rule, attempt);
CREATE TABLE watch (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
)
SCHEMA_VERSION = len(_MIGRATIONS)

_FAULTS = {
    sqlite3.SQLITE_NOTADB: "is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_READONLY: "cannot be written: it, or its directory, is read-only",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_BUSY: "is locked by another process",
}


class SqliteStore:
    """A `policy.ports.Store` in the file `path`; the file is opened, and made, at the first use.

    Args:
        must_exist: StoreUnavailable at once when there is no such file.
        patience: how long to wait for a lock that another thread or process holds.
    """

    def __init__(self, path: Path, *, must_exist: bool = False, patience: timedelta = PATIENCE) -> None:
        self._name = str(path)
        self._path = path.absolute()  # the same file after a change of directory
        self._mode = "rw" if must_exist else "rwc"
        self._patience = patience.total_seconds()
        self._lock = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._open = False  # a unit of this store is open, in the thread that holds the lock
        self._closed = False
        if must_exist and not path.exists():
            raise StoreUnavailable(f"no such store: `{self._name}`")

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """Open a transaction; RuntimeError when this thread has one of this store open."""
        if not self._lock.acquire(timeout=self._patience):
            raise StoreUnavailable(f"store `{self._name}` is locked by another thread")
        try:
            if self._open:
                raise RuntimeError("a unit of this store is open in this thread")
            with self._faults():
                self._writer = self._writer or self._connection()
                self._writer.execute("BEGIN IMMEDIATE")
            self._open = True
            try:
                yield from self._transaction(self._writer)
            finally:
                self._open = False
        finally:
            self._lock.release()

    def _transaction(self, connection: sqlite3.Connection) -> Iterator[Unit]:
        unit = _SqliteUnit(connection, self._faults)
        try:
            yield unit
            unit.run("COMMIT")
        finally:
            unit.over = True
            # After some faults SQLite has rolled back by itself, and there is nothing left to do.
            if connection.in_transaction:
                with self._faults():
                    connection.execute("ROLLBACK")

    def suppressions(self) -> Iterator[Suppression]:
        """All entries, expired ones too, by (since, target)."""
        return self._values(Suppression, "SELECT value FROM suppression ORDER BY since, target, scope")

    def suspensions(self) -> Iterator[Suspension]:
        """All of them, past ones too, by (since, target)."""
        return self._values(Suspension, "SELECT value FROM suspension ORDER BY since, target")

    def watches(self) -> Iterator[Watch]:
        """All that the guard remembers, by key."""
        return self._values(Watch, "SELECT value FROM watch ORDER BY key")

    def forwards(self) -> Iterator[ForwardNote]:
        """All notes, by (since, address)."""
        return self._values(ForwardNote, "SELECT value FROM forward ORDER BY since, address")

    def entries(self) -> Iterator[Entry]:
        """The ledger, by (at, attempt_id, recipient)."""
        return self._values(Entry, "SELECT value FROM ledger ORDER BY at, attempt_id, recipient")

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        with self._lock:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _values(self, kind: type[_T], query: str) -> Iterator[_T]:
        with self._faults(), closing(self._connection()) as connection:
            for (text,) in connection.execute(query):
                yield load(text, kind)

    def _connection(self) -> sqlite3.Connection:
        """Return a new connection to a file that holds our schema, which is made where there is nothing yet."""
        if self._closed:
            raise StoreUnavailable(f"store `{self._name}` is closed")
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode={self._mode}",
            uri=True,
            timeout=self._patience,
            isolation_level=None,  # transactions are begun and ended in so many words
            check_same_thread=False,  # the lock keeps the threads apart
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) != SCHEMA_VERSION:
            connection.execute("BEGIN IMMEDIATE")
            for step in _MIGRATIONS[self._version(connection) :]:  # none, when somebody was faster
                for statement in step.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the schema's version, 0 for an empty file; StoreUnavailable when we must not touch the file."""
        ((version,),) = connection.execute("PRAGMA user_version")
        ((application,),) = connection.execute("PRAGMA application_id")
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
        if application != APPLICATION_ID and (application, version, tables) != (0, 0, 0):
            raise StoreUnavailable(f"`{self._name}` is no store: it is another program's database")
        if version > SCHEMA_VERSION:
            newer = f"has schema {version} of a newer mailverdict; this one reads up to {SCHEMA_VERSION}"
            raise StoreUnavailable(f"store `{self._name}` {newer}")
        return int(version)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what the medium does to us into StoreUnavailable with one line."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreUnavailable(f"store `{self._name}` {self._fault(error)}") from error
        except ContractError as error:
            raise StoreUnavailable(f"store `{self._name}` holds a value that cannot be read: {error}") from error

    def _fault(self, error: sqlite3.Error) -> str:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        if code != sqlite3.SQLITE_CANTOPEN:
            return _FAULTS.get(code, f"failed: {error}")
        if self._path.is_dir():
            return "cannot be opened: it is a directory"
        if not self._path.parent.is_dir():
            return f"cannot be opened: there is no directory `{self._path.parent}`"
        return "cannot be opened: may this user read and write it and its directory?"


class _SqliteUnit(ShelvedUnit):
    """The unit's face to the engine (the methods of `Unit`) and its shelf (the rest)."""

    def __init__(self, connection: sqlite3.Connection, faults: Callable[[], AbstractContextManager[None]]) -> None:
        self._connection = connection
        self._faults = faults
        self._fault: StoreUnavailable | None = None
        self.over = False

    def run(self, statement: str, *values: str | int) -> list[Any]:
        """Run one statement; after a fault all else fails too, the commit with it, even if someone swallowed it."""
        if self.over:
            raise RuntimeError("this unit has ended")
        if self._fault is not None:
            raise self._fault
        try:
            with self._faults():
                return self._connection.execute(statement, values).fetchall()
        except StoreUnavailable as fault:
            self._fault = fault
            raise

    def recorded(self, attempt_id: str, recipient: str) -> Entry | None:
        query = "SELECT value FROM ledger WHERE attempt_id = ? AND recipient = ?"
        return self._value(Entry, query, attempt_id, recipient)

    def append(self, entry: Entry) -> None:
        key = entry.attempt_id, entry.recipient
        if self.run("SELECT 1 FROM ledger WHERE attempt_id = ? AND recipient = ?", *key):
            raise ValueError(f"attempt `{entry.attempt_id}` to `{entry.recipient}` is in the ledger")
        self.run("INSERT INTO ledger VALUES (?, ?, ?, ?)", *key, _micros(entry.at), dump(entry))

    def progress(self, message: str, recipient: str) -> Progress | None:
        query = "SELECT value FROM progress WHERE message = ? AND recipient = ?"
        return self._value(Progress, query, message, recipient)

    def put_progress(self, progress: Progress) -> None:
        self.run("REPLACE INTO progress VALUES (?, ?, ?)", progress.message, progress.recipient, dump(progress))

    def last_success(self, target: str) -> datetime | None:
        return self._time("SELECT at FROM success WHERE target = ?", target)

    def put_last_success(self, target: str, at: datetime) -> None:
        self.run("REPLACE INTO success VALUES (?, ?)", target, _micros(at))

    def newest_strikes(self, target: str, count: int) -> Iterable[PastStrike]:
        query = """SELECT message, reason, at FROM strike WHERE target = ?
            ORDER BY at DESC, message DESC, reason DESC LIMIT ?"""
        rows = self.run(query, target, count)
        with self._faults():
            return [
                PastStrike(
                    target=target,
                    message=message,
                    reason=_REASONS.get(reason) or load(reason, Category),
                    at=_moment(at),
                )
                for message, reason, at in rows
            ]

    def add_strike(self, strike: PastStrike) -> None:
        values = strike.target, strike.message, dump(strike.reason), _micros(strike.at)
        self.run("INSERT OR IGNORE INTO strike VALUES (?, ?, ?, ?)", *values)

    def drop_strikes(self, target: str) -> None:
        self.run("DELETE FROM strike WHERE target = ?", target)

    def suppression(self, scope: Scope, target: str) -> Suppression | None:
        query = "SELECT value FROM suppression WHERE scope = ? AND target = ?"
        return self._value(Suppression, query, scope.value, target)

    def put_suppression(self, suppression: Suppression) -> None:
        values = suppression.scope.value, suppression.target, _micros(suppression.since), dump(suppression)
        self.run("REPLACE INTO suppression VALUES (?, ?, ?, ?)", *values)

    def young_suppressions(self, since: datetime) -> Iterable[Suppression]:
        rows = self.run("SELECT value FROM suppression WHERE since >= ?", _micros(since))
        with self._faults():
            return [load(value, Suppression) for (value,) in rows]

    def suspension(self, target: str) -> Suspension | None:
        return self._value(Suspension, "SELECT value FROM suspension WHERE target = ?", target)

    def put_suspension(self, suspension: Suspension) -> None:
        values = suspension.target, _micros(suspension.since), dump(suspension)
        self.run("REPLACE INTO suspension VALUES (?, ?, ?)", *values)

    def newest_triggers(self, target: str, count: int) -> Iterable[PastTrigger]:
        query = """SELECT rule, attempt, at FROM past_trigger WHERE target = ?
            ORDER BY at DESC, rule DESC, attempt DESC LIMIT ?"""
        rows = self.run(query, target, count)
        return [PastTrigger(target=target, rule=rule, attempt=attempt, at=_moment(at)) for rule, attempt, at in rows]

    def add_trigger(self, trigger: PastTrigger) -> None:
        values = trigger.target, trigger.rule, trigger.attempt, _micros(trigger.at)
        self.run("INSERT OR IGNORE INTO past_trigger VALUES (?, ?, ?, ?)", *values)

    def watch_of(self, key: str) -> Watch | None:
        return self._value(Watch, "SELECT value FROM watch WHERE key = ?", key)

    def watch(self, watch: Watch) -> None:
        self.run("REPLACE INTO watch VALUES (?, ?)", watch.key, dump(watch))

    def forward(self, address: str) -> ForwardNote | None:
        return self._value(ForwardNote, "SELECT value FROM forward WHERE address = ?", address)

    def put_forward(self, note: ForwardNote) -> None:
        self.run("REPLACE INTO forward VALUES (?, ?, ?)", note.address, _micros(note.since), dump(note))

    def _value(self, kind: type[_T], query: str, *keys: str) -> _T | None:
        rows = self.run(query, *keys)
        with self._faults():
            return load(rows[0][0], kind) if rows else None

    def _time(self, query: str, key: str) -> datetime | None:
        rows = self.run(query, key)
        return _moment(rows[0][0]) if rows else None


_REASONS = {dump(each): each for each in Category}  # a look-up reads up to 64 of them
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND
