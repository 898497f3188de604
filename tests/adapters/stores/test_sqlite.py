"""The SQLite store keeps the contract, and says in one line what is wrong with its file."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextlib import suppress as swallowed
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from adapters.stores import StoreUrlError, open_store
from adapters.stores.sqlite import SCHEMA_VERSION, SqliteStore
from policy.alike import alike
from policy.history import Source
from policy.intake import take_all
from policy.ports import Store, StoreUnavailable
from policy.testing.store_contract import MakeStore, StoreContract
from policy.testing.store_lines import JO, KEY, START, commit, entry, history, strike, suppress, suppression

TIMEOUT = 30  # seconds that any wait in here may last at most


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Iterator[MakeStore]:
        self.opened: list[Store] = []

        def make() -> Store:
            self.opened.append(SqliteStore(tmp_path / f"{len(self.opened)}.db"))
            return self.opened[-1]

        yield make
        for store in self.opened:
            store.close()

    def reopen(self, store: Store) -> Store:
        assert isinstance(store, SqliteStore)
        self.opened.append(SqliteStore(store._path, must_exist=True))
        return self.opened[-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mail.db"


def failure(path: Path) -> str:
    """Return the one line that a unit and a list of the store both fail with."""
    store = SqliteStore(path, patience=timedelta(milliseconds=50))
    with pytest.raises(StoreUnavailable) as listed:
        list(store.entries())
    with pytest.raises(StoreUnavailable) as caught:
        commit(store, entry("a"))
    store.close()
    assert str(caught.value) == str(listed.value)
    return one_line(caught.value, path)


def one_line(error: BaseException, path: Path) -> str:
    line = str(error)
    assert str(path) in line
    assert "\n" not in line
    return line


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "mail.db"
    assert f"there is no directory `{path.parent}`" in failure(path)
    assert not path.parent.exists()


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    assert "is a directory" in failure(tmp_path)


def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("From jo@example.org\n" * 1000)
    before = path.read_bytes()
    assert "is not an SQLite database" in failure(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    assert "another program's database" in failure(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(path: Path) -> None:
    store = SqliteStore(path)
    commit(store, entry("a"))
    store.close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    assert f"has schema {SCHEMA_VERSION + 1} of a newer mailverdict" in failure(path)


def test_a_damaged_value_is_reported_not_guessed(path: Path) -> None:
    store = SqliteStore(path)
    commit(store, entry("a", suppress(), strike()))
    with sqlite3.connect(path) as other:
        for table in ("ledger", "suppression", "progress"):
            other.execute(f"UPDATE {table} SET value = '{{\"surprise\":1}}'")  # noqa: S608 - our own three names
        other.execute("UPDATE strike SET reason = '\"surprise\"'")
    other.close()
    for look in (lambda: list(store.entries()), lambda: list(store.suppressions()), lambda: history(store)):
        with pytest.raises(StoreUnavailable, match="cannot be read") as caught:
            look()
        one_line(caught.value, path)
    store.close()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be an ordinary user for a while: root may write anything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A store with one entry whose file anyone may read and nobody may write, in a directory that is open to all."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "mail.db"
        store = SqliteStore(path)
        commit(store, entry("a"))
        store.close()
        path.chmod(0o444)
        path.parent.chmod(0o777)
        yield path
        path.parent.chmod(0o755)


def test_a_read_only_file_can_be_listed_but_not_written(guarded: Path) -> None:
    with as_nobody():
        store = SqliteStore(guarded)
        with pytest.raises(StoreUnavailable, match="cannot be written") as caught:
            commit(store, entry("b"))
        assert list(store.entries()) == [entry("a")]
        one_line(caught.value, guarded)
        store.close()


def test_a_read_only_directory_makes_the_store_unavailable(guarded: Path) -> None:
    guarded.parent.chmod(0o555)
    with as_nobody():
        assert "is read-only" in failure(guarded)


def test_a_file_that_may_not_be_read_is_unavailable(guarded: Path) -> None:
    guarded.chmod(0)
    with as_nobody():
        assert "may this user read and write it and its directory?" in failure(guarded)


def test_a_locked_store_is_unavailable_to_writers_and_readable_to_lists(path: Path) -> None:
    holder, other = SqliteStore(path), SqliteStore(path, patience=timedelta(milliseconds=50))
    commit(holder, entry("a"))
    with holder.unit():
        with pytest.raises(StoreUnavailable, match="is locked by another process") as caught:
            commit(other, entry("b"))
        assert list(other.entries()) == [entry("a")]
    one_line(caught.value, path)
    commit(other, entry("b"))
    assert list(holder.entries()) == [entry("a"), entry("b")]
    holder.close()
    other.close()


@pytest.fixture
def full_disk() -> Iterator[Callable[[], None]]:
    """A call after which no file of this process can grow past 256 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_unit_that_finds_no_room_leaves_nothing_even_when_someone_swallows_the_error(
    path: Path, full_disk: Callable[[], None]
) -> None:
    store = SqliteStore(path)
    commit(store, entry("kept"))
    full_disk()
    with pytest.raises(StoreUnavailable) as caught, store.unit() as unit:  # noqa: PT012 - the end of the block raises
        for number in range(2000):
            with swallowed(StoreUnavailable):
                unit.commit(entry(f"a{number}", message=f"m{number}"))
    one_line(caught.value, path)
    assert list(store.entries()) == [entry("kept")]
    assert history(store).progress == entry("kept").progress
    store.close()


