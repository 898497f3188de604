"""One try to deliver to one recipient, and how it ended.

An adapter makes an `Attempt` of whatever it saw: an SMTP conversation, a log line, a webhook. The outcome is what
the remote MTA said (`Reply`) or a named failure where nobody said anything (`Failure`). What a recipient says later of
a message that arrived (`Event`) comes the same way.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Literal

import attrs
from attrs import field, frozen
from attrs.validators import ge, instance_of, optional

from policy.address import NULL_SENDER, Address
from policy.reply import Reply
from policy.text import clean

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # no mail is older, and no schedule runs out of the calendar from here
LATEST = datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
NAME_LIMIT = 255  # characters of a host name, a provider, an id, a tag


class Command(Enum):
    """The SMTP command that the reply answers; DOT is the end of the message text."""

    CONNECT = "CONNECT"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "DOT"


class Failure(Enum):
    """A delivery attempt that ended without a reply to the command that mattered."""

    NO_SUCH_DOMAIN = "no-such-domain"  # NXDOMAIN, or neither MX nor address records
    NULL_MX = "null-mx"  # RFC 7505
    DNS_TEMPORARY = "dns-temporary"  # SERVFAIL, timeout, bogus
    NO_ROUTE = "no-route"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    RESET = "reset"
    LOST_AFTER_DOT = "lost-after-dot"  # the message may have arrived
    TLS_FAILED = "tls-failed"
    TLS_POLICY = "tls-policy"  # MTA-STS, DANE or REQUIRETLS could not be met
    NOT_ATTEMPTED = "not-attempted"  # the connection ended before this recipient's turn


class Event(Enum):
    """What the recipient said of a message that was delivered, as a provider or a list's own page tells it."""

    COMPLAINT = "complaint"  # called spam (RFC 5965)
    UNSUBSCRIBE = "unsubscribe"  # asked for no more of it (RFC 8058)


Answer = Reply | Failure  # how an attempt to deliver ends
Outcome = Answer | Event


