"""A change between two policies, and when two decisions are two."""

from typing import Any

from attrs import evolve, frozen

from policy.decision import Decision, RuleRef
from policy.rules.proof.witness import Witness

Pair = tuple[RuleRef, RuleRef]


@frozen(kw_only=True)
class Change:
    """A group of inputs that get another decision for one reason.

    Args:
        pairs: the old and the new rule that decide them; of each group the first is what the witness shows.
        says: what changes, a line each.
        witness: an attempt that shows it; None when none was found: then it is only possible.
        before, after: the witness's decisions.
    """

    pairs: tuple[Pair, ...]
    says: tuple[str, ...]
    witness: Witness | None = None
    before: Decision | None = None
    after: Decision | None = None


def differ(one: Decision, other: Decision) -> bool:
    """Are they two decisions, whichever rule made them and whatever is said about it?"""
    return _bare(one) != _bare(other)


def _bare(decision: Decision) -> Decision:
    return evolve(decision, rule=RuleRef("", "", 0), evidence=(), policy_version="", effects=_without_ids(decision))


def _without_ids(decision: Decision) -> Any:
    """Alerts quote the rule's id, which is no decision."""
    return tuple(getattr(each, "to", each) for each in decision.effects)
