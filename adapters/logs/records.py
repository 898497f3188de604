"""The records of a list in a file, one by one: CSV with a header, JSON lines, or a JSON array, bare or in an object.

Whatever the file holds, only a piece of it is in memory, and a record that cannot be read is told with its line. After
a bad row or a bad line the next one is read; inside a JSON array nobody knows where the next element begins, so a bad
one ends the list.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

from adapters.logs.csv_rows import OVERLONG, RECORD_LIMIT, Header, Record, Rows, line_chunks, rows, too_long
from policy.contract.mistake import not_json

_CHUNK = 65_536
_BLANK = re.compile(r"[\s,]*")
_FORMULA = ("=", "+", "-", "@", "\t", "'")


def records(stream: BinaryIO, *, inside: str = "") -> Iterator[Record]:
    """Yield the records of `stream`; what form it has is seen from its beginning.

    Args:
        inside: the key under which an object has the array; empty: there is no such object.
    """
    header = Header(0, ())
    for each in pieces(stream, inside=inside):
        match each:
            case Header():
                header = each
            case Rows():
                numbered = enumerate(each.cells, each.line)
                yield from (header.record(line, cells) for line, cells in numbered if any(cells))
            case _:
                yield each


def pieces(stream: BinaryIO, *, inside: str = "") -> Iterator[Header | Rows | Record]:
    """Yield what `records` does, with rows of CSV as they are, for who knows a shorter way with most of them.

    Rows of nothing but blank cells are no records; they may be among `Rows`.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        head = text.read(_CHUNK)
        chunks = chain([head], iter(lambda: text.read(_CHUNK), ""))
        wrapped = re.search(rf'"{re.escape(inside)}"\s*:\s*\[', head) if inside else None
        start = head.lstrip()[:1]
        if start == "[":
            yield from _elements(chunks, head.index("[") + 1)
        elif start == "{" and wrapped:
            yield from _elements(chunks, wrapped.end())
        elif start == "{":
            yield from _json_lines(chunks)
        else:
            yield from rows(chunks)
    finally:
        text.detach()  # the stream is the caller's


def guarded(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: a reply is a stranger's text. `bare` gives it back."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def bare(text: str) -> str:
    """Return what `guarded` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _json_lines(chunks: Iterable[str]) -> Iterator[Record]:
    lines = chain.from_iterable(line_chunks(chunks))
    for number, line in enumerate(lines, start=1):
        if line is OVERLONG:
            yield Record(line=number, error=too_long("line"))
        elif line.strip():
            try:
                yield _record(number, json.loads(line))
            except (ValueError, RecursionError) as error:
                yield Record(line=number, error=f"line is not JSON: {not_json(error)}")


def _elements(chunks: Iterator[str], start: int) -> Iterator[Record]:
    """The elements of an array that begins at `start` of the first chunk, up to its end or its first bad element."""
    decoder, held = json.JSONDecoder(), next(chunks)
    line, at = 1 + held.count("\n", 0, start), start
    while True:
        after = _end_of_blank(held, at)
        line, at = line + held.count("\n", at, after), after
        if held[at : at + 1] == "]":
            return
        try:
            value, end = decoder.raw_decode(held, at)
        except (ValueError, RecursionError) as error:
            more = next(chunks, "") if len(held) - at <= RECORD_LIMIT and not isinstance(error, RecursionError) else ""
            if not more:
                yield Record(line=line, error=_broken(held, at))
                return
            held, at = held[at:] + more, 0
            continue
        yield _record(line, value)
        line, at = line + held.count("\n", at, end), end


def _end_of_blank(held: str, at: int) -> int:
    found = _BLANK.match(held, at)
    return found.end() if found else at


def _broken(held: str, at: int) -> str:
    if at == len(held):
        return "the file ends before its list does"
    return too_long("element") if len(held) - at > RECORD_LIMIT else "element is not JSON; what follows it is not read"


def _record(line: int, value: object) -> Record:
    if not isinstance(value, dict):
        return Record(line=line, error="record is not a JSON object")
    return Record(line=line, fields=value)
