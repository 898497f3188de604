"""The smtplib mailer against a real server on the loopback interface: contract, TLS, AUTH, extensions, tar pits."""

import errno
import select
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.mailers.conversation import Conversation
from adapters.mailers.smtplib import SmtplibMailer, Tls, _failure
from adapters.smtpd import Answer, Answers, Close, Drip, Extra, ScriptedServer, Silence, Stall
from policy.address import Address, parse_address
from policy.attempt import Command, Failure
from policy.ports import MailerSetup
from policy.reply import Flaw, Reply, parse_reply
from policy.testing.mailer_contract import Opened, Said, SmtpMailerContract, World
from policy.transaction import Envelope, Transaction, fold

SHORT = timedelta(seconds=0.5)
LONG = timedelta(seconds=20)  # never waited for
JO = parse_address("jo@rcpt.example")
MO = parse_address("mo@rcpt.example")
BIG = b"x" * 30_000_000  # more than the socket buffers of both sides hold


def mailer(server: ScriptedServer, **options: Any) -> SmtplibMailer:
    given_ = {"tls": Tls.NONE, "timeout": LONG, "dot_timeout": LONG, "ehlo_name": "client.example"} | options
    return SmtplibMailer(host=server.host, port=server.port, **given_)


def envelope(
    *recipients: Address, sender: str = "app@sender.example", content: bytes = b"a: b\r\n\r\nc\r\n"
) -> Envelope:
    return Envelope(sender=parse_address(sender), recipients=recipients or (JO,), content=content)


def delivered(server: ScriptedServer, *recipients: Address, **options: Any) -> Transaction:
    return mailer(server, **options).deliver(envelope(*recipients))


def verbs(server: ScriptedServer) -> list[str]:
    return [command.partition(" ")[0].upper() for command in server.commands]


class TestSmtplibMailer(SmtpMailerContract):
    @contextmanager
    def opened(self, world: World) -> Iterator[Opened]:
        with ScriptedServer(rcpt=_scripted(world.rcpt), replies=_scripted(world.replies)) as server:
            # The messages have the attributes of Arrived.
            arrived: Any = server.messages
            yield Opened(mailer=mailer(server), arrived=arrived)


def _scripted(said: Mapping[Any, Said]) -> dict[Any, Answers]:
    return {key: Close() if each is None else each for key, each in said.items()}


# Replies that come late, slowly, without end or not at all


@pytest.mark.parametrize("pit", [Silence(), Drip("250 " + "o" * 1000, timedelta(seconds=0.02)), b"250 never ended\n"])
@pytest.mark.parametrize("command", [Command.CONNECT, Command.EHLO, Command.MAIL, Command.DATA])
def test_a_server_that_does_not_come_to_the_end_of_a_reply_is_a_timeout(command: Command, pit: Answer) -> None:
    with ScriptedServer(replies={command: pit}) as server:
        assert delivered(server, timeout=SHORT).ended == (command, Failure.TIMEOUT)


@pytest.mark.parametrize("pit", [Silence(), Drip("250 " + "o" * 1000, timedelta(seconds=0.02)), Close(b"250 queu")])
def test_whatever_ends_the_wait_after_the_dot_the_message_may_have_arrived(pit: Answer) -> None:
    with ScriptedServer(replies={Command.DOT: pit}) as server:
        assert delivered(server, dot_timeout=SHORT).ended == (Command.DOT, Failure.LOST_AFTER_DOT)
        assert len(server.messages) == 1


def test_a_connection_lost_within_the_message_is_a_reset_at_data() -> None:
    with ScriptedServer(replies={Command.DATA: Close("354 go ahead")}) as server:
        transaction = mailer(server).deliver(envelope(content=BIG))
    assert transaction.ended == (Command.DATA, Failure.RESET)


