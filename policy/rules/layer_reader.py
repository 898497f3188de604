"""From a file's nodes to a `Layer`; all that is wrong with a file is told at once.

The keys of a file: mailverdict (the version of the language), extends (shipped or none), defaults, suppression,
streams, providers, schedules, routes, rules, domains, disable.
"""

from collections.abc import Callable
from typing import Any

from policy.decision import Action, RuleRef
from policy.rules.conditions import read_when
from policy.rules.layer import Layer, Names
from policy.rules.reading import (
    Report,
    choice,
    domain,
    fields,
    identifier,
    members,
    named,
    near,
    several,
    shown,
    string,
)
from policy.rules.rule import Provider, Rule, Then, spoken_name
from policy.rules.terms import MODIFIERS, ONLY_WITH, route, schedule, stream, suppression
from policy.yamlfile import Mapping as MappingNode
from policy.yamlfile import Node, Problem, Scalar, Sequence

LANGUAGE = "1"

_KEYS = (
    "mailverdict", "extends", "defaults", "suppression", "streams", "providers", "schedules", "routes",
    "rules", "domains", "disable",
)  # fmt: skip


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
    found = fields(report, node, "a rules file", _KEYS, required=("mailverdict",))
    if "mailverdict" in found:
        choice({LANGUAGE: LANGUAGE}, "version of the language")(report, found["mailverdict"])
    return _LayerReader(report, found, below).layer()


