"""The data files of the diagnosis: complete, of one schema, and each signature right about its own examples."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import policy.diagnosis.knowledge as module
from policy.attempt import Attempt, Command, Failure
from policy.diagnosis.category import Category, EvidenceKind, Fault, Weight
from policy.diagnosis.diagnose import diagnose
from policy.diagnosis.knowledge import FILES, Signature, shipped_knowledge
from policy.reply import Reply, parse_reply
from policy.text import fold, searchable
from policy.yamlfile import Problem, plain, read_yaml

KNOWLEDGE = shipped_knowledge()

# The IANA registry of enhanced status codes (2024-12-06): in each subject the details run from 0 to this one.
LAST_DETAIL = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}

FINDING = {"category", "fault", "weight", "meaning", "remedy"}
# file: keys that an entry must have, and keys that it may have
SCHEMAS: dict[str, tuple[set[str], set[str]]] = {
    "statuses.yaml": ({"status", "category", "fault", "meaning"}, FINDING | {"provider"}),
    "codes.yaml": ({"code", "category", "fault", "weight", "meaning"}, FINDING | {"commands"}),
    "failures.yaml": ({"failure", "category", "fault", "meaning", "remedy"}, FINDING),
    "remedies.yaml": ({"category", "remedy"}, set()),
    "signatures.yaml": (
        {"id", "category", "fault", "any", "yes", "no"},
        FINDING | {"all", "not", "class", "codes", "commands", "providers"},
    ),
}
PROVIDERS = {"google", "microsoft", "yahoo", "apple"}
CLOSED = {
    "category": {each.value for each in Category},
    "fault": {each.value for each in Fault},
    "weight": {each.value for each in Weight},
    "failure": {each.value for each in Failure},
    "provider": PROVIDERS,
}
LISTS = {
    "commands": {each.value for each in Command},
    "class": {"4", "5"},
    "codes": {str(code) for code in range(400, 600)},
    "providers": PROVIDERS,
}


def table(file: str) -> list[dict[str, Any]]:
    """The entries of a data file, as it writes them."""
    problems: list[Problem] = []
    node = read_yaml(Path(module.__file__).with_name(file).read_bytes(), file, problems)
    assert node is not None
    assert problems == []
    entries: list[dict[str, Any]] = plain(node)
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
        if key in ("any", "all", "not", "yes", "no") and not (isinstance(value, list) and all(value) and value):
            found.append(f"`{key}` must be a list of texts")
    return found


@pytest.mark.parametrize("file", FILES)
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
        ("remedies.yaml", {"fault": "none"}),
        ("signatures.yaml", {"class": ["2"]}),
        ("signatures.yaml", {"not": []}),
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
    remedies = [(entry["category"], entry["remedy"]) for entry in table("remedies.yaml")]
    assert sorted(category for category, _ in remedies) == sorted(each.value for each in Category)
    assert [category for category, remedy in remedies if not remedy] == ["accepted"]


def test_every_failure_has_one_finding() -> None:
    assert Counter(entry["failure"] for entry in table("failures.yaml")) == Counter(each.value for each in Failure)
    assert KNOWLEDGE.failures.keys() == set(Failure)


@pytest.mark.parametrize("category", ["reputation-block", "policy-other", "spam-content", "sender-rejected"])
def test_a_refusal_for_policy_says_to_check_reputation_and_authentication(category: str) -> None:
    remedy = next(entry["remedy"] for entry in table("remedies.yaml") if entry["category"] == category)
    assert all(word in remedy for word in ("SPF", "DKIM", "DMARC"))


def test_signatures_have_names_of_their_own() -> None:
    ids = Counter(signature.id for signature in KNOWLEDGE.signatures)
    assert [id_ for id_, count in ids.items() if count > 1] == []


SIGNATURES = pytest.mark.parametrize("signature", KNOWLEDGE.signatures, ids=lambda signature: signature.id)


@SIGNATURES
def test_markers_are_as_texts_are_searched_and_stand_once(signature: Signature) -> None:
    markers = (*signature.any, *signature.all, *signature.none)
    assert [marker for marker in markers if marker != fold(" ".join(marker.split()))] == []
    assert [marker for marker, count in Counter(markers).items() if count > 1] == []


def heard(signature: Signature, example: str) -> tuple[Reply, Command | None, str | None]:
    """An example as the reply, the command and the provider that the signature is about."""
    command = signature.commands[0] if signature.commands else None
    provider = signature.providers[0] if signature.providers else None
    return parse_reply(example), command, provider


def matching(signature: Signature, example: str) -> list[str]:
    """The ids of the signatures that match an example, in file order."""
    reply, command, provider = heard(signature, example)
    return [each.id for each, _ in KNOWLEDGE.wordings(reply, command, provider, searchable(reply.text))]


@SIGNATURES
def test_a_signature_matches_what_it_must_and_nothing_that_it_must_not(signature: Signature) -> None:
    assert signature.yes
    assert signature.no
    assert [example for example in signature.yes if signature.id not in matching(signature, example)] == []
    assert [example for example in signature.no if signature.id in matching(signature, example)] == []


@SIGNATURES
def test_a_signature_decides_its_first_example(signature: Signature) -> None:
    reply, command, provider = heard(signature, signature.yes[0])
    diagnosis = diagnose(KNOWLEDGE, Attempt(outcome=reply, command=command), provider)
    assert matching(signature, signature.yes[0])[0] == signature.id
    assert diagnosis.evidence[0].kind is EvidenceKind.WORDING
    assert diagnosis.evidence[0].value in {marker.removesuffix("*") for marker in signature.any}
    assert (diagnosis.category, diagnosis.fault) == (signature.finding.category, signature.finding.fault)


# What excuses the recipient stands before what condemns it: a mailbox may be blamed only when nothing else was said.
@SIGNATURES
def test_no_example_of_another_cause_is_read_as_a_bad_mailbox(signature: Signature) -> None:
    if signature.finding.fault in (Fault.RECIPIENT, Fault.RECIPIENT_DOMAIN):
        return
    for example in signature.yes:
        told = parse_reply(f"550 5.1.1 {parse_reply(example).text}; user unknown")
        diagnosis = diagnose(KNOWLEDGE, Attempt(outcome=told, command=Command.RCPT), None)
        if signature.id not in AFTER_THE_MAILBOX and 5 in (signature.klass or (5,)):
            assert diagnosis.category is not Category.BAD_MAILBOX, example


# Words so vague that a plain `user unknown` beside them counts for more.
AFTER_THE_MAILBOX = {"policy", "loop", "their-network", "their-system"}


def test_the_knowledge_is_read_once() -> None:
    assert shipped_knowledge() is KNOWLEDGE
    assert len(KNOWLEDGE.version) == 64
