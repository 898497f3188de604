"""What one attempt tells the outage guard: which watches look on, and what they see."""

from datetime import datetime

from policy.address import Address
from policy.attempt import Attempt, Command, Failure
from policy.diagnosis.category import Category, Fault
from policy.guard import KNOWN_GOOD, RESOLVER, Seen, Watch, standing, watched
from policy.history import History
from policy.reply import Reply
from policy.rules.policy import Policy


def watches_of(policy: Policy, attempt: Attempt, provider: str | None) -> tuple[str, ...]:
    """Return the keys of the watches that look on at an attempt: where our resolver speaks, only its own."""
    if attempt.recipient is not None and attempt.outcome is Failure.NO_SUCH_DOMAIN:
        return (RESOLVER,)
    return watch_keys(policy, attempt.recipient, provider)


def watch_keys(policy: Policy, recipient: Address | None, provider: str | None = None) -> tuple[str, ...]:
    """Return the keys of the watches for a recipient: the provider's, then that of a customer's domain there.

    Args:
        provider: where it is known better than by the domain.
    """
    if recipient is None:
        return ()
    known = provider or policy.provider_by_domain(recipient)
    if known is None:
        return (recipient.domain,)
    return (known,) if policy.provider_by_domain(recipient) == known else (known, recipient.domain)


def seen(attempt: Attempt, category: Category, fault: Fault, history: History, now: datetime) -> Seen | None:
    """Return what the watches see; None when the attempt says nothing to them.

    Only recipients to whom mail was delivered of late count: lists that were bought, or never tried, prove nothing.
    """
    recipient, reply, success = attempt.recipient, attempt.outcome, history.last_success
    if recipient is None or success is None or not is_known_good(history, now):
        return None
    if reply is Failure.NO_SUCH_DOMAIN:  # a domain counts once, however many write to it
        return Seen(at=now, recipient=recipient.domain, domain=recipient.domain, failed=True)
    if not isinstance(reply, Reply) or reply.is_void:
        return None
    delivered = attempt.command is Command.DOT and category is Category.ACCEPTED
    failed = reply.klass == 5 and category is Category.BAD_MAILBOX and fault is Fault.RECIPIENT
    if not (delivered or failed):
        return None
    hosted = len(history.watches) > 1
    days = max(1, (now - success).days)
    return Seen(at=now, recipient=recipient.key, domain=recipient.domain, failed=failed, hosted=hosted, days=days)


def is_known_good(history: History, now: datetime) -> bool:
    """Was mail delivered to the recipient of late?"""
    return history.last_success is not None and now - KNOWN_GOOD <= history.last_success <= now


def watches_after(watches: tuple[Watch, ...], answer: Seen | None, now: datetime) -> tuple[Watch, ...]:
    """Return the watches at `now`, after an answer; the first is the provider's, a second the domain's."""
    if answer is None:
        return tuple(standing(each, now) for each in watches)
    return tuple(watched(each, answer, is_domain=place > 0) for place, each in enumerate(watches))
