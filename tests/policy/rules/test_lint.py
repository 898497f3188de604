"""What `check` sees without asking for inputs."""

from datetime import UTC, datetime

import pytest

from policy.rules.lint import lint
from policy.rules.source import RulesFile, build_policy

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def found(*texts: str) -> list[str]:
    """Codes and lines of what is odd in operator files over the shipped rules."""
    files = [RulesFile(f"{number}.yaml", f"mailverdict: 1\n{text}\n".encode()) for number, text in enumerate(texts)]
    return [
        f"{each.problem.file}:{each.problem.line}: {each.problem.code}" for each in lint(build_policy(files), now=NOW)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "disable: [greylisted]\noverride: {id: greylisted, set: {note: x}}",
        "\nrules: [{id: a, then: {action: hold}}]\noverride: {id: greylisted, set: {note: x}}\nextends: none"[1:],
    ],
)
def test_an_override_of_what_is_not_in_force_is_told(text: str) -> None:
    assert found(text) == ["0.yaml:3: idle-override"]


def test_an_override_that_changes_a_rule_in_its_scope_is_not() -> None:
    assert found("override: {id: greylisted, set: {note: x}}") == []
    assert found("domains: {a.example: {override: {id: greylisted, set: {note: x}}}}") == []
    low = "override: {id: greylisted, set: {note: x}}"
    assert found(low, "providers: {google: {override: {id: greylisted, set: {note: y}}}}") == []


def test_schedules_that_hammer_or_never_retry_are_told() -> None:
    hammer, never = "first: 1m, give_up: 4d", "first: 2d, give_up: 1d"
    assert found(f"schedules:\n  a: {{{hammer}}}\n  b: {{{never}}}") == [
        "0.yaml:3: endless-schedule",
        "0.yaml:4: never-retries",
    ]
    assert found(f"schedules: {{a: {{{hammer}, tries: 9}}}}") == []


def test_the_shipped_rules_are_without_oddities() -> None:
    assert found() == []
