"""Several conditions that must all hold, as one condition a key: what a single `when` can say."""

from collections.abc import Iterable
from typing import Any

from attrs import evolve

from policy.rules.conditions import none_of
from policy.rules.domains import BELOW_ONLY, ITSELF_ONLY, covers
from policy.rules.policy import Place
from policy.rules.rule import Condition


def conjoined(conditions: Iterable[Condition]) -> tuple[Condition, ...] | None:
    """Return conditions of which all hold exactly when these do, no two of one key; None when they never do.

    Twice there can be the keys that a scope adds to those of a rule: `domain`, `provider` and `not`.
    """
    found: dict[str, Condition] = {}
    for each in conditions:
        before = found.get(each.key)
        both = each if before is None else _both(before, each)
        if not both.values:
            return None
        found[each.key] = both
    return tuple(found.values())


def holds_in(conditions: Iterable[Condition], place: Place) -> bool:
    """May they all hold for a recipient in this place? What is not known of the place excludes nothing."""
    for each in conditions:
        if each.key == "not":
            if any(_surely(one, place) for one in each.values[0]):
                return False
        elif _known(each.key, place) is not None and not _surely(each, place):
            return False
    return True


def _surely(condition: Condition, place: Place) -> bool:
    """Does it hold for what is known of the place?"""
    known = _known(condition.key, place)
    if known is None:
        return False
    if condition.key == "provider":
        return known in condition.values
    return any(covers(pattern, known) for pattern in condition.values)


def _known(key: str, place: Place) -> str | None:
    return {"domain": place.domain, "provider": place.provider}.get(key)


def _both(one: Condition, other: Condition) -> Condition:
    if one.key == "not":
        return none_of(tuple(_either((*one.values[0], *other.values[0]))))
    if one.key == "domain":
        pairs = ((first, second) for first in one.values for second in other.values)
        return evolve(one, values=tuple(dict.fromkeys(each for pair in pairs for each in _narrower(*pair))))
    return evolve(one, values=tuple(value for value in one.values if value in other.values))


def _either(conditions: Iterable[Condition]) -> Iterable[Condition]:
    """Conditions of which one holds exactly when one of these does, no two of one key."""
    found: dict[str, Condition] = {}
    for each in conditions:
        values: tuple[Any, ...] = found[each.key].values if each.key in found else ()
        found[each.key] = evolve(each, values=(*values, *(value for value in each.values if value not in values)))
    return found.values()


def _narrower(one: str, other: str) -> tuple[str, ...]:
    """The pattern of what both cover: one of the two, or nothing, for they never overlap in part."""
    if _is_within(one, other):
        return (one,)
    return (other,) if _is_within(other, one) else ()


def _is_within(narrow: str, wide: str) -> bool:
    name = narrow.removeprefix(BELOW_ONLY).removeprefix(ITSELF_ONLY)
    return narrow == wide or (not wide.startswith(ITSELF_ONLY) and covers(wide, name))
