"""Golden decisions: `tests/cases/*.yaml`, one file a theme, each case through the engine over the memory store.

A case says `note` (why it is so), `given` (an attempt as the JSON contract has it), `want` (a part of the decision, see
`WANTS`), and may say `row` (the situation of the shipped policy that it shows, see `ROWS`), `rules` (an operator's
file, or a list of them, the last on top) and `after` (attempts observed before it, in order). What every attempt says
unless it says otherwise is in `USUAL` (so attempts are of one message); `none` takes a key away.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import frozen

from adapters.stores.memory import MemoryStore
from policy.contract import read_attempt
from policy.contract.decision import EFFECT_NAMES
from policy.contract.times import read_time
from policy.decision import Alert, Decision, Effect, Strike, Suppress, Suspend
from policy.engine import Engine
from policy.rules.policy import Policy
from policy.rules.reading import Report, duration
from policy.rules.source import RulesFile, build_policy
from policy.yamlfile import Problem, Scalar, plain, read_yaml

CASES = Path(__file__).parent.parent / "cases"
USUAL = {
    "recipient": "jo@dest.example",
    "sender": "news@ours.example",
    "now": "2026-03-02T12:00:00Z",
    "message_id": "the message",
}
COUNTS = ("attempt", "recipients")
KEYS = {"note", "row", "rules", "after", "given", "want"}

# The situations that the shipped rules settle without the shares of a list and the ramp-up of a running system.
ROWS = frozenset(
    [
        "2yz to the final dot",
        "250, 252 to RCPT",
        "251 to RCPT",
        "551 with a path",
        "551 without",
        "unknown user, never delivered before",
        "unknown user, delivered before",
        "bare or unexplained 550 at RCPT",
        "unexplained 550 elsewhere",
        "unknown user after the dot, several recipients",
        "mailbox disabled",
        "over quota, 4yz",
        "over quota, 5yz",
        "RRVS",
        "null MX",
        "NXDOMAIN",
        "SERVFAIL",
        "refused, timeout, reset before the dot",
        "lost after the dot",
        "greylisted",
        "421 session limit",
        "rate limited",
        "recipient's own rate",
        "too many recipients",
        "message too large",
        "reputation block, early or 4yz",
        "reputation block, 5yz at RCPT or dot",
        "SPF, DKIM, DMARC, PTR",
        "content, spam, virus",
        "recipient's filter, sender rejected",
        "our own credentials",
        "TLS policy",
        "REQUIRETLS",
        "null sender",
        "give-up reached",
        "unknown 4yz",
        "unknown 5yz",
        "streams give up sooner",
        "an outage of many unknown users",
        "an outage of one domain",
    ]
)

_E = TypeVar("_E", bound=Effect)


@frozen
class Case:
    """One case, and where it stands."""

    place: str
    fields: dict[str, Any]

    @property
    def name(self) -> str:
        """The test's id."""
        return f"{self.place.partition(':')[0]}:{self.fields['note']}"

    @property
    def layers(self) -> tuple[str, ...]:
        """The operator's files, the last on top."""
        rules = self.fields.get("rules", ())
        return (rules,) if isinstance(rules, str) else tuple(rules)


def _read(path: Path) -> list[Case]:
    problems: list[Problem] = []
    node = read_yaml(path.read_bytes(), path.name, problems)
    assert node is not None, problems
    assert not problems, problems
    return [Case(f"{path.name}:{number}", each) for number, each in enumerate(plain(node), start=1)]


ALL = [case for path in sorted(CASES.glob("*.yaml")) for case in _read(path)]


@cache
def policy_of(layers: tuple[str, ...]) -> Policy:
    """The shipped policy under these operator files, named `operator-1.yaml` and so on."""
    return build_policy(
        [RulesFile(f"operator-{number}.yaml", text.encode()) for number, text in enumerate(layers, start=1)]
    )


def _attempt(said: dict[str, Any]) -> dict[str, Any]:
    whole = {key: value for key, value in {**USUAL, **said}.items() if value != "none"}
    return {key: int(value) if key in COUNTS else value for key, value in whole.items()}


def decided(case: Case) -> tuple[Decision, datetime]:
    """The decision of a case, and when it was made."""
    engine = Engine(policy_of(case.layers), MemoryStore())
    for said in (*case.fields.get("after", ()), case.fields["given"]):
        document = _attempt(said)
        now = read_time(document["now"])
        decision = engine.observe(read_attempt(document), now=now)
    return decision, now


def span(text: str) -> timedelta:
    """A duration as rules write it; `0s` too."""
    report = Report("case")
    found = timedelta(0) if text == "0s" else duration(report, Scalar(text, False, 1, 1))
    assert found is not None, report.problems
    return found


def _only(kind: type[_E], decision: Decision) -> _E:
    found = [each for each in decision.effects if isinstance(each, kind)]
    assert len(found) == 1, f"{len(found)} effects `{kind.__name__}`"
    return found[0]


def _until(until: datetime | None, now: datetime) -> str | timedelta:
    return "for ever" if until is None else until - now


def _wait(decision: Decision, now: datetime) -> timedelta:
    assert decision.retry_at is not None, "no retry"
    return decision.retry_at - now


def _lasting(want: str) -> str | timedelta:
    return want if want == "for ever" else span(want)


def _same(get: Callable[[Decision], object]) -> Callable[[Decision, datetime, Any], None]:
    """Compare what is got, written as text, with what is wanted; a list with a list."""

    def check(decision: Decision, now: datetime, want: Any) -> None:
        found = get(decision)
        assert (list(map(str, found)) if isinstance(found, list) else str(found)) == want

    return check


