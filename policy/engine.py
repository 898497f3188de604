"""The two calls of a sending pipeline: `plan` before a delivery, `observe` after an attempt.

The engine reads the history, decides and commits inside one store transaction, through ports only. It has no clock: the
caller says what time it is. What it returns is already kept.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from attrs import define, evolve, frozen

from policy.address import Address, parse_address
from policy.attempt import Attempt, Custody, ident, moment
from policy.decide import decide
from policy.decision import Action, Decision, Reconnect, Split
from policy.diagnosis.category import Category, EvidenceKind
from policy.forward import ForwardState
from policy.guard import WINDOW, Watch, may_probe, standing
from policy.history import Entry, ForwardNote, History, HistoryKey, Progress, Suppression, first_attempt, tries
from policy.holder import PolicyHolder, in_force
from policy.outage import is_known_good, seen, watch_keys, watches_after
from policy.ports import Store, Unit
from policy.rules.policy import Policy


class AttemptConflict(ValueError):
    """The same attempt id and recipient came with other content than before."""


@frozen
class Kept:
    """A decision that is in the ledger; `known`: it was there before, and nothing was done again."""

    decision: Decision
    known: bool


class Verdict(Enum):
    """What `plan` says of a delivery."""

    SEND = "send"
    WAIT = "wait"  # not before `not_before`
    SUPPRESSED = "suppressed"
    HELD = "held"  # a person must act first
    THEIRS = "theirs"  # the MTA or provider that holds the message retries by itself
    SETTLED = "settled"  # this message's fate for this recipient is decided already


@frozen(kw_only=True)
class Plan:
    """Whether, when and by which route to send.

    Args:
        not_before: when it may be sent; None when it may be now, or never.
        route: the name of the route; None unless it is to be sent.
        alone: it has to go in a transaction of its own (a `Split` was decided).
        why: one line for a person.
        suppression: the entry that forbids it; None when none does.
        forward: the note of another address, if there is one; it changes nothing while it waits for approval.
        deliver_to: the noted address once a person approved it: write there instead, and spare the relay.
    """

    recipient: Address
    verdict: Verdict
    not_before: datetime | None = None
    route: str | None = None
    alone: bool = False
    why: str
    suppression: Suppression | None = None
    forward: ForwardNote | None = None
    deliver_to: Address | None = None
    policy_version: str


@define
class Engine:
    """A policy over a store.

    Each plan and each group of observed attempts is made wholly by one policy, although a holder may get another one
    at any time, from any thread.
    """

    policy: Policy | PolicyHolder
    store: Store

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
        with self.store.unit() as unit:
            return [_observe(policy, unit, _timed(attempt, now)) for attempt in attempts]

    def recorded(self, attempt_id: str, recipient: Address) -> Entry | None:
        """Return what was recorded of an attempt; None when it is not known."""
        with self.store.unit() as unit:
            return unit.recorded(ident(attempt_id) or "", recipient.key)

    def plan(
        self,
        recipient: Address,
        *,
        now: datetime,
        sender: Address | Literal[""] | None = None,
        message: str | None = None,
    ) -> Plan:
        """Say whether mail to `recipient` may be sent now.

        Args:
            message: the id of a message that was tried before; None: new mail.
        """
        policy = in_force(self.policy)
        now = moment(now)
        key = HistoryKey(
            recipient=recipient.key,
            domain=recipient.domain,
            message=ident(message),
            pair=policy.pair(sender, recipient),
            watches=watch_keys(policy, recipient),
        )
        with self.store.unit() as unit:
            history = unit.history(key)
            plan = _plan(policy, recipient, history, now)
            return _probing(plan, history, unit, now) if plan.verdict is Verdict.SEND else plan


def _probing(plan: Plan, history: History, unit: Unit, now: datetime) -> Plan:
    """What the outage guard holds back is tried a little at a time, to see whether the outage is over.

    Recipients to whom nothing was ever delivered would show nothing: they wait until it is.
    """
    watch = next((each for each in history.watches if standing(each, now).is_open), None)
    if watch is None or history.progress is None or not history.progress.guarded:
        return plan
    probing = may_probe(watch, now) if is_known_good(history, now) else None
    if probing is not None:
        unit.watch(probing)
        return evolve(plan, why=f"to see whether {watch.key} is well again: its answers are not believed now")
    why = f"the outage guard is open for {watch.key}: enough are tried for now"
    return evolve(plan, verdict=Verdict.WAIT, not_before=now + WINDOW, why=why)


def _timed(attempt: Attempt, now: datetime) -> Attempt:
    """An attempt that does not say when it was, was now; without an id that is what tells it from another."""
    return attempt if attempt.at is not None else evolve(attempt, at=now)


def _observe(policy: Policy, unit: Unit, attempt: Attempt) -> Kept | AttemptConflict:
    now = attempt.at
    if now is None:
        raise ValueError("an attempt is observed at a time")
    recipient = attempt.recipient.key if attempt.recipient else ""
    known = unit.recorded(attempt.identity, recipient)
    if known is not None:
        if known.attempt.fingerprint != attempt.fingerprint:
            message = f"attempt `{attempt.identity}` to `{recipient}` is known with other content"
            return AttemptConflict(message)
        return Kept(known.decision, known=True)
    entry, watches = recorded(policy, attempt, unit.history(history_key(policy, attempt)), now)
    unit.commit(entry)
    for watch in watches:
        unit.watch(watch)
    return Kept(entry.decision, known=False)


def recorded(policy: Policy, attempt: Attempt, history: History, now: datetime) -> tuple[Entry, tuple[Watch, ...]]:
    """Return what is to be kept of an attempt: the decision's line of the ledger, and the watches that it changed."""
    decision = decide(policy, attempt, history, now=now, spread=spread_of(attempt))
    progress = progress_after(attempt, decision, history.progress, now)
    entry = Entry(
        attempt_id=attempt.identity,
        recipient=attempt.recipient.key if attempt.recipient else "",
        at=now,
        attempt=attempt,
        decision=decision,
        progress=progress,
        provider=history.watches[0].key if history.watches else "",
    )
    at = max(now, progress.first_attempt_at)
    after = watches_after(history.watches, seen(attempt, decision.category, decision.fault, history, at), at)
    pairs = zip(history.watches, after, strict=True)
    return entry, tuple(watch for before, watch in pairs if watch is not before)


