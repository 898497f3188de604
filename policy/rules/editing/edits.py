"""The edits that a command makes in an operator's rules file: text in, text out, and only that one thing is different.

Comments, quoting, blank lines, indentation, line ends and a byte order mark stay as they are. A rule that stands in
the file is edited where it stands; one of a lower file by an entry in `override`, or `disable`. Only what holds for
everyone is written so; what a domain's or a provider's block overrides or disables is left alone.
"""

import re
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map
from typing import Any

from policy.address import parse_domain
from policy.rules.editing.entries import with_item, with_word, without_word, words_at
from policy.rules.editing.rules_text import (
    EditError,
    RulesText,
    child,
    identified,
    line_of,
    read_text,
    rule_address,
    rules_of,
    unknown_rule,
)
from policy.rules.editing.splice import drop, put
from policy.rules.editing.tree import Address
from policy.rules.editing.written import Value, keyed, read_rule, read_value, scalar, words
from policy.rules.reading import near, schema_of
from policy.rules.rule_reader import RULE
from policy.text import clean
from policy.yamlfile import Mapping, Scalar, plain

__all__ = ["EditError", "add_rule", "disable", "enable", "set_value", "unset_value"]

_PATH = re.compile(r"[a-z_]+(?:\.[a-z_]+)*")
_OVERRIDE: Address = ("override",)
_DISABLE: Address = ("disable",)

Path = tuple[str, ...]


def set_value(text: str, rule_id: str, path: str, value: str, below: frozenset[str] = frozenset()) -> str:
    """Return `text` with `path` of a rule set to `value`; a rule of a lower file is overridden.

    Args:
        path: keys from the rule inwards, `then.suppress.for`; maps on the way are made.
        value: YAML: a scalar, or a list or map in brackets.
        below: ids of the rules of lower files.

    Raises:
        EditError: when there is no such rule, the value is not one value, or the file does not allow it.

    >>> set_value("rules: [{id: a, then: {action: retry}}]  # mine", "a", "then.schedule", "fast")
    'rules: [{id: a, then: {action: retry, schedule: fast}}]  # mine'
    """
    source, keys = read_text(text), _keys(path)
    new = read_value(value, keys)
    address = rule_address(source, rule_id)
    if address is not None:
        return put(source, (*address, *keys), new)
    _check_below(source, rule_id, below)
    entry = _override_of(source, rule_id)
    if entry is None:
        return _with_override(source, rule_id, keyed(("set", *keys), new))
    for said in words_at(source, (*entry, "unset")):
        if path.startswith(f"{said}."):
            raise EditError(f"`override` unsets `{said}` of rule `{rule_id}`: set `{said}` as a whole")
        if said == path or said.startswith(f"{path}."):
            source = read_text(without_word(source, (*entry, "unset"), said))
    return put(source, (*entry, "set", *keys), new)


def unset_value(
    text: str,
    rule_id: str,
    path: str,
    below: frozenset[str] = frozenset(),
    lacking: frozenset[str] = frozenset(),
) -> str:
    """Return `text` without `path` of a rule; what is not there is left as it is.

    What the file itself says, in a rule or in `override`, is taken out. When it says nothing of the path, and the rule
    is one of a lower file, the path is put into `unset` of its override.

    Args:
        below: ids of the rules of lower files.
        lacking: those of them that do not have the path, so that there is nothing to unset.

    Raises:
        EditError: when there is no such rule, or no rule can have such a key.
    """
    source, keys = read_text(text), _keys(path)
    address = rule_address(source, rule_id)
    if address is not None:
        if source.at((*address, *keys)) is not None:
            return drop(source, (*address, *keys))
        if not _is_known(keys):
            raise EditError(f"rule `{rule_id}` has no `{path}`{near(path, _paths(source, address))}")
        return text
    _check_below(source, rule_id, below)
    entry = _override_of(source, rule_id)
    if entry is not None and source.at((*entry, "set", *keys)) is not None:
        return _without_set(source, entry, keys)
    if not _is_known(keys):
        raise EditError(f"no rule has a `{path}`{near(path, _KNOWN)}")
    if rule_id in lacking:
        return text
    if entry is None:
        return _with_override(source, rule_id, keyed(("unset",), words(path)))
    return with_word(source, (*entry, "unset"), path)


def disable(text: str, rule_id: str, below: frozenset[str]) -> str:
    """Return `text` with a rule of a lower file in its list `disable`.

    Raises:
        EditError: when no lower file has the rule, or it is one of this file.
    """
    source = read_text(text)
    address = rule_address(source, rule_id)
    if address is not None:
        line = line_of(source, address)
        raise EditError(f"rule `{rule_id}` stands in this file, in line {line}: take it out there")
    if rule_id not in below:
        raise unknown_rule(rule_id, below)
    return with_word(source, _DISABLE, rule_id)


def enable(text: str, rule_id: str, below: frozenset[str] = frozenset()) -> str:
    """Return `text` with a rule no longer in its list `disable`; an empty list goes, too.

    Args:
        below: ids of the rules of lower files.

    Raises:
        EditError: when there is no such rule.
    """
    source = read_text(text)
    known = {*below, *words_at(source, _DISABLE), *(id_ for _, id_ in rules_of(source))}
    if rule_id not in known:
        raise unknown_rule(rule_id, known)
    while rule_id in words_at(source, _DISABLE):
        text = without_word(source, _DISABLE, rule_id)
        source = read_text(text)
    return text


