"""What makes a reply mean something: for each meaning, wordings, statuses and codes that bring it about.

A meaning cannot be asked for, only caused; and what is said besides may change it, so each is tried.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from policy.attempt import Command
from policy.diagnosis.knowledge import Finding, Knowledge, Signature
from policy.reply import parse_reply
from policy.rules.proof.meanings import Meaning


@frozen(kw_only=True)
class Cause:
    """Something to say. Empty: any.

    Args:
        status: an enhanced status; its class is that of the code.
        beside: a status that says the same, for a text that has none of its own.
        classes: first digits of the code, where it is not one of `codes`.
    """

    text: str = ""
    status: str | None = None
    beside: str | None = None
    codes: tuple[int, ...] = ()
    classes: tuple[int, ...] = ()
    commands: tuple[Command, ...] = ()
    providers: tuple[str, ...] = ()

    def fits(self, code: int) -> bool:
        """May a reply of this code say it?"""
        return not self.classes or code // 100 in self.classes


def causes_by_meaning(knowledge: Knowledge) -> Mapping[Meaning, tuple[Cause, ...]]:
    """Return what causes each meaning, the plainest first."""
    found: defaultdict[Meaning, list[Cause]] = defaultdict(list)
    for finding, cause in _causes(knowledge):
        found[_meaning(finding)].append(cause)
    return {meaning: tuple(each) for meaning, each in found.items()}


def _causes(knowledge: Knowledge) -> Iterator[tuple[Finding, Cause]]:
    for (code, command), finding in knowledge.codes.items():
        yield finding, Cause(codes=(code,), commands=(command,) if command else ())
    plain = sorted(knowledge.signatures, key=_plainness)
    same = {_meaning(finding): status for status, finding in reversed(knowledge.statuses.items())}
    for each in plain:
        if not each.providers:
            yield each.finding, evolve(_of_signature(each), beside=same.get(_meaning(each.finding)))
    for status, finding in knowledge.statuses.items():
        yield finding, Cause(status=status)
    for (provider, status), finding in knowledge.provider_statuses.items():
        yield finding, Cause(status=status, classes=(int(status[0]),), providers=(provider,))
    yield from ((each.finding, _of_signature(each)) for each in plain if each.providers)


def _plainness(each: Signature) -> tuple[Any, ...]:
    bound = (each.codes, each.enhanced, each.commands, each.pattern)
    return -each.finding.points, sum(map(bool, bound)), any(map(str.isdigit, each.yes[0][3:]))


def _meaning(finding: Finding) -> Meaning:
    return finding.category, finding.fault, finding.weight


def _of_signature(each: Signature) -> Cause:
    said = parse_reply(each.yes[0])
    return Cause(
        text=str(said.text),
        status=str(each.enhanced[0]) if each.enhanced else None,
        codes=each.codes,
        classes=each.klass,
        commands=each.commands,
        providers=each.providers,
    )
