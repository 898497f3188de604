"""The JSON Schema (draft 2020-12) of a rules file, for editors that complete and check while one writes.

It is made of the tables that read. What stands in more than one place stands once in `$defs`. The schema takes every
file that loads, as an editor's YAML 1.2 reader sees it (`5.1` is a number there, and so no status); it cannot know what
other files define, nor whether a bare word stood in quotes: the last word has `mailverdict check`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from policy.rules.conditions import CONDITIONS, WHEN, when
from policy.rules.layer_reader import BLOCK, FILE, block, provider
from policy.rules.overrides import OVERRIDE, override
from policy.rules.reading import Kind, day, duration, identifier, percent, schema_of, string
from policy.rules.restraints import alert, rate, suspend, throttle
from policy.rules.rule_reader import RULE, example, rule, then
from policy.rules.terms import (
    ONLY_WITH,
    ROUTE,
    SUPPRESS,
    THEN,
    lasting,
    limit,
    route,
    schedule,
    stream,
    suppress,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAME = "rules.schema.json"

# What stands once, by name. Kinds that look alike (a name and a reference to one) share the entry of the first.
SHARED: Mapping[str, Kind[Any]] = {
    "block": block,
    "provider": provider,
    "defaults": BLOCK["defaults"].kind,
    "rule": rule,
    "when": when,
    "not": WHEN["not"].kind,
    "then": then,
    "suppress": suppress,
    "suspend": suspend,
    "throttle": throttle,
    "alert": alert,
    "schedule": schedule,
    "route": route,
    "limit": limit,
    "rate": rate,
    "stream": stream,
    "suppression": BLOCK["suppression"].kind,
    "strength": lasting,
    "override": override,
    "part-of-rule": OVERRIDE["set"].kind,
    "example": example,
    "text": string,
    "name": identifier,
    "duration": duration,
    "percent": percent,
    "day": day,
    "to": ROUTE["to"].kind,
    "version": FILE["mailverdict"].kind,
    "scope": SUPPRESS["scope"].kind,
    "how-sure": SUPPRESS["strength"].kind,
    "action": THEN["action"].kind,
    **{
        key: CONDITIONS[key].kind
        for key in ("code", "enhanced", "command", "failure", "event", "category", "fault", "weight")
    },
    **{key: CONDITIONS[key].kind for key in ("pattern", "tag", "attempt", "age")},
}

# A text need not stand in quotes; an editor may take it for a number then, or for a yes.
_BARE = {"type": ["string", "number", "boolean"]}
_SPAN = {"if": {"type": "object"}, "then": {"minProperties": 1}}


def _goes_with() -> list[dict[str, Any]]:
    """Which modifiers need an action, and which an action needs."""
    rules = [
        {"if": {"required": [key]}, "then": {"properties": {"action": {"enum": [each.value for each in actions]}}}}
        for key, actions in ONLY_WITH.items()
    ]
    hard = {"properties": {"action": {"const": "hard-bounce"}}, "required": ["action"]}
    return [*rules, {"if": hard, "then": {"required": ["suppress"]}}]


# What a shared entry says beside what its table does: the rules that its reader has in code.
_BESIDES: Mapping[str, Mapping[str, Any]] = {
    "text": _BARE,
    "name": _BARE,
    "pattern": _BARE,
    "version": {"enum": [1, "1"]},
    "code": {"pattern": "^[2-5]([0-9]{2}(-[2-5][0-9]{2})?|yz)$"},
    "enhanced": {"pattern": r"^[245X](\.(0|[1-9][0-9]{0,2})){0,2}$"},
    "attempt": _SPAN,
    "age": _SPAN,
    "schedule": {"oneOf": [{"required": ["first"]}, {"required": ["waits"]}]},
    "strength": {"dependentRequired": {"again": ["again_apart"], "again_apart": ["again"]}},
    "then": {"allOf": _goes_with()},
    "override": {"anyOf": [{"required": ["set"]}, {"required": ["unset"]}]},
    "example": {
        "if": {"type": "object"},
        "then": {"anyOf": [{"required": [key]} for key in ("reply", "failure", "event")]},
    },
}


def rules_schema() -> dict[str, Any]:
    """Return the JSON Schema of a rules file; a new value at each call."""
    shared = {
        name: {"title": name, "description": each.called, **_inside(each.schema), **_BESIDES.get(name, {})}
        for name, each in SHARED.items()
    }
    shared["part-of-rule"] |= {"properties": _part_of_rule(), "additionalProperties": False}
    return {
        "$schema": DIALECT,
        "$id": NAME,
        "title": "mailverdict rules",
        "description": "A rules file of mailverdict: what is done with each answer of a mail server.",
        **_inside(schema_of(FILE)),
        "$defs": shared,
    }


def compact(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` with what is shared as references; a description stays beside its reference."""
    said = {key: value for key, value in schema.items() if key == "description"}
    plain = {key: value for key, value in schema.items() if key != "description"}
    name = next((name for name, each in SHARED.items() if each.schema == plain), None)
    return {"$ref": f"#/$defs/{name}", **said} if name else _inside(schema)


def shared_in(schema: object) -> Iterator[str]:
    """Yield the names of the shared entries that a compact schema refers to."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            yield from [value.rpartition("/")[2]] if key == "$ref" else shared_in(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from shared_in(each)


def _inside(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema itself, and all that is in it compact."""
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            made[key] = {name: compact(each) for name, each in value.items()}
        elif key == "anyOf":
            made[key] = [compact(each) for each in value]
        elif isinstance(value, Mapping):
            made[key] = compact(value)
        elif key != "required" or value:
            made[key] = value
    return made


def _part_of_rule() -> dict[str, Any]:
    """What `set` may say: any key but the id, and of `then` only what changes."""
    keys = {key: each for key, each in RULE.items() if key in OVERRIDE["set"].kind.schema["properties"]}
    part: dict[str, Any] = _inside(schema_of(keys))["properties"]
    part["then"] = {**_inside(schema_of(THEN)), "description": RULE["then"].says}
    del part["then"]["required"]
    return part
