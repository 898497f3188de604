"""`override`: one field of a rule of a lower layer, changed where the rule stands.

What is set is laid over the rule's own text, map over map, and the whole is read again, so that an edited rule is
checked like any other. In a domain's or a provider's block the edit parts the rule in two: an edited one for that
scope, and the rule as it was for all others. So of all parts of a rule, whatever layers and scopes edit it, just one
speaks to a recipient, and it has every edit that is meant for this recipient.
"""

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from policy.rules.conditions import condition, none_of
from policy.rules.domains import covers, patterns_over
from policy.rules.layer import EVERYONE, Edit, Path, Where
from policy.rules.reading import Key, Keys, Kind, Report, fields, kind, reference, schema_of, several, shown
from policy.rules.rule import Condition, Rule
from policy.rules.rule_reader import RULE, rule
from policy.yamlfile import PROBLEMS_LIMIT, Mapping, Node, Scalar

_SET: Keys = {key: evolve(each, required=False) for key, each in RULE.items() if key != "id"}


@kind("part of a rule, laid over it", {"type": "object", "properties": {key: {} for key in _SET}})
def _changes(report: Report, node: Node) -> Mapping | None:
    fields(report, node, "`set`", _SET)
    return node if isinstance(node, Mapping) else None


@kind("path of a key, such as `then.alert`", {"type": "string", "pattern": r"^[a-z_]+(\.[a-z_]+)*$"})
def _path(report: Report, node: Node) -> Path | None:
    path = tuple(node.text.split(".")) if isinstance(node, Scalar) else ()
    if all(path) and path and path[0] in _SET:
        return path
    report.problem(node, "bad-path", f"{shown(node)} is no path in a rule; write `then.alert` or `when.command`")
    return None


OVERRIDE: Keys = {
    "id": Key(reference("rule"), "The rule of a lower file that is changed.", required=True),
    "set": Key(_changes, "What it says instead: a part of a rule, laid over it."),
    "unset": Key(several(_path), "Paths of keys that it no longer has, such as `then.alert`."),
}


def _override(report: Report, node: Node) -> Edit | None:
    before = len(report.problems)
    found = fields(report, node, "an override", OVERRIDE)
    given: dict[str, Any] = {key: OVERRIDE[key].kind(report, value) for key, value in found.items()}
    if not {"set", "unset"} & found.keys() and isinstance(node, Mapping):
        report.problem(node, "missing-key", "an override needs `set` or `unset`")
    id_ = given.get("id")
    if not isinstance(id_, str) or not isinstance(node, Mapping):
        return None
    if len(report.problems) > before:  # nothing is laid over a rule then, so it is read as far as it can be without
        _read_alone(report, given.get("set"))
        return Edit(id=id_, changes=None, unset=(), node=node)
    return Edit(id=id_, changes=given.get("set"), unset=given.get("unset") or (), node=node)


def _read_alone(report: Report, changes: Mapping | None) -> None:
    """Report what is wrong in the part of a rule, whatever it is laid over: what it lacks may stand there."""
    alone = Report(report.file, known=report.known)
    for key, value in changes.items if changes else ():
        if key.text in _SET:
            _SET[key.text].kind(alone, value)
    told = [each for each in alone.problems if each.code.startswith(("bad-", "unknown-"))]
    report.problems += told[: PROBLEMS_LIMIT - len(report.problems)]


override: Kind[Edit] = Kind(_override, schema_of(OVERRIDE), "override")


def edited(rules: Sequence[Rule], edit: Edit, where: Where, report: Report) -> list[Rule]:
    """Return the rules of a layer with `edit` made to those of its id, as far as they speak to a scope."""
    meant = [each.ref.id == edit.id and _meets(each, where) for each in rules]
    if not any(meant):
        return list(rules)
    _check_unset([each for each, is_meant in zip(rules, meant, strict=True) if is_meant], edit, report)
    left: list[Rule] = []
    for each, is_meant in zip(rules, meant, strict=True):
        if not is_meant:
            left.append(each)
        elif _is_inside(each, where):
            left.append(_changed(each, edit, report))
        else:
            left += [_only(_changed(each, edit, report), where), _out_of(each, where)]
    return left


def outside(rules: Sequence[Rule], id_: str, where: Where) -> list[Rule]:
    """Return the rules of a layer, with those of this id out of force in a scope."""
    return [_out_of(each, where) if each.ref.id == id_ else each for each in rules]


