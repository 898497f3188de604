"""The short way with rows of CSV that differ from an earlier one in address and time only, as nearly all rows do.

What the first row of its sort comes to is found in the long way; the next ones take its mould. The law: what comes out
is what the long way makes of the row; where that is not certain (an address with quotes, a time that cannot be read)
there is no short way.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

from adapters.logs.csv_rows import Rows
from policy.address import plain_key, plain_keys
from policy.alike import Alike, Mould
from policy.decision import Scope

_MOULDS = 10_000  # that are remembered; a list in which every reply is another has a mould a row
_TIMES = 100_000
_GUARD = "'"  # of a formula, perhaps


class AlikeRows:
    """What the rows of one list have come to so far.

    Args:
        address, at: the columns of the address and of the time.
        plain: what two names of one column have in common.
        time: reads a time; an empty text stands for none.
        numbered: an entry's rule has the line of its row.
    """

    def __init__(
        self,
        address: str,
        at: str,
        *,
        plain: Callable[[str], str],
        time: Callable[[str], datetime],
        numbered: bool = False,
    ) -> None:
        self._address, self._at = address, at
        self._plain, self._time, self._numbered = plain, time, numbered
        self._columns: _Columns | None = None  # of the header; None: there is no short way
        self._moulds: dict[object, Mould] = {}
        self._times: dict[str, datetime] = {}

    def under(self, header: Sequence[str]) -> None:
        """Hear which columns the rows have."""
        names = [self._plain(each) for each in header]
        self._columns = None
        self._moulds.clear()
        if self._address not in names or len(set(names)) < len(names):
            return  # of two columns with one name the one that says something counts
        own = [names.index(each) for each in (self._address, self._at) if each in names]
        others = [place for place in range(len(names)) if place not in own]
        self._columns = _Columns(own[0], own[1] if len(own) > 1 else None, itemgetter(*others) if others else len)

    def entries(self, rows: Rows) -> list[Alike] | None:
        """Return what rows come to; None when for one of them the long way must tell."""
        if self._columns is None:
            return None
        address, at, others = self._columns
        moulds = list(map(self._moulds.get, map(others, rows.cells)))
        targets = plain_keys(list(map(itemgetter(address), rows.cells)))
        times = [""] * len(moulds) if at is None else list(map(itemgetter(at), rows.cells))
        sinces = self._moments(times)
        kinds = set(moulds)
        if targets is None or sinces is None or None in kinds or _GUARD in set(map(itemgetter(0), targets)):
            return None
        lines = range(rows.line, rows.line + len(moulds)) if self._numbered else self._lines(moulds, kinds)
        # What `Alike._make` does with each, all at once.
        return list(map(tuple.__new__, repeat(Alike), zip(targets, sinces, lines, moulds, strict=True)))

    def entry(self, line: int, cells: Sequence[str]) -> Alike | None:
        """Return what one row comes to; None when the long way must tell."""
        if self._columns is None:
            return None
        address, at, others = self._columns
        mould = self._moulds.get(others(cells))
        target = plain_key(cells[address])
        if mould is None or target is None or target[0] == _GUARD:
            return None
        text = "" if at is None else cells[at]
        since = self._times.get(text) or self._moment(text)
        if since is None:
            return None
        return Alike(target, since, line if self._numbered else mould.entry.rule.line, mould)

    def learn(self, cells: Sequence[str], found: Alike) -> None:
        """Remember what a row came to in the long way."""
        if self._columns is None or found.mould.entry.scope is not Scope.ADDRESS:
            return
        if len(self._moulds) >= _MOULDS:
            self._moulds.clear()
        self._moulds[self._columns.others(cells)] = found.mould

    @staticmethod
    def _lines(moulds: Sequence[Mould | None], kinds: Collection[Mould | None]) -> Iterable[int]:
        numbers = {each: each.entry.rule.line for each in kinds if each is not None}
        return map(numbers.__getitem__, moulds)  # type: ignore[arg-type]

    def _moments(self, texts: Sequence[str]) -> list[datetime] | None:
        """Return the times that texts are; None when one is none."""
        if len(self._times) + len(texts) > _TIMES:
            self._times.clear()
        for text in set(texts).difference(self._times):
            if self._moment(text) is None:
                return None
        return list(map(self._times.__getitem__, texts))

    def _moment(self, text: str) -> datetime | None:
        try:
            found = self._time(text)
        except ValueError:
            return None
        if len(self._times) >= _TIMES:
            self._times.clear()
        self._times[text] = found
        return found


class _Columns(NamedTuple):
    """Where the cells stand that are an entry's own, and what takes the others out of a row."""

    address: int
    at: int | None
    others: Callable[[Sequence[str]], object]
