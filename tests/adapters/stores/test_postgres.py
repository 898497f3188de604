"""The PostgreSQL store keeps the contract, shares its database, and says in one line what is wrong with it."""

# ruff: noqa: S608 - the schemas are our own

import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import attrs
import pytest

from adapters.stores import StoreUrlError, open_store
from policy.ports import Store, StoreUnavailable
from policy.testing.store_contract import MakeStore, StoreContract
from policy.testing.store_lines import JO, KEY, commit, entry, history, strike, suppress

pytest.importorskip("psycopg", reason="stores in PostgreSQL need psycopg")

from adapters.stores import postgres_schema
from adapters.stores.lists import LISTS
from adapters.stores.postgres import PostgresStore
from adapters.stores.postgres_unit import PostgresUnit
from adapters.stores.tables import Question

TIMEOUT = 60  # seconds that any wait in here may last at most
SHORT = timedelta(seconds=1)


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def make_store(self, cluster: Any) -> Iterator[MakeStore]:
        self.opened: dict[Store, str] = {}

        def make() -> Store:
            for each in self.opened:  # connections are few
                each.close()
            url = cluster.fresh()
            store = PostgresStore(url)
            self.opened[store] = url
            return store

        yield make
        for store in self.opened:
            store.close()

    def reopen(self, store: Store) -> Store:
        again = PostgresStore(self.opened[store], must_exist=True)
        self.opened[again] = self.opened[store]
        return again


def failure(url: str) -> str:
    """Return the one line that a unit and a list of the store both fail with."""
    store = PostgresStore(url, patience=SHORT)
    with pytest.raises(StoreUnavailable) as listed:
        list(store.entries())
    with pytest.raises(StoreUnavailable) as caught:
        commit(store, entry("a"))
    store.close()
    assert str(caught.value) == str(listed.value)
    return one_line(caught.value)


