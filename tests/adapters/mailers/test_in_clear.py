"""TLS that is only offered may be left out, where the envelope says so; TLS that is demanded never is."""

import ssl
from datetime import timedelta
from typing import Any

import pytest
import trustme

from adapters.mailers.smtplib import SmtplibMailer, Tls
from adapters.smtpd import ScriptedServer
from policy.address import parse_address
from policy.attempt import Command, Failure
from policy.ports import MailerSetup
from policy.transaction import Envelope, Transaction

JO = parse_address("jo@rcpt.example")


@pytest.fixture(scope="module")
def server_tls() -> ssl.SSLContext:
    """A certificate that nobody trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("elsewhere.example").configure_cert(context)
    return context


def delivered(server: ScriptedServer, *, tls: Tls, in_clear: bool = False, **options: Any) -> Transaction:
    wait = timedelta(seconds=20)
    mailer = SmtplibMailer(host=server.host, port=server.port, tls=tls, timeout=wait, dot_timeout=wait, **options)
    return mailer.deliver(Envelope(sender="", recipients=(JO,), content=b"a: b\r\n\r\nc\r\n", in_clear=in_clear))


def verbs(server: ScriptedServer) -> list[str]:
    return [command.partition(" ")[0].upper() for command in server.commands]


def test_opportunistic_tls_is_used_where_it_is_offered_whoever_answers(server_tls: ssl.SSLContext) -> None:
    with ScriptedServer(tls=server_tls) as server:
        delivered(server, tls=Tls.OPPORTUNISTIC)
        assert len(server.messages) == 1
    assert verbs(server)[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


def test_opportunistic_tls_that_is_not_offered_is_not_missed() -> None:
    with ScriptedServer() as server:
        delivered(server, tls=Tls.OPPORTUNISTIC)
        assert len(server.messages) == 1


def test_opportunistic_tls_is_left_out_where_the_envelope_says_so(server_tls: ssl.SSLContext) -> None:
    with ScriptedServer(tls=server_tls) as server:
        delivered(server, tls=Tls.OPPORTUNISTIC, in_clear=True)
        assert len(server.messages) == 1
    assert "STARTTLS" not in verbs(server)


def test_opportunistic_tls_that_fails_sends_nothing_by_itself_in_clear(server_tls: ssl.SSLContext) -> None:
    with ScriptedServer(tls=server_tls, replies={Command.STARTTLS: "454 4.7.0 not available"}) as server:
        ended = delivered(server, tls=Tls.OPPORTUNISTIC).ended
    assert ended is not None
    assert ended[0] is Command.STARTTLS
    assert server.messages == []


@pytest.mark.parametrize("offered", [True, False])
def test_tls_that_is_demanded_is_never_left_out(server_tls: ssl.SSLContext, offered: bool) -> None:
    with ScriptedServer(tls=server_tls if offered else None) as server:
        ended = delivered(server, tls=Tls.STARTTLS, in_clear=True).ended
    assert ended == (Command.STARTTLS, Failure.TLS_FAILED)
    assert ("STARTTLS" in verbs(server)) is offered
    assert "MAIL" not in verbs(server)


def test_a_password_needs_tls_that_is_demanded() -> None:
    login: dict[str, Any] = {"user": "app", "password": "s3cret"}
    with pytest.raises(MailerSetup, match="unencrypted"):
        SmtplibMailer(host="mail.example", tls=Tls.OPPORTUNISTIC, **login)
