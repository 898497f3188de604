"""What is known about replies, read from the data files beside this module: statuses, codes, failures, wordings.

The files are ours and their schema is held by tests; they are read once, at first use, never at import.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from attrs import field, frozen

from policy.attempt import Command, Failure
from policy.diagnosis.category import Category, Fault, Weight
from policy.matching import Markers
from policy.reply import EnhancedStatus, Reply
from policy.yamlfile import Problem, plain, read_yaml

FILES = ("statuses.yaml", "codes.yaml", "failures.yaml", "remedies.yaml", "signatures.yaml")


@frozen(kw_only=True)
class Finding:
    """What one entry of the knowledge says of an outcome."""

    category: Category
    fault: Fault
    weight: Weight
    meaning: str
    remedy: str


@frozen(kw_only=True)
class Signature:
    """A wording and where it counts.

    Args:
        any: markers of which one must occur; the others only confirm.
        all: markers that must all occur besides.
        none: markers of which none may occur (`not` in the file).
        klass: first digits of the code; () for any. A reply without a code has none of them.
        codes, commands, providers: () for any.
        yes, no: replies that must and must not match, run by the tests.
    """

    id: str
    finding: Finding
    any: tuple[str, ...]
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    klass: tuple[int, ...] = ()
    codes: tuple[int, ...] = ()
    commands: tuple[Command, ...] = ()
    providers: tuple[str, ...] = ()
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()

    def matches(self, reply: Reply, command: Command | None, provider: str | None, found: frozenset[str]) -> bool:
        """Does it hold of a reply in which the markers `found` occur?"""
        return (
            (not self.klass or reply.klass in self.klass)
            and (not self.codes or reply.code in self.codes)
            and (not self.commands or command in self.commands)
            and (not self.providers or provider in self.providers)
            and not found.isdisjoint(self.any)
            and found.issuperset(self.all)
            and found.isdisjoint(self.none)
        )


@frozen(kw_only=True, eq=False)
class Knowledge:
    """All of it. `statuses` is keyed by `X.1.1` and, where a provider differs, by (provider, `5.4.1`)."""

    statuses: dict[str, Finding]
    provider_statuses: dict[tuple[str, str], Finding]
    codes: dict[tuple[int, Command | None], Finding]
    failures: dict[Failure, Finding]
    signatures: tuple[Signature, ...]
    version: str
    markers: Markers = field(init=False)

    @markers.default
    def _markers(self) -> Markers:
        return Markers(marker for each in self.signatures for marker in (*each.any, *each.all, *each.none))

    def status(self, enhanced: EnhancedStatus, provider: str | None) -> Finding | None:
        """What an enhanced status means, at this provider or by the IANA registry."""
        own = self.provider_statuses.get((provider or "", str(enhanced)))
        return own or self.statuses.get(f"X.{enhanced.subject}.{enhanced.detail}")

    def code(self, code: int, command: Command | None) -> Finding | None:
        """What a reply code means to this command when nothing else speaks; None: only its class counts."""
        return self.codes.get((code, command)) or self.codes.get((code, None))

    def wordings(
        self, reply: Reply, command: Command | None, provider: str | None, text: str
    ) -> Iterator[tuple[Signature, str]]:
        """Yield the signatures that match, in file order, each with the longest of its markers that occurs."""
        found = self.markers.found(text)
        if not found:
            return
        for each in self.signatures:
            if each.matches(reply, command, provider, found):
                yield each, max((marker for marker in each.any if marker in found), key=lambda m: (len(m), m))


@cache
def shipped_knowledge() -> Knowledge:
    """Read the data files; the same value each time."""
    contents = {name: Path(__file__).with_name(name).read_bytes() for name in FILES}
    tables = {name: _table(name, content) for name, content in contents.items()}
    remedies = {Category(entry["category"]): entry["remedy"] for entry in tables["remedies.yaml"]}

    def finding(entry: dict[str, Any]) -> Finding:
        category = Category(entry["category"])
        return Finding(
            category=category,
            fault=Fault(entry["fault"]),
            weight=Weight(entry.get("weight", "strong")),
            meaning=entry.get("meaning", ""),
            remedy=entry.get("remedy", remedies.get(category, "")),
        )

    statuses = tables["statuses.yaml"]
    return Knowledge(
        statuses={entry["status"]: finding(entry) for entry in statuses if "provider" not in entry},
        provider_statuses={(e["provider"], e["status"]): finding(e) for e in statuses if "provider" in e},
        codes={
            (int(entry["code"]), command and Command(command)): finding(entry)
            for entry in tables["codes.yaml"]
            for command in entry.get("commands", [None])
        },
        failures={Failure(entry["failure"]): finding(entry) for entry in tables["failures.yaml"]},
        signatures=tuple(_signature(entry, finding(entry)) for entry in tables["signatures.yaml"]),
        version=hashlib.sha256(b"\0".join(contents.values())).hexdigest(),
    )


def _signature(entry: dict[str, Any], finding: Finding) -> Signature:
    return Signature(
        id=entry["id"],
        finding=finding,
        any=tuple(entry["any"]),
        all=tuple(entry.get("all", ())),
        none=tuple(entry.get("not", ())),
        klass=tuple(map(int, entry.get("class", ()))),
        codes=tuple(map(int, entry.get("codes", ()))),
        commands=tuple(map(Command, entry.get("commands", ()))),
        providers=tuple(entry.get("providers", ())),
        yes=tuple(entry["yes"]),
        no=tuple(entry["no"]),
    )


def _table(name: str, content: bytes) -> list[dict[str, Any]]:
    problems: list[Problem] = []
    node = read_yaml(content, name, problems)
    if problems or node is None:
        raise ValueError("; ".join(map(str, problems)) or f"{name}: empty")
    entries: list[dict[str, Any]] = plain(node)
    return entries
