"""The rows of CSV under a header, a chunk of the file at once where each of its lines is a row.

Reading a row at a time costs several times what splitting it does. So a chunk in which every line is a row by the
letter of RFC 4180 comes as one `Rows`; any other (a cell of several lines, a stray quote) is read row by row.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from attrs import frozen

from policy.text import clean

RECORD_LIMIT = 262_144  # characters of one record
OVERLONG = "\0over"  # stands for a line that is too long to be read; no text line has it

# A cell in quotes, or a quoted local part as it stands (in CSV its quotes would be doubled), or a bare cell.
_CELL = re.compile(r'"(?:[^"]|"")*+"(?=,|\Z)|(?P<quoted>"(?:[^"\\]|\\.)*+"@[^",]*+)|[^",]*+')


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


class Header(NamedTuple):
    """The first row, which names the columns of those that follow."""

    line: int
    names: tuple[str, ...]

    def record(self, line: int, cells: Sequence[str]) -> Record:
        """A row under it as a record; a cell of blanks says nothing."""
        fields = {name: said for name, cell in zip(self.names, cells, strict=True) if (said := cell.strip())}
        return Record(line=line, fields=fields, from_csv=True)


class Rows(NamedTuple):
    """Rows on lines that follow each other, each as long as the header; those of empty cells alone are no records."""

    line: int
    cells: list[list[str]]


def rows(chunks: Iterable[str]) -> Iterator[Header | Rows | Record]:
    """Yield the header, the rows under it, and a record for each row that cannot be read."""
    lines = _Lines(chunks)
    header: Header | None = None
    while chunk := lines.chunk():
        first = lines.number + 1
        cells = _each_a_row(chunk)
        if cells is None:
            found: Iterable[tuple[int, list[str] | str]] = _one_by_one(lines)
        else:
            lines.skip()
            if header is not None and [*map(len, cells)].count(len(header.names)) == len(cells):
                yield Rows(first, cells)
                continue
            found = enumerate(cells, first)
        for line, row in found:
            if not any(row):
                continue
            if header is None and not isinstance(row, str) and row != [OVERLONG]:
                header = Header(line, tuple(each.strip() for each in row))
                yield header
            else:
                yield _under(header, line, row)


def _under(header: Header | None, line: int, row: list[str] | str) -> Rows | Record:
    if isinstance(row, str):
        return Record(line=line, error=row)
    if row == [OVERLONG]:
        return Record(line=line, error=too_long("line"))
    width = len(header.names) if header is not None else 0
    if len(row) == width:
        return Rows(line, [row])
    return Record(line=line, error=f"row has {len(row)} cells where the header has {width}")


def _each_a_row(lines: list[str]) -> list[list[str]] | None:
    """Return the rows if each line is one, all by the letter; None otherwise."""
    if lines[0] is OVERLONG:
        return None
    try:
        cells = list(csv.reader(lines, strict=True))
    except csv.Error:
        return None
    return cells if len(cells) == len(lines) else None


def _one_by_one(lines: "_Lines") -> Iterator[tuple[int, list[str] | str]]:
    """Yield rows, or what is wrong with one, until one ends where a chunk does."""
    first = 0
    # Within a cell of several lines the same signs mean something else.
    reader = csv.reader(_requoted(line) if lines.number == first else line for line in lines)
    while not lines.is_between:
        first = lines.number + 1
        try:
            yield first, next(reader)
        except csv.Error as error:
            yield first, f"row is not CSV: {clean(str(error), limit=120)}"


def _requoted(line: str) -> str:
    """The line with the quotes of quoted local parts as CSV has them."""
    if '"@' not in line:
        return line
    text, cells, at = line.rstrip("\r\n"), [], 0
    while found := _CELL.match(text, at):
        cell, at = found[0], found.end()
        cells.append('"' + cell.replace('"', '""') + '"' if found["quoted"] else cell)
        if at == len(text):
            return ",".join(cells) + "\n"
        if text[at] != ",":
            break
        at += 1
    return line


class _Lines(Iterator[str]):
    """Lines one by one, with their ends, or all that are left of a chunk; `number` are read."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = line_chunks(chunks)
        self._chunk: list[str] = []
        self._at = 0
        self.number = 0

    def __next__(self) -> str:
        if self.is_between:
            self._chunk, self._at = next(self._chunks), 0
        self._at += 1
        self.number += 1
        return f"{self._chunk[self._at - 1]}\n"

    @property
    def is_between(self) -> bool:
        """Is a chunk read to its end?"""
        return self._at == len(self._chunk)

    def chunk(self) -> list[str]:
        """Return the next chunk, of which none is read yet; empty at the end."""
        self._chunk, self._at = next(self._chunks, []), 0
        return self._chunk

    def skip(self) -> None:
        """Count the lines of the chunk as read."""
        self.number += len(self._chunk) - self._at
        self._at = len(self._chunk)


def line_chunks(chunks: Iterable[str]) -> Iterator[list[str]]:
    """Yield the lines that end in each chunk, without their ends; an overlong one is never in memory as a whole."""
    rest, overlong = "", False
    for chunk in chunks:
        *ended, rest = (rest + chunk).split("\n")
        if ended:
            if overlong or len(ended[0]) > RECORD_LIMIT:
                ended[0], overlong = OVERLONG, False
            yield ended
        if len(rest) > RECORD_LIMIT:
            rest, overlong = "", True
    if rest or overlong:
        yield [OVERLONG if overlong else rest]


def too_long(noun: str) -> str:
    """Say that a record is over the limit."""
    return f"{noun} is over {RECORD_LIMIT} characters"
