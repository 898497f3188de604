"""The mailer that hands messages to one host (a smart host, a submission server, a test server) over SMTP.

It does not use `smtplib.SMTP.sendmail`, which hides a 251, takes a 252 for a refusal and loses the reply to the
final dot. It goes step by step instead; a step returns what ended the transaction, or None to go on.
"""

import errno
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from enum import Enum

from attrs import define, field, frozen

from adapters.mailers.conversation import Conversation, voided, wire_content
from policy.address import Address, parse_domain
from policy.attempt import Answer, Command, Failure
from policy.ports import MailerSetup
from policy.reply import Flaw, Reply
from policy.transaction import Envelope, Transaction

Ended = tuple[Command, Answer]

_MECHANISMS = frozenset({"CRAM-MD5", "PLAIN", "LOGIN"})  # what smtplib can do


class Tls(Enum):
    """What protects the connection."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # where it is offered, to whoever answers; an envelope may say to leave it out
    STARTTLS = "starttls"  # demanded: nothing is sent in clear when it cannot be had


@frozen(kw_only=True)
class SmtplibMailer:
    """Sends each message over a connection of its own to `host`.

    Args:
        host: name or address of the host that takes our mail; no MX look-up is made.
        port: 587 for submission, 25 for relaying.
        tls: STARTTLS, demanded or as it is offered, or nothing.
        tls_context: None: the system's trust store, host name checked; when opportunistic, nothing is checked.
        user, password: both or none. They are sent encrypted only, but for a loopback host.
        timeout: for the connection, each reply as a whole, and each 64 kB of the message.
        dot_timeout: for the reply to the final dot; giving up early makes duplicates (RFC 5321 4.5.3.2.6).
        ehlo_name: what we call ourselves; None: the name of this host.

    Raises:
        MailerSetup: an option is wrong.
    """

    host: str = field()
    port: int = 587
    tls: Tls = Tls.STARTTLS
    tls_context: ssl.SSLContext | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: timedelta = timedelta(minutes=5)
    dot_timeout: timedelta = timedelta(minutes=10)
    ehlo_name: str | None = None

    def __attrs_post_init__(self) -> None:
        for option, value in (("host", self.host), ("ehlo_name", self.ehlo_name)):
            if value is not None and not _is_host(value):
                raise MailerSetup(f"{option} `{value!r}` is neither a host name nor an address")
        if not 1 <= self.port <= 65535:
            raise MailerSetup(f"port `{self.port}` is not in 1-65535")
        for option, wait in (("timeout", self.timeout), ("dot_timeout", self.dot_timeout)):
            if wait <= timedelta():
                raise MailerSetup(f"{option} `{wait}` is not longer than nothing")
        if (self.user is None) != (self.password is None):
            raise MailerSetup("`user` and `password` belong together: one of them is missing")
        if not (f"{self.user}{self.password}").isascii():
            raise MailerSetup("`user` and `password` must be ASCII for this mailer")
        if self.user is not None and self.tls is not Tls.STARTTLS and not _is_loopback(self.host):
            raise MailerSetup(f"a password would go to `{self.host}` unencrypted; use `tls: starttls`")

    def deliver(self, envelope: Envelope) -> Transaction:
        """Try once to deliver `envelope`; what the host does or fails to do is in the Transaction.

        Raises:
            MailerSetup: we are to log in, but the host offers no way that we know; or an address of the envelope
                has characters that must not go over the wire.
        """
        for address in filter(None, (envelope.sender, *envelope.recipients)):
            if not str(address).isprintable():
                raise MailerSetup(f"address `{str(address)!r}` cannot be put on the wire")
        return _Delivery(mailer=self, envelope=envelope).run()


def _context(*, checks: bool) -> ssl.SSLContext:
    """Opportunistic TLS is against listeners: a certificate that proves nothing is better than none (RFC 7435)."""
    context = ssl.create_default_context()
    if not checks:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        pass
    else:
        return True
    try:
        return bool(parse_domain(value))
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@define(kw_only=True)
class _Delivery:
    """One transaction under way: the connection, the command we are at, and what was said so far."""

    mailer: SmtplibMailer
    envelope: Envelope
    command: Command = Command.CONNECT
    mx: str | None = None
    rcpt_replies: list[tuple[Address, Reply]] = field(factory=list)
    smtputf8: bool = False
    content: bytes = b""
    talk: Conversation = field(init=False)

    def run(self) -> Transaction:
        mailer = self.mailer
        self.content = wire_content(self.envelope.content)
        self.talk = Conversation(host=mailer.host, timeout=mailer.timeout, ehlo_name=mailer.ehlo_name)
        try:
            ended = self._ended()
            self.talk.leave()
        finally:
            self.talk.close()
        return Transaction(
            envelope=self.envelope,
            mx=self.mx,
            rcpt_replies=tuple(self.rcpt_replies),
            ended=ended,
            smtputf8=self.smtputf8,
        )

    def _ended(self) -> Ended | None:
        steps: tuple[Callable[[], Ended | None], ...] = (
            self._connect,
            self._hello,
            self._encrypt,
            self._login,
            self._mail,
            self._rcpt,
            self._data,
        )
        try:
            return next((ended for step in steps if (ended := step())), None)
        except smtplib.SMTPServerDisconnected:  # our own side closed it after a last reply
            return self._last_word()
        except OSError as error:
            self.talk.close()
            return self.command, _failure(error, self.command)

    def _last_word(self) -> Ended:
        reply = self.talk.last_reply
        if reply is None:
            return self.command, Failure.RESET
        if self.rcpt_replies and Flaw.OUT_OF_STEP in reply.flaws:
            # Which of the two was meant for the recipient asked last? Nobody knows: neither counts.
            address, before = self.rcpt_replies[-1]
            self.rcpt_replies[-1] = address, voided(before)
        return self.command, reply

    def _connect(self) -> Ended | None:
        try:
            reply = self.talk.greeting(self.mailer.host, self.mailer.port)
        finally:
            # smtplib sets `sock` once TCP stands; a last reply closes it again.
            if self.talk.is_open or self.talk.last_reply:
                self.mx = self.mailer.host
        return self._unless_yes(reply)

    def _hello(self) -> Ended | None:
        self.command = Command.EHLO
        return self._unless_yes(self.talk.hello())

    def _encrypt(self) -> Ended | None:
        demanded = self.mailer.tls is Tls.STARTTLS
        if self.mailer.tls is Tls.NONE or (self.envelope.in_clear and not demanded):
            return None
        if not self.talk.has_extn("starttls"):
            return (Command.STARTTLS, Failure.TLS_FAILED) if demanded else None
        self.command = Command.STARTTLS
        reply = self.talk.start_tls(self.mailer.tls_context or _context(checks=demanded))
        if reply.code != 220:
            return Command.STARTTLS, reply
        return self._unless_yes(reply) or self._hello()  # RFC 3207 4.2: ask again what is offered

    def _login(self) -> Ended | None:
        if self.mailer.user is None or self.mailer.password is None:
            return None
        self.command = Command.AUTH
        offered = frozenset(self.talk.esmtp_features.get("auth", "").upper().split())
        if not offered & _MECHANISMS:
            self.talk.leave()
            raise MailerSetup(f"`{self.mailer.host}` offers no way to log in that we know; leave out `user`")
        self.talk.esmtp_features["auth"] = " ".join(offered)
        try:
            self.talk.login(self.mailer.user, self.mailer.password)
        except (smtplib.SMTPException, ValueError):  # refused, or a challenge that is none
            return self._last_word()
        return None if self.talk.is_open else self._last_word()

    def _mail(self) -> Ended | None:
        self.command = Command.MAIL
        sender = str(self.envelope.sender)
        self.smtputf8 = self.talk.has_extn("smtputf8") and not all(
            map(str.isascii, (sender, *map(str, self.envelope.recipients)))
        )
        if not sender.isascii() and not self.smtputf8:
            return Command.MAIL, Failure.NOT_ATTEMPTED
        if not self._askable():
            return None
        parameters = [f"FROM:<{sender}>"]
        if self.talk.has_extn("size"):
            parameters.append(f"SIZE={len(self.content)}")
        if self.talk.has_extn("8bitmime") and (self.smtputf8 or not self.content.isascii()):
            parameters.append("BODY=8BITMIME")
        if self.smtputf8:
            parameters.append("SMTPUTF8")
            self.talk.command_encoding = "utf-8"
        return self._unless_yes(self.talk.ask("MAIL", " ".join(parameters)))

    def _askable(self) -> list[Address]:
        """The recipients that can be put on this wire; the others are not asked for."""
        return [each for each in self.envelope.recipients if self.smtputf8 or each.local.isascii()]

    def _rcpt(self) -> Ended | None:
        self.command = Command.RCPT
        for recipient in self._askable():
            reply = self.talk.ask("RCPT", f"TO:<{recipient}>")
            self.rcpt_replies.append((recipient, reply))
            if not self.talk.is_open:
                return Command.RCPT, reply
        return None

    def _data(self) -> Ended | None:
        if not any(reply.klass == 2 for _, reply in self.rcpt_replies):
            return None
        self.command = Command.DATA
        reply = self.talk.ask("DATA")
        if reply.code != 354 or not self.talk.is_open:
            if reply.klass in (2, 3):
                self.talk.close()  # nobody knows what the host now waits for
            return Command.DATA, reply
        self.talk.send_text(self.content)
        self.command = Command.DOT
        return Command.DOT, self.talk.final_reply(self.mailer.dot_timeout)

    def _unless_yes(self, reply: Reply) -> Ended | None:
        """None to go on; a refusal, and a reply after which the connection is closed, end the transaction."""
        return None if reply.klass == 2 and self.talk.is_open else (self.command, reply)


_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def _failure(error: OSError, command: Command) -> Failure:
    """Name what the socket met while `command` was under way."""
    if command is Command.DOT:
        return Failure.LOST_AFTER_DOT  # however it was lost: the message may have arrived (RFC 1047)
    if isinstance(error, ssl.SSLError):
        return Failure.TLS_FAILED if command is Command.STARTTLS else Failure.RESET
    if isinstance(error, socket.gaierror):
        # A host of our own configuration that does not exist is no fault of the recipient's domain.
        return Failure.NO_ROUTE if error.errno in _NO_SUCH_NAME else Failure.DNS_TEMPORARY
    if isinstance(error, ConnectionRefusedError):
        return Failure.REFUSED
    if isinstance(error, TimeoutError):
        return Failure.TIMEOUT
    return Failure.NO_ROUTE if error.errno in _UNREACHABLE else Failure.RESET
