"""Where each value of what is in force stands, as `file:line`: by the nodes of the files, which know their lines.

Rules that were edited are made of nodes of several files; a node is told by its identity, not by how it looks. What
nobody wrote down (a default of the language, a scope's copy) has no place of its own: it comes with what is around it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from policy.rules.editing.tree import Address
from policy.rules.layer import Block, Layer, Where
from policy.rules.policy import Policy
from policy.rules.rule import Condition, Rule
from policy.rules.showing.dumping import document, written_rule
from policy.rules.showing.effective import Effective, RuleInForce
from policy.rules.showing.resolution import SECTIONS, Said
from policy.yamlfile import Mapping as MappingNode
from policy.yamlfile import Node, Scalar, Sequence

_LOCAL = ("mx", "domains", "names")


def origins(policy: Policy, whole: Effective) -> dict[Address, str]:
    """Return the origins of a policy's values, by their addresses in `document(whole)`.

    A value inside of another has an entry when it comes from another file than that one.
    """
    return dict(_Places(policy).all_of(whole))


def rule_origin(rule: Rule) -> str:
    """Where a rule stands, and where it was edited."""
    edits = f", edited by {', '.join(rule.ref.edited)}" if rule.ref.edited else ""
    return f"{rule.ref.file}:{rule.ref.line}{edits}"


def traced(policy: Policy, whole: Effective) -> dict[str, Any]:
    """Return what is in force as one document for programs, each value with its `origin`.

    `origins` has those of values inside, by their paths, where they differ; a rule has the id that decisions name.
    """
    tree, traces = document(whole), _Traces(origins(policy, whole))
    found: dict[str, Any] = {key: tree[key] for key in ("mailverdict", "extends")}
    found["disable"] = [traces.of(word, ("disable", place)) for place, word in enumerate(tree.get("disable", ()))]
    spared = tree.get("never_suppress", ())
    found["never_suppress"] = [traces.of(word, ("never_suppress", place)) for place, word in enumerate(spared)]
    for section in SECTIONS:
        found[section] = traces.section(tree.get(section, {}), (section,))
    for kind in ("providers", "domains"):
        found[kind] = {name: traces.block(said, (kind, name)) for name, said in tree.get(kind, {}).items()}
    rules = [traces.of(each, ("rules", place)) for place, each in enumerate(tree.get("rules", ()))]
    for each, rule in zip(rules, whole.rules, strict=True):
        each["id"] = rule.rule.ref.id
    if whole.last is not None:
        last = RuleInForce(id=whole.last.ref.id, when=(), rule=whole.last)
        rules.append({**written_rule(last), "origin": rule_origin(whole.last)})
    return {**found, "rules": rules}


class _Traces:
    """Values with their origins beside them."""

    def __init__(self, places: Mapping[Address, str]) -> None:
        self._places = places
        self._inside: dict[Address, dict[str, str]] = {}
        for address, place in places.items():
            for length in range(1, len(address)):
                path = ".".join(map(str, address[length:]))
                self._inside.setdefault(address[:length], {})[path] = place

    def of(self, value: Any, address: Address) -> dict[str, Any]:
        """One value: a map as it is, anything else as `value`."""
        said = value if isinstance(value, dict) else {"value": value}
        inner = self._inside.get(address)
        return {**said, "origin": self._places.get(address, ""), **({"origins": inner} if inner else {})}

    def section(self, said: Mapping[str, Any], address: Address) -> dict[str, Any]:
        """Named values."""
        return {key: self.of(value, (*address, key)) for key, value in said.items()}

    def block(self, said: Mapping[str, Any], address: Address) -> dict[str, Any]:
        """What a provider is, and the sections of a provider or domain."""
        own = {key: value for key, value in said.items() if key not in SECTIONS}
        sections = {key: self.section(value, (*address, key)) for key, value in said.items() if key in SECTIONS}
        return {**(self.of(own, address) if own else {}), **sections}


class _Places:
    """Of which file each node is."""

    def __init__(self, policy: Policy) -> None:
        self._layers = policy.layers
        self._files = {id(node): layer.file for layer in policy.layers for node in _nodes(layer.everyone.node)}

    def all_of(self, whole: Effective) -> Iterator[tuple[Address, str]]:
        for where, names in whole.names.items():
            for (section, key), said in names.items():
                word = str(getattr(key, "value", key))
                yield (*_block_address(where), section, word), self._said(said, section, word)
        for name in whole.providers:
            yield from self._provider(name)
        for place, rule_id in enumerate(whole.disabled):
            yield from ((("disable", place), origin) for origin in self._disabling(rule_id))
        for place, origin in enumerate(whole.spared.values()):
            yield ("never_suppress", place), origin
        for place, each in enumerate(whole.rules):
            yield from self._rule(each, ("rules", place))

    def _said(self, said: Said, section: str, key: str) -> str:
        node = _at(said.block.node, section, key)
        return said.layer.file if node is None else f"{said.layer.file}:{node.line}"

    def _provider(self, name: str) -> Iterator[tuple[Address, str]]:
        """The highest layer that speaks of a provider at all, and that of each key."""
        found: dict[Address, str] = {}
        for layer in self._layers:
            node = _at(layer.everyone.node, "providers", name)
            for keys, each in (((), node), *(((key,), _at(node, key)) for key in _LOCAL)):
                if each is not None:
                    found.setdefault(keys, f"{layer.file}:{each.line}")
        for address, origin in found.items():
            if not address or len(set(found.values())) > 1:
                yield ("providers", name, *address), origin

    def _disabling(self, rule_id: str) -> Iterator[str]:
        for layer in self._layers:
            node = _at(layer.everyone.node, "disable")
            for item in node.items if isinstance(node, Sequence) else () if node is None else (node,):
                if isinstance(item, Scalar) and item.text == rule_id:
                    yield f"{layer.file}:{item.line}"
                    return

    def _rule(self, each: RuleInForce, address: Address) -> Iterator[tuple[Address, str]]:
        rule = each.rule
        yield address, rule_origin(rule)
        for key, node in rule.node.items if rule.node else ():
            if key.text != "id":
                yield (*address, key.text), self._place(node, rule.ref.file)
                yield from self._apart(node, (*address, key.text), self._file(node, rule.ref.file))
        yield from self._scopes(rule, (*address, "when"))

    def _apart(self, node: Node, address: Address, file: str) -> Iterator[tuple[Address, str]]:
        """The values in a map that come from another file than the map."""
        for key, value in node.items if isinstance(node, MappingNode) else ():
            there = self._file(value, file)
            if there != file:
                yield (*address, key.text), f"{there}:{value.line}"
            yield from self._apart(value, (*address, key.text), there)

    def _scopes(self, rule: Rule, address: Address) -> Iterator[tuple[Address, str]]:
        """The conditions that scopes put on a rule; where it has one of the same key, both have a part in it."""
        for each in rule.within:
            scoped = each.values[0][0] if each.key == "not" else each
            keys = ("not", scoped.key) if each.key == "not" else (scoped.key,)
            own = _at(rule.node, "when", *keys)
            places = [] if own is None else [self._place(own, rule.ref.file)]
            places += [self._scope(rule, scoped.key, name, gone=each.key == "not") for name in scoped.values]
            alone = len(keys) == 2 and len(_terms_of(rule, "not")) == 1
            yield (*address, *(keys[:1] if alone else keys)), ", ".join(dict.fromkeys(filter(None, places)))

    def _scope(self, rule: Rule, kind: str, name: str, *, gone: bool) -> str:
        """What puts a rule into a scope, or out of it: the scope's block, an edit or a `disable` in it."""
        for layer in self._layers:
            blocks: Mapping[str, Block] = layer.domains if kind == "domain" else layer.by_provider
            block = blocks.get(name)
            origin = None if block is None else _in_block(layer, block, rule, gone=gone)
            if origin:
                return origin
        return ""

    def _file(self, node: Node, otherwise: str) -> str:
        return self._files.get(id(node), otherwise)  # a map that was laid over another is nobody's: the base's

    def _place(self, node: Node, otherwise: str) -> str:
        return f"{self._file(node, otherwise)}:{node.line}"


