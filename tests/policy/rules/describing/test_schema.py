"""The JSON Schema of rules files: it takes what loads, knows every key, and refuses what a schema can see is wrong.

Files are read for it as an editor reads them: YAML 1.2 with the core schema, where a bare `550` is a number.
"""

import json
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import policy.rules
from policy.decision import Action
from policy.rules.describing.schema import DIALECT, SHARED, rules_schema, shared_in
from policy.rules.reading import Key, Keys, Report
from policy.rules.rule_reader import then
from policy.rules.source import RulesError, RulesFile, build_policy
from policy.rules.terms import ONLY_WITH
from policy.testing.files import operator_files
from policy.yamlfile import Scalar, read_yaml

ROOT = Path(__file__).parents[4]
SCHEMA = rules_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class Core(yaml.SafeLoader):
    """YAML 1.2, core schema: what editors read."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))
Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node), 10))


def seen(text: str) -> Any:
    """A file as an editor sees it; keys are texts there."""
    return json.loads(json.dumps(yaml.load(text, Loader=Core)))  # noqa: S506 - a safe one


def complaints(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(seen(text))]


def loads(text: str) -> bool:
    try:
        build_policy([RulesFile("my.yaml", text.encode())])
    except RulesError:
        return False
    return True


def tables() -> Iterator[tuple[str, Keys]]:
    """Every table of keys in the modules of this wing, by name."""
    for found in pkgutil.iter_modules(policy.rules.__path__, "policy.rules."):
        for name, value in vars(import_module(found.name)).items():
            if isinstance(value, dict) and value and all(isinstance(each, Key) for each in value.values()):
                yield f"{found.name}.{name}", value


def objects(schema: object) -> Iterator[set[tuple[str, str]]]:
    """The keys, and what they are for, of every map that a schema describes."""
    if isinstance(schema, dict):
        if "additionalProperties" in schema and "properties" in schema:
            yield {(key, said["description"]) for key, said in schema["properties"].items()}
        for each in schema.values():
            yield from objects(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from objects(each)


def test_the_schema_is_one() -> None:
    assert SCHEMA["$schema"] == DIALECT == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_reference_has_its_entry_and_every_entry_is_used() -> None:
    assert set(shared_in(SCHEMA)) == set(SCHEMA["$defs"]) == set(SHARED)


def test_every_key_of_every_table_is_in_the_schema() -> None:
    known = list(objects(SCHEMA))
    found = {name: {(key, each.says) for key, each in keys.items()} for name, keys in tables()}
    assert {"policy.rules.conditions.WHEN", "policy.rules.layer_reader.FILE"} <= found.keys()
    assert [name for name, keys in found.items() if not any(keys <= each for each in known)] == []


def test_every_key_has_a_description() -> None:
    assert [
        f"{name}: {key}" for name, keys in tables() for key, each in keys.items() if not each.says.endswith(".")
    ] == []


@pytest.mark.parametrize("path", ["rules.yaml", "policy/rules/bottom.yaml", "adapters/cli/starter.yaml"])
def test_our_own_files_are_right(path: str) -> None:
    assert complaints((ROOT / path).read_text("utf-8")) == []


@pytest.mark.parametrize("path", ["rules.yaml", "adapters/cli/starter.yaml"])
def test_our_own_files_say_where_an_editor_finds_the_schema(path: str) -> None:
    named = (ROOT / path).read_text("utf-8").splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert Path(named).name == SCHEMA["$id"]
    assert path != "rules.yaml" or (ROOT / named).is_file()


@settings(max_examples=30, deadline=None)
@given(operator_files())
def test_files_that_load_are_right(text: str) -> None:
    assert complaints(text) == []


RIGHT = {
    "bare-words-of-a-text": "rules: [{id: a, when: {text: [550, 1.5, true], stream: 7}, then: {action: retry}}]",
    "bare-names": "providers: {a: {mx: [a.example], names: [163, 1e3]}}\nrules: [{id: 77, then: {action: retry}}]",
    "version-in-quotes": '"mailverdict": "1"',
    "day": "rules: [{id: a, then: {action: retry}, expires: 2027-01-31}]",
    "part-of-then": "override: {id: greylisted, set: {then: {alert: ops}, mode: observe}}",
    "changed-terms": "override: [{id: no-such-mailbox, set: {then: {suppress: {strikes: 2}}}, unset: [when.weight]}]",
    "spans": "rules: [{id: a, when: {attempt: [1, {min: 3}], age: {max: 4h}}, then: {action: retry}}]",
    "example-map": "rules: [{id: a, then: {action: retry}, examples: {reply: 450, attempt: 3}}]",
    "domains": 'domains: {"[192.0.2.1]": {disable: blocked}}\nrules: []',
}
WRONG = {
    "no-version": "rules: []",
    "wrong-version": "mailverdict: 2",
    "unknown-key": "rulez: []",
    "unknown-key-in-when": "rules: [{id: a, when: {cod: '550'}, then: {action: retry}}]",
    "unknown-key-below-a-domain": "domains: {a.example: {rulez: []}}",
    "bare-code": "rules: [{id: a, when: {code: 550}, then: {action: retry}}]",
    "octal-code": "rules: [{id: a, when: {code: 0550}, then: {action: retry}}]",
    "no-code": "rules: [{id: a, when: {code: '650'}, then: {action: retry}}]",
    "half-a-range": "rules: [{id: a, when: {code: '550-'}, then: {action: retry}}]",
    "bare-status": "rules: [{id: a, when: {enhanced: 5.1}, then: {action: retry}}]",
    "no-status": "rules: [{id: a, when: {enhanced: '3.1.1'}, then: {action: retry}}]",
    "unknown-category": "rules: [{id: a, when: {category: bad-mailbx}, then: {action: retry}}]",
    "unknown-action": "rules: [{id: a, then: {action: bonce}}]",
    "no-action": "rules: [{id: a, then: {schedule: standard}}]",
    "no-then": "rules: [{id: a}]",
    "no-id": "rules: [{then: {action: retry}}]",
    "rules-in-a-map": "rules: {a: {then: {action: retry}}}",
    "then-without-a-map": "rules: [{id: a, then: retry}]",
    "hard-bounce-without-suppress": "rules: [{id: a, then: {action: hard-bounce}}]",
    "suppress-with-bounce": "rules: [{id: a, then: {action: bounce, suppress: {}}}]",
    "route-with-hold": "rules: [{id: a, then: {action: hold, route: direct}}]",
    "empty-list": "rules: [{id: a, when: {code: []}, then: {action: retry}}]",
    "empty-value": "rules: [{id: a, when: {text: }, then: {action: retry}}]",
    "no-flag": "rules: [{id: a, when: {null_sender: no}, then: {action: retry}}]",
    "flag-in-quotes": "rules: [{id: a, when: {null_sender: 'true'}, then: {action: retry}}]",
    "number-in-quotes": "rules: [{id: a, when: {attempt: '3'}, then: {action: retry}}]",
    "attempt-0": "rules: [{id: a, when: {attempt: 0}, then: {action: retry}}]",
    "empty-span": "rules: [{id: a, when: {age: {}}, then: {action: retry}}]",
    "tag": "rules: [{id: a, when: {tag: spring}, then: {action: retry}}]",
    "name-with-capitals": "rules: [{id: Mine, then: {action: retry}}]",
    "duration": "schedules: {slow: {first: 5 min, give_up: 4d}}",
    "bare-duration": "schedules: {slow: {first: 300, give_up: 4d}}",
    "share": "schedules: {slow: {first: 5m, give_up: 4d, spread: 0.2}}",
    "first-and-waits": "schedules: {slow: {first: 5m, waits: [5m], give_up: 4d}}",
    "neither-first-nor-waits": "schedules: {slow: {give_up: 4d}}",
    "no-give-up": "schedules: {slow: {first: 5m}}",
    "route": "routes: {relay: {to: 'relay.example.net'}}",
    "again-alone": "suppression: {weak: {for: 7d, again: 180d}}",
    "day": "rules: [{id: a, then: {action: retry}, expires: tomorrow}]",
    "despite": "rules: [{id: a, then: {action: retry}, despite: everything}]",
    "override-of-nothing": "override: {id: greylisted}",
    "override-of-the-id": "override: {id: greylisted, set: {id: grey}}",
    "override-with-a-wrong-part": "override: {id: greylisted, set: {then: {alrt: ops}}}",
    "example-without-an-outcome": "rules: [{id: a, then: {action: retry}, examples: {command: RCPT}}]",
}


def whole(text: str, case: str = "") -> str:
    return text if case in ("version-in-quotes", "no-version", "wrong-version") else f"mailverdict: 1\n{text}"


@pytest.mark.parametrize("case", RIGHT)
def test_what_loads_is_right_however_it_is_written(case: str) -> None:
    text = whole(RIGHT[case], case)
    assert loads(text)
    assert complaints(text) == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused_by_the_reader_and_by_the_schema(case: str) -> None:
    text = whole(WRONG[case], case)
    assert not loads(text)
    assert complaints(text) != []


def test_the_reader_and_the_schema_agree_on_what_goes_with_an_action() -> None:
    values = {"suppress": "{}", "schedule": "standard", "route": "direct", "split": "true", "reconnect": "true"}
    values |= {"in_clear": "true", "trust_forward": "true"}
    known = {"schedule": ["standard"], "route": ["direct"]}
    assert values.keys() == ONLY_WITH.keys()
    validator = jsonschema.Draft202012Validator({"$ref": "#/$defs/then", "$defs": SCHEMA["$defs"]})
    for action in Action:
        for key, value in {**values, "alert": "ops"}.items():
            text = f"{{action: {action.value}, {key}: {value}}}"
            report = Report("my.yaml", known=known)
            node = read_yaml(text.encode(), "my.yaml", report.problems)
            assert node is not None
            then(report, node)
            assert validator.is_valid(seen(text)) is (report.problems == []), text


ALPHABETS = {
    "code": "0125yz-", "enhanced": "0125X.", "duration": "019smhdw", "percent": "09%1", "day": "0123-",
    "name": "a1-A", "tag": "a= ", "to": "mxs:/tpl.a1", "text": " a1", "pattern": "a[)*", "action": "retybounc",
}  # fmt: skip
EXACT = {"code", "enhanced", "name"}
LIKELY = {
    "code": ["550-559", "5yz", "559-550", "550"],
    "enhanced": ["5.1.1", "X.2", "5.01.1", "4"],
    "duration": ["1h30m", "90s", "4000d"],
    "percent": ["20%"],
    "day": ["2027-01-31", "2027-02-30"],
    "to": ["mx", "smtp://a.example:25", "lmtp://[::1]"],
    "action": [each.value for each in Action],
}


@pytest.mark.parametrize("name", ALPHABETS)
def test_a_text_that_its_reader_takes_the_schema_takes(name: str) -> None:
    validator = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})

    @settings(max_examples=100, deadline=None)
    @given(st.text(ALPHABETS[name], max_size=10) | st.sampled_from(LIKELY.get(name, ["a"])))
    def agree(text: str) -> None:
        report = Report("my.yaml")
        SHARED[name].read(report, Scalar(text, quoted=True, line=1, column=1))
        if text == "559-550":
            return  # that a range runs backwards no pattern can see
        if not report.problems:
            assert validator.is_valid(text)
        elif name in EXACT:
            assert not validator.is_valid(text)

    agree()
