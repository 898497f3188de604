"""Mail addresses in text that is logged: enough is left to tell two apart at a glance, not enough to write to one.

An address may stand anywhere: in a reply that repeats it, in a message id, in a page's URL. So nothing is looked for
but the `@` (also as `%40`, and in its wide forms), and what stands before it goes, up to the blank before; the domain
stays, which says where the trouble is. Words that are an attempt's own local parts go too.
"""

import hashlib
import re
from collections.abc import Iterable

from policy.address import Address
from policy.text import TEXT_LIMIT, SafeText, clean
from policy.veil import is_veiled

TEXT_SHOWN = 300  # characters of one text in an event
GONE = "***"

_OTHER_SIGNS = re.compile("%40|[\uff20\ufe6b]")
# A quoted local part may hold blanks; the look-behind lets any other start at the start of a word only: linear time.
_LOCAL_PARTS = re.compile(r'(?:"(?:[^"\\@]|\\.|@){0,64}"|(?<![^\s@])[^\s@]++)(?=@)')
_IN_FRONT = re.compile(r'.*[<>()\[\],;:"]')  # of a bare local part: brackets, `rcpt:`


def redacted(address: Address | None) -> str | None:
    """Return the address with the first character of its local part; one that is veiled is whole."""
    if address is None:
        return None
    return str(address) if is_veiled(address.local) else f"{address.local[:1]}{GONE}@{address.domain}"


def without_addresses(text: str, own: Iterable[Address] = (), *, limit: int = TEXT_SHOWN) -> SafeText:
    """Return the text on one line, at most `limit` characters long, without the local part of any address.

    Args:
        own: addresses whose local parts go wherever they stand as words of their own.

    >>> without_addresses("550 <jo@example.org>: jo unknown", [Address("jo", "example.org")])
    '550 <j***@example.org>: j*** unknown'
    """
    shown = _LOCAL_PARTS.sub(_hidden, _OTHER_SIGNS.sub("@", clean(text, limit=TEXT_LIMIT)))
    for each in own:
        if len(each.local) > 1 and not is_veiled(each.local):
            word = rf"(?<!\w){re.escape(clean(each.local))}(?!\w)"
            shown = re.sub(word, each.local[:1] + GONE, shown, flags=re.IGNORECASE)
    return clean(shown, limit=limit)


def ident_without_addresses(ident: str, own: Iterable[Address] = ()) -> SafeText:
    """Return an id that stays told from others, by a digest where something went; but nobody's own address has one."""
    own = tuple(own)
    shown = without_addresses(ident, own)
    if shown == ident or any(each.local.lower() in ident.lower() for each in own):
        return shown
    return clean(f"{shown}~{hashlib.sha256(ident.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}")


def _hidden(found: "re.Match[str]") -> str:
    word = found[0]
    front = _IN_FRONT.match(word)
    place = front.end() if front and not word.startswith('"') else 0
    if is_veiled(word[place:]):
        return word
    first = word[place : place + 1].replace("*", "")
    return f"{word[:place]}{first}{GONE}" if place < len(word) else GONE