def _between(decision: Decision, now: datetime, want: Any) -> None:
    low, high = map(span, want)
    assert low <= _wait(decision, now) <= high


def _retry_in(decision: Decision, now: datetime, want: Any) -> None:
    assert _wait(decision, now) == span(want)


def _gives_up_in(decision: Decision, now: datetime, want: Any) -> None:
    assert decision.give_up_at is not None
    assert decision.give_up_at - now == span(want)


def _suppressed_for(decision: Decision, now: datetime, want: Any) -> None:
    assert _until(_only(Suppress, decision).until, now) == _lasting(want)


def _suspended_for(decision: Decision, now: datetime, want: Any) -> None:
    assert _until(_only(Suspend, decision).until, now) == _lasting(want)


def _strike(decision: Decision, now: datetime, want: Any) -> None:
    strike = _only(Strike, decision)
    assert f"{strike.count} of {strike.needed}" == want


def _remedy_speaks_of(decision: Decision, now: datetime, want: Any) -> None:
    assert [word for word in want if word not in decision.remedy] == [], decision.remedy


def _evidence(decision: Decision, now: datetime, want: Any) -> None:
    assert [each.value for each in decision.evidence][: len(want)] == want


def _law(decision: Decision, now: datetime, want: Any) -> None:
    said = [each.says for each in decision.evidence if each.kind.value == "law"]
    assert any(want in each for each in said), said


WANTS: dict[str, Callable[[Decision, datetime, Any], None]] = {
    "action": _same(lambda decision: decision.action.value),
    "suppress": _same(lambda decision: str(decision.suppress).lower()),
    "final": _same(lambda decision: str(decision.final).lower()),
    "uncertain": _same(lambda decision: str(decision.uncertain).lower()),
    "category": _same(lambda decision: decision.category.value),
    "fault": _same(lambda decision: decision.fault.value),
    "custody": _same(lambda decision: decision.custody.value),
    "route": _same(lambda decision: decision.route),
    "rule": _same(lambda decision: decision.rule.id),
    "file": _same(lambda decision: decision.rule.file),
    "effects": _same(lambda decision: [EFFECT_NAMES[type(each)] for each in decision.effects]),
    "alert": _same(lambda decision: _only(Alert, decision).to),
    "forward_path": _same(lambda decision: decision.forward_path),
    "scope": _same(lambda decision: _only(Suppress, decision).scope.value),
    "strength": _same(lambda decision: _only(Suppress, decision).strength.value),
    "suppressed_for": _suppressed_for,
    "suspended_for": _suspended_for,
    "strike": _strike,
    "retry_in": _retry_in,
    "between": _between,
    "gives_up_in": _gives_up_in,
    "remedy_speaks_of": _remedy_speaks_of,
    "evidence": _evidence,  # the first pieces, in order
    "law": _law,
}


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in ALL])
def test_the_decision_is_the_golden_one(case: Case) -> None:
    assert case.fields.keys() <= KEYS, f"{case.place}: unknown keys"
    want = case.fields["want"]
    assert want, f"{case.place}: wants nothing"
    assert want.keys() <= WANTS.keys(), f"{case.place}: unknown wants {want.keys() - WANTS.keys()}"
    decision, now = decided(case)
    for key, value in want.items():
        try:
            WANTS[key](decision, now, value)
        except AssertionError as error:
            error.add_note(f"{case.place}: `{key}` should be {value}; decided: {decision}")
            raise


def test_every_situation_of_the_shipped_policy_has_a_case() -> None:
    assert {case.fields["row"] for case in ALL if "row" in case.fields} == ROWS


def test_every_shipped_rule_decides_a_case() -> None:
    deciding = {decided(case)[0].rule for case in ALL}
    bottom, shipped = reversed(policy_of(()).layers[-2:])
    unreached = [str(rule.ref) for layer in (shipped, bottom) for rule in layer.rules if rule.ref not in deciding]
    assert unreached == []


def test_every_example_in_the_shipped_rules_is_decided_by_its_rule() -> None:
    rules = [rule for layer in policy_of(()).layers for rule in layer.rules if rule.examples]
    assert rules
    for rule in rules:
        for example in rule.examples:
            case = Case("rules.yaml", {"given": {**dict(example.said), "command": "RCPT"}})
            assert decided(case)[0].rule == rule.ref, example


def test_no_two_cases_have_one_name() -> None:
    assert [name for name, count in Counter(case.name for case in ALL).items() if count > 1] == []
    assert len(ALL) >= 90


@pytest.mark.parametrize(
    "want", [{"action": "bounce"}, {"suppress": "false"}, {"strike": "1 of 2"}, {"remedy_speaks_of": ["BIMI"]}]
)
def test_a_wrong_want_fails(want: dict[str, Any]) -> None:
    given = {"reply": "550 5.1.1 User unknown", "command": "RCPT"}
    with pytest.raises(AssertionError):
        test_the_decision_is_the_golden_one(Case("x.yaml:1", {"note": "", "given": given, "want": want}))


def test_a_want_that_nobody_knows_is_an_error() -> None:
    case = Case("x.yaml:1", {"note": "", "given": {"reply": "250 ok"}, "want": {"acton": "accept"}})
    with pytest.raises(AssertionError, match="unknown wants"):
        test_the_decision_is_the_golden_one(case)
