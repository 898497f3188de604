"""Laws of evidence: what counts against an address, when it is enough, and for how long."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.attempt import Attempt, Command, Failure
from policy.decide import decide
from policy.decision import Action, Decision, RuleRef, Scope, Strength, Strike, Suppress
from policy.diagnosis.category import Category
from policy.history import History, PastStrike, Suppression
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.source import RulesFile, build_policy, load_policy
from policy.suppression import spaced
from policy.testing.scenarios import RECIPIENTS
from policy.text import clean

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
JO = RECIPIENTS[0]
SHIPPED = load_policy()
FULL, FULL_NOW = "552 5.2.2 Mailbox full", "452 4.2.2 Mailbox full"


def struck(*ago: timedelta, reason: Category = Category.MAILBOX_FULL, target: str = JO.key) -> History:
    strikes = [
        PastStrike(target=target, message=f"m{number}", reason=reason, at=NOW - each) for number, each in enumerate(ago)
    ]
    return History(strikes=tuple(sorted(strikes, key=lambda each: each.at)))


def decided(
    text: str, history: History, policy: Policy = SHIPPED, command: Command = Command.RCPT, message: str = "now"
) -> Decision:
    attempt = Attempt(outcome=parse_reply(text), command=command, recipient=JO, message_id=message)
    return decide(policy, attempt, history, now=NOW, spread=0.5)


def verdict(decision: Decision) -> Suppress | Strike | None:
    return next((each for each in decision.effects if isinstance(each, Suppress | Strike)), None)


def with_terms(terms: str) -> Policy:
    rules = f"mailverdict: 1\nrules:\n  - {{id: own, then: {{action: hard-bounce, suppress: {terms}}}}}\n"
    return build_policy([RulesFile("own.yaml", rules.encode())])


@pytest.mark.parametrize(
    ("ago", "count"),
    [
        ([], 1),
        ([DAY], 2),
        ([HOUR], 1),
        ([2 * DAY, DAY], Suppress),
        ([2 * DAY, 2 * DAY - HOUR], 2),
        ([3 * DAY, 30 * HOUR, HOUR], Suppress),
        ([15 * DAY, 2 * DAY], 2),
        ([-DAY, 2 * DAY], 2),  # a strike from the future does not count
    ],
)
@pytest.mark.parametrize(("text", "milder"), [(FULL, Action.BOUNCE), (FULL_NOW, Action.RETRY)])
def test_three_full_mailboxes_a_day_apart_within_two_weeks_suppress(
    ago: list[timedelta], count: int | type, text: str, milder: Action
) -> None:
    decision = decided(text, struck(*ago))
    effect = verdict(decision)
    if count is Suppress:
        assert isinstance(effect, Suppress)
        assert (decision.action, effect.until) == (Action.HARD_BOUNCE, NOW + 30 * DAY)
    else:
        assert isinstance(effect, Strike)
        assert (decision.action, effect.count, effect.needed) == (milder, count, 3)


def test_one_message_strikes_once_however_often_it_fails() -> None:
    history = struck(2 * DAY, DAY)
    assert isinstance(verdict(decided(FULL_NOW, history, message="m1")), Strike)
    assert isinstance(verdict(decided(FULL_NOW, history, message="m2")), Suppress)


def test_strikes_for_another_reason_or_another_address_do_not_count() -> None:
    for history in (
        struck(2 * DAY, DAY, reason=Category.INACTIVE_MAILBOX),
        struck(2 * DAY, DAY, target="mo@example.org"),
        struck(2 * DAY, DAY, target=JO.domain),
    ):
        effect = verdict(decided(FULL, history))
        assert isinstance(effect, Strike)
        assert effect.count == 1


@given(ago=st.lists(st.timedeltas(timedelta(0), 10 * DAY), max_size=8), apart=st.timedeltas(timedelta(0), 3 * DAY))
def test_spaced_counts_the_most_that_lie_far_enough_apart(ago: list[timedelta], apart: timedelta) -> None:
    times = sorted([*(NOW - each for each in ago), NOW])
    most: list[int] = []
    for number, time in enumerate(times):
        most.append(1 + max((most[n] for n in range(number) if time - times[n] >= apart), default=0))
    assert spaced((NOW - each for each in ago), NOW, apart) == most[-1]


@given(ago=st.lists(st.timedeltas(timedelta(0), 20 * DAY), max_size=6), more=st.timedeltas(timedelta(0), 20 * DAY))
def test_one_strike_more_never_makes_the_verdict_milder(ago: list[timedelta], more: timedelta) -> None:
    def standing(history: History) -> float:
        effect = verdict(decided(FULL, history))
        return effect.count if isinstance(effect, Strike) else float("inf")

    assert standing(struck(*ago, more)) >= standing(struck(*ago))


def earlier(since: timedelta, strength: Strength = Strength.WEAK) -> History:
    entry = Suppression(
        target=JO.key,
        scope=Scope.ADDRESS,
        strength=strength,
        reason=Category.BAD_MAILBOX,
        rule=RuleRef("r", "rules.yaml", 1),
        reply=clean("550"),
        since=NOW - since,
        expires_at=NOW - since + 7 * DAY,
    )
    return History(suppressions=(entry,))


@pytest.mark.parametrize(
    ("history", "days"),
    [
        (History(), 7),
        (earlier(2 * DAY), 7),
        (earlier(3 * DAY), 180),
        (earlier(180 * DAY), 180),
        (earlier(181 * DAY), 7),
        (earlier(9 * DAY, Strength.STRONG), 7),
    ],
    ids=["first", "too soon after", "again", "just in time", "too long after", "another strength"],
)
def test_weak_is_a_week_and_long_when_it_comes_again_at_least_three_days_later(history: History, days: int) -> None:
    effect = verdict(decided("550", history))
    assert isinstance(effect, Suppress)
    assert (effect.strength, effect.until) == (Strength.WEAK, NOW + days * DAY)


def test_strong_lasts_half_a_year_and_permanent_until_it_is_released() -> None:
    strong = verdict(decided("550 5.1.1 User unknown", History()))
    permanent = verdict(decided("550 5.7.17 another owner", History()))
    assert isinstance(strong, Suppress)
    assert isinstance(permanent, Suppress)
    assert (strong.strength, strong.until) == (Strength.STRONG, NOW + 180 * DAY)
    assert (permanent.strength, permanent.until) == (Strength.PERMANENT, None)


def test_an_address_that_took_mail_before_is_only_paused() -> None:
    effect = verdict(decided("550 5.1.1 User unknown", History(last_success=NOW - DAY)))
    assert isinstance(effect, Suppress)
    assert effect.strength is Strength.WEAK


def test_what_a_rule_says_of_scope_and_time_holds() -> None:
    effect = verdict(decided("550 5.1.1 User unknown", History(), with_terms("{scope: domain, for: 2d}")))
    assert isinstance(effect, Suppress)
    assert (effect.target, effect.scope, effect.until) == (JO.domain, Scope.DOMAIN, NOW + 2 * DAY)


@pytest.mark.parametrize(
    "text",
    [
        "550 SPF check failed", "554 5.7.1 Your IP has a poor reputation", "550 looks like spam", "450 Greylisted",
        "452 4.5.3 Too many recipients", "421 4.3.0 Temporary failure", "550 5.7.1 Blocked by policy",
        "550 5.7.26 DMARC",
        "552 5.3.4 message too large", "535 5.7.8 bad credentials", "600 what", "no reply at all", "577 what is this",
    ],
)  # fmt: skip
def test_what_is_not_the_recipients_fault_never_counts_even_if_a_rule_says_so(text: str) -> None:
    decision = decided(text, struck(2 * DAY, DAY), with_terms("{}"))
    assert verdict(decision) is None
    assert decision.action in (Action.BOUNCE, Action.RETRY)


@pytest.mark.parametrize("command", [each for each in Command if each not in (Command.RCPT, Command.DOT)])
def test_before_a_recipient_is_named_no_reply_speaks_of_one(command: Command) -> None:
    assert verdict(decided("550 5.1.1 User unknown", History(), with_terms("{}"), command)) is None


@pytest.mark.parametrize("failure", Failure)
def test_only_our_own_look_up_in_the_dns_counts_among_failures_without_a_reply(failure: Failure) -> None:
    attempt = Attempt(outcome=failure, recipient=JO)
    decision = decide(with_terms("{strikes: 2}"), attempt, History(), now=NOW, spread=0.5)
    assert (verdict(decision) is not None) == (failure in (Failure.NULL_MX, Failure.NO_SUCH_DOMAIN))


def test_after_the_dot_only_a_transaction_with_one_recipient_counts() -> None:
    attempt = Attempt(outcome=parse_reply("550 5.1.1 User unknown"), command=Command.DOT, recipient=JO, recipients=1)
    several = attrs.evolve(attempt, recipients=2)
    policy = with_terms("{}")
    assert decide(policy, attempt, History(), now=NOW, spread=0.5).suppress
    assert not decide(policy, several, History(), now=NOW, spread=0.5).suppress


def test_a_transient_refusal_needs_more_than_one_strike_whatever_a_rule_says() -> None:
    text = "450 4.1.1 User unknown"
    assert verdict(decided(text, History(), with_terms("{strikes: 1}"))) is None
    assert isinstance(verdict(decided(text, History(), with_terms("{strikes: 2}"))), Strike)
    again = struck(2 * DAY, reason=Category.BAD_MAILBOX)
    assert isinstance(verdict(decided(text, again, with_terms("{strikes: 2}"))), Suppress)
