"""Laws of what the engine keeps of an attempt, as `policy.testing.laws` has those of what `decide()` says."""

from datetime import datetime

import attrs

from policy.attempt import Attempt, Event
from policy.decision import Action, Strike, Suppress
from policy.engine import recorded
from policy.history import History
from policy.rules.policy import Policy


def law_nobody_is_suppressed(
    policy: Policy,
    attempt: Attempt,
    history: History,
    now: datetime,
    spread: float,  # noqa: ARG001 - the arguments are those of every law; the engine makes its own spread
) -> None:
    """What is kept of an attempt suppresses, and strikes, only whom it names; without a recipient nobody at all."""
    nameless = attempt if isinstance(attempt.outcome, Event) else attrs.evolve(attempt, recipient=None)
    for each, past in ((attempt, history), (nameless, History())):
        kept = recorded(policy, each, past, now).entry.decision
        held = [effect for effect in kept.effects if isinstance(effect, Suppress | Strike)]
        assert all(effect.target for effect in held)
        if each.recipient is None:
            assert not held
            assert not kept.suppress
            assert kept.action is not Action.HARD_BOUNCE
