"""Entries in the order of their targets, however many: sorted pieces on disk, read side by side.

A store keeps entries in the order of their targets. In that order an import writes each page of the store once; in
any other it writes a page for nearly every entry once the store is larger than what is in memory (measured at two
millions: 16 times slower).

Each entry is one text while it is sorted, its target first: no objects that Python's garbage collector would look at
again and again.
"""

import pickle
from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import repeat
from tempfile import TemporaryFile
from typing import IO

from adapters.stores.cells import micros, moment
from policy.alike import Alike, Mould

IN_MEMORY = 250_000  # entries, some 40 MB
_BLOCK = 1_000  # entries of one piece that are read at once
_TIMES = 100_000  # that are remembered


def by_target(entries: Iterable[Sequence[Alike]]) -> Generator[list[Alike], None, None]:
    """Yield the entries by target, some at a time; those of one target in the order in which they came."""
    texts = _Texts()
    with ExitStack() as files:
        pieces: list[Iterator[list[str]]] = []
        piece: list[str] = []
        for some in entries:
            piece += texts.of(some)
            if len(piece) >= IN_MEMORY:
                piece.sort()
                pieces.append(_stored(piece, files.enter_context(TemporaryFile())))
                piece = []
        piece.sort()
        pieces.append(piece[start : start + _BLOCK] for start in range(0, len(piece), _BLOCK))
        for together in _merged(pieces):
            yield texts.entries(together)


def _merged(pieces: Iterable[Iterator[list[str]]]) -> Iterator[list[str]]:
    """Yield what the blocks of all pieces hold, in order: each time all up to where the first block in memory ends."""
    open_pieces = [(block, piece) for piece in pieces if (block := next(piece, []))]
    while open_pieces:
        limit = min(block[-1] for block, _ in open_pieces)
        together: list[str] = []
        left = []
        for block, piece in open_pieces:
            cut = bisect_right(block, limit)
            together += block[:cut]
            rest = block[cut:] or next(piece, [])
            if rest:
                left.append((rest, piece))
        together.sort()  # of a few runs that are sorted: Python sees them
        yield together
        open_pieces = left


def _stored(piece: list[str], file: IO[bytes]) -> Iterator[list[str]]:
    """Write a piece down; return it as it is read again, a block at a time."""
    for start in range(0, len(piece), _BLOCK):
        pickle.dump("\n".join(piece[start : start + _BLOCK]), file, protocol=5)
    return _read(file, -(-len(piece) // _BLOCK))


def _read(file: IO[bytes], blocks: int) -> Iterator[list[str]]:
    file.seek(0)
    for _ in range(blocks):
        yield pickle.load(file).split("\n")  # noqa: S301 - our own file, which nobody else can open


class _Texts:
    """Entries as texts in whose order they are: target, number of the entry, line, number of the mould, time.

    No target has a control character; a NUL after it sorts `jo@x.org` before `jo@x.org.example`.
    """

    def __init__(self) -> None:
        self._count = 0
        self._moulds: list[Mould] = []
        self._numbers: dict[Mould, int] = {}
        self._times: dict[str, datetime] = {}

    def of(self, entries: Sequence[Alike]) -> Iterable[str]:
        """Return the texts of entries that come after all former ones."""
        targets, sinces, lines, moulds = zip(*entries, strict=True)
        for each in set(moulds).difference(self._numbers):
            self._numbers[each] = len(self._moulds)
            self._moulds.append(each)
        times = {each: micros(each) for each in set(sinces)}
        numbers = range(self._count, self._count + len(entries))
        self._count += len(entries)
        rest = lines, map(self._numbers.__getitem__, moulds), map(times.__getitem__, sinces)
        return map("%s\0%015d\0%d\0%d\0%d".__mod__, zip(targets, numbers, *rest, strict=True))

    def entries(self, texts: Sequence[str]) -> list[Alike]:
        """Return the entries of texts."""
        parts = "\0".join(texts).split("\0")
        targets, lines, moulds, times = parts[::5], map(int, parts[2::5]), map(int, parts[3::5]), parts[4::5]
        if len(self._times) + len(times) > _TIMES:
            self._times.clear()
        self._times.update((each, moment(int(each))) for each in set(times).difference(self._times))
        sinces = map(self._times.__getitem__, times)
        columns = zip(targets, sinces, lines, map(self._moulds.__getitem__, moulds), strict=True)
        return list(map(tuple.__new__, repeat(Alike), columns))  # what `Alike._make` does with each, all at once
