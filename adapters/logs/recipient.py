"""What a delivery report says of one recipient (RFC 3464 2.3): a group of fields in, an attempt to decide about out.

- The reply that a `Diagnostic-Code` of type smtp quotes beats the report's own `Status` (Exim writes 5.0.0 there).
- Without one the `Status` makes the reply, with 250, 450 or 550 for its class and no command: at an unknown command
  those codes say no more than their class, so nothing is invented. A note says that it was done.
- A reply of a class that the `Action` cannot have does not count: `failed` has 4 or 5 (a 4yz was given up), `delayed`
  has 4, the rest have 2. Postfix with soft_bounce reports a delay and quotes a 550: that stays a delay.
- The recipient is the one that the reply is about: `Final-Recipient`, not the address that the mail was sent to before
  someone passed it on.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from attrs import field, frozen

from adapters.logs.diagnostic import Diagnostic, command_in, read_diagnostic
from adapters.logs.parts import Part
from policy.address import Address, parse_address
from policy.attempt import Attempt, Command, Custody
from policy.reply import EnhancedStatus, Reply, parse_reply
from policy.text import clean

_ADDRESS_LIMIT = 600  # characters
_YEARS = range(1980, 2200)  # of a date that is believed; arithmetic at year 9999 has no room


class Kind(Enum):
    """What a mail says of a recipient; the first five are the actions of RFC 3464 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    UNKNOWN = "unknown"  # a bounce, but its form does not tell the outcome
    COMPLAINT = "complaint"  # RFC 5965: a reader pressed `spam`
    AUTO_REPLY = "auto-reply"  # RFC 3834: a vacation notice, a challenge
    NONE = "none"


_CLASSES = {  # of the replies that an action can have, the one of a report without any reply last
    Kind.FAILED: (4, 5),
    Kind.DELAYED: (4,),
    Kind.DELIVERED: (2,),
    Kind.RELAYED: (2,),
    Kind.EXPANDED: (2,),
}
_CODES = {2: 250, 4: 450, 5: 550}


@frozen(kw_only=True)
class Reported:
    """What a mail says of one recipient.

    Args:
        recipient: whom the reply is about; None when the mail names nobody readable.
        original_recipient: to whom the message was first addressed; None when not stated.
        attempt: to decide about; None when there is nothing to decide by.
        will_retry_until: of a delay; None when not stated.
        notes: what a person should know of how this was read.
    """

    kind: Kind
    recipient: Address | None = None
    original_recipient: Address | None = None
    attempt: Attempt | None = None
    will_retry_until: datetime | None = None
    notes: tuple[str, ...] = ()


@frozen
class Whole:
    """What a report says once, for all of its recipients.

    Args:
        written: when the report was; None when it does not say.
        arrived: when the message came to the reporting server; None when not stated.
        message_id: of the returned message; None when nothing of it was returned.
        said: what the text for people says, by recipient, see `entries`.
    """

    written: datetime | None
    arrived: datetime | None
    message_id: str | None
    tags: tuple[tuple[str, str], ...]
    said: dict[str, str] = field(repr=False)


def reported(group: Part, whole: Whole) -> Reported:
    """Read one recipient's group of fields."""
    notes: list[str] = []
    action = group.value("action").split(" ", 1)[0].lower()
    kind = next((each for each in _CLASSES if each.value == action), Kind.UNKNOWN)
    if kind is Kind.UNKNOWN:
        notes.append(f"`{clean(action, limit=40)}` is no action of RFC 3464: nothing is decided")
    recipient, original = _people(group, notes)
    diagnostic = read_diagnostic(group.value("diagnostic-code"))
    reply = None if kind is Kind.UNKNOWN else _reply(kind, diagnostic, _status(group.value("status")), notes)
    if kind is Kind.FAILED and reply is not None and reply.klass == 4:
        notes.append("the reporting mail server has given up: a retry would be a new sending of yours")
    return Reported(
        kind=kind,
        recipient=recipient,
        original_recipient=original,
        attempt=_attempt(group, whole, kind, recipient, reply, diagnostic) if recipient and reply else None,
        will_retry_until=date(group.value("will-retry-until")) if kind is Kind.DELAYED else None,
        notes=tuple(notes),
    )


