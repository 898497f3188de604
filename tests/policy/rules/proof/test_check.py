"""What `check` says is so: what cannot decide never does, and laws are broken where it says so and nowhere else."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from policy.attempt import Attempt, Command, Failure, Outcome
from policy.contract import read_attempt
from policy.decide import decide
from policy.decision import Action, Decision
from policy.diagnosis.category import Category, EvidenceKind, Fault
from policy.hearing import facts_of
from policy.history import History, Progress
from policy.reply import parse_reply
from policy.rules.finding import Finding, Level
from policy.rules.lint import place_of
from policy.rules.policy import Policy
from policy.rules.proof.check import check
from policy.rules.rule import Rule
from policy.rules.source import RulesError, RulesFile, build_policy, load_policy
from policy.testing.files import operator_files, operator_policy
from policy.testing.replies import often
from policy.testing.scenarios import NOW, Scenario, scenarios

# Shrinking whole rules files takes minutes: a failing one is shown as it was found.
UNSHRUNK = settings(
    max_examples=max(15, settings().max_examples // 4), phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
ASKED = st.lists(scenarios(), min_size=10, max_size=10)
HIDDEN = ("unreachable-rule", "never-holds")

# Held back where a reply speaks of nobody in particular: that is what `suppress` means there, no rule has to say so; or
# for how the connection was made, which is what `in_clear` and `trust_forward` mean.
BY_DESIGN = (
    "null sender", "set aside by the rule", "does not speak of a recipient", "does not say which recipient it means",
    "does not say it plainly", "only opportunistic TLS", "needs a host that proved its name",
)  # fmt: skip


def past(witness: Mapping[str, Any]) -> tuple[Attempt, History]:
    """The attempt of a witness, and what was before it."""
    document = dict(witness)
    delivered, split, clear = (document.pop(key, False) for key in ("delivered_before", "split_before", "clear_before"))
    attempt = read_attempt(document)
    progress = Progress(
        message=attempt.message,
        recipient=attempt.recipient.key if attempt.recipient else "",
        attempts=(attempt.number or 1) - 1,
        first_attempt_at=attempt.first_attempt_at or NOW,
        held=timedelta(0),
        last_at=attempt.first_attempt_at or NOW,
        action=Action.RETRY,
        final=False,
        retry_at=None,
        split=split,
        clear=clear,
    )
    success = NOW - timedelta(days=30) if delivered else None
    return attempt, History(progress=progress if split or clear else None, last_success=success)


def decided(policy: Policy, attempt: Attempt, history: History) -> Decision:
    return decide(policy, attempt, history, now=NOW, spread=0.5)


def at_present(policy: Policy, asked: list[Scenario]) -> Iterator[Scenario]:
    """Those that are not first tried after now, which counts as then: by then other rules have expired."""
    return (each for each in asked if facts_of(policy, each.attempt, each.history, NOW).now == NOW)


def laws(decision: Decision) -> list[str]:
    """The laws that held a rule back."""
    says = [each.says for each in decision.evidence if each.kind is EvidenceKind.LAW]
    return [each for each in says if not any(known in each for known in BY_DESIGN)]


def at(finding: Finding, policy: Policy) -> list[Rule]:
    """The rules of which a finding speaks; several, where scopes part one."""
    place = finding.problem.file, finding.problem.line, finding.problem.column
    return [rule for rule in policy.rules if place_of(rule) == place]


def never_deciding(policy: Policy, findings: list[Finding]) -> Iterator[Rule]:
    """The rules that cannot decide, where no other part of the same rule can."""
    hidden = [finding for finding in findings if finding.problem.code in HIDDEN]
    for finding in hidden:
        parts = at(finding, policy)
        if len(parts) == 1:
            yield parts[0]


def check_witness(policy: Policy, finding: Finding) -> None:
    """Read back from JSON, the attempt shows what the finding says."""
    if finding.witness is None:
        return
    attempt, history = past(finding.witness)
    decision, facts = decided(policy, attempt, history), facts_of(policy, attempt, history, NOW)
    if finding.problem.code in HIDDEN:
        assert any(rule.holds(facts) for rule in at(finding, policy)), finding
        assert any(str(rule.ref) in finding.by for rule in policy.rules if rule.holds(facts)), finding
        assert decision.rule not in {rule.ref for rule in at(finding, policy)}, finding
    elif finding.problem.code.startswith("law-"):
        assert decision.rule in {rule.ref for rule in at(finding, policy)}, finding
        assert laws(decision) or "does not s" in str(decision.evidence), finding


@UNSHRUNK
@given(operator_files(), ASKED)
def test_a_rule_that_cannot_decide_never_does_and_every_witness_bears_out(text: str, asked: list[Scenario]) -> None:
    policy = operator_policy(text)
    findings = check(policy, now=NOW)
    hidden = {rule.ref for rule in never_deciding(policy, findings)}
    event(f"{bool(hidden)} that some rule is hidden")
    for finding in findings:
        event(finding.problem.code)
        check_witness(policy, finding)
    for scenario in at_present(policy, asked):
        assert decided(policy, scenario.attempt, scenario.history).rule not in hidden


CONDITIONS: dict[str, list[Any]] = {
    "code": [["2yz"], ["3yz"], ["4yz"], ["5yz"], ["450", "550"], ["250", "251"]],
    "category": [[each.value] for each in Category],
    "fault": [[each.value] for each in Fault],
    "weight": [["strong"], ["weak", "fair"]],
    "failure": [["timeout", "null-mx"], ["no-such-domain"], ["reset"]],
    "command": [["RCPT"], ["MAIL", "RCPT"], ["DATA"], ["DOT"], ["unknown"], ["AUTH", "EHLO"]],
    "recipients": [["one"], ["several"]],
    "void": [True, False],
    "null_sender": [True, False],
    "text": [["unknown"], ["e"]],
}
THENS = st.one_of(
    st.sampled_from(["accept", "accept-and-note-forward", "hold", "bounce", "discard", "retry"]).map(
        lambda action: {"action": action}
    ),
    st.integers(1, 2).map(lambda count: {"action": "hard-bounce", "suppress": {"strikes": count}}),
    st.just({"action": "retry", "route": "own"}),
    st.just({"action": "retry", "suppress": {"strikes": 1}}),
)
DESPITE = st.sampled_from([[], [], ["no-recipient-fault"], ["refused-on-purpose"]])


def _when(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={key: st.sampled_from(CONDITIONS[key]) for key in keys})


@st.composite
def wicked_files(draw: st.DrawFn) -> str:
    """A few rules of one to three conditions, of which none cares for a law."""
    rules = []
    for number in range(draw(st.integers(1, 3))):
        keys = draw(st.lists(st.sampled_from(list(CONDITIONS)), min_size=1, max_size=3, unique=True))
        despite = draw(DESPITE)
        rules.append({"id": f"r{number}", "when": draw(_when(*keys)), "then": draw(THENS)})
        rules[-1].update({"despite": despite} if despite else {})
    route = {"own": {"to": "smtp://relay.example.net:587"}}
    return json.dumps({"mailverdict": 1, "extends": "none", "routes": route, "rules": rules}, indent=1)


@UNSHRUNK
@given(st.one_of(operator_files(), *often(wicked_files(), 2)), ASKED)
def test_every_law_that_holds_a_rule_back_is_foretold(text: str, asked: list[Scenario]) -> None:
    policy = operator_policy(text)
    told = [finding for finding in check(policy, now=NOW) if finding.problem.code.startswith("law-")]
    suspected = {rule.ref for finding in told for rule in at(finding, policy)}
    for scenario in at_present(policy, asked):
        decision = decided(policy, scenario.attempt, scenario.history)
        held_back = laws(decision)
        if held_back and decision.rule.file != policy.layers[-1].file:
            event("held back")
            assert decision.rule in suspected, (held_back, scenario)


@UNSHRUNK
@given(operator_files())
def test_an_error_of_a_law_is_always_shown(text: str) -> None:
    for finding in check(operator_policy(text), now=NOW):
        if finding.problem.code.startswith("law-") and finding.level is Level.ERROR:
            assert finding.witness is not None
            assert finding.shown


def test_the_shipped_rules_have_nothing_to_mend() -> None:
    assert check(load_policy(), now=NOW) == []


def test_findings_come_in_the_order_of_the_lines() -> None:
    policy = operator_policy(
        """mailverdict: 1