def test_a_server_that_stops_reading_the_message_is_a_timeout_at_data() -> None:
    with ScriptedServer(replies={Command.DATA: Stall("354 go ahead")}) as server:
        transaction = mailer(server, timeout=SHORT).deliver(envelope(content=BIG))
    assert transaction.ended == (Command.DATA, Failure.TIMEOUT)


@pytest.mark.parametrize(
    "flood", [b"250 " + b"x" * 200_000, b"250 " + b"x" * 70_000 + b"\r\n", b"250-more\r\n" * 20_000 + b"250 end\r\n"]
)
@pytest.mark.parametrize("command", [Command.EHLO, Command.MAIL, Command.DOT])
def test_a_reply_over_the_limit_is_void_and_the_last_one(command: Command, flood: bytes) -> None:
    with ScriptedServer(replies={command: flood}) as server:
        ended = delivered(server).ended
    assert ended is not None
    assert ended[0] is command
    assert isinstance(ended[1], Reply)
    assert {Flaw.TRUNCATED, Flaw.OUT_OF_STEP} <= set(ended[1].flaws)


@pytest.mark.parametrize("broken", [b"", b"250", b"250 ok", b"250 ok\r", b"250-this line is not the last\r\n"])
def test_a_reply_that_breaks_off_is_no_reply(broken: bytes) -> None:
    with ScriptedServer(rcpt={str(JO): Close(broken)}) as server:
        transaction = delivered(server)
    assert (transaction.rcpt_replies, transaction.ended) == ((), (Command.RCPT, Failure.RESET))


@settings(max_examples=40)
@given(said=st.binary(max_size=60) | st.from_regex(rb"[2-5][0-9]{2}[ -][^\x00]{0,20}\r\n(.|\n){0,20}", fullmatch=True))
def test_any_octets_as_the_reply_to_rcpt_give_one_attempt_a_recipient(said: bytes) -> None:
    with ScriptedServer(rcpt={str(JO): Close(said)}) as server:
        transaction = delivered(server, JO, MO)
        attempts = list(fold(transaction, at=datetime(2026, 3, 1, tzinfo=UTC), attempt_id="t"))
        assert [attempt.recipient for attempt in attempts] == [JO, MO]
        assert server.messages == []


def test_a_reply_that_comes_late_voids_the_one_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Conversation.ask

    def ask_and_wait_for_more(talk: Conversation, command: str, argument: str = "") -> Reply:
        reply = ask(talk, command, argument)
        if command == "RCPT" and talk.sock is not None:
            select.select([talk.sock], [], [], LONG.total_seconds())
        return reply

    monkeypatch.setattr(Conversation, "ask", ask_and_wait_for_more)
    late = Drip(b"550 5.1.1 no such user\r\n250 2.1.5 ok\r\n", timedelta(seconds=0.02))
    with ScriptedServer(rcpt={str(JO): late}) as server:
        transaction = delivered(server, JO, MO)
    ((address, reply),) = transaction.rcpt_replies
    assert (address, reply.code) == (JO, 550)
    assert Flaw.OUT_OF_STEP in reply.flaws
    assert server.commands[-1].upper().startswith("RCPT TO:<JO@")


@pytest.mark.parametrize("said", ["250 2.0.0 ok", "350 go on"])
def test_after_a_yes_to_data_nothing_is_said_that_might_be_read_as_the_message(said: str) -> None:
    with ScriptedServer(replies={Command.DATA: said}) as server:
        delivered(server)
    assert verbs(server)[-1] == "DATA"


def test_a_421_said_unasked_ends_the_transaction_at_the_next_command() -> None:
    with ScriptedServer(rcpt={str(JO): Extra("250 2.1.5 ok", b"421 4.3.2 shutting down\r\n")}) as server:
        transaction = delivered(server, JO, MO)
    assert transaction.rcpt_replies == ((JO, parse_reply("250 2.1.5 ok")),)
    assert transaction.ended == (Command.RCPT, parse_reply("421 4.3.2 shutting down"))


