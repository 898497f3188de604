"""A slow, obvious second evaluator of rules files: which rule decides, which observe, and what a name means.

Nothing of `policy.rules` is used: a file is a tree of maps, lists and strings, and every question walks all files. Of
each file a recipient hears the block for everyone, for its provider, for its parent domains and for its own domain.
Walk the files from the bottom up and keep the list of rules that this one recipient sees: a file first takes rules out
and edits those that are left, the wider block before the closer one, and then puts its own rules in front.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import evolve, frozen

from policy.address import Address, parse_address, parse_domain
from policy.attempt import Attempt
from policy.diagnosis.diagnose import diagnose
from policy.diagnosis.knowledge import shipped_knowledge
from policy.history import History, first_attempt
from policy.retry import Schedule
from policy.yamlfile import Mapping, Node, Problem, Scalar, read_yaml

ROOT = Path(__file__).parents[2]
LAST = "anything-else"  # the rule under all others


def _beside(name: str) -> ModuleType:
    """A module of this folder, by its path: the tests are no package."""
    spec = importlib.util.spec_from_file_location(f"reference_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


conditions = _beside("conditions")
many, duration, domain_of, falls_under = (
    conditions.many,
    conditions.duration,
    conditions.domain_of,
    conditions.falls_under,
)


class Word(str):
    """A word of a file, which knows its line."""

    __slots__ = ("line",)
    line: int


class Map(dict[str, Any]):
    """A map of a file, which knows its line."""

    line = 0


@frozen
class Seen:
    """A rule as one recipient sees it, where it stands, and where it was edited."""

    tree: Map
    file: str
    edited: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return str(self.tree["id"])

    @property
    def name(self) -> tuple[str, str, int, tuple[str, ...]]:
        """Id, file, line, edits: as a decision names its rule."""
        return self.id, self.file, self.tree.line, self.edited


@frozen(kw_only=True)
class Answer:
    """What the files say of an attempt: the rule, those that observe, and what its names mean to this recipient."""

    rule: Seen
    observing: tuple[Seen, ...]
    schedule: Schedule
    give_up: timedelta | None
    route: str
    usual_route: str
    hint: timedelta | None


@frozen
class Reference:
    """Rules files, the lowest first, as trees with their names."""

    files: tuple[tuple[str, Map], ...]

    def holding(self, attempt: Attempt, history: History, now: datetime) -> list[Seen]:
        """All rules that hold, in the order in which they are asked."""
        asked = self.asked(attempt, history, now)
        rules = self.rules_for(domain_of(attempt.recipient), asked.provider)
        return [rule for rule in rules if conditions.rule_holds(rule.tree, asked)]

    def answer(self, attempt: Attempt, history: History, now: datetime) -> Answer:
        asked = self.asked(attempt, history, now)
        observing: list[Seen] = []
        for rule in self.holding(attempt, history, now):
            if rule.tree.get("mode") == "observe":
                observing.append(rule)
                continue
            place = domain_of(attempt.recipient), asked.provider
            usual = self.default("route", *place)
            then = rule.tree["then"]
            return Answer(
                rule=rule,
                observing=tuple(observing),
                schedule=self.schedule(then.get("schedule") or self.default("schedule", *place), *place),
                give_up=self.give_up(attempt.stream, *place),
                route=then.get("route") or usual,
                usual_route=usual,
                hint=asked.diagnosis.retry_after,
            )
        raise AssertionError("no rule holds")

    def asked(self, attempt: Attempt, history: History, now: datetime) -> Any:
        first = first_attempt(attempt, history.progress, now)
        now = max(now, first)
        provider = self.provider_of(attempt) or history.provider
        return conditions.Asked(
            attempt=attempt,
            diagnosis=diagnose(shipped_knowledge(), attempt, provider),
            provider=provider,
            number=attempt.number or (history.progress.attempts if history.progress else 0) + 1,
            now=now,
            age=now - first,
            delivered_before=history.last_success is not None,
            split_before=history.progress is not None and history.progress.split,
            clear_before=history.progress is not None and history.progress.clear,
        )

    def rules_for(self, domain: str | None, provider: str | None) -> list[Seen]:
        """All rules that this recipient sees, in the order in which they are asked."""
        layers: list[list[Seen]] = []
        for name, tree in self.files:
            gone = {rule["id"] for block in all_blocks(tree) for rule in block.get("rules", [])}
            layers = [without_ids(rules, gone) for rules in layers]
            closest_first = list(blocks_for(tree, domain, provider))
            for block in reversed(closest_first):
                layers = [without_ids(rules, set(many(block.get("disable", [])))) for rules in layers]
                for edit in many(block.get("override", [])):
                    layers = [[edited(rule, edit, name) for rule in rules] for rules in layers]
            layers.append([Seen(rule, name) for block in closest_first for rule in block.get("rules", [])])
        return [rule for rules in reversed(layers) for rule in rules]

    def said(self, domain: str | None, provider: str | None, section: str, name: str) -> Any:
        """What the highest file, and in it the closest block, says of a name; None: nobody does."""
        for _, tree in reversed(self.files):
            for block in blocks_for(tree, domain, provider):
                if name in block.get(section, {}):
                    return block[section][name]
        return None

    def default(self, key: str, domain: str | None, provider: str | None) -> str:
        return str(self.said(domain, provider, "defaults", key))

    def schedule(self, name: str, domain: str | None, provider: str | None) -> Schedule:
        said = self.said(domain, provider, "schedules", name)
        spans = {key: duration(said[key]) for key in ("longest", "give_up", "hint") if key in said}
        numbers = {key: int(said[key]) for key in ("factor", "tries") if key in said}
        waits = tuple(map(duration, many(said["waits"] if "waits" in said else said["first"])))
        return Schedule(waits=waits, spread=int(said.get("spread", "0%")[:-1]) / 100, **spans, **numbers)

    def give_up(self, stream: str | None, domain: str | None, provider: str | None) -> timedelta | None:
        said = None if stream is None else self.said(domain, provider, "streams", stream)
        return duration(said["give_up"]) if said and "give_up" in said else None

    def lasting(self, strength: str, domain: str | None, provider: str | None) -> timedelta:
        return duration(self.said(domain, provider, "suppression", strength)["for"])

    def limit(self, domain: str | None, provider: str | None) -> tuple[int, timedelta] | None:
        """How many in how long; None: no defaults name a limit."""
        name = self.said(domain, provider, "defaults", "limit")
        if name is None:
            return None
        count, span = self.said(domain, provider, "limits", name)["rate"].split("/")
        return int(count), duration(span)

    def wanted(self, stream: str | None, domain: str | None, provider: str | None) -> bool:
        said = None if stream is None else self.said(domain, provider, "streams", stream)
        return bool(said and said.get("wanted") == "true")

    def spared(self, recipient: Address) -> tuple[str, int] | None:
        """The file and the line that spare an address: of the highest file that does, the closest line of the list."""
        for name, tree in reversed(self.files):
            found = [word for word in many(tree.get("never_suppress", [])) if spares(word, recipient)]
            if found:
                return name, max(found, key=closeness).line
        return None

    # ---- providers ---------------------------------------------------------------------------------------------------

    def provider_of(self, attempt: Attempt) -> str | None:
        """As the caller says, else by the name of the host, else by the recipient's domain."""
        said = self.providers()
        if attempt.provider in said:
            return attempt.provider
        called = None
        for _, tree in self.files:
            for name in tree.get("providers", {}):
                if letters(attempt.provider) in map(letters, many(said[name].get("names", []))):
                    called = name
        own = [name for name in said if letters(name) == letters(attempt.provider)]
        called = own[-1] if own else called
        return (
            called or self._owner(said, "mx", attempt.mx) or self._owner(said, "domains", domain_of(attempt.recipient))
        )

    def providers(self) -> dict[str, dict[str, Any]]:
        """What is said of each: a higher file's word of a key for a lower one's; the one spoken of last comes last."""
        said: dict[str, dict[str, Any]] = {}
        for _, tree in self.files:
            for name, more in tree.get("providers", {}).items():
                said[name] = {
                    **said.pop(name, {}),
                    **{key: more[key] for key in ("mx", "domains", "names") if key in more},
                }
        return said

    def _owner(self, said: dict[str, dict[str, Any]], key: str, name: str | None) -> str | None:
        """Who has the longest name that covers this one; the last of several who say so."""
        for each in parents(name):
            owners = [who for who, more in said.items() if each in map(parse_domain, many(more.get(key, [])))]
            if owners:
                return owners[-1]
        return None


