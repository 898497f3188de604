"""The written reference names every key, says what it is for, and shows it in a line that loads."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from policy.rules.describing.reference import SECTIONS, Section, example_line, reference_page
from policy.rules.describing.schema import rules_schema
from policy.rules.source import RulesFile, build_policy

# For each section a file, and what stands beside the key under test, unless that says it.
FILES = {
    "file": ("#", {"mailverdict": "1"}),
    "block": ("mailverdict: 1, domains: {example.org: {#}}", {}),
    "provider": ("mailverdict: 1, providers: {mine: {#}}", {"mx": "mx.example.com"}),
    "rule": ("mailverdict: 1, rules: [{#}]", {"id": "a", "then": "{action: retry}"}),
    "when": ("mailverdict: 1, rules: [{id: a, when: {#}, then: {action: retry}}]", {}),
    "then": ("mailverdict: 1, rules: [{id: a, then: {#}}]", {"action": "retry"}),
    "suppress": ("mailverdict: 1, rules: [{id: a, then: {action: hard-bounce, suppress: {#}}}]", {}),
    "suspend": ("mailverdict: 1, rules: [{id: a, then: {action: retry, suspend: {#}}}]", {"for": "1h"}),
    "throttle": (
        "mailverdict: 1, rules: [{id: a, then: {action: retry, throttle: {#}}}]",
        {"rate": "half", "for": "1h"},
    ),
    "alert": ("mailverdict: 1, rules: [{id: a, then: {action: retry, alert: {#}}}]", {"to": "ops", "after": "1h"}),
    "example": ("mailverdict: 1, rules: [{id: a, then: {action: retry}, examples: [{#}]}]", {"reply": "'450'"}),
    "override": ("mailverdict: 1, override: [{#}]", {"id": "blocked", "set": "{note: mine}"}),
    "defaults": ("mailverdict: 1, limits: {gentle: {rate: 9/1m}}, defaults: {#}", {}),
    "limit": ("mailverdict: 1, limits: {mine: {#}}", {}),
    "schedule": ("mailverdict: 1, schedules: {mine: {#}}", {"first": "5m", "give_up": "4d"}),
    "route": ("mailverdict: 1, routes: {mine: {#}}", {}),
    "stream": ("mailverdict: 1, streams: {mine: {#}}", {}),
    "suppression": ("mailverdict: 1, suppression: {#}", {}),
    "strength": ("mailverdict: 1, suppression: {weak: {#}}", {"for": "7d", "again": "180d", "again_apart": "3d"}),
}
NOT_BESIDE = {"waits": "first"}
BESIDE = {  # what a key needs beside it
    "when-event": ("then: {action: retry}", "then: {action: accept}"),
    "then-trust_forward": ("action: retry", "action: accept-and-note-forward"),
    "suppress-meanwhile": ("suppress: {", "suppress: {scope: domain, strikes: 2, "),
    "example-event": ("reply: '450', ", ""),
    "example-failure": ("reply: '450', ", ""),
}

ALL = [pytest.param(section, key, id=f"{section.name}-{key}") for section in SECTIONS for key in section.keys]


def file_with(section: Section, key: str, line: str) -> str:
    """A whole file with the line in its place."""
    frame, beside = FILES[section.name]
    lines = [f"{name}: {said}" for name, said in beside.items() if name not in (key, NOT_BESIDE.get(key))]
    text = f"{{{frame.replace('#', ', '.join([*lines, line]))}}}"
    return text.replace(*BESIDE.get(f"{section.name}-{key}", ("", "")))


def described(schema: Any) -> Iterator[tuple[str, str]]:
    """Every key of the language, and what it is for."""
    if isinstance(schema, dict):
        for key, said in schema.get("properties", {}).items():
            if "description" in said:
                yield key, said["description"]
        for each in schema.values():
            yield from described(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from described(each)


@pytest.mark.parametrize(("section", "key"), ALL)
def test_every_key_has_an_example_that_loads(section: Section, key: str) -> None:
    line = example_line(section, key)
    text = file_with(section, key, line)
    assert line in text
    build_policy([RulesFile("example.yaml", text.encode())])


def test_a_key_without_an_example_is_an_error() -> None:
    section = Section("nowhere", "nowhere", "Nothing.", {"id": SECTIONS[3].keys["id"]})
    with pytest.raises(LookupError, match="`id` of `nowhere` has no example"):
        example_line(section, "id")


def test_the_sections_have_every_key_of_the_language() -> None:
    told = {(key, each.says) for section in SECTIONS for key, each in section.keys.items()}
    ends = {"min", "max"}  # of a span; what people call its value says it
    assert {pair for pair in described(rules_schema()) if pair[0] not in ends} <= told


def test_the_page_names_each_key_once_with_what_it_is_for() -> None:
    page = reference_page()
    for section in SECTIONS:
        _, _, part = page.partition(f"\n## {section.name}\n")
        rows = part.partition("\n## ")[0].splitlines()
        for key, each in section.keys.items():
            (row,) = (row for row in rows if row.startswith(f"| `{key}` |"))
            assert each.says in row
            assert ("**Needed.**" in row) is each.required
            assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_every_link_of_the_page_has_its_heading() -> None:
    page = reference_page()
    links = set(re.findall(r"\(#([a-z-]+)\)", page))
    assert {"when", "schedule", "suppress"} <= links <= set(re.findall(r"^## (\S+)$", page, re.MULTILINE))
