"""From evidence to suppression: whether this failure may count against the address at all, whether it is enough, and
for how long.

A reply may only ever count when its fault is the recipient's, and it came where a reply speaks of one recipient: to
RCPT, or to the dot of a transaction with a single recipient. With the command unknown it must say so plainly. A
complaint and an unsubscribe are the recipient's own word, and count at once.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from policy.attempt import Attempt, Command, Event, Failure
from policy.decision import Scope, Strength, Strike, Suppress
from policy.diagnosis.category import Category, Diagnosis, Fault, Weight
from policy.history import History, stream_target
from policy.reply import Reply
from policy.rules.rule import Lasting, SuppressTerms

STRIKING = frozenset({Category.BAD_MAILBOX, Category.INACTIVE_MAILBOX, Category.MAILBOX_FULL, Category.BAD_DOMAIN})
OWN_LOOKUP = frozenset({Failure.NULL_MX, Failure.NO_SUCH_DOMAIN})


def may_suppress(attempt: Attempt, diagnosis: Diagnosis, *, despite_fault: bool = False) -> str:
    """Return why this outcome must not count against the recipient; an empty text when it may (laws 3, 4, 9).

    Args:
        despite_fault: the rule says that it suppresses whoever's fault a 5yz is.
    """
    if attempt.null_sender:
        return "mail with the null sender never suppresses"
    outcome = attempt.outcome
    if isinstance(outcome, Event) or outcome in OWN_LOOKUP:
        return ""
    set_aside = despite_fault and isinstance(outcome, Reply) and outcome.klass == 5 and not outcome.is_void
    if set_aside and attempt.command in (Command.RCPT, Command.DOT):
        return _place(attempt, diagnosis)
    if diagnosis.category not in STRIKING or diagnosis.fault not in (Fault.RECIPIENT, Fault.RECIPIENT_DOMAIN):
        return f"{diagnosis.category.value} is not the recipient's fault"
    if not isinstance(attempt.outcome, Reply):
        return "a network failure is no evidence against an address"
    return _place(attempt, diagnosis)


def _place(attempt: Attempt, diagnosis: Diagnosis) -> str:
    if attempt.command is Command.RCPT:
        return ""
    if attempt.command is Command.DOT:
        return "" if attempt.recipients == 1 else "after the dot a reply does not say which recipient it means"
    if attempt.command is None:
        return (
            ""
            if diagnosis.weight is not Weight.WEAK
            else "the command is not known and the reply does not say it plainly"
        )
    return f"a reply to {attempt.command.value} does not speak of a recipient"


def judged(
    terms: SuppressTerms,
    attempt: Attempt,
    diagnosis: Diagnosis,
    history: History,
    *,
    lasting: Callable[[Strength], Lasting],
    now: datetime,
) -> tuple[Suppress | Strike, ...]:
    """Return the suppression that is due, or the strike that counts towards it, and what holds meanwhile.

    The outcome must be one that may count (`may_suppress`).
    """
    scope, target = target_of(terms.scope, attempt)
    before = (
        strike.at
        for strike in history.strikes
        if (strike.target, strike.reason) == (target, diagnosis.category) and strike.message != attempt.message
    )
    unidentified = attempt.message_id is None and attempt.first_attempt_at is None and (attempt.number or 1) > 1
    if unidentified and terms.strikes > 1:  # a retry of nobody knows which message: it is no strike of its own
        return (Strike(target=target, scope=scope, reason=diagnosis.category, count=0, needed=terms.strikes),)
    count = spaced((at for at in before if now - terms.within <= at <= now), now, terms.apart)
    if count < terms.strikes:
        strike = Strike(target=target, scope=scope, reason=diagnosis.category, count=count, needed=terms.strikes)
        if terms.meanwhile is None:
            return (strike,)
        alone = SuppressTerms(strength=terms.meanwhile)
        return (strike, *judged(alone, attempt, diagnosis, history, lasting=lasting, now=now))
    usual = lasting(terms.strength)
    span = terms.lasting or _span(terms.strength, target, diagnosis.category, history, lasting=usual, now=now)
    return (
        Suppress(
            target=target,
            scope=scope,
            strength=terms.strength,
            reason=diagnosis.category,
            until=None if span is None else now + span,
        ),
    )


def target_of(scope: Scope, attempt: Attempt) -> tuple[Scope, str]:
    """Return what is suppressed; a stream that is not named means all mail to the address."""
    if attempt.recipient is None:
        return scope, ""
    match scope:
        case Scope.DOMAIN:
            return scope, attempt.recipient.domain
        case Scope.STREAM if attempt.stream:
            return scope, stream_target(attempt.recipient.key, attempt.stream)
        case _:
            return Scope.ADDRESS, attempt.recipient.key


def spaced(times: Iterable[datetime], now: datetime, apart: timedelta) -> int:
    """Count `now` and as many of the earlier `times` as lie at least `apart` from each other and from `now`."""
    count, last = 1, now
    for at in sorted(times, reverse=True):
        if last - at >= apart:
            count, last = count + 1, at
    return count


def _span(
    strength: Strength, target: str, reason: Category, history: History, *, lasting: Lasting, now: datetime
) -> timedelta | None:
    """How long: longer when the target was suppressed like this before, not too long ago, and failed again."""
    if strength is Strength.PERMANENT:
        return None
    apart, again = lasting.again_apart, lasting.again
    if apart is not None and again is not None:
        like = (each for each in history.suppressions if (each.target, each.strength) == (target, strength))
        if any(each.reason is reason and apart <= now - each.since <= again for each in like):
            return again
    return lasting.lasting
