"""Hypothesis strategies for replies as they come over the wire: realistic ones, hostile ones, and what lies between.

`wire_replies()` are bytes, `text_replies()` are text as out of a log or a JSON line, `parsed_replies()` are what
`policy.reply` makes of them. A reply is put together from codes, statuses, wordings and addresses, each now and then
broken in one of the ways in which servers break it, and then some octets of the whole are changed.
"""

import string
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policy.reply import Reply, parse_reply, reply_from_client

T = TypeVar("T")

BAD_RECIPIENTS = (
    "550 5.1.1 User unknown", "550", "550 Requested action not taken: mailbox unavailable", "550 5.7.1 No such user",
    "553 5.1.3 the address is not well formed", "556 5.1.10 The domain does not accept mail", "550 5.1.2 Host unknown",
    "550 5.2.1 This mailbox is disabled", "452 4.2.2 Mailbox full", "552 5.2.2 is over quota", "552 is over quota",
    "450 4.1.1 User unknown", "450 4.2.1 mailbox busy", "550 5.7.17 another owner", "550 5.7.18 another owner",
    "550 5.4.1 Recipient address rejected", "550 5.5.0 mailbox unavailable", "550 4.1.1 User unknown",
    "577 User unknown",
)  # fmt: skip
TELLING = (
    *BAD_RECIPIENTS, "551 User not local; please try <jo@new.example>", "551 User not local", "250 2.1.5 OK", "250 OK",
    "251 User not local; will forward to <jo@new.example>", "252 will try", "354 go ahead", "421 Too many connections",
    "450 4.7.1 Greylisted, try again in 5 minutes", "550 5.7.1 Blocked by policy", "550 SPF check failed",
    "554 5.7.1 Your IP has a poor reputation", "554 looks like spam to us", "530 Authentication required",
    "421 4.7.0 slow down", "450 5.1.1 User unknown", "250 5.1.1 OK", "499 wait", "577 what is this", "299 so be it",
    "452 4.5.3 Too many recipients", "450 4.2.1 receiving mail at a rate that is too high",
)  # fmt: skip
KNOWN_CODES = (
    "211", "214", "220", "221", "235", "250", "251", "252", "334", "354", "421", "431", "432", "450", "451", "452",
    "454", "455", "500", "501", "502", "503", "504", "521", "523", "525", "530", "534", "535", "538", "541", "550",
    "551", "552", "553", "554", "555", "556", "571",
)  # fmt: skip
BROKEN_CODES = (
    "", "0", "55", "000", "199", "600", "999", "5500", "5a0", "5_5_0", "-550", "+550", " 550", "0550", "5.0", "٥٥٠",
    "５５０", "²50", "550.", "550:", "<550>",
)  # fmt: skip
BROKEN_STATUSES = (
    "#5.1.1", "(#5.1.1)", "[5.1.1]", "5.1.1:", "<5.1.1>", "cuda_nsu 5.1.1", "5.1.1 5.2.2", "5.1.1 5.1.1", "5.01.1",
    "5.1", "5.1.1.1", "5.1.1000", "6.1.1", "3.1.1", "5.1.x", "５.1.1", "5 .1.1", "S5.1.1", "5.1.999",
)  # fmt: skip
PHRASES = (
    "OK", "Queued as 4F2A", "Go ahead, end with a dot", "User not local; will forward to", "User not local; please try",
    "User unknown", "No such user here", "mailbox not found", "Recipient address rejected", "utilisateur inconnu",
    "Empfänger unbekannt", "нет такого пользователя", "用户不存在", "Requested action not taken: mailbox unavailable",
    "This mailbox is disabled", "the account has been suspended", "Mailbox full", "is over quota, come back tomorrow",
    "Message size exceeds our limit", "looks like spam to us", "spam", "A virus was found", "attachment not allowed",
    "Your IP has a poor reputation", "blocked using bl.example", "SPF check failed", "DMARC policy of the sender",
    "no PTR record", "sender address rejected", "the recipient only accepts mail from friends", "Blocked by policy",
    "Relay access denied", "Authentication required", "Too many connections", "Too many recipients",
    "receiving mail at a rate that is too high", "slow down", "Greylisted, try again in 5 minutes", "retry in 00:05:00",
    "try again after 999999 days", "Host unknown", "The domain does not accept mail (nullMX)", "mail loop",
    "Timeout, closing", "Temporary failure, try again later", "command out of order", "must issue a STARTTLS first",
    "550 5.1.1 said another host", "see https://mail.example/help?code=550", "have a nice day", "", " ", "\t",
)  # fmt: skip
HOSTILE_PIECES = (
    "\x00", "\x07", "\x1b[2J", "\x1b]8;;http://x.example\x07", "\x7f", "\x85", "\x9b", "\u200b", "\u202e", "\u2066",
    "\u2028", "\u2029", "\ufeff", "\ud800", "\x0b", "\x0c", "\x1c", "%s%n", "{0}", "<script>", "`", "$(id)", "e\u0301",
    "please try again in 5 minutes " * 30,
)  # fmt: skip
NAMED = (
    "<jo@new.example>", "<spam@blocked.example>", "spam@blocked.example", "<virus@x.example>", "jo@x.example",
    '<"a b"@x.example>', "<@a.example,@b.example:jo@new.example>", "<>", "<jo>", "<jo@>", "<@new.example>",
    "<jo@аpple.example>", "<jo@new.example>\r\nRCPT TO:<mo@new.example>", "<jo@new.example> <mo@new.example>",
    "<a..b@new.example>", '<"x\\"y"@new.example>', "<jo@[192.0.2.1]>", "<jo@[IPv6:2001:db8::1]>", "<%s@new.example>",
    f"<{'a' * 64}@{'b' * 60}.example>", f"<{'a' * 300}@new.example>", "<jo\x00@new.example>", "<JO@NEW.EXAMPLE>",
    "<o'spam@new.example>", "<spam=jo@new.example>", "<../../etc/passwd@new.example>", "<ﾊﾝ@new.example>",
)  # fmt: skip
LINE_ENDS = ("\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\n\r", "")


