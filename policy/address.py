"""Mail addresses: local part and domain, and the key under which all we know of one is kept.

The key folds ASCII case in the local part and nothing else (an unsubscribe of Jo@ must bind jo@, but a.b@ is not
ab@, and a+x@ is not a@: another person's bounce must not suppress you), and holds the domain as lower-case IDNA 2008
A-labels.
"""

import re
from collections.abc import Sequence
from typing import Literal

from attrs import field, frozen

from policy.text import clean

LOCAL_PART_LIMIT = 64  # octets, RFC 5321 4.5.3.1.1
DOMAIN_LIMIT = 255  # octets, RFC 5321 4.5.3.1.2

NULL_SENDER: Literal[""] = ""  # the null reverse-path `<>`: bounces and other mail that must not be answered

# Characters by what they are not, so that all beyond ASCII are in (RFC 6531 3.3); the local part must be printable too.
_QUOTED_STRING = r'"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*"'
_ATEXT = r'[^\x00-\x20\x7f"(),.:;<>@\[\\\]]'
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
_LENIENT_DOT_STRING = rf"(?:{_ATEXT}|\.)+"  # a..b@ and a.@ exist in the wild, though no RFC allows them
_LITERAL = re.compile(r"\[(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|IPv6:[0-9A-Fa-f:.]{2,45})\]", re.IGNORECASE)
_LABELS = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
_STRICT_LOCAL = re.compile(rf"{_DOT_STRING}|{_QUOTED_STRING}")
_LENIENT_LOCAL = re.compile(rf"{_LENIENT_DOT_STRING}|{_QUOTED_STRING}")
_LDH = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"  # RFC 5890 2.3.1; no name at the top is a number (RFC 3696 2)
_NAMED = re.compile(rf"(?:{_LDH}\.)+(?![0-9]+\Z){_LDH}")
# What nearly all addresses are: no quotes, no literal, no letter beyond ASCII; `plain_key` needs nothing else.
_PLAIN = re.compile(
    rf"[a-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,{LOCAL_PART_LIMIT}}}@(?=.{{1,{DOMAIN_LIMIT}}}\Z)(?:{_LABELS.pattern})"
)
# The same on lines of no more than `LOCAL_PART_LIMIT`, which keep all limits; no way to match a line but one. No group
# is possessive: Python 3.11.2 then takes in what its failed turn had matched.
_PLAIN_LINES = re.compile(
    r"(?:[a-z0-9!#$%&'*+/=?^_`{|}~.-]++@[a-z0-9_]++(?:-++[a-z0-9_]++)*(?:\.[a-z0-9_]++(?:-++[a-z0-9_]++)*)*\n)*"
)
_ASCII_UPPER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@frozen
class Address:
    """A mailbox as RFC 5321 4.1.2 writes it, without brackets. Make one with `parse_address`.

    Args:
        local: the local part as given, quotes included.
        domain: lower-case A-labels without a trailing dot, or an address literal in brackets.
    """

    local: str
    domain: str
    key: str = field(init=False, eq=False, repr=False)

    @key.default
    def _key(self) -> str:
        return f"{self.local.translate(_ASCII_UPPER)}@{self.domain}"

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def parse_address(text: str, *, strict: bool = False) -> Address:
    """Read `jo@example.org` or `<jo@example.org>`.

    Args:
        strict: by the letter of RFC 5321 (an address that a stranger names); otherwise dots may stand anywhere in
            the local part, since such mailboxes exist.

    Raises:
        ValueError: with one line that says what is wrong; the text in it is cleaned.

    >>> parse_address("Jo.Doe@Bücher.Example").key
    'jo.doe@xn--bcher-kva.example'
    """
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise ValueError(f"`{clean(text, limit=80)}` is not a mail address: a local part, `@` and a domain are needed")
    if len(local.encode("utf-8", "replace")) > LOCAL_PART_LIMIT:
        raise ValueError(f"local part of `{clean(text, limit=80)}` is over {LOCAL_PART_LIMIT} octets")
    if not (_STRICT_LOCAL if strict else _LENIENT_LOCAL).fullmatch(local) or not local.isprintable():
        raise ValueError(f"local part of `{clean(text, limit=80)}` has characters that need quotes or are not allowed")
    return Address(local, parse_domain(domain))


def plain_key(text: str) -> str | None:
    """Return `parse_address(text).key` where that is no more than lower case, at a tenth of the time; None elsewhere.

    >>> plain_key("Jo.Doe@Example.ORG")
    'jo.doe@example.org'
    """
    if not text.isascii():  # beyond ASCII, lower case is another thing: the Kelvin sign is no k
        return None
    key = text.lower()
    return key if _PLAIN.fullmatch(key) else None


def plain_keys(texts: Sequence[str]) -> Sequence[str] | None:
    """Return `plain_key` of each, at a tenth of its time; None when that is None of one, or cannot be said so fast.

    >>> plain_keys(["Jo@Example.ORG", "bo@example.org"])
    ['jo@example.org', 'bo@example.org']
    """
    lines = "\n".join([*texts, ""])
    if not lines.isascii() or max(map(len, texts), default=0) > LOCAL_PART_LIMIT:
        return None
    keys = lines.lower()
    if keys.count("\n") != len(texts) or not _PLAIN_LINES.fullmatch(keys):
        return None
    return keys.split("\n")[:-1]


def parse_domain(text: str) -> str:
    """Return `text` as lower-case A-labels without a trailing dot, or a literal such as `[192.0.2.1]`.

    Raises:
        ValueError: with one line that says what is wrong.
    """
    if _LITERAL.fullmatch(text):
        return text.lower()
    name = text.removesuffix(".")
    shown = clean(text, limit=80)
    if not name.isascii():
        import idna  # 20 ms, and seldom needed

        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError, IndexError) as error:
            why = str(error).partition(" in '")[0]  # the text is shown already, and not as Python writes it
            raise ValueError(f"`{shown}` is not a domain: {clean(why, limit=80)}") from None
    name = name.lower()
    if len(name) > DOMAIN_LIMIT or not _LABELS.fullmatch(name):
        raise ValueError(f"`{shown}` is not a domain")
    return name


def parse_bare_domain(text: str) -> str:
    """Return `parse_domain(text)` of a word that nothing but its form shows to be a domain: not every word is one.

    It has a dot, labels of letters, digits and hyphens, and no number for a top-level domain; or it is a literal.

    Raises:
        ValueError: with one line that says what is wrong.

    >>> parse_bare_domain("junk")
    Traceback (most recent call last):
    ValueError: `junk` is neither a mail address nor a domain with a dot
    """
    name = parse_domain(text)
    if name.startswith("["):
        return name
    shown = clean(text, limit=80)
    if "." not in name:
        raise ValueError(f"`{shown}` is neither a mail address nor a domain with a dot")
    if not _NAMED.fullmatch(name) or not all(map(_is_encoded, name.split("."))):
        raise ValueError(f"`{shown}` is not a domain")
    return name


def _is_encoded(label: str) -> bool:
    """Is it plain, or Punycode (RFC 3492) as its beginning says?"""
    if not label.startswith("xn--"):
        return True
    try:
        return not label.removeprefix("xn--").encode().decode("punycode").isascii()
    except ValueError:
        return False
