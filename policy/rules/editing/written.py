"""Values as they are written into a rules file: checked, quoted where the language wants it, in each layout.

A value goes in as its writer spelt it where that reads the same in its new place; otherwise it is spelt anew, on one
line. Reply codes and enhanced statuses get the quotes that the language demands.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import frozen

from policy.rules.editing.rules_text import EditError, child
from policy.text import clean
from policy.yamlfile import Mapping, Node, Problem, Scalar, Sequence, Span, plain, read_yaml, spans

_BARE = re.compile(r"\w(?:[\w .%/@+-]*[\w.%/@+-])?")
_CODE_LIKE = re.compile(r"[0-9X][0-9X.-]*")
_IN_QUOTES = ("code", "enhanced")
_LINE_END = re.compile("\r\n|[\n\r]")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@frozen
class Value:
    """A value in each layout that it may be needed in.

    Args:
        plain: what it reads as.
        line: after `key: ` or `- ` where no braces are around.
        flow: inside brackets or braces; None when it has comments, which would be lost there.
        lines: over lines of its own, where no braces are around; empty: `line` will do.
        above: comment lines for above it when it is an item of a list.
    """

    plain: Any
    line: str
    flow: str | None
    lines: tuple[str, ...] = ()
    above: tuple[str, ...] = ()


EMPTY_MAP = Value({}, "{}", "{}")


def read_value(text: str, path: tuple[str, ...]) -> Value:
    """Read what a user gives for the key at `path` of a rule: one scalar, or a list or map in brackets.

    >>> read_value("[550, 5yz]", ("when", "code")).line
    '["550", 5yz]'
    """
    shown = clean(text, limit=60)
    span = _read(text, f"the value `{shown}`")
    if span is None:
        raise EditError("the value is empty; write `''` for an empty text")
    if not span.flow and not isinstance(span.node, Scalar):
        raise EditError(f"the value `{shown}` reads as a block; put a text in quotes, a list or map in brackets")
    rest = clean(text[: span.start] + text[span.end :], limit=60).strip()
    if rest:
        raise EditError(f"the value `{shown}` has `{rest}` outside of it; put a text in quotes")
    if path[0] == "when":
        for start, end in sorted(_unquoted_codes(span, path[-1]), reverse=True):
            text = f'{text[:start]}"{text[start:end]}"{text[end:]}'
        span = _read(text, f"the value `{shown}`") or span
    return _spelt(text[span.start : span.end], span.node)


def read_rule(text: str) -> tuple[Value, str]:
    """Read a rule given as a map, in lines or in braces, or as a list of this one map; returns its id, too."""
    text = text.rstrip() + "\n"  # a block of text at the end takes its line end along
    span = _read(text, "the rule")
    if span is not None and isinstance(span.node, Sequence) and len(span.parts) == 1 and not span.flow:
        lead, span = text[: span.start] + text[span.start + 1 : span.parts[0].start], span.parts[0]
    else:
        lead = text[: span.start] if span is not None else ""
    id_ = child(span, "id") if span is not None else None
    if span is None or id_ is None or not isinstance(id_.node, Scalar) or not id_.node.text:
        raise EditError(
            "a rule is a map with an `id`, such as `{id: our-rule, when: {code: 4yz}, then: {action: retry}}`"
        )
    above = tuple(line.strip() for line in _LINE_END.split(lead) if line.strip())
    if not all(line.startswith("#") for line in above):
        raise EditError(f"`{clean(above[0], limit=60)}` does not belong before a rule")
    lines = tuple(_moved_left(text[span.start :].rstrip(), span.node.column - 1))
    has_comments = bool(above) or "#" in _without_scalars(text[span.start :], span)
    flow = None if has_comments else _spelt(text[span.start : span.end], span.node).flow
    return Value(plain(span.node), "", flow, lines, above), id_.node.text


def keyed(keys: Iterable[str | int], value: Value) -> Value:
    """A map that holds `value` under a key, or under keys one in the other, from outside to inside."""
    for key in reversed([str(key) for key in keys]):
        flow = None if value.flow is None else f"{{{scalar(key)}: {value.flow}}}"
        value = Value({key: value.plain}, flow or "", flow, pair_lines(key, value) if value.lines else ())
    return value


def listed(value: Value) -> Value:
    """A list of `value`, over lines where there is room for them."""
    return Value([value.plain], "", None if value.flow is None else f"[{value.flow}]", item_lines(value))


def words(*texts: str) -> Value:
    """A list of words in brackets."""
    flow = f"[{', '.join(map(scalar, texts))}]"
    return Value(list(texts), flow, flow)


def word(text: str) -> Value:
    """A single word."""
    return Value(text, scalar(text), scalar(text))


def pair_lines(key: str, value: Value) -> tuple[str, ...]:
    """The lines of a key and its value, outside of braces."""
    if not value.lines:
        return (f"{scalar(key)}: {value.line}",)
    return (f"{scalar(key)}:", *_moved_right(value.lines))


def item_lines(value: Value) -> tuple[str, ...]:
    """The lines of an item of a list, outside of brackets."""
    first, *rest = value.lines or (value.line,)
    return (*value.above, f"- {first}", *_moved_right(rest))


def scalar(text: str, *, quoted: bool = False) -> str:
    """Spell a text on one line so that it reads the same anywhere."""
    if not quoted and _BARE.fullmatch(text):
        return text
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _read(text: str, what: str) -> Span | None:
    problems: list[Problem] = []
    span = spans(text, problems)
    if problems:
        raise EditError(f"{what} cannot be read: {problems[0].message}")
    return span


def _spelt(text: str, node: Node) -> Value:
    """`text` itself in each layout in which it reads as `node`."""
    value, anew = plain(node), _flow(node)
    line = text if _reads(f"x: {text}") == {"x": value} else anew
    return Value(value, line, line if _reads(f"{{x: {line}}}") == {"x": value} else anew)


def _reads(text: str) -> Any:
    problems: list[Problem] = []
    node = None if _LINE_END.search(text) else read_yaml(text.encode(), "", problems)
    return None if node is None or problems else plain(node)


def _flow(node: Node) -> str:
    if isinstance(node, Scalar):
        return scalar(node.text, quoted=node.quoted)
    if isinstance(node, Sequence):
        return f"[{', '.join(map(_flow, node.items))}]"
    return "{" + ", ".join(f"{_flow(key)}: {_flow(value)}" for key, value in node.items) + "}"


def _unquoted_codes(span: Span, key: str) -> Iterator[tuple[int, int]]:
    """Where numbers stand without quotes that the language wants in quotes."""
    if isinstance(span.node, Mapping):
        for (name, _), inner in zip(span.node.items, span.parts[1::2], strict=True):
            yield from _unquoted_codes(inner, name.text)
    elif isinstance(span.node, Sequence):
        for inner in span.parts:
            yield from _unquoted_codes(inner, key)
    elif key in _IN_QUOTES and not span.node.quoted and _CODE_LIKE.fullmatch(span.node.text):
        yield span.start, span.end


def _without_scalars(text: str, span: Span) -> str:
    """What stands between the scalars of `span`, which `text` starts with."""
    if isinstance(span.node, Scalar):
        return ""
    shift, last, between = span.start, 0, ""
    for leaf in _scalars(span):
        between, last = between + text[last : leaf.start - shift], leaf.end - shift
    return between + text[last:]


def _scalars(span: Span) -> Iterator[Span]:
    if isinstance(span.node, Scalar):
        yield span
    for part in span.parts:
        yield from _scalars(part)


def _moved_left(text: str, columns: int) -> Iterator[str]:
    """The lines of a text whose first line starts at a column."""
    first, *rest = _LINE_END.split(text)
    yield first
    for line in rest:
        yield line[columns:] if not line[:columns].strip(" ") else line.lstrip(" ")


def _moved_right(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" if line else "" for line in lines)