def often(strategy: SearchStrategy[T], share: int) -> list[SearchStrategy[T]]:
    """Return `share` branches for `st.one_of`, which counts the same branch once only."""
    return [strategy.map(lambda each: each) for _ in range(share)]


_codes = st.one_of(
    *often(st.sampled_from(KNOWN_CODES), 3), st.integers(200, 599).map(str), st.sampled_from(BROKEN_CODES)
)
_stated = st.builds("{}.{}.{}".format, st.sampled_from("245"), st.integers(0, 7), st.integers(0, 32))
_statuses = st.one_of(st.just(""), *often(_stated, 2), st.sampled_from(BROKEN_STATUSES))
_pieces = st.one_of(
    *often(st.sampled_from(PHRASES), 2),
    st.sampled_from(NAMED),
    st.sampled_from(HOSTILE_PIECES),
    st.text(string.printable, max_size=12),
    st.text(max_size=8),
)
_wordings = st.lists(_pieces, max_size=4).map(" ".join)
_marks = st.sampled_from(["-", "-", "-", " ", ""])
_last_marks = st.sampled_from([" ", " ", " ", "-", "", "\t"])
_ends = st.sampled_from(LINE_ENDS)
# One line: what differs from the first line's code and status (None: nothing), the words, the mark, the line end.
_lines = st.tuples(st.none() | _codes, st.none() | _statuses, _wordings, _marks, _ends)
_texts = st.builds(
    lambda code, status, lines, mark: "".join(_line(code, status, each) for each in _marked(lines, mark)),
    _codes,
    _statuses,
    st.lists(_lines, min_size=1, max_size=3),
    _last_marks,
)
_Line = tuple[str | None, str | None, str, str, str]


