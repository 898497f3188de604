"""From a file's nodes to a `Layer`; all that is wrong with a file is told at once.

A file says what holds for everyone (`BLOCK`), what holds for a domain or a provider (the same keys again), and a few
things that only a whole file can say (`FILE`).
"""

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from policy.rules.domains import parse_spared
from policy.rules.layer import Block, Layer, Names
from policy.rules.overrides import override
from policy.rules.providers import Provider, parents, spoken_name
from policy.rules.reading import (
    Key,
    Keys,
    Kind,
    Report,
    choice,
    domain,
    fields,
    identifier,
    kind,
    named,
    near,
    record,
    reference,
    schema_of,
    several,
    shown,
    string,
)
from policy.rules.rule import Rule
from policy.rules.rule_reader import rule
from policy.rules.terms import limit, route, schedule, stream, suppression
from policy.yamlfile import Mapping as MappingNode
from policy.yamlfile import Node, Problem, Scalar, Sequence

LANGUAGE = "1"

DEFAULTS: Keys = {
    "schedule": Key(reference("schedule"), "For rules that name none."),
    "route": Key(reference("route"), "For rules that name none, and for new mail."),
    "limit": Key(reference("limit"), "How fast mail is sent there, of our own accord; without it, as it comes."),
}


def _rules(report: Report, node: Node) -> tuple[Rule, ...] | None:
    if not isinstance(node, Sequence):
        report.problem(node, "bad-type", f"`rules` must be a list, not {shown(node)}")
        return None
    return tuple(each for each in (rule(report, item) for item in node.items) if each is not None)


rules: Kind[tuple[Rule, ...]] = Kind(_rules, {"type": "array", "items": rule.schema}, "list of rules")


BLOCK: Keys = {
    "rules": Key(rules, "In order: the first rule that holds decides."),
    "override": Key(several(override), "Changes of single fields of rules of lower files, which stay in their place."),
    "disable": Key(several(reference("rule")), "Ids of rules of lower files that are taken out."),
    "defaults": Key(record("`defaults`", DEFAULTS, dict), "The schedule and the route for rules that name none."),
    "schedules": Key(named("`schedules`", identifier, schedule), "Named schedules of retries."),
    "routes": Key(named("`routes`", identifier, route), "Named routes."),
    "limits": Key(named("`limits`", identifier, limit), "Named rates of sending."),
    "streams": Key(named("`streams`", string, stream), "What holds for kinds of mail."),
    "suppression": Key(suppression, "How long a suppression of each strength lasts."),
}
_FIELDS = {"override": "overrides"}


def _block(report: Report, node: Node, found: Mapping[str, Node]) -> Block:
    """What one scope says; it may refer to the names of its own, too."""
    own = {kind: _names_in(found.get(f"{kind}s")) for kind in ("schedule", "route", "limit")}
    known = {kind: frozenset(names) | own.get(kind, frozenset()) for kind, names in report.known.items()}
    inside = evolve(report, known=known)
    given = {_FIELDS.get(key, key): BLOCK[key].kind(inside, found[key]) for key in BLOCK if key in found}
    said: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return Block(**said, node=node if isinstance(node, MappingNode) else None)


block: Kind[Block] = Kind(
    lambda report, node: _block(report, node, fields(report, node, "a domain", BLOCK)),
    schema_of(BLOCK),
    "map of what holds there",
)

PROVIDER: Keys = {
    "mx": Key(several(domain), "Names of its hosts, each with all below it."),
    "domains": Key(several(domain), "Domains of its mailboxes, each with all below it."),
    "names": Key(several(identifier), "What else callers may call it."),
    **BLOCK,
}


def _provider(report: Report, node: Node) -> tuple[Provider, Block] | None:
    found = fields(report, node, "a provider", PROVIDER)
    own = {key: PROVIDER[key].kind(report, found[key]) or () for key in ("mx", "domains", "names") if key in found}
    return Provider(**own), _block(report, node, found)


provider: Kind[tuple[Provider, Block]] = Kind(_provider, schema_of(PROVIDER), "provider, and what holds for it")


def _domains(report: Report, node: Node) -> dict[str, Block] | None:
    if not isinstance(node, MappingNode):
        report.problem(node, "bad-type", f"`domains` must be a map of domains, not {shown(node)}")
        return None
    names = [domain(report, key) for key, _ in node.items]
    own = {name: fields_of(value) for name, (_, value) in zip(names, node.items, strict=True)}
    scoped: dict[str, Block] = {}
    first: dict[str, Scalar] = {}
    for name, (key, value) in zip(names, node.items, strict=True):
        wider = [own[each] for each in parents(name) if each in own]
        known = {
            kind: frozenset(names).union(*(_names_in(each.get(f"{kind}s")) for each in wider))
            for kind, names in report.known.items()
        }
        said = block(evolve(report, known=known), value)
        if name is None:
            continue
        if first.setdefault(name, key) is not key:
            message = f"domain {shown(key)} stands already in line {first[name].line}, as {shown(first[name])}"
            report.problem(key, "duplicate-key", message)
        elif said is not None:
            scoped[name] = said
    return scoped


