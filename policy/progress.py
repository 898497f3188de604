"""How far a message has come with a recipient, after one more attempt."""

from datetime import datetime, timedelta

from attrs import evolve

from policy.attempt import Attempt, Event
from policy.decision import Action, Decision, InClear, Reconnect, Split
from policy.diagnosis.category import Category, EvidenceKind
from policy.history import Progress, deadline_of, first_attempt, tries


def progress_after(attempt: Attempt, decision: Decision, before: Progress | None, now: datetime) -> Progress:
    """Return how far the message is after this attempt.

    What made us reconnect, and a hold, does not count as an attempt; what a recipient says of the message is none.
    What comes late (an older event, or one after the message was settled) is counted, but does not reopen the message;
    a delivery always settles it.
    """
    if isinstance(attempt.outcome, Event) and before is not None:
        return before
    effects = {type(each) for each in decision.effects}
    number = attempt.number or (before.attempts if before else 0) + 1
    held = before.held if before else timedelta(0)
    if before and before.action is Action.HOLD:
        held += max(now - before.last_at, timedelta(0))
    after = Progress(
        message=attempt.message,
        recipient=attempt.recipient.key if attempt.recipient else "",
        attempts=number if _counts(attempt, decision) else number - 1,
        first_attempt_at=first_attempt(attempt, before, now),
        held=held,
        last_at=now,
        action=decision.action,
        final=decision.final,
        retry_at=decision.retry_at,
        split=(before is not None and before.split) or Split in effects,
        custody=attempt.custody,
        rule=decision.rule.id,
        guarded=any(each.kind is EvidenceKind.GUARD for each in decision.evidence),
        frozen=any(each.kind is EvidenceKind.FREEZE for each in decision.evidence),
        clear=(before is not None and before.clear) or InClear in effects,
        route=decision.route,
        deliver_by=deadline_of(attempt, before),
        tried=tries(before, decision.rule.id, number=number),
    )
    delivered = decision.final and decision.category is Category.ACCEPTED
    if before is None or delivered or not (before.final or now < before.last_at):
        return after
    return evolve(before, attempts=max(after.attempts, before.attempts), first_attempt_at=after.first_attempt_at)


def _counts(attempt: Attempt, decision: Decision) -> bool:
    reconnects = any(isinstance(each, Reconnect) for each in decision.effects)
    return not (reconnects or decision.action is Action.HOLD or isinstance(attempt.outcome, Event))
