"""A store in a PostgreSQL database, shared by the processes of many hosts.

A unit is one transaction. What a unit reads decides what it writes, and which rows that will be is not known when it
begins; so units of one store follow one another, as they do in SQLite: each takes one advisory lock, held by the server
until the transaction ends, and under it READ COMMITTED sees all that came before. No unit is therefore ever the loser
of a serialisation failure or a deadlock with another. Lists take no lock and read one snapshot (REPEATABLE READ), each
on a connection of its own.

When the connection is lost at COMMIT, the server is asked what became of the transaction: a unit that ends without an
error is kept, one that raises is not, and only when nobody can be asked does the message say that it is not known.
After any fault the connection is given up, and the next unit makes a new one; so it is before a fork, for both sides.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

import psycopg

from adapters.stores.facts import BackupRefused, StoreFacts, row_facts
from adapters.stores.forks import LetsGo, lets_go
from adapters.stores.lists import LISTS, RowLists, listed_value
from adapters.stores.postgres_link import Link, Silent, fault, parse_place
from adapters.stores.postgres_schema import MIGRATIONS, absent, found, known, lock, prepare, size, tables
from adapters.stores.postgres_unit import PostgresUnit
from policy.ports import StoreUnavailable, Unit

_T = TypeVar("_T")

PATIENCE = timedelta(seconds=10)  # how long a unit waits for another's lock
IDLE = timedelta(minutes=1)  # after which the server ends a unit that asks nothing, since others wait for it
_FETCHED = 1000  # rows of a list that are in memory at once


class PostgresStore(RowLists, LetsGo):
    """A `policy.ports.Store` in the database that `url` names; it is reached, and our schema made, at the first use.

    Args:
        must_exist: the store is unavailable when there is no schema of ours.
        patience: how long to wait for the lock that another thread or process holds; an answer may take three times as
            long.

    Raises:
        StoreUrlError: when the URL cannot be read.
    """

    def __init__(self, url: str, *, must_exist: bool = False, patience: timedelta = PATIENCE) -> None:
        self._place = parse_place(url)
        self._must_exist = must_exist
        self._patience = patience.total_seconds()
        self._lock = threading.RLock()
        self._writer: Link | None = None
        self._open = False  # a unit of this store is open, in the thread that holds the lock
        self._closed = False
        lets_go(self)

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """Open a transaction; RuntimeError when this thread has one of this store open."""
        if not self._lock.acquire(timeout=self._patience):
            raise StoreUnavailable(f"store `{self._place.name}` is locked by another thread")
        try:
            if self._open:
                raise RuntimeError("a unit of this store is open in this thread")
            with self._faults():
                link = self._begun()
            self._open = True
            try:
                yield from self._transaction(link)
            finally:
                self._open = False
        finally:
            self._lock.release()

    def _transaction(self, link: Link) -> Iterator[Unit]:
        unit = PostgresUnit(link, self._place.name, self._faults)
        try:
            yield unit
            self._commit(unit, link)
        except BaseException:
            unit.over = True
            self._roll_back(unit, link)
            raise
        unit.over = True

    def _commit(self, unit: PostgresUnit, link: Link) -> None:
        unit.check()
        try:
            with self._faults():
                ended = link.execute("COMMIT").statusmessage
        except StoreUnavailable as failure:
            if not (link.closed or isinstance(failure.__cause__, Silent)):
                raise  # the server says that it did not commit
            self.let_go()
            if not self._was_kept(unit.transaction):
                raise
        else:
            if ended != "COMMIT":  # what PostgreSQL makes of COMMIT where a statement was interrupted
                raise StoreUnavailable(f"store `{self._place.name}` kept nothing: the unit was interrupted")

    def _roll_back(self, unit: PostgresUnit, link: Link) -> None:
        """End the transaction, with the connection if that may have a fault; the server then ends it by itself."""
        try:
            if unit.is_sound and not link.closed:
                link.execute("ROLLBACK")
                return
        except psycopg.Error:
            pass  # the error that led here is the one to tell
        self.let_go()

    def _was_kept(self, transaction: str | None) -> bool:
        """Ask what became of a transaction whose COMMIT was not answered; False: nothing of it was kept."""
        if transaction is None:
            return False  # it wrote nothing
        end = monotonic() + self._patience
        while True:
            try:
                with closing(self._linked()) as link:
                    ((state,),) = link.execute("SELECT pg_xact_status(%s::xid8)", [transaction]).fetchall()
            except psycopg.Error:
                state = None  # still away
            if state in ("committed", "aborted"):
                return bool(state == "committed")
            if monotonic() > end:
                lost = "was lost at the commit: whether the unit was kept is not known, repeat it"
                raise StoreUnavailable(f"store `{self._place.name}` {lost}")
            sleep(0.1)

    def close(self) -> None:
        """Let go of the connection; a second call does nothing."""
        with self._lock:
            self._closed = True
            self.let_go()

    def listed(self, kind: type[_T], query: str = "", *values: str | int) -> Iterator[_T]:
        with self._faults(), closing(self._ready()) as link:
            link.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {self._settings()}".encode())
            with link.cursor("listed") as cursor:  # on the server: a ledger does not fit into memory
                cursor.itersize = _FETCHED
                for row in cursor.execute((query or LISTS[kind]).replace("?", "%s").encode(), values):
                    yield listed_value(kind, row, self._place.name)

    def schema(self) -> int:
        """Return the version of the schema that is there, and leave it so; 0 where there is none yet."""
        with self._faults(), closing(self._linked()) as link:
            return found(link, self._place)

    def facts(self) -> StoreFacts:
        """Say how much is kept, and leave the schema as it is."""
        with self._faults(), closing(self._linked()) as link:
            version = found(link, self._place)
            if version == 0:
                raise absent(self._place)
            link.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {self._settings()}".encode())
            return row_facts(
                lambda query: link.execute(query.encode()).fetchall()[0][0],
                tables(link, self._place),
                kind="postgresql",
                name=self._place.name,
                schema=version,
                current=len(MIGRATIONS),
                size=size(link, self._place),
            )

    def backup(self, target: Path, *, force: bool = False) -> int:  # noqa: ARG002 - as every store is asked
        """Refuse: PostgreSQL brings a better one."""
        raise BackupRefused(
            f"`{self._place.name}` is backed up by PostgreSQL's own"
            f" `pg_dump --format custom --schema {self._place.schema} --file FILE DATABASE`"
        )

    def _begun(self) -> Link:
        """Return the writing connection with a unit's transaction begun; one that was lost is replaced."""
        if self._writer is not None:
            try:
                return self._begin(self._writer)
            except psycopg.Error as error:
                if isinstance(error, Silent) or not (error.sqlstate or "57P").startswith("57P"):
                    raise
        self._writer = self._ready()
        return self._begin(self._writer)

    def _begin(self, link: Link) -> Link:
        """Begin in one round trip: limits, the lock, then what must hold under it."""
        idle = IDLE // timedelta(milliseconds=1)
        steps = (
            "BEGIN ISOLATION LEVEL READ COMMITTED",
            self._settings(),
            f"SET LOCAL idle_in_transaction_session_timeout = {idle}",
            "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'",
            lock(self._place),
            "SELECT max(number), current_setting('transaction_read_only') FROM migration",
        )
        try:
            cursor = link.execute("; ".join(steps).encode())
            while cursor.nextset():
                pass
            ((version, read_only),) = cursor.fetchall()
            known(version, self._place)  # a newer program may have come since we connected
            if read_only == "on":
                raise psycopg.errors.ReadOnlySqlTransaction
        except BaseException:
            self.let_go()
            raise
        return link

    def _settings(self) -> str:
        milliseconds = round(self._patience * 1000)
        return f"""SET LOCAL search_path = "{self._place.schema}"; SET LOCAL lock_timeout = {milliseconds};
            SET LOCAL statement_timeout = {2 * milliseconds}"""

    def _ready(self) -> Link:
        """Return a new connection to a database that holds our schema, which is made where there is nothing yet."""
        if self._closed:
            raise StoreUnavailable(f"store `{self._place.name}` is closed")
        link = self._linked()
        try:
            limit = round(self._patience * 1000)
            prepare(link, self._place, patience=limit, must_exist=self._must_exist)
        except BaseException:
            link.close()
            raise
        link.patience = 3 * self._patience
        return link

    def _linked(self) -> Link:
        link = self._place.link()
        link.patience = 3 * self._patience
        return link

    def let_go(self) -> None:
        link, self._writer = self._writer, None
        if link is not None:
            link.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn what the medium does to us into StoreUnavailable with one line."""
        try:
            yield
        except psycopg.Error as error:
            raise StoreUnavailable(f"store `{self._place.name}` {fault(error, self._place)}") from error