def _out_of(rule: Rule, where: Where) -> Rule:
    """The rule without what it says to a scope; of one kind of scope, all are in one condition."""
    gone = scope(where)
    kept = [each for each in rule.within if each.key != "not" or each.values[0][0].key != gone.key]
    before = [value for each in rule.within if each not in kept for value in each.values[0][0].values]
    return evolve(rule, within=(*kept, none_of((evolve(gone, values=(*before, *gone.values)),))))


def _only(rule: Rule, where: Where) -> Rule:
    """What the rule says to a scope; of the domains that it is kept from, those elsewhere no longer matter."""
    within: list[Condition] = []
    for each in rule.within:
        gone = each.values[0][0] if each.key == "not" else None
        if gone is None or gone.key != "domain" or where.domain is None:
            within.append(each)
        elif below := tuple(value for value in gone.values if covers(where.domain, value)):
            within.append(none_of((evolve(gone, values=below),)))
    return evolve(rule, within=(*within, scope(where)))


def scope(where: Where) -> Condition:
    """The condition that a scope puts on the rules in it."""
    if where.domain is not None:
        return condition("domain", (where.domain,))
    return condition("provider", (where.provider,))


def _meets(rule: Rule, where: Where) -> bool:
    """May the rule speak to a recipient of a scope, as far as its own scopes go?"""
    return not any(_keeps_off(each, where) for each in rule.within)


def _keeps_off(own: Condition, where: Where) -> bool:
    """Does a condition of `within` hold for nobody in a scope?"""
    gone = own.values[0][0] if own.key == "not" else None
    if where.domain is not None:
        if gone is not None:
            return gone.key == "domain" and not set(patterns_over(where.domain)).isdisjoint(gone.values)
        apart = not covers(own.values[0], where.domain) and not covers(where.domain, own.values[0])
        return own.key == "domain" and apart
    if where.provider is not None:
        if gone is not None:
            return gone.key == "provider" and where.provider in gone.values
        return own.key == "provider" and where.provider not in own.values
    return False


def _is_inside(rule: Rule, where: Where) -> bool:
    """Are all to whom the rule speaks in the scope?"""
    domains = [each.values[0] for each in rule.within if each.key == "domain"]
    if where.domain is not None:
        return any(covers(where.domain, each) for each in domains)
    return where == EVERYONE or scope(where) in rule.within


def _check_unset(parts: Sequence[Rule], edit: Edit, report: Report) -> None:
    """What is taken away must be there, in one part of the rule at least."""
    texts = [_laid_over(each.node, edit.changes) for each in parts if each.node is not None]
    for path in edit.unset:
        if all(_without(each, path) is None for each in texts):
            ref = parts[0].ref
            message = f"rule `{edit.id}` ({ref.file}:{ref.line}) has no `{'.'.join(path)}`"
            report.problem(edit.node, "nothing-to-unset", message)


def _changed(base: Rule, edit: Edit, report: Report) -> Rule:
    if base.node is None:
        return base
    node = _laid_over(base.node, edit.changes)
    for path in edit.unset:
        node = _without(node, path) or node
    before = len(report.problems)
    read = rule(_report_of(report, edit, base), node)
    if read is None or len(report.problems) > before:  # the next edit of the rule starts from what is sound
        return base
    ref = evolve(base.ref, edited=(*base.ref.edited, f"{report.file}:{edit.node.line}"))
    return evolve(read, ref=ref, within=base.within)


def _report_of(report: Report, edit: Edit, base: Rule) -> Report:
    """A report of the same problems, which puts what is wrong with the rule's own text on the edit's place.

    What the rule refers to already is known where it stands, if not where the edit does.
    """
    own = frozenset(map(id, _below(edit.changes))) if edit.changes else frozenset()
    referred = {"schedule": base.then.schedule, "route": base.then.route}
    known = {kind: {*names, referred.get(kind) or ""} for kind, names in report.known.items()}
    return Report(report.file, report.problems, known, at=edit.node, own=own)


def _below(node: Node) -> list[Node]:
    """The node and all that is in it."""
    if isinstance(node, Scalar):
        return [node]
    inner = [part for pair in node.items for part in pair] if isinstance(node, Mapping) else list(node.items)
    return [node, *(each for part in inner for each in _below(part))]


def _laid_over(base: Mapping, changes: Mapping | None) -> Mapping:
    """`base` with the keys of `changes`, map over map; in the place of the base, in its order."""
    if changes is None:
        return base
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
