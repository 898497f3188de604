"""The conditions of a `when`: how the value of each key is read, and how it is tested. A new one is a line here."""

import re
from collections.abc import Callable
from typing import Any

from attrs import frozen

from policy.attempt import Command, Custody, Failure
from policy.diagnosis.category import Category, Fault, Weight
from policy.matching import Pattern, PatternError
from policy.rules.reading import Read, Report, choice, domain, fields, flag, members, number, several, shown, string
from policy.rules.rule import Condition, Facts, below
from policy.text import fold
from policy.yamlfile import Mapping, Node, Scalar

_CODE = re.compile(r"[2-5](?:[0-9]{2}|yz)")
_ENHANCED = re.compile(r"(?P<klass>[245X])(?:\.(?P<subject>0|[1-9][0-9]{0,2}))?(?:\.(?P<detail>0|[1-9][0-9]{0,2}))?")

UNKNOWN_COMMAND = "unknown"


@frozen
class Span:
    """From `low` to `high`, both included; None: open."""

    low: int | None
    high: int | None

    def __contains__(self, value: int) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


def _code(report: Report, node: Node) -> str | None:
    """`"550"`, or a class, `"5yz"`. In quotes, since YAML readers bend bare numbers (0550 is 360 to some)."""
    if not isinstance(node, Scalar) or not _CODE.fullmatch(node.text):
        report.problem(node, "bad-code", f'{shown(node)} is no reply code; write "550", or "5yz" for a class')
        return None
    if not node.quoted and node.text.isdigit():
        report.problem(node, "unquoted-code", f'reply code {shown(node)} needs quotes: "{node.text}"')
        return None
    return node.text


def _enhanced(report: Report, node: Node) -> str | None:
    """`"5.1.1"`, or a prefix, `"5.1"`, `"5"`; `X` for any class, `"X.1.1"`. In quotes."""
    if not isinstance(node, Scalar) or not _ENHANCED.fullmatch(node.text):
        message = f'{shown(node)} is no enhanced status; write "5.1.1", "5.1" or "X.1.1"'
        report.problem(node, "bad-enhanced-status", message)
        return None
    if not node.quoted:
        report.problem(node, "unquoted-code", f'enhanced status {shown(node)} needs quotes: "{node.text}"')
        return None
    return node.text


def _phrase(report: Report, node: Node) -> str | None:
    text = string(report, node)
    return None if text is None else fold(" ".join(text.split()))


def _attempt(report: Report, node: Node) -> Span | None:
    """`3`, or `{min: 3, max: 5}`."""
    count = number(1, 1_000_000)
    if not isinstance(node, Mapping):
        exact = count(report, node)
        return None if exact is None else Span(exact, exact)
    found = fields(report, node, "`attempt`", ("min", "max"))
    ends = {key: count(report, value) for key, value in found.items()}
    low, high = ends.get("min"), ends.get("max")
    if low is not None and high is not None and low > high:
        report.problem(node, "bad-number", f"`min` {low} is over `max` {high}")
    return Span(low, high)


def _tags(report: Report, node: Node) -> tuple[str, str] | None:
    text = string(report, node)
    if text is not None and "=" in text:
        key, _, value = text.partition("=")
        return key, value
    report.problem(node, "bad-tag", f"{shown(node)} is no tag; write `name=value`")
    return None


def _pattern(report: Report, node: Node) -> Pattern | None:
    text = string(report, node)
    try:
        return None if text is None else Pattern(text)
    except PatternError as error:
        report.problem(node, "bad-pattern", str(error))
        return None


def _matches_code(facts: Facts, code: str) -> bool:
    reply = facts.reply
    if reply is None or reply.is_void:  # a verdict that is void has no code
        return False
    return str(reply.code) == code or (code.endswith("yz") and reply.klass == int(code[0]))


def _matches_enhanced(facts: Facts, pattern: str) -> bool:
    status = facts.reply.enhanced if facts.reply else None
    if status is None:
        return False
    parts = str(status).split(".")
    wanted = pattern.split(".")
    return all(want in ("X", part) for want, part in zip(wanted, parts, strict=False))


def _matches_command(facts: Facts, command: Command | str) -> bool:
    return facts.attempt.command is (None if command == UNKNOWN_COMMAND else command)


# key: how one value is read, how it is tested; a list of values holds when one of them does
CONDITIONS: dict[str, tuple[Read[Any], Callable[[Facts, Any], bool]]] = {
    "code": (_code, _matches_code),
    "enhanced": (_enhanced, _matches_enhanced),
    "command": (choice({**members(Command), UNKNOWN_COMMAND: UNKNOWN_COMMAND}, "command"), _matches_command),
    "failure": (choice(members(Failure), "failure"), lambda facts, value: facts.attempt.outcome is value),
    "category": (choice(members(Category), "category"), lambda facts, value: facts.diagnosis.category is value),
    "fault": (choice(members(Fault), "fault"), lambda facts, value: facts.diagnosis.fault is value),
    "weight": (choice(members(Weight), "weight"), lambda facts, value: facts.diagnosis.weight is value),
    "text": (_phrase, lambda facts, value: value in facts.text),
    "pattern": (_pattern, lambda facts, value: value.found(facts.text)),
    "domain": (
        domain,
        lambda facts, value: facts.attempt.recipient is not None and below(facts.attempt.recipient.domain, value),
    ),
    "provider": (string, lambda facts, value: facts.provider == value),
    "attempt": (_attempt, lambda facts, value: facts.number in value),
    "stream": (string, lambda facts, value: facts.attempt.stream == value),
    "tag": (_tags, lambda facts, value: value in facts.attempt.tags),
    "custody": (choice(members(Custody), "custody"), lambda facts, value: facts.attempt.custody is value),
    "recipients": (
        choice({"one": True, "several": False}, "number of recipients"),
        lambda facts, value: (facts.attempt.recipients == 1) is value,
    ),
    "null_sender": (flag, lambda facts, value: facts.attempt.null_sender is value),
    "forward_path": (flag, lambda facts, value: (facts.diagnosis.forward_path is not None) is value),
    "void": (flag, lambda facts, value: (facts.reply is not None and facts.reply.is_void) is value),
    "split_before": (flag, lambda facts, value: facts.split_before is value),
    "delivered_before": (flag, lambda facts, value: facts.delivered_before is value),
}


def _read_not(report: Report, node: Node) -> tuple[Condition, ...]:
    if isinstance(node, Mapping) and any(key.text == "not" for key, _ in node.items):
        report.problem(node, "nested-not", "`not` inside `not` says nothing that a condition would not")
        return ()
    return read_when(report, node)


def _none_holds(facts: Facts, conditions: tuple[Condition, ...]) -> bool:
    return not any(condition.holds(facts) for condition in conditions)


def read_when(report: Report, node: Node) -> tuple[Condition, ...]:
    """Read a `when` map: all its conditions must hold, of each one value, and none of those under `not`."""
    found = fields(report, node, "`when`", (*CONDITIONS, "not"))
    conditions = []
    for key, value in found.items():
        if key == "not":
            conditions.append(Condition("not", (_read_not(report, value),), _none_holds))
            continue
        read, test = CONDITIONS[key]
        values = several(read)(report, value)
        if values is not None:
            conditions.append(Condition(key, values, test))
    return tuple(conditions)