rules:
  - {id: a, when: {code: 4yz}, then: {action: hard-bounce, suppress: {}}}
  - {id: b, when: {code: 4yz}, then: {action: retry}}
  - {id: c, when: {code: "450", failure: timeout}, then: {action: retry}}
"""
    )
    lines = [(each.problem.line, each.problem.code) for each in check(policy, now=NOW)]
    assert lines == [(3, "law-3-at-first-sight"), (4, "unreachable-rule"), (5, "never-holds")]


@pytest.mark.parametrize(("strikes", "code"), [(1, "law-3-at-first-sight"), (2, "law-4-fault")])
@pytest.mark.parametrize(
    ("when", "outcome"),
    [
        ("{code: 4yz, category: rate-limited}", parse_reply("450 4.7.1 too many connections")),
        ("{void: true}", parse_reply("hello")),
        ("{code: 3yz}", parse_reply("354 go ahead")),
        ("{failure: timeout}", Failure.TIMEOUT),
    ],
)
def test_a_suppression_for_what_may_pass_is_told(when: str, outcome: Outcome, strikes: int, code: str) -> None:
    rule = f"{{id: a, when: {when}, then: {{action: hard-bounce, suppress: {{strikes: {strikes}}}}}}}"
    policy = operator_policy(f"mailverdict: 1\nextends: none\nrules: [{rule}]")
    assert laws(decided(policy, Attempt(outcome=outcome, command=Command.RCPT), History()))
    found = [each for each in check(policy, now=NOW) if each.level is Level.ERROR]
    assert code in [each.problem.code for each in found]
    for finding in found:
        check_witness(policy, finding)


def many(word: str, count: int) -> str:
    return ", ".join(f"{word}{number:03}" for number in range(count))


def test_a_rule_of_too_many_texts_is_not_said_to_be_hidden() -> None:
    """Its first thousands of combinations are; the last are not, and nobody looked."""
    tags = ", ".join(f"t=v{number}" for number in range(100))
    policy = operator_policy(
        f"""mailverdict: 1
