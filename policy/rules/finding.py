"""What a check of rules finds: a problem, how grave it is, and an attempt that shows it."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from attrs import field, frozen

from policy.yamlfile import Problem


class Level(Enum):
    """How grave a finding is."""

    ERROR = "error"  # the file cannot be used, or a law of ours keeps a rule from what it says
    WARNING = "warning"  # it can be used, and surely not all of it is meant
    NOTE = "note"  # possible, and not shown: nobody has to mend it


@frozen(kw_only=True)
class Finding:
    """A problem with rules.

    Args:
        witness: an attempt that shows it, as the JSON contract has it; None when there is none to show.
        shown: the witness in one line, for people.
        by: the rules that hide a rule, as `id (file:line)`.
    """

    problem: Problem
    level: Level
    witness: Mapping[str, Any] | None = field(default=None, eq=False)
    shown: str = ""
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.problem}" if self.level is Level.ERROR else f"{self.problem} [{self.level.value}]"


def fails(findings: list[Finding]) -> bool:
    """Does anything have to be mended?"""
    return any(each.level is not Level.NOTE for each in findings)
