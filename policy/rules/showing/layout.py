"""Plain trees (dicts, lists, words, numbers) as YAML text in the style of our rules files, each line with its origin.

A value stands on one line in braces or brackets where it fits and comes from one place; otherwise its keys get lines
of their own. Texts are spelt so that they read the same for every reader of YAML, and so that nothing hides in them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen

from policy.rules.editing.tree import Address
from policy.rules.editing.written import scalar
from policy.text import clean

WIDTH = 116
_COMMENTS_AT = 96  # at most: where the origins stand, one below the other
_LONG_WORD = 40
_IN_QUOTES = re.compile(r"[0-9X][0-9X.]*(?:-[0-9]{3})?|[0-9].* .*|true|false")

Origins = Mapping[Address, str]


@frozen
class Line:
    """A line and what its value comes from; empty: it says nothing of its own."""

    text: str
    origin: str = ""


def laid_out(document: Mapping[str, Any], origins: Origins | None = None) -> list[Line]:
    """Return the lines of a rules file.

    Args:
        origins: by address, where a value comes from; what has none comes from where the map or list around it does.
    """
    layout = _Layout(origins or {})
    lines: list[Line] = []
    for key, value in document.items():
        if lines and (isinstance(value, Mapping) or key == "rules"):
            lines.append(Line(""))
        for line in layout.pair(scalar(key), value, (key,), 0):
            if line.text.startswith("  - ") and key == "rules" and lines[-1].text != "rules:":
                lines.append(Line(""))
            lines.append(line)
    return lines


def text_of(lines: Iterable[Line]) -> str:
    """Return lines as text, the origins as comments."""
    several = list(lines)
    column = min(max((len(each.text) for each in several if each.origin), default=0), _COMMENTS_AT)
    return "".join(
        f"{each.text.ljust(column)}  # {clean(each.origin)}\n" if each.origin else f"{each.text}\n" for each in several
    )


def spelt(value: str | int) -> str:
    """Spell a text or a number; a text that looks like a number or a reply gets quotes.

    >>> [spelt(each) for each in ("550", "5yz", 550, True, "a: b", "4d", "\\u202e")]
    ['"550"', '5yz', '550', 'true', '"a: b"', '4d', '"\\\\u202e"']
    """
    if isinstance(value, int):
        return str(value).lower()
    text = scalar(value, quoted=_IN_QUOTES.fullmatch(value) is not None)
    return text if text.isprintable() else "".join(map(_visible, text))


def flow(value: Any) -> str:
    """Spell a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{spelt(key)}: {flow(each)}" for key, each in value.items()) + "}"
    return f"[{', '.join(map(flow, value))}]" if isinstance(value, list) else spelt(value)


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


class _Layout:
    """Which values take one line and which several."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._mixed = {address[:length] for address in origins for length in range(len(address))}

    def pair(self, key: str, value: Any, address: Address, indent: int) -> Iterator[Line]:
        """The lines of a key and its value."""
        lead = f"{' ' * indent}{key}:"
        if self._on_one_line(value, address, len(lead) + 1):
            yield Line(f"{lead} {flow(value)}", self._origin(address))
        elif _is_words(value) and address not in self._mixed:
            yield from self._wrapped(lead, value, address)
        else:
            yield Line(lead)
            yield from self._block(value, address, indent + 2)

    def _block(self, value: Any, address: Address, indent: int) -> Iterator[Line]:
        if isinstance(value, Mapping):
            for key, each in value.items():
                yield from self.pair(spelt(key), each, (*address, key), indent)
            return
        for place, each in enumerate(value):
            yield from self._item(each, (*address, place), indent)

    def _item(self, value: Any, address: Address, indent: int) -> Iterator[Line]:
        """The lines of an item of a list."""
        lead = f"{' ' * indent}- "
        if self._on_one_line(value, address, len(lead)) or not isinstance(value, Mapping):
            yield Line(lead + flow(value), self._origin(address))
            return
        first, *rest = self._block(value, address, indent + 2)
        yield Line(lead + first.text[indent + 2 :], first.origin)
        yield from rest

    def _wrapped(self, lead: str, words: list[str], address: Address) -> Iterator[Line]:
        """A long list of short words, over as many lines as it takes."""
        line, indent = f"{lead} [", " " * (len(lead) + 2)
        origin = self._origin(address)
        for place, word in enumerate(words):
            added = spelt(word) + ("," if place + 1 < len(words) else "]")
            if len(line) + len(added) + 1 > WIDTH and line.strip():
                yield Line(line, origin)
                line, origin = indent, ""
            line += added if line.endswith("[") or line == indent else f" {added}"
        yield Line(line, origin)

    def _on_one_line(self, value: Any, address: Address, taken: int) -> bool:
        if isinstance(value, str | int):
            return True
        whole = address[0] in ("rules", "domains") and len(address) == 2  # a rule has lines, and so has a domain
        table = len(address) == 1 and any(not isinstance(each, str | int) for each in _inner(value))
        return not (whole or table or address in self._mixed or taken + len(flow(value)) > WIDTH)

    def _origin(self, address: Address) -> str:
        while address and address not in self._origins:
            address = address[:-1]
        return self._origins.get(address, "")


def _inner(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and len(each) < _LONG_WORD for each in value)
