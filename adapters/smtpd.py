"""An SMTP server on the loopback interface that answers by a script: the other side of tests and of the demo.

The script is made of plain values. What is not in it is answered as a willing server would:

    with ScriptedServer(rcpt={"jo@x.example": "550 5.1.1 no such user"}) as server:
        ...  # talk to 127.0.0.1, port server.port; then look at server.commands and server.messages

A list or tuple holds successive answers, of which the last one stays: `["450 4.7.1 greylisted", "250 2.1.5 ok"]`.
"""

import base64
import binascii
import re
import socket
import socketserver
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar, Self

from attrs import define, field, frozen

from policy.attempt import Command

NAME = "mx.scripted.example"
FEATURES = ("SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")

_COMMAND_LIMIT = 65536  # octets of a command line; far more than RFC 5321 4.5.3.1.4 asks for
_LINE_LIMIT = 2**24
_PATH = re.compile(r"(?:FROM|TO):\s*<(.*)>", re.IGNORECASE)


@frozen
class Close:
    """Say `text`, or nothing, and close the connection."""

    text: str | bytes = b""


@frozen
class Silence:
    """Say nothing, and wait until the client has gone."""


@frozen
class Stall:
    """Say `text`, then read and say nothing more; the connection stays."""

    text: str | bytes = b""


@frozen
class Extra:
    """Say `text` and, in the same packet, bytes that nobody asked for."""

    text: str | bytes
    more: bytes


@frozen
class Drip:
    """Say `text` one byte at a time, with a wait of `every` between two (a tar pit)."""

    text: str | bytes
    every: timedelta


# Text gets its final CRLF, and LF between lines becomes CRLF; bytes go out as they are.
Answer = str | bytes | Close | Silence | Stall | Extra | Drip
Answers = Answer | list[Answer] | tuple[Answer, ...]
Rcpt = Mapping[str, Answers] | Callable[[str], Answer]


@frozen
class Message:
    """A message whose final dot came, whatever was then answered; `content` is without the stuffed dots."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)


def _by_address(rcpt: Rcpt) -> Rcpt:
    return rcpt if callable(rcpt) else {address.lower(): said for address, said in rcpt.items()}


@define(kw_only=True, eq=False, repr=False)
class ScriptedServer:
    """Listens on 127.0.0.1 while the `with` block runs; all its threads and connections end with it.

    Args:
        rcpt: answers to RCPT, by address as the client writes it (case does not matter), or a function of it.
        replies: answers to the other commands; CONNECT is the greeting, DOT the end of the message.
        unlisted: the answer to RCPT for an address that `rcpt` does not name.
        features: what EHLO offers, beside STARTTLS and AUTH where these are possible.
        leaving: the answer to QUIT.
        tls: the server's side of STARTTLS; None: not offered.
        auth: says whether (user, password) of AUTH PLAIN is right; None: not offered. With `tls` only once encrypted.

    Attributes:
        commands: every command line of every connection, in order.
        messages: every message whose final dot came.
    """

    host: ClassVar[str] = "127.0.0.1"

    rcpt: Rcpt = field(factory=dict, converter=_by_address)
    replies: Mapping[Command, Answers] = field(factory=dict)
    unlisted: Answer = "250 2.1.5 ok"
    features: tuple[str, ...] = FEATURES
    leaving: Answer = "221 2.0.0 bye"
    tls: ssl.SSLContext | None = None
    auth: Callable[[str, str], bool] | None = None
    commands: list[str] = field(factory=list, init=False)
    messages: list[Message] = field(factory=list, init=False)
    ending: threading.Event = field(factory=threading.Event, init=False)
    _asked: Counter[Command | str] = field(factory=Counter, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _listener: "_Listener" = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self._listener = _Listener(self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), name="scripted-smtpd")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.hang_up()
        self._listener.server_close()  # waits for the conversations

    @property
    def port(self) -> int:
        """The port that the system chose."""
        return int(self._listener.server_address[1])

    def answer(self, command: Command, usual: Answer) -> Answer:
        """Return what the script says to `command` this time; `usual` when it says nothing of it."""
        return self._this_time(command, self.replies.get(command, usual))

    def answer_rcpt(self, address: str) -> Answer:
        """Return what the script says to RCPT for `address` this time."""
        if callable(self.rcpt):
            return self.rcpt(address)
        return self._this_time(address.lower(), self.rcpt.get(address.lower(), self.unlisted))

    def _this_time(self, key: Command | str, answers: Answers) -> Answer:
        if not isinstance(answers, list | tuple):
            return answers
        with self._lock:
            self._asked[key] += 1
            return answers[min(self._asked[key], len(answers)) - 1]


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts connections, and knows which are open."""

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, script: ScriptedServer) -> None:
        super().__init__((script.host, 0), _Conversation)
        self.script = script
        self.open: set[socket.socket] = set()

    def hang_up(self) -> None:
        for each in tuple(self.open):
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)  # the reading thread wakes; TLS state stays its own


