"""One command has one reply: what is read, in whatever pieces it comes, and what is never read as a reply."""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from adapters.mailers.conversation import Conversation, _Incoming, wire_content
from adapters.smtpd import ScriptedServer
from policy.reply import Flaw, parse_reply

LONG = timedelta(seconds=20)  # never waited for

WHOLE = (
    b"250 ok\r\n",
    b"250\r\n",
    b"\r\n",
    b"no code\r\n",
    b"250-a\r\n250 b\r\n",
    b"250-a\r\nno code\r\n250 b\r\n",
    b"250-a\r\n\r\n550 b\r\n",
    b"250-\n250 x\r\n250 b\r\n",
)


@contextmanager
def pair() -> Iterator[tuple[Conversation, socket.socket]]:
    ours, theirs = socket.socketpair()
    talk = Conversation(host="mx.example", timeout=LONG, ehlo_name="client.example")
    talk.sock = ours
    with theirs:
        yield talk, theirs
        talk.close()


def heard(theirs: socket.socket) -> bytes:
    """Everything that was said to the other side until we closed."""
    with theirs.makefile("rb") as stream:
        return stream.read()


@given(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=4), st.data())
def test_replies_are_the_same_in_whatever_pieces_they_come(replies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(replies)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    incoming, taken = _Incoming(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        incoming.feed(stream[start:end])
        while (reply := incoming.reply()) is not None:
            taken.append(reply)
    assert taken == replies


@pytest.mark.parametrize("said", [each for each in WHOLE if parse_reply(each).code])
def test_a_reply_is_read_whole_and_alone(said: bytes) -> None:
    with pair() as (talk, theirs):
        theirs.sendall(said)
        talk.getreply()
        assert talk.last_reply == parse_reply(said)
        assert talk.is_open


@pytest.mark.parametrize("unasked", [b"250 ok\r\n", b"550 no\r\n", b"gibberish\r\n", b"421 a\r\n250 b\r\n"])
def test_what_came_before_a_command_is_not_its_reply_and_the_command_stays_unsaid(unasked: bytes) -> None:
    with pair() as (talk, theirs):
        theirs.sendall(unasked)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            talk.ask("MAIL", "FROM:<>")
        assert talk.last_reply is not None
        assert Flaw.OUT_OF_STEP in talk.last_reply.flaws
        assert heard(theirs) == b""


def test_a_421_before_a_command_is_the_last_word() -> None:
    with pair() as (talk, theirs):
        theirs.sendall(b"421 4.3.2 going\r\n")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            talk.ask("MAIL", "FROM:<>")
        assert talk.last_reply == parse_reply("421 4.3.2 going")
        assert heard(theirs) == b""


def test_a_reply_that_comes_before_the_dot_is_not_the_dots() -> None:
    with pair() as (talk, theirs):
        theirs.sendall(b"250 2.0.0 queued\r\n")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            talk.send_text(b"a: b\r\n")
        assert heard(theirs) == b""


def test_what_was_offered_in_clear_is_forgotten_once_encrypted() -> None:
    authority = trustme.CA()
    theirs, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)
    with ScriptedServer(tls=theirs) as server:
        talk = Conversation(host=server.host, timeout=LONG, ehlo_name="client.example")
        talk.greeting(server.host, server.port)
        talk.hello()
        assert talk.has_extn("size")
        assert talk.start_tls(ours).code == 220
        assert not talk.has_extn("size")
        talk.leave()


@given(st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\xff"]), max_size=12).map(b"".join))
def test_wire_content_has_crlf_only_and_keeps_everything_else(content: bytes) -> None:
    wire = wire_content(content)
    assert wire_content(wire) == wire
    assert wire.replace(b"\r\n", b"").translate(None, b"\r\n") == wire.replace(b"\r\n", b"")
    assert wire.translate(None, b"\r\n") == content.translate(None, b"\r\n")
    assert not wire or wire.endswith(b"\r\n")
