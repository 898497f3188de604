"""The only entrance: policy, attempt and history in, one decision out. No clock, no randomness, no environment.

First what the outcome means (`diagnose`), then which rule holds, then what the laws leave of what the rule says: a rule
can do less than it writes, never more than the design's laws allow. Where a law held it back, the evidence says so.
"""

from datetime import datetime

from attrs import evolve

from policy.attempt import Attempt, Command, Event, Failure
from policy.decision import SETTLED, Action, Decision, Scope, Strength, Strike, Suppress
from policy.diagnosis.category import Category, Evidence, EvidenceKind
from policy.effects import effects_of
from policy.guard import Watch
from policy.hearing import ACCEPTING, Hearing, facts_at, times_of
from policy.history import History, deadline_of, tries
from policy.reply import Reply
from policy.retry import give_up_time, next_try
from policy.rules.policy import Policy
from policy.rules.rule import ON_PURPOSE, Despite, Lasting, SuppressTerms
from policy.suppression import OWN_LOOKUP, judged, may_suppress
from policy.text import clean

_Verdicts = tuple[Suppress | Strike, ...]


def decide(policy: Policy, attempt: Attempt, history: History, *, now: datetime, spread: float) -> Decision:
    """Return what to do next about `attempt`; for the arguments see `decided`."""
    return decided(policy, attempt, history, now=now, spread=spread)[0]


def decided(
    policy: Policy, attempt: Attempt, history: History, *, now: datetime, spread: float
) -> tuple[Decision, tuple[Watch, ...]]:
    """Return what to do next about `attempt`, and the history's watches after it.

    Args:
        history: what the store knew before this attempt.
        now: when this is decided; a clock that went back before the first attempt counts as the first attempt's time.
        spread: 0 to 1, where in the schedule's spread the next wait falls; from the attempt's identity.
    """
    times = times_of(attempt, history, now)
    facts = facts_at(policy, attempt, history, times)
    rule, observing = policy.rule_for(facts)
    verdict = _Verdict(policy, facts, history, rule, times, spread)
    decision = verdict.decision()
    if not observing:
        return decision, verdict.watches
    would = [_Verdict(policy, facts, history, each, times, spread).decision() for each in observing]
    return evolve(decision, evidence=(*decision.evidence, *map(_observed, would))), verdict.watches


def _observed(would: Decision) -> Evidence:
    """What a rule that only observes would have decided."""
    did = would.action.value + (", with a suppression" if would.suppress else "")
    return Evidence(EvidenceKind.OBSERVED, clean(str(would.rule), limit=200), f"would have decided: {did}")


