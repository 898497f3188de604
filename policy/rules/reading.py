"""The vocabulary of the rules reader: one `Kind` for each kind of value, which reads a node or reports what is wrong.

A kind returns None after it reported a problem; the reader goes on, so that a file gets all its mistakes at once. Each
kind also knows its JSON Schema and how people call it, and each map its `Key`s with what they are for: the schema for
editors and the reference for people are made of the very tables that read.
"""

import re
from collections.abc import Callable, Collection, Iterable
from collections.abc import Mapping as AnyMapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Generic, TypeVar

from attrs import define, field, frozen

from policy.address import parse_domain
from policy.rules.domains import parse_pattern
from policy.text import clean
from policy.yamlfile import PROBLEMS_LIMIT, Mapping, Node, Problem, Scalar, Sequence

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

_DURATION = re.compile(
    r"(?:[1-9][0-9]{0,5}w)?(?:[1-9][0-9]{0,5}d)?(?:[1-9][0-9]{0,5}h)?(?:[1-9][0-9]{0,5}m)?(?:[1-9][0-9]{0,5}s)?"
)
_DURATION_PART = re.compile(r"([0-9]+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_DAY = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}")
_KINDS = {Scalar: "a single value", Sequence: "a list", Mapping: "a map"}
_FEW, _TYPING_ERROR = 8, 0.75  # so few words are listed, unless one of them was meant for sure
LONGEST_DURATION = timedelta(days=3650)


@define
class Report:
    """The problems found so far in one file, and the names that values may refer to.

    Args:
        known: by kind (`schedule`, `route`, `limit`, `provider`, `rule`), what may be referred to.
        ids: of the rules so far, and their lines.
        at: report there what is wrong with a node that is not one of `own` (by identity); None: at the node.
    """

    file: str
    problems: list[Problem] = field(factory=list)
    known: AnyMapping[str, Collection[str]] = field(factory=dict)
    ids: dict[str, int] = field(factory=dict)
    at: Node | None = None
    own: frozenset[int] = frozenset()

    def problem(self, node: Node, code: str, message: str) -> None:
        """Report a problem at `node`."""
        place = node if self.at is None or id(node) in self.own else self.at
        if len(self.problems) < PROBLEMS_LIMIT:
            self.problems.append(Problem(self.file, place.line, place.column, code, message))


@frozen
class Kind(Generic[T]):
    """A kind of value: how a node is read, what JSON Schema says of it, and what people call it."""

    read: Callable[[Report, Node], T | None] = field(repr=False)
    schema: AnyMapping[str, Any] = field(repr=False)
    called: str

    def __call__(self, report: Report, node: Node) -> T | None:
        return self.read(report, node)


@frozen
class Key:
    """A key of a map: the kind of its value, and what it is for."""

    kind: Kind[Any]
    says: str
    required: bool = False


Keys = AnyMapping[str, Key]


def kind(called: str, schema: AnyMapping[str, Any]) -> Callable[[Callable[[Report, Node], T | None]], Kind[T]]:
    """Make a `Kind` of a reading function."""
    return lambda read: Kind(read, schema, called)


def shown(node: Node) -> str:
    """What stands there, in backticks, safe and short."""
    return f"`{clean(node.text, limit=60)}`" if isinstance(node, Scalar) else _KINDS[type(node)]


def near(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """`; did you mean ...?`, or nothing when nothing is as like as that."""
    import difflib  # only when there is a mistake to explain

    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=likeness)
    return f"; did you mean `{close[0]}`?" if close else ""


def fields(report: Report, node: Node, what: str, keys: Keys) -> dict[str, Node]:
    """Read a map with known keys; unknown and missing ones are reported. Returns the known ones."""
    if not isinstance(node, Mapping):
        report.problem(node, "bad-type", f"{what} must be a map, not {shown(node)}")
        return {}
    found: dict[str, Node] = {}
    for key, value in node.items:
        if key.text in keys:
            found[key.text] = value
        else:
            report.problem(key, "unknown-key", f"unknown key {shown(key)} in {what}{near(key.text, keys)}")
    for name, each in keys.items():
        if each.required and name not in found:
            report.problem(node, "missing-key", f"{what} needs the key `{name}`")
    return found


