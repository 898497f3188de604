"""Entries of the suppression list as stores keep them, for millions at a time: the text of a mould is made once.

The text is `policy.contract.entry.dump`'s, letter by letter. In it an unescaped quote begins or ends a string, so
`"since":"` can be nothing but the key: a reply that says so has backslashes there. What is an entry's own can be cut
out of the text and put into it by that alone.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted

from policy.alike import Alike, Mould
from policy.contract.entry import dump, load
from policy.contract.times import read_time, write_time
from policy.history import Suppression

_MOULDS = 4096  # that are remembered; a list has a handful, a store as many as there are rules and times of expiry
_OWN = re.compile(
    r'(?P<head>\{.*"rule":\{.*"line":)(?P<line>0|[1-9][0-9]{0,8})(?P<middle>\}.*"since":")(?P<since>[-0-9T:.]{19,26}Z)'
    r'(?P<tail>".*"target":)"(?P<target>[^"\\]*)"\}'
)
_PLAIN = re.compile(r"[ !#-\[\]-~]*")  # what JSON leaves as it is


def dumps(entries: Iterable[Alike]) -> Iterator[tuple[Alike, str]]:
    """Yield each entry with its line of JSON, which is `dump(each.whole)`."""
    last, when = None, ""
    mould, parts = None, None
    for each in entries:
        if each.mould is not mould:
            mould = each.mould
            parts = _parts(mould)
        if each.since is not last:  # most entries of a list share one time
            last = each.since
            when = write_time(last)
        if parts is None:
            yield each, dump(each.whole)
        else:
            yield each, f"{parts[0]}{each.line}{parts[1]}{when}{parts[2]}{_quoted(each.target)}}}"


def load_suppression(text: str) -> Suppression:
    """Read what `dump` or `dumps` wrote, as `load(text, Suppression)` does.

    Raises:
        ContractError: as `load`.
    """
    found = _OWN.fullmatch(text)
    if found is None:
        return load(text, Suppression)
    head, line, middle, since, tail, target = found.groups()
    try:
        return Alike(target, read_time(since), int(line), _mould(head, middle, tail)).whole
    except ValueError:
        return load(text, Suppression)  # which says what is wrong


@lru_cache(_MOULDS)
def _parts(mould: Mould) -> tuple[str, str, str] | None:
    """The text of a mould around what is an entry's own; None when it cannot be told apart."""
    found = _OWN.fullmatch(dump(Alike("x", mould.entry.since, mould.entry.rule.line, mould).whole))
    return None if found is None else (found["head"], found["middle"], found["tail"])


@lru_cache(_MOULDS)
def _mould(head: str, middle: str, tail: str) -> Mould:
    return Mould(load(f'{head}0{middle}2000-01-01T00:00:00Z{tail}""}}', Suppression))
