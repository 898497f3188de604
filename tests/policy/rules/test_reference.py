"""Laws 10 and 13: the engine decides as the slow obvious evaluator does; layers, scopes and edits leave no trace."""

import importlib.util
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from policy.address import Address, parse_address
from policy.attempt import Attempt, Command, Custody, Event, Failure
from policy.decide import decide
from policy.decision import Action, Alert, Decision, RuleRef, Strength, Trigger
from policy.diagnosis.category import Category, EvidenceKind, Fault, Weight
from policy.hearing import facts_of
from policy.history import History, first_attempt, tries
from policy.reply import Reply, parse_reply
from policy.retry import give_up_time, next_try
from policy.rules.index import RuleIndex
from policy.rules.policy import Policy
from policy.rules.rule import ON_PURPOSE, Facts
from policy.rules.source import RulesFile, build_policy
from policy.testing.files import named_files, operator_policy, operator_stacks
from policy.testing.scenarios import DAY, NOW, Scenario, scenarios
from policy.text import clean

PLACE = Path(__file__).parents[2] / "reference" / "evaluator.py"


def loaded(path: Path) -> ModuleType:
    """A module of the tests, by its path: the tests are no package."""
    spec = importlib.util.spec_from_file_location("reference_evaluator", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


slow = loaded(PLACE)

# Shrinking whole rules files takes minutes: a failing one is shown as it was found.
UNSHRUNK = settings(
    max_examples=max(10, settings().max_examples // 4), phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
ASKED = st.lists(scenarios(), min_size=4, max_size=4)


def reference(texts: tuple[str, ...]) -> Any:
    return slow.reference([(file.name, file.content) for file in named_files(texts)])


def name(ref: RuleRef) -> tuple[str, str, int, tuple[str, ...]]:
    return ref.id, ref.file, ref.line, ref.edited


def decided(policy: Policy, scenario: Scenario) -> Decision:
    return decide(policy, scenario.attempt, scenario.history, now=scenario.now, spread=scenario.spread)


def facts(policy: Policy, scenario: Scenario) -> Facts:
    return facts_of(policy, scenario.attempt, scenario.history, scenario.now)


def but_version(decision: Decision) -> Decision:
    return attrs.evolve(decision, policy_version="")


# ---- law 13 ----------------------------------------------------------------------------------------------------------


def observed(decision: Decision) -> list[str]:
    return [each.value for each in decision.evidence if each.kind is EvidenceKind.OBSERVED]


def agrees(decision: Decision, answer: Any, scenario: Scenario) -> None:
    """The decision names the rules of the reference, and its times and route are what their names mean there."""
    assert name(decision.rule) == answer.rule.name
    assert observed(decision) == [clean(str(RuleRef(*each.name)), limit=200) for each in answer.observing]
    if decision.action is not Action.RETRY:
        return
    attempt, progress = scenario.attempt, scenario.history.progress
    assert decision.route == (
        answer.route
        if decision.category not in ON_PURPOSE or "refused-on-purpose" in slow.many(answer.rule.tree.get("despite", []))
        else answer.usual_route
    )
    first = first_attempt(attempt, progress, scenario.now)
    now = max(first, scenario.now)
    held = progress.held if progress else 0 * DAY
    if progress and progress.action is Action.HOLD:
        held += max(scenario.now - progress.last_at, 0 * DAY)
    give_up_at = give_up_time(answer.schedule, first, held=held, cap=answer.give_up)
    assert decision.give_up_at == min(give_up_at, attempt.deliver_by or give_up_at)
    number = attempt.number or (progress.attempts if progress else 0) + 1
    tried = tries(progress, decision.rule.id, number=number)
    assert decision.retry_at == next_try(
        answer.schedule,
        max(number, tried),
        now=now,
        give_up_at=decision.give_up_at,
        spread=scenario.spread,
        tried=tried,
        hint=answer.hint,
    )


@UNSHRUNK
@given(texts=operator_stacks(), asked=ASKED)
def test_the_engine_decides_as_the_reference(texts: tuple[str, ...], asked: list[Scenario]) -> None:
    policy, plain = operator_policy(*texts), reference(texts)
    for scenario in asked:
        answer = plain.answer(scenario.attempt, scenario.history, scenario.now)
        agrees(decided(policy, scenario), answer, scenario)


PLACES = list(
    itertools.product(
        [
            "sub.example.org",
            "example.org",
            "new.example.org",
            "gmail.com",
            "xn--bcher-kva.example",
            "[192.0.2.1]",
            None,
        ],
        ["own-provider", "google", None],
    )
)


def somebody(domain: str | None, provider: str | None) -> Attempt:
    """An attempt for a recipient of this domain, at this provider as far as the policy knows it."""
    recipient = None if domain is None else Address("jo", domain)
    return Attempt(outcome=parse_reply("450 Later"), command=Command.RCPT, recipient=recipient, provider=provider)


@UNSHRUNK
@given(texts=operator_stacks())
def test_rules_are_asked_in_the_order_of_the_reference(texts: tuple[str, ...]) -> None:
    policy, plain = operator_policy(*texts), reference(texts)
    for place in PLACES:
        seen = facts(policy, Scenario(somebody(*place), History(), NOW, 0.5))
        there = [rule for rule in policy.rules if all(each.holds(seen) for each in rule.within)]
        assert [name(rule.ref) for rule in there] == [rule.name for rule in plain.rules_for(place[0], seen.provider)]


@UNSHRUNK
@given(texts=operator_stacks())
def test_names_mean_what_the_reference_says(texts: tuple[str, ...]) -> None:
    policy, plain = operator_policy(*texts), reference(texts)
    for domain, called in PLACES:
        attempt = somebody(domain, called)
        provider = plain.provider_of(attempt)
        assert policy.provider_of(attempt) == provider
        place = policy.place(attempt.recipient, provider)
        for schedule in ("standard", "greylist", "own-first"):
            assert policy.schedule(schedule, place) == plain.schedule(schedule, domain, provider)
        assert policy.route(None, place) == plain.default("route", domain, provider)
        assert policy.next_hop("own-route", place) == plain.said(domain, provider, "routes", "own-route")["to"]
        for stream in ("bulk", "otp", "nothing-of-the-kind"):
            assert policy.stream_give_up(stream, place) == plain.give_up(stream, domain, provider)
            assert policy.stream(stream, place).wanted == plain.wanted(stream, domain, provider)
        limit = policy.limit(place)
        assert (limit and (limit.count, limit.per)) == plain.limit(domain, provider)
        for strength in (Strength.WEAK, Strength.STRONG):
            assert policy.lasting(strength, place).lasting == plain.lasting(strength.value, domain, provider)


SPARED = [
    parse_address(f"{local}@{domain}")
    for local in ("jo", "JO", "spam")
    for domain in ("example.org", "sub.example.org", "a.sub.example.org", "x.example", "bücher.example", "[192.0.2.1]")
]


@UNSHRUNK
@given(texts=operator_stacks())
def test_the_lists_spare_whom_the_reference_says_and_name_its_line(texts: tuple[str, ...]) -> None:
    policy, plain = operator_policy(*texts), reference(texts)
    for recipient in SPARED:
        ref = policy.spared(recipient)
        assert (ref and (ref.file, ref.line)) == plain.spared(recipient)


@UNSHRUNK
@given(texts=operator_stacks(), asked=ASKED)
def test_the_index_finds_what_asking_all_rules_finds(texts: tuple[str, ...], asked: list[Scenario]) -> None:
    policy = operator_policy(*texts)
    index = RuleIndex(policy.rules)
    for scenario in asked:
        seen = facts(policy, scenario)
        holding = [rule for rule in policy.rules if rule.holds(seen)]
        assert list(index.holding(seen)) == holding
        rule = next(rule for rule in holding if not rule.observing)
        assert policy.rule_for(seen) == (rule, tuple(holding[: holding.index(rule)]))


# Every condition by itself, so that each is asked of each attempt.
WHENS = [
    "{}", "{code: '550'}", "{code: '550-559'}", "{code: ['420-451', 2yz]}", "{code: 5yz, not: {code: '550-551'}}",
    *(f"{{enhanced: '{each}'}}" for each in ("5", "5.7", "5.1.1", "X.1.1", "X.2", "4.2.2", "5.1.10", "5.0.0")),
    *(f"{{command: {each.value}}}" for each in Command), "{command: [unknown, RCPT]}",
    *(f"{{failure: {each.value}}}" for each in Failure), *(f"{{category: {each.value}}}" for each in Category),
    *(f"{{fault: {each.value}}}" for each in Fault), *(f"{{weight: {each.value}}}" for each in Weight),
    *(f"{{not: {{event: {each.value}}}}}" for each in Event), *(f"{{custody: {each.value}}}" for each in Custody),
    *(f"{{provider: {each}}}" for each in ("google", "microsoft")),
    *(f"{{text: {each}}}" for each in ("unknown", "'user  NOT local'", "<address>", "[spam, e]", "Ü")),
    *(f"{{pattern: '{each}'}}" for each in ("user.*unknown", "^$", "^[a-z ]+$", "mailbox|quota", "[0-9]{2}")),
    *(f"{{{key}: '{mark}{name}'}}" for key in ("domain", "sender_domain", "mx") for mark in ("", "=", "*.") for name in
      ("example.org", "org", "google.com", "bücher.example", "sender.example", "example")),
    *(f"{{{key}: {flag}}}" for key in ("null_sender", "forward_path", "void", "split_before", "clear_before",
      "backup_mx", "delivered_before") for flag in ("true", "false")),
    "{attempt: 1}", "{attempt: [{min: 3}, {max: 1}]}", "{attempt: {min: 2, max: 7}}", "{age: {min: 1d, max: 5d}}",
    "{age: {max: 1s}}", "{age: [{min: 26w}, {max: 1h30m}]}", "{stream: bulk}", "{tag: [kind=news, x=y]}",
    "{recipients: one}", "{recipients: several}", "{not: {category: accepted, void: true}}", "{not: {text: e}}",
]  # fmt: skip
EACH = "mailverdict: 1\nrules:\n" + "".join(
    f"- {{id: r{number}, when: {when}, mode: observe, then: {{action: hold}}}}\n" for number, when in enumerate(WHENS)
)
ALL, ALL_PLAIN = operator_policy(EACH), reference((EACH,))
EDGES = [parse_reply(f"{code} 5.7.1 no") for code in (299, 399, 419, 420, 451, 452, 549, 550, 551, 552, 559, 560, 599)]


def holds_alike(policy: Policy, plain: Any, scenario: Scenario) -> None:
    """The rules that hold are those of the reference, and the index has them all."""
    seen = facts(policy, scenario)
    told = [rule.name for rule in plain.holding(*scenario[:3])]
    assert [name(rule.ref) for rule in policy.rules if rule.holds(seen)] == told
    assert [name(rule.ref) for rule in RuleIndex(policy.rules).holding(seen)] == told


@given(scenario=scenarios())
def test_each_condition_holds_when_the_reference_says_so(scenario: Scenario) -> None:
    holds_alike(ALL, ALL_PLAIN, scenario)


@pytest.mark.parametrize("reply", EDGES, ids=str)
def test_each_condition_holds_at_its_edges_when_the_reference_says_so(reply: Reply) -> None:
    attempt = attrs.evolve(somebody("example.org", None), outcome=reply)
    holds_alike(ALL, ALL_PLAIN, Scenario(attempt, History(), NOW, 0.5))


@pytest.mark.parametrize(("seconds", "in_force"), [(-1, True), (0, False), (1, False)])
def test_a_rule_expires_with_the_first_moment_of_its_day(seconds: int, in_force: bool) -> None:
    text = "mailverdict: 1\nrules: [{id: mine, expires: 2026-03-01, then: {action: hold}}]\n"
    now = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    scenario = Scenario(somebody("example.org", None), History(), now, 0.5)
    rule = decided(operator_policy(text), scenario).rule
    assert (rule.id == "mine") == in_force
    assert name(rule) == reference((text,)).answer(*scenario[:3]).rule.name


# ---- law 10 ----------------------------------------------------------------------------------------------------------

HEAD = "mailverdict: 1\nproviders: {own-provider: {mx: [mx.example.org]%s}}\n%s"
SCOPES = {  # the closest first; `%s` is what stands there
    "sub-domain": ("", "domains: {sub.example.org: %s}"),
    "domain": ("", "domains: {example.org: %s}"),
    "top-level domain": ("", "domains: {org: %s}"),
    "provider": (", %s", ""),
    "everyone": ("", "%s"),
}
BOTH = list(itertools.product(SCOPES, SCOPES))
PAIRS = list(itertools.combinations(SCOPES, 2))  # (closer, wider)
IN_ALL = Scenario(somebody("sub.example.org", "own-provider"), History(), NOW, 0.5)


def scoped(said: dict[str, str]) -> str:
    """A file that says this (flow maps without their braces), by scope."""
    provider = "".join(SCOPES[scope][0] % text for scope, text in said.items() if scope == "provider")
    rest = [SCOPES[scope][1] % text for scope, text in said.items() if scope == "everyone"]
    domains = [
        SCOPES[scope][1].removeprefix("domains: {").removesuffix("}") % f"{{{text}}}"
        for scope, text in said.items()
        if "domain" in scope
    ]
    return HEAD % (provider, "\n".join([*rest, f"domains: {{{', '.join(domains)}}}"]))


def rule(id_: str, more: str = "") -> str:
    return f"rules: [{{id: {id_}, then: {{action: hold}}{more}}}]"


@pytest.mark.parametrize(("lower", "higher"), BOTH)
def test_the_last_file_given_decides_whatever_the_scopes(lower: str, higher: str) -> None:
    texts = (scoped({lower: rule("low")}), scoped({higher: rule("high")}))
    assert decided(operator_policy(*texts), IN_ALL).rule.id == "high"


@pytest.mark.parametrize(("closer", "wider"), PAIRS)
def test_in_a_file_the_closer_scope_decides(closer: str, wider: str) -> None:
    for said in ({closer: rule("close"), wider: rule("wide")}, {wider: rule("wide"), closer: rule("close")}):
        assert decided(operator_policy(scoped(said)), IN_ALL).rule.id == "close"


@pytest.mark.parametrize(("closer", "wider"), PAIRS)
def test_where_two_scopes_edit_one_key_the_closer_one_counts_and_both_are_named(closer: str, wider: str) -> None:
    alert = "override: {id: low, set: {then: {alert: %s}}}"
    texts = (scoped({"everyone": rule("low")}), scoped({closer: alert % "close", wider: alert % "wide"}))
    decision = decided(operator_policy(*texts), IN_ALL)
    assert [each.to for each in decision.effects if isinstance(each, Alert)] == ["close"]
    assert len(decision.rule.edited) == 2


@pytest.mark.parametrize(("lower", "higher"), BOTH)
def test_where_two_files_edit_one_key_the_last_one_counts_whatever_the_scopes(lower: str, higher: str) -> None:
    alert = "override: {id: low, set: {then: {alert: %s}}}"
    texts = (scoped({"everyone": rule("low")}), scoped({lower: alert % "low"}), scoped({higher: alert % "high"}))
    decision = decided(operator_policy(*texts), IN_ALL)
    assert [each.to for each in decision.effects if isinstance(each, Alert)] == ["high"]


@UNSHRUNK
@given(texts=operator_stacks(), asked=ASKED)
def test_to_take_a_file_away_restores_each_decision_exactly(texts: tuple[str, ...], asked: list[Scenario]) -> None:
    below, above = operator_policy(*texts[:-1]), operator_policy(*texts)
    before = [decided(below, each) for each in asked]
    assert all(decided(above, each).policy_version == above.version for each in asked)
    below = operator_policy(*texts[:-1])
    assert [decided(below, each) for each in asked] == before


ADDED = st.sampled_from(["%s", "domains: {org: {%s}}", "domains: {sub.example.org: {%s}}", "providers: {google: {%s}}"])


def with_file(texts: tuple[str, ...], text: str, place: int) -> Policy:
    """The files with a new one among them, after the first `place` ones."""
    files = named_files(texts)
    files.insert(place, RulesFile("new.yaml", f"mailverdict: 1\n{text}\n".encode()))
    return build_policy(files)


@UNSHRUNK
@given(texts=operator_stacks(), where=ADDED, place=st.integers(0, 3), asked=ASKED)
def test_a_new_rule_that_does_not_hold_changes_no_decision(
    texts: tuple[str, ...], where: str, place: int, asked: list[Scenario]
) -> None:
    said = where % "rules: [{id: new, when: {tag: never=ever, code: 2yz, failure: timeout}, then: {action: discard}}]"
    policy, more = operator_policy(*texts), with_file(texts, said, place)
    for scenario in asked:
        assert but_version(decided(more, scenario)) == but_version(decided(policy, scenario))


def but_alert(decision: Decision) -> Decision:
    effects = tuple(each for each in decision.effects if not isinstance(each, Alert | Trigger))  # that it may count
    return attrs.evolve(but_version(decision), effects=effects, rule=attrs.evolve(decision.rule, edited=()))


@UNSHRUNK
@given(texts=operator_stacks(), where=ADDED, chosen=st.integers(0, 1000), asked=ASKED)
def test_an_edit_of_one_key_changes_that_key_where_the_rule_decides_and_nothing_else(
    texts: tuple[str, ...], where: str, chosen: int, asked: list[Scenario]
) -> None:
    policy = operator_policy(*texts)
    deciding = [policy.rule_for(facts(policy, each))[0].ref.id for each in asked]
    ids = sorted({*deciding, policy.rules[chosen % len(policy.rules)].ref.id} - {slow.LAST})
    if not ids:
        return
    id_ = ids[chosen % len(ids)]
    more = with_file(texts, where % f"override: {{id: {id_}, set: {{then: {{alert: changed}}}}}}", len(texts))
    for scenario, decides in zip(asked, deciding, strict=True):
        now, former = decided(more, scenario), decided(policy, scenario)
        if decides != id_ and not any(each.startswith(f"{id_} (") for each in observed(former)):
            assert but_version(now) == but_version(former)
        elif decides == id_:
            assert but_alert(now) == but_alert(former)
            if now.rule != former.rule:
                assert now.rule.edited == (*former.rule.edited, "new.yaml:2")
                told = [each.to for each in now.effects if isinstance(each, Alert)]
                assert [each for each in told if each != "guard"] == ["changed"]