class _Conversation(socketserver.BaseRequestHandler):
    """One connection: reads commands, says what the script says."""

    server: _Listener

    def setup(self) -> None:
        self._script = self.server.script
        self._sender = ""
        self._recipients: list[str] = []
        self._use(self.request)

    def handle(self) -> None:
        with suppress(OSError):  # the client, or we, hung up
            going = self._say(self._script.answer(Command.CONNECT, f"220 {NAME} ESMTP"))
            while going and (line := self._lines.readline(_COMMAND_LIMIT)):
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self._script.commands.append(text)
                verb, _, argument = text.partition(" ")
                going = _STEPS.get(verb.upper(), _Conversation._unknown)(self, argument)

    def finish(self) -> None:
        self.server.open.discard(self._socket)
        with suppress(OSError):
            self._lines.close()
            self._socket.close()

    def _use(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lines = connection.makefile("rb")
        self.server.open.add(connection)
        if self._script.ending.is_set():  # too late for `hang_up`
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _say(self, answer: Answer) -> bool:
        """Send `answer`; False when the conversation is over."""
        match answer:
            case Close(text):
                self._socket.sendall(_octets(text))
                return False
            case Silence():
                while self._lines.readline(_LINE_LIMIT):
                    pass
                return False
            case Stall(text):
                self._socket.sendall(_octets(text) if text else b"")
                self._script.ending.wait()
                return False
            case Extra(text, more):
                self._socket.sendall(_octets(text) + more)
            case Drip(text, every):
                return self._drip(_octets(text), every)
            case _:
                self._socket.sendall(_octets(answer))
        return True

    def _drip(self, octets: bytes, every: timedelta) -> bool:
        for octet in octets:
            self._socket.sendall(bytes([octet]))
            if self._script.ending.wait(every.total_seconds()):
                return False
        return True

    def _ehlo(self, _: str) -> bool:
        offered = [NAME, *self._script.features]
        encrypted = isinstance(self._socket, ssl.SSLSocket)
        if self._script.tls and not encrypted:
            offered.append("STARTTLS")
        if self._script.auth and (encrypted or not self._script.tls):
            offered.append("AUTH PLAIN")
        lines = [f"250-{each}" for each in offered[:-1]] + [f"250 {offered[-1]}"]
        return self._say(self._script.answer(Command.EHLO, "\n".join(lines)))

    def _helo(self, _: str) -> bool:
        return self._say(f"250 {NAME}")

    def _starttls(self, _: str) -> bool:
        if not self._script.tls:
            return self._say("502 5.5.1 not offered")
        answer = self._script.answer(Command.STARTTLS, "220 2.0.0 go ahead")
        if not self._say(answer) or not _first(answer).startswith(b"220"):
            return not isinstance(answer, Close | Silence)
        self._lines.close()  # what came in clear is forgotten (CVE-2011-0411)
        self.server.open.discard(self._socket)
        self._use(self._script.tls.wrap_socket(self._socket, server_side=True))
        return True

    def _auth(self, argument: str) -> bool:
        mechanism, _, response = argument.partition(" ")
        if not self._script.auth or mechanism.upper() != "PLAIN":
            return self._say(self._script.answer(Command.AUTH, "504 5.5.4 not offered"))
        if not response:
            self._say("334 ")
            response = self._lines.readline(_COMMAND_LIMIT).decode("ascii", "replace").strip()
        try:
            _, user, password = base64.b64decode(response).decode().split("\0")
        except (binascii.Error, ValueError):
            return self._say("501 5.5.2 cannot read that")
        right = self._script.auth(user, password)
        usual = "235 2.7.0 welcome" if right else "535 5.7.8 user or password is wrong"
        return self._say(self._script.answer(Command.AUTH, usual))

    def _mail(self, argument: str) -> bool:
        found = _PATH.match(argument)
        self._sender, self._recipients = found[1] if found else "", []
        return self._say(self._script.answer(Command.MAIL, "250 2.1.0 ok"))

    def _rcpt(self, argument: str) -> bool:
        found = _PATH.match(argument)
        address = found[1] if found else ""
        answer = self._script.answer_rcpt(address)
        if _first(answer).startswith(b"2"):
            self._recipients.append(address)
        return self._say(answer)

    def _data(self, _: str) -> bool:
        usual = "354 go ahead" if self._recipients else "554 5.5.1 no valid recipients"
        answer = self._script.answer(Command.DATA, usual)
        if not self._say(answer) or not _first(answer).startswith(b"354"):
            return not isinstance(answer, Close | Silence)
        content = self._content()
        if content is None:
            return False
        self._script.messages.append(Message(self._sender, tuple(self._recipients), content))
        self._recipients = []
        return self._say(self._script.answer(Command.DOT, "250 2.0.0 queued"))

    def _content(self) -> bytes | None:
        """Read up to CRLF.CRLF and nothing else that looks like it; None when the client goes before."""
        lines: list[bytes] = []
        before = b"\r\n"
        while line := self._lines.readline(_LINE_LIMIT):
            at_start = before.endswith(b"\r\n")
            if at_start and line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if at_start and line.startswith(b".") else line)
            before = line
        return None

    def _rset(self, _: str) -> bool:
        self._recipients = []
        return self._say("250 2.0.0 ok")

    def _noop(self, _: str) -> bool:
        return self._say("250 2.0.0 ok")

    def _quit(self, _: str) -> bool:
        self._say(self._script.leaving)
        return False

    def _unknown(self, _: str) -> bool:
        return self._say("500 5.5.2 command not recognized")


_STEPS: dict[str, Callable[[_Conversation, str], bool]] = {
    "EHLO": _Conversation._ehlo,
    "HELO": _Conversation._helo,
    "STARTTLS": _Conversation._starttls,
    "AUTH": _Conversation._auth,
    "MAIL": _Conversation._mail,
    "RCPT": _Conversation._rcpt,
    "DATA": _Conversation._data,
    "RSET": _Conversation._rset,
    "NOOP": _Conversation._noop,
    "QUIT": _Conversation._quit,
}


def _octets(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode() + b"\r\n"


def _first(answer: Answer) -> bytes:
    """Return the octets with which `answer` starts."""
    if isinstance(answer, Silence):
        return b""
    return _octets(answer if isinstance(answer, str | bytes) else answer.text)
