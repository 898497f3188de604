"""What changes between two policies: which inputs get another decision, in groups, each with an attempt that shows it.

An input is decided by one rule in the old policy and by one in the new. So the inputs that change lie in the pairs of
rules that do different things and that some input gets: of the old one's boxes what is left by those before it, and of
the new one's likewise. Names (schedules, routes ...) mean different things in different scopes, so pairs are asked for
each scope in which either policy says names of its own. Only pairs that can occur are asked: where both policies have a
rule in the same words, another decides only if it stands before it in one of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice, product
from typing import Any

from attrs import evolve, frozen

from policy.decide import decide
from policy.decision import Action, Decision, RuleRef
from policy.rules.layer import Where
from policy.rules.overrides import scope
from policy.rules.policy import ANYWHERE, Place, Policy
from policy.rules.proof import space as at
from policy.rules.proof.boxes import Box, Claim, Cover, Undecided
from policy.rules.proof.change import Change, Pair, differ
from policy.rules.proof.doing import Did, cases
from policy.rules.proof.provider_diff import provider_changes
from policy.rules.proof.space import Abstraction
from policy.rules.proof.text_atoms import relations
from policy.rules.proof.witness import LOOKS, Witness, Witnesses
from policy.rules.rule import Rule, Then

_IN_VAIN = 30  # after so many looks for a witness in vain, the others are short
_FEW_LOOKS = 50
_BOXES = 4096  # of one pair that are asked; more are only told to be possible


@frozen(eq=False)
class _Side:
    """One of the two policies, its rules in force, the boxes that each takes and those in which all of it is."""

    policy: Policy
    rules: tuple[Rule, ...]
    takes: tuple[tuple[Box, ...], ...]
    boxes: tuple[tuple[Box, ...], ...]
    words: tuple[Any, ...]


def diff(old: Policy, new: Policy, *, now: datetime) -> list[Change]:
    """Return the changes, in the order in which the old policy asks its rules.

    Args:
        now: rules that have expired by then do not count.
    """
    return [*_grouped(_Diff(old, new, now).changes()), *provider_changes(old, new, now=now)]


def _grouped(changes: Iterable[Change]) -> Iterator[Change]:
    """One change for all that one rule newly decides in the same way, and for all rules that stay and change alike.

    One witness stands for the group, and its pair of rules comes first.
    """
    groups: dict[object, list[Change]] = {}
    for each in changes:
        groups.setdefault(_group(each.pairs[0], each.says), []).append(each)
    for group in groups.values():
        first = next((each for each in group if each.witness is not None), group[0])
        yield evolve(first, pairs=tuple(dict.fromkeys(pair for each in (first, *group) for pair in each.pairs)))


def _group(pair: Pair, says: tuple[str, ...]) -> object:
    old, new = pair
    return says, None if old.id == new.id else new


class _Diff:
    """The questions to a pair of policies."""

    def __init__(self, old: Policy, new: Policy, now: datetime) -> None:
        self.now = now
        names = dict.fromkeys((*old.providers, *new.providers))
        places = _places(old, new)
        markers = tuple(_marker(place) for place in places)
        streams = dict.fromkeys(name for policy in (old, new) for name in _streams(policy))
        abstraction = Abstraction((*old.rules, *new.rules, *markers), new.knowledge, names, streams=tuple(streams))
        self.abstraction, self.streams = abstraction, tuple(streams)
        self.old, self.new = (_side(policy, abstraction, now) for policy in (old, new))
        self.places = [(place, abstraction.boxes(marker)) for place, marker in zip(places, markers, strict=True)]
        self.witnesses, self.cases = Witnesses(abstraction, new, now), tuple(cases(abstraction))
        impossible = [*abstraction.impossible(), *relations(abstraction)]
        lists = (
            [Claim(n, box) for n, boxes in enumerate(side.takes) for box in boxes] for side in (self.old, self.new)
        )
        self.witnessed: set[object] = set()  # groups that have a witness
        self.vain = 0  # looks for one that found none
        closer = [Claim(n, box) for n, (_, boxes) in enumerate(self.places) for box in boxes]
        first, second = lists
        self.cover = Cover(abstraction.space, [*impossible, *first], second, closer)

    def changes(self) -> Iterator[Change]:
        for i, j in self.pairs():
            for number, (place, _) in enumerate([*self.places, (ANYWHERE, [])]):
                yield from self.changed(i, j, number, place)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Pairs of an old and a new rule that one input may get: see above for those that none can."""
        twin_in_new = _twins(self.old, self.new)
        twin_in_old = {j: i for i, j in twin_in_new.items()}
        odd = [j for j in range(len(self.new.rules)) if j not in twin_in_old]
        for i in range(len(self.old.rules)):
            mine = twin_in_new.get(i)
            limit = len(self.new.rules) if mine is None else mine
            moved = [j for j in range(limit) if twin_in_old.get(j, -1) > i]
            unpaired = [j for j in odd if j < limit]
            yield from ((i, j) for j in sorted({*moved, *unpaired, *(() if mine is None else (mine,))}))

    def changed(self, i: int, j: int, number: int, place: Place) -> Iterator[Change]:
        """What changes where these two rules decide at this place: in general, then for a stream or a case."""
        old, new = self.old.rules[i], self.new.rules[j]
        told: set[str] = set()
        for stream, (region, did) in product((None, *self.streams), self.cases):
            try:
                before, after = did(self.old.policy, old, place, stream), did(self.new.policy, new, place, stream)
            except LookupError:
                return  # it names what is defined in another scope only: it cannot hold here
            keys = _changed(before, after) - told
            if not keys:
                continue
            boxes = (box for box in (each & region for each in self.common(i, j, number, stream)) if not box.is_empty)
            says = _says(before, after, keys, stream)
            change = self.shown(i, j, list(islice(boxes, _BOXES + 1)), number, says)
            if change is not None:
                told |= keys
                yield change

    def shown(self, i: int, j: int, boxes: Sequence[Box], number: int, says: tuple[str, ...]) -> Change | None:
        """The change, where some input gets this pair at this place; with a witness when its group has none yet."""
        possible = len(boxes) > _BOXES
        change = Change(pairs=((self.old.rules[i].ref, self.new.rules[j].ref),), says=says)
        group = _group(change.pairs[0], says)
        for box in boxes[:_BOXES]:
            try:
                free = self.cover.free(box, i, j, number)
            except Undecided:
                possible = True
                continue
            if free is None:
                continue
            possible = True
            if group in self.witnessed:
                return change
            looks = LOOKS if self.vain < _IN_VAIN else _FEW_LOOKS
            shows = partial(self.shows, change.pairs[0])
            rules = self.old.rules[i], self.new.rules[j]
            witness = self.witnesses.find(free, box, rules, shows, looks=looks)
            self.vain += witness is None
            if witness is not None:
                self.witnessed.add(group)
                before, after = self.decided(self.old, witness), self.decided(self.new, witness)
                return evolve(change, witness=witness, before=before, after=after)
        return change if possible else None

    def shows(self, pair: Pair, witness: Witness) -> bool:
        """Do these two rules decide about it, and differently?"""
        before, after = self.decided(self.old, witness), self.decided(self.new, witness)
        sent = self.sent(self.old, before, witness), self.sent(self.new, after, witness)
        return (before.rule, after.rule) == pair and (differ(before, after) or sent[0] != sent[1])

    def sent(self, side: _Side, decision: Decision, witness: Witness) -> str | None:
        """Where the next try goes: a route may keep its name and lead elsewhere."""
        attempt, policy = witness.attempt, side.policy
        place = policy.place(attempt.recipient, policy.provider_of(attempt))
        return None if decision.route is None else policy.next_hop(decision.route, place)

    def common(self, i: int, j: int, number: int, stream: str | None) -> Iterator[Box]:
        """Boxes in both rules, at the place and for the stream."""
        of_stream = self.abstraction.box(STREAM=self.abstraction.dimensions[at.STREAM].of([stream]))
        places = self.places[number][1] if number < len(self.places) else [Box()]
        for one in self.old.boxes[i]:
            for other in self.new.boxes[j]:
                for within in places:
                    box = one & other & within
                    if not box.is_empty and not (box & of_stream).is_empty:
                        yield box & of_stream

    def decided(self, side: _Side, witness: Witness) -> Decision:
        return decide(side.policy, witness.attempt, witness.history, now=self.now, spread=0.5)


