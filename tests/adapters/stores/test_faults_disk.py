"""Disks that are full, broken, read-only or pulled away, files that run out, forks: kept whole or said to be not."""

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.stores import sqlite
from adapters.stores.sqlite import SCHEMA_VERSION, SqliteStore
from policy.ports import StoreUnavailable
from policy.testing.store_lines import commit, entry, history, strike, suppress

TIMEOUT = 60  # seconds that any wait in here may last at most
KEPT = entry("kept", suppress(), strike())
LOST = entry("lost", suppress(target="ed@example.org"), strike(target="ed@example.org"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mail.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A store with one entry."""
    store = SqliteStore(path, patience=timedelta(milliseconds=50))
    commit(store, KEPT)
    yield store
    store.close()


def refused(store: SqliteStore, path: Path, said: str) -> None:
    """One more unit fails, in one line."""
    with pytest.raises(StoreUnavailable, match=said) as caught:
        commit(store, LOST)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


def only_kept(path: Path) -> None:
    """What a newcomer finds is what was committed, and it can be written to."""
    fresh = SqliteStore(path, must_exist=True)
    assert list(fresh.entries()) == [KEPT]
    assert [each.target for each in fresh.suppressions()] == [KEPT.recipient]
    commit(fresh, entry("next"))
    fresh.close()


@contextmanager
def limit(kind: int, soft: int) -> Iterator[None]:
    """This process may have no more than that."""
    before, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (before, hard))


# -- no room, no disk (3, 4, 5) ---------------------------------------------------------------------------------------


def test_a_commit_that_finds_no_room_keeps_nothing_of_its_unit(store: SqliteStore, path: Path) -> None:
    log = path.with_name("mail.db-wal").stat().st_size
    written = False
    with pytest.raises(StoreUnavailable), limit(resource.RLIMIT_FSIZE, log), store.unit() as unit:  # noqa: PT012
        unit.commit(LOST)
        written = True  # into memory: the disk is asked at the commit
    assert written
    commit(store, entry("again"))
    assert [each.attempt_id for each in store.entries()] == ["again", "kept"]


def test_a_store_that_finds_no_room_to_grow_says_so_and_goes_on_when_there_is(store: SqliteStore, path: Path) -> None:
    assert store._writer is not None
    ((pages,),) = store._writer.execute("PRAGMA page_count")
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="cannot grow: the disk is full"), store.unit() as unit:  # noqa: PT012
        for number in range(500):
            unit.commit(entry(f"a{number}", message=f"m{number}"))
    store._writer.execute("PRAGMA max_page_count = 1000000")
    only_kept(path)


@pytest.mark.parametrize("octets", [0, 4096, 20_000, 50_000])
def test_a_store_that_cannot_be_made_for_want_of_room_is_made_later(path: Path, octets: int) -> None:
    store = SqliteStore(path)
    with limit(resource.RLIMIT_FSIZE, octets), pytest.raises(StoreUnavailable):  # noqa: PT012
        for number in range(100):
            commit(store, entry(f"a{number}", message=f"m{number}"))
    before = [] if store._file is None else [each.attempt_id for each in store.entries()]
    commit(store, entry("next"))
    assert [each.attempt_id for each in store.entries()] == sorted([*before, "next"])
    store.close()


class Broken:
    """A connection that fails at the statements that begin so."""

    def __init__(self, connection: sqlite3.Connection, at: str, code: int) -> None:
        self._connection, self._at, self._code = connection, at, code

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement.startswith(self._at):
            error = sqlite3.OperationalError("the disk says no")
            error.sqlite_errorcode = self._code
            raise error
        return self._connection.execute(statement, *values)


@pytest.mark.parametrize("at", ["BEGIN", "SELECT", "INSERT", "COMMIT", "PRAGMA user_version"])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (sqlite3.SQLITE_IOERR_FSYNC, "failed: the disk says no"),
        (sqlite3.SQLITE_IOERR_READ, "failed: the disk says no"),
        (sqlite3.SQLITE_READONLY, "read-only"),  # what a file system that was remounted says
        (sqlite3.SQLITE_FULL, "the disk is full"),
        (sqlite3.SQLITE_CORRUPT, "is damaged"),
    ],
    ids=["fsync", "read", "remount", "full", "corrupt"],
)
def test_a_disk_that_fails_at_any_step_leaves_nothing_of_the_unit(
    store: SqliteStore, path: Path, at: str, code: int, said: str
) -> None:
    connection = store._writer
    assert connection is not None
    store._writer = Broken(connection, at, code)  # type: ignore[assignment]
    refused(store, path, said)
    assert not connection.in_transaction
    store._writer = connection
    only_kept(path)


# -- too many files (6) -----------------------------------------------------------------------------------------------


def test_a_store_that_may_open_no_file_says_so_and_is_opened_later(store: SqliteStore, path: Path) -> None:
    new = SqliteStore(path)
    with limit(resource.RLIMIT_NOFILE, 3):
        with pytest.raises(StoreUnavailable, match="too many files are open"):
            commit(new, LOST)
        commit(store, entry("more"))  # what is open stays open
        with pytest.raises(StoreUnavailable, match="too many files are open"):
            list(store.entries())
    assert [each.attempt_id for each in new.entries()] == ["kept", "more"]
    new.close()


# -- pulled away while open (15) --------------------------------------------------------------------------------------


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _replaced(path: Path) -> None:
    other = path.with_name("other.db")
    store = SqliteStore(other)
    commit(store, entry("theirs"))
    store.close()
    other.replace(path)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Path.unlink, "deleted"),
        (lambda path: path.rename(path.with_name("moved.db")), "moved"),
        (_replaced, "replaced"),
        (_emptied, "was emptied"),
        (lambda path: path.with_name("mail.db-wal").unlink(), "lost its `mail.db-wal`"),
    ],
    ids=["deleted", "moved", "replaced", "emptied", "log deleted"],
)
def test_a_file_that_something_happens_to_while_it_is_open_is_never_written_to_as_if_nothing_were(
    store: SqliteStore, path: Path, fault: Callable[[Path], object], said: str
) -> None:
    fault(path)
    there = path.exists()
    for _ in range(2):
        refused(store, path, said)
    with pytest.raises(StoreUnavailable):
        list(store.entries())
    assert path.exists() == there  # no new, empty store in its place


def test_a_file_that_is_deleted_in_the_middle_of_a_unit_is_noticed_at_its_end(store: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="whether the last unit is kept is not known"), store.unit() as unit:  # noqa: PT012
        unit.commit(LOST)
        path.unlink()


def test_a_file_that_is_written_over_is_told_by_lists_at_once_and_by_whoever_opens_it(
    store: SqliteStore, path: Path
) -> None:
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(StoreUnavailable, match="is not an SQLite database"):
        list(store.entries())
    refused(SqliteStore(path), path, "is not an SQLite database")


def test_a_damaged_page_is_told_by_whoever_reads_it(store: SqliteStore, path: Path) -> None:
    commit(store, *(entry(f"a{number}") for number in range(100)))
    store.close()
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
    fresh = SqliteStore(path)
    for look in (lambda: list(fresh.entries()), lambda: commit(fresh, LOST)):
        with pytest.raises(StoreUnavailable, match="is damaged"):
            look()
    fresh.close()


# -- schemas (19) -----------------------------------------------------------------------------------------------------


def test_an_older_schema_is_brought_up_to_date_and_keeps_what_it_had(path: Path) -> None:
    with sqlite3.connect(path) as older:
        for statement in sqlite.MIGRATIONS[0].split(";"):
            older.execute(statement)
        older.execute(f"PRAGMA application_id = {sqlite.APPLICATION_ID}")
        older.execute("PRAGMA user_version = 1")
        older.execute("INSERT INTO success VALUES ('jo@example.org', 1000000)")
    older.close()
    store = SqliteStore(path, must_exist=True)
    commit(store, entry("a"))
    seen = history(store).last_success
    assert seen is not None
    assert seen.timestamp() == 1
    assert store._writer is not None
    assert store._writer.execute("PRAGMA user_version").fetchall() == [(SCHEMA_VERSION,)]
    store.close()


def test_a_newer_program_that_comes_while_this_one_runs_stops_it(store: SqliteStore, path: Path) -> None:
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    refused(store, path, f"has schema {SCHEMA_VERSION + 1} of a newer mailverdict")


def test_a_step_to_the_next_schema_that_fails_leaves_the_older_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(path)
    commit(store, KEPT)
    store.close()
    with monkeypatch.context() as broken:
        broken.setattr(sqlite, "MIGRATIONS", (*sqlite.MIGRATIONS, "DROP TABLE watch; SELECT nonsense FROM nowhere"))
        broken.setattr(sqlite, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
        with pytest.raises(StoreUnavailable):
            commit(SqliteStore(path), LOST)
    only_kept(path)


# -- forks (13) -------------------------------------------------------------------------------------------------------

_FORKED = """
import os, sys, threading
from adapters.stores import open_store
from policy.testing.store_lines import commit, entry

store = open_store(sys.argv[1])
commit(store, entry("parent"))
tell, wait = os.pipe()[::-1], os.pipe()[::-1]
begun, end = threading.Event(), threading.Event()

def hold():
    with store.unit() as unit:
        unit.commit(entry("thread"))
        begun.set()
        end.wait(0.5)

thread = threading.Thread(target=hold)
if "thread" in sys.argv:
    thread.start()
    begun.wait()
child = os.fork()
if child == 0:
    commit(store, entry("child.1"))
    own = open_store(sys.argv[1])
    commit(own, entry("child.2"))
    os.write(tell[0], b".")
    os.read(wait[1], 1)
    commit(store, entry("child.3"))
    commit(own, entry("child.4"))
    print(*(each.attempt_id for each in own.entries()), flush=True)
    os._exit(0)
assert os.read(tell[1], 1) == b"."
commit(store, entry("parent.2"))
store.close()
os.write(wait[0], b".")
assert os.waitpid(child, 0)[1] == 0
if "thread" in sys.argv:
    thread.join()
"""


def forked(url: str, *words: str) -> set[str]:
    """What the child sees after both sides of a fork have written."""
    command = [sys.executable, "-W", "ignore", "-c", _FORKED, url, *words]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ran.stderr == ""
    return set(ran.stdout.split())


BOTH = {"parent", "child.1", "child.2", "parent.2", "child.3", "child.4"}


def test_both_sides_of_a_fork_keep_all_in_sqlite(path: Path) -> None:
    assert forked(f"sqlite:///{path}") == BOTH
    assert forked(f"sqlite:///{path}.threads", "thread") == {*BOTH, "thread"}


def test_both_sides_of_a_fork_keep_all_in_postgresql(cluster: Any) -> None:
    assert forked(cluster.fresh()) == BOTH
    assert forked(cluster.fresh(), "thread") == {*BOTH, "thread"}
