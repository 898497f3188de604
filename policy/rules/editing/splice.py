"""One change of a rules file, made by replacing one stretch of its text; all other characters stay as they were.

Each change (`put`, `drop`, `insert`) also says what the file must read as afterwards, computed on the plain tree
without a look at the text. A text that does not read so is never returned: layouts that the splices do not know end as
an error, not as a spoilt file.
"""

import re
from itertools import pairwise
from typing import Any

from attrs import evolve, frozen

from policy.rules.editing.rules_text import EditError, RulesText, is_empty, key_place, tree_of
from policy.rules.editing.tree import Address, value_at, with_value, without_value
from policy.rules.editing.written import EMPTY_MAP, Value, item_lines, keyed, pair_lines, scalar
from policy.yamlfile import Mapping, Sequence, Span

# What may stand between two things: white space and comments.
_GAP = r"(?:\s++|#[^\r\n\x85\u2028\u2029]*+)*+"
_TO_COMMA, _TO_DASH, _NOTHING = re.compile(_GAP + ","), re.compile(_GAP + "-"), re.compile(_GAP)
_BLANK_LINE = re.compile(r"(?>\r\n|[\r\n])[ \t]*(?>\r\n|[\r\n])")
_BLANK_LINE_LAST = re.compile(_BLANK_LINE.pattern + r"[ \t]*\Z")
_COMMENT_LINE = re.compile(r"[ \t]*#")


@frozen
class _Splice:
    """Replace `text[start:end]` by `new`."""

    start: int
    end: int
    new: str


def put(source: RulesText, address: Address, value: Value) -> str:
    """Return the text with `value` at `address`, in the place of what is there; maps on the way to it are made."""
    span = source.root
    if span is None:
        new = keyed(address[1:], value)
        return _checked(
            source, _section(source, pair_lines(str(address[0]), new)), with_value({}, address, value.plain)
        )
    for depth, step in enumerate(address):
        rest, place = address[depth + 1 :], key_place(span, step)
        inner = span.parts[step] if isinstance(step, int) else None if place is None else span.parts[2 * place + 1]
        if isinstance(step, str) and not isinstance(span.node, Mapping):
            raise EditError(f"`{shown(address[:depth])}` is not a map, so that `{step}` cannot be put there")
        if isinstance(step, str) and (inner is None or not rest or is_empty(inner)):
            new = keyed(rest, value)
            if place is not None:
                splice = _replacement(source, span, place, new)
            elif span is source.root and not span.flow:
                splice = _section(source, pair_lines(step, new))
            else:
                flow = None if new.flow is None else f"{scalar(step)}: {new.flow}"
                splice = _addition(source, span, flow, pair_lines(step, new))
            return _checked(source, splice, with_value(source.tree, address, value.plain))
        if inner is not None:
            span = inner
    raise EditError(f"nothing can be put at `{shown(address)}`")


def drop(source: RulesText, address: Address) -> str:
    """Return the text without what is at `address`; a map keeps its braces, `{}`, when its last key goes."""
    *outside, last = address
    span = source.at(tuple(outside))
    place = last if isinstance(last, int) else None if span is None else key_place(span, last)
    if span is None or place is None:
        raise EditError(f"there is no `{shown(address)}`")
    alone = len(_elements(source.text, span)) == 1
    if not alone or span is source.root or span.flow:
        splice = _removal(source, span, place)
    else:
        above = source.at(tuple(outside[:-1]))
        above_place = None if above is None else key_place(above, outside[-1])
        if above is None or above_place is None or not isinstance(span.node, Mapping):
            raise EditError(f"`{shown(address)}` cannot be taken out: nothing would be left beside it")
        splice = _replacement(source, above, above_place, EMPTY_MAP)
        said = "".join(f"  {each}" for each in _comments_before_value(source.text, span, place))
        splice = evolve(splice, new=splice.new + said)
    return _checked(source, splice, without_value(source.tree, address))


def insert(source: RulesText, address: Address, value: Value, before: int | None = None) -> str:
    """Return the text with an item more in the list at `address`, at its end or before the item `before`."""
    span = source.at(address)
    if span is None or not isinstance(span.node, Sequence):
        raise EditError(f"`{shown(address)}` is not a list")
    if before is None:
        # Rules stand apart from each other where they did so far.
        apart = isinstance(value.plain, dict) and _has_blank_lines(source, span)
        splice = _addition(source, span, value.flow, item_lines(value), apart=apart)
    else:
        splice = _insertion(source, span, value, before)
    items = list(value_at(source.tree, address))
    items.insert(len(items) if before is None else before, value.plain)
    return _checked(source, splice, with_value(source.tree, address, items))


def shown(address: Address) -> str:
    """An address as people write it."""
    return ".".join(str(step + 1) if isinstance(step, int) else step for step in address)


def _checked(source: RulesText, splice: _Splice, expected: Any) -> str:
    head, tail = source.text[: splice.start] + splice.new, source.text[splice.end :]
    # A block of text at the end of a file needs the line end that the file did without.
    for text in (head + tail, *([] if tail else [head + source.line_end])):
        if tree_of(text) == expected:
            return text
    raise EditError("the layout of the file does not allow this edit without changing more; edit it by hand")


def _elements(text: str, span: Span) -> list[tuple[int, int]]:
    """Where each key with its value, or each item with its dash, starts and ends."""
    if isinstance(span.node, Mapping):
        return [(key.start, value.end) for key, value in zip(span.parts[::2], span.parts[1::2], strict=True)]
    if span.flow:
        return [(item.start, item.end) for item in span.parts]
    found, last = [], span.start
    for item in span.parts:
        dash = _TO_DASH.match(text, last)
        found.append((dash.end() - 1 if dash else item.start, item.end))
        last = item.end
    return found


