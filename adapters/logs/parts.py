"""The parts of a mail from a stranger: its header fields and its bodies, total over any bytes and bounded.

The standard library reads header fields. It does not read the tree: its parser goes as deep as the sender likes, and
its time grows with depth times length. A delivery report stands at the top of its mail, so the outer levels are cut
at their boundaries here, and what is inside a returned message is never entered.
"""

import binascii
import quopri
import re
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from attrs import field, frozen

HEAD_LIMIT = 65_536  # octets of one header that are read
PARTS_LIMIT = 20  # parts that are read, multiparts included
DEPTH_LIMIT = 5  # multiparts in multiparts
_VALUE_LIMIT = 2_000  # octets of a field whose parameters are read
_BOUNDARY_LIMIT = 250  # RFC 2046 5.1.1 says 70

_HEAD_END = re.compile(rb"\r?\n[ \t]*\r?\n")
_PARSER = BytesParser(policy=compat32)


@frozen
class Part:
    """One part of a mail, or the whole of it.

    Args:
        fields: (name in lower case, value with its line breaks) in their order; text is UTF-8, else Latin-1.
        body: as it was sent; `content` undoes the transfer encoding.
        whole: False when the body ends without the boundary that should end it, so something is missing.
    """

    fields: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    whole: bool = True

    def value(self, name: str) -> str:
        """The first field of this name, unfolded; empty when there is none."""
        return next((" ".join(value.split()) for key, value in self.fields if key == name), "")

    @property
    def type(self) -> str:
        """The media type in lower case; `text/plain` when none is stated."""
        found = re.match(r"[a-z0-9.+-]+/[a-z0-9.+-]+", self.value("content-type").lower())
        return found[0] if found else "text/plain"

    def parameter(self, name: str) -> str:
        """A parameter of the media type; empty when there is none or it cannot be read."""
        shown = Message(policy=compat32)
        shown["content-type"] = self.value("content-type")[:_VALUE_LIMIT]
        try:
            value = shown.get_param(name)
            found = value[2] if isinstance(value, tuple) else value
        except (ValueError, LookupError):  # none is known; but this parser has raised in the past, for odd charsets
            return ""
        return found if isinstance(found, str) else ""

    @property
    def content(self) -> bytes:
        """The body with its transfer encoding undone; what cannot be decoded is as it came."""
        encoding = self.value("content-transfer-encoding").lower()
        if encoding == "base64":
            letters = re.sub(rb"[^A-Za-z0-9+/]", b"", self.body)
            return binascii.a2b_base64(letters[: len(letters) // 4 * 4] + _padded(letters))
        return quopri.decodestring(self.body) if encoding == "quoted-printable" else self.body

    def parts(self) -> Iterator["Part"]:
        """Yield the parts of a multipart, those of inner multiparts in their place; of anything else nothing."""
        levels = [_pieces(self)]
        for _ in range(PARTS_LIMIT):
            while levels and (piece := next(levels[-1], None)) is None:
                levels.pop()
            if not levels or piece is None:
                return
            part = _part(*piece)
            if not part.type.startswith("multipart/"):
                yield part
            elif len(levels) < DEPTH_LIMIT:
                levels.append(_pieces(part))


def read_part(raw: bytes) -> Part:
    """Read header and body; bytes without a header are a body alone."""
    end = _HEAD_END.search(raw)
    fields = read_fields(raw[: end.end()] if end else raw).fields
    if not fields:
        return Part((), raw)
    return Part(fields, raw[end.end() :] if end else b"")


def read_fields(raw: bytes) -> Part:
    """Read a group of header fields that no body follows."""
    found = _PARSER.parsebytes(raw[:HEAD_LIMIT], headersonly=True)
    return Part(tuple((name.lower(), _text(value)) for name, value in found.raw_items()), b"")


def decoded(raw: bytes) -> str:
    """UTF-8, or Latin-1, in which every octet is a character: nobody's charset parameter is believed."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _padded(letters: bytes) -> bytes:
    """The last, incomplete group of base64, padded; a single letter says nothing."""
    rest = letters[len(letters) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _text(value: str) -> str:
    return decoded(value.encode("ascii", "surrogateescape")) if not value.isascii() else value


def _pieces(part: Part) -> Iterator[tuple[bytes, bool]]:
    """Yield what stands between the boundaries of a multipart, and whether a boundary ends it."""
    boundary = part.parameter("boundary").rstrip()
    if not part.type.startswith("multipart/") or not 0 < len(boundary) <= _BOUNDARY_LIMIT:
        return
    line = re.compile(rb"^--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*(?:\r?\n|\Z)", re.M)
    start: int | None = None
    for found in line.finditer(part.body):
        if start is not None:
            yield part.body[start : found.start()], True
        start = found.end()
        if found[1]:
            return
    if start is not None:
        yield part.body[start:], False


def _part(raw: bytes, whole: bool) -> Part:
    # A part may have no header at all: then it starts with the blank line that ends the header (RFC 2046 5.1).
    blank = re.match(rb"[ \t]*\r?\n", raw)
    read = Part((), raw[blank.end() :]) if blank else read_part(raw)
    return Part(read.fields, read.body, whole)
