"""YAML as the rules language and our data files use it: strings, lists and maps with positions, and nothing else.

The events of PyYAML's parser (C where it is built) become `Node`s that know their line and column. Scalars stay
strings: YAML 1.1 would read `0550` as 360, `5.10` as 5.1 and `no` as False; here the schema says what a string must
look like, and `quoted` says whether it stood in quotes. Anchors, aliases, tags, merge keys, a second document,
duplicate keys, deep nesting and large files are errors: they are how a file says one thing and means another.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from attrs import frozen

from policy.text import clean

SIZE_LIMIT = 16_000_000  # octets of one file; 10,000 rules are about 2 MB
DEPTH_LIMIT = 32
PROBLEMS_LIMIT = 100

_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_LINE_ENDS = "\r\n\x85\u2028\u2029"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_QUOTING = ("'", '"', "|", ">")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@frozen
class Problem:
    """Something wrong in a file, where, and what to do about it; `code` is stable, for scripts."""

    file: str
    line: int
    column: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}"


@frozen(eq=False)
class Scalar:
    """A string and whether it stood in quotes (or in a block); positions count from 1."""

    text: str
    quoted: bool
    line: int
    column: int


@frozen(eq=False)
class Sequence:
    """A list."""

    items: "tuple[Node, ...]"
    line: int
    column: int


@frozen(eq=False)
class Mapping:
    """A map; the keys are scalars, no two alike."""

    items: "tuple[tuple[Scalar, Node], ...]"
    line: int
    column: int


Node = Scalar | Sequence | Mapping


class _Refused(Exception):
    def __init__(self, mark: Any, code: str, message: str) -> None:
        self.line, self.column, self.code, self.message = mark.line + 1, mark.column + 1, code, message


def read_yaml(content: bytes, file: str, problems: list[Problem]) -> Node | None:
    """Read one document; what is wrong is appended to `problems`, with the position.

    Returns:
        None when there is nothing (an empty file, only comments) or the text cannot be read further.
    """
    if len(content) > SIZE_LIMIT:
        problems.append(Problem(file, 1, 1, "too-large", f"file is over {SIZE_LIMIT // 1_000_000} MB"))
        return None
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place(content[: error.start].decode("utf-8"))
        problems.append(Problem(file, *place, "not-utf-8", "text is not UTF-8"))
        return None
    try:
        return _Reader(text, file, problems).document()
    except _Refused as refused:
        problems.append(Problem(file, refused.line, refused.column, refused.code, refused.message))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = min((mark.line + 1, mark.column + 1), _place(text)) if mark else (1, 1)  # not past the end
        said = clean(f"{error.context or ''} {error.problem or ''}", limit=200)
        problems.append(Problem(file, *place, "not-yaml", said))
    except yaml.reader.ReaderError as error:
        # The error's own position counts octets in the C parser and characters in the other.
        place = _place(text.partition(chr(error.character))[0])
        message = f"character U+{error.character:04X} is not allowed in YAML"
        problems.append(Problem(file, *place, "not-yaml", message))
    return None


def _place(before: str) -> tuple[int, int]:
    """Line and column of what comes after `before`, with the line ends of YAML."""
    lines = _LINE_END.split(before)
    return len(lines), len(lines[-1]) + 1


class _Reader:
    """Events to nodes, by recursive descent."""

    def __init__(self, text: str, file: str, problems: list[Problem]) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
        self.file, self.problems = file, problems

    def document(self) -> Node | None:
        next(self.events)  # stream start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        node = self.node(next(self.events), depth=0)
        next(self.events)  # document end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _Refused(event.start_mark, "second-document", "only one document is allowed in a file")
        empty = isinstance(node, Scalar) and not node.text and not node.quoted
        return None if empty else node

    def node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _Refused(event.start_mark, "anchor", "anchors and aliases are not allowed; write the value out")
        if event.tag is not None and event.tag != "!":
            raise _Refused(event.start_mark, "tag", f"tag `{clean(event.tag, limit=60)}` is not allowed")
        if depth > DEPTH_LIMIT:
            raise _Refused(event.start_mark, "too-deep", f"nesting is deeper than {DEPTH_LIMIT}")
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, event.style in _QUOTING, line, column)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(self.sequence(depth)), line, column)
        return Mapping(tuple(self.mapping(depth)), line, column)

    def sequence(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self.node(event, depth + 1)

    def mapping(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        seen: dict[str, int] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise _Refused(event.start_mark, "bad-key", "a key must be a plain word")
            value = self.node(next(self.events), depth + 1)
            if key.text == "<<" and not key.quoted:
                raise _Refused(event.start_mark, "merge-key", "merge keys are not allowed; write the values out")
            if key.text in seen:
                shown, first = clean(key.text, limit=60), seen[key.text]
                message = f"key `{shown}` stands here a second time; the first is in line {first}"
                self.problems.append(Problem(self.file, key.line, key.column, "duplicate-key", message))
                continue
            seen[key.text] = key.line
            yield key, value


def plain(node: Node) -> Any:
    """Return `node` as strings, lists and dicts, for data files whose schema is checked by tests.

    >>> plain(read_yaml(b"a: [b, '5.10']", "x", []))
    {'a': ['b', '5.10']}
    """
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.items}


@frozen(eq=False)
class Span:
    """A node and the characters that it takes, `text[start:end]`: without the comments and blank lines after it.

    Args:
        start: counted in characters from 0; of an empty value: where it would begin, mostly right after the colon.
        flow: whether it stands in brackets or braces.
        parts: the items of a list; key, value, key, value of a map.
    """

    node: Node
    start: int
    end: int
    flow: bool = False
    parts: "tuple[Span, ...]" = ()


def spans(text: str, problems: list[Problem], file: str = "") -> Span | None:
    """Return where each node of `text` stands, for those who change it in place; problems as in `read_yaml`.

    >>> [(part.start, part.end) for part in spans("a: [b]  # why", []).parts]
    [(0, 1), (3, 6)]
    """
    node = read_yaml(text.encode("utf-8", "surrogatepass"), file, problems)
    if node is None or problems:
        return None
    # The C parser does not count a byte order mark, the other does.
    marks = len(text) - len(text.lstrip("\ufeff"))
    return _span(text, marks, yaml.compose(text[marks:], Loader=_Loader), node)


def _span(text: str, shift: int, found: Any, node: Node) -> Span:
    start, end = found.start_mark.index + shift, found.end_mark.index + shift
    if isinstance(node, Scalar):
        return Span(node, start, _block_scalar_end(text, start, end) if found.style in ("|", ">") else end)
    if isinstance(node, Sequence):
        pairs = list(zip(found.value, node.items, strict=True))
    else:
        both = zip(found.value, node.items, strict=True)
        pairs = [pair for inner, outer in both for pair in zip(inner, outer, strict=True)]
    parts = tuple(_span(text, shift, inner, outer) for inner, outer in pairs)
    # To the parser a block ends where the next thing begins, after comments that are not its own.
    return Span(node, start, end if found.flow_style else parts[-1].end, bool(found.flow_style), parts)


def _block_scalar_end(text: str, start: int, end: int) -> int:
    """Before the last line end; `+` keeps the blank lines that stand before it."""
    header = _LINE_END.split(text[start:end], maxsplit=1)[0].partition("#")[0]
    content = text[start:end]
    if "+" not in header:
        content = content.rstrip(" \t" + _LINE_ENDS)
    elif content.endswith(tuple(_LINE_ENDS)):
        content = content[:-2] if content.endswith("\r\n") else content[:-1]
    found = _LINE_END.search(text, start + len(content), end)
    return found.start() if found else end