@pytest.mark.parametrize("more", [b"250 2.0.0 queued\r\n", b"x"])
@pytest.mark.parametrize("command", [Command.CONNECT, Command.EHLO, Command.MAIL])
def test_octets_that_nobody_asked_for_end_the_transaction_at_any_command(command: Command, more: bytes) -> None:
    first = b"220 ok\r\n" if command is Command.CONNECT else b"250 ok\r\n"
    with ScriptedServer(replies={command: Extra(first, more)}) as server:
        ended = delivered(server).ended
    assert ended is not None
    assert isinstance(ended[1], Reply)
    assert (ended[0], ended[1].flaws) == (command, (Flaw.OUT_OF_STEP,))


def test_quit_is_said_in_the_end_and_its_reply_does_not_matter() -> None:
    with ScriptedServer(leaving=Silence()) as server:
        transaction = delivered(server, dot_timeout=SHORT)
        assert transaction.ended == (Command.DOT, parse_reply("250 2.0.0 queued"))
    assert verbs(server) == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


def test_when_all_are_refused_there_is_no_data_and_a_polite_end() -> None:
    with ScriptedServer(unlisted="550 5.1.1 no such user") as server:
        assert delivered(server, JO, MO).ended is None
    assert verbs(server) == ["EHLO", "MAIL", "RCPT", "RCPT", "QUIT"]


# Connecting


def test_a_refused_connection_reaches_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    transaction = SmtplibMailer(host="127.0.0.1", port=port, tls=Tls.NONE, timeout=LONG).deliver(envelope())
    assert (transaction.ended, transaction.mx) == ((Command.CONNECT, Failure.REFUSED), None)


@pytest.mark.parametrize("said", [Silence(), Close(), Close("421 4.3.2 later"), "554 no", b"250 a\r\n250 b\r\n"])
def test_a_host_that_was_reached_is_named_whatever_it_said(said: Answer) -> None:
    with ScriptedServer(replies={Command.CONNECT: said}) as server:
        assert delivered(server, timeout=SHORT).mx == server.host


@pytest.mark.parametrize(
    ("error", "command", "failure"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), Command.CONNECT, Failure.NO_ROUTE),
        (socket.gaierror(socket.EAI_AGAIN, "again"), Command.CONNECT, Failure.DNS_TEMPORARY),
        (socket.gaierror(socket.EAI_FAIL, "failed"), Command.CONNECT, Failure.DNS_TEMPORARY),
        (OSError(errno.EHOSTUNREACH, "unreachable"), Command.CONNECT, Failure.NO_ROUTE),
        (OSError(errno.ENETUNREACH, "unreachable"), Command.CONNECT, Failure.NO_ROUTE),
        (OSError(errno.ETIMEDOUT, "timed out"), Command.CONNECT, Failure.TIMEOUT),
        (BrokenPipeError(), Command.DATA, Failure.RESET),
        (ssl.SSLError("bad record"), Command.STARTTLS, Failure.TLS_FAILED),
        (ssl.SSLError("bad record"), Command.RCPT, Failure.RESET),
        (TimeoutError(), Command.DOT, Failure.LOST_AFTER_DOT),
        (ConnectionResetError(), Command.DOT, Failure.LOST_AFTER_DOT),
        (ssl.SSLError("bad record"), Command.DOT, Failure.LOST_AFTER_DOT),
    ],
)
def test_each_error_of_the_socket_has_its_name(error: OSError, command: Command, failure: Failure) -> None:
    assert _failure(error, command) is failure


# EHLO, MAIL and extensions


def test_a_server_that_does_not_know_ehlo_is_greeted_with_helo() -> None:
    with ScriptedServer(replies={Command.EHLO: "502 5.5.2 what?"}) as server:
        assert delivered(server).ended == (Command.DOT, parse_reply("250 2.0.0 queued"))
    assert server.commands[:3] == ["ehlo client.example", "helo client.example", "MAIL FROM:<app@sender.example>"]


