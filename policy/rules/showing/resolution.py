"""Which value a name of a section has in a place, over all layers and scopes, and what a single file must say for it.

A place is a domain and a provider. A file asks a domain's block before a provider's, but a higher file before a lower
one: where a provider's block of a higher file beats a domain's block of a lower one, no single file says the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from policy.rules.layer import EVERYONE, Block, Layer, Where
from policy.rules.policy import Place, Policy

SECTIONS = ("defaults", "schedules", "routes", "limits", "streams", "suppression")

Name = tuple[str, Any]  # a section, and a key in it
Blocks = dict[Where, dict[Name, "Said"]]
Unsaid = tuple[tuple[Place, Name, "Said"], ...]


@frozen
class Said:
    """A value of a section, and who says so."""

    value: Any
    layer: Layer = field(eq=False, repr=False)
    block: Block = field(eq=False, repr=False)


class Resolution:
    """Which value a name has in a place."""

    def __init__(self, policy: Policy) -> None:
        self._layers = policy.layers
        self._spoken: dict[Name, list[Where]] = {}  # the lowest layer's names first, for they are the known ones
        for layer in reversed(policy.layers):
            for where, block in reversed(layer.blocks):
                for section in SECTIONS:
                    for key in getattr(block, section):
                        self._spoken.setdefault((section, key), []).append(where)

    def all_at(self, place: Place) -> dict[Name, Said]:
        """Every name, as it is resolved in a place."""
        return {name: self._at(name, place.domain, place.provider) for name in self._sorted()}

    def flattened(self) -> tuple[Blocks, Unsaid]:
        """What each block of a single file must say, and what cannot be said so."""
        blocks: Blocks = {EVERYONE: {}}
        unsaid: list[tuple[Place, Name, Said]] = []
        for name in self._sorted():
            domains, providers = self._scopes(name)
            said: dict[Where, Said] = {EVERYONE: self._at(name, None, None)}
            for provider in providers[1:]:
                there = self._at(name, None, provider)
                if there != said[EVERYONE]:
                    said[Where(provider=provider)] = there
            for domain in domains:
                wanted = {each: self._at(name, domain, each) for each in providers}
                if any(_resolved(said, domain, each) != there for each, there in wanted.items()):
                    said[Where(domain=domain)] = wanted[None]
                    others = [(each, there) for each, there in wanted.items() if there != wanted[None]]
                    unsaid += [(Place(domain, each), name, there) for each, there in others]
            for where, there in said.items():
                blocks.setdefault(where, {})[name] = there
        return blocks, tuple(unsaid)

    def canonical(self) -> dict[Name, Any]:
        """Of each name, its value for everyone and each place where it changes on the way to closer scopes."""
        found: dict[Name, Any] = {}
        for name in self._spoken:
            domains, providers = self._scopes(name)
            by_provider = {each: self._changes(name, domains, each) for each in providers}
            usual = by_provider.pop(None)
            found[name] = (usual, {each: said for each, said in by_provider.items() if said != usual})
        return found

    def _changes(self, name: Name, domains: Sequence[str], provider: str | None) -> dict[str | None, Any]:
        changes: dict[str | None, Any] = {None: self._at(name, None, provider).value}
        for domain in domains:
            value = self._at(name, domain, provider).value
            if value != self._at(name, domain.partition(".")[2] or None, provider).value:
                changes[domain] = value
        return changes

    def _sorted(self) -> list[Name]:
        return sorted(self._spoken, key=lambda name: SECTIONS.index(name[0]))

    def _scopes(self, name: Name) -> tuple[list[str], list[str | None]]:
        """The domains, the widest first, and the providers (None first) that say something of a name."""
        domains = {where.domain for where in self._spoken[name] if where.domain is not None}
        providers = {where.provider for where in self._spoken[name] if where.provider is not None}
        return sorted(domains, key=lambda each: (each.count("."), each)), [None, *sorted(providers)]

    def _at(self, name: Name, domain: str | None, provider: str | None) -> Said:
        """The value in a place; where nobody names it, that of the first scope that does (nobody asks for it there)."""
        found = self._found(name, domain, provider) or self._found(name, None, None)
        if found is not None:
            return found
        scopes = sorted(self._spoken[name], key=lambda each: (each.domain or "", each.provider or ""))
        return next(said for each in scopes if (said := self._found(name, each.domain, each.provider)) is not None)

    def _found(self, name: Name, domain: str | None, provider: str | None) -> Said | None:
        section, key = name
        for layer in self._layers:
            for block in layer.spoken_to(domain, provider):
                if key in getattr(block, section):
                    return Said(getattr(block, section)[key], layer, block)
        return None


def _resolved(said: Mapping[Where, Said], domain: str | None, provider: str | None) -> Said:
    """What a single file with these blocks says in a place."""
    while domain:
        if Where(domain=domain) in said:
            return said[Where(domain=domain)]
        domain = domain.partition(".")[2]
    return said.get(Where(provider=provider), said[EVERYONE])