class Tls(Enum):
    """How the connection was secured."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # against listeners only: anybody may have answered
    AUTHENTICATED = "authenticated"  # the host proved its name, by DANE or MTA-STS


class Custody(Enum):
    """Who retries: we, or the MTA or provider that holds the message (our retry is then advice)."""

    OURS = "ours"
    THEIRS = "theirs"


def moment(value: datetime) -> datetime:
    """Converter: the same moment in UTC; a time without its offset from UTC is an error, not a guess."""
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"time `{value.isoformat()}` needs its offset from UTC, such as a final `Z`")
    try:
        at = value.astimezone(UTC).replace(fold=0)
    except OverflowError:
        at = EARLIEST - timedelta(days=1)
    if not EARLIEST <= at <= LATEST:
        raise ValueError(f"time `{value.isoformat()}` is not in {EARLIEST.year}-{LATEST.year}")
    return at


def name(value: str | None) -> str | None:
    """Converter for short names from outside: cleaned and cut; empty is None."""
    return None if value is None else clean(value, limit=NAME_LIMIT) or None


def ident(value: str | None) -> str | None:
    """Converter for ids: as `name`, but what is cut off stays told apart by a digest of the whole."""
    if value is None or len(value) <= NAME_LIMIT:
        return name(value)
    return name(f"{clean(value, limit=NAME_LIMIT - 40)}~{_digest(value)}")


def _host(value: str | None) -> str | None:
    return name(None if value is None else clean(value.lower(), limit=NAME_LIMIT).rstrip(" ."))


def _tags(value: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((clean(k, limit=NAME_LIMIT), clean(v, limit=NAME_LIMIT)) for k, v in value))


_NOT_TOLD = ("attempt_id", "at", "recipient", "route")  # which a fingerprint takes in otherwise, or not at all


@frozen(kw_only=True)
class Attempt:
    """One try to deliver one message to one recipient.

    Args:
        outcome: what the remote MTA said to the command that settled it, or the failure, or the event.
        command: which command `outcome` answers; None when not known.
        recipient: None when not known (then nothing can be suppressed or noted); an event must name it.
        sender: the reverse-path; `NULL_SENDER` for `<>`, None when not known.
        recipients: accepted recipients in this transaction, counted from 1 (LMTP: 1, each has its own reply).
        mx: the remote MTA's host name; None when not known or never reached.
        provider: the mailbox provider, where the caller knows it.
        number: of this attempt for this message and recipient, counted from 1; None: take it from the history.
        first_attempt_at: of this message to this recipient; None: from the history, or now.
        at: when it happened; None: now.
        stream: what kind of mail, e.g. `transactional`, `bulk`, `otp`.
        tags: names and values of the caller's own, sorted; `campaign` names the mailing.
        rcpt_reply: with an outcome after RCPT, what RCPT had answered (a 251 stays noted).
        custody: who retries.
        deliver_by: the message is worth nothing after it (RFC 2852); None: no deadline of its own.
        tls: how the connection was secured; None when not known.
        backup_mx: it was a backup MX that answered, since the primary could not be reached.
        route: the name of the route by which it went; None: the one that was decided last for it, or the usual one.
        smtputf8: the transaction used SMTPUTF8 (RFC 6531).
        attempt_id: names this attempt for ever; None: derived from the rest.
        message_id: the queue's name of the message; None: derived, see `message`.
    """

    outcome: Outcome = field(validator=instance_of((Reply, Failure, Event)))
    command: Command | None = field(default=None, validator=optional(instance_of(Command)))
    recipient: Address | None = field(default=None, validator=optional(instance_of(Address)))
    sender: Address | Literal[""] | None = None
    recipients: int = field(default=1, validator=(instance_of(int), ge(1)))
    mx: str | None = field(default=None, converter=_host)
    provider: str | None = field(default=None, converter=name)
    number: int | None = field(default=None, validator=optional((instance_of(int), ge(1))))
    first_attempt_at: datetime | None = field(default=None, converter=attrs.converters.optional(moment))
    at: datetime | None = field(default=None, converter=attrs.converters.optional(moment))
    stream: str | None = field(default=None, converter=name)
    tags: tuple[tuple[str, str], ...] = field(default=(), converter=_tags)
    rcpt_reply: Reply | None = None
    custody: Custody = Custody.OURS
    deliver_by: datetime | None = field(default=None, converter=attrs.converters.optional(moment))
    tls: Tls | None = field(default=None, validator=optional(instance_of(Tls)))
    backup_mx: bool = False
    route: str | None = field(default=None, converter=name)
    smtputf8: bool = False
    attempt_id: str | None = field(default=None, converter=ident)
    message_id: str | None = field(default=None, converter=ident)

    def __attrs_post_init__(self) -> None:
        if isinstance(self.outcome, Event) and self.recipient is None:
            raise ValueError(f"event `{self.outcome.value}` needs a `recipient`: it is that recipient's own word")

    @property
    def null_sender(self) -> bool:
        """The reverse-path is `<>`: nothing may ever be sent back (RFC 5321 4.5.5)."""
        return self.sender == NULL_SENDER

    @property
    def campaign(self) -> str | None:
        """The mailing that it belongs to, by the tag of this name; None when not known."""
        return next((value for key, value in self.tags if key == "campaign" and value), None)

    @property
    def identity(self) -> str:
        """The attempt's id, given or derived: equal attempts have equal ids."""
        return self.attempt_id or _digest("attempt", self.fingerprint, self.at)

    @property
    def message(self) -> str:
        """The message's id, given or derived from sender, recipient, stream and first attempt.

        Without a first attempt's time nothing tells two messages apart, so each attempt is a message of its own.
        """
        if self.message_id is not None:
            return self.message_id
        if self.first_attempt_at is None:
            return self.identity
        return _digest("message", self.sender, self.recipient, self.stream, self.first_attempt_at)

    @property
    def fingerprint(self) -> str:
        """A digest of all that was said of the attempt, its id and time aside; equal only for equal content."""
        told = (each.name for each in attrs.fields(Attempt) if each.name not in _NOT_TOLD)
        by_route = () if self.route is None else (f"route {self.route}",)  # ids from before there were routes stay
        return _digest(self.recipient and self.recipient.key, *(getattr(self, name) for name in told), *by_route)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
