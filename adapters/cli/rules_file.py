"""An operator's rules file among the others: read with them, compared with what it becomes, replaced at once.

An edit is compared by what it brings: errors of the rules that were not there before.
"""

import difflib
import os
import re
import shlex
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from attrs import frozen

from policy import Policy, RulesError, RulesUnreadable
from policy.rules.finding import Finding, Level
from policy.rules.lint import node_at
from policy.rules.showing.origins import rule_origin
from policy.rules.source import RulesFile, build_policy, called, content_of

_LINE = re.compile(r"(?<=:)[0-9]+")


@frozen(kw_only=True)
class Edited:
    """A rules file with an edit made to its text, and not yet written.

    Args:
        before: all operator files as they were, the last one on top.
        lower: the policy of the files below it.
        policy: that of all files, with the edit.
    """

    file: str
    old: str
    new: str
    before: tuple[RulesFile, ...]
    lower: Policy
    policy: Policy


def others_around(file: str, others: Sequence[str]) -> tuple[list[RulesFile], bytes, list[RulesFile]]:
    """Return the files below `file`, its own content, and the files above it.

    A file that is one of the others has its place among them; any other one lies on top.

    Raises:
        RulesUnreadable: when one cannot be read.
    """
    if file == "-":
        raise RulesUnreadable("`-` is standard input: an edit needs a file that it can write")
    try:
        content = content_of(file)
    except RulesUnreadable as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise RulesUnreadable(f"{error}; `mailverdict init {shlex.quote(file)}` writes one to start from") from None
    place = next((number for number, each in enumerate(others) if _same(each, file)), len(others))
    below, above = (
        [RulesFile(each, content_of(each)) for each in part] for part in (others[:place], others[place + 1 :])
    )
    return below, content, above


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of a file, wholly or not at all; its mode stays, and links to it stay links."""
    target = path.resolve(strict=True)
    mode = stat.S_IMODE(target.stat().st_mode)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def difference(old: str, new: str, name: str) -> str:
    """Return what changed as a unified diff; empty when nothing did."""
    before, after = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (old, new))
    lines = difflib.unified_diff(before, after, f"{name} (before)", f"{name} (after)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def lacking(policy: Policy, keys: tuple[str, ...]) -> frozenset[str]:
    """The ids of the rules in force that have nothing at the path `keys`."""
    having = {rule.ref.id for rule in policy.rules if node_at(rule.node, *keys) is not None}
    return frozenset(rule.ref.id for rule in policy.rules) - having


def now_as_below(edited: Edited, rule_id: str, keys: tuple[str, ...]) -> str:
    """Where the rule of a lower file stands that has the word again at the path `keys`; empty when none has."""
    layer = next(each for each in edited.policy.layers if each.file == called(edited.file))
    own = any(rule.ref.id == rule_id for rule in layer.rules)
    if own or any(each.id == rule_id and keys in each.unset for each in layer.everyone.overrides):
        return ""
    return next((rule_origin(rule) for rule in edited.lower.rules if rule.ref.id == rule_id), "")


def brought(edited: Edited, *, now: datetime) -> Iterator[Finding]:
    """Yield the errors of the rules that were not there before the edit.

    Rules that could not be loaded before had none: nobody was told of them.
    """
    found = _errors(edited.policy, now)
    try:
        before = Counter(map(_named, _errors(build_policy(edited.before), now))) if found else Counter()
    except RulesError:
        before = Counter()
    for each in found:
        if before[_named(each)] > 0:
            before[_named(each)] -= 1
        else:
            yield each


def _errors(policy: Policy, now: datetime) -> list[Finding]:
    from policy.rules.proof.check import check  # the prover, when there is something to prove

    return [each for each in check(policy, now=now) if each.level is Level.ERROR]


def _named(finding: Finding) -> tuple[str, str, str]:
    """A finding by what does not change when lines are moved."""
    problem = finding.problem
    return problem.file, problem.code, _LINE.sub("", problem.message)


def _same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
