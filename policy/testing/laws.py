"""The laws that every decision keeps, whatever the rules say: run them over your own rules.

    policy = load_policy(["my-rules.yaml"])

    @given(scenarios())
    def test_my_rules_keep_the_laws(scenario):
        for law in LAWS:
            law(policy, *scenario)

A law is a plain function that takes the arguments of `decide()` and asserts; its docstring is the law. A scenario of
which a law does not speak keeps it. The numbers are those of the design; what a law compares, it works out for itself.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import attrs

from policy.address import NULL_SENDER
from policy.attempt import Attempt, Command, Event, Failure
from policy.decide import decide
from policy.decision import (
    Action,
    Alert,
    CloseGuard,
    Decision,
    Delivered,
    NoteForward,
    OpenGuard,
    Scope,
    Strike,
    Suppress,
    Suspend,
    Throttle,
)
from policy.diagnosis.category import Category, EvidenceKind, Fault, Weight
from policy.diagnosis.diagnose import diagnose
from policy.engine import history_key
from policy.forward import UntrustedPath
from policy.history import History, Progress, deadline_of, first_attempt
from policy.progress import progress_after
from policy.reply import EnhancedStatus, Flaw, Reply
from policy.rules.policy import Policy
from policy.rules.rule import Despite, Rule
from policy.testing.kept_laws import law_nobody_is_suppressed
from policy.testing.named_codes import named_codes
from policy.testing.quotes import OTHER_PATH, renamed, texts, without_quotes
from policy.testing.spacing import most_apart

Law = Callable[[Policy, Attempt, History, datetime, float], None]

_REASONS = (EvidenceKind.LAW, EvidenceKind.HISTORY, EvidenceKind.GUARD, EvidenceKind.FREEZE, EvidenceKind.SPARED)
YES = (Action.ACCEPT, Action.ACCEPT_AND_NOTE_FORWARD)
STRIKING = (Category.BAD_MAILBOX, Category.INACTIVE_MAILBOX, Category.MAILBOX_FULL, Category.BAD_DOMAIN)
REFUSING = (
    Category.REPUTATION_BLOCK,
    Category.RATE_LIMITED,
    Category.GREYLISTED,
    Category.AUTH_FAILURE,
    Category.SPAM_CONTENT,
    Category.CONTENT_REJECTED,
    Category.VIRUS,
)
OWN_DNS = (Failure.NO_SUCH_DOMAIN, Failure.NULL_MX)
VOID = (Flaw.NO_CODE, Flaw.CODE_OUT_OF_RANGE, Flaw.OUT_OF_STEP)  # flaws of a reply that says nothing
QUOTE_LIMIT = 320  # characters of a reply that one field of a decision may quote
CHAIN, HOUR = 6, timedelta(hours=1)  # attempts that law 7 follows


def law_1_one_decision(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """Every outcome, any bytes at all, gets exactly one decision; never an exception."""
    decision = decide(policy, attempt, history, now=now, spread=spread)
    assert isinstance(decision, Decision)
    retries = decision.action is Action.RETRY
    assert (
        retries == (decision.retry_at is not None) == (decision.give_up_at is not None) == (decision.route is not None)
    )
    assert (decision.action is Action.HARD_BOUNCE) == decision.suppress or isinstance(attempt.outcome, Event)
    if decision.action in (Action.RETRY, Action.HOLD):
        assert not decision.final


def law_2_yes(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """Only a 2yz to the final dot settles a delivery; an earlier 2yz is provisional; a 2yz to DATA is a protocol error.

    No 2yz retries, bounces or suppresses. 251 to RCPT is accept-and-note-forward.
    """
    decision = decide(policy, attempt, history, now=now, spread=spread)
    if isinstance(attempt.outcome, Event):  # it settles nothing, whatever command it comes with
        assert (decision.action, decision.final) == (Action.ACCEPT, False)
        return
    reply = attempt.outcome if isinstance(attempt.outcome, Reply) else None
    positive = reply is not None and reply.klass == 2 and not any(flaw in reply.flaws for flaw in VOID)
    if (decision.action in YES and decision.final) or any(isinstance(each, Delivered) for each in decision.effects):
        assert positive
        assert attempt.command is Command.DOT
    if decision.action in YES:
        # 354 to DATA and 334 to AUTH are a yes to go on
        assert positive or (reply and reply.klass == 3 and attempt.command in (Command.DATA, Command.AUTH))
        assert decision.final == (attempt.command is Command.DOT)
    if positive:
        assert decision.action in (*YES, Action.HOLD)
        assert not _against(decision)
        if attempt.command is Command.DATA:
            assert decision.category is Category.PROTOCOL_ERROR
            assert decision.action is Action.HOLD
    if positive and reply and reply.code == 251 and attempt.command is Command.RCPT:
        assert decision.action is Action.ACCEPT_AND_NOTE_FORWARD


def law_3_transient(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """A 4yz or a network failure never suppresses before the stated strikes over the stated time.

    Only mailbox, quota and own-DNS failures are strikes, never rate, greylist, reputation, authentication, content,
    system, give-up; a 5yz may be what a rule says, when the rule sets this aside.
    """
    decision = decide(policy, attempt, history, now=now, spread=spread)
    for effect in _against(decision):
        assert effect.reason is decision.category
        assert effect.reason in STRIKING or _set_aside(policy, decision, attempt)
        if isinstance(attempt.outcome, Failure):
            assert attempt.outcome in OWN_DNS
        elif isinstance(attempt.outcome, Reply) and attempt.outcome.klass != 5 and isinstance(effect, Suppress):
            terms = rule_of(policy, decision).then.suppress
            assert terms is not None
            assert terms.strikes > 1
            start = max(now, first_attempt(attempt, history.progress, now))
            before = [
                strike.at
                for strike in history.strikes
                if strike.target == effect.target
                and strike.reason is effect.reason
                and strike.message != attempt.message
                and start - terms.within <= strike.at <= start
            ]
            assert most_apart(sorted([*before, start]), terms.apart) >= terms.strikes


def law_4_lawful_places(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """A bounce-derived suppression needs fault `recipient` or `recipient-domain`, at RCPT or a dot with one recipient.

    With an unknown command it needs explicit wording. CONNECT, EHLO, STARTTLS, AUTH, MAIL never suppress a recipient.
    A rule may set aside whose fault it is, for a 5yz in these places, and the decision says so.
    """
    decision = decide(policy, attempt, history, now=now, spread=spread)
    for effect in _against(decision):
        assert effect.target == _targets(attempt)[effect.scope]
        own_fault = decision.fault in (Fault.RECIPIENT, Fault.RECIPIENT_DOMAIN)
        assert own_fault or _set_aside(policy, decision, attempt)
        if isinstance(attempt.outcome, Failure):
            continue  # our own look-up in the DNS, which no command belongs to
        assert attempt.command in (None, Command.RCPT, Command.DOT)
        if attempt.command is Command.DOT:
            assert attempt.recipients == 1
        if attempt.command is None:
            assert decision.evidence[0].kind in (EvidenceKind.WORDING, EvidenceKind.ENHANCED_STATUS)
            assert diagnose(policy.knowledge, attempt, policy.provider_of(attempt)).weight is not Weight.WEAK


def law_5_unknown_codes(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """Two unknown codes with one first digit and otherwise equal replies get one decision.

    The defaults for unknown codes never suppress.
    """
    reply = attempt.outcome
    if not isinstance(reply, Reply) or reply.klass is None:
        return
    codes = [code for code in range(100 * reply.klass, 100 * reply.klass + 100) if code not in set(named_codes(policy))]
    if not codes:
        return
    decisions = [
        decide(policy, attrs.evolve(attempt, outcome=attrs.evolve(reply, code=code)), history, now=now, spread=spread)
        for code in (codes[0], codes[len(codes) // 2], codes[-1])
    ]
    assert without_quotes(decisions[0]) == without_quotes(decisions[1]) == without_quotes(decisions[2])
    if decisions[0].category in (Category.UNKNOWN, Category.PROTOCOL_ERROR):
        assert not _against(decisions[0])


def law_6_reasons(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """Every decision names one rule (id, file, line), the evidence, and the policy's version hash."""
    decision = decide(policy, attempt, history, now=now, spread=spread)
    rule = rule_of(policy, decision)
    assert rule.ref.id
    assert rule.ref.file
    assert rule.ref.line >= 1
    assert decision.evidence
    assert all(each.says for each in decision.evidence)
    assert decision.policy_version == policy.version
    if decision.action not in (rule.then.action, Action.HARD_BOUNCE):  # then it says why
        said = [each.kind for each in decision.evidence if each.kind is not EvidenceKind.OBSERVED]
        assert said[-1] in _REASONS


