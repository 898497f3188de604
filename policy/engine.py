"""The two calls of a sending pipeline: `plan` before a delivery, `observe` after an attempt.

The engine reads the history, decides and commits inside one store transaction, through ports only. It has no clock: the
caller says what time it is. What it returns is already kept.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from attrs import define, evolve, frozen

from policy.address import Address
from policy.attempt import Attempt, Event, ident, moment
from policy.decide import decided
from policy.decision import Decision
from policy.destination import concerns
from policy.guard import Watch
from policy.hearing import gone_by
from policy.history import Entry, History, HistoryKey, Learned
from policy.holder import PolicyHolder, in_force
from policy.outage import watches_of
from policy.planning import Delivery, Plan, plan_key, planned
from policy.ports import Store, Unit
from policy.progress import progress_after
from policy.rules.policy import Policy
from policy.spread import spread
from policy.throttle import Traffic, counted
from policy.unnamed import without_nobody
from policy.veil import UNVEILED, Veil

LEARNED_LASTS = timedelta(days=30)  # hosts move
LEARN_AGAIN = timedelta(days=1)

_FORESEEN = 512  # attempts whose histories are read together


class AttemptConflict(ValueError):
    """The same attempt id and recipient came with other content than before."""


@frozen
class Kept:
    """A decision that is in the ledger; `known`: it was there before, and nothing was done again."""

    decision: Decision
    known: bool


@define
class Engine:
    """A policy over a store.

    Each plan and each group of observed attempts is made wholly by one policy, although a holder may get another one
    at any time, from any thread. With a veil no recipient is kept in clear, and decisions show veiled names.
    """

    policy: Policy | PolicyHolder
    store: Store
    veil: Veil | None = None

    def observe(self, attempt: Attempt, *, now: datetime) -> Decision:
        """Decide about `attempt` and keep it, its decision and its effects; a known attempt returns what was decided.

        Args:
            now: the time, where the attempt does not say when it was.

        Raises:
            AttemptConflict: when the attempt is known with other content.
            StoreUnavailable: when the store fails; then nothing is kept.
        """
        (observed,) = self.observe_all([attempt], now=now)
        if isinstance(observed, AttemptConflict):
            raise observed
        return observed

    def observe_all(self, attempts: Iterable[Attempt], *, now: datetime) -> list[Decision | AttemptConflict]:
        """Observe several in one store transaction, each seeing what came before it: all are kept or none.

        Returns:
            One value an attempt, in order: a conflict leaves what was known as it is and does not hinder the others.
        """
        return [each.decision if isinstance(each, Kept) else each for each in self.keep_all(attempts, now=now)]

    def keep_all(self, attempts: Iterable[Attempt], *, now: datetime) -> list[Kept | AttemptConflict]:
        """As `observe_all`, and tell what was known already: for those who count and log."""
        policy, now = in_force(self.policy), moment(now)
        veil = self.veil or UNVEILED
        observed: list[Kept | AttemptConflict] = []
        told = (_Told.of(policy, _timed(each, now), veil) for each in attempts)
        with self.store.unit() as unit:
            while group := list(islice(told, _FORESEEN)):
                unit.foresee([_ledger_key(each) for one in group for each in one.kept], [one.key for one in group])
                observed += [_observe(policy, unit, one, veil) for one in group]
        return observed

    def recorded(self, attempt_id: str, recipient: Address) -> Entry | None:
        """Return what was recorded of an attempt; None when it is not known."""
        names = (self.veil or UNVEILED).names(recipient)
        with self.store.unit() as unit:
            found = (unit.recorded(self._ident(attempt_id, recipient) or "", each) for each in names)
            return next((each for each in found if each is not None), None)

    def _ident(self, attempt_id: str, recipient: Address) -> str | None:
        return (self.veil or UNVEILED).ident(ident(attempt_id), recipient)

    def plan(
        self,
        recipient: Address,
        *,
        now: datetime,
        sender: Address | Literal[""] | None = None,
        message: str | None = None,
        stream: str | None = None,
        campaign: str | None = None,
    ) -> Plan:
        """Say whether mail to `recipient` may be sent now; see `Delivery` for the arguments.

        Where a rate holds, saying yes takes one of its slots, and is kept.
        """
        delivery = Delivery(recipient=recipient, sender=sender, message=message, stream=stream, campaign=campaign)
        (plan,) = self.plan_all([delivery], now=now)
        return plan

    def plan_all(self, deliveries: Iterable[Delivery], *, now: datetime) -> list[Plan]:
        """Plan several in one store transaction, each after the other: one plan a delivery, in order."""
        policy, now = in_force(self.policy), moment(now)
        with self.store.unit() as unit:
            return [_plan(policy, unit, each, now, self.veil or UNVEILED) for each in deliveries]


def _plan(policy: Policy, unit: Unit, delivery: Delivery, now: datetime, veil: Veil) -> Plan:
    def look(address: Address) -> History:
        key = HistoryKey(recipient=address.key, domain=address.domain, stream=delivery.stream)
        return unit.history(veil.key(key, address))

    recipient = delivery.recipient
    learned = None if policy.provider_by_domain(recipient) else learned_provider(policy, unit, recipient.domain, now)
    key = veil.key(plan_key(policy, delivery, learned), recipient)
    plan, changes = planned(policy, delivery, key, unit.history(key), look, now)
    for change in changes:
        unit.watch(change) if isinstance(change, Watch) else unit.count(change)
    return plan


def learned_provider(policy: Policy, unit: Unit, domain: str, now: datetime) -> str | None:
    """Return which provider took the domain's mail of late; None: not known, or no provider of this policy."""
    found = unit.learned(domain)
    if found is None or now - found.at > LEARNED_LASTS or found.provider not in policy.providers:
        return None
    return found.provider


