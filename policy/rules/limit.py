"""A limit, how fast mail is sent of our own accord: which one holds in a place, and where the rules say so."""

from collections.abc import Iterator

from attrs import field, frozen

from policy.decision import RuleRef
from policy.rules.layer import EVERYONE, Block, Where
from policy.rules.policy import Place, Policy
from policy.throttle import Rate
from policy.yamlfile import Mapping


@frozen(kw_only=True)
class Limit:
    """A named rate.

    Args:
        file, block: where its rate is said.
    """

    name: str
    rate: Rate
    file: str
    block: Block = field(eq=False, repr=False)

    @property
    def ref(self) -> RuleRef:
        """Its name, and the line that defines it."""
        return RuleRef(self.name, self.file, _line(self.block, self.name))


def limit_at(policy: Policy, place: Place) -> Limit | None:
    """Return the limit that holds in a place, as `Policy.limit` has its rate; None: mail goes as it comes."""
    spoken = [(layer.file, block) for layer in policy.layers for block in layer.spoken_to(place.domain, place.provider)]
    name = next((block.defaults["limit"] for _, block in spoken if "limit" in block.defaults), None)
    if name is None:
        return None
    file, block = next(each for each in spoken if name in each[1].limits)  # files refer to what is defined there
    return Limit(name=name, rate=block.limits[name], file=file, block=block)


def limits(policy: Policy) -> Iterator[tuple[Where, Limit]]:
    """Yield each scope that has a limit of its own, everyone first; a higher file's word is the one that counts."""
    said: dict[Where, list[Block]] = {EVERYONE: []}
    for layer in policy.layers:
        for where, block in layer.blocks:
            said.setdefault(where, []).append(block)
    for where, blocks in said.items():
        provider = where.provider or (policy.provider_of_domain(where.domain) if where.domain else None)
        limit = limit_at(policy, Place(where.domain, provider))
        if limit is not None and any("limit" in each.defaults or each is limit.block for each in blocks):
            yield where, limit


def _line(block: Block, name: str) -> int:
    found = _entry(block.node, "limits")
    names = found[1] if found is not None else None
    entry = _entry(names if isinstance(names, Mapping) else None, name)
    return entry[0] if entry is not None else 0


def _entry(node: Mapping | None, name: str) -> tuple[int, object] | None:
    """The line of a key and what stands under it; None: it is not there."""
    items = node.items if node is not None else ()
    return next(((key.line, value) for key, value in items if key.text == name), None)
