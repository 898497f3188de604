"""The data files of the diagnosis: complete and of one schema. The signatures have tests of their own."""

from collections import Counter
from typing import Any

import pytest

from policy.attempt import Command, Failure
from policy.diagnosis.category import Category, Fault, Weight
from policy.diagnosis.datafile import data_files, read_data
from policy.diagnosis.diagnose import EVENTS
from policy.diagnosis.knowledge import shipped_knowledge
from policy.rules.source import load_policy

KNOWLEDGE = shipped_knowledge()

# The IANA registry of enhanced status codes (2024-12-06): in each subject the details run from 0 to this one.
LAST_DETAIL = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}

FINDING = {"category", "fault", "weight", "meaning", "remedy"}
# file: keys that an entry must have, and keys that it may have
SCHEMAS: dict[str, tuple[set[str], set[str]]] = {
    "statuses.yaml": ({"status", "category", "fault", "meaning"}, FINDING | {"provider"}),
    "codes.yaml": ({"code", "category", "fault", "weight", "meaning"}, FINDING | {"commands"}),
    "failures.yaml": ({"failure", "category", "fault", "meaning", "remedy"}, FINDING),
    "categories.yaml": ({"category", "remedy"}, set()),
}
PROVIDERS = set(load_policy().providers)
CLOSED = {
    "category": {each.value for each in Category},
    "fault": {each.value for each in Fault},
    "weight": {each.value for each in Weight},
    "failure": {each.value for each in Failure},
    "provider": PROVIDERS,
}
LISTS = {"commands": {each.value for each in Command}}


def table(file: str) -> list[dict[str, Any]]:
    """The entries of a data file, as it writes them."""
    entries: list[dict[str, Any]] = read_data(file)
    return entries


def mistakes(file: str, entry: dict[str, Any]) -> list[str]:
    """What an entry has against the schema of its file."""
    required, optional = SCHEMAS[file]
    found = [f"no `{key}`" for key in sorted(required - entry.keys())]
    found += [f"unknown key `{key}`" for key in sorted(entry.keys() - required - optional)]
    found += [f"`{key}: {entry[key]}`" for key in CLOSED.keys() & entry.keys() if entry[key] not in CLOSED[key]]
    for key, value in entry.items():
        if key in LISTS and not (isinstance(value, list) and value and LISTS[key].issuperset(value)):
            found.append(f"`{key}: {value}`")
    return found


@pytest.mark.parametrize("file", SCHEMAS)
def test_every_entry_keeps_the_schema_of_its_file(file: str) -> None:
    assert [(entry, found) for entry in table(file) if (found := mistakes(file, entry))] == []


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("statuses.yaml", {"remdy": "x"}),
        ("statuses.yaml", {"provider": "gogle"}),
        ("codes.yaml", {"category": "bad-mailbx"}),
        ("codes.yaml", {"commands": ["RCTP"]}),
        ("codes.yaml", {"commands": "RCPT"}),
        ("failures.yaml", {"failure": "tired"}),
        ("categories.yaml", {"fault": "none"}),
    ],
)
def test_an_entry_against_the_schema_is_seen(file: str, change: dict[str, Any]) -> None:
    assert mistakes(file, {**table(file)[0], **change}) != []


def test_every_status_of_the_registry_is_there_once() -> None:
    statuses = Counter(entry["status"] for entry in table("statuses.yaml") if "provider" not in entry)
    registry = [f"X.{subject}.{detail}" for subject, last in LAST_DETAIL.items() for detail in range(last + 1)]
    assert len(registry) == 81
    assert statuses == Counter(registry)


def test_a_provider_gives_a_status_one_meaning() -> None:
    own = Counter((entry["provider"], entry["status"]) for entry in table("statuses.yaml") if "provider" in entry)
    assert [pair for pair, count in own.items() if count > 1] == []


def test_a_code_has_one_meaning_for_a_command() -> None:
    places = Counter((e["code"], c) for e in table("codes.yaml") for c in e.get("commands", [None]))
    assert [place for place, count in places.items() if count > 1] == []


def test_a_code_alone_says_everything_weakly_but_556() -> None:
    # RFC 7504 made 556 for one purpose: the domain takes no mail.
    assert {code for (code, _), finding in KNOWLEDGE.codes.items() if finding.weight is Weight.STRONG} == {556}


def test_every_category_has_one_remedy_and_only_a_yes_needs_none() -> None:
    said = {each.category for each in EVENTS.values()}  # by recipients, and not by a reply
    remedies = [(entry["category"], entry["remedy"]) for entry in table("categories.yaml")]
    assert sorted(category for category, _ in remedies) == sorted(each.value for each in Category if each not in said)
    assert [category for category, remedy in remedies if not remedy] == ["accepted"]


def test_every_failure_has_one_finding() -> None:
    assert Counter(entry["failure"] for entry in table("failures.yaml")) == Counter(each.value for each in Failure)
    assert KNOWLEDGE.failures.keys() == set(Failure)


@pytest.mark.parametrize("category", ["reputation-block", "policy-other", "spam-content", "sender-rejected"])
def test_a_refusal_for_policy_says_to_check_reputation_and_authentication(category: str) -> None:
    remedy = next(entry["remedy"] for entry in table("categories.yaml") if entry["category"] == category)
    assert all(word in remedy for word in ("SPF", "DKIM", "DMARC"))


def test_the_knowledge_is_read_once() -> None:
    assert shipped_knowledge() is KNOWLEDGE
    assert len(KNOWLEDGE.version) == 64


def test_every_data_file_can_be_read() -> None:
    assert all(read_data(name) for name in data_files())
