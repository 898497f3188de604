"""What is remembered of a recipient, a message and a destination: plain values that stores keep and `decide` reads."""

from datetime import datetime, timedelta

from attrs import field, frozen

from policy.attempt import Attempt, Custody
from policy.decision import Action, Decision, RuleRef, Scope, Strength
from policy.diagnosis.category import Category
from policy.forward import ForwardState, UntrustedPath
from policy.text import SafeText

STRIKES_KEPT = 32  # newest strikes of one target that a History holds; older ones no longer count


@frozen(kw_only=True)
class Progress:
    """How far one message has come with one recipient.

    Args:
        attempts: attempts that counted, so far.
        held: how long it has waited for a person; given back to the give-up time.
        last_at: when the last attempt was.
        action: what was decided then.
        retry_at: when it is due again; None when it is not.
        split: it was told once to go to this recipient alone.
        custody: who retries.
        rule, tried: the rule that decided last, and how often in a row it did.
    """

    message: str
    recipient: str
    attempts: int
    first_attempt_at: datetime
    held: timedelta
    last_at: datetime
    action: Action
    final: bool
    retry_at: datetime | None
    split: bool = False
    custody: Custody = Custody.OURS
    rule: str = ""
    tried: int = 0


def tries(progress: Progress | None, rule: str, *, number: int) -> int:
    """How often in a row `rule` has decided about the message, this time included; with no past, all attempts."""
    if progress is None:
        return number
    return progress.tried + 1 if progress.rule == rule else 1


def first_attempt(attempt: Attempt, progress: Progress | None, now: datetime) -> datetime:
    """When a message was first tried: the earliest that anybody said, so that no later word moves its give-up time.

    A stated time that is still to come is a wrong clock, and counts as now.
    """
    stated = min(attempt.first_attempt_at or now, now)
    if progress is None:
        return stated
    return progress.first_attempt_at if attempt.first_attempt_at is None else min(stated, progress.first_attempt_at)


@frozen(kw_only=True)
class PastStrike:
    """A failure that counted towards a suppression of `target`; one message strikes once for one reason."""

    target: str
    message: str
    reason: Category
    at: datetime


@frozen(kw_only=True)
class Suppression:
    """An entry of the suppression list.

    Args:
        target: an address key or a domain.
        reason, rule, reply: why, by which rule, on which words (cleaned).
        expires_at: None: never.
    """

    target: str
    scope: Scope
    strength: Strength
    reason: Category
    rule: RuleRef
    reply: SafeText
    since: datetime
    expires_at: datetime | None

    def active(self, now: datetime) -> bool:
        """Does it bind at `now`?"""
        return self.expires_at is None or now < self.expires_at


@frozen(kw_only=True)
class ForwardNote:
    """A forward path that a reply named; nothing acts on it until `state` is approved."""

    address: str
    forward_path: UntrustedPath
    state: ForwardState
    reply: SafeText
    since: datetime


@frozen(kw_only=True)
class History:
    """What `decide()` and `plan()` may know of the past: bounded, and fetched by keys known before diagnosis.

    Args:
        progress: of this message with this recipient; None before its first attempt.
        last_success: when mail to this address was last accepted for good; None: never seen.
        strikes: of the address and of its domain, oldest first, the newest `STRIKES_KEPT`.
        suppressions: entries for the address and for its domain, active or not.
        suspended_until: of the pair (our identity, the destination); None when it is not.
        forward: the note kept for this address; None when there is none.
    """

    progress: Progress | None = None
    last_success: datetime | None = None
    strikes: tuple[PastStrike, ...] = field(default=())
    suppressions: tuple[Suppression, ...] = field(default=())
    suspended_until: datetime | None = None
    forward: ForwardNote | None = None


@frozen(kw_only=True)
class HistoryKey:
    """Where to look: known before anything is diagnosed.

    Args:
        recipient: address key; None when the recipient is not known.
        domain: the recipient's.
        message: the message's id; None when no certain message is meant.
        pair: key of (our identity, the destination), see `Policy.pair`.
    """

    recipient: str | None
    domain: str | None
    message: str | None
    pair: str | None


@frozen(kw_only=True)
class Entry:
    """One attempt and what was decided about it: a line of the ledger.

    Args:
        attempt_id: the attempt's identity, see `Attempt.identity`.
        recipient: address key, empty when not known; with `attempt_id` the ledger's key.
        at: when the attempt was.
        progress: how far the message is after it.
    """

    attempt_id: str
    recipient: str
    at: datetime
    attempt: Attempt
    decision: Decision
    progress: Progress