@pytest.mark.parametrize("said", ["450 4.3.2 not now", "421 4.3.2 not now"])
def test_an_ehlo_put_off_is_the_outcome(said: str) -> None:
    with ScriptedServer(replies={Command.EHLO: said}) as server:
        assert delivered(server).ended == (Command.EHLO, parse_reply(said))
    assert "HELO" not in verbs(server)


@pytest.mark.parametrize(
    ("features", "content", "mail"),
    [
        ((), b"\xe4\n", "MAIL FROM:<app@sender.example>"),
        (("SIZE",), b"a\n\n.\n", "MAIL FROM:<app@sender.example> SIZE=8"),
        (("8BITMIME",), b"a", "MAIL FROM:<app@sender.example>"),
        (("8BITMIME", "SIZE 1000"), b"\xe4\n", "MAIL FROM:<app@sender.example> SIZE=3 BODY=8BITMIME"),
    ],
)
def test_mail_has_the_parameters_that_are_offered_and_needed(
    features: tuple[str, ...], content: bytes, mail: str
) -> None:
    with ScriptedServer(features=features) as server:
        mailer(server).deliver(envelope(content=content))
    assert server.commands[1] == mail


def test_smtputf8_is_used_when_an_address_needs_it() -> None:
    with ScriptedServer() as server:
        transaction = delivered(server, parse_address("jürgen@rcpt.example"), JO)
        assert transaction.smtputf8
        assert server.messages[0].recipients == ("jürgen@rcpt.example", "jo@rcpt.example")
    assert server.commands[1].endswith("BODY=8BITMIME SMTPUTF8")


def test_without_smtputf8_only_those_are_asked_who_can_be() -> None:
    with ScriptedServer(features=()) as server:
        transaction = delivered(server, parse_address("jürgen@rcpt.example"), JO)
        assert [address for address, _ in transaction.rcpt_replies] == [JO]
        assert server.messages[0].recipients == ("jo@rcpt.example",)


@pytest.mark.parametrize(
    ("sender", "recipient"), [("jürgen@x.example", "jo@x.example"), ("a@x.example", "ö@x.example")]
)
def test_without_smtputf8_nothing_is_said_when_nobody_can_be_asked(sender: str, recipient: str) -> None:
    with ScriptedServer(features=()) as server:
        transaction = mailer(server).deliver(envelope(parse_address(recipient), sender=sender))
    attempts = list(fold(transaction, at=datetime(2026, 3, 1, tzinfo=UTC), attempt_id="t"))
    assert [attempt.outcome for attempt in attempts] == [Failure.NOT_ATTEMPTED]
    assert verbs(server) == ["EHLO", "QUIT"]


def test_an_address_with_a_line_break_never_reaches_the_wire() -> None:
    with ScriptedServer() as server, pytest.raises(MailerSetup, match="cannot be put on the wire"):
        delivered(server, Address("jo>\r\nRCPT TO:<mo", "x.example"))
    assert server.commands == []


# STARTTLS and AUTH


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> dict[str, Any]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return {"tls": Tls.STARTTLS, "tls_context": context}


LOGIN = {"user": "app", "password": "s3cret"}


def _is_app(user: str, password: str) -> bool:
    return {"user": user, "password": password} == LOGIN


def test_a_message_goes_through_starttls_and_auth(server_tls: ssl.SSLContext, trusting: dict[str, Any]) -> None:
    with ScriptedServer(tls=server_tls, auth=_is_app) as server:
        content = b"x\r\n" * 100_000
        transaction = mailer(server, **trusting, **LOGIN).deliver(envelope(content=content))
        assert transaction.ended == (Command.DOT, parse_reply("250 2.0.0 queued"))
        assert server.messages[0].content == content
    assert verbs(server) == ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"]


