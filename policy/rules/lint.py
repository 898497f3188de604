"""What a person should look at in rules files, seen without asking for inputs: time over, names that cover nothing.

What needs the space of all inputs is in `policy.rules.proof`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from policy.matching import Pattern
from policy.reply import parse_reply
from policy.retry import Schedule
from policy.rules.conditions import code_matches
from policy.rules.domains import parse_spared, wider
from policy.rules.finding import Finding, Level
from policy.rules.layer import EVERYONE, Block, Layer, Where
from policy.rules.policy import Policy
from policy.rules.proof.patterns import Verdict, verdict
from policy.rules.rule import Condition, Example, Rule
from policy.text import clean, searchable
from policy.yamlfile import Mapping as MappingNode
from policy.yamlfile import Node, Problem, Scalar, Sequence

_STEPS = 1000  # attempts of one message that are still a schedule; RFC 5321 4.5.4.1 comes to some 200
_NARROW = ("domain", "provider", "mx", "sender_domain", "stream", "tag")  # conditions that speak of some mail only

# How a pattern begins that asks for a reply code or an enhanced status: `^550`, `(5[0-9]{2}|421)-`, `5\.7\.\d+`.
_DIGIT = r"(?:[0-9]|\\d|\[0-9\])"
_FEW = rf"{_DIGIT}(?:{_DIGIT}|[+*?]|\{{[0-9,]+\}})*"
_DOT = r"(?:\\?\.|\[\.\])"
_BEFORE = r"(?:\(\?[a-zA-Z]+\)|\(\?:|\\?\(|\\\[|#|\^|\\[Ab]|\\s[*+?]?| )*"
_CODE_FIRST = re.compile(rf"{_BEFORE}(?:[2-5]|\[[2-5-]+\])(?:{_DIGIT}{{2}}|{_DIGIT}\{{2\}})(?!{_DIGIT}|[+*?{{])")
_STATUS_FIRST = re.compile(rf"{_BEFORE}(?:[245]|\[[245]+\]|\\d){_DOT}{_FEW}{_DOT}{_FEW}(?!{_DOT}?{_DIGIT})")


def lint(policy: Policy, *, now: datetime) -> Iterator[Finding]:
    """Yield what is odd in the files of a policy, of each file in turn."""
    made = {edit for rule in policy.rules for edit in rule.ref.edited}
    for number, layer in enumerate(policy.layers[:-1]):
        for _, block in layer.blocks:
            yield from _schedules(layer, block)
        yield from _providers(policy, number)
        yield from _takeovers(policy, number)
        yield from _idle(layer, made)
        yield from _spared_twice(layer)
    for rule in policy.rules:
        yield from _expired(rule, now)
        yield from _texts(rule)


def place_of(rule: Rule, *path: str) -> tuple[str, int, int]:
    """File, line and column of a rule, or of a key in it; of the last edit, where it was edited."""
    if rule.ref.edited:
        file, _, line = rule.ref.edited[-1].rpartition(":")
        return file, int(line), 1
    node = node_at(rule.node, *path) or rule.node
    return rule.ref.file, node.line if node else rule.ref.line, node.column if node else 1


def node_at(node: Node | None, *path: str) -> Node | None:
    """What stands under a path of keys; None when nothing does."""
    for step in path:
        if not isinstance(node, MappingNode):
            return None
        node = next((value for key, value in node.items if key.text == step), None)
    return node


def _finding(place: tuple[str, int, int], code: str, says: str) -> Finding:
    return Finding(problem=Problem(*place, code, says), level=Level.WARNING)


def _at(file: str, node: Node | None) -> tuple[str, int, int]:
    return (file, node.line, node.column) if node else (file, 1, 1)


def _schedules(layer: Layer, block: Block) -> Iterator[Finding]:
    for name, schedule in block.schedules.items():
        place = _at(layer.file, node_at(block.node, "schedules", name))
        if schedule.tries is None and _attempts(schedule) > _STEPS:
            says = f"schedule `{name}` makes over {_STEPS} attempts; let it grow by `factor`, or bound `tries`"
            yield _finding(place, "endless-schedule", says)
        elif schedule.tries == 1 or schedule.waits[0] > schedule.give_up:
            yield _finding(place, "never-retries", f"schedule `{name}` gives up before its first wait is over")


def _attempts(schedule: Schedule) -> int:
    """How many waits fit before the give-up time, counted up to just over the limit."""
    spent, count = timedelta(0), 0
    while spent < schedule.give_up and count <= _STEPS:
        count += 1
        spent += schedule.wait(count)
    return count


def _providers(policy: Policy, number: int) -> Iterator[Finding]:
    """A provider of which every host and domain is taken by another."""
    layer = policy.layers[number]
    for name, own in layer.providers.items():
        said = policy.providers[name]
        owners = {policy.provider_of_host(host) for host in said.mx} | {
            policy.provider_of_domain(d) for d in said.domains
        }
        if owners and name not in owners and (own.mx or own.domains):
            others = ", ".join(f"`{each}`" for each in sorted(filter(None, owners)))
            says = f"provider `{name}` never matches: its hosts and domains are those of {others}"
            yield _finding(
                _at(layer.file, node_at(layer.everyone.node, "providers", name)), "provider-never-matches", says
            )


def _takeovers(policy: Policy, number: int) -> Iterator[Finding]:
    """A rule for some mail only that takes a rule of a lower file away from all mail."""
    layer = policy.layers[number]
    below = {rule.ref.id: rule for lower in policy.layers[number + 1 :] for rule in lower.everyone.rules}
    above = [rule for upper in policy.layers[: number + 1] for rule in upper.everyone.rules]
    for where, block in layer.blocks:
        for rule in block.rules:
            lower = below.get(rule.ref.id)
            some = "" if lower is None else _some_only(where, rule, lower)
            if lower is not None and some and not any(_takes_all(other, lower) for other in above):
                says = (
                    f"rule `{rule.ref.id}` is for {some} only, but has the id of {lower.ref}, which is so taken "
                    "away from everyone; give it another id, or use `override` in the scope of a domain or provider"
                )
                yield _finding(place_of(rule), "takes-away", says)


def _some_only(where: Where, rule: Rule, lower: Rule) -> str:
    """For what a rule is that takes the place of a lower one, in words; empty when it is as much for everyone."""
    if where != EVERYONE:
        return f"`{where.domain or where.provider}`"
    before = {each.key for each in lower.when}
    return " and ".join(f"some `{each.key}`" for each in rule.when if each.key in _NARROW and each.key not in before)


def _takes_all(rule: Rule, lower: Rule) -> bool:
    """Does a rule for everyone surely decide all that a lower one did?"""
    asked = {each.key: each.values for each in lower.when}
    return not rule.observing and rule.expires is None and all(_asks_no_more(each, asked) for each in rule.when)


def _asks_no_more(condition: Condition, asked: Mapping[str, tuple[Any, ...]]) -> bool:
    values = asked.get(condition.key, ())
    if condition.key == "code":
        return bool(values) and all(any(_has_codes(own, each) for own in condition.values) for each in values)
    return bool(values) and all(each in condition.values for each in values)


def _has_codes(wide: str, narrow: str) -> bool:
    return all(code_matches(wide, end) for end in narrow.split("-"))


def _idle(layer: Layer, made: Collection[str]) -> Iterator[Finding]:
    """An override of a rule that is not in force there: disabled, replaced, or kept from the scope."""
    for _, block in layer.blocks:
        for edit in block.overrides:
            if f"{layer.file}:{edit.node.line}" not in made:
                says = f"override of rule `{edit.id}` changes nothing: the rule is not in force here"
                yield _finding(_at(layer.file, edit.node), "idle-override", says)


def _spared_twice(layer: Layer) -> Iterator[Finding]:
    """An entry of `never_suppress` that another one of the list, the same or a wider one, covers."""
    node = node_at(layer.everyone.node, "never_suppress")
    listed = node.items if isinstance(node, Sequence) else (node,)
    entries = [(parse_spared(each.text), each) for each in listed if isinstance(each, Scalar)]
    first: dict[str, Scalar] = {}
    for entry, word in entries:
        first.setdefault(entry, word)
    for entry, word in entries:
        over = next((first[each] for each in wider(entry) if each in first and first[each] is not word), None)
        if over is not None:
            says = f"`{clean(word.text)}` is spared already by `{clean(over.text)}` in line {over.line}; leave it out"
            yield _finding(_at(layer.file, word), "spared-twice", says)


def _expired(rule: Rule, now: datetime) -> Iterator[Finding]:
    if rule.expires is not None and rule.expires <= now:
        says = f"rule `{rule.ref.id}` has not held since {rule.expires:%Y-%m-%d}; take it out, or give it more time"
        yield _finding(place_of(rule, "expires"), "expired-rule", says)


def _texts(rule: Rule) -> Iterator[Finding]:
    for path, condition in _conditions(rule):
        for number, value in enumerate(condition.values):
            says = _text_says(condition.key, value) or _code_says(condition.key, value, rule)
            if says:
                node = node_at(rule.node, *path)
                item = node.items[number] if isinstance(node, Sequence) and number < len(node.items) else node
                place = (
                    place_of(rule)
                    if rule.ref.edited
                    else _at(rule.ref.file, item if not isinstance(item, tuple) else node)
                )
                yield _finding(place, says[0], f"rule `{rule.ref.id}`: {says[1]}")


def _conditions(rule: Rule) -> Iterator[tuple[tuple[str, ...], Condition]]:
    for each in rule.when:
        if each.key == "not":
            yield from ((("when", "not", inner.key), inner) for inner in each.values[0])
        else:
            yield ("when", each.key), each


def _text_says(key: str, value: Any) -> tuple[str, str] | None:
    if key == "text" and searchable(clean(value)) != value:
        shown = clean(value, limit=60)
        return "never-found", f"`{shown}` never occurs: addresses in replies are taken out before rules see them"
    if key == "pattern":
        known, shown = verdict(value.pattern), clean(value.pattern, limit=60)
        if known is Verdict.NEVER:
            return "never-found", f"pattern `{shown}` can never be found"
        if known is Verdict.ALWAYS:
            return "always-found", f"pattern `{shown}` is found in every text: leave it out"
    return None


def _code_says(key: str, value: Any, rule: Rule) -> tuple[str, str] | None:
    """Code and status are taken off a reply, so words rarely have them; an example that does shows otherwise."""
    examples = (*rule.examples, *rule.counterexamples)
    if key not in ("text", "pattern") or any(_is_found(value, each) for each in examples):
        return None
    said = value if isinstance(value, str) else value.pattern
    wanted = _taken_off(said) if isinstance(value, str) else _asked_first(said)
    if not wanted:
        return None
    use = " and ".join(f"`{each}`" for each in wanted)
    return "code-in-text", (
        f"`{clean(said, limit=60)}` can hardly be found: the reply code and the enhanced status are taken off before "
        f"rules see the text; use {use}"
    )


def _taken_off(phrase: str) -> list[str]:
    """What the reader of replies takes off a phrase, by the conditions that ask for it."""
    reply = parse_reply(clean(phrase))
    status = reply.stated or (parse_reply(clean(f"550 {phrase}")).stated if reply.code is None else None)
    return [key for key, found in (("code", reply.code), ("enhanced", status)) if found]


def _asked_first(pattern: str) -> list[str]:
    """The same of a pattern, by how it begins."""
    return [key for key, first in (("code", _CODE_FIRST), ("enhanced", _STATUS_FIRST)) if first.match(pattern)]


def _is_found(value: str | Pattern, example: Example) -> bool:
    text = parse_reply(dict(example.said).get("reply", "")).searchable
    return value in text if isinstance(value, str) else value.found(text)
