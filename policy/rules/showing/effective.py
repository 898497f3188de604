"""What is in force: the rules in the order in which they are asked, and the names that count in each place.

Layers and scopes are gone here: a rule carries all its conditions itself, the scope that it stands in among them, and
a schedule, route, stream, strength or default has one value in a place. One file can say it all, but for one case:
where a provider's block of a higher file beats a domain's block of a lower one, for recipients of both (`unsaid`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from policy.decision import RuleRef
from policy.rules.layer import EVERYONE, Where
from policy.rules.policy import Place, Policy
from policy.rules.providers import Provider, Providers, spoken_name
from policy.rules.rule import Condition, Rule
from policy.rules.showing.conjunction import conjoined, holds_in
from policy.rules.showing.resolution import Name, Resolution, Said

_ID_LIMIT = 80


@frozen(kw_only=True)
class RuleInForce:
    """A rule with all its conditions.

    Args:
        id: the rule's own; a copy for a scope gets one more word, since ids in a file differ.
        when: conditions of the scope and of the rule, one a key.
    """

    id: str
    when: tuple[Condition, ...]
    rule: Rule


@frozen(kw_only=True)
class Effective:
    """A policy without layers.

    Args:
        rules: in order, without `last`, which always holds and is always there (None: it is not asked for).
        names: for everyone, and where a scope has another value.
        disabled: rules of the bottom that are not in force.
        spared: whom no bounce suppresses, each with its place.
        unsaid: names that have yet another value in a place; one file cannot say that.
    """

    rules: tuple[RuleInForce, ...]
    last: Rule | None
    names: Mapping[Where, Mapping[Name, Said]]
    providers: Mapping[str, Provider]
    disabled: tuple[str, ...]
    spared: Mapping[str, str] = field(factory=dict)
    unsaid: tuple[tuple[Place, Name, Said], ...] = ()


def effective(policy: Policy, place: Place | None = None) -> Effective:
    """Return what is in force.

    Args:
        place: only what counts there: rules that may hold, names as they are resolved. None: for everyone.
    """
    rules = tuple(_rules(policy, place or Place()))
    last = policy.rules[-1]
    written = {last.ref.id, *(each.id for each in rules)}
    resolution = Resolution(policy)
    names, unsaid = ({EVERYONE: resolution.all_at(place)}, ()) if place else resolution.flattened()
    providers = _providers(policy)
    if place and place.provider:
        providers = {name: providers[name] for name in providers if name in {place.provider, *_spoken_of(rules)}}
    return Effective(
        rules=rules,
        last=last,
        names=names,
        providers=providers,
        disabled=tuple(rule.ref.id for rule in policy.layers[-1].rules if rule.ref.id not in written),
        spared=_spared(policy),
        unsaid=unsaid,
    )


def only_rule(whole: Effective, rule_id: str) -> Effective:
    """Return the one rule, with its copies for scopes, and no more than the names that it refers to."""
    rules = tuple(each for each in whole.rules if each.rule.ref.id == rule_id)
    thens = [each.rule.then for each in rules]
    wanted = {("schedules", then.schedule) for then in thens} | {("routes", then.route) for then in thens}
    names = {
        where: {name: said for name, said in block.items() if name in wanted} for where, block in whole.names.items()
    }
    return evolve(
        whole,
        rules=rules,
        last=whole.last if whole.last is not None and whole.last.ref.id == rule_id else None,
        names={where: block for where, block in names.items() if block or where == EVERYONE},
        providers={name: each for name, each in whole.providers.items() if name in _spoken_of(rules)},
        disabled=(),
        spared={},
        unsaid=(),
    )


def _spoken_of(rules: Sequence[RuleInForce]) -> set[str]:
    """The providers that conditions name."""
    conditions = [each for rule in rules for each in rule.when]
    inner = [one for each in conditions if each.key == "not" for one in each.values[0]]
    return {value for each in (*conditions, *inner) if each.key == "provider" for value in each.values}


@frozen
class InForce:
    """All that two policies must agree in to decide alike; rules without their places."""

    rules: tuple[Rule, ...]
    names: Mapping[Name, Any]
    providers: tuple[tuple[str, Provider], ...]
    called: Mapping[str, str | None]
    spared: frozenset[str]


def in_force(policy: Policy) -> InForce:
    """Return what is in force as a value that compares equal for policies that say the same."""
    providers = Providers.merged([layer.providers for layer in reversed(policy.layers)])
    spoken = {spoken_name(other) for name, each in providers.named.items() for other in (name, *each.names)}
    return InForce(
        rules=tuple(
            evolve(each.rule, ref=RuleRef(each.id, "", 0), within=(), when=each.when)
            for each in _rules(policy, Place())
        ),
        names=Resolution(policy).canonical(),
        providers=tuple((name, evolve(_owned(providers, name), names=())) for name in sorted(providers.named)),
        called={name: providers.called(name) for name in spoken},
        spared=frozenset(_spared(policy)),
    )


def _spared(policy: Policy) -> dict[str, str]:
    """Whom no bounce suppresses: what the lists of all files say, and where."""
    found = {
        name: f"{layer.file}:{line}" for layer in reversed(policy.layers) for name, line in layer.never_suppress.items()
    }
    return dict(sorted(found.items()))


def _rules(policy: Policy, place: Place) -> Iterator[RuleInForce]:
    """The rules that can hold, with ids of their own; the last of an id keeps it."""
    found = [(rule, conjoined((*rule.within, *rule.when))) for rule in policy.rules[:-1]]
    holding = [(rule, when) for rule, when in found if when is not None and holds_in(when, place)]
    # Ids are given over the whole policy, so that a rule has one id whatever the place is.
    ids = _ids([rule for rule, when in found if when is not None], {each.ref.id for each in policy.layers[-1].rules})
    for rule, when in holding:
        yield RuleInForce(id=ids[id(rule)], when=when, rule=rule)


def _ids(rules: Sequence[Rule], reserved: set[str]) -> dict[int, str]:
    """An id for each rule, by its identity."""
    keepers = {rule.ref.id: id(rule) for rule in rules}
    taken = reserved | keepers.keys()
    ids: dict[int, str] = {}
    for rule in rules:
        if keepers[rule.ref.id] == id(rule):
            ids[id(rule)] = rule.ref.id
            continue
        scope = "-".join(str(each.values[0]) for each in rule.within if each.key != "not") or "copy"
        words = "".join(char if char.isalnum() and char.isascii() else "-" for char in scope.lower()).split("-")
        stem, number = "-".join([rule.ref.id, "at", *filter(None, words)]), 1
        candidate = stem[:_ID_LIMIT].rstrip("-")
        while candidate in taken:
            number += 1
            candidate = f"{stem[: _ID_LIMIT - len(str(number)) - 1].rstrip('-')}-{number}"
        taken.add(candidate)
        ids[id(rule)] = candidate
    return ids


def _providers(policy: Policy) -> dict[str, Provider]:
    """The providers; a name that callers may say stands with the one that it means, as a file demands."""
    merged = Providers.merged([layer.providers for layer in reversed(policy.layers)])
    return {
        name: evolve(_owned(merged, name), names=tuple(other for other in each.names if merged.called(other) == name))
        for name, each in merged.named.items()
    }


def _owned(merged: Providers, name: str) -> Provider:
    """What is a provider's: of names that two claim, the one that has it."""
    each = merged.named[name]
    return evolve(
        each,
        mx=tuple(host for host in each.mx if merged.by_mx(host) == name),
        domains=tuple(domain for domain in each.domains if merged.by_domain(domain) == name),
    )
