"""What is wrong with a document: all of it at once, in words for the person who wrote it."""

import difflib
import json
from collections.abc import Iterable, Sequence

from policy.text import clean

_LISTED = 12  # words that a person reads at once
MISTAKES_SHOWN = 50  # a document of a million wrong keys gets a message that can still be read


_NOT_JSON = {  # how the words of Python's decoder begin, and ours
    "Expecting value": "a value is missing, or is none",
    "Expecting ',' delimiter": "a `,` is missing",
    "Expecting ':' delimiter": "a `:` is missing",
    "Expecting property name": "a key in double quotes is missing",
    "Illegal trailing comma": "a `,` is too many",
    "Extra data": "more follows its end",
    "Invalid control character": "a control character stands in a string",
    "Invalid \\": "a `\\` stands before what it cannot",
    "Unterminated string": "a string does not end",
}


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


def not_json(error: ValueError | RecursionError) -> str:
    """Return what is wrong with a text that a JSON decoder refused, in our words.

    >>> try:
    ...     json.loads('{"reply" 550}')
    ... except ValueError as error:
    ...     not_json(error)
    'a `:` is missing, at column 10'
    """
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    if not isinstance(error, json.JSONDecodeError):
        return "a number has too many digits"
    found = (ours for theirs, ours in _NOT_JSON.items() if error.msg.startswith(theirs))
    return f"{next(found, 'something is wrong')}, at column {error.colno}"
