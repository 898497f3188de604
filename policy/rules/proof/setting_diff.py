"""What a change of rules changes although no rule does: whom the lists spare, how fast mail goes, which is wanted.

Of the lists the patterns are compared by what they cover, not by their words: `example.org` is `=example.org` and
`*.example.org` together. Limits and streams are asked at every place of which a file says something of the kind.
"""

from collections.abc import Callable, Iterator, Set
from itertools import product
from typing import Any

from attrs import frozen

from policy.rules.domains import BELOW_ONLY, ITSELF_ONLY, wider
from policy.rules.layer import Block
from policy.rules.policy import ANYWHERE, Place, Policy

_SHOWN = 5  # places or patterns that are named in one change


@frozen
class SettingChange:
    """A change of what is no rule.

    Args:
        about: the section of a file that says it, `never_suppress`, `limits` or `streams`.
        says: what changes, in a line.
    """

    about: str
    says: str


def setting_changes(old: Policy, new: Policy) -> Iterator[SettingChange]:
    """Yield what changes beside the rules: one change for each list, limit and stream, whatever scopes it is in."""
    yield from _of_the_lists(old, new)
    places = _places(lambda block: bool(block.limits or "limit" in block.defaults), old, new)
    for before, after, where in _changed(places, old.limit, new.limit):
        yield SettingChange("limits", f"limit {before or 'none'} becomes {after or 'none'} {where}")
    places = _places(lambda block: bool(block.streams), old, new)
    for stream in sorted({*_streams(old), *_streams(new)}):
        wanted = (_wanted(policy, stream) for policy in (old, new))
        for _, after, where in _changed(places, *wanted):
            says = "becomes wanted" if after else "is no longer wanted"
            yield SettingChange("streams", f"stream `{stream}` {says} {where}")


def _wanted(policy: Policy, stream: str) -> Callable[[Place], bool]:
    return lambda place: policy.stream(stream, place).wanted


# ---- the lists -------------------------------------------------------------------------------------------------------


def _of_the_lists(old: Policy, new: Policy) -> Iterator[SettingChange]:
    before, after = ({name for layer in each.layers for name in layer.never_suppress} for each in (old, new))
    for told, these, those in (("spares", after, before), ("no longer spares", before, after)):
        found = sorted(each for each in these - those if not _covers_all(those, each))
        if found:
            yield SettingChange("never_suppress", f"`never_suppress` {told} {_few([f'`{each}`' for each in found])}")


def _covers_all(patterns: Set[str], pattern: str) -> bool:
    """Is all that a pattern covers covered by some others together?"""
    whole = "@" in pattern or pattern.startswith((ITSELF_ONLY, BELOW_ONLY))
    parts = (pattern,) if whole else (ITSELF_ONLY + pattern, BELOW_ONLY + pattern)
    return all(any(each in patterns for each in wider(part)) for part in parts)


# ---- what a place says -----------------------------------------------------------------------------------------------


def _places(speaks: Callable[[Block], bool], *policies: Policy) -> list[Place]:
    """Everyone, and the scopes, a domain's with a provider's too, in which a policy says such a thing."""
    found = {where for each in policies for layer in each.layers for where, block in layer.blocks if speaks(block)}
    domains = sorted(where.domain for where in found if where.domain is not None)
    providers = sorted(where.provider for where in found if where.provider is not None)
    return [Place(*both) for both in product((None, *domains), (None, *providers))]


def _changed(
    places: list[Place], old: Callable[[Place], Any], new: Callable[[Place], Any]
) -> Iterator[tuple[Any, Any, str]]:
    """Yield each pair of values, before and after, and where; a place says nothing that a wider one says already."""
    pairs = {place: (old(place), new(place)) for place in places}
    where: dict[tuple[Any, Any], list[str]] = {}
    for place, pair in pairs.items():
        around = {ANYWHERE, Place(place.domain), Place(None, place.provider)} - {place}
        if pair[0] != pair[1] and all(pairs[each] != pair for each in around):
            where.setdefault(pair, []).append(_named(place))
    yield from ((*pair, _few(named)) for pair, named in where.items())


def _named(place: Place) -> str:
    names = [each for each in (place.domain, place.provider) if each is not None]
    return f"for {' at '.join(names) or 'everyone'}"


def _few(words: list[str]) -> str:
    more = len(words) - _SHOWN
    return ", ".join([*words[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _streams(policy: Policy) -> Iterator[str]:
    return (name for layer in policy.layers for _, block in layer.blocks for name in block.streams)
