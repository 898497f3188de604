"""Entries of the suppression list as rows keep them: what is looked up by in columns, the rest as a text.

Most entries of a list say nothing but who calls it what: no reply, no note, no end. Their text is short, ten words in
place of the JSON that all other values have, since a list of ten millions is little else: the letters of source and
strength, the reason, and where it came from, as in `ip unknown 0 import`. It begins with a letter, so that it is never
taken for JSON. What a bounce said is always JSON: the index of young ones asks for it.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

from adapters.stores.cells import micros, moment
from policy.alike import Alike, Mould
from policy.attempt import EARLIEST
from policy.contract.entry import dump
from policy.contract.mistake import ContractError
from policy.contract.moulded import dumps, load_suppression
from policy.decision import RuleRef, Scope, Strength
from policy.diagnosis.category import Category
from policy.history import EntryState, Source, Suppression
from policy.text import clean

Row: TypeAlias = tuple[str, str, int, str]  # scope, target, since, text

ENTRY = "scope, target, since, value"  # the columns of a row, in its order
_MOULDS = 4096  # that are remembered; a list has a handful
_NUMBER = re.compile("0|[1-9][0-9]{0,8}")


def row_of(entry: Suppression) -> tuple[int, str]:
    """Return what the table keeps of an entry after its key: time and text."""
    around = _around(entry)
    return micros(entry.since), f"{around[0]}{entry.rule.line}{around[1]}" if around else dump(entry)


def rows_of(entries: Iterable[Alike]) -> Iterator[Row]:
    """Yield what the table keeps of each; millions of them share a few moulds, and mostly one time and line."""
    mould: Mould | None = None
    around: tuple[str, str] | None = None
    last, at, number, text = None, 0, -1, ""
    for each in entries:
        target, since, line, own = each
        if since is not last and since != last:
            last, at = since, micros(since)
        if own is not mould or line != number:
            around = around if own is mould else _around_all(own)
            mould, number = own, line
            text = f"{around[0]}{line}{around[1]}" if around else ""
        yield own.scope, target, at, text or _long(each)


def entry_of(row: Row) -> Suppression:
    """Return the entry of a row.

    Raises:
        ContractError: when its text is damaged, or was written by a version that knows more.
    """
    scope, target, since, text = row
    if text.startswith("{"):
        return load_suppression(text)
    try:
        letters, reason, line, rule = text.split(" ", 3)
        if not _NUMBER.fullmatch(line):
            raise ValueError
        return Alike(target, moment(since), int(line), _mould(scope, letters, reason, rule)).whole
    except (ValueError, KeyError, OverflowError):
        raise ContractError([f"`{clean(text, limit=80)}` is no entry"]) from None


def _around(entry: Suppression) -> tuple[str, str] | None:
    """The short text of an entry around the line of its rule; None when there is more to say."""
    rule = entry.rule
    plain = rule.id.isprintable() and rule.file.isprintable() and rule.line >= 0  # so there is no tab in them
    more = entry.reply or entry.note or entry.provider or entry.expires_at or rule.edited
    if not plain or more or entry.source is Source.BOUNCE or entry.state is not EntryState.ACTIVE:
        return None
    letters = entry.source.value[0] + entry.strength.value[0]
    return f"{letters} {entry.reason.value} ", f" {rule.id}\t{rule.file}".removesuffix("\t")


@lru_cache(_MOULDS)
def _around_all(mould: Mould) -> tuple[str, str] | None:
    return _around(mould.entry)


def _long(entry: Alike) -> str:
    ((_, text),) = dumps((entry,))
    return text


@lru_cache(_MOULDS)
def _mould(scope: str, letters: str, reason: str, rule: str) -> Mould:
    """The mould that these words name; any time and any line will do."""
    name, _, file = rule.partition("\t")
    return Mould(
        Suppression(
            target="",
            scope=Scope(scope),
            strength=_STRENGTHS[letters[1:]],
            reason=Category(reason),
            rule=RuleRef(name, file, 0),
            reply=clean(""),
            since=EARLIEST,
            expires_at=None,
            source=_SOURCES[letters[:1]],
        )
    )


_STRENGTHS = {each.value[0]: each for each in Strength}
_SOURCES = {each.value[0]: each for each in Source if each is not Source.BOUNCE}
