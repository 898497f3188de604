"""One rules file as values: what it says to everyone, to a domain, to a provider. `layer_reader` makes it."""

from collections.abc import Iterator, Mapping

from attrs import evolve, field, frozen

from policy.decision import Strength
from policy.retry import Schedule
from policy.rules.providers import Provider
from policy.rules.rule import Lasting, Rule, Stream
from policy.throttle import Rate
from policy.yamlfile import Mapping as MappingNode

Path = tuple[str, ...]


@frozen(kw_only=True)
class Edit:
    """An `override` of one rule of a lower layer.

    Args:
        changes: a part of a rule, laid over it; None: nothing is set.
        unset: paths of keys that are taken away.
        node: where it stands.
    """

    id: str
    changes: MappingNode | None
    unset: tuple[Path, ...]
    node: MappingNode = field(eq=False, repr=False)


@frozen(kw_only=True)
class Block:
    """What a file says to everyone, or to one domain or provider.

    Args:
        rules: in file order.
        streams: what holds for a kind of mail.
        limits: named rates.
        defaults: `schedule`, `route` and `limit`, by key.
        overrides: changes of rules of lower layers.
        disable: ids of rules of lower layers that are taken out here.
        node: the text that it was read of, for the origin of each value.
    """

    rules: tuple[Rule, ...] = ()
    schedules: Mapping[str, Schedule] = field(factory=dict)
    routes: Mapping[str, str] = field(factory=dict)
    streams: Mapping[str, Stream] = field(factory=dict)
    limits: Mapping[str, Rate] = field(factory=dict)
    suppression: Mapping[Strength, Lasting] = field(factory=dict)
    defaults: Mapping[str, str] = field(factory=dict)
    overrides: tuple[Edit, ...] = ()
    disable: tuple[str, ...] = ()
    node: MappingNode | None = field(default=None, eq=False, repr=False)


EMPTY = Block()


@frozen(order=True)
class Where:
    """A scope: one domain with all below it, one provider, or (both None) everyone."""

    domain: str | None = None
    provider: str | None = None

    @property
    def closeness(self) -> int:
        """The closer scope is asked first: a domain by its labels, then a provider, then everyone."""
        if self.domain is not None:
            return 1 + len(self.domain.split("."))
        return 1 if self.provider is not None else 0


EVERYONE = Where()


@frozen(kw_only=True)
class Layer:
    """One rules file.

    Args:
        never_suppress: addresses and domain patterns that no bounce suppresses, and the lines where they stand.
    """

    file: str
    never_suppress: Mapping[str, int] = field(factory=dict)
    extends_shipped: bool = True
    everyone: Block = EMPTY
    domains: Mapping[str, Block] = field(factory=dict)
    by_provider: Mapping[str, Block] = field(factory=dict)
    providers: Mapping[str, Provider] = field(factory=dict)

    @property
    def blocks(self) -> list[tuple[Where, Block]]:
        """All that it says, the closest scope first."""
        scoped = [(Where(domain=name), block) for name, block in self.domains.items()]
        scoped += [(Where(provider=name), block) for name, block in self.by_provider.items()]
        return [*sorted(scoped, key=lambda each: -each[0].closeness), (EVERYONE, self.everyone)]

    @property
    def rules(self) -> Iterator[Rule]:
        """Every rule of the file, the closest scope first."""
        return (rule for _, block in self.blocks for rule in block.rules)

    def spoken_to(self, domain: str | None, provider: str | None) -> Iterator[Block]:
        """Yield what it says to a recipient of this domain at this provider, the closest scope first."""
        while domain and self.domains:
            if domain in self.domains:
                yield self.domains[domain]
            domain = domain.partition(".")[2]
        if provider is not None and provider in self.by_provider:
            yield self.by_provider[provider]
        yield self.everyone


@frozen(kw_only=True)
class Names:
    """What may be referred to: what lower layers define for everyone, then what the layer itself does."""

    schedules: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    limits: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()

    def with_layer(self, layer: Layer) -> "Names":
        """Those of `layer` added."""
        return Names(
            schedules=self.schedules | set(layer.everyone.schedules),
            routes=self.routes | set(layer.everyone.routes),
            limits=self.limits | set(layer.everyone.limits),
            providers=self.providers | set(layer.providers),
            rules=self.rules | {rule.ref.id for rule in layer.rules},
        )

    def in_scope(self, layer: Layer, where: Where) -> dict[str, frozenset[str]]:
        """All that a block of `layer` may refer to, by kind: what its own and wider scopes define too."""
        provider = where.provider
        blocks = list(layer.spoken_to(where.domain, provider))
        return {
            "schedule": self.schedules.union(*(block.schedules for block in blocks)),
            "route": self.routes.union(*(block.routes for block in blocks)),
            "limit": self.limits.union(*(block.limits for block in blocks)),
            "provider": self.providers,
            "rule": self.rules,
        }


def without_rules(layer: Layer) -> Layer:
    """The names of `layer` and nothing that decides."""
    return evolve(
        layer,
        everyone=_names_only(layer.everyone),
        domains={name: _names_only(block) for name, block in layer.domains.items()},
        by_provider={name: _names_only(block) for name, block in layer.by_provider.items()},
    )


def _names_only(block: Block) -> Block:
    return evolve(block, rules=(), overrides=(), disable=())
