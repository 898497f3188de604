"""The scripted server says what it was told, remembers what it was told, and ends when its block ends."""

import base64
import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from adapters.smtpd import Answer, Close, Drip, Extra, Message, ScriptedServer, Silence, Stall
from policy.attempt import Command

LONG = 20.0  # seconds; never waited for
CONTENT = b"a: b\r\n\r\n.dot\r\n..\r\n"


@contextmanager
def client(server: ScriptedServer) -> Iterator[smtplib.SMTP]:
    made = smtplib.SMTP(server.host, server.port, local_hostname="client.example", timeout=LONG)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def raw(server: ScriptedServer) -> Iterator[socket.socket]:
    with socket.create_connection((server.host, server.port), LONG) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        return stream.read()


def test_without_a_script_it_takes_every_message() -> None:
    with ScriptedServer() as server, client(server) as smtp:
        assert smtp.sendmail("a@x.example", ["b@x.example", "c@x.example"], CONTENT) == {}
        assert smtp.sendmail("", ["d@x.example"], CONTENT) == {}
        assert server.messages == [
            Message("a@x.example", ("b@x.example", "c@x.example"), CONTENT),
            Message("", ("d@x.example",), CONTENT),
        ]


def test_commands_are_kept_in_order_of_arrival() -> None:
    with ScriptedServer() as server, client(server) as smtp:
        smtp.ehlo()
        smtp.noop()
        smtp.rset()
        smtp.docmd("XYZZY")
        smtp.quit()
        assert server.commands == ["ehlo client.example", "noop", "rset", "XYZZY", "quit"]


def test_rcpt_is_answered_by_address_whatever_its_case() -> None:
    rcpt: dict[str, Answer] = {
        "Jo@x.example": "550 5.1.1 no such user",
        "mo@x.example": "251 will forward to <m@y.example>",
    }
    with ScriptedServer(rcpt=rcpt, unlisted="450 4.2.0 later") as server, client(server) as smtp:
        smtp.ehlo()
        smtp.mail("a@x.example")
        assert smtp.rcpt("jO@x.example") == (550, b"5.1.1 no such user")
        assert smtp.rcpt("mo@x.example") == (251, b"will forward to <m@y.example>")
        assert smtp.rcpt("bo@x.example") == (450, b"4.2.0 later")


def test_rcpt_may_be_answered_by_a_function() -> None:
    with ScriptedServer(rcpt=lambda address: f"550 5.1.1 {address} is unknown") as server, client(server) as smtp:
        smtp.ehlo()
        smtp.mail("a@x.example")
        assert smtp.rcpt("jo@x.example") == (550, b"5.1.1 jo@x.example is unknown")


def test_successive_answers_follow_each_other_and_the_last_one_stays() -> None:
    grey = ["450 4.7.1 greylisted, try again in 300 seconds", "250 2.1.5 ok"]
    with ScriptedServer(rcpt={"jo@x.example": grey}) as server:
        codes = []
        for _ in range(3):
            with client(server) as smtp:
                smtp.ehlo()
                smtp.mail("a@x.example")
                codes.append(smtp.rcpt("jo@x.example")[0])
    assert codes == [450, 250, 250]


@pytest.mark.parametrize("command", [Command.EHLO, Command.MAIL, Command.RCPT, Command.DATA, Command.DOT])
def test_each_command_has_its_scripted_answer(command: Command) -> None:
    said = "554-5.7.1 no\n554 5.7.1 never"
    replies = {} if command is Command.RCPT else {command: said}
    unlisted = said if command is Command.RCPT else "250 ok"
    with ScriptedServer(replies=replies, unlisted=unlisted) as server, raw(server) as connection:
        lines = "EHLO c|MAIL FROM:<a@x>|RCPT TO:<b@x>|DATA|.|QUIT".replace("|", "\r\n") + "\r\n"
        connection.sendall(lines.encode())
        got = everything(connection)
    assert got.count(b"554-5.7.1 no\r\n554 5.7.1 never\r\n") == 1


def test_octets_go_out_as_they_are_and_text_gets_its_line_ends() -> None:
    replies: dict[Command, Answer] = {Command.CONNECT: b"no\ncode\x00\xff\n", Command.EHLO: "250-a\n250 ü"}
    with ScriptedServer(replies=replies) as server, raw(server) as connection:
        connection.sendall(b"EHLO c\r\nQUIT\r\n")
        assert everything(connection) == b"no\ncode\x00\xff\n250-a\r\n250 \xc3\xbc\r\n221 2.0.0 bye\r\n"


@pytest.mark.parametrize(
    ("greeting", "heard"),
    [
        (Close(), b""),
        (Close("421 4.3.2 later"), b"421 4.3.2 later\r\n"),
        (Close(b"421 no line end"), b"421 no line end"),
    ],
)
def test_close_says_its_text_and_hangs_up(greeting: Answer, heard: bytes) -> None:
    with ScriptedServer(replies={Command.CONNECT: greeting}) as server, raw(server) as connection:
        assert everything(connection) == heard


def test_extra_and_drip_say_all_of_it() -> None:
    replies: dict[Command, Answer] = {
        Command.CONNECT: Drip("220 slow", timedelta(microseconds=1)),
        Command.EHLO: Extra("250 ok", b"250 more\r\n"),
    }
    with ScriptedServer(replies=replies) as server, raw(server) as connection:
        connection.sendall(b"EHLO c\r\nQUIT\r\n")
        assert everything(connection) == b"220 slow\r\n250 ok\r\n250 more\r\n221 2.0.0 bye\r\n"


@pytest.mark.parametrize("greeting", [Silence(), Stall(), Drip("220 slow", timedelta(hours=1)), "220 ok"])
def test_the_block_ends_while_clients_are_still_connected(greeting: Answer) -> None:
    before = threading.active_count()
    with ScriptedServer(replies={Command.CONNECT: greeting}) as server, raw(server) as connection:
        connection.sendall(b"NOOP\r\n")
        server.__exit__()
        assert threading.active_count() == before


def test_only_crlf_dot_crlf_ends_a_message() -> None:
    smuggled = b"a: b\r\n\r\nx\n.\r\nMAIL FROM:<evil@x>\r\n\r\n.\ny\r\n"
    with ScriptedServer() as server, raw(server) as connection:
        connection.sendall(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n" + smuggled + b".\r\nQUIT\r\n")
        everything(connection)
        assert [message.sender for message in server.messages] == ["a@x"]
        assert b"evil" in server.messages[0].content


def test_a_message_that_breaks_off_is_not_kept() -> None:
    with ScriptedServer() as server, raw(server) as connection:
        connection.sendall(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\na: b\r\n")
        connection.shutdown(socket.SHUT_WR)
        everything(connection)
        assert server.messages == []


@pytest.mark.parametrize(
    ("said", "code"),
    [("\0app\0s3cret", b"235"), ("\0app\0wrong", b"535"), ("no separators", b"501"), ("\0\xff\0", b"535")],
)
@pytest.mark.parametrize("start", ["AUTH PLAIN ", "AUTH PLAIN\r\n"])
def test_auth_plain_asks_the_checker(start: str, said: str, code: bytes) -> None:
    def right(user: str, password: str) -> bool:
        return (user, password) == ("app", "s3cret")

    with ScriptedServer(auth=right) as server, raw(server) as connection:
        connection.sendall(start.encode() + base64.b64encode(said.encode()) + b"\r\nQUIT\r\n")
        assert b"\r\n" + code in everything(connection)
