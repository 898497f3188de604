"""The vocabulary of the rules reader: one small function for each kind of value, which reads a node or reports it.

A function returns None after it reported a problem; the reader goes on, so that a file gets all its mistakes at once.
"""

import re
from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as AnyMapping
from datetime import timedelta
from enum import Enum
from typing import TypeVar

from attrs import define, field

from policy.address import parse_domain
from policy.text import clean
from policy.yamlfile import PROBLEMS_LIMIT, Mapping, Node, Problem, Scalar, Sequence

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
Read = Callable[["Report", Node], T | None]

_DURATION = re.compile(r"(?:[0-9]{1,6}[smhdw])+")
_DURATION_PART = re.compile(r"([0-9]+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_KINDS = {Scalar: "a single value", Sequence: "a list", Mapping: "a map"}
LONGEST_DURATION = timedelta(days=3650)


@define
class Report:
    """The problems found so far in one file."""

    file: str
    problems: list[Problem] = field(factory=list)

    def problem(self, node: Node, code: str, message: str) -> None:
        """Report a problem at `node`."""
        if len(self.problems) < PROBLEMS_LIMIT:
            self.problems.append(Problem(self.file, node.line, node.column, code, message))


def shown(node: Node) -> str:
    """What stands there, in backticks, safe and short."""
    return f"`{clean(node.text, limit=60)}`" if isinstance(node, Scalar) else _KINDS[type(node)]


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?`, or nothing when nothing is near."""
    import difflib  # only when there is a mistake to explain

    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def fields(
    report: Report, node: Node, what: str, known: Collection[str], *, required: Collection[str] = ()
) -> dict[str, Node]:
    """Read a map with known keys; unknown and missing ones are reported. Returns the known ones."""
    if not isinstance(node, Mapping):
        report.problem(node, "bad-type", f"{what} must be a map, not {shown(node)}")
        return {}
    found: dict[str, Node] = {}
    for key, value in node.items:
        if key.text in known:
            found[key.text] = value
        else:
            report.problem(key, "unknown-key", f"unknown key {shown(key)} in {what}{near(key.text, known)}")
    for key_text in required:
        if key_text not in found:
            report.problem(node, "missing-key", f"{what} needs the key `{key_text}`")
    return found


def named(report: Report, node: Node, what: str, read: Read[T], *, name: Read[str]) -> dict[str, T]:
    """Read a map of names of the operator's own, each read by `name`, to values."""
    if not isinstance(node, Mapping):
        report.problem(node, "bad-type", f"{what} must be a map of names, not {shown(node)}")
        return {}
    values = ((name(report, key), read(report, value)) for key, value in node.items)
    return {key: value for key, value in values if key is not None and value is not None}


def several(read: Read[T]) -> Read[tuple[T, ...]]:
    """One value, or a list of at least one."""

    def read_several(report: Report, node: Node) -> tuple[T, ...] | None:
        if isinstance(node, Sequence) and not node.items:
            report.problem(node, "empty-list", "an empty list can never hold")
            return None
        nodes = node.items if isinstance(node, Sequence) else (node,)
        values = [read(report, each) for each in nodes]
        return None if any(value is None for value in values) else tuple(v for v in values if v is not None)

    return read_several


def string(report: Report, node: Node) -> str | None:
    """Any text that is not empty."""
    if isinstance(node, Scalar) and node.text.strip():
        return node.text
    report.problem(node, "bad-type", f"a text is needed, not {shown(node)}")
    return None


def identifier(report: Report, node: Node) -> str | None:
    """A kebab-case name of an operator's own."""
    if isinstance(node, Scalar) and _ID.fullmatch(node.text) and len(node.text) <= 80:
        return node.text
    report.problem(node, "bad-name", f"{shown(node)} is not a name: small letters, digits and single hyphens")
    return None


def choice(known: AnyMapping[str, T], what: str) -> Read[T]:
    """One of a closed set of words."""

    def read_choice(report: Report, node: Node) -> T | None:
        if isinstance(node, Scalar) and node.text in known:
            return known[node.text]
        hint = near(node.text, known) if isinstance(node, Scalar) else ""
        hint = hint or f"; known are {', '.join(f'`{word}`' for word in known)}"
        report.problem(node, "unknown-value", f"{shown(node)} is no {what}{hint}")
        return None

    return read_choice


def members(kind: type[E]) -> dict[str, E]:
    """The words of a closed set, for `choice`."""
    return {str(member.value): member for member in kind}


def domain(report: Report, node: Node) -> str | None:
    """A domain name or an address literal, as lower-case A-labels."""
    text = string(report, node)
    try:
        return None if text is None else parse_domain(text)
    except ValueError as error:
        report.problem(node, "bad-domain", str(error))
        return None


def flag(report: Report, node: Node) -> bool | None:
    """`true` or `false`, without quotes."""
    if isinstance(node, Scalar) and not node.quoted and node.text in ("true", "false"):
        return node.text == "true"
    report.problem(node, "bad-flag", f"{shown(node)} must be true or false")
    return None


def number(low: int, high: int) -> Read[int]:
    """A whole number, without quotes."""

    def read_number(report: Report, node: Node) -> int | None:
        text = node.text if isinstance(node, Scalar) and not node.quoted else ""
        if re.fullmatch("[0-9]{1,9}", text) and low <= int(text) <= high:
            return int(text)
        report.problem(node, "bad-number", f"{shown(node)} must be a whole number from {low} to {high}")
        return None

    return read_number


def duration(report: Report, node: Node) -> timedelta | None:
    """`90s`, `5m`, `4h`, `4d`, `2w`, or several in a row: `1h30m`."""
    text = node.text if isinstance(node, Scalar) else ""
    if _DURATION.fullmatch(text):
        span = sum(int(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))
        if 1 <= span <= LONGEST_DURATION.total_seconds():
            return timedelta(seconds=span)
        report.problem(node, "bad-duration", f"{shown(node)} must be from 1s to {LONGEST_DURATION.days}d")
        return None
    report.problem(node, "bad-duration", f"{shown(node)} is no duration; write `90s`, `5m`, `4h`, `4d` or `1h30m`")
    return None


def percent(report: Report, node: Node) -> float | None:
    """`20%`, below 100 %."""
    found = re.fullmatch("([0-9]{1,2})%", node.text) if isinstance(node, Scalar) else None
    if found:
        return int(found[1]) / 100
    report.problem(node, "bad-percent", f"{shown(node)} is no share; write `0%` to `99%`")
    return None
