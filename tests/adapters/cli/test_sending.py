"""`mailverdict send`: a message over SMTP, recipient by recipient, and never twice to the same one."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from adapters.smtpd import Answer, Close, ScriptedServer
from policy import Command

Run = Callable[..., Result]
Document = Callable[..., Any]

STORE = ("--store", "sqlite:///mail.db")
ENVELOPE = ("--from", "me@y.example", "--message-id", "m1")
WORLD: dict[str, Answer] = {
    "ann@x.example": "250 2.1.5 ok",
    "jo@x.example": "251 User not local; will forward to <jo@new.example>",
    "ghost@x.example": "550 5.1.1 no such user",
    "grey@x.example": "450 4.7.1 Greylisted, try again in 5 minutes",
}
ALL = tuple(word for each in WORLD for word in ("--to", each))


@pytest.fixture(autouse=True)
def _message() -> None:
    Path("message.eml").write_bytes(b"Subject: hello\n\n.\nbody\n")


@pytest.fixture
def world() -> Iterator[ScriptedServer]:
    with ScriptedServer(rcpt=WORLD) as server:
        yield server


@pytest.fixture
def send(document: Document) -> Callable[..., Any]:
    """Send message.eml as m1 through a server and return the rows."""

    def send_(server: ScriptedServer, *words: str, **options: Any) -> Any:
        there = ("--smtp", f"{server.host}:{server.port}", *STORE)
        return document("send", *there, *ENVELOPE, *words, "message.eml", **options)

    return send_


def asked(server: ScriptedServer) -> list[str]:
    return [line.partition("<")[2].rstrip(">") for line in server.commands if line.startswith("RCPT")]


def test_each_recipient_has_its_row_in_order_with_what_was_said_and_decided(world: ScriptedServer, send: Any) -> None:
    rows = send(world, *ALL)
    assert [list(each) for each in rows] == [["recipient", "reply", "decision", "plan", "onward"]] * 4
    assert [(each["recipient"], each["decision"]["action"]) for each in rows] == [
        ("ann@x.example", "accept"),
        ("jo@x.example", "accept-and-note-forward"),
        ("ghost@x.example", "hard-bounce"),
        ("grey@x.example", "retry"),
    ]
    assert [each["decision"]["final"] for each in rows] == [True, True, True, False]
    assert rows[2]["reply"] == "550 5.1.1 no such user"


def test_one_message_goes_out_once_to_those_who_were_accepted(world: ScriptedServer, send: Any) -> None:
    send(world, *ALL)
    (message,) = world.messages
    assert message.recipients == ("ann@x.example", "jo@x.example")
    assert message.content == b"Subject: hello\r\n\r\n.\r\nbody\r\n"


def test_everything_is_recorded(world: ScriptedServer, send: Any, document: Document) -> None:
    rows = send(world, *ALL)
    logged = {each["recipient"]: each for each in document("log", *STORE)}
    assert {to: each["action"] for to, each in logged.items()} == {
        each["recipient"]: each["decision"]["action"] for each in rows
    }
    assert {each["message_id"] for each in logged.values()} == {"m1"}
    assert [each["address"] for each in document("suppressions", "list", *STORE)] == ["ghost@x.example"]
    assert [each["address"] for each in document("forwards", "list", *STORE)] == ["jo@x.example"]


def test_a_retry_asks_neither_settled_recipients_nor_those_that_are_not_due(world: ScriptedServer, send: Any) -> None:
    due = send(world, *ALL)[3]["decision"]["retry_at"]
    before = len(world.commands)
    rows = send(world, *ALL)
    assert len(world.commands) == before  # nobody is due: there is not even a connection
    assert [each["plan"]["verdict"] for each in rows] == ["settled", "settled", "settled", "wait"]
    assert rows[3]["plan"]["not_before"] == due
    assert [(each["reply"], each["decision"]) for each in rows] == [(None, None)] * 4


def test_a_new_recipient_of_an_old_message_is_the_only_one_asked(world: ScriptedServer, send: Any) -> None:
    send(world, *ALL)
    send(world, *ALL, "--to", "new@x.example")
    assert asked(world) == [*WORLD, "new@x.example"]


@pytest.mark.parametrize("said", [" m1", "m1\n", "\u202em1", "m1" * 500])
def test_a_retry_is_known_by_its_message_id_however_it_is_written(said: str, world: ScriptedServer, send: Any) -> None:
    send(world, "--to", "ann@x.example", "--message-id", said)
    (row,) = send(world, "--to", "ann@x.example", "--message-id", said)
    assert row["plan"]["verdict"] == "settled"
    assert len(world.messages) == 1


@pytest.mark.parametrize("said", ["", "  "])
def test_an_empty_message_id_is_new_mail_each_time(said: str, world: ScriptedServer, send: Any) -> None:
    for _ in range(2):
        send(world, "--to", "ann@x.example", "--message-id", said)
    assert len(world.messages) == 2


def test_new_mail_goes_to_all_but_the_suppressed(world: ScriptedServer, send: Any) -> None:
    send(world, *ALL)
    rows = send(world, *ALL, "--message-id", "m2")
    assert [each["plan"]["verdict"] for each in rows] == ["send", "send", "suppressed", "send"]
    assert asked(world)[4:] == ["ann@x.example", "jo@x.example", "grey@x.example"]


def test_a_recipient_that_is_named_twice_is_asked_once(world: ScriptedServer, send: Any) -> None:
    assert len(send(world, "--to", "ann@x.example", "--to", "Ann@X.example")) == 1
    assert len(asked(world)) == 1


@pytest.mark.parametrize("sender", ["", "<>"])
def test_mail_with_the_null_sender_is_discarded_not_bounced(
    sender: str, world: ScriptedServer, send: Any, document: Document
) -> None:
    rows = send(world, *ALL, "--from", sender)
    assert "MAIL FROM:<>" in world.commands[1]
    assert rows[2]["decision"]["action"] == "discard"
    assert document("suppressions", "list", *STORE) == []


REFUSALS: dict[str, dict[Command, Any]] = {
    "refuses at the door": {Command.CONNECT: Close("554 5.7.1 no service for you")},
    "is busy": {Command.CONNECT: Close("421 4.3.2 busy")},
    "talks nonsense": {Command.CONNECT: b"SSH-2.0-OpenSSH_9.6\r\n"},
    "talks nonsense later": {Command.MAIL: b"\xff\xfe\x1b[2J what\r\n"},
    "hangs up at once": {Command.CONNECT: Close()},
    "hangs up at EHLO": {Command.EHLO: Close()},
    "hangs up at DATA": {Command.DATA: Close()},
    "hangs up after the dot": {Command.DOT: Close()},
    "sends a reply without end": {Command.MAIL: Close("250-" * 5)},
}


@pytest.mark.parametrize("server", REFUSALS)
def test_a_server_that_is_no_use_leads_to_decisions_that_are_kept(server: str, send: Any, document: Document) -> None:
    with ScriptedServer(replies=REFUSALS[server]) as world:
        rows = send(world, "--to", "ann@x.example", "--to", "jo@x.example", status=(0, 3))
    assert [each["decision"]["action"] for each in rows] == ["retry", "retry"]
    assert all(each["decision"]["retry_at"] for each in rows)
    assert [each["action"] for each in document("log", *STORE)] == ["retry", "retry"]
    assert document("suppressions", "list", *STORE) == []


def test_a_server_that_is_not_there_is_a_decision_and_an_exit_status(document: Document) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, but nobody listens
        there = ("--smtp", f"127.0.0.1:{nobody.getsockname()[1]}", *STORE)
        (row,) = document("send", *there, *ENVELOPE, "--to", "ann@x.example", "message.eml", status=3)
    assert (row["reply"], row["decision"]["action"]) == ("refused", "retry")


def test_text_shows_a_row_for_each_recipient_and_verbose_logs_them(world: ScriptedServer, run: Run) -> None:
    there = ("--smtp", f"{world.host}:{world.port}", *STORE)
    result = run("send", *there, *ENVELOPE, *ALL, "--verbose", "message.eml")
    for word in ("message m1", "ghost@x.example", "hard-bounce", "no-such-mailbox (rules.yaml:", "greylisted"):
        assert word in result.stdout
    assert result.stderr.count('"event": "attempt.decided"') == 4
    assert "ghost@" not in result.stderr


def test_a_message_that_is_missing_is_unavailable_and_an_empty_one_is_no_message(run: Run) -> None:
    words = ("send", "--smtp", "127.0.0.1:1", *STORE, *ENVELOPE, "--to", "ann@x.example")
    assert "message `missing.eml` cannot be read: " in run(*words, "missing.eml", status=3).stderr
    assert "message `.` cannot be read: " in run(*words, ".", status=3).stderr
    Path("empty.eml").write_bytes(b" \r\n")
    assert run(*words, "empty.eml", status=2).stderr == "mailverdict: message `empty.eml` is empty\n"
    assert not Path("mail.db").exists()


def test_the_message_comes_from_standard_input_by_default(world: ScriptedServer, command: Callable[..., Any]) -> None:
    words = ("send", "--smtp", f"{world.host}:{world.port}", *STORE, *ENVELOPE, "--to", "ann@x.example")
    command(*words, input=b"Subject: piped\n\nhi\n")
    assert world.messages[0].content == b"Subject: piped\r\n\r\nhi\r\n"
    command(*words, stdin=subprocess.DEVNULL, status=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--smtp", "127.0.0.1"), "must be HOST:PORT"),
        (("--smtp", "127.0.0.1:http"), "must be HOST:PORT"),
        (("--smtp", "127.0.0.1:" + "9" * 5000), "must be HOST:PORT"),
        (("--smtp", "127.0.0.1:99999"), "port `99999` is not in 1-65535"),
        (("--smtp", ":25"), "host"),
        (("--smtp", "a b:25"), "host"),
        (("--to", "jo"), "`jo`"),
        (("--from", "jo"), "`jo`"),
        (("--user", "me", "--smtp", "mx.example.net:25"), "unencrypted"),
    ],
)
def test_options_that_make_no_delivery_are_a_usage_error_and_touch_nothing(
    words: tuple[str, ...], says: str, run: Run
) -> None:
    usual = ("--smtp", "127.0.0.1:1", *STORE, *ENVELOPE, "--to", "ann@x.example")
    env = {"MAILVERDICT_SMTP_PASSWORD": "secret"}
    result = run("send", *usual, *words, "message.eml", status=2, env=env)
    assert says in result.stderr
    assert "secret" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not Path("mail.db").exists()


def test_a_password_is_taken_from_the_environment_or_its_want_is_a_usage_error(run: Run, send: Any) -> None:
    with ScriptedServer(auth=lambda user, password: (user, password) == ("me", "secret")) as world:
        words = ("--user", "me", "--to", "ann@x.example")
        (row,) = send(world, *words, env={"MAILVERDICT_SMTP_PASSWORD": "secret"})
        assert row["decision"]["action"] == "accept"
        (row,) = send(world, *words, "--message-id", "m2", env={"MAILVERDICT_SMTP_PASSWORD": "wrong"})
        assert row["decision"]["action"] == "hold"
        there = ("--smtp", f"{world.host}:{world.port}", *STORE)
        said = run("send", *there, *ENVELOPE, *words, "message.eml", status=2).stderr
    assert "MAILVERDICT_SMTP_PASSWORD" in said


def test_nothing_is_sent_when_the_store_is_broken(world: ScriptedServer, run: Run) -> None:
    Path("mail.db").write_bytes(b"this is not a database at all" * 100)
    there = ("--smtp", f"{world.host}:{world.port}", *STORE)
    run("send", *there, *ENVELOPE, *ALL, "message.eml", status=3)
    assert world.commands == []


def test_nothing_is_sent_when_encryption_was_demanded_and_is_not_offered(world: ScriptedServer, send: Any) -> None:
    (row,) = send(world, "--starttls", "--to", "ann@x.example", status=3)
    assert (row["reply"], row["decision"]["action"]) == ("tls-failed", "retry")
    assert not [line for line in world.commands if line.startswith("MAIL")]
