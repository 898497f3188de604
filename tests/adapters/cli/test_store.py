"""`mailverdict store`: what is kept is told, what is old goes, a copy is a store, an older one is made new."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from adapters.cli import store as command
from adapters.stores import sqlite
from adapters.stores.sqlite import SqliteStore

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
YEAR = ("--now", "2027-01-01T00:00:00Z")
GONE = {"reply": "550 5.1.1 no such user", "command": "RCPT"}
TOLD = [
    {**GONE, "attempt_id": "a0", "recipient": "ann@x.example", "now": "2025-01-01T09:00:00Z"},
    {
        **GONE,
        "attempt_id": "a1",
        "recipient": "bo@x.example",
        "now": "2025-06-01T09:00:00Z",
        "reply": "450 4.2.1 later",
    },
    {**GONE, "attempt_id": "a2", "recipient": "cy@x.example", "now": "2026-12-01T09:00:00Z"},
]


@pytest.fixture
def past(run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines(*TOLD), *STORE)


@pytest.mark.usefixtures("past")
def test_info_tells_how_much_is_kept_and_since_when(document: Document, run: Run) -> None:
    told = document("store", "info", *STORE)
    assert list(told) == ["kind", "name", "schema", "current_schema", "size", "counts", "oldest", "newest"]
    assert (told["kind"], told["name"], told["schema"]) == ("sqlite", "mail.db", told["current_schema"])
    assert (told["oldest"], told["newest"]) == ("2025-01-01T09:00:00Z", "2026-12-01T09:00:00Z")
    assert told["counts"] | {"ledger": 3, "progress": 3, "suppressions": 2, "forwards": 0} == told["counts"]
    assert told["size"] >= Path("mail.db").stat().st_size
    text = run("store", "info", *STORE).stdout
    assert all(word in text for word in ("kB", "2026-12-01 09:00:00 UTC", "suppressions 2"))


def test_memory_has_neither_a_schema_nor_a_size(document: Document, run: Run) -> None:
    told = document("store", "info", "--store", "memory:")
    assert (told["schema"], told["size"], told["oldest"], set(told["counts"].values())) == (None, None, None, {0})
    assert "schema" not in run("store", "info", "--store", "memory:").stdout
    assert "up to date" in run("store", "migrate", "--store", "memory:").stdout
    assert "nothing to back up" in run("store", "backup", "b", "--store", "memory:", status=2).stderr


@pytest.mark.usefixtures("past")
@pytest.mark.parametrize("step", [1, 300])
def test_a_prune_says_first_what_it_would_remove_and_then_does(
    step: int, document: Document, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_STEP", step)
    prune = ("store", "prune", "--before", "90d", *YEAR, *STORE)
    before = document("store", "info", *STORE)["counts"]
    would = document(*prune, "--dry-run")
    assert document("store", "info", *STORE)["counts"] == before
    assert would["removed"] == {
        "ledger": 1, "progress": 1, "strikes": 0, "triggers": 1, "suppressions": 1, "suspensions": 0, "throttles": 0
    }  # fmt: skip
    assert "        1 line of the ledger\n" in run(*prune, "--dry-run").stdout
    assert document(*prune) == {**would, "dry_run": False}
    assert [each["id"] for each in document("log", *STORE)] == ["a1", "a2"]  # bo still waits
    after = document("store", "info", *STORE)["counts"]
    assert after == {name: count - would["removed"].get(name, 0) for name, count in before.items()}
    assert set(document(*prune)["removed"].values()) == {0}


@pytest.mark.usefixtures("past")
def test_what_is_in_force_cannot_be_pruned_by_a_time_to_come(run: Run) -> None:
    for words, said in ((("--before", "2027-06-01T00:00:00Z"), "still to come"), ((), "say how old")):
        assert said in run("store", "prune", *words, *YEAR, *STORE, status=2).stderr


@pytest.mark.usefixtures("past")
def test_a_backup_is_a_store_of_its_own(document: Document, run: Run) -> None:
    told = document("store", "backup", "b.db", *STORE)
    assert told == {"file": "b.db", "size": Path("b.db").stat().st_size}
    assert document("log", "--store", "sqlite:///b.db") == document("log", *STORE)
    assert "`--force`" in run("store", "backup", "b.db", *STORE, status=2).stderr
    assert "b.db: " in run("store", "backup", "b.db", "--force", *STORE).stdout
    assert "no such file" in run("store", "backup", "none/b.db", *STORE, status=3).stderr.lower()


def test_a_store_that_is_not_there_is_not_made(run: Run) -> None:
    for words in (("info",), ("prune", "--before", "1d"), ("backup", "b.db"), ("migrate",)):
        assert "no such store" in run("store", *words, *STORE, status=3).stderr
    assert list(Path().iterdir()) == []


def test_an_older_store_is_migrated_when_it_is_told_to(
    run: Run, document: Document, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(sqlite, "MIGRATIONS", sqlite.MIGRATIONS[:2])
        older.setattr(sqlite, "SCHEMA_VERSION", 2)
        with closing(SqliteStore(Path("mail.db"))) as store, store.unit():
            pass
    now = sqlite.SCHEMA_VERSION
    assert f"2, older than {now}: `mailverdict store migrate`" in run("store", "info", *STORE).stdout
    assert document("store", "info", *STORE)["schema"] == 2  # a look changes nothing
    assert document("store", "migrate", *STORE) == {"before": 2, "schema": now, "migrated": True}
    assert f"up to date: schema {now}" in run("store", "migrate", *STORE).stdout
    run("observe", "--batch", lines(*TOLD), *STORE)
    assert len(document("log", "--domain", "x.example", *STORE)) == 3
    with closing(sqlite3.connect("mail.db")) as newer:
        newer.execute(f"PRAGMA user_version = {now + 1}")
    assert "of a newer mailverdict" in run("store", "migrate", *STORE, status=3).stderr
