"""What a reply's text states beside its meaning: the blocklist, the pages, the codes and the address that it names.

All of it is a stranger's word, for a person to read. A URL is shown and never fetched; nothing here decides. Every
pattern is anchored at the start of a word, or bounded, or gives nothing back (`++`): the time is linear in the text.
(No `+` after a bracket that is repeated: Python before 3.11.5 gets those wrong.)
"""

import re
from enum import Enum
from functools import cache
from ipaddress import ip_address
from itertools import chain, islice

from attrs import field, frozen

from policy.diagnosis.datafile import read_data
from policy.matching import Markers
from policy.text import TEXT_LIMIT, SafeText, clean, searchable

URLS_LIMIT = 3
ADDRESSES_LIMIT = 16  # a reply that names more does not say which of them is listed
URL_LIMIT = 300  # characters; a longer one is left out, since a cut URL is another URL
CODE_LIMIT = 64
SESSION_LIMIT = 200


@frozen(kw_only=True)
class Facts:
    """What a text states; None and () where it states nothing.

    Args:
        blocklist: the name of a `Blocklist`; what is known of it is `shipped_blocklists()[name]`.
        urls: http and https, in the order of the text, at most `URLS_LIMIT`.
        support_code: what the provider's support wants quoted, without the brackets around it.
        session: the provider's own id of this conversation, by which its support finds it in a log.
        listed_ip: the one address that the text says is listed; None also when it names several.
    """

    blocklist: str | None = None
    urls: tuple[SafeText, ...] = ()
    support_code: SafeText | None = None
    session: SafeText | None = None
    listed_ip: str | None = None


class Listed(Enum):
    """What a blocklist lists."""

    IP = "ip"
    DOMAIN = "domain"
    URL = "url"  # a domain in links of the body
    NOBODY = "nobody"  # the receiver asks a list that does not answer it, or that is closed


@frozen(kw_only=True)
class Blocklist:
    """One blocklist. `lookup` and `delisting` are pages for a person; empty when there is none."""

    name: str
    kind: Listed
    markers: tuple[str, ...]
    lookup: str = ""
    delisting: str = ""
    note: str = ""


def read_facts(text: SafeText) -> Facts:
    """Return what a reply's text states; only the first `TEXT_LIMIT` characters are looked at.

    >>> facts = read_facts(clean("Client [192.0.2.1] blocked using zen.spamhaus.org; https://check.spamhaus.org/."))
    >>> facts.blocklist, facts.listed_ip, facts.urls
    ('Spamhaus ZEN', '192.0.2.1', ('https://check.spamhaus.org/',))
    """
    text = clean(text[:TEXT_LIMIT], limit=TEXT_LIMIT)
    conditions = searchable(text)  # a recipient named spamhaus@ is no blocklist
    blocklist = _shipped().named(conditions)
    return Facts(
        blocklist=blocklist.name if blocklist else None,
        urls=_urls(text),
        support_code=_first(_SUPPORT_CODES, text, CODE_LIMIT),
        session=_first(_SESSIONS, text, SESSION_LIMIT),
        listed_ip=_listed_ip(conditions, blocklist),
    )


def shipped_blocklists() -> dict[str, Blocklist]:
    """Return the blocklists that are known, by name, in the order in which they are looked for."""
    return {each.name: each for each in _shipped().lists}


@frozen(eq=False)
class _Blocklists:
    lists: tuple[Blocklist, ...]
    markers: Markers = field(init=False)

    @markers.default
    def _markers(self) -> Markers:
        return Markers(marker for each in self.lists for marker in each.markers)

    def named(self, text: str) -> Blocklist | None:
        """The first, in file order, that a searchable text names."""
        found = self.markers.found(text)
        return next((each for each in self.lists if not found.isdisjoint(each.markers)), None) if found else None


@cache
def _shipped() -> _Blocklists:
    entries = read_data("blocklists.yaml")
    return _Blocklists(
        tuple(
            Blocklist(**{**each, "kind": Listed(each["kind"]), "markers": tuple(each["markers"])}) for each in entries
        )
    )


# ASCII only: a host in another script may look like one it is not.
_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])https?://([A-Za-z0-9._~:@!$&'()*+,;=%\[\]-]++)([/?#][!#-;=?-Z_a-z~\[\]]*+)?",
    re.IGNORECASE | re.ASCII,
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_AUTHORITY = re.compile(
    rf"(?=.{{4,253}}\Z)(?:{_LABEL}\.){{1,8}}(?:[a-z]{{2,24}}|xn--[a-z0-9-]{{1,58}})(?::[0-9]{{1,5}})?"
)
_CLOSING = {")": "(", "]": "["}


def _urls(text: str) -> tuple[SafeText, ...]:
    """Those with a plausible host: a name with a dot in it, no userinfo, no number."""
    urls: dict[str, None] = {}
    for found in islice(_URL.finditer(text), 10 * URLS_LIMIT):
        if len(urls) == URLS_LIMIT:
            break
        if found[2] is None and text[found.end() : found.end() + 1].isalnum():
            continue  # a host that goes on in letters beyond ASCII
        url = _without_trailing_punctuation(found[0])
        authority = re.split(r"[/?#]", url, maxsplit=3)[2:3]
        if len(url) <= URL_LIMIT and authority and _AUTHORITY.fullmatch(authority[0].lower()):
            urls[url] = None
    return tuple(clean(url, limit=URL_LIMIT) for url in urls)


