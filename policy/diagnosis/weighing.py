"""Weighing what speaks: each wording, the enhanced status and the code give points to a category; the most points win.

Points are 8 for an unmistakable phrase, 6 for plain words, 4 for a word that other matters use too, 2 for a hint; 3
for an enhanced status (2 for a vague one), 1 for a code alone. Of each kind of evidence only the best counts for a
category, so that ten synonyms are no proof; of two categories with equal points the one that excuses the recipient
wins.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from attrs import frozen

from policy.address import Address
from policy.attempt import Command
from policy.diagnosis.category import Category, Evidence, EvidenceKind, Weight
from policy.diagnosis.knowledge import Finding, Heard, Knowledge, Signature
from policy.reply import EnhancedStatus, Reply
from policy.text import ADDRESS_PLACEHOLDER, clean

_PATH = re.compile(r"(https?://[a-z0-9.-]{1,255}+)[/?#:]\S*")  # words of a page's path say nothing; its host may
# A reply of another host inside this one: `host mx.example said: 550 5.1.1 no such user`.
_QUOTED = re.compile(r"(?<![0-9.])[45][0-9]{2}[ -]#?([45])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})(?!\.?[0-9])")


def quoted_reply(text: str) -> str | None:
    """Return the start of a reply that stands inside a text, such as `550 5.1.1`; None when there is none."""
    found = _QUOTED.search(text)
    return found[0] if found else None


@frozen
class Spoken:
    """One thing that speaks for a category.

    Args:
        by: the signature's id; the status or the code where one of them speaks.
    """

    by: str
    finding: Finding
    evidence: Evidence


@frozen(kw_only=True)
class Weighing:
    """What spoke, and how it came out.

    Args:
        spoken: the deciding piece first, then by the points of their categories.
        points: of each category, the winner first.
    """

    spoken: tuple[Spoken, ...]
    points: tuple[tuple[Category, int], ...]

    @property
    def telling(self) -> tuple[Spoken, ...]:
        """The best piece of each kind for each category: what counted."""
        best: dict[tuple[Category, EvidenceKind], Spoken] = {}
        for each in self.spoken:
            best.setdefault((each.finding.category, each.evidence.kind), each)
        return tuple(best.values())

    @property
    def deciding(self) -> Finding | None:
        """What decided; None when nothing spoke."""
        return self.spoken[0].finding if self.spoken else None


def condition_text(reply: Reply, recipient: Address | None) -> str:
    """Return what signatures see of a reply: searchable, without addresses, and without the recipient's domain.

    So `user <jo@spam.example> unknown` is `user unknown`, and `spam.example` is no word.
    """
    text = _PATH.sub(r"\1 ", reply.searchable.replace(ADDRESS_PLACEHOLDER, " "))
    return text if recipient is None else text.replace(recipient.domain, "-")


def weigh(
    knowledge: Knowledge, reply: Reply, command: Command | None, provider: str | None, recipient: Address | None
) -> Weighing:
    """Weigh a negative reply. What says no more than the class (category `unknown`) does not count."""
    heard = knowledge.heard(condition_text(reply, recipient))
    return weighed(knowledge, Gist(reply.code, reply.enhanced, heard, quoted_reply(reply.text)), command, provider)


@frozen(cache_hash=True)
class Gist:
    """All of a reply that is weighed; replies of one kind share it, since they differ in queue ids and addresses.

    Args:
        enhanced: the status that counts; quoted: the start of another reply in this one.
    """

    code: int | None
    enhanced: EnhancedStatus | None
    heard: Heard
    quoted: str | None


@lru_cache(maxsize=4096)
def weighed(knowledge: Knowledge, gist: Gist, command: Command | None, provider: str | None) -> Weighing:
    """Weigh the gist of a negative reply."""
    found = [
        each for each in _spoken(knowledge, gist, command, provider) if each.finding.category is not Category.UNKNOWN
    ]
    best: dict[tuple[Category, EvidenceKind], int] = {}
    for each in found:
        key = each.finding.category, each.evidence.kind
        best[key] = max(best.get(key, 0), each.finding.points)
    totals: dict[Category, int] = {}
    for (category, _), points in best.items():
        totals[category] = totals.get(category, 0) + points
    rank = {each: (-totals[each], knowledge.precedence.index(each)) for each in totals}
    plainness = list(Weight)

    def order(each: Spoken) -> tuple[tuple[int, int], int, int]:
        return rank[each.finding.category], -each.finding.points, plainness.index(each.finding.weight)

    return Weighing(
        spoken=tuple(sorted(found, key=order)),
        points=tuple((each, totals[each]) for each in sorted(totals, key=rank.__getitem__)),
    )


def _spoken(knowledge: Knowledge, gist: Gist, command: Command | None, provider: str | None) -> Iterator[Spoken]:
    bare = Reply(gist.code, stated=gist.enhanced)
    for signature, marker in knowledge.wordings(bare, command, provider, gist.heard):
        yield _piece(signature.id, signature.finding, EvidenceKind.WORDING, marker.removesuffix("*"))
    status, value = bare.enhanced, str(bare.enhanced)
    inner = _QUOTED.search(gist.quoted or "")
    if inner is not None and (status is None or (status.subject, status.detail) == (0, 0)):
        status, value = EnhancedStatus(*map(int, inner.groups())), inner[0]
    if status is not None and (finding := knowledge.status(status, provider)):
        yield _piece(str(status), finding, EvidenceKind.ENHANCED_STATUS, value)
    if bare.code is not None and (finding := knowledge.code(bare.code, command)):
        answers = f"{bare.code} to {command.value}" if command else str(bare.code)
        yield _piece(str(bare.code), finding, EvidenceKind.CODE, answers)


def _piece(by: str, finding: Finding, kind: EvidenceKind, value: str) -> Spoken:
    says = f"{finding.category.value}: {finding.meaning}" if finding.meaning else finding.category.value
    return Spoken(by, finding, Evidence(kind, clean(value, limit=200), says))


def near_misses(
    knowledge: Knowledge, reply: Reply, command: Command | None, provider: str | None, recipient: Address | None
) -> Iterator[tuple[Signature, str]]:
    """Yield the signatures of which a phrase occurs but which do not hold, each with the reason."""
    text = condition_text(reply, recipient)
    found = knowledge.markers.found(text)
    for each in knowledge.touched(found):
        reason = each.hindrance(reply, command, provider, found)
        if not reason and each.pattern is not None and not each.pattern.found(text):
            reason = f"pattern `{each.pattern.pattern}` does not occur"
        if reason:
            yield each, reason
