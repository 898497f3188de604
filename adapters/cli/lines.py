"""JSON lines from a file or a pipe, in groups of what is there: who waits for an answer never has to send more."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from attrs import frozen

from adapters.cli.common import UNAVAILABLE, fail, safe
from policy.contract.mistake import not_json

LINE_LIMIT = 1_000_000  # octets
_CHUNK = 65536


@frozen
class Line:
    """One line of input.

    Args:
        number: counted from 1.
        document: what the JSON says; None when there is an error.
        error: why the line cannot be used; None when it can.
    """

    number: int
    document: Any = None
    error: str | None = None

    @property
    def id(self) -> str | None:
        """The caller's id, where the line has one that is a string."""
        given = self.document.get("id") if isinstance(self.document, dict) else None
        return given if isinstance(given, str) else None

    def complaint(self, error: str) -> dict[str, Any]:
        """What is printed in the line's place."""
        return {"id": self.id, "line": self.number, "error": error}


def open_lines(path: str) -> BinaryIO:
    """Open a file, `-` for standard input; raises OSError."""
    return open(0, "rb", closefd=False) if path == "-" else Path(path).open("rb")


def groups_of(path: str) -> Iterator[list[Line]]:
    """Yield the lines of a file in groups; ends the command when it cannot be read."""
    try:
        with open_lines(path) as stream:
            yield from groups(stream)
    except OSError as error:
        fail(UNAVAILABLE, f"`{safe(path)}` cannot be read: {error.strerror or error}")


def groups(stream: BinaryIO) -> Iterator[list[Line]]:
    """Yield the lines as they come, as many at once as the stream holds ready; blank ones are passed over."""
    rest, number, overlong = b"", 0, False
    while True:
        chunk = stream.read1(_CHUNK) if isinstance(stream, io.BufferedReader) else stream.read(_CHUNK)
        pieces = (rest + chunk).split(b"\n")
        rest = pieces.pop() if chunk else b""
        group: list[Line] = []
        for piece in pieces:
            number += 1
            if overlong or len(piece) > LINE_LIMIT:
                group.append(Line(number, error=f"line is over {LINE_LIMIT} octets"))
                overlong = False
            elif piece.strip():
                group.append(_line(number, piece))
        if len(rest) > LINE_LIMIT:
            rest, overlong = b"", True
        if group:
            yield group
        if not chunk:
            return


def _line(number: int, piece: bytes) -> Line:
    try:
        return Line(number, json.loads(piece.decode("utf-8-sig")))
    except UnicodeDecodeError:
        return Line(number, error="line is not UTF-8")
    except (ValueError, RecursionError) as error:
        return Line(number, error=f"line is not JSON: {not_json(error)}")
