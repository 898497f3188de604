"""What is kept of an attempt that names no recipient: nothing can be held against somebody whom nobody named.

`decide()` may be asked about a mere reply, and says what would become of whoever it was for. The engine keeps what is
decided, and people count on that: there a decision suppresses nobody whom it does not name.
"""

from attrs import evolve

from policy.decision import Action, Decision, Strike, Suppress
from policy.diagnosis.category import Evidence, EvidenceKind
from policy.text import clean


def without_nobody(decision: Decision) -> Decision:
    """Return the decision without what it holds against an empty target; a hard bounce becomes a bounce."""
    effects = tuple(each for each in decision.effects if not isinstance(each, Suppress | Strike) or each.target)
    if len(effects) == len(decision.effects):
        return decision
    bounces = decision.action is Action.HARD_BOUNCE
    became = "hard-bounce became bounce" if bounces else "suppress became nothing"
    says = "no recipient is named that it could be held against"
    return evolve(
        decision,
        action=Action.BOUNCE if bounces else decision.action,
        effects=effects,
        evidence=(*decision.evidence, Evidence(EvidenceKind.LAW, clean(became), says)),
    )
