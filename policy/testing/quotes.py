"""What of a decision quotes the reply, for laws that ask what a decision makes of it."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from policy.decision import Alert, Decision, Effect, NoteForward
from policy.forward import UntrustedPath
from policy.reply import Reply
from policy.text import TEXT_LIMIT, clean

OTHER_PATH = "someone.else@elsewhere.example"
_IN_BRACKETS = re.compile("<[^<>]*@[^<>]*>")


def without_quotes(decision: Decision) -> Decision:
    """Return the decision with blanks for what it quotes of the reply: what is left is decided."""
    blank = clean("")
    evidence = tuple(attrs.evolve(each, value=blank) for each in decision.evidence)
    return attrs.evolve(decision, effects=tuple(map(_without_quote, decision.effects)), evidence=evidence)


def _without_quote(effect: Effect) -> Effect:
    if isinstance(effect, Alert):
        return attrs.evolve(effect, text=clean(""))
    if isinstance(effect, NoteForward):
        return attrs.evolve(effect, forward_path=UntrustedPath(clean("")))
    return effect


def renamed(outcome: Any) -> Any:
    """The outcome with another path in the place of each that it may name."""
    if not isinstance(outcome, Reply):
        return outcome
    return attrs.evolve(outcome, lines=(clean(_IN_BRACKETS.sub(f"<{OTHER_PATH}>", outcome.text), limit=TEXT_LIMIT),))


def texts(value: Any) -> Iterator[str]:
    """All texts of a decision but the remedies, which are the rules' and the knowledge's own words."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for key, each in value.items() if key != "remedy" for text in texts(each))
    elif isinstance(value, Iterable):
        yield from (text for each in value for text in texts(each))