def add_rule(
    text: str, rule_text: str, *, domain: str | None = None, provider: str | None = None, before: str | None = None
) -> str:
    """Return `text` with a rule more.

    Args:
        rule_text: YAML: a map, in lines or in braces.
        domain: the rule goes into the block of this domain; None: it is for everyone, or for `provider`.
        before: the id of the rule of the same list that it goes before; None: it goes to the end.

    Raises:
        EditError: when it is no rule, its id stands in the file already, or `before` does not.
    """
    source = read_text(text)
    rule, rule_id = read_rule(rule_text)
    known = {id_: address for address, id_ in rules_of(source)}
    if rule_id in known:
        raise EditError(f"rule `{clean(rule_id, limit=60)}` stands already in line {line_of(source, known[rule_id])}")
    address = _list_for(source, domain, provider)
    ids = [id_ for _, id_ in identified(source, address)]
    places = {id_: at[-1] for at, id_ in identified(source, address)}
    place = None if before is None else places.get(before)
    if before is not None and not isinstance(place, int):
        where = ".".join(map(str, address))
        raise EditError(f"`{where}` has no rule `{clean(before, limit=60)}`{near(before, ids)}")
    return with_item(source, address, rule, place if isinstance(place, int) else None)


def _keys(path: str) -> Path:
    if not _PATH.fullmatch(path):
        raise EditError(f"`{clean(path, limit=60)}` is no path in a rule; write one such as `then.schedule`")
    if path == "id" or path.startswith("id."):
        raise EditError("the `id` of a rule is its name for others and cannot be changed here")
    return tuple(path.split("."))


def _check_below(source: RulesText, rule_id: str, below: frozenset[str]) -> None:
    if rule_id not in below:
        raise unknown_rule(rule_id, below | {id_ for _, id_ in rules_of(source)})


def _is_known(keys: Path) -> bool:
    """Does the language have such a key in a rule?"""
    return ".".join(keys) in _KNOWN


def _paths_in(schema: Map[str, Any], before: str = "") -> Iterator[str]:
    """The paths of all keys that a schema knows, also where a value may be of several kinds."""
    for key, inner in schema.get("properties", {}).items():
        yield f"{before}{key}"
        yield from _paths_in(inner, f"{before}{key}.")
    for each in schema.get("anyOf", ()):
        yield from _paths_in(each, before)


_KNOWN = frozenset(_paths_in(schema_of(RULE)))


def _paths(source: RulesText, address: Address) -> list[str]:
    """The paths of all keys of a rule."""
    span = source.at(address)
    found = []
    for key, _ in span.node.items if span is not None and isinstance(span.node, Mapping) else ():
        inner = _paths(source, (*address, key.text))
        found += [key.text, *(f"{key.text}.{path}" for path in inner)]
    return found


def _override_of(source: RulesText, rule_id: str) -> Address | None:
    """The entry of a rule in `override`, which is a list of entries or a single one."""
    span = source.at(_OVERRIDE)
    if span is not None and isinstance(span.node, Mapping):
        id_ = child(span, "id")
        if id_ is not None and plain(id_.node) == rule_id:
            return _OVERRIDE
        raise EditError("`override` is a single map in this file: make it a list to add another")
    found = [address for address, id_ in identified(source, _OVERRIDE) if id_ == rule_id]
    if len(found) > 1:
        raise EditError(f"`override` names rule `{rule_id}` twice: edit it by hand")
    return found[0] if found else None


def _with_override(source: RulesText, rule_id: str, change: Value) -> str:
    flow = f"{{id: {scalar(rule_id)}, {(change.flow or '')[1:-1]}}}"
    return with_item(source, _OVERRIDE, Value({"id": rule_id, **change.plain}, flow, flow), None)


def _without_set(source: RulesText, entry: Address, keys: Path) -> str:
    """Without what an override sets at a path, nor maps or entries that say nothing any more."""
    path: Address = (*entry, "set", *keys)
    while len(path) > len(entry) and _size(source, path[:-1]) == 1:
        path = path[:-1]
    if path == (*entry, "set") and _size(source, entry) == 2:
        path = entry if len(entry) > 1 and _size(source, entry[:-1]) > 1 else _OVERRIDE
    return drop(source, path)


def _size(source: RulesText, address: Address) -> int:
    span = source.at(address)
    return len(span.node.items) if span is not None and not isinstance(span.node, Scalar) else 0


def _list_for(source: RulesText, domain: str | None, provider: str | None) -> Address:
    """The rules of a domain, of a provider, or for everyone."""
    if domain is not None and provider is not None:
        raise EditError("a rule is for a domain or for a provider, not for both")
    if provider is not None:
        return ("providers", _spelt_as(source, "providers", provider, str), "rules")
    if domain is not None:
        return ("domains", _spelt_as(source, "domains", domain, parse_domain), "rules")
    return ("rules",)


def _spelt_as(source: RulesText, scope: str, name: str, parse: Callable[[str], str]) -> str:
    """A name as the file spells it, if it does: `Example.ORG` is `example.org`."""
    try:
        wanted = parse(name)
    except ValueError as error:
        raise EditError(str(error)) from None
    span = source.at((scope,))
    for key, _ in span.node.items if span is not None and isinstance(span.node, Mapping) else ():
        try:
            if parse(key.text) == wanted:
                return key.text
        except ValueError:
            continue  # a mistake of the file that its check tells
    return name
