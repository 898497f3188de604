"""One message through the whole pipeline: plan each recipient, deliver to those who may be sent to, observe.

Over ports only: any mailer, any store. This is what `mailverdict send` and `mailverdict demo` do, and what a program
does that hooks mailverdict into its own sending.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime

from attrs import evolve, frozen

from policy.address import Address
from policy.attempt import Attempt
from policy.decision import Decision
from policy.engine import AttemptConflict, Engine
from policy.holder import in_force
from policy.planning import Delivery, Plan, Verdict
from policy.ports import Mailer, MailerSetup
from policy.rules.policy import Policy
from policy.transaction import Envelope, fold


@frozen(kw_only=True)
class Sent:
    """What became of one recipient.

    Args:
        plan: what was planned before.
        onward: what was planned for the approved new address, where the message goes there instead; None: it does not.
        attempt, decision: what happened and what was decided; None when it was not sent to. Of a new address both are
            under its own name.
    """

    recipient: Address
    plan: Plan
    onward: Plan | None = None
    attempt: Attempt | None = None
    decision: Decision | None = None


def send(
    engine: Engine,
    mailer: Mailer | Mapping[str, Mailer],
    envelope: Envelope,
    *,
    now: datetime,
    attempt_id: str,
    verdicts: frozenset[Verdict] = frozenset({Verdict.SEND}),
) -> tuple[Sent, ...]:
    """Try once to send `envelope` to every recipient that may be sent to now; return one row a recipient, in order.

    Each goes by the route, to the address and as encrypted as its plan says.

    Args:
        mailer: one that takes all mail, whatever its route; or one a route, by name, the default route's among them.
        verdicts: of the plans that are sent; with `Verdict.HELD` those too for which a person has mended the cause.
        attempt_id: names this try for ever; the same one again sends nothing to whom it was sent, and finds the
            stored decisions.

    Raises:
        AttemptConflict: when `attempt_id` named another try before.
        MailerSetup: before anything is sent; also for a route that no mailer was given for.
        StoreUnavailable: before anything is sent, or after it: then what was sent is not recorded, and the error is
            the only trace.
    """
    policy = in_force(engine.policy)
    by_route = mailer if isinstance(mailer, Mapping) else None
    _check(by_route, [policy.route(None)])
    envelope = evolve(envelope, message_id=envelope.message_id or _digest(envelope))
    recipients = tuple({address.key: address for address in envelope.recipients}.values())
    made = _made(engine, attempt_id, recipients)
    plans = _plans(engine, envelope, recipients, now)
    whom = {each.key: each if each.key in made else _whom(plans[each.key], verdicts) for each in recipients}
    onward = [each for each in whom.values() if each.key not in plans]
    made |= _made(engine, attempt_id, onward)
    plans |= _plans(engine, envelope, onward, now)
    due = {each.key: each for each in whom.values() if each.key not in made and plans[each.key].verdict in verdicts}
    ways = _ways(policy, due.values(), plans)
    _check(by_route, [way.route for way in ways])
    for way, group in ways.items():
        by = mailer if not isinstance(mailer, Mapping) else mailer[way.route]
        transaction = by.deliver(evolve(envelope, recipients=tuple(group), in_clear=way.in_clear))
        folded = fold(transaction, at=now, attempt_id=attempt_id)
        attempts = [evolve(each, route=way.route) if by_route is not None else each for each in folded]
        for each, attempt, observed in zip(group, attempts, engine.observe_all(attempts, now=now), strict=True):
            if isinstance(observed, AttemptConflict):
                raise observed
            made[each.key] = attempt, observed
    return tuple(_row(each, whom[each.key], plans, made) for each in recipients)


@frozen
class _Way:
    """What those share who go in one transaction; `alone`: whose own it is, empty for one of several."""

    alone: str
    route: str
    in_clear: bool


def _ways(policy: Policy, due: Iterable[Address], plans: Mapping[str, Plan]) -> dict[_Way, list[Address]]:
    """Who goes together; those who go alone come last."""
    ways: dict[_Way, list[Address]] = {}
    for each in due:
        plan = plans[each.key]
        route = plan.route or policy.route(None, policy.place(each))
        ways.setdefault(_Way(each.key if plan.alone else "", route, plan.in_clear), []).append(each)
    return dict(sorted(ways.items(), key=lambda way: bool(way[0].alone)))


_Made = dict[str, tuple[Attempt, Decision]]


def _made(engine: Engine, attempt_id: str, recipients: Iterable[Address]) -> _Made:
    """What this try has led to before, by recipient."""
    known = {each.key: engine.recorded(attempt_id, each) for each in recipients}
    return {key: (entry.attempt, entry.decision) for key, entry in known.items() if entry is not None}


def _plans(engine: Engine, envelope: Envelope, recipients: Iterable[Address], now: datetime) -> dict[str, Plan]:
    distinct = {each.key: each for each in recipients}
    usual = Delivery(
        recipient=envelope.recipients[0],
        sender=envelope.sender,
        message=envelope.message_id,
        stream=envelope.stream,
        campaign=dict(envelope.tags).get("campaign"),
    )
    deliveries = [evolve(usual, recipient=each) for each in distinct.values()]
    return dict(zip(distinct, engine.plan_all(deliveries, now=now) if deliveries else (), strict=True))


def _whom(plan: Plan, verdicts: frozenset[Verdict]) -> Address:
    """The approved new address, which is planned for itself; but who must not be written to is not followed there."""
    return plan.deliver_to if plan.deliver_to is not None and plan.verdict in verdicts else plan.recipient


def _check(mailers: Mapping[str, Mailer] | None, routes: Iterable[str]) -> None:
    """Has each of the routes a mailer? One that is given alone takes all mail."""
    for route in routes:
        if mailers is not None and route not in mailers:
            given = ", ".join(f"`{each}`" for each in sorted(mailers)) or "none"
            raise MailerSetup(f"route `{route}` has no mailer; those that have one: {given}")


def _row(recipient: Address, whom: Address, plans: Mapping[str, Plan], made: _Made) -> Sent:
    attempt, decision = made.get(whom.key, (None, None))
    onward = None if whom.key == recipient.key else plans[whom.key]
    return Sent(recipient=recipient, plan=plans[recipient.key], onward=onward, attempt=attempt, decision=decision)


def _digest(envelope: Envelope) -> str:
    """A name for a message that has none: the same for the same message, so that sending it again is a retry."""
    said = repr((str(envelope.sender), envelope.stream, envelope.tags)).encode() + envelope.content
    return f"sha256-{hashlib.sha256(said).hexdigest()[:32]}"
