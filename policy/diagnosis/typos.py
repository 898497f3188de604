"""A likely typing error in a mailbox domain, for a person to look at: `gmial.com` was meant to be `gmail.com`.

Asked of a domain whose mailbox or which itself does not exist. A wrong suggestion costs more than none, so: a table of
errors first, then endings that no domain has (`.con`), then one slip of the finger in a long enough name; never for a
well-known domain, nor for one on a list of real domains that stand near one, nor where two could be meant.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

from attrs import frozen

from policy.address import DOMAIN_LIMIT
from policy.diagnosis.datafile import read_data

_GUESSED = 5  # letters before the first dot; shorter names have too many real neighbours to guess
_LONG = 7  # letters; here any one edit is told, in a shorter name only one that a finger makes
_VERY_LONG = 8  # letters; here two edits are told when one is a transposition


@frozen(kw_only=True, eq=False)
class _Domains:
    """The file; `names` holds the guessable first labels of well-known domains by what follows them."""

    well_known: frozenset[str]
    real: frozenset[str]
    typos: Mapping[str, str]
    endings: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]


def suggestion(domain: str) -> str | None:
    """Return the well-known domain that `domain` likely was meant to be; None when it may well be right.

    Total: any text has an answer; a text that is no domain has None. Case and a trailing dot do not count.

    >>> suggestion("gmial.com"), suggestion("Hotnail.con"), suggestion("mail.com")
    ('gmail.com', 'hotmail.com', None)
    """
    typed = domain.removesuffix(".").lower()
    if len(domain) > DOMAIN_LIMIT or not domain.isascii():
        return None
    domains = _shipped()
    if meant := _mended(typed, domains):
        return meant
    name, _, ending = typed.partition(".")
    if right := domains.endings.get(ending):
        mended = f"{name}.{right}"
        return mended if mended in domains.well_known else _mended(mended, domains)
    return None


def _mended(typed: str, domains: _Domains) -> str | None:
    """What was meant, by the table or by one slip in the name; the ending is right."""
    if typed in domains.well_known or typed in domains.real:
        return None
    if typed in domains.typos:
        return domains.typos[typed]
    name, _, ending = typed.partition(".")
    if len(name) < _GUESSED:
        return None
    near = [known for known in domains.names.get(ending, ()) if _is_slip(name, known)]
    return f"{near[0]}.{ending}" if len(near) == 1 else None


def _is_slip(typed: str, meant: str) -> bool:
    """Is `typed` what a finger makes of `meant`? The first letter is right, or swapped with the second."""
    if abs(len(typed) - len(meant)) > 2 or (typed[0] != meant[0] and typed[:2] != meant[1::-1]):
        return False
    apart = _distance(typed, meant, swap=1)
    if apart == 1:
        return len(meant) >= _LONG or _is_near(typed, meant)
    return apart == 2 and len(meant) >= _VERY_LONG and _distance(typed, meant, swap=2) > 2


def _distance(one: str, other: str, *, swap: int) -> int:
    """Return the optimal string alignment distance; swapping two neighbours costs `swap`, any other edit 1."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + swap)
            row.append(cost)
        before, above = above, row
    return above[-1]


def _is_near(typed: str, meant: str) -> bool:
    """Is the one edit between the two a letter left out, doubled, swapped, or of a neighbouring key?"""
    at = next((i for i, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant)))
    if len(typed) < len(meant):
        return True
    if len(typed) > len(meant):
        beside = typed[at - 1 : at] + typed[at + 1 : at + 2]
        return any(typed[at] in _NEAR.get(key, key) for key in beside)
    if typed[at + 1 :] == meant[at + 1 :]:
        return typed[at] in _NEAR.get(meant[at], "")
    return True


def _near_keys() -> Iterator[tuple[str, str]]:
    """Each key of a QWERTY keyboard with itself and those that touch it; every row stands half a key to the right."""
    rows = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
    places = {key: (row, column + row / 2) for row, keys in enumerate(rows) for column, key in enumerate(keys)}
    for key, (row, column) in places.items():
        yield key, "".join(k for k, (r, c) in places.items() if abs(r - row) <= 1 and abs(c - column) <= 1)


_NEAR = dict(_near_keys())


@cache
def _shipped() -> _Domains:
    file = read_data("domains.yaml")
    well_known = frozenset(domain for line in file["well_known"] for domain in line)
    names: defaultdict[str, list[str]] = defaultdict(list)
    for domain in sorted(well_known):
        name, _, ending = domain.partition(".")
        if len(name) >= _GUESSED:
            names[ending].append(name)
    return _Domains(
        well_known=well_known,
        real=frozenset(file["real"]),
        typos={typo: meant for meant, typos in file["typos"].items() for typo in typos},
        endings={wrong: right for right, wrongs in file["endings"].items() for wrong in wrongs},
        names={ending: tuple(known) for ending, known in names.items()},
    )
