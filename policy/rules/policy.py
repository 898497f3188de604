"""A policy: layers of rules over the knowledge, and the question which rule decides.

Operator files come first, the last given on top, then the shipped rules, then the bottom rules that always match. In a
layer the closest scope is asked first (exact domain, parent domains, provider, everyone), in a scope the file's order:
the first rule whose conditions hold decides. A rule whose id stands in a higher layer, or is disabled there, is out.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from attrs import field, frozen

from policy.address import Address
from policy.attempt import Attempt
from policy.decision import Strength
from policy.diagnosis.knowledge import Knowledge
from policy.retry import Schedule
from policy.rules.layer import Layer
from policy.rules.rule import Facts, Lasting, Provider, Rule, below, spoken_name

_Scoped = Mapping[str, tuple[Rule, ...]]


@frozen(kw_only=True, eq=False)
class Policy:
    """What decides.

    Args:
        layers: the highest first; the last one is the bottom, whose last rule has no conditions.
        version: digest of all files' contents and of the knowledge.
    """

    layers: tuple[Layer, ...]
    knowledge: Knowledge
    version: str
    providers: Mapping[str, Provider] = field(init=False)
    _called: Mapping[str, str] = field(init=False)
    _live: tuple[tuple[_Scoped, _Scoped, tuple[Rule, ...]], ...] = field(init=False)

    @providers.default
    def _providers(self) -> Mapping[str, Provider]:
        merged: dict[str, Provider] = {}
        for layer in reversed(self.layers):
            merged.update((name, each.over(merged.get(name))) for name, each in layer.providers.items())
        return merged

    @_called.default
    def _by_spoken_name(self) -> Mapping[str, str]:
        """Providers by every name they go by: an own name beats another's other name, a higher layer a lower one."""
        called: dict[str, str] = {}
        for layer in reversed(self.layers):
            for name in layer.providers:
                called.update((spoken_name(other), name) for other in self.providers[name].names)
        return called | {spoken_name(name): name for name in self.providers}

    @_live.default
    def _without_replaced_rules(self) -> tuple[tuple[_Scoped, _Scoped, tuple[Rule, ...]], ...]:
        gone: set[str] = set()
        live = []
        always = self.layers[-1].rules[-1].ref  # holds for everything, so no file can take it out
        for layer in self.layers:
            gone -= {always.id} if layer is self.layers[-1] else set()
            by_domain = {name: _kept(rules, gone) for name, rules in layer.domain_rules.items()}
            by_provider = {name: _kept(rules, gone) for name, rules in layer.provider_rules.items()}
            live.append((by_domain, by_provider, _kept(layer.rules, gone)))
            gone.update(layer.disable, (rule.ref.id for rule in layer.all_rules))
        return tuple(live)

    def rule_for(self, facts: Facts) -> Rule:
        """Return the rule that decides; there is always one."""
        domain = facts.attempt.recipient.domain if facts.attempt.recipient else None
        return next(rule for rule in self.in_order(domain, facts.provider) if rule.holds(facts))

    def in_order(self, domain: str | None, provider: str | None) -> Iterator[Rule]:
        """Yield the rules that are asked for a recipient of this domain at this provider, in order."""
        for by_domain, by_provider, everyone in self._live:
            for name in _with_parents(domain) if by_domain else ():
                yield from by_domain.get(name, ())
            if provider is not None:
                yield from by_provider.get(provider, ())
            yield from everyone

    def provider_of(self, attempt: Attempt) -> str | None:
        """The provider: as the caller says, else by the MX's name, else by the recipient's domain; None: not known.

        A name that no provider goes by counts as if the caller had said nothing.
        """
        if attempt.provider in self.providers:
            return attempt.provider
        if attempt.provider is not None and (called := self._called.get(spoken_name(attempt.provider))):
            return called
        if attempt.mx is not None:
            for name, provider in self.providers.items():
                if any(below(attempt.mx, suffix) for suffix in provider.mx):
                    return name
        return self.provider_by_domain(attempt.recipient)

    def provider_by_domain(self, recipient: Address | None) -> str | None:
        """The provider whose mailboxes have this domain."""
        if recipient is None:
            return None
        own = (name for name, each in self.providers.items() if any(below(recipient.domain, d) for d in each.domains))
        return next(own, None)

    def pair(self, sender: Address | str | None, recipient: Address | None) -> str | None:
        """The key of (our sending identity, the destination), for suspensions; None when the recipient is not known.

        It is made of what is known before a delivery, never of the MX: `plan` has to find it again.
        """
        if recipient is None:
            return None
        identity = sender.domain if isinstance(sender, Address) else "-"
        return f"{identity}>{self.provider_by_domain(recipient) or recipient.domain}"

    def schedule(self, name: str | None) -> Schedule:
        """The schedule of this name, by the highest layer that has it; None: the default one."""
        wanted = name or self._default("schedule")
        return next(layer.schedules[wanted] for layer in self.layers if wanted in layer.schedules)

    def route(self, name: str | None) -> str:
        """The name of the route to take; None: the default one."""
        return name or self._default("route")

    def stream_give_up(self, attempt: Attempt) -> timedelta | None:
        """How long mail of the attempt's stream is retried at most; None: as the schedule says."""
        stream = attempt.stream
        return next((layer.streams[stream] for layer in self.layers if stream and stream in layer.streams), None)

    def lasting(self, strength: Strength) -> Lasting:
        """How long a suppression of this strength lasts."""
        if strength is Strength.PERMANENT:
            return Lasting(lasting=None)
        return next(layer.suppression[strength] for layer in self.layers if strength in layer.suppression)

    def _default(self, key: str) -> str:
        return next(layer.defaults[key] for layer in self.layers if key in layer.defaults)


def _kept(rules: tuple[Rule, ...], gone: set[str]) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules if rule.ref.id not in gone)


def _with_parents(domain: str | None) -> Iterator[str]:
    while domain:
        yield domain
        domain = domain.partition(".")[2]
