"""What a rule does at a place, names resolved: two rules that do the same are no change.

A law may keep a rule from what it says (`policy.decide`), and what it does then hangs on other names than its own: so
there is more than one case, each with the inputs for which it counts.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from attrs import evolve, frozen

from policy.attempt import Failure
from policy.decision import Action
from policy.rules.policy import Place, Policy
from policy.rules.proof import space as at
from policy.rules.proof.boxes import Box
from policy.rules.proof.meanings import YES
from policy.rules.proof.space import Abstraction
from policy.rules.rule import ON_PURPOSE, Despite, Rule, Then
from policy.suppression import OWN_LOOKUP

ACCEPTING = (Action.ACCEPT, Action.ACCEPT_AND_NOTE_FORWARD)


@frozen
class Did:
    """An action and its terms."""

    action: Action
    terms: Mapping[str, Any]


Case: TypeAlias = tuple[Box, Callable[[Policy, Rule, Place, str | None], Did]]


def cases(abstraction: Abstraction) -> Iterator[Case]:
    """Yield what a rule does, and for which inputs: mostly, to a refusal on purpose, and to what it may not settle."""
    outcome, meaning = abstraction.dimensions[at.OUTCOME], abstraction.dimensions[at.MEANING]
    on_purpose = meaning.where(lambda each: each[0] in ON_PURPOSE)
    no, passing = meaning.where(lambda each: each != YES), outcome.where(_is_passing)
    yield Box(), usually
    yield abstraction.box(MEANING=on_purpose), refused
    yield abstraction.box(OUTCOME=passing | outcome.of(OWN_LOOKUP), MEANING=no), not_accepted
    yield abstraction.box(OUTCOME=passing, MEANING=no), not_suppressed


def usually(policy: Policy, rule: Rule, place: Place, stream: str | None) -> Did:
    """What the rule says."""
    then = rule.then
    terms: dict[str, Any] = {
        "suspend": then.suspend,
        "throttle": then.throttle,
        "trust-forward": then.trust_forward,
        "alert": then.alert,
        "remedy": then.remedy,
        "despite": frozenset(rule.despite),
    }
    if then.action is Action.RETRY:
        terms |= _retrying(policy, then, place, stream)
    if then.suppress is not None:
        terms["suppress"] = then.suppress
        terms["strength"] = policy.lasting(then.suppress.strength, place)
        if then.suppress.meanwhile is not None:
            terms["meanwhile"] = policy.lasting(then.suppress.meanwhile, place)
    return Did(then.action, terms)


def refused(policy: Policy, rule: Rule, place: Place, stream: str | None) -> Did:
    """To a refusal on purpose: by the default route, whichever the rule names (law 19)."""
    did = usually(policy, rule, place, stream)
    if rule.then.route is None or Despite.REFUSED_ON_PURPOSE in rule.despite:
        return did
    return evolve(did, terms={**did.terms, "route": _route(policy, None, place)})


def not_accepted(policy: Policy, rule: Rule, place: Place, stream: str | None) -> Did:
    """To what is no yes and may pass, of a rule that accepts: it is retried, as the defaults say (law 2)."""
    did = usually(policy, rule, place, stream)
    return _retried(policy, did, place, stream) if did.action in ACCEPTING else did


def not_suppressed(policy: Policy, rule: Rule, place: Place, stream: str | None) -> Did:
    """To what may pass, of a rule that suppresses: it is retried, as the defaults say (law 3)."""
    did = usually(policy, rule, place, stream)
    return _retried(policy, did, place, stream) if did.action is Action.HARD_BOUNCE else did


def _retried(policy: Policy, did: Did, place: Place, stream: str | None) -> Did:
    return evolve(did, terms={**did.terms, **_retrying(policy, Then(action=Action.RETRY), place, stream)})


def _retrying(policy: Policy, then: Then, place: Place, stream: str | None) -> dict[str, Any]:
    return {
        "schedule": policy.schedule(then.schedule, place),
        "give-up": policy.stream_give_up(stream, place),
        "route": _route(policy, then.route, place),
        "split": then.split,
        "reconnect": then.reconnect,
        "in-clear": then.in_clear,
    }


def _route(policy: Policy, name: str | None, place: Place) -> tuple[str, str]:
    return policy.route(name, place), policy.next_hop(name, place)


def _is_passing(atom: object) -> bool:
    if isinstance(atom, Failure):
        return atom not in OWN_LOOKUP
    return not isinstance(atom, int) or atom // 100 in (3, 4)
