"""Layers made one list of rules, in the order in which they are asked.

The highest layer comes first; in a layer the closest scope, in a scope the file's order. A rule is out when a higher
layer disables it or has a rule with its id. Edits are made from the lowest layer up, so that a higher file edits what
the lower files left.
"""

from collections.abc import Sequence

from attrs import evolve

from policy.rules.layer import EVERYONE, Layer, Names
from policy.rules.overrides import edited, outside, scope
from policy.rules.reading import Report
from policy.rules.rule import Rule
from policy.yamlfile import Problem


def stacked(layers: Sequence[Layer], names: Sequence[Names], problems: list[Problem]) -> tuple[Rule, ...]:
    """Return all rules in force, in the order in which they are asked.

    Args:
        layers: the lowest first; its last rule holds always and cannot be taken out or narrowed.
        names: of each layer, what it may refer to (its own names included).
        problems: what is wrong with an edit is appended.
    """
    stack: list[list[Rule]] = []
    always = layers[0].everyone.rules[-1].ref.id
    for layer, known in zip(layers, names, strict=True):
        gone = {*layer.everyone.disable, *(rule.ref.id for rule in layer.rules)} - {always}
        stack = [[rule for rule in rules if rule.ref.id not in gone] for rules in stack]
        for where, block in reversed(layer.blocks):  # everyone first, so that a closer edit starts from the wider one
            report = Report(layer.file, problems, known.in_scope(layer, where))
            for id_ in block.disable if where != EVERYONE else ():
                stack = [rules if id_ == always else outside(rules, id_, where) for rules in stack]
            for edit in block.overrides:
                if edit.id == always:
                    message = f"`{always}` holds for all that nothing else decides; it stays as it is"
                    report.problem(edit.node, "last-rule", message)
                    continue
                stack = [edited(rules, edit, where, report) for rules in stack]
        stack.append(_own(layer))
    problems[:] = dict.fromkeys(problems)  # of an edit that is made to several parts of a rule
    return tuple(rule for rules in reversed(stack) for rule in rules)


def _own(layer: Layer) -> list[Rule]:
    rules: list[Rule] = []
    for where, block in layer.blocks:
        within = () if where == EVERYONE else (scope(where),)
        rules += [evolve(rule, within=within) if within else rule for rule in block.rules]
    return rules