def history_key(policy: Policy, attempt: Attempt) -> HistoryKey:
    """Where the history of an attempt is found."""
    recipient = attempt.recipient
    return HistoryKey(
        recipient=recipient.key if recipient else None,
        domain=recipient.domain if recipient else None,
        message=attempt.message if recipient else None,
        pair=policy.pair(attempt.sender, recipient),
        watches=watch_keys(policy, recipient, policy.provider_of(attempt)),
    )


def spread_of(attempt: Attempt) -> float:
    """Return the attempt's place in a schedule's spread, 0 <= x < 1: chance that is the same each time it is asked."""
    seed = f"{attempt.identity}\0{attempt.recipient.key if attempt.recipient else ''}"
    return int.from_bytes(hashlib.sha256(seed.encode("utf-8", "backslashreplace")).digest()[:6], "big") / 2**48


def progress_after(attempt: Attempt, decision: Decision, before: Progress | None, now: datetime) -> Progress:
    """Return how far the message is after this attempt.

    What made us reconnect, and a hold, does not count as an attempt. What comes late (an older event, or one after the
    message was settled) is counted, but does not reopen the message; a delivery always settles it.
    """
    effects = decision.effects
    counted = decision.action is not Action.HOLD and not any(isinstance(each, Reconnect) for each in effects)
    number = attempt.number or (before.attempts if before else 0) + 1
    held = before.held if before else timedelta(0)
    if before and before.action is Action.HOLD:
        held += max(now - before.last_at, timedelta(0))
    after = Progress(
        message=attempt.message,
        recipient=attempt.recipient.key if attempt.recipient else "",
        attempts=number if counted else number - 1,
        first_attempt_at=first_attempt(attempt, before, now),
        held=held,
        last_at=now,
        action=decision.action,
        final=decision.final,
        retry_at=decision.retry_at,
        split=(before is not None and before.split) or any(isinstance(each, Split) for each in effects),
        custody=attempt.custody,
        rule=decision.rule.id,
        guarded=any(each.kind is EvidenceKind.GUARD for each in decision.evidence),
        tried=tries(before, decision.rule.id, number=number),
    )
    delivered = decision.final and decision.category is Category.ACCEPTED
    if before is None or delivered or not (before.final or now < before.last_at):
        return after
    return evolve(before, attempts=max(after.attempts, before.attempts), first_attempt_at=after.first_attempt_at)


@frozen(kw_only=True)
class _Finding:
    """What stands against sending, and for how long."""

    verdict: Verdict
    why: str
    not_before: datetime | None = None
    suppression: Suppression | None = None


def _plan(policy: Policy, recipient: Address, history: History, now: datetime) -> Plan:
    clear = _Finding(verdict=Verdict.SEND, why="nothing stands against it")
    found = next(_against(history, now), clear)
    note, waiting, deliver_to = history.forward, "", None
    if note is not None and note.state is ForwardState.PENDING:
        waiting = f"; a forward to `{note.forward_path}` waits for approval"
    if note is not None and note.state is ForwardState.APPROVED:
        deliver_to = parse_address(note.forward_path.quoted)
        waiting = f"; a person approved the new address `{note.forward_path}`: write there"
    return Plan(
        recipient=recipient,
        verdict=found.verdict,
        not_before=found.not_before,
        route=policy.route(None, policy.place(recipient)) if found.verdict in (Verdict.SEND, Verdict.WAIT) else None,
        alone=history.progress is not None and history.progress.split,
        why=found.why + waiting,
        suppression=found.suppression,
        forward=note,
        deliver_to=deliver_to,
        policy_version=policy.version,
    )


def _against(history: History, now: datetime) -> Iterator[_Finding]:
    """Yield what stands against sending, the gravest first."""
    progress = history.progress
    if progress is not None and progress.final:
        yield _Finding(verdict=Verdict.SETTLED, why=f"this message is settled: {progress.action.value}")
    for entry in history.suppressions:
        if entry.active(now):
            until = f"until {entry.expires_at:%Y-%m-%d %H:%M} UTC" if entry.expires_at else "until it is released"
            why = f"{entry.target} is suppressed {until}: {entry.reason.value}"
            yield _Finding(verdict=Verdict.SUPPRESSED, why=why, suppression=entry)
    if progress is not None and progress.custody is Custody.THEIRS:
        yield _Finding(verdict=Verdict.THEIRS, why="who holds this message retries by itself; nothing is sent twice")
    if progress is not None and progress.action is Action.HOLD:
        yield _Finding(verdict=Verdict.HELD, why="the last attempt ended in a hold: a person must act first")
    waits: list[tuple[datetime, str]] = []
    if progress is not None and progress.retry_at is not None:
        waits.append((progress.retry_at, f"attempt {progress.attempts + 1} is due then"))
    if history.suspension is not None:
        reason = f"this destination is suspended until then: {history.suspension.reason.value}"
        waits.append((history.suspension.until, reason))
    latest, why = max(waits, default=(now, ""))
    if now < latest:
        yield _Finding(verdict=Verdict.WAIT, why=why, not_before=latest)
