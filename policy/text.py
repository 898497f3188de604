"""Text from strangers, made safe once, at the edge.

A reply is written by whoever runs the remote host. Before anything looks at it, it is decoded, cut to a length
and cleaned: what is left is printable, on one line, without control characters, bidi overrides or zero-width
characters (CWE-117, CWE-150). `SafeText` marks that this was done, so nobody does it twice or forgets it.

Conditions (of signatures and of rules) do not look at that text itself but at `searchable()`: case-folded, and
with every mail address replaced by a placeholder, since a recipient named `spam@` must not decide anything.
"""

import re
import unicodedata

LINE_LIMIT = 2048  # characters kept of one line; Postfix's line_length_limit
TEXT_LIMIT = 8192  # characters kept of a whole reply
LINES_LIMIT = 100  # lines kept of a whole reply

ADDRESS_PLACEHOLDER = "<address>"


class SafeText(str):
    """Printable, single-line, bounded text; made by `clean` only."""

    __slots__ = ()


def clean(text: str, *, limit: int = LINE_LIMIT) -> SafeText:
    """Return `text` on one line, printable, at most `limit` characters long.

    White space of any kind becomes single blanks, format characters (bidi, zero-width) vanish, other unprintable
    characters become `?` as in Postfix. `clean(clean(x)) == clean(x)`.

    >>> clean("no such\\r\\nuser\\x1b[2J\\u202e")
    'no such user?[2J'
    """
    if type(text) is SafeText and len(text) <= limit:
        return text
    text = text[: 4 * limit]  # white space and format characters may vanish below; still bounded
    if not text.isprintable():
        text = "".join(map(_visible, text))
    return SafeText(" ".join(text.split())[:limit].rstrip())


def _visible(char: str) -> str:
    if char.isprintable() or char.isspace():
        return char
    return "" if unicodedata.category(char) == "Cf" else "?"


def fold(text: str) -> str:
    """Return `text` for comparison without case (simple folding, one character for one where Unicode allows)."""
    return text.lower()


# An address, in brackets or bare, with a dot-string or a quoted local part; also any bracketed word, which in a
# reply is a mailbox, a host or a parameter. The look-behind lets a match start at the start of a word only, and
# the possessive `++` never gives characters back: the time stays linear in the text.
_ADDRESSES = re.compile(
    r"""
      <?(?<![^\s<>,;:()\[\]'=])"(?:[^"\\]|\\.){0,64}"@[^\s<>@"',;()]++   # "a b"@example.org, <"a>b"@example.org>
    | (?<![^\s<>",;:()\[\]])[^\s<>",;:()\[\]@]++@[^\s<>@"',;()]++   # o'spam@example.org, spam=jo@example.org
    | <[^\s<>/]{1,320}>                            # <jo>, <jo@example.org>, but not <https://...>
    """,
    re.VERBOSE,
)


def searchable(text: str) -> str:
    """Return what conditions see of `text`: folded, with addresses replaced by a placeholder.

    >>> searchable("<spam@Example.org>: User UNKNOWN")
    '<address>: user unknown'
    """
    return fold(_ADDRESSES.sub(ADDRESS_PLACEHOLDER, text))
