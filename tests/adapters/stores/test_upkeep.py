"""What operators do to a store: an older one is filled, a copy is whole, and filters go through their indexes."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from adapters.stores import open_store, sqlite
from adapters.stores.cells import micros
from adapters.stores.facts import BackupRefused
from adapters.stores.lists import lines_of
from adapters.stores.sqlite import SCHEMA_VERSION, SqliteStore
from policy.contract.entry import dump
from policy.history import Entry
from policy.ledger import Cut
from policy.ports import Store, StoreUnavailable
from policy.testing.store_lines import HOUR, START, commit, entry, strike, suppress

TIMEOUT = 60  # seconds that any wait in here may last at most

MESSAGES = ["m", 'a"b\\}{', "ü\U0001f600", '"progress":{"message":"m"']
RECIPIENTS = ["", "jo@example.org", '"x@y"@example.org', "jü@example.org"]
CUTS = {
    "ledger_of_recipient": Cut(recipient="jo@example.org"),
    "ledger_of_domain": Cut(domain="example.org", since=START, after=(START, "a", "")),
    "ledger_of_message": Cut(message="m", until=START),
    "ledger_in_order": Cut(after=(START, "a", "")),
}


def older(steps: tuple[str, ...]) -> tuple[str, ...]:
    """The steps before the one under test."""
    return steps[: next(number for number, step in enumerate(steps) if "ledger_of_recipient" in step)]


def lines() -> list[Entry]:
    made = [entry(f"a{n}", message=message, at=START + n * HOUR) for n, message in enumerate(MESSAGES)]
    # A name of a file may be no text at all, and is kept nevertheless.
    made[0] = evolve(made[0], decision=evolve(made[0].decision, rule=evolve(made[0].decision.rule, file="\udcff")))
    return [evolve(line, recipient=recipient) for line, recipient in zip(made, RECIPIENTS, strict=True)]


OLD_LINE = "INSERT INTO ledger (attempt_id, recipient, at, value) VALUES ({}, {}, {}, {})"


def old_rows() -> list[tuple[str, str, int, str]]:
    """The lines as they were written before they had a domain and a message of their own."""
    return [(each.attempt_id, each.recipient, micros(each.at), dump(each)) for each in lines()]


def finds_all_by_each(store: Store) -> bool:
    """Is each line found by its message, its recipient and its domain?"""
    whole = list(store.entries())
    return [whole, *([each] for each in whole)] == [
        lines(),
        *(list(store.entries(message=m, recipient=r)) for m, r in zip(MESSAGES, RECIPIENTS, strict=True)),
    ] and [list(store.entries(domain=name)) for name in ("example.org", "", "y")] == [whole[1:], whole[:1], []]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mail.db"


def write_old(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Make a file as the program before wrote it, with its lines; return the steps of its schema."""
    steps = older(sqlite.MIGRATIONS)
    with monkeypatch.context() as past:
        past.setattr(sqlite, "MIGRATIONS", steps)
        past.setattr(sqlite, "SCHEMA_VERSION", len(steps))
        with closing(SqliteStore(path)) as store, store.unit():
            pass
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executemany(OLD_LINE.format(*"????"), old_rows())
    return steps


# -- SQLite -----------------------------------------------------------------------------------------------------------


def test_a_file_of_an_older_schema_is_filled_at_the_first_use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = write_old(path, monkeypatch)
    with closing(SqliteStore(path)) as store:
        facts = store.facts()
        assert (store.schema(), facts.schema, facts.current) == (len(steps), len(steps), SCHEMA_VERSION)
        assert facts.counts["ledger"] == len(MESSAGES)
        assert finds_all_by_each(store)
        assert store.schema() == SCHEMA_VERSION


def test_a_damaged_line_of_an_older_file_does_not_close_the_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_old(path, monkeypatch)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE ledger SET value = 'no JSON' WHERE attempt_id = 'a1'")
    with closing(SqliteStore(path)) as store:
        assert [each.attempt_id for each in store.entries(message=MESSAGES[2])] == ["a2"]


def test_every_filter_goes_through_its_index_in_sqlite(path: Path) -> None:
    with closing(SqliteStore(path)) as store, closing(store._connection()) as connection:
        for index, cut in CUTS.items():
            query, values = lines_of(cut)
            (step, *sorts) = (row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values))
            assert f"SEARCH ledger USING INDEX {index} (" in step, (cut, step)
            assert set(sorts) <= {"USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"}, (cut, sorts)  # of equal times
            query, values = lines_of(evolve(cut, last=9))
            steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]
            assert any(f"SEARCH ledger USING INDEX {index} (" in step for step in steps), (cut, steps)
            assert "USE TEMP B-TREE FOR ORDER BY" in steps[-1:], (cut, steps)  # of the nine only
            assert "USE TEMP B-TREE FOR ORDER BY" not in steps[:-1], (cut, steps)
        query, values = lines_of(Cut(attempt="a"))
        ((*_, step), *_) = connection.execute(f"EXPLAIN QUERY PLAN {query}", values)
        assert "(attempt_id=?)" in step


_WRITER = """
import sys
from pathlib import Path
from adapters.stores.sqlite import SqliteStore
from policy.testing.store_lines import commit, entry, suppress

store = SqliteStore(Path(sys.argv[1]))
for n in range(100_000):
    with store.unit() as unit:
        unit.commit(entry(f"a{n}"))
        unit.commit(entry(f"b{n}", suppress(target=f"jo{n}@example.org"), message=f"m{n}"))
    if n == 20:
        print("ready", flush=True)
"""


