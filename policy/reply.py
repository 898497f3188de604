"""What the remote MTA answered: bytes or text in, a `Reply` out, never an exception.

Theory (RFC 5321 4.2, RFC 2034, RFC 3463). A reply is one or more lines, each a three-digit code, `-` (more lines
follow) or a blank (the last), and text; all codes are equal. With ENHANCEDSTATUSCODES the text of each line starts
with the same `class.subject.detail`, and its class is the first digit of the code. Servers break each of these
sentences, so each break is a `Flaw`, a fact that is kept, and these decide:

- the code of the last line wins (as in Postfix), and a code wins over an enhanced status of another class, which
  then counts as `X.0.0` (RFC 2034 4 forbids the mismatch, Postfix reads it so);
- on the wire only CRLF ends a line; text from JSON or a command line may also use LF;
- digits are ASCII digits; a first digit outside 2-5, or no code at all, is `code=None`: a protocol error that says
  nothing about the recipient.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import AnyStr, Self

from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, instance_of, le, optional

from policy.text import LINE_LIMIT, LINES_LIMIT, TEXT_LIMIT, SafeText, clean, searchable

_BYTES_LIMIT = 4 * TEXT_LIMIT


class Flaw(Enum):
    """Something about the form of a reply that the standards do not allow; the reply is a value all the same."""

    NO_CODE = "no-code"
    CODE_OUT_OF_RANGE = "code-out-of-range"
    CODES_DIFFER = "codes-differ"
    LINE_WITHOUT_CODE = "line-without-code"
    UNTERMINATED = "unterminated"
    BARE_LINE_BREAK = "bare-line-break"
    NOT_UTF8 = "not-utf-8"
    CLEANED = "cleaned"
    TRUNCATED = "truncated"
    CLASS_MISMATCH = "class-mismatch"
    ENHANCED_DIFFER = "enhanced-differ"
    OUT_OF_STEP = "out-of-step"  # bytes came that no command had asked for: the verdict is void (SMTP smuggling)


_VOID = frozenset({Flaw.NO_CODE, Flaw.CODE_OUT_OF_RANGE, Flaw.OUT_OF_STEP})


@frozen(order=True, repr=False)
class EnhancedStatus:
    """`class.subject.detail` of RFC 3463, e.g. 5.1.1."""

    klass: int = field(validator=and_(instance_of(int), ge(2), le(5)))
    subject: int = field(validator=and_(instance_of(int), ge(0), le(999)))
    detail: int = field(validator=and_(instance_of(int), ge(0), le(999)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `5.1.1`; raises ValueError for anything else."""
        found = _STATUS.fullmatch(text)
        if found is None:
            raise ValueError(f"`{clean(text, limit=40)}` is not an enhanced status such as 5.1.1")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.klass}.{self.subject}.{self.detail}"

    def __repr__(self) -> str:
        return f"EnhancedStatus({self})"


