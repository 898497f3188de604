"""What is known about replies, read from the data files beside this module: statuses, codes, failures, wordings.

The files are ours and their schema is held by tests; they are read once, at first use, never at import.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

from attrs import field, frozen

from policy.attempt import Command, Failure
from policy.diagnosis.category import Category, Fault, Weight
from policy.diagnosis.datafile import data_files, digest, read_data
from policy.matching import Markers, Pattern
from policy.reply import EnhancedStatus, Reply

_POINTS = {Weight.STRONG: 3, Weight.FAIR: 3, Weight.WEAK: 2}  # of a status; a code alone has 1


@frozen(kw_only=True)
class Finding:
    """What one entry of the knowledge says of an outcome, and how much that counts (1 a hint, 8 unmistakable)."""

    category: Category
    fault: Fault
    weight: Weight
    points: int
    meaning: str
    remedy: str


@frozen(kw_only=True)
class Signature:
    """A wording and where it counts.

    Args:
        any: markers of which one must occur; the others only confirm.
        all: markers that must all occur besides.
        pattern: asked only when the markers hold, on the same text.
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
    enhanced: tuple[EnhancedStatus, ...] = ()
    commands: tuple[Command, ...] = ()
    providers: tuple[str, ...] = ()
    pattern: Pattern | None = None
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()

    def hindrance(self, reply: Reply, command: Command | None, provider: str | None, found: frozenset[str]) -> str:
        """Why it does not hold of a reply in which the markers `found` occur; an empty text when it does."""
        forbidden = sorted(found.intersection(self.none))
        missing = [marker for marker in self.all if marker not in found]
        checks = (
            (not found.isdisjoint(self.any), "none of its phrases occurs"),
            (
                not self.klass or reply.klass in self.klass,
                f"is for {', '.join(f'{each}yz' for each in self.klass)}",
            ),
            (not self.codes or reply.code in self.codes, f"is for codes {', '.join(map(str, self.codes))}"),
            (
                not self.enhanced or reply.enhanced in self.enhanced,
                f"is for status {', '.join(map(str, self.enhanced))}",
            ),
            (not self.commands or command in self.commands, f"is for {', '.join(c.value for c in self.commands)}"),
            (not self.providers or provider in self.providers, f"is for {', '.join(self.providers)}"),
            (not missing, f"`{'`, `'.join(missing)}` is missing"),
            (not forbidden, f"`{', '.join(forbidden)}` speaks against it"),
        )
        return next((why for holds, why in checks if not holds), "")


@frozen(cache_hash=True)
class Heard:
    """What of a text matters to signatures: the markers that occur, and the ids of those whose pattern does."""

    markers: frozenset[str]
    patterns: frozenset[str]


@frozen(kw_only=True, eq=False)
class Knowledge:
    """All of it.

    Args:
        statuses: by `X.1.1`; provider_statuses: by (provider, `5.4.1`), where a provider differs.
        codes: by (code, command); command None: any other.
        precedence: of two categories with equal points the one that stands first wins.
        version: digest of the data files.
    """

    statuses: dict[str, Finding]
    provider_statuses: dict[tuple[str, str], Finding]
    codes: dict[tuple[int, Command | None], Finding]
    failures: dict[Failure, Finding]
    signatures: tuple[Signature, ...]
    precedence: tuple[Category, ...]
    version: str
    markers: Markers = field(init=False)
    _by_marker: dict[str, tuple[int, ...]] = field(init=False)
    _patterned: dict[str, tuple[int, ...]] = field(init=False)

    @markers.default
    def _markers(self) -> Markers:
        return Markers(marker for each in self.signatures for marker in (*each.any, *each.all, *each.none))

    @_by_marker.default
    def _signatures_by_marker(self) -> dict[str, tuple[int, ...]]:
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, signature in enumerate(self.signatures):
            for marker in signature.any:
                places[marker].append(place)
        return {marker: tuple(found) for marker, found in places.items()}

    @_patterned.default
    def _signatures_with_pattern(self) -> dict[str, tuple[int, ...]]:
        having = {
            marker: tuple(p for p in found if self.signatures[p].pattern) for marker, found in self._by_marker.items()
        }
        return {marker: places for marker, places in having.items() if places}

    def touched(self, found: frozenset[str]) -> Iterator[Signature]:
        """Yield, in file order, the signatures one of whose `any` is among the markers `found`: no others can match."""
        for place in sorted({place for marker in found for place in self._by_marker.get(marker, ())}):
            yield self.signatures[place]

    def status(self, enhanced: EnhancedStatus, provider: str | None) -> Finding | None:
        """What an enhanced status means, at this provider or by the IANA registry."""
        own = self.provider_statuses.get((provider or "", str(enhanced)))
        return own or self.statuses.get(f"X.{enhanced.subject}.{enhanced.detail}")

    def code(self, code: int, command: Command | None) -> Finding | None:
        """What a reply code means to this command when nothing else speaks; None: only its class counts."""
        return self.codes.get((code, command)) or self.codes.get((code, None))

    def heard(self, text: str) -> "Heard":
        """What of a text the signatures ask for."""
        found = self.markers.found(text)
        patterned = (self.signatures[place] for marker in found for place in self._patterned.get(marker, ()))
        return Heard(found, frozenset(each.id for each in patterned if each.pattern and each.pattern.found(text)))

    def wordings(
        self, reply: Reply, command: Command | None, provider: str | None, heard: "Heard"
    ) -> Iterator[tuple[Signature, str]]:
        """Yield the signatures that match, in file order, each with the longest of its markers that occurs."""
        for each in self.touched(heard.markers):
            if each.hindrance(reply, command, provider, heard.markers):
                continue
            if not each.pattern or each.id in heard.patterns:
                yield each, max((marker for marker in each.any if marker in heard.markers), key=lambda m: (len(m), m))


@cache
def shipped_knowledge() -> Knowledge:
    """Read the data files; the same value each time."""
    signatures = [entry for name in data_files() if name.startswith("signatures/") for entry in read_data(name)]
    remedies = {Category(entry["category"]): entry["remedy"] for entry in read_data("categories.yaml")}

    def finding(entry: dict[str, Any], points: int | None = None) -> Finding:
        category = Category(entry["category"])
        weight = Weight(entry.get("weight", "strong"))
        return Finding(
            category=category,
            fault=Fault(entry["fault"]),
            weight=weight,
            points=points or int(entry.get("points", _POINTS[weight])),
            meaning=entry.get("meaning", ""),
            remedy=entry.get("remedy", remedies.get(category, "")),
        )

    statuses = read_data("statuses.yaml")
    return Knowledge(
        statuses={entry["status"]: finding(entry) for entry in statuses if "provider" not in entry},
        provider_statuses={(e["provider"], e["status"]): finding(e) for e in statuses if "provider" in e},
        codes={
            (int(entry["code"]), command and Command(command)): finding(entry, points=1)
            for entry in read_data("codes.yaml")
            for command in entry.get("commands", [None])
        },
        failures={Failure(entry["failure"]): finding(entry) for entry in read_data("failures.yaml")},
        signatures=tuple(_signature(each, finding(each)) for each in signatures),
        precedence=tuple(remedies),
        version=digest(),
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
        pattern=Pattern(entry["pattern"]) if "pattern" in entry else None,
        enhanced=tuple(map(EnhancedStatus.parse, entry.get("enhanced", ()))),
        commands=tuple(map(Command, entry.get("commands", ()))),
        providers=tuple(entry.get("providers", ())),
        yes=tuple(entry["yes"]),
        no=tuple(entry["no"]),
    )