class _LayerReader:
    """Reads the sections in the order in which they refer to each other."""

    def __init__(self, report: Report, found: dict[str, Node], below: Names) -> None:
        self.report, self.found, self.below = report, found, below
        self.ids: dict[str, int] = {}

    def section(self, key: str, read: Callable[[Report, Node], Any], default: Any) -> Any:
        return read(self.report, self.found[key]) if key in self.found else default

    def layer(self) -> Layer:
        extends = self.section("extends", choice({"shipped": True, "none": False}, "policy to extend"), True)
        self.provider_rules: dict[str, tuple[Rule, ...]] = {}
        self.known_providers = self.below.providers | self.names_of("providers")
        self.known = {key: getattr(self.below, key) | self.names_of(key) for key in ("schedules", "routes")}
        schedules = self.section("schedules", lambda r, n: named(r, n, "`schedules`", schedule, name=identifier), {})
        routes = self.section("routes", lambda r, n: named(r, n, "`routes`", route, name=identifier), {})
        providers = self.section("providers", self.providers, {})
        rules = self.section("rules", self.rules, ())
        domains = self.section("domains", self.domains, {})
        return Layer(
            file=self.report.file,
            extends_shipped=extends is not False,
            rules=rules,
            domain_rules=domains,
            provider_rules=self.provider_rules,
            providers=providers,
            schedules=schedules,
            routes=routes,
            streams=self.section("streams", lambda r, n: named(r, n, "`streams`", stream, name=string), {}),
            suppression=self.section("suppression", suppression, {}),
            defaults=self.section("defaults", self.defaults, {}),
            disable=self.section("disable", self.disable, ()),
        )

    def names_of(self, key: str) -> frozenset[str]:
        node = self.found.get(key)
        return frozenset(name.text for name, _ in node.items) if isinstance(node, MappingNode) else frozenset()

    def reference(self, kind: str, node: Node) -> str | None:
        """A name that this file or one below it defines."""
        name = identifier(self.report, node)
        if name is not None and name not in self.known[kind]:
            message = f"no {kind[:-1]} is called `{name}`{near(name, self.known[kind])}"
            self.report.problem(node, f"unknown-{kind[:-1]}", message)
        return name

    def defaults(self, report: Report, node: Node) -> dict[str, str]:
        found = fields(report, node, "`defaults`", ("schedule", "route"))
        names = {key: self.reference(f"{key}s", value) for key, value in found.items()}
        return {key: name for key, name in names.items() if name is not None}

    def providers(self, report: Report, node: Node) -> dict[str, Provider]:
        providers = named(report, node, "`providers`", self.provider, name=identifier)
        for key, value in node.items if isinstance(node, MappingNode) else ():
            rules = {k.text: v for k, v in value.items}.get("rules") if isinstance(value, MappingNode) else None
            if rules is not None:
                self.provider_rules[key.text] = self.rules(report, rules)
            keys = {each.text for each, _ in value.items} if isinstance(value, MappingNode) else set()
            if keys == {"rules"} and key.text not in self.below.providers:
                hint = near(key.text, self.below.providers) or "; a new one needs `mx` or `domains`"
                report.problem(key, "unknown-provider", f"no provider is called {shown(key)}{hint}")
        self.check_names(node, providers)
        return providers

    def check_names(self, node: Node, providers: dict[str, Provider]) -> None:
        """In one file a name means one provider."""
        meant = {spoken_name(name): name for name in providers}
        for key, value in node.items if isinstance(node, MappingNode) else ():
            for name in providers[key.text].names if key.text in providers else ():
                first = meant.setdefault(spoken_name(name), key.text)
                if first != key.text:
                    message = f"`{name}` means the provider `{first}` already"
                    self.report.problem(value, "duplicate-name", message)

    def provider(self, report: Report, node: Node) -> Provider | None:
        found = fields(report, node, "a provider", ("mx", "domains", "names", "rules"))
        reads = {"mx": domain, "domains": domain, "names": identifier}
        lists = {key: several(read)(report, found[key]) or () for key, read in reads.items() if key in found}
        return Provider(**lists)

    def domains(self, report: Report, node: Node) -> dict[str, tuple[Rule, ...]]:
        if not isinstance(node, MappingNode):
            report.problem(node, "bad-type", f"`domains` must be a map of domains, not {shown(node)}")
            return {}
        scoped: dict[str, tuple[Rule, ...]] = {}
        for key, value in node.items:
            name = domain(report, key)
            rules = fields(report, value, f"domain {shown(key)}", ("rules",), required=("rules",)).get("rules")
            if name in scoped:
                report.problem(key, "duplicate-key", f"domain {shown(key)} stands already above, as `{name}`")
            elif name is not None and rules is not None:
                scoped[name] = self.rules(report, rules)
        return scoped

    def rules(self, report: Report, node: Node) -> tuple[Rule, ...]:
        if not isinstance(node, Sequence):
            report.problem(node, "bad-type", f"`rules` must be a list, not {shown(node)}")
            return ()
        rules = (self.rule(each) for each in node.items)
        return tuple(rule for rule in rules if rule is not None)

    def rule(self, node: Node) -> Rule | None:
        report = self.report
        found = fields(report, node, "a rule", ("id", "when", "then", "examples"), required=("id", "then"))
        id_ = identifier(report, found["id"]) if "id" in found else None
        if id_ is not None and id_ in self.ids:
            report.problem(found["id"], "duplicate-id", f"rule `{id_}` stands already in line {self.ids[id_]}")
        elif id_ is not None:
            self.ids[id_] = node.line
        when = read_when(report, found["when"]) if "when" in found else ()
        self.check_providers(found.get("when"))
        then = self.then(found["then"]) if "then" in found else None
        examples = several(string)(report, found["examples"]) or () if "examples" in found else ()
        if id_ is None or then is None:
            return None
        return Rule(ref=RuleRef(id_, report.file, node.line), when=when, then=then, examples=examples)

    def check_providers(self, when: Node | None) -> None:
        for key, value in when.items if isinstance(when, MappingNode) else ():
            for each in value.items if isinstance(value, Sequence) else (value,):
                if key.text == "provider" and isinstance(each, Scalar) and each.text not in self.known_providers:
                    message = f"no provider is called {shown(each)}{near(each.text, self.known_providers)}"
                    self.report.problem(each, "unknown-provider", message)

    def then(self, node: Node) -> Then | None:
        report = self.report
        found = fields(report, node, "`then`", ("action", *MODIFIERS), required=("action",))
        action = choice(members(Action), "action")(report, found["action"]) if "action" in found else None
        given = {key: read(report, found[key]) for key, read in MODIFIERS.items() if key in found}
        for key in ("schedule", "route"):
            if key in found:
                given[key] = self.reference(f"{key}s", found[key])
        if action is None:
            return None
        self.check_modifiers(action, found, node)
        return Then(action=action, **{key: value for key, value in given.items() if value is not None})

    def check_modifiers(self, action: Action, found: dict[str, Node], node: Node) -> None:
        """Which modifiers an action needs and forbids."""
        if action is Action.HARD_BOUNCE and "suppress" not in found:
            self.report.problem(node, "needs-suppress", "`hard-bounce` suppresses: say how in `suppress`, or `bounce`")
        for key in found.keys() & ONLY_WITH.keys():
            if action not in ONLY_WITH[key]:
                allowed = " or ".join(f"`{each.value}`" for each in ONLY_WITH[key])
                message = f"`{key}` goes with {allowed}, not with `{action.value}`"
                self.report.problem(found[key], "misplaced-modifier", message)

    def disable(self, report: Report, node: Node) -> tuple[str, ...]:
        for each in node.items if isinstance(node, Sequence) else (node,):
            if isinstance(each, Scalar) and each.text not in self.below.rules:
                message = f"no rule below is called {shown(each)}{near(each.text, self.below.rules)}"
                report.problem(each, "unknown-rule", message)
        return several(identifier)(report, node) or ()