domains: Kind[dict[str, Block]] = Kind(
    _domains, {"type": "object", "additionalProperties": block.schema}, "map of domains, each to what holds there"
)


@kind("address, or a domain", {"type": "string", "minLength": 1})
def _spared(report: Report, node: Node) -> tuple[str, int] | None:
    """An address, `x.example` with all below it, `=x.example`, `*.x.example`."""
    text = string(report, node)
    if text is None:
        return None
    try:
        return parse_spared(text), node.line
    except ValueError as error:
        report.problem(node, "bad-address", str(error))
        return None


FILE: Keys = {
    "mailverdict": Key(
        choice({LANGUAGE: LANGUAGE}, "version of the language"), "The version of the rules language.", required=True
    ),
    "extends": Key(
        choice({"shipped": True, "none": False}, "policy to extend"),
        "`none` leaves the shipped rules out; their schedules, routes and providers stay.",
    ),
    **BLOCK,
    "providers": Key(
        named("`providers`", identifier, provider), "Mailbox providers, and what holds for their recipients."
    ),
    "domains": Key(domains, "What holds for the recipients of a domain and of all below it."),
    "never_suppress": Key(several(_spared), "Addresses and domains that no bounce ever suppresses."),
}


def read_layer(node: Node | None, file: str, problems: list[Problem], below: Names) -> Layer:
    """Read one file's node; what is wrong is appended to `problems`.

    Args:
        node: None for an empty file, which is an error: a policy that says nothing is a mistake.
        below: what the layers under this one define.
    """
    report = Report(file, problems)
    if node is None:
        if not problems:
            problems.append(Problem(file, 1, 1, "empty-file", "the file says nothing; start with `mailverdict: 1`"))
        return Layer(file=file)
    if _is_of_cases(node):
        report.problem(node, "bad-type", "this is a list of cases, not a rules file; try it with `mailverdict test`")
        return Layer(file=file)
    found = fields(report, node, "a rules file", FILE)
    report.known = {
        "schedule": below.schedules | _names_in(found.get("schedules")),
        "route": below.routes | _names_in(found.get("routes")),
        "limit": below.limits | _names_in(found.get("limits")),
        "provider": below.providers | _names_in(found.get("providers")),
        "rule": below.rules,
    }
    given = {key: FILE[key].kind(report, value) for key, value in found.items() if key not in BLOCK}
    layer = Layer(
        file=file,
        never_suppress=dict(given.get("never_suppress") or ()),
        extends_shipped=given.get("extends") is not False,
        everyone=_block(report, node, found),
        domains=given.get("domains") or {},
        providers={name: each for name, (each, _) in (given.get("providers") or {}).items()},
        by_provider={name: said for name, (_, said) in (given.get("providers") or {}).items() if said != Block()},
    )
    _check_overrides(report, layer)
    _check_providers(report, found.get("providers"), layer, below)
    return layer


def _is_of_cases(node: Node) -> bool:
    """A list in which something is given: what `mailverdict test` reads."""
    return isinstance(node, Sequence) and any("given" in fields_of(each) for each in node.items)


def _names_in(node: Node | None) -> frozenset[str]:
    return frozenset(name.text for name, _ in node.items) if isinstance(node, MappingNode) else frozenset()


def fields_of(node: Node) -> dict[str, Node]:
    """The keys of a map and their values; nothing for anything else."""
    return {key.text: value for key, value in node.items} if isinstance(node, MappingNode) else {}


def _check_overrides(report: Report, layer: Layer) -> None:
    """An override speaks of a rule of a lower file."""
    for _, said in layer.blocks:
        for edit in said.overrides:
            if edit.id in report.ids:
                message = f"rule `{edit.id}` stands in line {report.ids[edit.id]} of this file: change it there"
                report.problem(edit.node, "own-rule", message)


def _check_providers(report: Report, node: Node | None, layer: Layer, below: Names) -> None:
    """In one file a name means one provider, and a new provider says where it is."""
    meant = {spoken_name(name): name for name in layer.providers}
    for key, value in node.items if isinstance(node, MappingNode) else ():
        own = layer.providers.get(key.text)
        if own is None:
            continue
        for name in own.names:
            first = meant.setdefault(spoken_name(name), key.text)
            if first != key.text:
                report.problem(value, "duplicate-name", f"`{name}` means the provider `{first}` already")
        if set() < fields_of(value).keys() <= BLOCK.keys() and key.text not in below.providers:
            _new_provider(report, key, below)


def _new_provider(report: Report, key: Scalar, below: Names) -> None:
    hint = near(key.text, below.providers) or "; a new one needs `mx` or `domains`"
    report.problem(key, "unknown-provider", f"no provider is called {shown(key)}{hint}")
