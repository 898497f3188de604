"""Decisions without what names anybody, to be compared where the names are veiled and where they are not."""

from attrs import evolve

from policy.decision import Alert, Decision, Delivered, NoteForward, Strike, Suppress
from policy.testing.scenarios import NOW
from policy.text import clean


def nameless(decision: Decision) -> Decision:
    """What is decided, without forwards, quoted words, names, and the spread, which comes of them."""

    def target(text: str) -> str:
        local, at, rest = text.rpartition("@")
        return f"{'somebody' if local else ''}{at}{rest}"

    effects = tuple(
        evolve(each, target=target(each.target)) if isinstance(each, Suppress | Strike | Delivered) else each
        for each in decision.effects
        if not isinstance(each, NoteForward)
    )
    texts = tuple(evolve(each, text=clean("")) if isinstance(each, Alert) else each for each in effects)
    # Who is called `spam` finds that word of ours veiled, too.
    evidence = tuple(evolve(each, value=clean(""), says="") for each in decision.evidence)
    when = decision.retry_at and NOW
    return evolve(decision, effects=texts, evidence=evidence, retry_at=when, remedy="")
