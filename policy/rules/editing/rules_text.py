"""The text of a rules file with the place of each thing in it, for those who change it in place."""

import re
from collections.abc import Iterator
from typing import Any

from attrs import frozen

from policy.rules.editing.tree import Address
from policy.rules.reading import near
from policy.text import clean
from policy.yamlfile import Mapping, Problem, Scalar, Sequence, Span, plain, read_yaml, spans

_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_SCOPES = ("domains", "providers")


class EditError(Exception):
    """An edit that cannot be made; one sentence says why."""


@frozen(eq=False)
class RulesText:
    """A rules file, read for editing.

    Args:
        root: None when the file says nothing.
        line_end: as the first line has it.
    """

    text: str
    root: Span | None
    line_end: str

    @property
    def tree(self) -> Any:
        """What the file says, as strings, lists and dicts."""
        return {} if self.root is None else plain(self.root.node)

    def at(self, address: Address) -> Span | None:
        """What stands at `address`."""
        span = self.root
        for step in address:
            span = None if span is None else child(span, step)
        return span

    def end_of_line(self, place: int) -> int:
        """The place before the line end that comes at or after `place`."""
        found = _LINE_END.search(self.text, place)
        return found.start() if found else len(self.text)

    def after_line(self, place: int) -> int:
        """The start of the next line; the end of the text when there is none."""
        found = _LINE_END.search(self.text, place)
        return found.end() if found else len(self.text)


def read_text(text: str) -> RulesText:
    """Read a rules file.

    Raises:
        EditError: when it is not YAML as we read it, or not a map.
    """
    problems: list[Problem] = []
    root = spans(text, problems)
    if problems:
        first = problems[0]
        raise EditError(f"the file cannot be read: line {first.line}, column {first.column}: {first.message}")
    if root is not None and not isinstance(root.node, Mapping):
        raise EditError("the file cannot be edited: a rules file is a map of keys such as `rules`")
    found = _LINE_END.search(text)
    return RulesText(text, root, found[0] if found and found[0] in ("\r\n", "\r") else "\n")


def tree_of(text: str) -> Any:
    """What a file with this text says; None when it cannot be read."""
    problems: list[Problem] = []
    node = read_yaml(text.encode("utf-8", "surrogatepass"), "", problems)
    return None if problems else {} if node is None else plain(node)


def child(span: Span, step: str | int) -> Span | None:
    """The value of a key, or the item at a place."""
    if isinstance(step, int):
        return span.parts[step] if isinstance(span.node, Sequence) and step < len(span.parts) else None
    place = key_place(span, step)
    return None if place is None else span.parts[2 * place + 1]


def key_place(span: Span, key: str | int) -> int | None:
    """Which of a map's keys this is, counted from 0."""
    names = (name.text for name, _ in span.node.items) if isinstance(span.node, Mapping) else ()
    return next((place for place, name in enumerate(names) if name == key), None)


def is_empty(span: Span) -> bool:
    """Is it a key without a value?"""
    return isinstance(span.node, Scalar) and not span.node.text and not span.node.quoted


def rule_address(source: RulesText, rule_id: str) -> Address | None:
    """Where the file has the rule of this id; None when it has none."""
    found = [address for address, id_ in rules_of(source) if id_ == rule_id]
    if len(found) > 1:
        places = " and ".join(f"line {line_of(source, address)}" for address in found[:2])
        raise EditError(f"rule `{rule_id}` stands twice in this file, in {places}")
    return found[0] if found else None


def rules_of(source: RulesText) -> Iterator[tuple[Address, str]]:
    """Yield where each rule of the file is, and its id."""
    lists: list[Address] = [("rules",)]
    for scope in _SCOPES:
        names = source.at((scope,))
        if names is not None and isinstance(names.node, Mapping):
            lists += [(scope, key.text, "rules") for key, _ in names.node.items]
    for address in lists:
        yield from identified(source, address)


def identified(source: RulesText, address: Address) -> Iterator[tuple[Address, str]]:
    """Yield the address and the `id` of the maps in a list."""
    span = source.at(address)
    for place, item in enumerate(span.parts) if span is not None and isinstance(span.node, Sequence) else ():
        id_ = child(item, "id")
        if id_ is not None and isinstance(id_.node, Scalar):
            yield (*address, place), id_.node.text


def line_of(source: RulesText, address: Address) -> int:
    """The line, from 1, of what stands at `address`."""
    span = source.at(address)
    return 1 if span is None else span.node.line


def unknown_rule(rule_id: str, known: set[str] | frozenset[str]) -> EditError:
    """That no rule has this id."""
    shown = clean(rule_id, limit=60)
    return EditError(f"no rule is called `{shown}`{near(shown, known)}")
