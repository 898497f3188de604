"""An SMTP connection by the standard library's `smtplib` in which every reply is seen as it came, byte for byte.

`smtplib` shows (code, text) of a reply, reads line ends leniently, waits for ever for a server that sends a byte a
minute, and reads what comes too early as the answer to the next command. Here one command has one reply:

- a reply ends with its CRLF, within `reply_timeout` as a whole and within `REPLY_LIMIT` octets;
- bytes beyond it that nobody asked for void it (`Flaw.OUT_OF_STEP`; SMTP smuggling, CVE-2023-51764), but for a
  lone 421, which a server may say at any time (RFC 5321 3.8);
- a void reply, one without a code and a 421 are the last ones: the connection is closed.
"""

import re
import smtplib
import socket
import ssl
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from policy.reply import Flaw, Reply, parse_reply

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

REPLY_LIMIT = 65536  # octets; what is longer has no end that we want to wait for
_BLOCK = 65536  # octets of a message that are sent within one time-out (RFC 5321 4.5.3.2.5)
_QUIT_TIMEOUT = timedelta(seconds=2)

_CODE = re.compile(rb"[0-9]{3}(-?)")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_FIRST_DOT = re.compile(rb"^\.", re.MULTILINE)


class Conversation(smtplib.SMTP):
    """One connection. Raises OSError as the socket does; `SMTPServerDisconnected` after the last reply.

    Args:
        host: the name that the server's certificate must show.
        timeout: for connecting, for each reply as a whole, and for sending each 64 kB.
        ehlo_name: what we call ourselves; None: the host's own name.
    """

    def __init__(self, *, host: str, timeout: timedelta, ehlo_name: str | None) -> None:
        super().__init__(local_hostname=ehlo_name, timeout=timeout.total_seconds())
        self._server_name = host
        self.reply_timeout = timeout
        self.last_reply: Reply | None = None
        self._incoming = _Incoming()

    @property
    def is_open(self) -> bool:
        """The connection stands, and the replies are in step."""
        return self.sock is not None

    def ask(self, command: str, argument: str = "") -> Reply:
        """Say one command and return its reply."""
        self.docmd(command, argument)
        return self._seen()

    def greeting(self, host: str, port: int) -> Reply:
        """Connect and return the reply with which the server greets."""
        self.connect(host, port)
        return self._seen()

    def hello(self) -> Reply:
        """Say EHLO, or HELO to a server that does not know EHLO (RFC 5321 3.2), and return the reply."""
        self.ehlo()
        if self._seen().klass == 5 and self.is_open:
            self.helo()
        return self._seen()

    def start_tls(self, context: ssl.SSLContext) -> Reply:
        """Say STARTTLS and, after a 220, encrypt; raises ssl.SSLError when that fails."""
        reply = self.ask("STARTTLS")
        if reply.code != 220 or not self.is_open:
            return reply
        if self._more_came():  # what came in clear must not be read as if it were encrypted (CVE-2011-0411)
            return self._void(reply)
        connection = self._connection()
        connection.settimeout(self.reply_timeout.total_seconds())
        self.sock = context.wrap_socket(connection, server_hostname=self._server_name)
        self.esmtp_features = {}  # RFC 3207 4.2: what was offered in clear is forgotten
        return reply

    def send_text(self, content: bytes) -> None:
        """Send the message text and its final dot; returns only when the dot has been sent."""
        octets = _FIRST_DOT.sub(b"..", content) + b".\r\n"
        for start in range(0, len(octets), _BLOCK):
            self._stay_in_step()  # what comes before the dot must not be taken for its reply
            self.send(octets[start : start + _BLOCK])

    def final_reply(self, timeout: timedelta) -> Reply:
        """Return the reply to the final dot, which may take longer than others (RFC 5321 4.5.3.2.6)."""
        self.reply_timeout = timeout
        self.getreply()
        return self._seen()

    def leave(self) -> None:
        """Say QUIT, if there is anybody to say it to; what comes back does not matter."""
        self.reply_timeout = min(self.reply_timeout, _QUIT_TIMEOUT)
        with suppress(OSError):
            if self.is_open:
                self.docmd("QUIT")
        self.close()

    # The three methods through which all of smtplib speaks and listens.

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Say a command."""
        self._stay_in_step()
        super().putcmd(cmd, args)

    def send(self, s: "ReadableBuffer | str") -> None:
        """Send; unlike smtplib's it lets the socket's own error out."""
        connection = self._connection()
        connection.settimeout(self.reply_timeout.total_seconds())
        connection.sendall(s.encode(self.command_encoding) if isinstance(s, str) else s)

    def getreply(self) -> tuple[int, bytes]:
        """Read exactly one reply into `last_reply`; returns what smtplib wants: code (-1: none) and text."""
        raw = self._read()
        reply = self.last_reply = parse_reply(raw)
        if len(raw) > REPLY_LIMIT or (self._more_came() and not self._incoming.is_farewell()):
            self._void(reply)
        elif reply.code in (None, 421):
            self.close()
        text = b"\n".join(line[4:].strip() for line in raw.removesuffix(b"\r\n").split(b"\r\n"))
        return (-1 if reply.code is None else reply.code), text

    def _read(self) -> bytes:
        deadline = time.monotonic() + self.reply_timeout.total_seconds()
        while (raw := self._incoming.reply()) is None:
            connection = self._connection()
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            if not (octets := connection.recv(4096)):
                raise ConnectionResetError("the connection was closed before the reply was complete")
            self._incoming.feed(octets)
            if time.monotonic() > deadline and not self._incoming.is_whole():
                raise TimeoutError("the reply was not complete in time")
        return raw

    def _more_came(self) -> bool:
        """Did the server say more than it was asked?"""
        if self.sock is not None and not self._incoming:
            self.sock.settimeout(0)
            with suppress(OSError):  # nothing there; a lost connection shows itself at the next command
                self._incoming.feed(self.sock.recv(4096))
        return bool(self._incoming)

    def _stay_in_step(self) -> None:
        """Before we speak: what the server said unasked is its last reply."""
        if self.is_open and self._more_came():
            self.getreply()
            if self._seen().code != 421:
                self._void(self._seen())
            raise smtplib.SMTPServerDisconnected("the server spoke out of turn")

    def _void(self, reply: Reply) -> Reply:
        self.last_reply = voided(reply)
        self.close()
        return self.last_reply

    def _seen(self) -> Reply:
        if self.last_reply is None:
            raise smtplib.SMTPServerDisconnected("nothing was said")
        return self.last_reply

    def _connection(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the conversation is over")
        return self.sock


class _Incoming:
    """What has been received and not yet taken as a reply; finds the end of one in linear time."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._line = 0  # where the first line starts whose end was not seen yet
        self._looked = 0  # no CRLF before this place

    def __bool__(self) -> bool:
        return bool(self._octets)

    def feed(self, octets: bytes) -> None:
        self._octets += octets

    def is_whole(self) -> bool:
        """Is there a whole reply?"""
        return self._end() is not None

    def is_farewell(self) -> bool:
        """Is it one whole 421 and nothing else?"""
        return self._octets.startswith(b"421") and self._end() == len(self._octets)

    def reply(self) -> bytes | None:
        """Take one reply; None: it is not whole. One over the limit is taken as far as it came."""
        end = self._end()
        if end is None:
            return None
        taken = bytes(self._octets[:end])
        del self._octets[:end]
        self._line = self._looked = 0
        return taken

    def _end(self) -> int | None:
        while (at := self._octets.find(b"\r\n", self._looked)) >= 0:
            found = _CODE.match(self._octets, self._line, at)
            # After `550-` a line without code is one more line; as the first line it is all there will be.
            last = not found[1] if found else self._line == 0
            if last:
                return at + 2
            self._line = self._looked = at + 2
        self._looked = max(len(self._octets) - 1, self._line)
        return len(self._octets) if len(self._octets) > REPLY_LIMIT else None


def voided(reply: Reply) -> Reply:
    """Return `reply` with the flaw that says: it may not be the answer to what was asked."""
    flaws = {*reply.flaws, Flaw.OUT_OF_STEP}
    return attrs.evolve(reply, flaws=tuple(flaw for flaw in Flaw if flaw in flaws))


def wire_content(content: bytes) -> bytes:
    r"""Return the message with CRLF at the end of each line, the last one too.

    >>> wire_content(b"a\nb\r.")
    b'a\r\nb\r\n.\r\n'
    """
    lines = _LINE_END.sub(b"\r\n", content)
    return lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"