rules:
  - {{id: a, when: {{code: 4yz, text: [{many("phrase", 41)}]}}, then: {{action: retry}}}}
  - {{id: b, when: {{code: 4yz, text: [{many("phrase", 100)}], tag: [{tags}]}}, then: {{action: retry}}}}
"""
    )
    attempt = Attempt(outcome=parse_reply("450 phrase099"), tags=(("t", "v99"),))
    assert decided(policy, attempt, History()).rule.id == "b"
    assert [each.problem.code for each in check(policy, now=NOW)] == []


@pytest.mark.parametrize("domain", ["[192.0.2.1]", "=[192.0.2.1]", f"={'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}"])
def test_domains_with_nothing_below_them_are_checked_too(domain: str) -> None:
    policy = operator_policy(
        f'mailverdict: 1\nrules: [{{id: a, when: {{domain: "{domain}"}}, then: {{action: bounce}}}}]'
    )
    found = check(policy, now=NOW)
    assert [each.problem.code for each in found] == ["law-2-yes", "law-2-data"]
    for finding in found:
        assert finding.witness is not None
        check_witness(policy, finding)


# ---- files -----------------------------------------------------------------------------------------------------------

FILES = Path(__file__).parents[3] / "rules"
PLANTED = sorted((FILES / "planted").glob("*.yaml"))
REALISTIC = sorted((FILES / "realistic").glob("*.yaml"))


def found_in(path: Path) -> set[tuple[int, str]]:
    """The line and the code of all that has to be mended in a file."""
    try:
        findings = check(build_policy([RulesFile(path.name, path.read_bytes())]), now=NOW)
    except RulesError as error:
        return {(each.line, each.code) for each in error.problems}
    assert {each.problem.file for each in findings} <= {path.name}
    return {(each.problem.line, each.problem.code) for each in findings if each.level is not Level.NOTE}


def planted_in(path: Path) -> set[tuple[int, str]]:
    """What the comments of a file say is wrong with it."""
    lines = enumerate(path.read_text().splitlines(), 1)
    said = [(number, line.partition("# planted: ")[2].split()) for number, line in lines]
    return {(number, code) for number, codes in said for code in codes}


def test_there_are_faults_of_all_kinds() -> None:
    codes = {code for path in PLANTED for _, code in planted_in(path)}
    assert len(PLANTED) >= 25
    assert len(codes) >= 20


@pytest.mark.parametrize("path", PLANTED, ids=lambda path: path.stem)
def test_every_planted_fault_is_found_and_nothing_else(path: Path) -> None:
    assert found_in(path) == planted_in(path)


@pytest.mark.parametrize("path", REALISTIC, ids=lambda path: path.stem)
def test_a_file_as_operators_write_it_has_nothing_to_mend(path: Path) -> None:
    policy = build_policy([RulesFile(path.name, path.read_bytes())])
    own = [rule for rule in policy.rules if rule.ref.file == path.name]
    assert 15 <= len(own) <= 60
    assert [str(each) for each in check(policy, now=NOW) if each.level is not Level.NOTE] == []
