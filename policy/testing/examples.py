"""The examples and counterexamples of rules, each one tried: what a test runner counts, where the checker complains."""

from collections.abc import Collection
from datetime import datetime

from attrs import evolve, frozen

from policy.rules.examples import failing_examples
from policy.rules.policy import Policy
from policy.rules.source import called
from policy.yamlfile import Problem


@frozen(kw_only=True)
class Tried:
    """One example, and what is wrong with it.

    Args:
        name: the rule's id, and which of its examples it is.
        problem: None: it is decided as it says.
    """

    name: str
    file: str
    line: int
    problem: Problem | None


def tried_examples(policy: Policy, files: Collection[str], *, now: datetime) -> list[Tried]:
    """Return the examples and counterexamples of the rules in force of operator `files`, in the order of asking."""
    wrong = {(each.file, each.line, each.column): each for each in failing_examples(policy, now=now)}
    names = set(map(called, files))
    # By layers: an operator's file may be called as the shipped one is.
    own = {evolve(rule.ref, edited=()) for layer in policy.layers[:-2] if layer.file in names for rule in layer.rules}
    found: dict[tuple[str, int, int], Tried] = {}  # by place: a rule that was edited for one scope is there twice
    for rule in (each for each in policy.rules if evolve(each.ref, edited=()) in own):
        for noun, examples in (("example", rule.examples), ("counterexample", rule.counterexamples)):
            for number, example in enumerate(examples, start=1):
                place = rule.ref.file, example.line, example.column
                name = f"{rule.ref.id}[{noun} {number}]"
                found[place] = Tried(name=name, file=place[0], line=place[1], problem=wrong.get(place))
    return list(found.values())
