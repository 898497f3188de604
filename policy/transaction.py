"""One SMTP (or LMTP) transaction, folded into one verdict a recipient.

A 2yz to RCPT is provisional: the mail is delivered only by the 2yz to the final dot. So a recipient refused at RCPT
has that reply as its outcome; an accepted one has the final dot's reply, and its RCPT reply is kept beside it, so a
251 stays noted. A connection lost after the dot is `LOST_AFTER_DOT` for every accepted recipient: the mail may have
arrived, and nobody knows (RFC 5321 6.1, RFC 1047).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from attrs import field, frozen
from attrs.validators import min_len

from policy.address import Address
from policy.attempt import Answer, Attempt, Command, Failure
from policy.reply import Flaw, Reply


@frozen(kw_only=True)
class Envelope:
    """A message on its way: who, to whom, what.

    Args:
        sender: the reverse-path; `NULL_SENDER` for `<>`.
        recipients: at least one, and `send` delivers to each key once.
        content: the message as RFC 5322 octets; line ends are made CRLF and dots are stuffed by the mailer.
        message_id: the queue's own name for it, not the header; None: derived.
        in_clear: leave opportunistic TLS out, which does not work there; TLS that is demanded is not left out by it.
    """

    sender: Address | Literal[""]
    recipients: tuple[Address, ...] = field(validator=min_len(1))
    content: bytes = field(repr=False)
    message_id: str | None = None
    stream: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    in_clear: bool = False


@frozen(kw_only=True)
class Transaction:
    """What happened in one walk of the destination's hosts.

    Args:
        envelope: what was to be delivered.
        mx: the host that was last spoken to; None when none was reached.
        rcpt_replies: (recipient, reply) in the order they were asked.
        ended: (command, outcome) that ended the transaction for those who were not refused at RCPT: the final dot's
            reply, or whatever came before it. None when every recipient was refused and nothing more was sent.
        lmtp_replies: with LMTP, after the dot, each accepted recipient's own reply in RCPT order; () with SMTP.
        smtputf8: SMTPUTF8 was used.
    """

    envelope: Envelope
    mx: str | None = None
    rcpt_replies: tuple[tuple[Address, Reply], ...] = ()
    ended: tuple[Command, Answer] | None = None
    lmtp_replies: tuple[Reply, ...] = ()
    smtputf8: bool = False


def fold(transaction: Transaction, *, at: datetime, attempt_id: str) -> Iterator[Attempt]:
    """Yield one Attempt a recipient, in the envelope's order.

    Args:
        at: when the transaction was.
        attempt_id: names the transaction; with the recipient it names the attempt.
    """
    envelope = transaction.envelope
    replies = {address.key: reply for address, reply in transaction.rcpt_replies}
    accepted = [address.key for address, reply in transaction.rcpt_replies if _is_accepted(reply)]
    own = dict(zip(accepted, transaction.lmtp_replies, strict=False))
    for recipient in envelope.recipients:
        rcpt_reply = replies.get(recipient.key)
        command, outcome = _verdict(transaction.ended, rcpt_reply, own.get(recipient.key))
        yield Attempt(
            outcome=outcome,
            command=command,
            recipient=recipient,
            sender=envelope.sender,
            recipients=1 if transaction.lmtp_replies else max(1, len(accepted)),
            mx=transaction.mx,
            at=at,
            stream=envelope.stream,
            tags=envelope.tags,
            rcpt_reply=rcpt_reply if command in (Command.DATA, Command.DOT) else None,
            smtputf8=transaction.smtputf8,
            attempt_id=attempt_id,
            message_id=envelope.message_id,
        )


def _verdict(
    ended: tuple[Command, Answer] | None, rcpt_reply: Reply | None, own: Reply | None
) -> tuple[Command | None, Answer]:
    """Return the command and the outcome that count for one recipient."""
    if rcpt_reply is not None and not _is_accepted(rcpt_reply):
        return Command.RCPT, rcpt_reply
    if own is not None:
        return Command.DOT, own
    if rcpt_reply is None and ended is not None and ended[0] in (Command.DATA, Command.DOT):
        return Command.RCPT, Failure.NOT_ATTEMPTED  # it was not asked for: the message did not go to it
    if ended is None or (ended[0] is Command.RCPT and isinstance(ended[1], Reply)):
        # Another recipient's reply (a 421) ended the transaction before this one's turn, or before the message.
        return Command.RCPT, Failure.NOT_ATTEMPTED
    return ended


def _is_accepted(reply: Reply) -> bool:
    return reply.klass == 2 and Flaw.OUT_OF_STEP not in reply.flaws