def _learn(policy: Policy, unit: Unit, attempt: Attempt, provider: str | None, now: datetime) -> None:
    """Remember which provider takes a domain's mail, where its own name does not tell; the day is near enough."""
    recipient = attempt.recipient
    if recipient is None or provider is None or policy.provider_by_domain(recipient) is not None:
        return
    known = unit.learned(recipient.domain)
    if known is None or (known.at < now and (known.provider != provider or now - known.at > LEARN_AGAIN)):
        unit.learn(Learned(domain=recipient.domain, provider=provider, at=now))


def _timed(attempt: Attempt, now: datetime) -> Attempt:
    """An attempt that does not say when it was, was now; without an id that is what tells it from another."""
    return attempt if attempt.at is not None else evolve(attempt, at=now)


def _ledger_key(attempt: Attempt) -> tuple[str, str]:
    return attempt.identity, attempt.recipient.key if attempt.recipient else ""


@frozen
class _Told:
    """An attempt that is told, the forms in which it may be kept (see `Veil.tellings`), and where its history is."""

    attempt: Attempt
    kept: tuple[Attempt, ...]
    key: HistoryKey

    @classmethod
    def of(cls, policy: Policy, attempt: Attempt, veil: Veil) -> "_Told":
        kept = veil.tellings(attempt)
        return cls(attempt, kept, _key(history_key(policy, attempt), attempt, kept, veil))


def _key(key: HistoryKey, attempt: Attempt, kept: tuple[Attempt, ...], veil: Veil) -> HistoryKey:
    if kept[0] is attempt or attempt.recipient is None:
        return key
    return veil.key(key, attempt.recipient, [each.message for each in kept])


def _observe(policy: Policy, unit: Unit, told: _Told, veil: Veil) -> Kept | AttemptConflict:
    attempt, key, now = told.attempt, told.key, told.attempt.at
    if now is None:
        raise ValueError("an attempt is observed at a time")
    for each in told.kept:
        known = unit.recorded(*_ledger_key(each))
        if known is not None and known.attempt.fingerprint != each.fingerprint:
            message = f"attempt `{known.attempt_id}` to `{known.recipient}` is known with other content"
            return AttemptConflict(message)
        if known is not None:
            return Kept(known.decision, known=True)
    provider = policy.provider_of(attempt)
    if provider is None and attempt.recipient is not None:  # what came before it may have taught it
        learned = learned_provider(policy, unit, attempt.recipient.domain, now)
        if learned is not None:
            key = _key(history_key(policy, attempt, learned), attempt, told.kept, veil)
    new = recorded(policy, attempt, unit.history(key), now, veil=veil)
    unit.commit(new.entry)
    _learn(policy, unit, attempt, provider, now)
    for watch in new.watches:
        unit.watch(watch)
    for traffic in new.traffics:
        unit.count(traffic)
    return Kept(new.entry.decision, known=False)


@frozen
class Recorded:
    """What is to be kept of an attempt: a line of the ledger, and the watches and counts that it changed."""

    entry: Entry
    watches: tuple[Watch, ...]
    traffics: tuple[Traffic, ...]


def recorded(policy: Policy, attempt: Attempt, history: History, now: datetime, *, veil: Veil = UNVEILED) -> Recorded:
    """Decide about an attempt as it was told, and return what is to be kept of it, veiled."""
    kept, history = veil.attempt(attempt), veil.lifted(history, attempt.recipient)
    decision, after = decided(policy, _named_as(kept, attempt), history, now=now, spread=spread_of(kept))
    decision = without_nobody(veil.decision(decision, attempt.recipient))
    progress = progress_after(kept, decision, history.progress, now)
    entry = Entry(
        attempt_id=kept.identity,
        recipient=kept.recipient.key if kept.recipient else "",
        at=now,
        attempt=kept,
        decision=decision,
        progress=progress,
        provider=history.watches[0].key if history.watches else "",
    )
    pairs = zip(history.watches, after, strict=True)
    route = gone_by(policy, attempt, history)
    went = () if isinstance(attempt.outcome, Event) else (t for t in history.traffics if concerns(t.target, route))
    return Recorded(
        entry,
        tuple(veil.watch(watch, attempt.recipient) for before, watch in pairs if watch is not before),
        tuple(counted(each, now) for each in went),
    )


def _named_as(kept: Attempt, attempt: Attempt) -> Attempt:
    """The attempt under the ids that it is kept with: the past knows its message by them."""
    if kept is attempt:
        return attempt
    unnamed = attempt.message_id is None and attempt.first_attempt_at is None  # `policy.suppression` asks for that
    return evolve(attempt, attempt_id=kept.identity, message_id=None if unnamed else kept.message)


def history_key(policy: Policy, attempt: Attempt, learned: str | None = None) -> HistoryKey:
    """Where the history of an attempt is found.

    Args:
        learned: the provider of its domain, where the attempt does not tell; None: not known.
    """
    recipient, provider = attempt.recipient, policy.provider_of(attempt) or learned
    if recipient is None:
        return HistoryKey(provider=provider)
    to = policy.destination(attempt.sender, recipient, attempt.stream, provider, attempt.campaign)
    return HistoryKey(
        recipient=recipient.key,
        domain=recipient.domain,
        message=attempt.message,
        stream=attempt.stream,
        destinations=policy.destinations(to, policy.place(recipient, provider)),
        watches=watches_of(policy, attempt, provider),
        provider=provider,
    )


def spread_of(attempt: Attempt) -> float:
    """Return the attempt's place in a schedule's spread, 0 <= x < 1: chance that is the same each time it is asked."""
    seed = f"{attempt.identity}\0{attempt.recipient.key if attempt.recipient else ''}"
    return spread(seed)
