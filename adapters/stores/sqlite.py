"""A store in one SQLite file, shared by the threads and processes of one host.

WAL, so that lists never wait for a unit; `synchronous=FULL`, so that what was committed survives a power cut. A unit is
one `BEGIN IMMEDIATE` transaction on the store's one writing connection; each list reads a snapshot on a connection of
its own. Before a fork the store lets go of its file, and both sides open it again. A file that is moved, deleted or
emptied while it is open is noticed: nobody would find what is kept in it.

Rows hold what is looked up or sorted by in columns (times as microseconds since 1970) and the value itself as the JSON
of `policy.contract.entry`. Every look-up of a unit goes through a primary key or an index, however many rows there are.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import timedelta
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from adapters.stores.facts import StoreFacts, row_facts
from adapters.stores.forks import LetsGo, lets_go
from adapters.stores.kept_entries import ENTRY, rows_of
from adapters.stores.lists import LISTS, RowLists, listed_value
from adapters.stores.rows import KEYED, RowUnit
from adapters.stores.sqlite_schema import MIGRATIONS, SCHEMA_VERSION
from adapters.stores.tables import SUPPRESSION, Key, Question, Table
from policy.alike import Alike
from policy.ports import StoreUnavailable, Unit

_T = TypeVar("_T")

PATIENCE = timedelta(seconds=10)  # how long a unit waits for another's lock
_CACHE = 32_768  # kB: the inner pages of ten million entries, or a group of an import, which is then written once
APPLICATION_ID = 0x6D766472  # "mvdr", in the file's header: no other program's database is written to

_TOGETHER = 128  # rows in one statement: half of the time that as many statements take
_DOUBT = ": whether the last unit is kept is not known"

_FAULTS = {
    sqlite3.SQLITE_NOTADB: "is not an SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_READONLY: "cannot be written: it, or its directory, is read-only",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_BUSY: "is locked by another process",
}


class SqliteStore(RowLists, LetsGo):
    """A `policy.ports.Store` in the file `path`; the file is opened, and made, at the first use.

    Args:
        must_exist: StoreUnavailable when there is no such file (at once), or nothing in it (at the first use).
        patience: how long to wait for a lock that another thread or process holds.
    """

    def __init__(self, path: Path, *, must_exist: bool = False, patience: timedelta = PATIENCE) -> None:
        self._name = str(path)
        self._path = path.absolute()  # the same file after a change of directory
        self._log = self._path.with_name(f"{self._path.name}-wal")  # holds what was committed last
        self._must_exist = must_exist
        self._patience = patience.total_seconds()
        self._lock = threading.RLock()
        self._writer: sqlite3.Connection | None = None
        self._open = False  # a unit of this store is open, in the thread that holds the lock
        self._closed = False
        self._file: tuple[int, int] | None = None  # which one it is; None: not opened yet
        lets_go(self)
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
                if self._writer is None:
                    self._writer = self._connection()
                else:
                    self._check_file()
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
            (((version,),),) = unit.answers([("PRAGMA user_version", ())])
            self._known(version)  # a newer program may have come since we connected
            self._check_log()
            yield unit
            unit.commit_all()
            self._check_file()
            self._check_log()
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
            self.let_go()

    def let_go(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def listed(self, kind: type[_T], query: str = "", *values: str | int) -> Iterator[_T]:
        with self._faults(), closing(self._connection()) as connection:
            for row in connection.execute(query or LISTS[kind], values):
                yield listed_value(kind, row, self._name)

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
        if self._file is not None:
            self._check_file()
        connection = self._linked()
        try:
            self._prepare(connection)
            found = self._path.stat()
        except BaseException:
            connection.close()
            raise
        self._file = self._file or (found.st_dev, found.st_ino)
        return connection

    def _check_file(self) -> None:
        """StoreUnavailable when the path does not lead to the file that was opened first, or the file was emptied."""
        try:
            found = self._path.stat()
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._file:
            raise StoreUnavailable(f"store `{self._name}` was moved, deleted or replaced while it was open{_DOUBT}")
        if found.st_size == 0:
            raise StoreUnavailable(f"store `{self._name}` was emptied while it was open{_DOUBT}")

    def _check_log(self) -> None:
        if not self._log.exists():
            raise StoreUnavailable(f"store `{self._name}` lost its `{self._log.name}` while it was open{_DOUBT}")

    def _linked(self) -> sqlite3.Connection:
        """Return a new connection to whatever the file holds."""
        if self._closed:
            raise StoreUnavailable(f"store `{self._name}` is closed")
        return sqlite3.connect(
            f"{self._path.as_uri()}?mode={'rw' if self._must_exist else 'rwc'}",
            uri=True,
            timeout=self._patience,
            isolation_level=None,  # transactions are begun and ended in so many words
            check_same_thread=False,  # the lock keeps the threads apart
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) != SCHEMA_VERSION:
            connection.execute("BEGIN IMMEDIATE")
            for step in MIGRATIONS[self._version(connection) :]:  # none, when somebody was faster
                for statement in step.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE}")

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the schema's version, 0 for an empty file; StoreUnavailable when we must not touch the file."""
        ((version,),) = connection.execute("PRAGMA user_version")
        ((application,),) = connection.execute("PRAGMA application_id")
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
        if application != APPLICATION_ID and (application, version, tables) != (0, 0, 0):
            raise StoreUnavailable(f"`{self._name}` is no store: it is another program's database")
        # Only what is there when it is opened first: another process may have taken it away since, which is told apart.
        if self._must_exist and version == 0 and self._file is None:
            raise StoreUnavailable(f"no such store: there is nothing in `{self._name}`")
        return self._known(version)

    def _known(self, version: int) -> int:
        if version > SCHEMA_VERSION:
            newer = f"has schema {version} of a newer mailverdict; this one reads up to {SCHEMA_VERSION}"
            raise StoreUnavailable(f"store `{self._name}` {newer}")
        return version

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what the medium does to us into StoreUnavailable with one line."""
        try:
            yield
        except FileNotFoundError as error:
            raise StoreUnavailable(f"store `{self._name}` was deleted while it was opened") from error
        except sqlite3.Error as error:
            raise StoreUnavailable(f"store `{self._name}` {self._fault(error)}") from error

    def _fault(self, error: sqlite3.Error) -> str:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        if code != sqlite3.SQLITE_CANTOPEN:
            return _FAULTS.get(code, f"failed: {error}")
        if self._path.is_dir():
            return "cannot be opened: it is a directory"
        if self._open_error() in (errno.EMFILE, errno.ENFILE):
            return "cannot be opened: too many files are open"
        if not self._path.parent.is_dir():
            return f"cannot be opened: there is no directory `{self._path.parent}`"
        return "cannot be opened: may this user read and write it and its directory?"

    def _open_error(self) -> int | None:
        """Try what SQLite could not do, which says only that it could not."""
        try:
            os.close(os.open(self._path.parent, os.O_RDONLY))
        except OSError as error:
            return error.errno
        return None


@lru_cache
def _new_entries(count: int) -> str:
    return f"INSERT INTO suppression ({ENTRY}) VALUES {', '.join(['(?, ?, ?, ?)'] * count)}"  # noqa: S608 - our names


class _SqliteUnit(RowUnit):
    """A unit over the writing connection; rows of keyed tables are written together, at its end."""

    # What equals its default is left out of JSON, and a bounce is the default of a source; an unescaped quote makes it
    # the key and no words. A short text is never a bounce's. With another condition than its index has, SQLite would
    # read the whole table.
    young = f"""{RowUnit.young} AND value >= '{{' AND instr(value, '"source":') = 0"""

    def __init__(
        self, connection: sqlite3.Connection, faults: Callable[[], AbstractContextManager[None]], name: str
    ) -> None:
        super().__init__(name)
        self._connection = connection
        self._faults = faults
        self._fault: StoreUnavailable | None = None
        self._unwritten: dict[Table[Any], dict[Key, Any]] = {each: {} for each in KEYED}
        self.over = False

    def check(self) -> None:
        """After a fault all else fails too, the commit with it, even if someone swallowed it."""
        if self.over:
            raise RuntimeError("this unit has ended")
        if self._fault is not None:
            raise self._fault

    def commit_all(self) -> None:
        """End the transaction, with what is not written yet."""
        self.settle()
        with self._failing():
            self._connection.execute("COMMIT")

    def answers(self, questions: Sequence[Question]) -> list[list[Any]]:
        self.check()
        try:
            return [self._connection.execute(query, values).fetchall() for query, values in questions]
        except sqlite3.Error:  # to enter the block each time would cost as much as a look-up
            with self._failing():
                raise

    def write(self, statement: str, *values: str | int) -> bool:
        self.check()
        with self._failing():
            return self._connection.execute(statement, values).rowcount > 0

    def write_all(self, statement: str, rows: Iterable[Sequence[str | int]]) -> None:
        self.check()
        with self._failing():
            self._connection.executemany(statement, rows)

    def put_new(self, entries: Sequence[Alike]) -> bool:
        self.settle()
        with self._failing():
            self._connection.execute("SAVEPOINT put_new")
            put = self._all_put(entries)
            if not put:
                self._connection.execute("ROLLBACK TO put_new")
            self._connection.execute("RELEASE put_new")
        self.forget(SUPPRESSION)
        return put

    def _all_put(self, entries: Sequence[Alike]) -> bool:
        rows = rows_of(entries)
        try:
            while values := list(chain.from_iterable(islice(rows, _TOGETHER))):
                self._connection.execute(_new_entries(len(values) // 4), values)
        except sqlite3.IntegrityError:  # a key is taken
            return False
        return True

    def keep(self, table: Table[_T], key: Key, value: _T) -> None:
        self.check()
        self._unwritten[table][key] = value  # and once only, however often a unit puts it

    def settle(self) -> None:
        self.check()
        with self._failing():
            for table, values in self._unwritten.items():
                if values:
                    rows = [(*key, *table.row(each)) for key, each in values.items()]
                    self._connection.executemany(table.put, rows)
                    values.clear()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with self._faults():
                yield
        except StoreUnavailable as fault:
            self._fault = fault
            raise
