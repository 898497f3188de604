"""Golden decisions: `tests/cases/*.yaml`, one file a theme, each case through the engine over the memory store.

What a case says is in `policy.testing.cases`; its `row` is the situation of the shipped policy that it shows, see
`ROWS`. An operator's files are called `operator-1.yaml` and so on.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.stores.memory import MemoryStore
from policy.attempt import Attempt
from policy.contract import read_attempt
from policy.decision import Decision
from policy.engine import Engine
from policy.rules.policy import Policy
from policy.rules.source import RulesFile, load_policy
from policy.testing.cases import (
    USUAL,
    WANTS,
    Case,
    Failure,
    Recollection,
    decided,
    failure,
    judged,
    policy_of,
    read_cases,
)
from policy.yamlfile import Problem

CASES = Path(__file__).parent.parent / "cases"

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
        "opportunistic TLS",
        "backup MX",
        "complaint, unsubscribe",
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


def cases_of(text: str, file: str = "x.yaml") -> tuple[Case, ...]:
    problems: list[Problem] = []
    found = read_cases(text.encode(), file, problems)
    assert not problems, "\n".join(map(str, problems))
    return found


ALL = [case for path in sorted(CASES.glob("*.yaml")) for case in cases_of(path.read_text("utf-8"), path.name)]


def name_of(case: Case) -> str:
    return f"{case.file}:{case.note}"


def engine_of(policy: Policy) -> Callable[[Attempt], Decision]:
    """The engine over an empty memory store."""
    engine = Engine(policy, MemoryStore())

    def observe(attempt: Attempt) -> Decision:
        assert attempt.at is not None
        return engine.observe(attempt, now=attempt.at)

    return observe


def by_engine(case: Case) -> Decision:
    files = [RulesFile(f"operator-{number}.yaml", text.encode()) for number, text in enumerate(case.layers, start=1)]
    return decided(case, engine_of(policy_of(tuple(files))))


@pytest.mark.parametrize("case", [pytest.param(case, id=name_of(case)) for case in ALL])
def test_the_decision_is_the_golden_one(case: Case) -> None:
    assert case.note, case.line
    found = judged(case, by_engine(case))
    assert found is None, str(found and found.problem)
    assert failure(case) is None  # without a store it is the same


def test_every_situation_of_the_shipped_policy_has_a_case() -> None:
    assert {case.row for case in ALL if case.row is not None} == ROWS


def test_every_shipped_rule_decides_a_case() -> None:
    deciding = {by_engine(case).rule for case in ALL}
    bottom, shipped = reversed(load_policy().layers[-2:])
    unreached = [str(rule.ref) for layer in (shipped, bottom) for rule in layer.rules if rule.ref not in deciding]
    assert unreached == []


def test_every_example_in_the_shipped_rules_is_decided_by_its_rule() -> None:
    rules = [rule for layer in load_policy().layers for rule in layer.rules if rule.examples]
    assert rules
    for rule in rules:
        for example in rule.examples:
            attempt = read_attempt({**USUAL, **dict(example.said), "command": "RCPT"})
            assert engine_of(load_policy())(attempt).rule == rule.ref, example


def test_no_two_cases_have_one_name() -> None:
    assert [name for name, count in Counter(map(name_of, ALL)).items() if count > 1] == []
    assert len(ALL) >= 90


def test_every_want_is_wanted_by_a_case() -> None:
    assert WANTS.keys() == {wanted.key for case in ALL for wanted in case.want}


def case_of(want: Mapping[str, Any], **more: Any) -> Case:
    given = {"reply": "550 5.1.1 User unknown", "command": "RCPT"}
    (case,) = cases_of(json.dumps([{"note": "so it is", "given": given, "want": want, **more}]))
    return case


def failed(case: Case) -> Failure:
    found = failure(case)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("want", "decided_"),
    [
        ({"action": "bounce"}, "hard-bounce"),
        ({"suppress": "false"}, "true"),
        ({"strike": "1 of 2"}, "none"),
        ({"remedy_speaks_of": ["BIMI"]}, "The mailbox"),
        ({"effects": []}, "[suppress, trigger]"),
        ({"retry_in": "5m"}, "none"),
        ({"between": ["1m", "5m"]}, "none"),
        ({"gives_up_in": "4d"}, "none"),
        ({"suppressed_for": "1d"}, "180d"),
        ({"suspended_for": "1d"}, "none"),
        ({"alert": "ops"}, "none"),
        ({"forward_path": "jo@new.example"}, "none"),
        ({"evidence": ["relaying denied"]}, "[user unknown"),
        ({"law": "never"}, "[]"),
        ({"rule": "none"}, "no-such-mailbox"),
    ],
)
def test_a_wrong_want_fails(want: dict[str, Any], decided_: str) -> None:
    found = failed(case_of(want))
    (mismatch,) = found.mismatches
    assert mismatch.key in want
    assert mismatch.decided.startswith(decided_) or mismatch.key == "remedy_speaks_of"
    assert (found.problem.code, found.problem.file) == ("wrong-decision", "x.yaml")
    assert "so it is: " in found.problem.message
    assert "; decided by no-such-mailbox (rules.yaml:" in found.problem.message


def mistakes(text: str) -> list[str]:
    problems: list[Problem] = []
    read_cases(text.encode(), "x.yaml", problems)
    return list(map(str, problems))


GIVEN = "given: {reply: 250 ok}"


BAD = [
    (
        f"- {GIVEN}\n  want: {{acton: accept}}",
        "2:10: unknown-key: unknown key `acton` in `want`; did you mean `action`?",
    ),
    (
        f"- {GIVEN}\n  want: {{action: x}}\n  nots: x",
        "3:3: unknown-key: unknown key `nots` in a case; did you mean `note`?",
    ),
    (f"- {GIVEN}", "1:3: missing-key: a case needs the key `want`"),
    (f"- {GIVEN}\n  want: {{}}", "2:9: empty-list: `want` wants nothing"),
    (f"- {GIVEN}\n  want: {{retry_in: soon}}", "2:20: bad-duration: `soon` is no duration"),
    (f"- {GIVEN}\n  want: {{between: [1m]}}", "2:19: bad-type: `between` needs two"),
    ("- given: {repyl: x}\n  want: {action: x}", "1:10: bad-case: unknown key `repyl`; did you mean `reply`?"),
    ("- given: 250 ok\n  want: {action: x}", "1:10: bad-type: an attempt is a map, not `250 ok`"),
    (f"- {GIVEN}\n  after: {{}}\n  want: {{action: x}}", "2:10: bad-type: `after` is a list of attempts"),
    ("- &a {}", "1:3: anchor: "),
    ("given: {}", "1:1: bad-type: a list of cases is needed, not a map"),
    ("", "1:1: empty-file: "),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_file_of_cases_with_a_mistake_gives_one_clear_error(text: str, said: str) -> None:
    (mistake,) = mistakes(text)
    assert mistake.startswith(f"x.yaml:{said}")


def test_rules_of_a_case_that_cannot_be_used_fail_it() -> None:
    found = failed(case_of({"action": "bounce"}, rules="mailverdict: 1\nruels: []\n"))
    assert found.problem.code == "bad-case"
    assert "operator-1.yaml:2:1: unknown-key: " in found.problem.message


def test_an_attempt_that_is_repeated_has_its_first_decision() -> None:
    given = {"reply": "552 5.2.2 Mailbox full", "command": "RCPT", "attempt_id": "a"}
    text = json.dumps([{"after": [given, given], "given": given, "want": {"strike": "1 of 3"}}])
    (case,) = cases_of(text)
    assert judged(case, by_engine(case)) is failure(case) is None
    assert decided(case, Recollection(load_policy()).observe).rule == by_engine(case).rule