def schema_of(keys: Keys) -> dict[str, Any]:
    """The JSON Schema of a map with these keys."""
    return {
        "type": "object",
        "properties": {name: {**key.kind.schema, "description": key.says} for name, key in keys.items()},
        "required": [name for name, key in keys.items() if key.required],
        "additionalProperties": False,
    }


def record(what: str, keys: Keys, build: Callable[[dict[str, Any]], T]) -> Kind[T]:
    """A map with known keys, built of what they hold; None when a required one is missing or bad."""

    def read_record(report: Report, node: Node) -> T | None:
        found = fields(report, node, what, keys)
        values = {name: keys[name].kind(report, value) for name, value in found.items()}
        given = {name: value for name, value in values.items() if value is not None}
        if len(given) < len(found) or any(key.required and name not in given for name, key in keys.items()):
            return None
        return build(given)

    return Kind(read_record, schema_of(keys), f"map: {', '.join(f'`{name}`' for name in keys)}")


def named(what: str, name: Kind[str], value: Kind[T]) -> Kind[dict[str, T]]:
    """A map of names of the operator's own to values."""

    def read_named(report: Report, node: Node) -> dict[str, T] | None:
        if not isinstance(node, Mapping):
            report.problem(node, "bad-type", f"{what} must be a map of names, not {shown(node)}")
            return None
        values = ((name(report, key), value(report, each)) for key, each in node.items)
        return {key: each for key, each in values if key is not None and each is not None}

    schema = {"type": "object", "additionalProperties": value.schema}
    return Kind(read_named, schema, f"map of names, each to a {value.called}")


def several(each: Kind[T]) -> Kind[tuple[T, ...]]:
    """One value, or a list of at least one."""

    def read_several(report: Report, node: Node) -> tuple[T, ...] | None:
        if isinstance(node, Sequence) and not node.items:
            report.problem(node, "empty-list", "an empty list can never hold")
            return None
        nodes = node.items if isinstance(node, Sequence) else (node,)
        values = [each(report, one) for one in nodes]
        return None if any(value is None for value in values) else tuple(v for v in values if v is not None)

    schema = {"anyOf": [each.schema, {"type": "array", "items": each.schema, "minItems": 1}]}
    return Kind(read_several, schema, f"{each.called}, or a list of them")


@kind("text", {"type": "string", "pattern": r"\S"})
def string(report: Report, node: Node) -> str | None:
    """Any text that is not empty."""
    if isinstance(node, Scalar) and node.text.strip():
        return node.text
    report.problem(node, "bad-type", f"a text is needed, not {shown(node)}")
    return None


@kind("name", {"type": "string", "pattern": f"^{_ID.pattern}$", "maxLength": 80})
def identifier(report: Report, node: Node) -> str | None:
    """A kebab-case name of an operator's own."""
    if isinstance(node, Scalar) and _ID.fullmatch(node.text) and len(node.text) <= 80:
        return node.text
    report.problem(node, "bad-name", f"{shown(node)} is not a name: small letters, digits and single hyphens")
    return None


def reference(to: str) -> Kind[str]:
    """A name that this file or one below it defines."""

    def read_reference(report: Report, node: Node) -> str | None:
        name = identifier(report, node)
        known = report.known.get(to, ())
        if name is not None and name not in known:
            report.problem(node, f"unknown-{to}", f"no {to} is called `{name}`{near(name, known)}")
        return name

    return Kind(read_reference, identifier.schema, f"name of a {to}")


