"""`mailverdict send` by the routes of the rules, and to new addresses that a person approved."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from adapters.smtpd import ScriptedServer

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE, RULES = ("--store", "sqlite:///mail.db"), ("--rules", "own.yaml")
ENVELOPE = ("--from", "me@y.example", "--message-id", "m1")
ANN, VIA = "ann@x.example", "bo@via.example"


@pytest.fixture
def relay() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def smart() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def rules(hop: str, more: str = "") -> None:
    domains = f"domains:\n  via.example: {{defaults: {{route: relay}}}}\n{more}"
    Path("own.yaml").write_text(f"mailverdict: 1\nroutes: {{relay: {{to: '{hop}'}}}}\n{domains}")


@pytest.fixture
def send(document: Document) -> Callable[..., Any]:
    Path("message.eml").write_bytes(b"Subject: hello\n\nbody\n")

    def send_(smart: ScriptedServer, *words: str, **options: Any) -> Any:
        there = ("--smtp", f"{smart.host}:{smart.port}", *STORE)
        return document("send", *there, *RULES, *ENVELOPE, *words, "message.eml", **options)

    return send_


def test_a_route_to_a_host_of_its_own_goes_there_and_all_others_to_the_server_that_is_named(
    smart: ScriptedServer, relay: ScriptedServer, send: Any
) -> None:
    rules(f"smtp://{relay.host}:{relay.port}")
    rows = send(smart, "--to", ANN, "--to", VIA)
    assert [each["decision"]["action"] for each in rows] == ["accept", "accept"]
    assert [[m.recipients for m in server.messages] for server in (smart, relay)] == [[(ANN,)], [(VIA,)]]


def test_the_password_is_for_the_server_that_is_named_alone(relay: ScriptedServer, send: Any) -> None:
    rules(f"smtp://{relay.host}:{relay.port}")
    with ScriptedServer(auth=lambda user, password: (user, password) == ("me", "secret")) as smart:
        send(smart, "--user", "me", "--to", ANN, "--to", VIA, env={"MAILVERDICT_SMTP_PASSWORD": "secret"})
        assert len(smart.messages) == 1
    assert len(relay.messages) == 1
    assert not [line for line in relay.commands if line.startswith("AUTH")]


def test_a_route_that_cannot_be_gone_is_told_before_anything_is_sent(
    smart: ScriptedServer, send: Any, run: Run
) -> None:
    rules("lmtp://127.0.0.1:24")
    there = ("--smtp", f"{smart.host}:{smart.port}", *STORE, *RULES, *ENVELOPE)
    told = run("send", *there, "--to", ANN, "--to", VIA, "message.eml", status=2).stderr
    assert told == "mailverdict: route `relay` has no mailer; those that have one: `direct`\n"
    assert smart.commands == []
    assert send(smart, "--to", ANN)[0]["decision"]["action"] == "accept"


def test_a_name_that_means_two_hosts_is_told(smart: ScriptedServer, send: Any, run: Run) -> None:
    rules("smtp://127.0.0.1:2", "  other.example: {routes: {relay: {to: 'smtp://127.0.0.1:3'}}}\n")
    there = ("--smtp", f"{smart.host}:{smart.port}", *STORE, *RULES, *ENVELOPE)
    told = run("send", *there, "--to", ANN, "--to", "bo@other.example", "message.eml", status=2).stderr
    assert "route `relay` goes to two hosts" in told


def test_the_server_that_was_not_there_is_named(smart: ScriptedServer, send: Any, run: Run) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, but nobody listens
        where = f"127.0.0.1:{nobody.getsockname()[1]}"
        rules(f"smtp://{where}")
        there = ("--smtp", f"{smart.host}:{smart.port}", *STORE, *RULES, *ENVELOPE)
        told = run("send", *there, "--to", VIA, "message.eml", status=3).stderr
    assert f"server `{where}` could not be spoken to (refused)" in told


def test_an_approved_new_address_is_written_to_and_shown(
    smart: ScriptedServer, send: Any, run: Run, lines: Lines, document: Document
) -> None:
    rules("mx")
    moved = {"reply": "251 User not local; will forward to <jo@new.example>", "command": "RCPT"}
    run("observe", "--batch", lines({**moved, "recipient": "jo@old.example"}), *STORE)
    run("forwards", "approve", "jo@old.example", "jo@new.example", *STORE)
    (row,) = send(smart, "--to", "jo@old.example")
    assert [message.recipients for message in smart.messages] == [("jo@new.example",)]
    assert (row["recipient"], row["onward"]["recipient"]) == ("jo@old.example", "jo@new.example")
    assert document("log", "--to", "jo@new.example", *STORE)[0]["final"]
    there = ("--smtp", f"{smart.host}:{smart.port}", *STORE, *RULES, *ENVELOPE)
    again = run("send", *there, "--to", "jo@old.example", "message.eml").stdout
    assert "jo@old.example, to jo@new.example" in again
    assert "settled" in again
    assert len(smart.messages) == 1
