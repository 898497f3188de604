"""Delivery reports (RFC 3464; RFC 6533 for UTF-8): bytes of a mail in, what it says of each recipient out.

A report is a stranger's word: nothing here proves that we ever sent the mail it speaks of (RFC 3464 4.1). So its facts
are read, not believed, and what reads them must not suppress on its own.

What else comes to the same mailbox is told apart: complaints, vacation notices, bounces from before RFC 3464. The
sender of the returned message is not known here; the null sender is the report's own.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator

import attrs
from attrs import frozen

from adapters.logs.diagnostic import entries
from adapters.logs.oldstyle import ScannerMissing, old_recipients
from adapters.logs.parts import Part, decoded, read_fields, read_part
from adapters.logs.recipient import Kind, Reported, Whole, date, names_recipient, reported, typed
from policy.address import Address
from policy.attempt import Command
from policy.text import clean

SIZE_LIMIT = 10_000_000  # octets of a mail that are read; reports stand before what they return
RECIPIENTS_LIMIT = 1_000
_STATUS_LIMIT = 2_000_000  # octets of the machine-readable part that are read
_TEXT_LIMIT = 200_000  # octets of the text for people that are read

_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_RETURNED = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")


@frozen(kw_only=True)
class Report:
    """A mail, read.

    Args:
        recipients: at least one; a mail that is no report has a single one that says so and names nobody.
        reporting_mta: None when it is no report, or does not say.
        notes: what concerns the mail as a whole.
    """

    recipients: tuple[Reported, ...]
    reporting_mta: str | None = None
    notes: tuple[str, ...] = ()


def read_report(raw: bytes, *, scan: Callable[[bytes], tuple[Address, ...]] = old_recipients) -> Report:
    """Return what a mail reports. Total: any bytes give a Report; time and memory grow with `SIZE_LIMIT` at most.

    Args:
        raw: the mail with its header, line ends as they are.
        scan: finds the recipients of a bounce that has no machine-readable part; may raise ScannerMissing.
    """
    notes = [f"only the first {SIZE_LIMIT} octets were read"] if len(raw) > SIZE_LIMIT else []
    mail = read_part(raw[:SIZE_LIMIT])
    parts = [*mail.parts()] or [mail]
    kind = mail.parameter("report-type").lower()
    if kind == "feedback-report" or any(each.type == "message/feedback-report" for each in parts):
        return _nothing(Kind.COMPLAINT, "a complaint, not a bounce", notes)
    status = next((each for each in parts if each.type in _STATUS_TYPES), None)
    if status is not None:
        return _delivery_report(mail, parts, status, notes)
    return _no_report(mail, raw, notes, scan)


def _delivery_report(mail: Part, parts: list[Part], status: Part, notes: list[str]) -> Report:
    content = status.content
    first, *groups = _groups(content, whole=status.whole)
    recipients = [each for each in (first, *groups) if names_recipient(each)][:RECIPIENTS_LIMIT]
    more = max(0, _recipients_in(content) - len(recipients))
    if more:
        notes.append(f"{more} more recipients are named and were not read")
    if not status.whole:
        notes.append("the report is cut off: recipients may be missing")
    mta = typed(first.value("reporting-mta"))[1] or None
    text = next((each.content for each in parts if each.type == "text/plain"), b"")
    whole = Whole(
        written=date(mail.value("date")),
        arrived=date(first.value("arrival-date")),
        message_id=_message_id(parts),
        tags=_tags(first, mta),
        said=entries(decoded(text[:_TEXT_LIMIT])),
    )
    read = _shared([reported(each, whole) for each in recipients])
    if not read:
        read = (Reported(kind=Kind.UNKNOWN, notes=("the report names no recipient: nothing is decided",)),)
    return Report(recipients=read, reporting_mta=None if mta is None else clean(mta, limit=255), notes=tuple(notes))


def _groups(content: bytes, *, whole: bool) -> list[Part]:
    """Return the groups of fields, which blank lines separate: that of the message, then one a recipient."""
    if not whole or len(content) > _STATUS_LIMIT:
        # Cut in mid-line, `jo@example.com` could be `jo@example.co`: what is not a whole line is not read.
        content = content[: content.rfind(b"\n", 0, _STATUS_LIMIT) + 1]
    groups = re.split(rb"(?:\r?\n[ \t]*){2,}", content.strip(), maxsplit=RECIPIENTS_LIMIT + 1)
    return [read_fields(each) for each in groups[: RECIPIENTS_LIMIT + 1]]


def _recipients_in(content: bytes) -> int:
    return sum(1 for _ in re.finditer(rb"^final-recipient[ \t]*:", content, re.IGNORECASE | re.MULTILINE))


def _tags(first: Part, mta: str | None) -> tuple[tuple[str, str], ...]:
    named = {
        "reporting_mta": mta,
        "queue_id": first.value("x-postfix-queue-id"),
        "envelope_id": first.value("original-envelope-id"),
    }
    return tuple((name, value) for name, value in named.items() if value)


def _message_id(parts: list[Part]) -> str | None:
    returned = next((each for each in parts if each.type in _RETURNED), None)
    return None if returned is None else read_part(returned.content).value("message-id") or None


def _shared(read: list[Reported]) -> tuple[Reported, ...]:
    """Count those who share a refusal after the dot: it does not say whom of them it means (RFC 5321 3.3)."""
    counts = Counter(map(_refused_after_the_dot, read))
    return tuple(_one_of(each, counts[_refused_after_the_dot(each)]) for each in read)


def _refused_after_the_dot(each: Reported) -> tuple[str | None, str] | None:
    """Return what tells the transaction: who refused, and how; None for any other outcome."""
    attempt = each.attempt
    if attempt is None or attempt.command is not Command.DOT or each.kind is not Kind.FAILED:
        return None
    return attempt.mx, str(attempt.outcome)


def _one_of(each: Reported, count: int) -> Reported:
    if each.attempt is None or _refused_after_the_dot(each) is None:
        return each
    note = (
        "the reply came after the message: if the transaction had more recipients than the report, it may mean another"
    )
    return attrs.evolve(each, attempt=attrs.evolve(each.attempt, recipients=count), notes=(*each.notes, note))


def _no_report(mail: Part, raw: bytes, notes: list[str], scan: Callable[[bytes], tuple[Address, ...]]) -> Report:
    """Say what else a mail is: an old-style bounce, an automatic reply, or nothing of ours."""
    automatic = _is_automatic(mail)
    promised = mail.parameter("report-type").lower()
    from_nobody = mail.value("return-path") == "<>" and not automatic
    if promised == "delivery-status" or _looks_like_a_bounce(mail) or from_nobody:
        try:
            found = scan(raw[:SIZE_LIMIT])
        except ScannerMissing:
            says = "perhaps an old-style bounce: to read its recipients, pip install 'mailverdict[dsn]'"
            return _nothing(Kind.UNKNOWN, says, notes)
        if found:
            return Report(recipients=tuple(_old_style(found, notes)), notes=tuple(notes))
    if promised == "delivery-status":
        return _nothing(Kind.UNKNOWN, "a delivery report without the part that machines read", notes)
    if promised == "disposition-notification":
        return _nothing(Kind.NONE, "a receipt from a reader, not a bounce", notes)
    if automatic:
        return _nothing(Kind.AUTO_REPLY, "an automatic reply, not a bounce", notes)
    return _nothing(Kind.NONE, "no delivery report", notes)


def _old_style(found: tuple[Address, ...], notes: list[str]) -> Iterator[Reported]:
    if len(found) > RECIPIENTS_LIMIT:
        notes.append(f"{len(found) - RECIPIENTS_LIMIT} more recipients are named and were not read")
    says = "an old-style bounce: its recipient is known, the outcome is not, and nothing is decided"
    for recipient in found[:RECIPIENTS_LIMIT]:
        yield Reported(kind=Kind.UNKNOWN, recipient=recipient, notes=(says,))


def _looks_like_a_bounce(mail: Part) -> bool:
    robot = re.search(r"(?:^|[<\s])(?:mailer-daemon|postmaster)@", mail.value("from").lower())
    return robot is not None or mail.value("x-failed-recipients") != ""


def _is_automatic(mail: Part) -> bool:
    """RFC 3834 5, and the headers that responders used before it."""
    stated = mail.value("auto-submitted").lower()
    return (
        (stated != "" and not stated.startswith("no"))
        or any(mail.value(name) for name in ("x-autoreply", "x-autorespond"))
        or mail.value("precedence").lower() in ("auto_reply", "auto-reply")
        or mail.value("subject").lower().startswith(("automatic reply", "auto-reply", "autoreply", "out of office"))
    )


def _nothing(kind: Kind, says: str, notes: list[str]) -> Report:
    return Report(recipients=(Reported(kind=kind, notes=(f"{says}; nothing is decided",)),), notes=tuple(notes))