_KILLED = """
import sys
from pathlib import Path
from adapters.stores.sqlite import SqliteStore
from policy.testing.store_lines import commit, entry, suppress

store = SqliteStore(Path(sys.argv[1]))
commit(store, entry("kept", suppress()))
with store.unit() as unit:
    unit.commit(entry("lost", suppress(target="ed@example.org")))
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_after_a_kill_exactly_the_committed_units_are_there(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _KILLED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    store = SqliteStore(path, must_exist=True)
    assert list(store.entries()) == [entry("kept", suppress())]
    assert [each.target for each in store.suppressions()] == [JO]
    commit(store, entry("next"))
    store.close()


_WRITER = """
import sys
from pathlib import Path
from adapters.stores.sqlite import SqliteStore
from policy.testing.store_lines import commit, entry

sys.stdin.readline()
store = SqliteStore(Path(sys.argv[1]))
commit(store, *(entry(f"{sys.argv[2]}.{n}") for n in range(25)))
store.close()
"""


def test_processes_that_make_and_fill_one_file_at_once_lose_nothing(path: Path) -> None:
    commands = [[sys.executable, "-c", _WRITER, str(path), str(n)] for n in range(4)]
    writers = [subprocess.Popen(each, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in commands]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    errors = [writer.communicate(timeout=TIMEOUT)[1] for writer in writers]
    assert errors == [""] * len(writers)
    store = SqliteStore(path, must_exist=True)
    assert {each.attempt_id for each in store.entries()} == {f"{p}.{n}" for p in range(4) for n in range(25)}
    store.close()


def test_threads_share_one_store_and_lose_nothing(path: Path) -> None:
    store = SqliteStore(path)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: commit(store, entry(f"a{n}", strike(), message=f"m{n % 10}")), range(100), timeout=TIMEOUT
            )
        )
    assert len(list(store.entries())) == 100
    assert len(history(store).strikes) == 10
    store.close()


def test_a_list_shows_one_moment_while_units_go_on(path: Path) -> None:
    store = SqliteStore(path)
    commit(store, *(entry(f"a{n}") for n in range(5)))
    listed = store.entries()
    assert next(listed) == entry("a0")
    commit(store, entry("a9"))
    assert len(list(listed)) == 4
    assert len(list(store.entries())) == 6
    store.close()


def test_commits_wait_for_the_disk_and_lists_for_nobody(path: Path) -> None:
    store = SqliteStore(path)
    connection = store._connection()
    assert connection.execute("PRAGMA synchronous").fetchall() == [(2,)]
    assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    connection.close()


def test_every_look_up_goes_through_an_index(path: Path) -> None:
    store = SqliteStore(path)
    asked: list[str] = []
    with store.unit() as unit:
        assert store._writer is not None
        store._writer.set_trace_callback(asked.append)
        unit.commit(entry("a", suppress(), strike()))
    with store.unit() as unit:
        unit.recorded("a", JO)
        unit.history(KEY)
        unit.foresee([("b", JO), ("c", JO)], [attrs.evolve(KEY, message=each) for each in ("n", "o")])
        unit.undo(since=START, provider=None, rule=None, now=START)
        take_all(unit, [alike(suppression(source=Source.MANUAL))], START)
        store._writer.set_trace_callback(None)
    queries = [
        *(each for each in asked if each.startswith("SELECT")),
        "SELECT value FROM ledger ORDER BY at, attempt_id, recipient",
    ]
    assert len(queries) > 10
    connection = store._connection()
    for query in queries:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "INDEX" in plan or "PRIMARY KEY" in plan, query
        assert "TEMP B-TREE" not in plan, query
    connection.close()
    store.close()


def test_a_store_that_must_exist_is_not_made(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no such store") as caught:
        open_store(f"sqlite:///{path}", must_exist=True)
    one_line(caught.value, path)
    assert not path.exists()


def test_three_slashes_are_relative_to_here_and_stay_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///a b%20?#.db")
    monkeypatch.chdir("/")
    commit(store, entry("a"))
    store.close()
    assert (tmp_path / "a b%20?#.db").is_file()


def test_four_slashes_are_absolute(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    commit(store, entry("a"))
    store.close()
    assert path.is_file()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.db",
        "sqlite",
        "sqlite:",
        "sqlite://mail.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "mysql://x",
        "memory",
        "sqlite:///a\0b",
    ],
)
def test_any_other_url_is_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(StoreUrlError, match="three slashes") as caught:
        open_store(url)
    assert str(caught.value).isprintable()


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(StoreUrlError) as caught:
        open_store("mysql://jo:secret@db/mail")
    assert "secret" not in str(caught.value)


def test_a_store_that_another_process_made_in_the_meantime_is_used_as_it_is(path: Path) -> None:
    class Overtaken(SqliteStore):
        overtaken = False

        def _version(self, connection: sqlite3.Connection) -> int:
            version = super()._version(connection)
            if not self.overtaken:
                self.overtaken = True
                faster = SqliteStore(path)
                commit(faster, entry("a"))
                faster.close()
            return version

    store = Overtaken(path)
    commit(store, entry("b"))
    assert list(store.entries()) == [entry("a"), entry("b")]
    store.close()
