"""`override`: one field of a rule of a lower layer, changed where the rule stands.

What is set is laid over the rule's own text, map over map, and the whole is read again, so that an edited rule is
checked like any other. In a domain's or a provider's block the edit makes a copy of the rule for that scope, which
stands before the rule itself.
"""

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from policy.rules.conditions import condition, none_of
from policy.rules.domains import covers
from policy.rules.layer import EVERYONE, Edit, Path, Where
from policy.rules.reading import Key, Keys, Kind, Report, fields, kind, reference, schema_of, several, shown
from policy.rules.rule import Condition, Rule
from policy.rules.rule_reader import RULE, rule
from policy.yamlfile import Mapping, Node, Scalar

_SET: Keys = {key: evolve(each, required=False) for key, each in RULE.items() if key != "id"}


@kind("part of a rule, laid over it", {"type": "object", "properties": {key: {} for key in _SET}})
def _changes(report: Report, node: Node) -> Mapping | None:
    fields(report, node, "`set`", _SET)
    return node if isinstance(node, Mapping) else None


@kind("path of a key, such as `then.alert`", {"type": "string", "pattern": r"^[a-z_]+(\.[a-z_]+)*$"})
def _path(report: Report, node: Node) -> Path | None:
    path = tuple(node.text.split(".")) if isinstance(node, Scalar) else ()
    if path and path[0] in _SET:
        return path
    report.problem(node, "bad-path", f"{shown(node)} is no path in a rule; write `then.alert` or `when.command`")
    return None


OVERRIDE: Keys = {
    "id": Key(reference("rule"), "The rule of a lower file that is changed.", required=True),
    "set": Key(_changes, "What it says instead: a part of a rule, laid over it."),
    "unset": Key(several(_path), "Paths of keys that it no longer has, such as `then.alert`."),
}


def _override(report: Report, node: Node) -> Edit | None:
    found = fields(report, node, "an override", OVERRIDE)
    given: dict[str, Any] = {key: OVERRIDE[key].kind(report, value) for key, value in found.items()}
    if not {"set", "unset"} & found.keys() and isinstance(node, Mapping):
        report.problem(node, "missing-key", "an override needs `set` or `unset`")
    id_ = given.get("id")
    if not isinstance(id_, str) or not isinstance(node, Mapping):
        return None
    return Edit(id=id_, changes=given.get("set"), unset=given.get("unset") or (), node=node)


override: Kind[Edit] = Kind(_override, schema_of(OVERRIDE), "override")


def edited(rules: Sequence[Rule], edit: Edit, where: Where, report: Report) -> list[Rule]:
    """Return the rules of a layer with `edit` made to those of its id; a scoped edit adds a copy for its scope."""
    if where == EVERYONE:
        return [_changed(each, edit, report) if each.ref.id == edit.id else each for each in rules]
    base = next((each for each in rules if each.ref.id == edit.id and _reaches(each, where)), None)
    if base is None:
        return list(rules)
    copy = evolve(_changed(base, edit, report), within=(*base.within, scope(where)))
    near = _closeness(copy)
    at = next(place for place, each in enumerate(rules) if each.ref.id == edit.id and _closeness(each) <= near)
    return [*rules[:at], copy, *rules[at:]]


def outside(rules: Sequence[Rule], id_: str, where: Where) -> list[Rule]:
    """Return the rules of a layer, with those of this id out of force in a scope."""
    but = none_of((scope(where),))
    return [evolve(each, within=(*each.within, but)) if each.ref.id == id_ else each for each in rules]


def scope(where: Where) -> Condition:
    """The condition that a scope puts on the rules in it."""
    if where.domain is not None:
        return condition("domain", (where.domain,))
    return condition("provider", (where.provider,))


def _closeness(rule: Rule) -> int:
    """Of the scope that a rule was last copied for; see `Where.closeness`."""
    found = [each for each in rule.within if each.key in ("domain", "provider")]
    if not found:
        return 0
    (name,) = found[-1].values
    return Where(domain=name).closeness if found[-1].key == "domain" else 1


def _reaches(rule: Rule, where: Where) -> bool:
    """Does the rule stand for all of a scope, as far as its own scopes go?"""
    for each in rule.within:
        if each.key == "domain" and (where.domain is None or not covers(each.values[0], where.domain)):
            return False
        if each.key == "provider" and each.values[0] != where.provider:
            return False
    return True


def _changed(base: Rule, edit: Edit, report: Report) -> Rule:
    if base.node is None:
        return base
    node = base.node if edit.changes is None else _laid_over(base.node, edit.changes)
    for path in edit.unset:
        without = _without(node, path)
        if without is None:
            message = f"rule `{edit.id}` ({base.ref.file}:{base.ref.line}) has no `{'.'.join(path)}`"
            report.problem(edit.node, "nothing-to-unset", message)
        else:
            node = without
    own = _report_of(report, edit)
    read = rule(own, node)
    if read is None:
        return base
    ref = evolve(base.ref, edited=(*base.ref.edited, f"{report.file}:{edit.node.line}"))
    return evolve(read, ref=ref, within=base.within)


def _report_of(report: Report, edit: Edit) -> Report:
    """A report of the same problems, which puts what is wrong with the rule's own text on the edit's place."""
    own = frozenset(map(id, _below(edit.changes))) if edit.changes else frozenset()
    return Report(report.file, report.problems, report.known, at=edit.node, own=own)


def _below(node: Node) -> list[Node]:
    """The node and all that is in it."""
    if isinstance(node, Scalar):
        return [node]
    inner = [part for pair in node.items for part in pair] if isinstance(node, Mapping) else list(node.items)
    return [node, *(each for part in inner for each in _below(part))]


def _laid_over(base: Mapping, changes: Mapping) -> Mapping:
    """`base` with the keys of `changes`, map over map; in the place of the base, in its order."""
    new = {key.text: value for key, value in changes.items}
    items: list[tuple[Scalar, Node]] = []
    for key, value in base.items:
        over = new.pop(key.text, None)
        both = isinstance(value, Mapping) and isinstance(over, Mapping)
        items.append((key, _laid_over(value, over) if both else value if over is None else over))  # type: ignore[arg-type]
    items += [(key, value) for key, value in changes.items if key.text in new]
    return Mapping(tuple(items), base.line, base.column)


def _without(node: Mapping, path: Path) -> Mapping | None:
    """`node` without the key at `path`; None when it has none."""
    head, *rest = path
    items: list[tuple[Scalar, Node]] = []
    found = False
    for key, value in node.items:
        if key.text != head:
            items.append((key, value))
            continue
        inner = _without(value, tuple(rest)) if rest and isinstance(value, Mapping) else None
        found = not rest or inner is not None
        if rest:
            items.append((key, value if inner is None else inner))
    return Mapping(tuple(items), node.line, node.column) if found else None
