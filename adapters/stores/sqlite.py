"""A store in one SQLite file, shared by the threads and processes of one host.

WAL, so that lists never wait for a unit; `synchronous=FULL`, so that what was committed survives a power cut. A unit is
one `BEGIN IMMEDIATE` transaction on the store's one writing connection; each list reads a snapshot on a connection of
its own. Connections do not survive a fork: open the store in the child.

Rows hold what is looked up or sorted by in columns (times as microseconds since 1970) and the value itself as the JSON
of `policy.contract.entry`. Every look-up of a unit goes through a primary key or an index, however many rows there are.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from adapters.stores.cells import loaded
from adapters.stores.facts import StoreFacts, row_facts
from adapters.stores.rows import LISTS, RowLists, RowUnit
from policy.ports import StoreUnavailable, Unit

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
    # The ledger by recipient, domain and message. The columns are reckoned when they are read, so that rows of before
    # need no rewriting: the domain is what follows the last `@`; of a value that is damaged there is no message.
    """
ALTER TABLE ledger ADD COLUMN domain TEXT GENERATED ALWAYS AS
    (substr(recipient, length(rtrim(recipient, replace(recipient, '@', ''))) + 1)) VIRTUAL;
ALTER TABLE ledger ADD COLUMN message TEXT GENERATED ALWAYS AS
    (CASE WHEN json_valid(value) THEN json_extract(value, '$.progress.message') END) VIRTUAL;
CREATE INDEX ledger_of_recipient ON ledger (recipient, at);
CREATE INDEX ledger_of_domain ON ledger (domain, at);
CREATE INDEX ledger_of_message ON ledger (message, at);
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


class SqliteStore(RowLists):
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
        unit = _SqliteUnit(connection, self._faults, self._name)
        try:
            yield unit
            unit.run("COMMIT")
        finally:
            unit.over = True
            # After some faults SQLite has rolled back by itself, and there is nothing left to do.
            if connection.in_transaction:
                with self._faults():
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        with self._lock:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def listed(self, kind: type[_T], query: str = "", *values: str | int) -> Iterator[_T]:
        with self._faults(), closing(self._connection()) as connection:
            for (text,) in connection.execute(query or LISTS[kind], values):
                yield loaded(text, kind, self._name)

    def schema(self) -> int:
        """Return the version of the schema that the file has, and leave it so; 0 where there is none yet."""
        with self._faults(), closing(self._linked()) as connection:
            return self._version(connection)

    def facts(self) -> StoreFacts:
        """Say how much is kept, and leave the schema as it is."""
        with self._faults(), closing(self._linked()) as connection:
            connection.execute("BEGIN")
            version = self._version(connection)
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            files = [Path(f"{self._path}{end}") for end in ("", "-wal")]
            return row_facts(
                lambda query: connection.execute(query).fetchone()[0],
                tables,
                kind="sqlite",
                name=self._name,
                schema=version,
                current=SCHEMA_VERSION,
                size=sum(each.stat().st_size for each in files if each.exists()),
            )

    def backup(self, target: Path, *, force: bool = False) -> int:
        """Copy what is committed now into the file `target`, while others go on writing; return its size in bytes.

        Raises:
            BackupRefused: when there is a file of that name, unless `force`, and always when it is in use.
            StoreUnavailable: when it cannot be written, or the copy is found damaged; there is none then.
        """
        from adapters.stores.backup import copy

        with self._faults(), closing(self._linked()) as connection:
            self._version(connection)
            return copy(connection, self._path, target, force=force)

    def _connection(self) -> sqlite3.Connection:
        """Return a new connection to a file that holds our schema, which is made where there is nothing yet."""
        connection = self._linked()
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _linked(self) -> sqlite3.Connection:
        """Return a new connection to whatever the file holds."""
        if self._closed:
            raise StoreUnavailable(f"store `{self._name}` is closed")
        return sqlite3.connect(
            f"{self._path.as_uri()}?mode={self._mode}",
            uri=True,
            timeout=self._patience,
            isolation_level=None,  # transactions are begun and ended in so many words
            check_same_thread=False,  # the lock keeps the threads apart
        )

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

    def _fault(self, error: sqlite3.Error) -> str:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        if code != sqlite3.SQLITE_CANTOPEN:
            return _FAULTS.get(code, f"failed: {error}")
        if self._path.is_dir():
            return "cannot be opened: it is a directory"
        if not self._path.parent.is_dir():
            return f"cannot be opened: there is no directory `{self._path.parent}`"
        return "cannot be opened: may this user read and write it and its directory?"


class _SqliteUnit(RowUnit):
    """A unit over the writing connection."""

    def __init__(
        self, connection: sqlite3.Connection, faults: Callable[[], AbstractContextManager[None]], name: str
    ) -> None:
        self._connection = connection
        self._faults = faults
        self._fault: StoreUnavailable | None = None
        self.name = name
        self.over = False

    def run(self, statement: str, *values: str | int) -> sqlite3.Cursor:
        """Run one statement; after a fault all else fails too, the commit with it, even if someone swallowed it."""
        if self.over:
            raise RuntimeError("this unit has ended")
        if self._fault is not None:
            raise self._fault
        try:
            with self._faults():
                return self._connection.execute(statement, values)
        except StoreUnavailable as fault:
            self._fault = fault
            raise

    def rows(self, query: str, *values: str | int) -> list[Any]:
        found = self.run(query, *values)
        with self._faults():
            return found.fetchall()

    def write(self, statement: str, *values: str | int) -> int:
        return self.run(statement, *values).rowcount