def one_line(error: BaseException) -> str:
    line = str(error)
    assert "postgresql://" in line
    assert line.isprintable()
    return line


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store with one entry."""
    store = PostgresStore(url, patience=SHORT)
    commit(store, entry("kept", suppress()))
    yield store
    store.close()


@pytest.fixture
def other(url: str) -> Iterator[PostgresStore]:
    """The same store as another process has it."""
    store = PostgresStore(url, patience=SHORT)
    yield store
    store.close()


# -- what a URL says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:",
        "postgresql:x",
        "postgresql://jo:s%zzecret@db/mail",
        "postgresql://jo:pa@secret@db/mail",
        "postgresql://jo:pa/secret@db/mail",
        "postgresql://jo:secret/x@db/mail",
        "postgresql://jo:secret@db/mail?bogus=1",
        'postgresql://jo:secret@db/mail?schema=a"b',
        "postgresql://jo:secret@db/mail?schema=pg_catalog",
        "postgresql://jo:secret@db/mail?schema=",
    ],
)
def test_a_refused_url_does_not_show_its_password(url: str) -> None:
    with pytest.raises(StoreUrlError) as caught:
        open_store(url)
    assert "secret" not in str(caught.value) + repr(caught.value.__cause__)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://jo:secret@db/mail", "postgresql://db/mail"),
        ("postgres://jo:sec%40ret@db:6543/mail?sslmode=require", "postgresql://db:6543/mail"),
        ("postgresql://jo:secret@[::1]/mail?schema=bulk", "postgresql://::1/mail?schema=bulk"),
        ("postgresql:///mail?host=/run/postgresql&user=jo&password=secret", "postgresql:///mail?host=/run/postgresql"),
    ],
)
def test_a_store_is_named_without_user_and_password(url: str, name: str) -> None:
    store = PostgresStore(url)
    store.close()
    with pytest.raises(StoreUnavailable) as caught:
        list(store.entries())
    assert str(caught.value) == f"store `{name}` is closed"


def test_a_password_is_in_no_message_and_no_log(cluster: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = failure(cluster.url("locked:hunter2", schema="none"))
    assert "refuses this user" in said
    assert "hunter2" not in said + caplog.text


def test_the_right_password_opens(cluster: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = failure(cluster.url("locked:right", schema="none"))
    assert "may not be used by this user" in said  # it has no right to make the schema
    assert "right" not in caplog.text.replace("Copyright", "")


def test_a_missing_database_user_and_server_are_told_apart(cluster: Any) -> None:
    assert "the server has no such database" in failure(cluster.url(database="nowhere"))
    assert "refuses this user" in failure(cluster.url("stranger"))
    assert "cannot be reached" in failure("postgresql://mail@/mail?host=/nonexistent")
    assert "cannot be reached" in failure("postgresql://mail@127.0.0.1:1/mail")


# -- schemas ----------------------------------------------------------------------------------------------------------


def test_a_store_that_must_exist_is_not_made(cluster: Any, url: str) -> None:
    store = open_store(url, must_exist=True)
    with pytest.raises(StoreUnavailable, match="no such store") as caught:
        list(store.entries())
    one_line(caught.value)
    assert cluster.ask("SELECT nspname FROM pg_namespace WHERE nspname = 'mailverdict'", database="mail") == []


def test_two_schemas_of_one_database_are_two_stores(store: PostgresStore, cluster: Any) -> None:
    second = PostgresStore(cluster.fresh())
    with store.unit(), second.unit() as unit:  # neither waits for the other
        assert unit.recorded("kept", JO) is None
    second.close()


def test_a_newer_schema_is_refused_even_by_a_program_that_runs(store: PostgresStore, cluster: Any, url: str) -> None:
    number = len(postgres_schema.MIGRATIONS) + 1
    cluster.ask(f"INSERT INTO {store._place.schema}.migration VALUES ({number})", database="mail")
    newer = f"has schema {number} of a newer mailverdict"
    assert newer in failure(url)
    with pytest.raises(StoreUnavailable, match=newer):
        commit(store, entry("b"))


def test_an_older_schema_is_brought_up_to_date_and_keeps_what_it_had(
    store: PostgresStore, cluster: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = "ALTER TABLE watch ADD COLUMN seen bigint; CREATE TABLE later (x int);"
    monkeypatch.setattr(postgres_schema, "MIGRATIONS", (*postgres_schema.MIGRATIONS, step))
    newer = PostgresStore(url, must_exist=True)
    commit(newer, entry("b"))
    assert [each.attempt_id for each in newer.entries()] == ["b", "kept"]
    newer.close()
    numbers = cluster.ask(f"SELECT number FROM {store._place.schema}.migration ORDER BY number", database="mail")
    assert numbers == [(number + 1,) for number in range(len(postgres_schema.MIGRATIONS))]


def test_a_migration_that_fails_leaves_the_older_schema(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        steps = (*postgres_schema.MIGRATIONS, "DROP TABLE watch; SELECT 1 / 0;")
        broken.setattr(postgres_schema, "MIGRATIONS", steps)
        assert "failed: division by zero" in failure(url)
    assert list(store.watches()) == []


def test_another_programs_schema_is_refused_and_left_alone(cluster: Any, url: str) -> None:
    schema = url.partition("schema=")[2]
    cluster.ask(f"CREATE SCHEMA {schema} AUTHORIZATION mail", f"CREATE TABLE {schema}.theirs (x int)", database="mail")
    assert "another program's tables" in failure(url)
    tables = f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace"
    assert cluster.ask(tables, database="mail") == [("theirs",)]


def test_a_database_of_another_encoding_is_refused(cluster: Any) -> None:
    cluster.ask("CREATE DATABASE latin OWNER mail ENCODING 'LATIN1' TEMPLATE template0")
    assert "encoding is LATIN1" in failure(cluster.url(database="latin"))


def test_a_damaged_value_is_reported_not_guessed(store: PostgresStore, cluster: Any) -> None:
    commit(store, entry("a", strike()))
    schema = store._place.schema
    for table in ("ledger", "suppression", "progress"):
        cluster.ask(f"UPDATE {schema}.{table} SET value = '{{\"surprise\":1}}'", database="mail")
    cluster.ask(f"UPDATE {schema}.strike SET reason = '\"surprise\"'", database="mail")
    for look in (lambda: list(store.entries()), lambda: list(store.suppressions()), lambda: history(store)):
        with pytest.raises(StoreUnavailable, match="cannot be read") as caught:
            look()
        one_line(caught.value)


def test_every_look_up_goes_through_an_index(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Question] = []

    def ask(unit: PostgresUnit, query: str, values: Sequence[str | int]) -> Any:
        asked.append((query, values))
        return unit._link.execute(query.replace("?", "%s").encode(), values)

    commit(store, entry("a", strike()))
    with monkeypatch.context() as patch, store.unit() as unit:
        patch.setattr(PostgresUnit, "_ask", ask)
        unit.recorded("a", JO)
        unit.history(KEY)
        unit.foresee([("b", JO), ("c", JO)], [attrs.evolve(KEY, message=each) for each in ("n", "o")])
    assert len(asked) > 10
    with store._linked() as link:
        link.execute(
            f'SET search_path = "{store._place.schema}"; SET enable_seqscan = off; SET enable_sort = off'.encode()
        )
        for query, values in [*asked, *((each, ()) for each in LISTS.values())]:
            rows = link.execute(f"EXPLAIN {query.replace('?', '%s')}".encode(), values).fetchall()
            plan = " ".join(row[0] for row in rows)
            assert "Index" in plan, plan
            assert "Disabled" not in plan, plan


def test_a_history_travels_in_one_round_and_in_two_where_something_counts(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []
    answers = PostgresUnit.answers

    def counted(unit: PostgresUnit, questions: Sequence[Question]) -> list[list[Any]]:
        rounds.append(len(questions))
        return answers(unit, questions)

    monkeypatch.setattr(PostgresUnit, "answers", counted)
    history(store)
    assert len(rounds) == 1
    commit(store, entry("a", strike()))
    rounds.clear()
    history(store)
    assert len(rounds) == 2


# -- sharing ----------------------------------------------------------------------------------------------------------


def test_a_locked_store_is_unavailable_to_writers_and_readable_to_lists(
    store: PostgresStore, other: PostgresStore
) -> None:
    with store.unit():
        with pytest.raises(StoreUnavailable, match="is locked by another process") as caught:
            commit(other, entry("b"))
        assert list(other.entries()) == [entry("kept", suppress())]
    one_line(caught.value)
    commit(other, entry("b"))
    assert len(list(store.entries())) == 2


def test_a_unit_that_falls_asleep_does_not_lock_the_others_out(
    store: PostgresStore, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.stores.postgres.IDLE", timedelta(milliseconds=50))
    with pytest.raises(StoreUnavailable), store.unit() as unit:  # noqa: PT012 - the end of the block raises
        unit.commit(entry("b"))
        commit(other, entry("c"))  # waits until the server has ended the first
    commit(store, entry("d"))
    assert [each.attempt_id for each in store.entries()] == ["c", "d", "kept"]


_WRITER = """
import sys
from adapters.stores import open_store
from policy.decision import Delivered
from policy.testing.store_lines import JO, commit, entry, strike, history, START, HOUR

