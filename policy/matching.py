"""Which of many markers occur in a text: the one port to the search engine, linear in the text.

A marker is a phrase, compared by words: case, punctuation and white space do not count, `over-quota` is found by
`over quota`, and it starts and ends at word borders unless a `*` at its end leaves that end open. Scripts that write
without blanks (Chinese, Japanese, Thai) have no such borders, and none are asked for.
"""

import re
from collections.abc import Iterable

import ahocorasick

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u2e80-\u9fff\uf900-\ufaff]")


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
    if _UNSPACED.search(marker):
        return needle.strip()
    return needle[:-1] if marker.endswith("*") else needle