@frozen
class Reply:
    """What the remote MTA answered.

    Args:
        code: 200-599; None when the reply had no code or one whose first digit is not 2-5.
        lines: the text of each line, cleaned and capped, without code and enhanced status.
        stated: the enhanced status as the server wrote it, None when it sent none. `enhanced` is what counts.
        flaws: what was wrong with the form, in the order of `Flaw`.
        text: all lines in one, joined by blanks.
        searchable: what conditions see of it, see `policy.text.searchable`.
    """

    code: int | None = field(validator=optional(and_(instance_of(int), ge(200), le(599))))
    lines: tuple[SafeText, ...] = field(default=(), validator=deep_iterable(instance_of(SafeText)))
    stated: EnhancedStatus | None = None
    flaws: tuple[Flaw, ...] = ()
    text: SafeText = field(init=False, eq=False, repr=False)
    searchable: str = field(init=False, eq=False, repr=False)

    @text.default
    def _joined(self) -> SafeText:
        return clean(" ".join(self.lines), limit=TEXT_LIMIT)

    @searchable.default
    def _folded(self) -> str:
        return searchable(self.text)

    @property
    def klass(self) -> int | None:
        """The first digit of the code: 2, 3, 4 or 5; None when there is no code."""
        return None if self.code is None else self.code // 100

    @property
    def is_void(self) -> bool:
        """Nobody can tell what was answered: there is no code, or bytes came out of step."""
        return self.code is None or not _VOID.isdisjoint(self.flaws)

    @property
    def enhanced(self) -> EnhancedStatus | None:
        """The enhanced status that counts: X.0.0 of the code's class where the server stated another class."""
        if self.stated is None or self.klass in (None, self.stated.klass):
            return self.stated
        return EnhancedStatus(self.klass, 0, 0) if self.klass != 3 else None  # RFC 2034 4: none in 3yz

    def __str__(self) -> str:
        """The reply on one line, safe to print: code, enhanced status as stated, text."""
        return " ".join(str(part) for part in (self.code, self.stated, self.text) if part not in (None, ""))


def parse_reply(raw: bytes | str) -> Reply:
    r"""Read a whole reply, code included, as it came over the wire (bytes) or out of a file (text).

    Text may separate lines by LF; bytes only by CRLF, a bare CR or LF among them is a flaw. Total: any input gives
    a Reply, in time linear in the first 32 kB; the rest is not looked at.

    >>> parse_reply(b"550-5.1.1 The account\r\n550 5.1.1 does not exist\r\n")
    Reply(code=550, lines=('The account', 'does not exist'), stated=EnhancedStatus(5.1.1), flaws=())
    >>> parse_reply("hello").code is None
    True
    """
    flaws: set[Flaw] = set()
    if len(raw) > _BYTES_LIMIT:
        raw = raw[:_BYTES_LIMIT]
        flaws.add(Flaw.TRUNCATED)
    lines = _wire_lines(raw, flaws) if isinstance(raw, bytes) else _bounded(re.split(r"\r?\n", raw.strip()), flaws)
    codes: list[int | None] = []
    texts: list[str] = []
    last_mark: str | None = None
    for line in lines:
        found = _REPLY_LINE.match(line)
        codes.append(int(found[1]) if found else None)
        texts.append(line[found.end() :] if found else line)
        last_mark = found[2] if found else last_mark
    if last_mark == "-":
        flaws.add(Flaw.UNTERMINATED)
    return _reply(codes, texts, flaws)


def reply_from_client(code: int, message: bytes | str) -> Reply:
    r"""Build a Reply from what a Python SMTP client hands out: the code, and the text of all lines joined by LF.

    A code outside 200-599 (smtplib says -1 for what it cannot read) becomes None.

    >>> str(reply_from_client(251, b"User not local; will forward to <jo@new.example>"))
    '251 User not local; will forward to <jo@new.example>'
    """
    flaws: set[Flaw] = set()
    raw = message[:_BYTES_LIMIT]
    text = _decode(raw, flaws) if isinstance(raw, bytes) else raw
    if len(message) > _BYTES_LIMIT:
        flaws.add(Flaw.TRUNCATED)
    lines = re.split(r"\r?\n", text)
    return _reply([code] * len(lines), lines, flaws)


# One line: three ASCII digits, then "-", a blank or the end. Any three digits are read; the range is judged later.
_REPLY_LINE = re.compile(r"([0-9]{3})(?:([- \t])|\Z)")
_NUMBER = r"(0|[1-9][0-9]{0,2})"  # no leading zero (RFC 3463 2)
_STATUS = re.compile(rf"([245])\.{_NUMBER}\.{_NUMBER}")
_END = r"(?!\.?[0-9])"  # not 5.1.1.1, which is an address or a version
# At the start of the text: `5.1.1 text`, `(#5.1.1) text`, `#5.1.0 text`, `[5.1.1]: text`; or after one word
# (`cuda_nsu 5.1.1 text`).
_LEADING = re.compile(rf"\s*(\S{{1,40}}\s+)??[(\[<]?#?{_STATUS.pattern}{_END}[)\]>]?(?:[:;,](?=\s|\Z))?(?=\s|\Z)")
# qmail's form, anywhere: `nobody of that name lives here. (#5.1.1)`
_HASHED = re.compile(rf"\(?#{_STATUS.pattern}{_END}\)?")


