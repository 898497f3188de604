"""Examples in rules files: each is tried with what its rule asks for, and a higher file may take it over."""

from datetime import UTC, datetime

import pytest

from policy.rules.examples import failing_examples
from policy.rules.source import RulesFile, build_policy

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def failing(*texts: str) -> list[str]:
    """The codes and lines of what fails, the last file on top."""
    files = [RulesFile(f"{number}.yaml", f"mailverdict: 1\n{text}\n".encode()) for number, text in enumerate(texts)]
    return [f"{each.file}:{each.line}: {each.code}" for each in failing_examples(build_policy(files), now=NOW)]


def rule(when: str, said: str, action: str = "hold", id_: str = "mine") -> str:
    """A file with one rule and what it says of examples."""
    return f"rules:\n- id: {id_}\n  when: {{{when}}}\n  then: {{action: {action}}}\n  {said}"


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("code: '577'", "examples: ['577 no']"),
        ("command: DOT, code: '577'", "examples: ['577 no']"),
        ("failure: timeout", "examples: [{failure: timeout}]"),
        ("stream: otp, attempt: {min: 3}, code: 4yz", "examples: ['450 later']"),
        ("null_sender: true, code: 4yz", "examples: ['450 later']"),
        ("recipients: several, code: 4yz, command: DOT", "examples: ['450 later']"),
        ("domain: '*.example.org', code: 4yz", "examples: ['450 later']"),
        ("provider: google, code: 4yz", "examples: ['450 later']"),
        (
            "code: '577'",
            "counterexamples: ['578 no', {reply: '577 no', command: RCPT, recipient: jo@x.example, mx: a.b}]",
        ),
    ],
)
def test_what_the_rule_asks_for_is_filled_in(when: str, said: str) -> None:
    expected = ["0.yaml:6: broken-counterexample"] if "577 no" in said and "counter" in said else []
    assert failing(rule(when, said)) == expected


def test_an_example_that_another_rule_of_the_file_decides_is_broken() -> None:
    said = "examples: ['550 5.1.1 no such user', '577 no']"
    assert failing(rule("code: '577'", said)) == ["0.yaml:6: broken-example"]


def test_an_example_that_is_no_attempt_is_named() -> None:
    assert failing(rule("code: '577'", "examples: [{reply: '577 no', command: RCTP}]")) == ["0.yaml:6: bad-example"]


def test_a_higher_file_may_take_an_example_over_by_a_rule_or_by_an_edit() -> None:
    low = rule("code: '577'", "examples: ['577 no']")
    assert failing(low, rule("code: 5yz", "note: x", id_="above")) == []
    wide = rule("code: 5yz", "note: x", id_="wide")
    shipped_examples_are_its_now = failing(wide)
    assert shipped_examples_are_its_now == []
    assert failing(wide, "override: {id: wide, set: {note: y}}") == []


def test_the_examples_of_an_edited_rule_are_tried_still() -> None:
    low = rule("code: '577'", "examples: ['577 no']")
    assert failing(low, "override: {id: mine, set: {then: {action: bounce}}}") == []
    assert failing(low, "override: {id: mine, set: {when: {code: '578'}}}") == ["0.yaml:6: broken-example"]
    assert failing(low, "domains: {a.example: {override: {id: mine, set: {then: {action: bounce}}}}}") == []


def test_an_observing_rule_has_its_examples_too() -> None:
    assert failing(rule("code: '577'", "mode: observe\n  examples: ['577 no']")) == []
    assert failing(rule("code: '577'", "mode: observe\n  examples: ['578 no']")) == ["0.yaml:7: broken-example"]
