"""Entries in the order of their targets, however many: sorted pieces on disk, read side by side.

A store keeps entries in the order of their targets. In that order an import writes each page of the store once; in
any other it writes a page for nearly every entry once the store is larger than what is in memory (measured at two
millions: 16 times slower).
"""

import pickle
from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from operator import itemgetter
from tempfile import TemporaryFile
from typing import IO

from policy.alike import Alike, Mould

IN_MEMORY = 250_000  # entries, some 60 MB
_BLOCK = 1_000  # entries of one piece that are read at once

_BY_TARGET = itemgetter(0)


def by_target(entries: Iterable[Alike]) -> Generator[Alike, None, None]:
    """Yield the entries by target; those of one target in the order in which they came."""
    rest, moulds = iter(entries), _Moulds()
    with ExitStack() as files:
        pieces: list[Iterator[list[Alike]]] = []
        piece = sorted(islice(rest, IN_MEMORY), key=_BY_TARGET)
        while len(piece) == IN_MEMORY:
            pieces.append(_stored(piece, moulds, files.enter_context(TemporaryFile())))
            piece = sorted(islice(rest, IN_MEMORY), key=_BY_TARGET)
        for together in _merged([*pieces, iter([piece] if piece else [])]):
            yield from together


def _merged(pieces: Iterable[Iterator[list[Alike]]]) -> Iterator[list[Alike]]:
    """Yield what the blocks of all pieces hold, in order: each time all up to where the first block in memory ends."""
    open_pieces = [(block, piece) for piece in pieces if (block := next(piece, []))]
    while open_pieces:
        limit = min(block[-1].target for block, _ in open_pieces)
        together: list[Alike] = []
        left = []
        for block, piece in open_pieces:
            while block and block[-1].target <= limit:  # and the next block may go on with that very target
                together += block
                block = next(piece, [])  # noqa: PLW2901
            cut = bisect_right(block, limit, key=_BY_TARGET)
            together += block[:cut]
            if block:
                left.append((block[cut:], piece))
        together.sort(key=_BY_TARGET)  # nearly sorted, and stable: of one target the earlier piece's come first
        yield together
        open_pieces = left


class _Moulds:
    """Moulds by number, for the disk."""

    def __init__(self) -> None:
        self.number: dict[Mould, int] = {}
        self.known: list[Mould] = []

    def of(self, mould: Mould) -> int:
        found = self.number.setdefault(mould, len(self.known))
        if found == len(self.known):
            self.known.append(mould)
        return found


def _stored(piece: list[Alike], moulds: _Moulds, file: IO[bytes]) -> Iterator[list[Alike]]:
    """Write a piece down; return it as it is read again, a block at a time."""
    for start in range(0, len(piece), _BLOCK):
        block = [
            (target, since, line, moulds.of(mould)) for target, since, line, mould in piece[start : start + _BLOCK]
        ]
        pickle.dump(block, file, protocol=5)
    return _read(file, len(piece), moulds)


def _read(file: IO[bytes], count: int, moulds: _Moulds) -> Iterator[list[Alike]]:
    file.seek(0)
    known = moulds.known
    for _ in range(0, count, _BLOCK):
        block = pickle.load(file)  # noqa: S301 - our own file, which nobody else can open
        yield [Alike(target, since, line, known[mould]) for target, since, line, mould in block]
