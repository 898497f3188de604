"""`mailverdict test`: the examples of rules files and files of golden cases, tried; only failures are shown."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from attrs import field, frozen

from adapters.cli.common import (
    FINDINGS,
    UNAVAILABLE,
    USAGE,
    clock,
    fail,
    format_option,
    now_option,
    rules_files,
    rules_option,
    safe,
    the_policy,
)
from policy import RulesUnreadable
from policy.rules.source import RulesFile, content_of
from policy.testing.cases import Case, Failure, cases_in, failure
from policy.testing.examples import tried_examples
from policy.yamlfile import Problem, read_yaml
from policy.yamlfile import Sequence as SequenceNode

_SHOWN = 2000  # characters of a line


@frozen
class _Given:
    """The files to try, by what they are."""

    rules: list[str] = field(factory=list)
    cases: list[Case] = field(factory=list)
    problems: list[Problem] = field(factory=list)


@click.command(
    "test",
    epilog="""\b
Examples:
  mailverdict test my-rules.yaml
  mailverdict test my-cases.yaml --rules my-rules.yaml""",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@rules_option
@now_option
@format_option
def test_command(files: tuple[str, ...], rules: tuple[str, ...], now: datetime | None, form: str) -> None:
    """Try FILES: the examples and counterexamples of a rules file, the decisions of a file of cases.

    A file of cases is a list; each says what is given (`given`: an attempt with the keys of the JSON contract) and what
    is wanted of the decision (`want`). Rules files among FILES lie over those of --rules, the last one on top, and
    cases are decided under all of them.
    """
    given = _sorted(files)
    layers = rules_files((*rules, *given.rules))
    policy = the_policy(layers)
    if given.problems:
        for each in given.problems:
            click.echo(safe(each, _SHOWN), err=True)
        count = len(given.problems)
        fail(USAGE, f"{count} mistake{'s' if count > 1 else ''} in the cases; nothing was done")
    examples = tried_examples(policy, given.rules, now=clock(now))
    failed = [Failure(problem=each.problem) for each in examples if each.problem is not None]
    loaded = tuple(RulesFile(str(path), _content(path)) for path in layers)
    failed += [found for each in given.cases if (found := failure(each, loaded)) is not None]
    if form == "json":
        from adapters.cli.show import print_json

        print_json(
            {"examples": len(examples), "cases": len(given.cases), "failures": [_document(each) for each in failed]}
        )
    else:
        _print(failed, len(examples), len(given.cases))
    if failed:
        sys.exit(FINDINGS)


def _sorted(files: Sequence[str]) -> _Given:
    given = _Given()
    for file in files:
        problems: list[Problem] = []
        node = read_yaml(_content(file), file, problems)
        if isinstance(node, SequenceNode):
            given.cases.extend(cases_in(node, file, problems))
            given.problems.extend(problems)
        else:
            given.rules.append(file)  # whose loader says what is wrong with it
    return given


def _content(path: str) -> bytes:
    try:
        return content_of(path, what="file")
    except RulesUnreadable as error:
        fail(UNAVAILABLE, str(error))


def _print(failed: Sequence[Failure], examples: int, cases: int) -> None:
    for each in failed:
        problem = each.problem
        click.echo(safe(problem, _SHOWN))
    parts = [_counted(count, noun) for count, noun in ((examples, "example"), (cases, "case")) if count]
    tried = ", ".join(parts) or "nothing to try"
    click.echo(f"{tried}: {len(failed)} failed" if failed else f"{tried}: all as they should be" if parts else tried)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _document(failed: Failure) -> dict[str, Any]:
    problem, rule = failed.problem, failed.rule
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "message": problem.message,
        "wrong": {each.key: {"wanted": each.wanted, "decided": each.decided} for each in failed.mismatches},
        "rule": None if rule is None else {"id": rule.id, "file": rule.file, "line": rule.line},
    }
