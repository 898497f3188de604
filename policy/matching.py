"""The one port to text search, linear in the text whatever a stranger wrote: many markers at once, or one pattern.

A marker is a phrase, compared by words: case, punctuation and white space do not count, `over-quota` is found by
`over quota`, and it starts and ends at word borders unless a `*` at its end leaves that end open. Scripts that write
without blanks (Chinese, Japanese, Thai) have no such borders, and none are asked for.
"""

import re
from collections.abc import Iterable, Sequence

import ahocorasick

from policy.text import clean

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_UNSPACED = ((0x0E00, 0x0EFF), (0x2E80, 0x9FFF), (0xF900, 0xFAFF))  # Thai and Lao, Chinese and Japanese


def words(text: str) -> str:
    """Return the words of a folded text, each between single blanks.

    >>> words("mailbox is over-quota!")
    ' mailbox is over quota '
    """
    return f" {_BETWEEN_WORDS.sub(' ', text).strip()} "


class Markers:
    """A fixed set of markers, found together in one pass over a text."""

    def __init__(self, markers: Iterable[str]) -> None:
        self._automaton = ahocorasick.Automaton()
        for marker in sorted(set(markers)):
            needle = _needle(marker)
            if not needle.strip():
                raise ValueError(f"marker `{marker}` has no word in it")
            self._automaton.add_word(needle, (*self._automaton.get(needle, ()), marker))
        self._automaton.make_automaton()

    def found(self, text: str) -> frozenset[str]:
        """Return the markers that occur in `text`, which is folded already (see `policy.text.searchable`)."""
        if not len(self._automaton):
            return frozenset()
        return frozenset(marker for _, markers in self._automaton.iter(words(text)) for marker in markers)


def _needle(marker: str) -> str:
    needle = words(marker.lower())
    if any(low <= ord(char) <= high for char in marker for low, high in _UNSPACED):
        return needle.strip()
    return needle[:-1] if marker.endswith("*") else needle


class Phrases:
    """A list of phrases, found together in one pass over a text, wherever they stand, also inside of words."""

    def __init__(self, phrases: Sequence[str]) -> None:
        places: dict[str, list[int]] = {}
        for place, phrase in enumerate(phrases):
            places.setdefault(phrase, []).append(place)
        self._everywhere = frozenset(places.pop("", ()))
        self._automaton = ahocorasick.Automaton()
        for phrase, its_places in places.items():
            self._automaton.add_word(phrase, its_places)
        self._automaton.make_automaton()

    def found(self, text: str) -> frozenset[int]:
        """Return the places in the list of the phrases that are part of `text`."""
        if not len(self._automaton):
            return self._everywhere
        return self._everywhere.union(*(places for _, places in self._automaton.iter(text)))


class PatternError(ValueError):
    """A pattern that the engine does not take; one line says why and what to write instead."""


class Pattern:
    """A pattern in the dialect of RE2: no look-around, no back-references, and so linear time on any text.

    Raises:
        PatternError: for what RE2 refuses.

    >>> Pattern("user .* unknown").found("the user jo is unknown")
    True
    """

    def __init__(self, pattern: str) -> None:
        import re2  # 20 ms, and most policies have no pattern

        self.pattern = pattern
        if len(pattern) > _PATTERN_LIMIT:
            raise PatternError(f"pattern is over {_PATTERN_LIMIT} characters")
        for construct, what in _NOT_LINEAR.items():
            if construct in pattern:
                raise PatternError(f"`{construct}` ({what}) cannot be searched in linear time; {_INSTEAD[what]}")
        options = re2.Options()
        options.case_sensitive = False
        options.log_errors = False
        options.max_mem = _PATTERN_MEMORY
        try:
            self._regex = re2.compile(pattern, options)
        except re2.error as error:
            said = error.args[0] if error.args else error
            said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
            raise PatternError(f"pattern cannot be read: {clean(str(said), limit=200)}") from None

    def found(self, text: str) -> bool:
        """Does the pattern occur anywhere in `text`, which is folded already?"""
        return self._regex.search(text) is not None

    def __eq__(self, other: object) -> bool:
        return self.pattern == other.pattern if isinstance(other, Pattern) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"Pattern({self.pattern!r})"


_PATTERN_LIMIT = 1000
_PATTERN_MEMORY = 1 << 20  # octets for the compiled program: bounds what a repetition such as (a{1000}){1000} may take
_NOT_LINEAR = {
    "(?=": "look-ahead",
    "(?!": "look-ahead",
    "(?<=": "look-behind",
    "(?<!": "look-behind",
    "\\1": "back-reference",
    "(?P=": "back-reference",
}
_INSTEAD = {
    "look-ahead": "write what must not be there under `not`, and what must under a condition of its own",
    "look-behind": "write what must not be there under `not`, and what must under a condition of its own",
    "back-reference": "write the words out",
}