sys.stdin.readline()
store = open_store(sys.argv[1])
for n in range(25):
    commit(store, entry(f"{sys.argv[2]}.{n}", strike(), message=f"{sys.argv[2]}.{n % 5}"))
    with store.unit() as unit:
        if unit.recorded(f"all.{n}", JO) is None:
            unit.commit(entry(f"all.{n}"))
store.close()
"""


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_processes_that_make_and_fill_one_store_at_once_lose_and_double_nothing(cluster: Any, isolation: str) -> None:
    # Whatever the database's default is: what reads before it writes would fail, or double, side by side.
    url = cluster.reached(cluster.fresh(), default_transaction_isolation=isolation.replace(" ", r"\ "))
    commands = [[sys.executable, "-c", _WRITER, url, str(n)] for n in range(3)]
    writers = [subprocess.Popen(each, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in commands]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    errors = [writer.communicate(timeout=TIMEOUT)[1] for writer in writers]
    assert errors == [""] * len(writers)
    store = PostgresStore(url, must_exist=True)
    assert sorted(each.attempt_id for each in store.entries()) == sorted(
        f"{p}.{n}" for p in (0, 1, 2, "all") for n in range(25)
    )
    assert len(history(store).strikes) == 15
    store.close()


def test_threads_share_one_store_and_lose_nothing(url: str) -> None:
    store = PostgresStore(url)

    def write(number: int) -> None:
        commit(store, entry(f"a{number}", strike(), message=f"m{number % 10}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(100), timeout=TIMEOUT))
    assert len(list(store.entries())) == 100
    assert len(history(store).strikes) == 10
    store.close()


def test_a_list_shows_one_moment_while_units_go_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.stores.postgres._FETCHED", 2)
    store = PostgresStore(url)
    commit(store, *(entry(f"a{n}") for n in range(5)))
    listed = store.entries()
    assert next(listed) == entry("a0")
    commit(store, entry("a9"))
    assert len(list(listed)) == 4
    assert len(list(store.entries())) == 6
    store.close()


@pytest.mark.parametrize(("set_", "seen"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_commits_wait_for_the_disk_and_for_what_more_was_asked(cluster: Any, set_: str, seen: str) -> None:
    store = PostgresStore(cluster.reached(cluster.fresh(), synchronous_commit=set_))
    with store.unit() as unit:
        assert unit.answers([("SHOW synchronous_commit", ())]) == [[(seen,)]]  # type: ignore[attr-defined]
    store.close()
