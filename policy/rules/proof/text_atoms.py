"""What is known of the texts that conditions look for: which occur only where another does, which never or always."""

from collections.abc import Iterator
from itertools import islice, permutations

from policy.rules.proof.boxes import IMPOSSIBLE, Claim
from policy.rules.proof.patterns import Verdict, containments, implies, verdict
from policy.rules.proof.space import Abstraction

_PAIRS = 2000  # of patterns with others that are compared: each may take a while


def relations(abstraction: Abstraction) -> list[Claim]:
    """Return the combinations of texts that never occur, as far as that can be decided."""
    return [Claim(IMPOSSIBLE, abstraction.space.box(masks)) for masks in _never(abstraction)]


def _never(abstraction: Abstraction) -> Iterator[dict[int, int]]:
    phrases = [value for key, value in abstraction.flags if key == "text"]
    for longer, shorter in containments(phrases):
        yield {abstraction.flags["text", phrases[longer]]: 2, abstraction.flags["text", phrases[shorter]]: 1}
    patterns = abstraction.patterns
    for text in patterns:
        known = verdict(text)
        if known in (Verdict.ALWAYS, Verdict.NEVER):
            yield {abstraction.flags["pattern", text]: 1 if known is Verdict.ALWAYS else 2}
    atoms = [*patterns.values(), *phrases] if patterns else []
    pairs = (pair for pair in permutations(atoms, 2) if not all(isinstance(each, str) for each in pair))
    for one, other in islice(pairs, _PAIRS):
        if implies(one, other):
            yield {_flag(abstraction, one): 2, _flag(abstraction, other): 1}


def _flag(abstraction: Abstraction, atom: object) -> int:
    return abstraction.flags[("text", atom) if isinstance(atom, str) else ("pattern", atom.pattern)]  # type: ignore[attr-defined]