def _marked(lines: list[_Line], last: str) -> list[_Line]:
    return [*lines[:-1], (*lines[-1][:3], last, lines[-1][4])]


def _line(code: str, status: str, line: _Line) -> str:
    own_code, own_status, words, mark, end = line
    text = " ".join(filter(None, (status if own_status is None else own_status, words)))
    return f"{code if own_code is None else own_code}{mark}{text}{end}"


def wordings() -> SearchStrategy[str]:
    """The text of one line: phrases, addresses, and characters that nobody should send."""
    return _wordings


def text_replies() -> SearchStrategy[str]:
    """A whole reply, code included; mostly of one form, sometimes of several at odds with each other."""
    return _texts


_charsets = st.sampled_from(["utf-8", "utf-8", "utf-8", "latin-1", "utf-16", "big5", "koi8-r"])
_cuts = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.none() | st.binary(max_size=4)), max_size=3)


def mutated(octets: bytes, cuts: list[tuple[float, int, bytes | None]]) -> bytes:
    """Return `octets` changed at some places.

    Args:
        cuts: (where, as a share of the length; how many octets go; what stands there instead, None: they come twice).
    """
    for share, length, instead in cuts:
        start = int(share * len(octets))
        gone = octets[start : start + length]
        octets = octets[:start] + (gone * 2 if instead is None else instead) + octets[start + length :]
    return octets


def _encoded(text: str, charset: str) -> bytes:
    if charset == "utf-8":
        return text.encode("utf-8", "surrogatepass")
    return text.encode(charset, "replace")


_wire = st.one_of(
    st.builds(mutated, st.builds(_encoded, _texts, _charsets), _cuts),
    st.binary(max_size=60),
)


def wire_replies() -> SearchStrategy[bytes]:
    """Octets as a server may send them: in UTF-8 or another charset, and mutated."""
    return _wire


def huge_replies() -> SearchStrategy[bytes]:
    """A megabyte, of one line or of many, of characters that search patterns stumble over."""
    units = [
        b" ",
        b"a",
        b"\xff",
        b"\x00",
        b"@",
        b"<",
        b'"',
        b"a@",
        b'"@',
        b"<a",
        b"550-x\r\n",
        b"\xe2\x80\xae",
        b"5.1.1 ",
    ]
    heads = st.sampled_from([b"", b"550 ", b"550-5.1.1 ", b"251 <"])
    return st.builds(lambda head, unit: (head + unit * 1_000_000)[:1_000_000], heads, st.sampled_from(units))


# Nothing but the status at the start looks like a status, so a text may be split anywhere at a blank.
_plain_words = st.sampled_from(
    [each for each in PHRASES if each.strip() and "5.1.1" not in each]
    + ["<jo@new.example>", "<spam@blocked.example>", "spam@blocked.example", "<jo@x.example>"]
)
_plain = st.builds(
    lambda code, status, words: " ".join([code, *[f"{code[0]}.{status}"] * bool(status and code[0] != "3"), *words]),
    st.sampled_from(KNOWN_CODES),
    st.sampled_from(["", "", "0.0", "1.1", "1.2", "1.10", "2.1", "2.2", "4.1", "5.0", "5.3", "7.1", "7.17", "7.26"]),
    st.lists(_plain_words, max_size=3),
)
_plain_texts = st.one_of(st.sampled_from(TELLING), _plain)


def plain_texts() -> SearchStrategy[str]:
    """One line without a fault in its form, such as `550 5.1.1 User unknown`."""
    return _plain_texts


_parsed = st.one_of(
    *often(_plain_texts.map(parse_reply), 2),
    _texts.map(parse_reply),
    _wire.map(parse_reply),
    st.builds(
        reply_from_client, st.integers(-1, 700) | st.sampled_from(KNOWN_CODES).map(int), st.one_of(_wordings, _wire)
    ),
)


def parsed_replies() -> SearchStrategy[Reply]:
    """What a mailer or a log reader makes of such replies."""
    return _parsed