def choice(known: AnyMapping[str, T], what: str) -> Kind[T]:
    """One of a closed set of words."""

    def read_choice(report: Report, node: Node) -> T | None:
        if isinstance(node, Scalar) and node.text in known:
            return known[node.text]
        likeness = _TYPING_ERROR if len(known) <= _FEW else 0.6
        hint = near(node.text, known, likeness=likeness) if isinstance(node, Scalar) else ""
        hint = hint or f"; known are {', '.join(f'`{word}`' for word in known)}"
        report.problem(node, "unknown-value", f"{shown(node)} is no {what}{hint}")
        return None

    return Kind(read_choice, {"enum": list(known)}, f"{what}: {', '.join(f'`{word}`' for word in known)}")


def members(enum: type[E]) -> dict[str, E]:
    """The words of a closed set, for `choice`."""
    return {str(member.value): member for member in enum}


@kind("domain", {"type": "string", "pattern": r"\S"})
def domain(report: Report, node: Node) -> str | None:
    """A domain name or an address literal, as lower-case A-labels."""
    return _domain(report, node, parse_domain)


@kind("domain (with all below it), `*.domain` (only what is below) or `=domain`", {"type": "string", "pattern": r"\S"})
def domain_pattern(report: Report, node: Node) -> str | None:
    """A domain pattern, see `policy.rules.domains`."""
    return _domain(report, node, parse_pattern)


def _domain(report: Report, node: Node, parse: Callable[[str], str]) -> str | None:
    text = string(report, node)
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        report.problem(node, "bad-domain", str(error))
        return None


@kind("true or false", {"type": "boolean"})
def flag(report: Report, node: Node) -> bool | None:
    """`true` or `false`, without quotes."""
    if isinstance(node, Scalar) and not node.quoted and node.text in ("true", "false"):
        return node.text == "true"
    report.problem(node, "bad-flag", f"{shown(node)} must be true or false")
    return None


def number(low: int, high: int) -> Kind[int]:
    """A whole number, without quotes."""

    def read_number(report: Report, node: Node) -> int | None:
        text = node.text if isinstance(node, Scalar) and not node.quoted else ""
        if re.fullmatch("0|[1-9][0-9]{0,8}", text) and low <= int(text) <= high:
            return int(text)
        report.problem(node, "bad-number", f"{shown(node)} must be a whole number from {low} to {high}")
        return None

    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Kind(read_number, schema, f"whole number from {low} to {high}")


@kind("duration such as `90s`, `5m`, `4h`, `4d`, `1h30m`", {"type": "string", "pattern": f"^{_DURATION.pattern}$"})
def duration(report: Report, node: Node) -> timedelta | None:
    """`90s`, `5m`, `4h`, `4d`, `2w`, or several in a row: `1h30m`."""
    text = node.text if isinstance(node, Scalar) else ""
    if text and _DURATION.fullmatch(text):
        span = sum(int(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))
        if 1 <= span <= LONGEST_DURATION.total_seconds():
            return timedelta(seconds=span)
        report.problem(node, "bad-duration", f"{shown(node)} must be from 1s to {LONGEST_DURATION.days}d")
        return None
    report.problem(node, "bad-duration", f"{shown(node)} is no duration; write `90s`, `5m`, `4h`, `4d` or `1h30m`")
    return None


@kind("share below 100 %, such as `20%`", {"type": "string", "pattern": "^[0-9]{1,2}%$"})
def percent(report: Report, node: Node) -> float | None:
    """`20%`, below 100 %."""
    found = re.fullmatch("([0-9]{1,2})%", node.text) if isinstance(node, Scalar) else None
    if found:
        return int(found[1]) / 100
    report.problem(node, "bad-percent", f"{shown(node)} is no share; write `0%` to `99%`")
    return None


@kind("day such as `2027-01-31`", {"type": "string", "pattern": f"^{_DAY.pattern}$"})
def day(report: Report, node: Node) -> datetime | None:
    """A day of the calendar; its first moment, in UTC."""
    text = node.text if isinstance(node, Scalar) else ""
    try:
        if _DAY.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        pass
    report.problem(node, "bad-day", f"{shown(node)} is no day; write `2027-01-31`")
    return None