def _reply(codes: Sequence[int | None], texts: Sequence[str], flaws: set[Flaw]) -> Reply:
    """Judge the codes, take the enhanced status off each line, clean and cap what is left."""
    if len(texts) > LINES_LIMIT:
        flaws.add(Flaw.TRUNCATED)
    given = [code for code in codes if code is not None]
    code = given[-1] if given else None
    if code is None:
        flaws.add(Flaw.NO_CODE)
    elif not 200 <= code <= 599:
        code = None
        flaws.add(Flaw.CODE_OUT_OF_RANGE)
    if len(set(given)) > 1:
        flaws.add(Flaw.CODES_DIFFER)
    if given and len(given) < len(codes):
        flaws.add(Flaw.LINE_WITHOUT_CODE)
    stated: EnhancedStatus | None = None
    lines: list[SafeText] = []
    room = TEXT_LIMIT
    for text in texts[:LINES_LIMIT]:
        status, rest = _take_status(text)
        if status and stated and status != stated:
            flaws.add(Flaw.ENHANCED_DIFFER)
        stated = stated or status
        line = clean(rest, limit=min(LINE_LIMIT, room))
        if len(rest) > LINE_LIMIT or len(rest) > room:
            flaws.add(Flaw.TRUNCATED)
        if not rest.isprintable() and "".join(rest.split()) != "".join(line.split()):
            flaws.add(Flaw.CLEANED)
        if line:
            room = max(0, room - len(line) - 1)
            lines.append(line)
    if stated and code and stated.klass != code // 100:
        flaws.add(Flaw.CLASS_MISMATCH)
    return Reply(code, tuple(lines), stated, tuple(flaw for flaw in Flaw if flaw in flaws))


def _take_status(text: str) -> tuple[EnhancedStatus | None, str]:
    """Return the enhanced status that the line's text states, and the text without it."""
    head = text[:LINE_LIMIT]
    if found := _LEADING.match(head):
        word, *numbers = found.groups()
        return EnhancedStatus(*map(int, numbers)), (word or "") + text[found.end() :].lstrip()
    if found := _HASHED.search(head):
        return EnhancedStatus(*map(int, found.groups())), text[: found.start()] + text[found.end() :]
    return None, text


def _bounded(lines: list[AnyStr], flaws: set[Flaw]) -> list[AnyStr]:
    """Keep the first lines and the last one, which has the code that counts."""
    if len(lines) <= LINES_LIMIT:
        return lines
    flaws.add(Flaw.TRUNCATED)
    return lines[: LINES_LIMIT - 1] + lines[-1:]


def _wire_lines(raw: bytes, flaws: set[Flaw]) -> list[str]:
    lines = raw.split(b"\r\n")
    if lines[-1] == b"" and len(lines) > 1:
        lines.pop()
    lines = _bounded(lines, flaws)
    if any(b"\n" in line or b"\r" in line for line in lines):
        flaws.add(Flaw.BARE_LINE_BREAK)
    return [_decode(line, flaws) for line in lines]


def _decode(raw: bytes, flaws: set[Flaw]) -> str:
    """UTF-8 (RFC 6531 3.7.4.1); what is not is read as Latin-1, in which every byte is a character."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start >= len(raw) - 3 > 0:
            return raw[: error.start].decode("utf-8")  # our own cap went through a character
        flaws.add(Flaw.NOT_UTF8)
        return raw.decode("latin-1")