def reference(files: Sequence[tuple[str, bytes]]) -> Reference:
    """Return the evaluator of these operator files, the last one on top, over the shipped rules."""
    bottom = tree_of("bottom.yaml", (ROOT / "policy" / "rules" / "bottom.yaml").read_bytes())
    shipped = tree_of("rules.yaml", (ROOT / "rules.yaml").read_bytes())
    trees = [(name, tree_of(name, content)) for name, content in files]
    if any(tree.get("extends") == "none" for _, tree in trees):
        shipped = Map({key: value for key, value in shipped.items() if key != "rules"})
    return Reference((("bottom.yaml", bottom), ("rules.yaml", shipped), *trees))


@cache
def tree_of(name: str, content: bytes) -> Map:
    problems: list[Problem] = []
    node = read_yaml(content, name, problems)
    assert isinstance(node, Mapping)
    assert not problems
    return tree(node)


def tree(node: Node) -> Any:
    if isinstance(node, Scalar):
        word = Word(node.text)
        word.line = node.line
        return word
    if not isinstance(node, Mapping):
        return [tree(each) for each in node.items]
    found = Map({key.text: tree(value) for key, value in node.items})
    found.line = node.line
    return found


def parents(name: str | None) -> Iterator[str]:
    """The name, then what it is below."""
    labels = (name or "").split(".")
    yield from filter(None, (".".join(labels[start:]) for start in range(len(labels))))


