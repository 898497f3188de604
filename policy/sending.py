"""One message through the whole pipeline: plan each recipient, deliver to those who may be sent to, observe.

Over ports only: any mailer, any store. This is what `mailverdict send` and `mailverdict demo` do, and what a program
does that hooks mailverdict into its own sending.
"""

import hashlib
from datetime import datetime

from attrs import evolve, frozen

from policy.address import Address
from policy.attempt import Attempt
from policy.decision import Decision
from policy.engine import AttemptConflict, Engine
from policy.planning import Delivery, Plan, Verdict
from policy.ports import Mailer
from policy.transaction import Envelope, fold


@frozen(kw_only=True)
class Sent:
    """What became of one recipient.

    Args:
        plan: what was planned before.
        attempt, decision: what happened and what was decided; None when it was not sent to.
    """

    recipient: Address
    plan: Plan
    attempt: Attempt | None = None
    decision: Decision | None = None


def send(
    engine: Engine,
    mailer: Mailer,
    envelope: Envelope,
    *,
    now: datetime,
    attempt_id: str,
    verdicts: frozenset[Verdict] = frozenset({Verdict.SEND}),
) -> tuple[Sent, ...]:
    """Try once to send `envelope` to every recipient that may be sent to now; return one row a recipient, in order.

    Args:
        verdicts: of the plans that are sent; with `Verdict.HELD` those too for which a person has mended the cause.
        attempt_id: names this try for ever; the same one again sends nothing to whom it was sent, and finds the
            stored decisions.

    Raises:
        AttemptConflict: when `attempt_id` named another try before.
        MailerSetup: before anything is sent.
        StoreUnavailable: before anything is sent, or after it: then what was sent is not recorded, and the error is
            the only trace.
    """
    envelope = evolve(envelope, message_id=envelope.message_id or _digest(envelope))
    recipients = tuple({address.key: address for address in envelope.recipients}.values())
    known = {each.key: engine.recorded(attempt_id, each) for each in recipients}
    deliveries = [
        Delivery(recipient=each, sender=envelope.sender, message=envelope.message_id, stream=envelope.stream)
        for each in recipients
    ]
    plans = {plan.recipient.key: plan for plan in engine.plan_all(deliveries, now=now)}
    made = {key: (entry.attempt, entry.decision) for key, entry in known.items() if entry is not None}
    due = [each for each in recipients if each.key not in made and plans[each.key].verdict in verdicts]
    together = tuple(each for each in due if not plans[each.key].alone)
    alone = ((each,) for each in due if plans[each.key].alone)
    for group in (together, *alone) if together else alone:
        transaction = mailer.deliver(evolve(envelope, recipients=group))
        attempts = list(fold(transaction, at=now, attempt_id=attempt_id))
        for each, attempt, observed in zip(group, attempts, engine.observe_all(attempts, now=now), strict=True):
            if isinstance(observed, AttemptConflict):
                raise observed
            made[each.key] = attempt, observed
    rows = ((each, *made.get(each.key, (None, None))) for each in recipients)
    return tuple(Sent(recipient=each, plan=plans[each.key], attempt=a, decision=d) for each, a, d in rows)


def _digest(envelope: Envelope) -> str:
    """A name for a message that has none: the same for the same message, so that sending it again is a retry."""
    said = repr((str(envelope.sender), envelope.stream, envelope.tags)).encode() + envelope.content
    return f"sha256-{hashlib.sha256(said).hexdigest()[:32]}"
