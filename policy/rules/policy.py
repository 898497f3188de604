"""A policy: layers of rules over the knowledge, and the question which rule decides.

Operator files come first, the last given on top, then the shipped rules, then the bottom rules that always match. In a
layer the closest scope is asked first (exact domain, parent domains, provider, everyone), in a scope the file's order:
the first rule whose conditions hold decides. A rule whose id stands in a higher layer, or is disabled there, is out.
Names (schedules, routes, streams, strengths, defaults) are looked up in the same order of layers and scopes.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from attrs import field, frozen

from policy.address import Address
from policy.attempt import Attempt
from policy.decision import RuleRef, Strength
from policy.destination import Destination, Reach, destination
from policy.diagnosis.knowledge import Knowledge
from policy.retry import Schedule
from policy.rules.domains import patterns_over
from policy.rules.index import RuleIndex
from policy.rules.layer import Block, Layer
from policy.rules.providers import Provider, Providers
from policy.rules.rule import Facts, Lasting, Rule, Stream
from policy.throttle import Rate

T = TypeVar("T")


@frozen
class Place:
    """Whose names count: those for a recipient's domain and provider. None: not known."""

    domain: str | None = None
    provider: str | None = None


ANYWHERE = Place()
_ANY_STREAM = Stream()


@frozen(kw_only=True, eq=False)
class Policy:
    """What decides.

    Args:
        layers: the highest first; the last one is the bottom.
        rules: all that are in force, in the order in which they are asked; the last one has no conditions.
        version: digest of all files' contents and of the knowledge.
    """

    layers: tuple[Layer, ...]
    rules: tuple[Rule, ...] = field(repr=False)
    knowledge: Knowledge = field(repr=False)
    version: str
    _providers: Providers = field(init=False, repr=False)
    _index: RuleIndex = field(init=False, repr=False)
    _reaches: tuple[Reach, ...] = field(init=False, repr=False)

    @_providers.default
    def _merged_providers(self) -> Providers:
        return Providers.merged([layer.providers for layer in reversed(self.layers)])

    @_index.default
    def _indexed(self) -> RuleIndex:
        return RuleIndex(self.rules)

    @_reaches.default
    def _reaching(self) -> tuple[Reach, ...]:
        """What rules suspend, throttle or count, the pair first: nothing else need be looked up."""
        thens = [rule.then for rule in self.rules]
        used = {terms.scope for then in thens for terms in (then.suspend, then.throttle, then.alert) if terms}
        return (Reach.PAIR, *(each for each in Reach if each in used and each is not Reach.PAIR))

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers, by their own name."""
        return self._providers.named

    def rule_for(self, facts: Facts) -> tuple[Rule, tuple[Rule, ...]]:
        """Return the rule that decides (there is always one), and those that only observe and would have decided."""
        observing: list[Rule] = []
        for rule in self._index.holding(facts):
            if not rule.observing:
                return rule, tuple(observing)
            observing.append(rule)
        raise LookupError("the last rule of a policy has conditions")  # the bottom layer sees to it that it has none

    def provider_of(self, attempt: Attempt) -> str | None:
        """The provider: as the caller says, else by the MX's name, else by the recipient's domain; None: not known.

        A name that no provider goes by counts as if the caller had said nothing.
        """
        called = self._providers.called(attempt.provider)
        return called or self._providers.by_mx(attempt.mx) or self.provider_by_domain(attempt.recipient)

    def provider_called(self, name: str) -> str | None:
        """The provider that goes by this name; None: nobody does."""
        return self._providers.called(name)

    def provider_by_domain(self, recipient: Address | None) -> str | None:
        """The provider whose mailboxes have this domain."""
        return None if recipient is None else self._providers.by_domain(recipient.domain)

    def provider_of_host(self, host: str) -> str | None:
        """The provider whose host this is."""
        return self._providers.by_mx(host)

    def provider_of_domain(self, domain: str) -> str | None:
        """The provider whose mailboxes have this domain."""
        return self._providers.by_domain(domain)

    def place(self, recipient: Address | None, provider: str | None = None) -> Place:
        """Whose names count for mail to `recipient`; the provider by the domain, when it is not known better."""
        return Place(recipient.domain if recipient else None, provider or self.provider_by_domain(recipient))

    def destination(
        self,
        sender: Address | str | None,
        recipient: Address,
        stream: str | None,
        provider: str | None,
        campaign: str | None = None,
    ) -> Destination:
        """Where mail goes, and whose it is.

        Args:
            provider: where it is known better than by the domain.
        """
        return destination(sender, recipient, stream, provider or self.provider_by_domain(recipient), campaign)

    @property
    def restrains_routes(self) -> bool:
        """Does any rule suspend, throttle or count a route?"""
        return Reach.ROUTE in self._reaches

    def destinations(self, to: Destination, at: Place) -> tuple[str, ...]:
        """The keys under which rules may hold mail to a destination back; the pair's comes first."""
        return self._keys(to, at, self._reaches)

    def all_destinations(self, to: Destination, at: Place) -> tuple[str, ...]:
        """The keys under which it may be held back by what rules of before began; the pair's comes first."""
        return self._keys(to, at, tuple(Reach))

    def _keys(self, to: Destination, at: Place, reaches: tuple[Reach, ...]) -> tuple[str, ...]:
        routes = sorted({self.route(None, at), *self.routes}) if Reach.ROUTE in reaches else []
        plain = (to.key(each, "") for each in reaches if each is not Reach.ROUTE)
        return tuple(dict.fromkeys((*plain, *(to.key(Reach.ROUTE, name) for name in routes))))

    def schedule(self, name: str | None, at: Place = ANYWHERE) -> Schedule:
        """The schedule of this name; None: the default one."""
        wanted = name or self._default("schedule", at)
        return self._found(at, lambda block: block.schedules.get(wanted))

    def route(self, name: str | None, at: Place = ANYWHERE) -> str:
        """The name of the route to take; None: the default one."""
        return name or self._default("route", at)

    def next_hop(self, name: str | None, at: Place = ANYWHERE) -> str:
        """Where a route goes: `mx`, or a URL; None: the default one."""
        wanted = self.route(name, at)
        return self._found(at, lambda block: block.routes.get(wanted))

    def limit(self, at: Place = ANYWHERE) -> Rate | None:
        """How fast mail is sent there, of our own accord; None: as it comes."""
        name = next((name for block in self._blocks(at) if (name := block.defaults.get("limit"))), None)
        return None if name is None else self._found(at, lambda block: block.limits.get(name))

    def stream(self, name: str | None, at: Place = ANYWHERE) -> Stream:
        """What holds for a kind of mail."""
        said = (block.streams[name] for block in self._blocks(at) if name in block.streams) if name else ()
        return next(iter(said), _ANY_STREAM)

    def stream_give_up(self, stream: str | None, at: Place = ANYWHERE) -> timedelta | None:
        """How long mail of a stream is retried at most; None: as the schedule says."""
        return self.stream(stream, at).give_up

    def spared(self, recipient: Address) -> RuleRef | None:
        """Where an operator says that no bounce suppresses this address; None: nobody does."""
        for layer in self.layers:
            for pattern in (recipient.key, *patterns_over(recipient.domain)) if layer.never_suppress else ():
                if pattern in layer.never_suppress:
                    return RuleRef(pattern, layer.file, layer.never_suppress[pattern])
        return None

    def lasting(self, strength: Strength, at: Place = ANYWHERE) -> Lasting:
        """How long a suppression of this strength lasts."""
        if strength is Strength.PERMANENT:
            return Lasting(lasting=None)
        return self._found(at, lambda block: block.suppression.get(strength))

    @property
    def routes(self) -> frozenset[str]:
        """The names of all routes, wherever they may be taken."""
        return frozenset(name for layer in self.layers for _, block in layer.blocks for name in block.routes)

    def _default(self, key: str, at: Place) -> str:
        return self._found(at, lambda block: block.defaults.get(key))

    def _blocks(self, at: Place) -> list[Block]:
        return [block for layer in self.layers for block in layer.spoken_to(at.domain, at.provider)]

    def _found(self, at: Place, get: Callable[[Block], T | None]) -> T:
        found = next((value for value in map(get, self._blocks(at)) if value is not None), None)
        if found is None:
            raise LookupError("a name is asked for where no layer defines it")  # files refer to what is defined there
        return found
