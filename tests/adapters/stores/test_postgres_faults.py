"""What a crash, a lost connection or a full disk does to units in PostgreSQL: they are kept whole or not at all."""

# ruff: noqa: S608 - the schemas are our own

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress as swallowed
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policy.ports import StoreUnavailable
from policy.testing.store_lines import commit, entry, history, note, strike, suppress

pytest.importorskip("psycopg", reason="stores in PostgreSQL need psycopg")

import psycopg

from adapters.stores.postgres import PostgresStore

SHORT = timedelta(seconds=1)
KEPT = entry("kept", suppress())
BACKENDS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mail'"


class Proxy:
    """Stands between a store and the server on loopback, and loses what it is told to lose."""

    def __init__(self, server: Path) -> None:
        self._server = str(server)
        self._sockets = [socket.create_server(("127.0.0.1", 0))]
        self._threads = [threading.Thread(target=self._accept)]
        self.port = self._sockets[0].getsockname()[1]
        self.loses = ""  # "commit": the next one; "answer": to the next commit; "all": every byte from now on
        self.refuses = False
        self._threads[0].start()

    def close(self) -> None:
        for each in self._sockets:
            with swallowed(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._sockets[0].accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            self._sockets += [client, server]
            if self.refuses:
                client.shutdown(socket.SHUT_RDWR)
                continue
            server.connect(self._server)
            for pump, ends in ((self._ask, (client, server)), (self._answer, (server, client))):
                self._threads.append(threading.Thread(target=pump, args=ends))
                self._threads[-1].start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        lost = False
        while words := _received(client):
            if b"COMMIT\0" in words and self.loses in ("commit", "answer"):
                lost, self.loses = self.loses == "commit", "connection"
            if not lost and self.loses != "all":
                with swallowed(OSError):
                    server.sendall(words)
            if lost:
                break
        for each in (client, server):
            with swallowed(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        while words := _received(server):
            if self.loses == "connection":
                break
            if self.loses != "all":
                with swallowed(OSError):
                    client.sendall(words)
        if self.loses == "connection":
            self.loses = ""
        with swallowed(OSError):
            client.shutdown(socket.SHUT_RDWR)


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


@pytest.fixture
def proxy(cluster: Any) -> Iterator[Proxy]:
    """A proxy to the server."""
    proxy = Proxy(cluster.place / ".s.PGSQL.5432")
    yield proxy
    proxy.close()


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store with one entry."""
    store = PostgresStore(url, patience=SHORT)
    commit(store, KEPT)
    yield store
    store.close()


@pytest.fixture
def far(cluster: Any, url: str, store: PostgresStore, proxy: Proxy) -> Iterator[PostgresStore]:
    """The same store through the proxy."""
    far = PostgresStore(url.replace(f"host={cluster.place}", f"host=127.0.0.1&port={proxy.port}"), patience=SHORT)
    assert list(far.entries()) == [KEPT]
    yield far
    far.close()


def ids(store: PostgresStore) -> list[str]:
    return [each.attempt_id for each in store.entries()]


# -- the server goes --------------------------------------------------------------------------------------------------


def test_a_server_that_restarts_in_the_middle_leaves_nothing_of_the_unit_and_serves_the_next(
    store: PostgresStore, restart: Callable[[], None]
) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"), store.unit() as unit:  # noqa: PT012
        unit.commit(entry("lost", suppress(target="ed@example.org")))
        restart()
        unit.commit(entry("more"))
    assert ids(store) == ["kept"]
    commit(store, entry("next"))
    assert ids(store) == ["kept", "next"]


def test_a_restart_between_two_units_is_not_noticed(store: PostgresStore, restart: Callable[[], None]) -> None:
    restart()
    commit(store, entry("next"))
    assert ids(store) == ["kept", "next"]


def test_a_server_that_is_down_is_unavailable_until_it_is_back(store: PostgresStore, cluster: Any) -> None:
    cluster.stop()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
            commit(store, entry("lost"))
        assert str(caught.value).isprintable()
    cluster.start()
    commit(store, entry("next"))
    assert ids(store) == ["kept", "next"]


def test_a_unit_whose_connection_is_ended_keeps_nothing_even_when_someone_swallows_the_error(
    store: PostgresStore, cluster: Any
) -> None:
    with pytest.raises(StoreUnavailable), store.unit() as unit:  # noqa: PT012 - the end of the block raises
        unit.commit(entry("lost"))
        cluster.ask(BACKENDS)
        with swallowed(StoreUnavailable):
            unit.commit(entry("lost too"))
    assert ids(store) == ["kept"]


def test_a_connection_that_is_ended_between_two_units_is_replaced(store: PostgresStore, cluster: Any) -> None:
    cluster.ask(BACKENDS)
    commit(store, entry("next"))
    assert ids(store) == ["kept", "next"]


def test_a_list_whose_connection_is_ended_says_so(
    store: PostgresStore, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.stores.postgres._FETCHED", 1)
    commit(store, *(entry(f"a{number}") for number in range(3)))
    listed = store.entries()
    next(listed)
    cluster.ask(BACKENDS)
    with pytest.raises(StoreUnavailable):
        list(listed)


_KILLED = """
import sys
from adapters.stores import open_store
from policy.testing.store_lines import commit, entry, suppress

store = open_store(sys.argv[1])
commit(store, entry("before", suppress()))
with store.unit() as unit:
    unit.commit(entry("lost", suppress(target="ed@example.org")))
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_after_a_kill_exactly_the_committed_units_are_there(store: PostgresStore, url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", _KILLED, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    commit(store, entry("next"))  # the dead one's lock is gone
    assert ids(store) == ["before", "kept", "next"]


# -- the connection goes ----------------------------------------------------------------------------------------------


def test_a_commit_whose_answer_is_lost_is_found_out_to_be_kept(far: PostgresStore, proxy: Proxy) -> None:
    with far.unit() as unit:
        unit.commit(entry("kept too"))
        proxy.loses = "answer"
    assert proxy.loses == ""
    assert ids(far) == ["kept", "kept too"]
    commit(far, entry("next"))


def test_a_commit_that_is_lost_itself_keeps_nothing_and_may_be_repeated(far: PostgresStore, proxy: Proxy) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"), far.unit() as unit:  # noqa: PT012
        unit.commit(entry("again"))
        proxy.loses = "commit"
    assert ids(far) == ["kept"]
    commit(far, entry("again"))
    assert ids(far) == ["again", "kept"]


def test_when_nobody_can_be_asked_what_became_of_a_commit_the_message_says_so(far: PostgresStore, proxy: Proxy) -> None:
    with pytest.raises(StoreUnavailable, match="whether the unit was kept is not known"), far.unit() as unit:  # noqa: PT012
        unit.commit(entry("kept too"))
        proxy.loses, proxy.refuses = "answer", True
    proxy.refuses = False
    with pytest.raises(ValueError, match="is in the ledger"):
        commit(far, entry("kept too"))


def test_a_half_open_connection_is_given_up_in_time(far: PostgresStore, store: PostgresStore, proxy: Proxy) -> None:
    with pytest.raises(StoreUnavailable, match="the server does not answer"), far.unit() as unit:  # noqa: PT012
        unit.commit(entry("lost"))
        proxy.loses = "all"
        unit.commit(entry("lost too"))
    proxy.loses = ""
    commit(far, entry("next"))
    assert ids(store) == ["kept", "next"]


# -- the server refuses -----------------------------------------------------------------------------------------------


def test_a_read_only_server_can_be_listed_but_not_written(store: PostgresStore, cluster: Any, url: str) -> None:
    reader = PostgresStore(cluster.reached(url, default_transaction_read_only="on"))
    with pytest.raises(StoreUnavailable, match="cannot be written: the server"):
        history(reader)
    assert list(reader.entries()) == [KEPT]
    reader.close()


def test_a_read_only_server_has_no_room_for_a_new_store(cluster: Any, url: str) -> None:
    reader = PostgresStore(cluster.reached(url, default_transaction_read_only="on"))
    with pytest.raises(StoreUnavailable, match="cannot be written: the server"):
        list(reader.entries())
    reader.close()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("53100", "the server's disk is full"),
        ("40001", "in use by another program"),
        ("53200", "out of memory"),
        ("P0001", "failed: so be it"),
    ],
)
def test_a_statement_that_the_server_refuses_ends_the_unit(
    store: PostgresStore, cluster: Any, state: str, said: str
) -> None:
    schema = store._place.schema
    body = f"BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'so be it'; END"
    cluster.ask(
        f"CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
        f"CREATE TRIGGER refuse BEFORE INSERT ON {schema}.strike EXECUTE FUNCTION {schema}.refuse()",
        database="mail",
    )
    with pytest.raises(StoreUnavailable, match=said), store.unit() as unit:  # noqa: PT012 - the end of the block raises
        unit.commit(entry("lost"))
        with swallowed(StoreUnavailable):
            unit.commit(entry("lost too", strike()))
    commit(store, entry("next"))
    assert ids(store) == ["kept", "next"]


def test_a_deadlock_with_another_program_ends_the_unit_and_not_the_store(
    store: PostgresStore, cluster: Any, url: str
) -> None:
    schema = store._place.schema
    quick = PostgresStore(cluster.reached(url.replace("//mail@", "//postgres@"), deadlock_timeout="20ms"))
    slow = cluster.url("postgres", options="-cdeadlock_timeout=1h")
    with psycopg.connect(slow, autocommit=True) as theirs:
        theirs.execute(f"BEGIN; LOCK TABLE {schema}.forward")
        waiting = threading.Thread(target=theirs.execute, args=[f"UPDATE {schema}.suppression SET since = since"])
        with pytest.raises(StoreUnavailable, match="in use by another program"), quick.unit() as unit:  # noqa: PT012
            unit.commit(entry("lost", suppress(), at=entry("x").at + timedelta(days=1)))
            waiting.start()
            while not cluster.ask("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"):
                pass
            unit.commit(entry("lost too", note("a@new.example")))
        waiting.join(10)
        theirs.execute("ROLLBACK")
    commit(quick, entry("next"))
    quick.close()
    assert ids(store) == ["kept", "next"]
