"""The conditions of a `when`: how the value of each key is read, and how it is tested. A new one is a line here."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar

from attrs import frozen

from policy.attempt import Command, Custody, Event, Failure
from policy.diagnosis.category import Category, Fault, Weight
from policy.matching import Pattern, PatternError
from policy.reply import Reply
from policy.rules.domains import covers, patterns_over
from policy.rules.reading import (
    Key,
    Keys,
    Kind,
    Report,
    choice,
    domain_pattern,
    duration,
    fields,
    flag,
    kind,
    members,
    number,
    reference,
    schema_of,
    several,
    shown,
    string,
)
from policy.rules.rule import Condition, Facts
from policy.text import fold
from policy.yamlfile import Mapping as MappingNode
from policy.yamlfile import Node, Scalar

V = TypeVar("V", int, timedelta)

_CODE = re.compile(r"[2-5](?:[0-9]{2}|yz)")
_CODES = re.compile(r"([2-5][0-9]{2})-([2-5][0-9]{2})")
_ENHANCED = re.compile(r"(?P<klass>[245X])(?:\.(?P<subject>0|[1-9][0-9]{0,2}))?(?:\.(?P<detail>0|[1-9][0-9]{0,2}))?")

UNKNOWN_COMMAND = "unknown"


@frozen
class Span(Generic[V]):
    """From `low` to `high`, both included; None: open."""

    low: V | None
    high: V | None

    def __contains__(self, value: V) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@kind('reply code in quotes: `"550"`, `"550-559"`, or a class, `5yz`', {"type": "string", "pattern": r"^[2-5]"})
def _code(report: Report, node: Node) -> str | None:
    """`"550"`, a range, or a class. In quotes, since YAML readers bend bare numbers (0550 is 360 to some)."""
    text = node.text if isinstance(node, Scalar) else ""
    ends = _CODES.fullmatch(text)
    if ends and ends[1] <= ends[2]:
        return text
    if not isinstance(node, Scalar) or not _CODE.fullmatch(text):
        message = f'{shown(node)} is no reply code; write "550", "550-559", or "5yz" for a class'
        report.problem(node, "bad-code", message)
        return None
    if not node.quoted and text.isdigit():
        report.problem(node, "unquoted-code", f'reply code {shown(node)} needs quotes: "{text}"')
        return None
    return text


@kind('enhanced status in quotes: `"5.1.1"`, a prefix, `"5.1"`, or `"X.1.1"` for any class', {"type": "string"})
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


@kind("words that stand in the reply", {"type": "string", "pattern": r"\S"})
def _phrase(report: Report, node: Node) -> str | None:
    text = string(report, node)
    return None if text is None else fold(" ".join(text.split()))


def _span(one: Kind[V], *, exact: bool) -> Kind[Span[V]]:
    """`{min: 3, max: 5}`, or one of them; where `exact` makes sense also a bare value."""
    ends: Keys = {"min": Key(one, "From here on."), "max": Key(one, "Up to here, itself included.")}

    def read_span(report: Report, node: Node) -> Span[V] | None:
        if exact and not isinstance(node, MappingNode):
            value = one(report, node)
            return None if value is None else Span(value, value)
        found = {key: one(report, value) for key, value in fields(report, node, "a span", ends).items()}
        low, high = found.get("min"), found.get("max")
        if low is not None and high is not None and low > high:
            report.problem(node, "bad-number", "`min` is over `max`")
        if not found:
            report.problem(node, "bad-type", "a span needs `min` or `max`")
            return None
        return Span(low, high)

    schema = {"anyOf": [one.schema, schema_of(ends)]} if exact else schema_of(ends)
    called = f"`{{min, max}}` of {one.called}"
    return Kind(read_span, schema, f"{one.called}, or {called}" if exact else called)


@kind("tag, `name=value`", {"type": "string", "pattern": "="})
def _tag(report: Report, node: Node) -> tuple[str, str] | None:
    text = string(report, node)
    if text is not None and "=" in text:
        key, _, value = text.partition("=")
        return key, value
    report.problem(node, "bad-tag", f"{shown(node)} is no tag; write `name=value`")
    return None


@kind("pattern in the dialect of RE2", {"type": "string", "maxLength": 1000})
def _pattern(report: Report, node: Node) -> Pattern | None:
    text = string(report, node)
    try:
        return None if text is None else Pattern(text)
    except PatternError as error:
        report.problem(node, "bad-pattern", str(error))
        return None


def code_matches(pattern: str, code: str) -> bool:
    """Is a code this one, of this range or class?"""
    if "-" in pattern:
        low, high = pattern.split("-")
        return low <= code <= high
    return code == pattern or (pattern.endswith("yz") and code[0] == pattern[0])


def _reply_matches(pattern: str, reply: Reply | None) -> bool:
    """A verdict that is void has no code."""
    return reply is not None and not reply.is_void and code_matches(pattern, str(reply.code))


def status_matches(pattern: str, status: str | None) -> bool:
    """Does an enhanced status, `5.1.1`, start as the pattern says? `X` stands for any number."""
    if status is None:
        return False
    return all(want in ("X", part) for want, part in zip(pattern.split("."), status.split("."), strict=False))


def _enhanced_status(facts: Facts) -> str | None:
    status = facts.reply.enhanced if facts.reply else None
    return None if status is None else str(status)


def _sender_domain(facts: Facts) -> str | None:
    sender = facts.attempt.sender
    return sender.domain if sender else None


def _named(pattern: str, name: str | None) -> bool:
    return name is not None and covers(pattern, name)


def _recipient_domain(facts: Facts) -> str | None:
    return facts.attempt.recipient.domain if facts.attempt.recipient else None


@frozen
class Question:
    """What a condition asks: how one value is read, how it is tested (one that holds is enough), what it is for.

    Args:
        spoken: all values that hold of some facts; None where they cannot be listed.
    """

    kind: Kind[Any]
    test: Callable[[Facts, Any], bool]
    says: str
    spoken: Callable[[Facts], Iterable[Any]] | None = None


_COMMANDS = {**members(Command), UNKNOWN_COMMAND: UNKNOWN_COMMAND}

CONDITIONS: Mapping[str, Question] = {
    "code": Question(_code, lambda facts, value: _reply_matches(value, facts.reply), "The reply's code."),
    "enhanced": Question(
        _enhanced,
        lambda facts, value: status_matches(value, _enhanced_status(facts)),
        "The enhanced status that counts (one of another class than the code counts as `X.0.0`).",
    ),
    "command": Question(
        choice(_COMMANDS, "command"),
        lambda facts, value: facts.attempt.command is (None if value == UNKNOWN_COMMAND else value),
        "The command that the reply answers; DOT is the end of the message.",
        lambda facts: (facts.attempt.command or UNKNOWN_COMMAND,),
    ),
    "failure": Question(
        choice(members(Failure), "failure"),
        lambda facts, value: facts.attempt.outcome is value,
        "What went wrong where nobody answered.",
        lambda facts: () if isinstance(facts.attempt.outcome, Reply) else (facts.attempt.outcome,),
    ),
    "event": Question(
        choice(members(Event), "event"),
        lambda facts, value: facts.attempt.outcome is value,
        "What the recipient said of a message that arrived.",
        lambda facts: () if isinstance(facts.attempt.outcome, Reply) else (facts.attempt.outcome,),
    ),
    "category": Question(
        choice(members(Category), "category"),
        lambda facts, value: facts.diagnosis.category is value,
        "What the outcome means.",
        lambda facts: (facts.diagnosis.category,),
    ),
    "fault": Question(
        choice(members(Fault), "fault"),
        lambda facts, value: facts.diagnosis.fault is value,
        "Who must change something before it can work.",
    ),
    "weight": Question(
        choice(members(Weight), "weight"),
        lambda facts, value: facts.diagnosis.weight is value,
        "How plainly the outcome says it: in so many words, by a stock phrase, merely by its code.",
    ),
    "text": Question(
        _phrase,
        lambda facts, value: value in facts.text,
        "Words of the reply, without case; addresses in it do not count.",
    ),
    "pattern": Question(
        _pattern,
        lambda facts, value: value.found(facts.text),
        "A pattern that occurs in the reply, without case.",
    ),
    "domain": Question(
        domain_pattern,
        lambda facts, value: _named(value, _recipient_domain(facts)),
        "The recipient's domain.",
        lambda facts: patterns_over(_recipient_domain(facts)),
    ),
    "sender_domain": Question(
        domain_pattern,
        lambda facts, value: _named(value, _sender_domain(facts)),
        "The domain of the envelope sender.",
        lambda facts: patterns_over(_sender_domain(facts)),
    ),
    "mx": Question(
        domain_pattern,
        lambda facts, value: _named(value, facts.attempt.mx),
        "The name of the remote host.",
        lambda facts: patterns_over(facts.attempt.mx),
    ),
    "provider": Question(
        reference("provider"),
        lambda facts, value: facts.provider == value,
        "The mailbox provider, by its own name.",
        lambda facts: (facts.provider,),
    ),
    "attempt": Question(
        _span(number(1, 1_000_000), exact=True),
        lambda facts, value: facts.number in value,
        "Which attempt this was, counted from 1.",
    ),
    "age": Question(
        _span(duration, exact=False),
        lambda facts, value: facts.age in value,
        "How long ago the first attempt was.",
    ),
    "stream": Question(
        string,
        lambda facts, value: facts.attempt.stream == value,
        "The kind of mail.",
        lambda facts: (facts.attempt.stream,),
    ),
    "tag": Question(_tag, lambda facts, value: value in facts.attempt.tags, "A tag of the caller's."),
    "custody": Question(
        choice(members(Custody), "custody"),
        lambda facts, value: facts.attempt.custody is value,
        "Who retries: we, or who holds the message.",
    ),
    "recipients": Question(
        choice({"one": True, "several": False}, "number of recipients"),
        lambda facts, value: (facts.attempt.recipients == 1) is value,
        "Whether the transaction had one accepted recipient or several.",
    ),
    "null_sender": Question(
        flag, lambda facts, value: facts.attempt.null_sender is value, "The message has the null sender, `<>`."
    ),
    "forward_path": Question(
        flag,
        lambda facts, value: (facts.diagnosis.forward_path is not None) is value,
        "The reply is a 251 or 551 that names another address.",
    ),
    "void": Question(
        flag,
        lambda facts, value: (facts.reply is not None and facts.reply.is_void) is value,
        "Nobody can tell what was answered: no code, or bytes out of step.",
    ),
    "split_before": Question(
        flag,
        lambda facts, value: facts.split_before is value,
        "The message was told once already to go to this recipient alone.",
    ),
    "clear_before": Question(
        flag,
        lambda facts, value: facts.clear_before is value,
        "The message was told once already to go in clear.",
    ),
    "backup_mx": Question(
        flag,
        lambda facts, value: facts.attempt.backup_mx is value,
        "A backup MX answered, since the primary could not be reached.",
    ),
    "delivered_before": Question(
        flag, lambda facts, value: facts.delivered_before is value, "Mail to this address was delivered at some time."
    ),
}


def _none_holds(facts: Facts, conditions: tuple[Condition, ...]) -> bool:
    return not any(condition.holds(facts) for condition in conditions)


def condition(key: str, values: tuple[Any, ...]) -> Condition:
    """A condition made by us, not read."""
    return Condition(key, values, CONDITIONS[key].test, CONDITIONS[key].spoken)


def none_of(conditions: tuple[Condition, ...]) -> Condition:
    """The condition that none of these holds."""
    return Condition("not", (conditions,), _none_holds)


def _read_conditions(keys: Keys) -> Callable[[Report, Node], tuple[Condition, ...] | None]:
    def read(report: Report, node: Node) -> tuple[Condition, ...] | None:
        values = {key: keys[key].kind(report, value) for key, value in fields(report, node, "`when`", keys).items()}
        return tuple(
            none_of(value) if key == "not" else condition(key, value)
            for key, value in values.items()
            if value is not None
        )

    return read


_PLAIN: Keys = {key: Key(several(each.kind), each.says) for key, each in CONDITIONS.items()}
_NOT: Kind[tuple[Condition, ...]] = Kind(_read_conditions(_PLAIN), schema_of(_PLAIN), "map of conditions")

WHEN: Keys = {**_PLAIN, "not": Key(_NOT, "Conditions of which none may hold.")}
when: Kind[tuple[Condition, ...]] = Kind(
    _read_conditions(WHEN), schema_of(WHEN), "map of conditions that must all hold; of each, one value is enough"
)