def _side(policy: Policy, abstraction: Abstraction, now: datetime) -> _Side:
    deciding = [each for each in policy.rules if not each.observing and (each.expires is None or now < each.expires)]
    takes = tuple(tuple(abstraction.boxes(rule)) for rule in deciding)
    boxes = tuple(tuple(abstraction.around(rule)) for rule in deciding)
    return _Side(policy, tuple(deciding), takes, boxes, tuple(_words(rule) for rule in deciding))


def _words(rule: Rule) -> Any:
    """What makes two rules one and the same: what they ask for, and what they say."""
    return frozenset(_plain(each) for each in (*rule.within, *rule.when)), rule.then, frozenset(rule.despite)


def _plain(condition: Any) -> Any:
    if condition.key == "not":
        return "not", frozenset(_plain(each) for each in condition.values[0])
    return condition.key, frozenset(getattr(value, "pattern", value) for value in condition.values)


def _twins(old: _Side, new: _Side) -> dict[int, int]:
    """Rules in the same words, by their places; the first of each."""
    places: dict[Any, int] = {}
    for j, words in enumerate(new.words):
        places.setdefault(words, j)
    found: dict[int, int] = {}
    for i, words in enumerate(old.words):
        if words in places:
            found[i] = places.pop(words)
    return found


def _changed(before: Did, after: Did) -> set[str]:
    """The names of what is different; where the action is, nothing else matters."""
    if before.action is not after.action:
        return {"action"}
    return {key for key in before.terms.keys() | after.terms.keys() if before.terms.get(key) != after.terms.get(key)}


def _says(before: Did, after: Did, keys: set[str], stream: str | None) -> tuple[str, ...]:
    """What is different, in words."""
    of = f" of stream {stream}" if stream else ""
    if before.action is not after.action:
        return (f"{before.action.value} becomes {after.action.value}{of}",)
    return tuple(f"{before.action.value} with another {key}{of}" for key in sorted(keys))


def _places(*policies: Policy) -> list[Place]:
    """Scopes, and a domain's with a provider's, in which a policy has names of its own; the closest first."""
    found = {
        where
        for policy in policies
        for layer in policy.layers
        for where, block in layer.blocks
        if block.schedules or block.routes or block.streams or block.suppression or block.defaults
    }
    closest = sorted(found, key=lambda where: (-where.closeness, str(where)))
    domains = [where.domain for where in closest if where.domain is not None]
    providers = [where.provider for where in closest if where.provider is not None]
    return [Place(*both) for both in product((*domains, None), (*providers, None)) if any(both)]


def _marker(place: Place) -> Rule:
    """A rule that is never asked: it makes the space tell the place from others."""
    scopes = [Where(domain=place.domain)] * bool(place.domain) + [Where(provider=place.provider)] * bool(place.provider)
    return Rule(ref=RuleRef("place", "", 0), within=tuple(map(scope, scopes)), when=(), then=Then(action=Action.RETRY))


def _streams(policy: Policy) -> Iterator[str]:
    for layer in policy.layers:
        for _, block in layer.blocks:
            yield from block.streams
