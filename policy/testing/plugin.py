"""A pytest plug-in: `*.rules.yaml` are checked and their examples tried, `*.cases.yaml` are decided, an item each.

pytest loads it in every project of an environment with mailverdict, so it imports the engine only when there is such a
file. Rules files lie over the shipped rules and over those that `mailverdict_rules` names before them; cases are
decided under all that it names.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from policy.rules.policy import Policy
    from policy.rules.source import RulesFile
    from policy.testing.cases import Case

RULES, CASES = ".rules.yaml", ".cases.yaml"
OPTION = "mailverdict_rules"

Told = Callable[[], str]  # what is wrong; empty when nothing is


class Broken(Exception):
    """A test that failed; the text is all that a person has to see."""


class TextItem(pytest.Item):
    """A test whose failure is a text."""

    def __init__(self, *, told: Told, line: int = 1, **rest: Any) -> None:
        super().__init__(**rest)
        self._told, self._line = told, line

    def runtest(self) -> None:
        text = self._told()
        if text:
            raise Broken(text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, Broken) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._line - 1, self.name


class CheckedRules(pytest.File):
    """A rules file: an item for the check of all of it, and one for each example."""

    def collect(self) -> Iterator[pytest.Item]:
        from policy.rules.source import RulesError, build_policy
        from policy.testing.examples import tried_examples

        named = _named(self)
        below = named[: named.index(self.path)] if self.path in named else []
        try:
            policy = build_policy(list(_sources(self, [*below, self.path])))
        except RulesError as error:
            yield self._item("check", partial(_lines, error.problems))
            return
        now, name = datetime.now(UTC), _name(self, self.path)
        yield self._item("check", partial(_checked, policy, name, now))
        for each in tried_examples(policy, [name], now=now):
            wrong = [each.problem] if each.problem else []
            yield self._item(each.name, partial(_lines, wrong), each.line)

    def _item(self, name: str, told: Told, line: int = 1) -> TextItem:
        return TextItem.from_parent(self, name=name, told=told, line=line)


class GoldenCases(pytest.File):
    """A file of golden cases, an item each."""

    def collect(self) -> Iterator[pytest.Item]:
        from policy.rules.source import RulesError
        from policy.testing.cases import policy_of, read_cases
        from policy.yamlfile import Problem

        problems: list[Problem] = []
        cases = read_cases(self.path.read_bytes(), _name(self, self.path), problems)
        files = tuple(_sources(self, _named(self)))
        try:
            policy_of(files)
        except RulesError as error:
            problems += error.problems
        if problems:
            raise self.CollectError(_lines(problems))
        for number, case in enumerate(cases, start=1):
            name = f"{number} {case.note}".strip()
            yield TextItem.from_parent(self, name=name, told=partial(_decided, case, files), line=case.line)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know the option in ini files."""
    says = f"mailverdict: rules files under the cases of *{CASES}, the last one on top"
    parser.addini(OPTION, says, type="paths", default=[])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect files by their names."""
    if file_path.name.endswith(RULES):
        return CheckedRules.from_parent(parent, path=file_path)
    if file_path.name.endswith(CASES):
        return GoldenCases.from_parent(parent, path=file_path)
    return None


def _checked(policy: "Policy", name: str, now: datetime) -> str:
    """What the checker calls an error, but for the examples of the file `name`, which are items of their own."""
    from policy.rules.finding import Level
    from policy.rules.proof.check import check

    errors = (each for each in check(policy, now=now) if each.level is Level.ERROR)
    kept = (each for each in errors if each.problem.file != name or not each.problem.code.endswith("example"))
    return _lines(f"{each.problem}" + (f"\n  for example: {each.shown}" if each.shown else "") for each in kept)


def _decided(case: "Case", files: tuple["RulesFile", ...]) -> str:
    from policy.testing.cases import failure

    found = failure(case, files)
    return str(found.problem) if found else ""


def _named(node: pytest.File) -> list[Path]:
    """The rules files that the project names."""
    return [Path(each) for each in node.config.getini(OPTION)]


def _sources(node: pytest.File, paths: Iterable[Path]) -> "Iterator[RulesFile]":
    from policy.rules.source import RulesFile

    for path in paths:
        try:
            yield RulesFile(_name(node, path), path.read_bytes())
        except OSError as error:
            says = f"rules file `{_name(node, path)}` cannot be read: {error.strerror or error}"
            raise node.CollectError(says) from None


def _name(node: pytest.File, path: Path) -> str:
    """A file as the project calls it."""
    root = node.config.rootpath
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _lines(several: Iterable[object]) -> str:
    return "\n".join(map(str, several))