def _replacement(source: RulesText, span: Span, place: int, value: Value) -> _Splice:
    """Another value for a key."""
    text, key, old = source.text, span.parts[2 * place], span.parts[2 * place + 1]
    colon = text.find(":", key.end, max(old.start, key.end + 1)) + 1
    if span.flow:
        new = _in_flow(value.flow)
    elif value.lines:
        # What follows on the key's line, a comment, stays there.
        end = source.end_of_line(old.end)
        return _Splice(colon, end, text[old.end : end] + _block(source, value.lines, span.node.column + 1))
    else:
        new = value.line
    if is_empty(old):
        return _Splice(colon, colon, f" {new}") if colon else _Splice(key.end, key.end, f": {new}")
    if old.flow or not old.parts:
        return _Splice(old.start, old.end, new)
    # A block: comments between the key and its first line stay.
    return _Splice(colon, old.end, f" {new}{text[colon : old.start].rstrip()}")


def _addition(
    source: RulesText, span: Span, flow: str | None, lines: tuple[str, ...], *, apart: bool = False
) -> _Splice:
    """A key or an item more, behind all others."""
    elements = _elements(source.text, span)
    if span.flow:
        at = elements[-1][1] if elements else span.start + 1
        return _Splice(at, at, (", " if elements else "") + _in_flow(flow))
    at = source.end_of_line(elements[-1][1])
    return _Splice(at, at, source.line_end * apart + _block(source, lines, span.node.column - 1))


def _insertion(source: RulesText, span: Span, value: Value, before: int) -> _Splice:
    """An item more, before another and the comment lines that stand directly above that."""
    text, elements = source.text, _elements(source.text, span)
    start = elements[before][0]
    if span.flow:
        return _Splice(start, start, _in_flow(value.flow) + ", ")
    at = start - (span.node.column - 1)
    least = source.end_of_line(elements[before - 1][1]) if before else 0
    while (above := _line_above(text, at)) is not None and above > least and _COMMENT_LINE.match(text, above):
        at = above
    new = _block(source, item_lines(value), span.node.column - 1).removeprefix(source.line_end)
    return _Splice(at, at, new + source.line_end * (2 if _has_blank_lines(source, span) else 1))


def _removal(source: RulesText, span: Span, place: int) -> _Splice:
    """One of several keys or items less; comments beside it stay."""
    text, elements = source.text, _elements(source.text, span)
    start, end = elements[place]
    if span.flow:
        return _flow_removal(text, elements, place)
    indent = span.node.column - 1
    end_of_line = source.end_of_line(end)
    beside = [*_comments_before_value(text, span, place), *filter(None, [text[end:end_of_line].strip()])]
    if beside:
        return _Splice(start, end_of_line, (source.line_end + " " * indent).join(beside))
    line, after = start - indent, source.after_line(end)
    if text[line:start].strip():  # behind a dash: the next key moves up, unless comments stand between
        below = elements[place + 1][0]
        return _Splice(start, end if "#" in text[end:below] else below, "")
    if after == end_of_line:  # the last line had no line end; nor has the new last one
        line -= 2 if text[:line].endswith("\r\n") else 1 if line else 0
    return _Splice(line, after, "")


def _comments_before_value(text: str, span: Span, place: int) -> list[str]:
    """What is said of a key between its colon and its value on the next lines."""
    if not isinstance(span.node, Mapping):
        return []
    between = text[span.parts[2 * place].end : span.parts[2 * place + 1].start].partition(":")[2]
    return [line.strip() for line in between.splitlines() if line.strip()]


def _flow_removal(text: str, elements: list[tuple[int, int]], place: int) -> _Splice:
    start, end = elements[place]
    comma = _TO_COMMA.match(text, end)
    if place + 1 < len(elements):
        after = elements[place + 1][0]
        if "#" not in text[end:after] or comma is None:
            return _Splice(start, after, "")
        return _Splice(start, comma.end(), text[end : comma.end() - 1])
    before = elements[place - 1][1] if place else start
    if place and "#" not in text[before:start]:
        return _Splice(before, end, "")
    # The comma before it may stay, a second one not.
    return _Splice(start, comma.end(), text[end : comma.end() - 1]) if comma else _Splice(start, end, "")


def _section(source: RulesText, lines: tuple[str, ...]) -> _Splice:
    """A key more for the whole file, at its end; set apart where the file has blank lines."""
    text, root, line_end = source.text, source.root, source.line_end
    said = root.end if root else 0
    gap = _NOTHING.match(text, said)
    at = len(text) if gap and gap.end() == len(text) else source.end_of_line(said)
    new = _block(source, lines, root.node.column - 1 if root else 0).removeprefix(line_end)
    apart = bool(_BLANK_LINE.search(text)) and not _BLANK_LINE_LAST.search(text, said, at)
    ended = not text[:at].strip("\ufeff") or text[:at].endswith(("\n", "\r"))
    return _Splice(at, at, line_end * apart + new + line_end if ended else line_end * (1 + apart) + new)


def _block(source: RulesText, lines: tuple[str, ...], column: int) -> str:
    """Lines at a column, each behind a line end."""
    return "".join(f"{source.line_end}{' ' * column if line else ''}{line}" for line in lines)


def _in_flow(flow: str | None) -> str:
    if flow is None:
        raise EditError("the list is in brackets, where the comments of the rule have no place")
    return flow


def _has_blank_lines(source: RulesText, span: Span) -> bool:
    elements = _elements(source.text, span)
    return any(_BLANK_LINE.search(source.text[end:start]) for (_, end), (start, _) in pairwise(elements))


def _line_above(text: str, start: int) -> int | None:
    """Where the line before the line that starts at `start` starts."""
    lines = text[:start].splitlines(keepends=True)
    return start - len(lines[-1]) if lines else None