def law_7_retry_times(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """Retry times strictly increase, keep the floor, and never pass the give-up time.

    That time depends on the first attempt and the message's deadline only; a hold consumes none of it.
    """
    first = first_attempt(attempt, history.progress, now)
    attempt = attrs.evolve(attempt, first_attempt_at=first)
    former: Decision | None = None
    for _ in range(CHAIN):
        decision = decide(policy, attempt, history, now=now, spread=spread)
        if decision.retry_at is None or decision.give_up_at is None:
            break
        schedule = policy.schedule(
            rule_of(policy, decision).then.schedule, policy.place(attempt.recipient, policy.provider_of(attempt))
        )
        assert decision.retry_at - max(now, first) >= min(schedule.waits) * (1 - schedule.spread)
        assert now < decision.retry_at <= decision.give_up_at
        if former is not None and former.rule == decision.rule:
            assert decision.give_up_at == former.give_up_at
        _keeps_its_end(policy, attempt, history, now, decision)
        progress = progress_after(attempt, decision, history.progress, now)
        former, history, now = decision, attrs.evolve(history, progress=progress), decision.retry_at
        attempt = attrs.evolve(attempt, number=None)


def _keeps_its_end(policy: Policy, attempt: Attempt, history: History, now: datetime, decision: Decision) -> None:
    """Close to the give-up time nothing is due after it, at it nothing at all; an hour's hold moves it by an hour.

    Another rule, which holds by then, may give up at another time.
    """
    end, due = decision.give_up_at, decision.retry_at
    assert end is not None
    assert due is not None
    progress = history.progress or Progress(
        message=attempt.message,
        recipient="",
        attempts=0,
        first_attempt_at=first_attempt(attempt, history.progress, now),
        held=timedelta(0),
        last_at=now,
        action=Action.RETRY,
        final=False,
        retry_at=None,
    )
    attempt = attrs.evolve(attempt, number=attempt.number or progress.attempts + 1)
    deadline = deadline_of(attempt, history.progress) or end + HOUR
    longer = attrs.evolve(history, progress=attrs.evolve(progress, held=progress.held + HOUR))
    assert decide(policy, attempt, longer, now=now, spread=0.5).give_up_at == min(end + HOUR, deadline)
    if progress.action is Action.HOLD:  # it goes on until the next attempt, and moves the end with it
        return
    nearly = decide(policy, attempt, history, now=max(now, end - (due - now) / 2), spread=0.5)
    assert nearly.retry_at is None or nearly.retry_at <= end or nearly.rule != decision.rule
    at_end = decide(policy, attempt, history, now=end, spread=0.5)
    assert at_end.action is not Action.RETRY or at_end.rule != decision.rule


def law_8_forward_paths(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """A forward path out of 251/551 is untrusted text: never an address, a route, a header or a key; notes quote it.

    So naming another path changes the note and what is quoted, and nothing else.
    """
    decision = decide(policy, attempt, history, now=now, spread=spread)
    path = decision.forward_path
    if path is None:
        return
    assert type(path) is UntrustedPath
    lawful = {*_targets(attempt).values(), *history_key(policy, attempt, history.provider).destinations}
    for effect in decision.effects:
        if isinstance(effect, NoteForward):
            assert effect.address == attempt.recipient
        elif isinstance(effect, Suppress | Strike | Delivered | Suspend | Throttle):
            assert effect.target in lawful
    assert any(each.kind is EvidenceKind.FORWARD_PATH for each in decision.evidence)
    other_named = attrs.evolve(attempt, outcome=renamed(attempt.outcome), rcpt_reply=renamed(attempt.rcpt_reply))
    other = decide(policy, other_named, history, now=now, spread=spread)
    assert other.forward_path is not None
    assert str(other.forward_path) == OTHER_PATH
    assert without_quotes(other) == without_quotes(decision)


def law_9_null_sender(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """A null-sender message never causes a bounce message and never suppresses."""
    attempt = attrs.evolve(attempt, sender=NULL_SENDER)
    decision = decide(policy, attempt, history, now=now, spread=spread)
    assert decision.action not in (Action.BOUNCE, Action.HARD_BOUNCE)
    assert not _against(decision)


def law_12_determinism(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """Same inputs, same decision: no clock, randomness, dict order or environment inside."""
    once = decide(policy, attempt, history, now=now, spread=spread)
    again = decide(policy, attrs.evolve(attempt), attrs.evolve(history), now=now, spread=spread)
    assert once == again
    assert repr(once) == repr(again)


def law_16_outage_guard(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """While the outage guard is open for a key, no reply suppresses anything for it; what opens or closes is told once.

    It only keeps from suppressing: any other decision, and every time, is what it would be without it.
    """
    decision = decide(policy, attempt, history, now=now, spread=spread)
    changes = [each for each in decision.effects if isinstance(each, OpenGuard | CloseGuard)]
    is_open = {each.key: each.is_open for each in history.watches}
    for change in changes:
        assert is_open[change.key] is isinstance(change, CloseGuard)
        is_open[change.key] = isinstance(change, OpenGuard)
    assert not (_against(decision) and decision.suppress and any(is_open.values()))
    assert sum(isinstance(each, Alert) and each.to == "guard" for each in decision.effects) == len(changes)
    plain = decide(policy, attempt, attrs.evolve(history, watches=()), now=now, spread=spread)
    if not plain.suppress:
        assert (decision.action, decision.final) == (plain.action, plain.final)
        assert (decision.retry_at, decision.give_up_at) == (plain.retry_at, plain.give_up_at)


def law_17_safe_output(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """No output field carries control characters, bidi overrides or unbounded text from a reply."""
    for text in texts(attrs.asdict(decide(policy, attempt, history, now=now, spread=spread))):
        assert text.isprintable(), repr(text)
        assert len(text) <= QUOTE_LIMIT


def law_19_no_way_around(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """No new route is used to get around a reputation, rate, greylist, authentication or content refusal.

    A rule may set this aside, and the decision says so.
    """
    decision = decide(policy, attempt, history, now=now, spread=spread)
    usual = policy.route(None, policy.place(attempt.recipient, policy.provider_of(attempt)))
    if decision.category not in REFUSING or decision.route in (None, usual):
        return
    assert Despite.REFUSED_ON_PURPOSE in rule_of(policy, decision).despite
    assert _says_set_aside(decision, Despite.REFUSED_ON_PURPOSE)


def law_code_over_status(policy: Policy, attempt: Attempt, history: History, now: datetime, spread: float) -> None:
    """An enhanced status of another class than the code's counts as X.0.0 of the code's class (none with a 3yz)."""
    reply = attempt.outcome
    if not isinstance(reply, Reply) or reply.klass is None:
        return
    plain = None if reply.klass == 3 else EnhancedStatus(reply.klass, 0, 0)
    subject, detail = (reply.stated.subject, reply.stated.detail) if reply.stated else (1, 1)
    stated = [plain, *(EnhancedStatus(klass, subject, detail) for klass in (2, 4, 5) if klass != reply.klass)]
    decisions = [
        decide(policy, attrs.evolve(attempt, outcome=attrs.evolve(reply, stated=each)), history, now=now, spread=spread)
        for each in stated
    ]
    assert all(without_quotes(each) == without_quotes(decisions[0]) for each in decisions)


LAWS: tuple[Law, ...] = (
    law_1_one_decision,
    law_2_yes,
    law_3_transient,
    law_4_lawful_places,
    law_5_unknown_codes,
    law_6_reasons,
    law_7_retry_times,
    law_8_forward_paths,
    law_9_null_sender,
    law_12_determinism,
    law_16_outage_guard,
    law_17_safe_output,
    law_19_no_way_around,
    law_code_over_status,
    law_nobody_is_suppressed,
)


def rule_of(policy: Policy, decision: Decision) -> Rule:
    """Return the one rule of the policy that the decision names."""
    return next(rule for rule in policy.rules if rule.ref == decision.rule)


def _targets(attempt: Attempt) -> dict[Scope, str]:
    """What a decision may be held against; empty where the attempt does not name its recipient."""
    recipient = attempt.recipient
    key = recipient.key if recipient else ""
    stream = f"{key}#{attempt.stream}" if recipient and attempt.stream else ""
    return {Scope.ADDRESS: key, Scope.DOMAIN: recipient.domain if recipient else "", Scope.STREAM: stream}


def _against(decision: Decision) -> list[Suppress | Strike]:
    """What the decision holds against the recipient; what the recipient says is no such thing."""
    by_hand = decision.category in (Category.COMPLAINT, Category.UNSUBSCRIBE)
    return [each for each in decision.effects if isinstance(each, Suppress | Strike) and not by_hand]


def _set_aside(policy: Policy, decision: Decision, attempt: Attempt) -> bool:
    """May the decision suppress whoever's fault it is: does the rule say so, of a 5yz where one recipient is meant?"""
    if Despite.NO_RECIPIENT_FAULT not in rule_of(policy, decision).despite:
        return False
    assert isinstance(attempt.outcome, Reply)
    assert attempt.outcome.klass == 5
    assert attempt.command in (Command.RCPT, Command.DOT)
    assert _says_set_aside(decision, Despite.NO_RECIPIENT_FAULT)
    return True


def _says_set_aside(decision: Decision, law: Despite) -> bool:
    return any(each.kind is EvidenceKind.LAW and each.value == law.value for each in decision.evidence)