def test_a_wrong_password_is_the_reply_at_auth(server_tls: ssl.SSLContext, trusting: dict[str, Any]) -> None:
    with ScriptedServer(tls=server_tls, auth=_is_app) as server:
        transaction = delivered(server, **trusting, **(LOGIN | {"password": "wrong"}))
    assert transaction.ended == (Command.AUTH, parse_reply("535 5.7.8 user or password is wrong"))
    assert "MAIL" not in verbs(server)


@pytest.mark.parametrize(
    "said", ["421 4.3.2 later", b"334 abc\r\n", b"334 \xff=\r\n", b"gibberish\r\n", b"235 ok\r\n235 ok\r\n", "250 ok"]
)
def test_whatever_is_said_to_auth_is_a_value(said: str | bytes) -> None:
    features = ("AUTH CRAM-MD5 PLAIN LOGIN",)
    with ScriptedServer(features=features, auth=_is_app, replies={Command.AUTH: said}) as server:
        ended = delivered(server, **LOGIN).ended
    assert ended is not None
    assert ended[0] is Command.AUTH
    assert server.messages == []


def test_a_certificate_that_is_not_trusted_stops_everything(server_tls: ssl.SSLContext) -> None:
    with ScriptedServer(tls=server_tls) as server:
        assert delivered(server, tls=Tls.STARTTLS).ended == (Command.STARTTLS, Failure.TLS_FAILED)
    assert verbs(server) == ["EHLO", "STARTTLS"]


def test_starttls_that_is_not_offered_sends_nothing_in_clear() -> None:
    with ScriptedServer() as server:
        assert delivered(server, tls=Tls.STARTTLS).ended == (Command.STARTTLS, Failure.TLS_FAILED)
    assert verbs(server) == ["EHLO", "QUIT"]


def test_a_refusal_of_starttls_is_the_reply(server_tls: ssl.SSLContext, trusting: dict[str, Any]) -> None:
    with ScriptedServer(tls=server_tls, replies={Command.STARTTLS: "454 4.7.0 not available"}) as server:
        transaction = delivered(server, **trusting)
    assert transaction.ended == (Command.STARTTLS, parse_reply("454 4.7.0 not available"))
    assert "MAIL" not in verbs(server)


@pytest.mark.parametrize("more", [b"250 STARTTLS\r\n", b"421 bye\r\n", b"x"])
def test_octets_in_clear_behind_the_220_are_never_read_as_encrypted(
    server_tls: ssl.SSLContext, trusting: dict[str, Any], more: bytes
) -> None:
    with ScriptedServer(tls=server_tls, replies={Command.STARTTLS: Extra("220 go ahead", more)}) as server:
        ended = delivered(server, **trusting).ended
    assert ended is not None
    assert isinstance(ended[1], Reply)
    assert (ended[0], ended[1].code) == (Command.STARTTLS, 220)
    assert Flaw.OUT_OF_STEP in ended[1].flaws
    assert verbs(server) == ["EHLO", "STARTTLS"]


def test_a_login_that_is_wanted_but_not_offered_is_a_matter_of_setup() -> None:
    with ScriptedServer() as server, pytest.raises(MailerSetup, match="no way to log in"):
        delivered(server, **LOGIN)
    assert verbs(server) == ["EHLO", "QUIT"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"host": "mail.example", "tls": Tls.NONE, **LOGIN}, "unencrypted"),
        ({"host": "127.0.0.1.example", "tls": Tls.NONE, **LOGIN}, "unencrypted"),
        ({"host": "a b"}, "host"),
        ({"host": "mail.example", "port": 0}, "port"),
        ({"host": "mail.example", "timeout": timedelta()}, "timeout"),
        ({"host": "mail.example", "user": "app"}, "belong together"),
        ({"host": "mail.example", "user": "app", "password": "ä"}, "ASCII"),
        ({"host": "mail.example", "ehlo_name": "me\r\nRSET"}, "ehlo_name"),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MailerSetup, match=complaint):
        SmtplibMailer(**options)


def test_the_password_is_not_shown() -> None:
    assert "s3cret" not in repr(SmtplibMailer(host="mail.example", **LOGIN))
