"""One rules file as values, and the names that lower files define for it. `layer_reader` makes them."""

from collections.abc import Mapping
from datetime import timedelta

from attrs import field, frozen

from policy.decision import Strength
from policy.retry import Schedule
from policy.rules.rule import Lasting, Provider, Rule


@frozen(kw_only=True)
class Layer:
    """One rules file.

    Args:
        rules: those for everyone, in file order.
        domain_rules: by domain; each covers the domains below it too.
        provider_rules: by provider name.
        streams: how long mail of a stream is retried at most.
        defaults: `schedule` and `route`, by key.
        disable: ids of rules of lower layers that this one takes out.
    """

    file: str
    extends_shipped: bool = True
    rules: tuple[Rule, ...] = ()
    domain_rules: Mapping[str, tuple[Rule, ...]] = field(factory=dict)
    provider_rules: Mapping[str, tuple[Rule, ...]] = field(factory=dict)
    providers: Mapping[str, Provider] = field(factory=dict)
    schedules: Mapping[str, Schedule] = field(factory=dict)
    routes: Mapping[str, str] = field(factory=dict)
    streams: Mapping[str, timedelta] = field(factory=dict)
    suppression: Mapping[Strength, Lasting] = field(factory=dict)
    defaults: Mapping[str, str] = field(factory=dict)
    disable: tuple[str, ...] = ()

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """Every rule of the file, whatever its scope."""
        scoped = (*self.domain_rules.values(), *self.provider_rules.values())
        return (*self.rules, *(rule for rules in scoped for rule in rules))


@frozen(kw_only=True)
class Names:
    """What lower layers define, so that a layer may refer to it."""

    schedules: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()

    def with_layer(self, layer: Layer) -> "Names":
        """Those of `layer` added."""
        return Names(
            schedules=self.schedules | set(layer.schedules),
            routes=self.routes | set(layer.routes),
            providers=self.providers | set(layer.providers),
            rules=self.rules | {rule.ref.id for rule in layer.all_rules},
        )
