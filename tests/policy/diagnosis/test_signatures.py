"""Each signature beside its own examples: it matches what it must, it wins, and without it the answer is another."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import policy.diagnosis.knowledge as module
from policy.attempt import Attempt, Command
from policy.diagnosis.category import Category, Diagnosis, Fault, Weight
from policy.diagnosis.diagnose import diagnose
from policy.diagnosis.knowledge import Knowledge, Signature, shipped_knowledge
from policy.reply import parse_reply
from policy.rules.source import load_policy
from policy.text import searchable
from policy.yamlfile import Problem, plain, read_yaml

KNOWLEDGE = shipped_knowledge()
FILES = sorted((Path(module.__file__).parent / "signatures").glob("*.yaml"))
GENERAL = ("message.yaml", "other.yaml", "recipient.yaml", "sender.yaml")
KEYS = {"id", "category", "fault", "points", "weight", "meaning", "remedy", "any", "all", "not", "pattern", "class"}
KEYS |= {"codes", "enhanced", "commands", "providers", "source", "seen", "yes", "no"}
SIGNATURES = pytest.mark.parametrize("signature", KNOWLEDGE.signatures, ids=lambda signature: signature.id)


def entries(path: Path) -> list[dict[str, Any]]:
    """The signatures of a file, as it writes them."""
    problems: list[Problem] = []
    node = read_yaml(path.read_bytes(), path.name, problems)
    assert node is not None
    assert problems == []
    found: list[dict[str, Any]] = plain(node)
    return found


def heard(signature: Signature, example: str) -> Iterator[Attempt]:
    """An example as an answer to each command that matters: those it is for, else RCPT and one that is not known."""
    for command in signature.commands or (Command.RCPT, None):
        yield Attempt(outcome=parse_reply(example), command=command)


def provider(signature: Signature) -> str | None:
    """A provider that the signature is about; None when it is about any."""
    return signature.providers[0] if signature.providers else None


def matches(signature: Signature, example: str) -> bool:
    """Does the signature hold of the example, as answer to any of its commands?"""
    reply = parse_reply(example)
    text = searchable(reply.text)
    commands = [attempt.command for attempt in heard(signature, example)]
    alone = ALONE[signature.id]
    return any(list(alone.wordings(reply, command, provider(signature), alone.heard(text))) for command in commands)


def told(diagnosis: Diagnosis) -> tuple[Category, Fault, Weight, str]:
    """What a diagnosis says, apart from how it is known."""
    return diagnosis.category, diagnosis.fault, diagnosis.weight, diagnosis.remedy


def with_signatures(signatures: tuple[Signature, ...]) -> Knowledge:
    """The shipped knowledge with other signatures."""
    return attrs.evolve(KNOWLEDGE, signatures=signatures)


ALONE = {each.id: with_signatures((each,)) for each in KNOWLEDGE.signatures}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_signature_has_only_the_keys_that_are_read(path: Path) -> None:
    assert [(entry["id"], key) for entry in entries(path) for key in entry.keys() - KEYS] == []


@pytest.mark.parametrize("path", [path for path in FILES if path.name not in GENERAL], ids=lambda path: path.name)
def test_what_is_known_of_a_provider_says_where_from_and_when_it_was_seen(path: Path) -> None:
    assert [entry["id"] for entry in entries(path) if not entry.get("source", "").startswith("http")] == []
    assert [entry["id"] for entry in entries(path) if not entry.get("seen", "").startswith("20")] == []


def test_ids_are_unique_over_all_files() -> None:
    ids = Counter(entry["id"] for path in FILES for entry in entries(path))
    assert [id_ for id_, count in ids.items() if count > 1] == []


def test_a_provider_of_a_signature_or_a_status_is_one_that_the_rules_know() -> None:
    named = {name for each in KNOWLEDGE.signatures for name in each.providers}
    named |= {name for name, _ in KNOWLEDGE.provider_statuses}
    assert named - load_policy().providers.keys() == set()


@SIGNATURES
def test_markers_are_lower_case_and_stand_once(signature: Signature) -> None:
    markers = (*signature.any, *signature.all, *signature.none)
    assert [marker for marker in markers if marker != " ".join(marker.lower().split())] == []
    assert [marker for marker, count in Counter(markers).items() if count > 1] == []


@SIGNATURES
def test_a_signature_matches_its_yes_and_not_its_no(signature: Signature) -> None:
    assert signature.yes
    assert signature.no
    assert [example for example in signature.yes if not matches(signature, example)] == []
    assert [example for example in signature.no if matches(signature, example)] == []


@SIGNATURES
def test_a_signature_wins_its_yes_and_none_shadows_it(signature: Signature) -> None:
    lost = [
        (example, attempt.command, diagnosis.category)
        for example in signature.yes
        for attempt in heard(signature, example)
        if (diagnosis := diagnose(KNOWLEDGE, attempt, provider(signature))).category is not signature.finding.category
    ]
    assert lost == []


@SIGNATURES
def test_a_signature_is_needed_by_one_of_its_yes(signature: Signature) -> None:
    without = with_signatures(tuple(each for each in KNOWLEDGE.signatures if each is not signature))
    changed = [
        example
        for example in signature.yes
        for attempt in heard(signature, example)
        if told(diagnose(KNOWLEDGE, attempt, provider(signature)))
        != told(diagnose(without, attempt, provider(signature)))
    ]
    assert changed != []


# Servers put the stock text of 550 beside any reason; where the signature still holds of such a reply, it counts.
@SIGNATURES
def test_what_excuses_the_recipient_does_so_beside_a_stock_phrase_that_blames_it(signature: Signature) -> None:
    if signature.finding.points < 7 or signature.finding.fault in (Fault.RECIPIENT, Fault.RECIPIENT_DOMAIN):
        return
    blamed = [f"{example}, requested action not taken: mailbox unavailable" for example in signature.yes]
    for text in filter(lambda text: matches(signature, text), blamed):
        for attempt in heard(signature, text):
            fault = diagnose(KNOWLEDGE, attempt, provider(signature)).fault
            assert fault not in (Fault.RECIPIENT, Fault.RECIPIENT_DOMAIN), text
