"""The records of a list in a file, one by one: CSV with a header, JSON lines, or a JSON array, bare or in an object.

Whatever the file holds, only a piece of it is in memory, and a record that cannot be read is told with its line. After
a bad row or a bad line the next one is read; inside a JSON array nobody knows where the next element begins, so a bad
one ends the list.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from attrs import frozen

from policy.text import clean

RECORD_LIMIT = 262_144  # characters of one record
_CHUNK = 65_536
_OVERLONG = "\0over"  # stands for a line that is too long to be read; no text line has it
_BLANK = re.compile(r"[\s,]*")
_FORMULA = ("=", "+", "-", "@", "\t", "'")


@frozen(kw_only=True)
class Record:
    """One record.

    Args:
        line: where it begins, counted from 1.
        fields: what it says, by name; None when there is an error.
        from_csv: its values are all texts.
        error: why it cannot be read; empty when it can.
    """

    line: int
    fields: Mapping[str, Any] | None = None
    from_csv: bool = False
    error: str = ""


class Row(NamedTuple):
    """A row of CSV, as long as its header, before anything is made of it."""

    line: int
    header: tuple[str, ...]
    cells: list[str]

    @property
    def record(self) -> Record:
        """The row as a record; a cell of blanks says nothing."""
        fields = {name: cell for name, cell in zip(self.header, self.cells, strict=True) if cell.strip()}
        return Record(line=self.line, fields=fields, from_csv=True)


def records(stream: BinaryIO, *, inside: str = "") -> Iterator[Record]:
    """Yield the records of `stream`; what form it has is seen from its beginning.

    Args:
        inside: the key under which an object has the array; empty: there is no such object.
    """
    return (each.record if isinstance(each, Row) else each for each in rows_and_records(stream, inside=inside))


def rows_and_records(stream: BinaryIO, *, inside: str = "") -> Iterator[Row | Record]:
    """Yield what `records` does, with rows of CSV as they are, for who knows a shorter way with most of them."""
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
            yield from _rows(chunks)
    finally:
        text.detach()  # the stream is the caller's


def guarded(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: a reply is a stranger's text. `bare` gives it back."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def bare(text: str) -> str:
    """Return what `guarded` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    """The lines with their ends, each in one piece; a line that is too long is never in memory as a whole."""
    rest, overlong = "", False
    for chunk in chunks:
        *ended, rest = (rest + chunk).split("\n")
        for piece in ended:
            yield _OVERLONG if overlong or len(piece) > RECORD_LIMIT else f"{piece}\n"
            overlong = False
        if len(rest) > RECORD_LIMIT:
            rest, overlong = "", True
    if rest or overlong:
        yield _OVERLONG if overlong else rest


def _json_lines(chunks: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(_lines(chunks), start=1):
        if line is _OVERLONG:
            yield Record(line=number, error=_too_long("line"))
        elif line.strip():
            try:
                yield _record(number, json.loads(line))
            except (ValueError, RecursionError) as error:
                yield Record(line=number, error=f"line is not JSON: {clean(str(error), limit=120)}")


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
    too_long = len(held) - at > RECORD_LIMIT
    return _too_long("element") if too_long else "element is not JSON; what follows it is not read"


def _record(line: int, value: object) -> Record:
    if not isinstance(value, dict):
        return Record(line=line, error="record is not a JSON object")
    return Record(line=line, fields=value)


def _rows(chunks: Iterable[str]) -> Iterator[Row | Record]:
    """The rows under the first one, which names the columns; without a name for it a lone column is of addresses."""
    reader = csv.reader(_lines(chunks))
    header: tuple[str, ...] = ()
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(line=line, error=f"row is not CSV: {clean(str(error), limit=120)}")
            continue
        if row == [_OVERLONG]:
            yield Record(line=line, error=_too_long("line"))
        elif not any(row):
            continue
        elif not header:
            lone = len(row) == 1 and "@" in row[0]
            header = ("address",) if lone else tuple(each.strip() for each in row)
            if lone:
                yield Record(line=line, fields={"address": row[0].strip()}, from_csv=True)
        elif len(row) == len(header):
            yield Row(line, header, row)
        else:
            yield Record(line=line, error=f"row has {len(row)} cells where the header has {len(header)}")


def _too_long(noun: str) -> str:
    return f"{noun} is over {RECORD_LIMIT} characters"
