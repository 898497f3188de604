"""What is wrong with a document: all of it at once, in words for the person who wrote it."""

import difflib
from collections.abc import Iterable, Sequence

from policy.text import clean

_LISTED = 12  # words that a person reads at once
MISTAKES_SHOWN = 50  # a document of a million wrong keys gets a message that can still be read


class ContractError(ValueError):
    """A document that does not keep the contract; the message lists every mistake of it.

    Args:
        mistakes: at least one, each lower case and without a full stop, input in it cleaned and cut.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        more = len(self.mistakes) - MISTAKES_SHOWN
        super().__init__("; ".join([*self.mistakes[:MISTAKES_SHOWN], *([f"and {more} more"] if more > 0 else [])]))


def unknown(noun: str, word: object, known: Iterable[str]) -> str:
    """Return the sentence for a word that is none of `known`, with the near miss where there is one.

    >>> unknown("key", "recipent", ["recipient", "reply"])
    'unknown key `recipent`; did you mean `recipient`?'
    """
    said = clean(str(word), limit=60)
    spelled = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(said.casefold(), spelled, n=1)
    if near:
        return f"unknown {noun} `{said}`; did you mean `{spelled[near[0]]}`?"
    listed = f"; known are {', '.join(f'`{each}`' for each in spelled.values())}" if len(spelled) <= _LISTED else ""
    return f"unknown {noun} `{said}`{listed}"