class _Verdict(Hearing):
    """One decision in the making; each method settles one part of it."""

    def decision(self) -> Decision:
        action, verdicts = self.suppression(self.lawful(self.rule.then.action))
        action, verdicts = self.guarded(*self.frozen(action, verdicts))
        retry_at = give_up_at = None
        remedy = self.rule.then.remedy or self.diagnosis.remedy
        if action is Action.RETRY:
            retry_at, give_up_at = self.next_try()
            if retry_at is None:
                action = self.unanswerable(Action.BOUNCE)
                remedy = f"Retrying is over. What stood in the way to the end: {remedy}".rstrip()
        action, verdicts = self.frozen(action, verdicts)
        route = self.route() if retry_at else None
        return Decision(
            action=action,
            final=action in SETTLED or self.delivers(action),
            category=self.diagnosis.category,
            fault=self.diagnosis.fault,
            effects=effects_of(self, action, verdicts),
            retry_at=retry_at,
            give_up_at=give_up_at if retry_at else None,
            route=route,
            rule=self.rule.ref,
            evidence=(*self.diagnosis.evidence, *self.notes),
            remedy=remedy,
            policy_version=self.policy.version,
            uncertain=self.uncertain,
            custody=self.attempt.custody,
        )

    def lawful(self, action: Action) -> Action:
        """Laws 2 and 9: a yes is a yes and nothing else is; nobody is told about null-sender mail."""
        if isinstance(self.attempt.outcome, Event):
            says = "what a recipient says of a message is not its fate"
            return action if action is Action.ACCEPT else self.law(Action.ACCEPT, says)
        yes = self.diagnosis.category is Category.ACCEPTED
        reply = self.facts.reply
        if yes and reply and reply.code == 251 and self.attempt.command is Command.RCPT:
            noted = Action.ACCEPT_AND_NOTE_FORWARD
            return noted if action is noted else self.law(noted, "a 251 to RCPT is accepted and its path noted")
        if yes and action not in ACCEPTING:
            return self.law(Action.ACCEPT, "a 2yz never retries, bounces or suppresses")
        if not yes and self.is_misplaced_yes() and action is not Action.HOLD:
            return self.law(Action.HOLD, "a 2yz never retries, bounces or suppresses")
        if not yes and action in ACCEPTING:
            permanent = reply is not None and reply.klass == 5
            action = self.law(Action.BOUNCE if permanent else Action.RETRY, "only a 2yz accepts")
        return self.unanswerable(action)

    def is_misplaced_yes(self) -> bool:
        """A 2yz that was read well but cannot be believed: to DATA, where 354 belongs."""
        reply = self.facts.reply
        return reply is not None and reply.klass == 2 and not reply.is_void

    @property
    def uncertain(self) -> bool:
        """Nobody could read whether the final dot was accepted: the message may have arrived."""
        reply = self.facts.reply
        unread = reply is not None and (reply.is_void or reply.klass == 3)
        return (unread and self.attempt.command is Command.DOT) or self.attempt.outcome is Failure.LOST_AFTER_DOT

    def unanswerable(self, action: Action) -> Action:
        """A failure that would be told to a null sender is discarded."""
        if self.attempt.null_sender and action in (Action.BOUNCE, Action.HARD_BOUNCE):
            return self.law(Action.DISCARD, "a message with the null sender never causes a bounce")
        return action

    def suppression(self, action: Action) -> "tuple[Action, _Verdicts]":
        """Law 3 and 4: what is left of a rule's `suppress`. Only a decision that suppresses is a hard bounce."""
        terms, outcome = self.rule.then.suppress, self.attempt.outcome
        said = isinstance(outcome, Event)
        if terms is None or (action not in (Action.HARD_BOUNCE, Action.RETRY) and not said):
            return action, ()
        milder = Action.BOUNCE if action is Action.HARD_BOUNCE else action
        refusal = may_suppress(self.attempt, self.diagnosis)
        if refusal and not may_suppress(self.attempt, self.diagnosis, despite_fault=True):
            refusal = "" if self.despite(Despite.NO_RECIPIENT_FAULT) else refusal
        transient = not said and (not isinstance(outcome, Reply) or outcome.klass != 5)
        if not refusal and transient and terms.strikes == 1 and outcome not in OWN_LOOKUP:
            refusal = "a transient failure alone never suppresses"
        if refusal:
            if action is Action.HARD_BOUNCE and transient and outcome not in OWN_LOOKUP:
                milder = Action.RETRY
            if action is Action.HARD_BOUNCE:
                return self.law(milder, refusal), ()
            if terms.strikes == 1:  # several strikes say what counts; one says that this reply suppresses
                self.note(EvidenceKind.LAW, "suppress became nothing", refusal)
            return milder, ()
        spared = None if said or not self.attempt.recipient else self.policy.spared(self.attempt.recipient)
        if spared is not None:
            self.note(EvidenceKind.SPARED, str(spared), "an operator's list says that no bounce suppresses it")
            return milder, ()
        if transient and outcome not in OWN_LOOKUP:
            terms = evolve(terms, meanwhile=None)
        return self.judged(terms, action, milder)

    def judged(self, terms: SuppressTerms, action: Action, milder: Action) -> "tuple[Action, _Verdicts]":
        """What is due by the strikes so far; a decision that suppresses is a hard bounce, but for what people say."""

        def lasting(strength: Strength) -> Lasting:
            return self.policy.lasting(strength, self.place)

        verdicts = judged(terms, self.attempt, self.diagnosis, self.history, lasting=lasting, now=self.times.now)
        for each in verdicts:
            if isinstance(each, Strike):
                whom = "domain" if each.scope is Scope.DOMAIN else "address"
                says = f"strikes before the {whom} is suppressed"
                self.note(EvidenceKind.HISTORY, f"{each.count} of {each.needed}", says)
        if isinstance(self.attempt.outcome, Event):
            return action, verdicts
        return Action.HARD_BOUNCE if _suppressing(verdicts) else milder, verdicts

    def guarded(self, action: Action, verdicts: "_Verdicts") -> "tuple[Action, _Verdicts]":
        """Law 16: while the outage guard is open nothing is suppressed; the message waits inside its own life."""
        open_for = [each.key for each in self.watches if each.is_open]
        if not open_for or not _suppressing(verdicts) or isinstance(self.attempt.outcome, Event):
            return action, verdicts
        says = "many who used to get mail there are refused: an outage is likelier than the truth"
        self.note(EvidenceKind.GUARD, f"open for {open_for[0]}", says)
        return Action.RETRY, tuple(map(_only_a_strike, verdicts))

    def frozen(self, action: Action, verdicts: "_Verdicts") -> "tuple[Action, _Verdicts]":
        """A person froze it: what would be settled against the recipient waits for that person."""
        freeze = next(iter(self.history.freezes), None)
        if freeze is None or action not in SETTLED:
            return action, verdicts
        says = f"{freeze.of_what} is frozen: nothing is bounced or suppressed until a person lifts it"
        self.note(EvidenceKind.FREEZE, f"{action.value} became {Action.HOLD.value}", says)
        return Action.HOLD, ()

    def next_try(self) -> tuple[datetime | None, datetime]:
        """Law 7: when to try again; None when the give-up time is reached."""
        schedule = self.policy.schedule(self.rule.then.schedule, self.place)
        times = self.times
        cap = self.policy.stream_give_up(self.attempt.stream, self.place)
        give_up_at = give_up_time(schedule, times.first, held=times.held, cap=cap)
        deadline = deadline_of(self.attempt, self.history.progress)
        says = "the schedule gives up here"
        if deadline is not None and deadline < give_up_at:
            give_up_at, says = deadline, "the message's own deadline (`deliver_by`) ends it here"
        tried = tries(self.history.progress, self.rule.ref.id, number=times.number)
        number = max(times.number, tried)  # what is not counted as an attempt waits longer all the same
        clock = {"now": times.now, "give_up_at": give_up_at}
        due = next_try(schedule, number, **clock, spread=self.spread, tried=tried, hint=self.diagnosis.retry_after)
        if due is None:
            said = f"attempt {times.number}, first tried {times.first:%Y-%m-%d %H:%M} UTC"
            self.note(EvidenceKind.HISTORY, said, says)
        return due, give_up_at

    def route(self) -> str:
        """Law 19: nobody who refuses us on purpose is got around by another route, unless the rule says so."""
        usual, named = self.policy.route(None, self.place), self.rule.then.route
        if named is None or named == usual or self.diagnosis.category not in ON_PURPOSE:
            return self.policy.route(named, self.place)
        if self.despite(Despite.REFUSED_ON_PURPOSE):
            return named
        says = f"a refusal on purpose ({self.diagnosis.category.value}) is not got around by another route"
        self.note(EvidenceKind.LAW, f"route {named} became {usual}", says)
        return usual


def _suppressing(verdicts: _Verdicts) -> bool:
    return any(isinstance(each, Suppress) for each in verdicts)


def _only_a_strike(verdict: Suppress | Strike) -> Strike:
    if isinstance(verdict, Strike):
        return verdict
    return Strike(target=verdict.target, scope=verdict.scope, reason=verdict.reason, count=1, needed=1)