def test_a_backup_while_others_write_holds_whole_units_and_goes_on(path: Path) -> None:
    target = path.parent / "backup.db"
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        with closing(SqliteStore(path)) as store:
            sizes = [store.backup(target, force=True) for _ in range(5)]
        writer.kill()
    assert target.read_bytes()[18:20] == b"\1\1"  # no journal beside it is wanted, of a file that may be read-only
    assert sorted(sizes) == sizes
    assert sizes[-1] == target.stat().st_size
    assert [each.name for each in path.parent.iterdir() if "backup" in each.name] == ["backup.db"]
    with closing(SqliteStore(path)) as store, closing(SqliteStore(target, must_exist=True)) as kept:
        written, copied = list(store.entries()), list(kept.entries())
        assert len(copied) >= 2 * 21
        assert copied == [each for each in written if each in copied]
        names = {each.attempt_id for each in copied}
        assert {f"b{name[1:]}" for name in names if name[0] == "a"} == {name for name in names if name[0] == "b"}
        assert len(list(kept.suppressions())) == len(copied) / 2
        commit(kept, entry("next"))


@pytest.fixture
def store(path: Path) -> Any:
    with closing(SqliteStore(path)) as store:
        commit(store, entry("a", suppress()))
        yield store


def test_a_backup_writes_over_nothing_unasked_and_never_over_what_is_in_use(store: SqliteStore, path: Path) -> None:
    there = path.parent / "there"
    there.write_text("mine")
    with pytest.raises(BackupRefused, match="exists; `--force`"):
        store.backup(there)
    assert there.read_text() == "mine"
    link = path.parent / "link"
    link.symlink_to(path)
    for target in (path, link):
        with pytest.raises(BackupRefused, match="is the store itself"):
            store.backup(target, force=True)
    with pytest.raises(BackupRefused, match="is a directory"):
        store.backup(path.parent, force=True)
    with closing(SqliteStore(there.with_name("other.db"))) as other:
        commit(other, entry("b"))
        with pytest.raises(BackupRefused, match="is a database in use"):
            store.backup(there.with_name("other.db"), force=True)
    assert store.backup(there, force=True) == there.stat().st_size


def test_a_backup_that_fails_leaves_nothing(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be written: No such file or directory"):
        store.backup(path.parent / "missing" / "b.db")
    before = sorted(path.parent.iterdir())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StoreUnavailable, match="cannot be written: No space left on device"):
            store.backup(path.parent / "b.db")
    assert sorted(path.parent.iterdir()) == before


def test_a_damaged_store_makes_no_backup(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        commit(store, *(entry(f"a{n}", strike(), message=f"m{n}") for n in range(50)))
    pages = bytearray(path.read_bytes())
    pages[-4096:] = b"\xff" * 4096
    path.write_bytes(pages)
    with closing(SqliteStore(path)) as store, pytest.raises(StoreUnavailable, match=r"damaged|malformed"):
        store.backup(path.parent / "b.db")
    assert not (path.parent / "b.db").exists()


def test_another_programs_database_is_not_looked_into(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE ledger (at)")
    with closing(SqliteStore(path)) as store:
        for look in (store.schema, store.facts, lambda: store.backup(path.parent / "b.db")):
            with pytest.raises(StoreUnavailable, match="another program's database"):
                look()


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def test_a_schema_of_an_older_program_is_filled_at_the_first_use(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from adapters.stores import postgres_schema
    from adapters.stores.postgres import PostgresStore

    steps = older(postgres_schema.MIGRATIONS)
    with monkeypatch.context() as past:
        past.setattr(postgres_schema, "MIGRATIONS", steps)
        with closing(PostgresStore(url)) as old, old.unit():
            pass
        with closing(PostgresStore(url)) as old, closing(old._linked()) as link:
            link.execute(f'BEGIN; SET search_path = "{old._place.schema}"'.encode())
            for row in old_rows():
                link.execute(OLD_LINE.format(*["%s"] * 4).encode(), row)
            link.execute(b"COMMIT")
    with closing(PostgresStore(url, must_exist=True)) as store:
        facts = store.facts()
        assert (store.schema(), facts.schema, facts.current) == (
            len(steps),
            len(steps),
            len(postgres_schema.MIGRATIONS),
        )
        assert facts.counts["ledger"] == len(MESSAGES)
        assert (facts.size or 0) > 8192
        assert finds_all_by_each(store)
        assert store.schema() == len(postgres_schema.MIGRATIONS)


def test_every_filter_goes_through_its_index_in_postgresql(url: str) -> None:
    from adapters.stores.postgres import PostgresStore

    store = PostgresStore(url)
    commit(store, entry("a"))
    with closing(store._linked()) as link:
        link.execute(f'BEGIN; SET search_path = "{store._place.schema}"; SET enable_seqscan = off'.encode())
        for index, cut in CUTS.items():
            query, values = lines_of(cut)
            # Of a few rows any index is as good; of those that could serve, the one in order is taken away.
            without = "" if index == "ledger_in_order" else "DROP INDEX ledger_in_order"
            link.execute(f"SAVEPOINT here; {without}".encode())
            rows = link.execute(f"EXPLAIN {query.replace('?', '%s')}".encode(), values).fetchall()
            link.execute(b"ROLLBACK TO here")
            plan = " ".join(row[0] for row in rows)
            assert f" {index} " in plan, plan
            assert "Index Cond" in plan, plan
    store.close()


def test_a_store_in_postgresql_names_the_program_that_backs_it_up(url: str, tmp_path: Path) -> None:
    with closing(open_store(url)) as store, pytest.raises(BackupRefused, match="`pg_dump --format custom --schema s"):
        store.backup(tmp_path / "b.db")
    with closing(open_store(url, must_exist=True)) as store, pytest.raises(StoreUnavailable, match="no such store"):
        store.facts()