def _terms_of(rule: Rule, key: str) -> list[Condition]:
    return [each for each in (*rule.within, *rule.when) if each.key == key]


def _in_block(layer: Layer, block: Block, rule: Rule, *, gone: bool) -> str | None:
    node = _at(block.node, "disable")
    if gone and node is not None and rule.ref.id in block.disable:
        return f"{layer.file}:{node.line}"
    own = rule.ref.file == layer.file and any(each.ref.line == rule.ref.line for each in block.rules)
    if own and block.node is not None:
        return f"{layer.file}:{block.node.line}"
    edits = (f"{layer.file}:{edit.node.line}" for edit in block.overrides if edit.id == rule.ref.id)
    return next((edit for edit in edits if gone or edit in rule.ref.edited), None)


def _block_address(where: Where) -> Address:
    if where.domain is not None:
        return ("domains", where.domain)
    return () if where.provider is None else ("providers", where.provider)


def _at(node: Node | None, *keys: str) -> Node | None:
    """The value under keys, from outside to inside; None where there is none."""
    for key in keys:
        items = node.items if isinstance(node, MappingNode) else ()
        node = next((value for name, value in items if name.text == key), None)
    return node


def _nodes(node: Node | None) -> Iterator[Node]:
    """A node and all that is in it."""
    if node is None:
        return
    yield node
    if isinstance(node, MappingNode):
        for _, value in node.items:
            yield from _nodes(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _nodes(item)
