"""What a stranger ran into: each told as it is."""

from datetime import UTC, datetime

from policy.attempt import Attempt, Command
from policy.decide import decide
from policy.decision import Action
from policy.diagnosis.category import EvidenceKind
from policy.history import History
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.proof.check import check
from policy.rules.proof.diff import diff
from policy.rules.source import RulesFile, build_policy

NOW = datetime(2026, 3, 2, tzinfo=UTC)
QUICK = (
    "{schedules: {quick: {waits: [1m, 1h], give_up: 1d}}, override: {id: greylisted, set: {then: {schedule: quick}}}}"
)


def policy(text: str = "") -> Policy:
    """The shipped policy under one file."""
    return build_policy([RulesFile("mine.yaml", f"mailverdict: 1\n{text}\n".encode())])


def told(old: str, new: str) -> list[str]:
    """What a diff says, and the recipient's domain that shows it."""
    changes = diff(policy(old), policy(new), now=NOW)
    return [
        f"{'; '.join(each.says)} @{each.witness.attempt.recipient.domain if each.witness.attempt.recipient else ''}"
        for each in changes
        if each.witness is not None
    ]


def test_a_schedule_that_only_a_scope_defines_is_shown_there() -> None:
    assert told("", f"domains: {{example.org: {QUICK}}}") == ["retry with another schedule @example.org"]
    assert [each.partition(" @")[0] for each in told("", f"providers: {{google: {QUICK}}}")] == [
        "retry with another schedule"
    ]


def test_what_a_stream_changes_is_told_beside_what_changes_for_all() -> None:
    both = "streams: {bulk: {give_up: 1h}}\nschedules: {standard: {first: 7m, factor: 2, longest: 4h, give_up: 4d}}"
    said = [each.partition(" @")[0] for each in told("", both)]
    assert "retry with another schedule" in said
    assert "retry with another give-up of stream bulk" in said


def test_a_route_that_leads_elsewhere_is_a_change_that_is_shown() -> None:
    said = told("", 'routes: {direct: {to: "smtp://relay.example:25"}}')
    assert [each.partition(" @")[0] for each in said] == ["retry with another route"]


def test_a_retry_that_says_it_suppresses_at_first_sight_is_an_error_and_the_decision_says_so() -> None:
    mine = policy("rules: [{id: a, when: {code: 4yz}, then: {action: retry, suppress: {strength: strong}}}]")
    codes = [each.problem.code for each in check(mine, now=NOW) if each.problem.file == "mine.yaml"]
    assert codes == ["law-3-at-first-sight"]
    attempt = Attempt(outcome=parse_reply("452 4.2.2 Mailbox full"), command=Command.RCPT)
    decision = decide(mine, attempt, History(), now=NOW, spread=0.5)
    assert decision.action is Action.RETRY
    assert any(each.kind is EvidenceKind.LAW for each in decision.evidence)


def test_conditions_that_exclude_each_other_are_named() -> None:
    (found,) = check(
        policy("rules: [{id: a, when: {category: accepted, stream: x, code: 5yz}, then: {action: bounce}}]"), now=NOW
    )
    assert "`category` and `code` exclude each other" in found.problem.message
    text = "domains: {a.example: {rules: [{id: a, when: {domain: b.example}, then: {action: hold}}]}}"
    (found,) = check(policy(text), now=NOW)
    assert "its place (domain) and `domain` exclude each other" in found.problem.message