def spares(word: str, recipient: Address) -> bool:
    return parse_address(word).key == recipient.key if "@" in word else bool(falls_under(word, recipient.domain))


def closeness(word: Word) -> tuple[bool, int, bool, bool, int]:
    """The address, then the longest name; of one name itself, only below, both; the last of equals."""
    labels = parse_domain(word.removeprefix("=").removeprefix("*.")).count(".") if "@" not in word else 0
    return "@" in word, labels, word.startswith("="), word.startswith("*."), word.line


def letters(name: str | None) -> str | None:
    return None if name is None else "".join(each for each in name.lower() if each.isalnum())


# ---- blocks and edits ------------------------------------------------------------------------------------------------


def all_blocks(tree: Map) -> list[Map]:
    return [tree, *tree.get("providers", {}).values(), *tree.get("domains", {}).values()]


def blocks_for(tree: Map, domain: str | None, provider: str | None) -> Iterator[Map]:
    """What a file says to this recipient, the closest block first."""
    for name in parents(domain):
        yield from (block for key, block in tree.get("domains", {}).items() if parse_domain(key) == name)
    if provider in tree.get("providers", {}):
        yield tree["providers"][provider]
    yield tree


def without_ids(rules: list[Seen], ids: set[str]) -> list[Seen]:
    return [rule for rule in rules if rule.id == LAST or rule.id not in ids]


def edited(rule: Seen, edit: Map, file: str) -> Seen:
    """The rule as an override leaves it."""
    if rule.id != edit["id"]:
        return rule
    changed = laid_over(rule.tree, edit.get("set", Map()))
    for path in many(edit.get("unset", [])):
        changed = without_path(changed, path.split("."))
    return evolve(rule, tree=changed, edited=(*rule.edited, f"{file}:{edit.line}"))


def laid_over(base: Map, changes: Map) -> Map:
    both = Map(base)
    both.line = base.line
    for key, value in changes.items():
        old = base.get(key)
        both[key] = laid_over(old, value) if isinstance(old, Map) and isinstance(value, Map) else value
    return both


def without_path(base: Map, path: list[str]) -> Map:
    left = Map(base)
    left.line = base.line
    if len(path) == 1:
        del left[path[0]]
    else:
        left[path[0]] = without_path(left[path[0]], path[1:])
    return left