def _without_trailing_punctuation(url: str) -> str:
    """Take off what belongs to the sentence: full stops, quotes, and a bracket that opens outside the URL."""
    end = len(url)
    opened = {closing: url.count(opening) - url.count(closing) for closing, opening in _CLOSING.items()}
    while end and (url[end - 1] in ".,;:!?'*" or opened.get(url[end - 1], 0) < 0):
        if url[end - 1] in opened:
            opened[url[end - 1]] += 1
        end -= 1
    return url[:end]


_START = r"(?<![\w@.+-])"
_END = r"(?![\w@#-]|\.\w)"  # `OFR_506@example.org` and `ib504.example.org` are names, not codes

_SUPPORT_CODES = (
    # In brackets: Yahoo and iCloud `[TS03]`, Outlook.com `(S3150)`, Rackspace `(G8)`, AOL `(RTR:BL)`.
    re.compile(r"\[(?!RFC|UTF|IPV|MX|AS)([A-Z]{2,5}[0-9]{1,4})\]"),
    re.compile(r"\(((?:S|G|AU|ATTR)[0-9]{1,5}|AS[0-9]{7,9}|(?:RTR|RLY|HVU|DYN|CON|DNS):[A-Z0-9]{2})\)"),
    re.compile(
        rf"""{_START}(
          (?:OFR|LPN)[0-9]{{0,4}}_[0-9]{{2,4}}     # Orange, La Poste
        | AUP\#(?:[A-Za-z]{{1,3}}-)?[A-Za-z0-9]{{1,12}}  # Spectrum
        | AS\([0-9]{{3,9}}\)                       # Microsoft 365
        | IB[0-9]{{3}}                             # GoDaddy
        | E[0-9]{{4}}                              # Spectrum
        | (?:RL|DM|BL|ES|PH)[0-9]{{6}}             # Comcast
        | CX(?:BL|CNCT|DNS|MXRT|MXRC|SNDR|THRT)    # Cox
        | VS[0-9]{{1,3}}-[A-Z]{{2}}[0-9]{{0,4}}    # Yahoo Japan
        | (?:RP|DY|SC|OU)-[0-9]{{3}}               # Outlook.com
        | S(?:3[01]|77|80)[0-9]{{2}}               # Outlook.com, bare
        | ATTR(?:[0-9]{{1,3}}|BL)                  # Outlook.com, AT&T
        | ERS-[A-Z]{{3}}                           # Trend Micro
        | (?:DT|MI|HL|RP|CR|DM):[A-Z]{{3}}         # NetEase
        | SBL[0-9]{{3,7}}                          # Spamhaus
        ){_END}""",
        re.VERBOSE,
    ),
    # `Reference: 4711-ab`, `incident id=...`: whatever it is that support asks for.
    re.compile(
        rf"{_START}(?:reference|ref|incident|ticket|case)(?: (?:number|no|id|code))?\.? ?[:#=] ?"
        rf"((?![245]\.)(?=[A-Z_.:-]{{0,40}}[0-9])[A-Z0-9](?:[A-Z0-9_-]|[.:](?=[A-Z0-9])){{3,62}}){_END}",
        re.IGNORECASE | re.ASCII,
    ),
)
_SESSIONS = (
    re.compile(r"(?<!\S)([A-Za-z0-9._-]{5,120}+) - (?:gsmtp|gcdp)\b"),  # Google
    re.compile(r"\[((?=[^\[\] ]{1,160}\.outlook\.com[ \]])[A-Za-z0-9.-]{1,160}+(?: [0-9A-Za-z:.-]{1,40}+){0,3})\]"),
    re.compile(r"\[([A-Za-z0-9_-]{22}\.[a-z]{2}[0-9]{1,4})\]"),  # Mimecast
    re.compile(rf"(?<!\S)queued as ([0-9A-Za-z.-]{{6,60}}+){_END}"),  # Postfix
)


def _first(patterns: tuple[re.Pattern[str], ...], text: str, limit: int) -> SafeText | None:
    found = next(filter(None, (pattern.search(text) for pattern in patterns)), None)
    return clean(found[1], limit=limit) if found else None


_SAYS_LISTED = re.compile(r"\bblock|\bblack ?list|\bdeny ?list|\bdnsbl\b|\brbl\b|\blisted (?:in|on|by|at)\b|\bbanned\b")
_IPV4 = re.compile(r"(?<![\w.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![\w-]|\.\w|/[0-9])")
# Global unicast only: a time of day and `std::list` are no addresses.
_IPV6 = re.compile(r"(?<![\w:.])(?:ipv6:)?([23][0-9a-f]{3}(?:::?[0-9a-f]{1,4}){1,7})(?!:?\w|/[0-9])")


def _listed_ip(text: str, blocklist: Blocklist | None) -> str | None:
    if blocklist is None and not _SAYS_LISTED.search(text):
        return None
    if blocklist is not None and blocklist.kind is not Listed.IP:
        return None
    named: set[str] = set()
    for found in islice(chain(_IPV4.finditer(text), _IPV6.finditer(text)), ADDRESSES_LIMIT):
        try:
            address = ip_address(found[1])
        except ValueError:
            continue
        if not (address.is_loopback or address.is_multicast or address.is_unspecified):  # 127.0.0.2 is a list's answer
            named.add(str(address))
    return named.pop() if len(named) == 1 else None