def _attempt(
    group: Part, whole: Whole, kind: Kind, recipient: Address, reply: Reply, diagnostic: Diagnostic
) -> Attempt:
    at = date(group.value("last-attempt-date")) or whole.written
    arrived = whole.arrived
    # A delay is never given up by us, however old it is: that is the reporting server's to say.
    known = kind is Kind.FAILED and at is not None and arrived is not None and arrived <= at
    return Attempt(
        outcome=reply,
        command=_command(kind, reply, diagnostic, _words(group, recipient, whole)),
        recipient=recipient,
        mx=_host(group.value("remote-mta")),
        first_attempt_at=arrived if known else None,
        at=at,
        tags=whole.tags,
        custody=Custody.THEIRS,
        message_id=whole.message_id,
    )


def _people(group: Part, notes: list[str]) -> tuple[Address | None, Address | None]:
    """Return whom the reply is about, and whom the message was addressed to."""
    if sum(name == "final-recipient" for name, _ in group.fields) > 1:
        notes.append("a group of fields names several recipients: only the first was read")
    final, original = (_address(group.value(name)) for name in ("final-recipient", "original-recipient"))
    if final is None:
        notes.append(
            f"no final recipient can be read: {'the original one is taken' if original else 'nothing is decided'}"
        )
    elif original is not None and original.key != final.key:
        notes.append(f"the mail was addressed to {clean(str(original), limit=320)}: the reply is about another address")
    return final or original, original


def _reply(kind: Kind, diagnostic: Diagnostic, stated: EnhancedStatus | None, notes: list[str]) -> Reply | None:
    """Return the reply that is quoted, else the one that the status makes; None when nothing says why it failed."""
    classes = _CLASSES[kind]
    quoted = diagnostic.reply
    if quoted is not None and quoted.klass in classes:
        return quoted
    why = "the report quotes no SMTP reply"
    if quoted is not None:
        why = f"`{clean(str(quoted), limit=100)}` is no reply of a mail that is {kind.value}"
    statuses = [each for each in (diagnostic.status, stated) if each is not None and each.klass in classes]
    if not statuses and kind is Kind.FAILED:
        notes.append(f"{why}, and no status says more: nothing is decided")
        return None
    status = statuses[0] if statuses else None
    code = _CODES[status.klass if status else classes[0]]
    notes.append(f"{why}: {f'its status {status}' if status else f'the word {kind.value}'} counts, as {code}")
    return parse_reply(" ".join(filter(None, (str(code), str(status or ""), diagnostic.text))))


def _words(group: Part, recipient: Address, whole: Whole) -> str:
    """What the text for people says of this recipient; empty when it says nothing that can be told apart."""
    for name in (typed(group.value("final-recipient"))[1].strip("<>"), str(recipient)):
        if name.lower() in whole.said:
            return whole.said[name.lower()]
    return ""


def _command(kind: Kind, reply: Reply, diagnostic: Diagnostic, words: str) -> Command | None:
    """Return what the reply answered; None when it is not known, or when there was no reply."""
    if kind not in (Kind.FAILED, Kind.DELAYED):
        return Command.DOT  # the message was taken over
    return (diagnostic.command or command_in(words)) if reply is diagnostic.reply else None


def names_recipient(group: Part) -> bool:
    """Is this group a recipient's, and not that of the message?"""
    return any(name in ("final-recipient", "original-recipient", "action") for name, _ in group.fields)


def typed(value: str) -> tuple[str, str]:
    """Split `rfc822; jo@example.org`; the type is empty when there is none."""
    kind, semicolon, text = value.partition(";")
    return (kind.strip().lower(), text.strip()) if semicolon else ("", value.strip())


def _address(value: str) -> Address | None:
    kind, text = typed(value[:_ADDRESS_LIMIT])
    if kind == "utf-8":  # RFC 6533 3: \x{F6} for what a 7-bit path could not carry
        text = re.sub(r"\\x\{([0-9A-Fa-f]{1,6})\}", _character, text)
    try:
        return parse_address(text)
    except ValueError:
        return None


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else found[0]


def _host(value: str) -> str | None:
    """The name in `dns; mx.example.net (192.0.2.1, ...)`; None when there is none."""
    words = typed(value)[1].split()
    return words[0].strip("[]") or None if words else None


def _status(value: str) -> EnhancedStatus | None:
    try:
        return EnhancedStatus.parse(value.split(" ", 1)[0])
    except ValueError:
        return None


def date(value: str) -> datetime | None:
    """Read an RFC 5322 date; None for anything else. `-0000`, a time in UTC from nowhere, is UTC."""
    try:
        at = parsedate_to_datetime(value[:100])
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return at if at.year in _YEARS else None
