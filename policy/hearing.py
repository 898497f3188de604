"""What one decision is made of, and the evidence that is noted while it is made."""

from datetime import datetime, timedelta

from attrs import frozen

from policy.attempt import Attempt, Command, Event
from policy.decision import Action
from policy.diagnosis.category import Evidence, EvidenceKind
from policy.diagnosis.diagnose import diagnose
from policy.history import History, first_attempt
from policy.outage import seen, watches_after
from policy.rules.policy import Policy
from policy.rules.rule import Despite, Facts, Rule
from policy.text import clean

ACCEPTING = (Action.ACCEPT, Action.ACCEPT_AND_NOTE_FORWARD)


@frozen
class Times:
    """Which attempt this is and when.

    Args:
        number: counted from 1; first: when the first one was; held: how long a person held the message back.
        now: never before `first`, even where the clock went back.
    """

    number: int
    first: datetime
    held: timedelta
    now: datetime


def times_of(attempt: Attempt, history: History, now: datetime) -> Times:
    """Return which attempt it is, by what it says and by what is known."""
    progress = history.progress
    before = progress.attempts if progress else 0
    first = first_attempt(attempt, progress, now)
    held = progress.held if progress else timedelta(0)
    if progress and progress.action is Action.HOLD:
        held += max(now - progress.last_at, timedelta(0))
    return Times(attempt.number or before + 1, first, held, max(now, first))


def facts_at(policy: Policy, attempt: Attempt, history: History, times: Times) -> Facts:
    """What rules see of an attempt, at a time."""
    provider = policy.provider_of(attempt) or history.provider
    return Facts(
        attempt=attempt,
        diagnosis=diagnose(policy.knowledge, attempt, provider),
        provider=provider,
        number=times.number,
        now=times.now,
        age=times.now - times.first,
        delivered_before=history.last_success is not None,
        split_before=history.progress is not None and history.progress.split,
        clear_before=history.progress is not None and history.progress.clear,
    )


def facts_of(policy: Policy, attempt: Attempt, history: History, now: datetime) -> Facts:
    """What rules see of an attempt: for those who ask which rule would decide."""
    return facts_at(policy, attempt, history, times_of(attempt, history, now))


def gone_by(policy: Policy, attempt: Attempt, history: History) -> str:
    """The route by which an attempt went: what it says, else what was decided last for the message, else the usual.

    Empty where nothing that is held back or counted is a route: then nobody asks.
    """
    if not policy.restrains_routes and not any(each.target.startswith("@") for each in history.suspensions):
        return ""
    decided = history.progress.route if history.progress else None
    provider = policy.provider_of(attempt) or history.provider
    return policy.route(attempt.route or decided, policy.place(attempt.recipient, provider))


class Hearing:
    """A rule that holds for an attempt with its past: all that a decision may know."""

    def __init__(self, policy: Policy, facts: Facts, history: History, rule: Rule, times: Times, spread: float) -> None:
        self.policy, self.facts, self.history, self.rule, self.times = policy, facts, history, rule, times
        self.attempt, self.diagnosis, self.spread = facts.attempt, facts.diagnosis, spread
        self.place = policy.place(facts.attempt.recipient, facts.provider)
        meaning = facts.diagnosis.category, facts.diagnosis.fault
        answer = seen(facts.attempt, *meaning, history, times.now)
        self.watches = watches_after(history.watches, answer, times.now)
        self.notes: list[Evidence] = []

    @property
    def gone_by(self) -> str:
        """The route of this attempt."""
        return gone_by(self.policy, self.attempt, self.history)

    def delivers(self, action: Action) -> bool:
        """Only a yes to the final dot does; what a recipient says later is no reply."""
        yes = action in ACCEPTING and self.attempt.command is Command.DOT
        return yes and not isinstance(self.attempt.outcome, Event)

    def despite(self, law: Despite) -> bool:
        """Does the rule set this law aside? Then the decision says so."""
        if law not in self.rule.despite:
            return False
        self.note(EvidenceKind.LAW, law.value, "set aside by the rule")
        return True

    def law(self, action: Action, why: str) -> Action:
        """Note that a law allows no more than this action, and return it."""
        self.note(EvidenceKind.LAW, f"{self.rule.then.action.value} became {action.value}", why)
        return action

    def note(self, kind: EvidenceKind, value: str, says: str) -> None:
        """Note a piece of evidence for the decision."""
        self.notes.append(Evidence(kind, clean(value, limit=200), says))
