"""The space of inputs is sound: what a rule's boxes hold is what the rule holds for, and nothing real is impossible."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from attrs import evolve
from hypothesis import Phase, assume, event, example, given, settings
from hypothesis import strategies as st

from policy.address import parse_address
from policy.attempt import Attempt, Command, Failure
from policy.diagnosis.knowledge import shipped_knowledge
from policy.hearing import facts_of
from policy.history import History
from policy.reply import Flaw, Reply, parse_reply
from policy.rules.conditions import condition
from policy.rules.policy import Policy
from policy.rules.proof import space as at
from policy.rules.proof.boxes import Box
from policy.rules.proof.space import Abstraction
from policy.rules.proof.text_atoms import relations
from policy.rules.rule import Condition, Facts, Rule
from policy.rules.source import load_policy
from policy.testing.files import operator_files, operator_policy
from policy.testing.scenarios import NOW, Scenario, scenarios
from policy.text import clean

Point = Mapping[int, int]

# Shrinking whole rules files takes minutes: a failing one is shown as it was found.
UNSHRUNK = settings(
    max_examples=max(10, settings().max_examples // 4), phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
SHIPPED = load_policy()


def is_sayable(scenario: Scenario) -> bool:
    """Parsers make no status of class 3 (RFC 3463 has none); only the constructor takes one."""
    outcome = scenario.attempt.outcome
    return not isinstance(outcome, Reply) or outcome.stated is None or outcome.stated.klass != 3


ASKED = st.lists(scenarios(), min_size=8, max_size=8)


def said(scenario: Scenario, policy: Policy) -> Facts:
    return facts_of(policy, scenario.attempt, scenario.history, scenario.now)


def conditions(rules: Iterable[Rule]) -> Iterator[Condition]:
    for rule in rules:
        for each in (*rule.within, *rule.when):
            yield from each.values[0] if each.key == "not" else (each,)


class Points:
    """Finds the point of facts by asking each condition itself."""

    def __init__(self, policy: Policy) -> None:
        self.abstraction = Abstraction(policy.rules, policy.knowledge, policy.providers)
        self.claims = [*self.abstraction.impossible(), *relations(self.abstraction)]
        self.rules = [(evolve(each, expires=None), self.abstraction.boxes(each)) for each in policy.rules]  # no dates
        self.by_place: dict[int, list[Condition]] = {}
        for each in dict.fromkeys(
            condition(one.key, (value,)) for one in conditions(policy.rules) for value in one.values
        ):
            if each.key not in at._FLAG_KEYS:
                self.by_place.setdefault(at._PLACES[each.key], []).append(each)
        self.narrowed = {each: self.abstraction._allowed(each)[1] for asked in self.by_place.values() for each in asked}

    def of(self, facts: Facts) -> Point:
        """The place of an atom on each dimension; on some there may be several that no condition tells apart."""
        stated = stated_atoms(facts)
        point = {}
        for place, dimension in enumerate(self.abstraction.dimensions):
            mask = self.abstraction.space.full(place)
            if place in stated:
                mask &= dimension.where(stated[place])
            for each in self.by_place.get(place, ()):
                allowed = self.narrowed[each]
                mask &= allowed if each.holds(facts) else ~allowed
            assert mask, f"no atom of dimension {place} stands for {facts}"
            point[place] = (mask & -mask).bit_length() - 1
        for (key, value), place in self.abstraction.flags.items():
            asked = self.abstraction.patterns[value] if key == "pattern" else value
            point[place] = int(condition(key, (asked,)).holds(facts))
        return point


def stated_atoms(facts: Facts) -> dict[int, Any]:
    """What the facts say of an atom, whatever conditions ask: all of it, or (a status) what is impossible or not."""
    attempt, diagnosis, reply = facts.attempt, facts.diagnosis, facts.reply
    outcome: Any = attempt.outcome if reply is None else at.VOID if reply.is_void else reply.code
    status = reply.enhanced if reply else None
    exactly = {
        at.OUTCOME: outcome,
        at.COMMAND: attempt.command,
        at.MEANING: (diagnosis.category, diagnosis.fault, diagnosis.weight),
        at.PROVIDER: facts.provider,
        at.CUSTODY: attempt.custody,
        at.RECIPIENTS: attempt.recipients == 1,
        at.FORWARD_PATH: diagnosis.forward_path is not None,
        at.SPLIT: facts.split_before,
        at.CLEAR: facts.clear_before,
        at.BACKUP: attempt.backup_mx,
        at.DELIVERED: facts.delivered_before,
    }
    found: dict[int, Any] = {place: (lambda atom, value=value: atom == value) for place, value in exactly.items()}
    found[at.ENHANCED] = lambda atom: (atom and atom[0]) == (status and str(status)[0])
    return found


def holds(box: Box, point: Point) -> bool:
    return all(mask >> point[dimension] & 1 for dimension, mask in box.masks.items())


def check_point(points: Points, facts: Facts) -> None:
    point = points.of(facts)
    for rule, boxes in points.rules:
        assert any(holds(box, point) for box in boxes) is rule.holds(facts), rule.ref
    for claim in points.claims:
        assert not holds(claim.box, point), (claim.box.masks, facts)


@UNSHRUNK
@given(operator_files(), ASKED)
def test_boxes_hold_just_what_rules_hold_for_and_nothing_real_is_impossible(text: str, asked: list[Scenario]) -> None:
    policy = operator_policy(text)
    points = Points(policy)
    for scenario in filter(is_sayable, asked):
        event(type(scenario.attempt.outcome).__name__)
        check_point(points, said(scenario, policy))


def of_signatures() -> Iterator[Attempt]:
    """The examples of signatures, at their providers, to commands that they are for and to others."""
    for signature in shipped_knowledge().signatures:
        commands = (*signature.commands, None, Command.RCPT, Command.DOT)[:3]
        for reply in map(parse_reply, (*signature.yes, *signature.no)):
            for provider, command in product((None, *signature.providers[:1]), commands):
                yield Attempt(outcome=reply, command=command, provider=provider)


def test_the_examples_of_signatures_are_possible() -> None:
    points = Points(SHIPPED)
    for attempt in of_signatures():
        check_point(points, facts_of(SHIPPED, attempt, History(), NOW))


def void(text: str) -> Reply:
    return evolve(parse_reply(text), flaws=(Flaw.OUT_OF_STEP,))


@pytest.mark.parametrize("command", [Command.RCPT, None, Command.DOT])
def test_a_void_reply_may_name_a_forward_path(command: Command | None) -> None:
    points = Points(SHIPPED)
    outcome = void("251 User not local; will forward to <jo@new.example>")
    facts = facts_of(SHIPPED, Attempt(outcome=outcome, command=command), History(), NOW)
    check_point(points, facts)


# ---- domains ---------------------------------------------------------------------------------------------------------

LABELS = ("mail", "a")
NAMES = [".".join((*labels, "x")) for size in range(3) for labels in product(LABELS, repeat=size)]
DOMAINS = st.sampled_from(NAMES)
PATTERNS = st.lists(st.builds("{}{}".format, st.sampled_from(["", "=", "*."]), DOMAINS), min_size=1, max_size=6)


def rules_for(patterns: Sequence[str], key: str) -> str:
    rules = ", ".join(
        f'{{id: r{number}, when: {{{key}: "{each}"}}, then: {{action: hold}}}}' for number, each in enumerate(patterns)
    )
    return f"mailverdict: 1\nextends: none\nrules: [{rules}]"


@settings(max_examples=max(20, settings().max_examples // 2))
@given(PATTERNS, st.sampled_from(["domain", "sender_domain", "mx"]))
@example(["mail.x", "*.x"], "domain")
def test_every_name_is_told_from_others_just_as_patterns_do(patterns: list[str], key: str) -> None:
    policy = operator_policy(rules_for(patterns, key))
    points = Points(policy)
    for name in (*NAMES, *(f"other.{each}" for each in NAMES), "other.y"):
        place = {"domain": "recipient", "sender_domain": "sender", "mx": "mx"}[key]
        value = name if key == "mx" else parse_address(f"jo@{name}")
        attempt = Attempt(outcome=parse_reply("450 later"), **{place: value})  # type: ignore[arg-type]
        check_point(points, facts_of(policy, attempt, History(), NOW))


@pytest.mark.parametrize("literal", ["[192.0.2.1]", "a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 61])
def test_no_name_is_made_that_no_address_can_have(literal: str) -> None:
    policy = operator_policy(rules_for([f"={literal}", literal], "domain"))
    abstraction = Abstraction(policy.rules, policy.knowledge, policy.providers)
    for name in abstraction.dimensions[at.DOMAIN].atoms:
        assert name is None or parse_address(f"jo@{name}").domain == name


# ---- numbers and times -----------------------------------------------------------------------------------------------

SECONDS = st.integers(0, 12)
SPANS = st.lists(st.tuples(SECONDS, SECONDS).map(sorted), min_size=1, max_size=4)


@settings(max_examples=max(20, settings().max_examples // 4))
@given(SPANS, st.lists(st.integers(0, 26), min_size=10, max_size=10))
def test_every_age_is_told_from_others_just_as_spans_do(spans: list[list[int]], halves: list[int]) -> None:
    rules = ", ".join(
        f"{{id: r{n}, when: {{age: {{min: {low}s, max: {high}s}}}}, then: {{action: hold}}}}"
        for n, (low, high) in enumerate(spans)
        if low and high
    )
    assume(rules)
    policy = operator_policy(f"mailverdict: 1\nrules: [{rules}]")
    points = Points(policy)
    for half in halves:
        first = NOW - timedelta(seconds=half / 2)
        attempt = Attempt(outcome=parse_reply("450 later"), first_attempt_at=first, number=half + 1)
        check_point(points, facts_of(policy, attempt, History(), NOW))


@settings(max_examples=10)
@given(st.integers(0, 3).map(lambda number: clean("a virus " * number)))
def test_a_failure_has_no_text(text: str) -> None:
    policy = operator_policy(
        "mailverdict: 1\nrules: [{id: r, when: {text: virus, pattern: 'a.*', not: {pattern: '^$'}}, "
        "then: {action: hold}}]"
    )
    points = Points(policy)
    for outcome in (*Failure, Reply(550, (clean(text),) if text else ())):
        check_point(points, facts_of(policy, Attempt(outcome=outcome), History(), NOW))
