"""What a decision does beside settling the message: the effects of a rule, as far as the laws let it."""

from collections.abc import Iterator

from policy.address import Address
from policy.attempt import Command, Failure, Tls
from policy.decision import (
    Action,
    Alert,
    CloseGuard,
    Delivered,
    Effect,
    InClear,
    NoteForward,
    OpenGuard,
    Reconnect,
    Split,
    Strike,
    Suppress,
)
from policy.destination import Destination, concerns
from policy.diagnosis.category import EvidenceKind
from policy.forward import domain_of
from policy.hearing import ACCEPTING, Hearing
from policy.organisation import same_organisation
from policy.reply import Reply
from policy.restraining import alerted, recovered, restrained
from policy.text import clean


def effects_of(heard: Hearing, action: Action, verdicts: tuple[Suppress | Strike, ...]) -> tuple[Effect, ...]:
    """Return the effects of a decision: what is to be remembered, sent otherwise, or told."""
    then, attempt, now = heard.rule.then, heard.attempt, heard.times.now
    effects: list[Effect] = [*verdicts, *_noted_forward(heard)]
    route = heard.gone_by
    if heard.delivers(action) and attempt.recipient is not None:
        met = (each for each in heard.history.suspensions if concerns(each.target, route))
        effects += [Delivered(target=attempt.recipient.key), *recovered(met, now)]
    if action not in ACCEPTING and attempt.recipient is not None:
        effects += restrained(heard.rule, _destination(heard, attempt.recipient), route, heard.history, now)
    effects += _guard_changes(heard)
    if action is Action.RETRY:
        effects += [Split()] if then.split else []
        effects += [InClear()] if then.in_clear and _may_go_in_clear(heard) else []
        effects += [Reconnect()] if then.reconnect else []
    effects += [each for each in _alert(heard, route) if each not in effects]  # one trigger may count towards both
    return tuple(effects)


def _destination(heard: Hearing, recipient: Address) -> Destination:
    """Where the message goes, and whose it is."""
    attempt, provider = heard.attempt, heard.facts.provider
    return heard.policy.destination(attempt.sender, recipient, attempt.stream, provider, attempt.campaign)


def _alert(heard: Hearing, route: str) -> Iterator[Effect]:
    """Whom the rule tells now; of mail to nobody nothing can be counted, so that is told each time, or never."""
    terms, outcome, recipient = heard.rule.then.alert, heard.attempt.outcome, heard.attempt.recipient
    if terms is None or heard.facts.age < terms.age:
        return
    often, trigger = None if terms.after is not None else "", None
    if recipient is not None:
        to = _destination(heard, recipient)
        often, trigger = alerted(heard.rule, terms, to, route, heard.history, heard.times.now)
    if trigger is not None:
        yield trigger
    if often is not None:
        said = str(outcome) if isinstance(outcome, Reply) else outcome.value
        words = f"{heard.rule.ref.id}: {often}; the last: {said}" if often else f"{heard.rule.ref.id}: {said}"
        yield Alert(to=terms.to, text=clean(words, limit=300))


def _noted_forward(heard: Hearing) -> Iterator[NoteForward]:
    """Law 8: a path is noted; only a rule of the operator's approves it, of a host that proved its name."""
    path, recipient = heard.diagnosis.forward_path, heard.attempt.recipient
    if path is None:
        return
    approved = False
    if heard.rule.then.trust_forward and recipient is not None:
        proved = heard.attempt.tls is Tls.AUTHENTICATED and same_organisation(recipient.domain, domain_of(path))
        approved = proved
        if not proved:
            says = "needs a host that proved its name, and a path in the same registered domain"
            heard.note(EvidenceKind.LAW, "trust-forward became a note", says)
    yield NoteForward(address=recipient, forward_path=path, approved=approved)


def _may_go_in_clear(heard: Hearing) -> bool:
    """Only opportunistic TLS may be left out, once: what MTA-STS, DANE or REQUIRETLS ask for may not."""
    outcome = heard.attempt.outcome
    opportunistic = outcome is Failure.TLS_FAILED or (
        isinstance(outcome, Reply) and heard.attempt.command is Command.STARTTLS
    )
    if opportunistic and heard.attempt.tls is not Tls.AUTHENTICATED:
        return not heard.facts.clear_before
    heard.note(EvidenceKind.LAW, "in-clear became nothing", "only opportunistic TLS that failed may be left out")
    return False


def _guard_changes(heard: Hearing) -> list[Effect]:
    """What opened or closed by this answer, and whom to tell."""
    changes: list[Effect] = []
    for before, after in zip(heard.history.watches, heard.watches, strict=True):
        if before.is_open == after.is_open:
            continue
        changes.append(OpenGuard(key=after.key) if after.is_open else CloseGuard(key=after.key))
        says = "opened: nothing is suppressed there" if after.is_open else "closed: its answers are believed again"
        changes.append(Alert(to="guard", text=clean(f"outage guard for {after.key} {says}", limit=300)))
    return changes
