"""`mailverdict check`: every mistake of rules files, and what in them does not do what it seems to."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import click

from adapters.cli import findings
from adapters.cli.common import FINDINGS, UNAVAILABLE, USAGE, clock, fail, now_option, rules_files, rules_option
from policy import Policy, RulesError, RulesUnreadable, load_policy
from policy.rules.finding import Finding, Level, fails

SHIPPED = "shipped"
_MANY = 5000  # rules that take longer than people wait without a word


def _print_codes(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from policy.rules.describing.codes import codes_section

        click.echo(codes_section(), nl=False)
        ctx.exit()


@click.command(
    "check",
    epilog="""\b
Examples:
  mailverdict check my-rules.yaml
  mailverdict check shipped
  mailverdict check my-rules.yaml --format sarif > rules.sarif""",
)
@click.argument("files", nargs=-1, metavar="FILE...")
@rules_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "sarif"]),
    default="text",
    show_default=True,
    help="Text for people, JSON for programs, GitHub's workflow commands, or SARIF for code scanning.",
)
@now_option
@click.option(
    "--codes",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_codes,
    help="Print what each code means and how it is mended.",
)
def check_command(files: tuple[str, ...], rules: tuple[str, ...], form: str, now: datetime | None) -> None:
    """Check rules FILES, the last one on top, with the shipped rules under them: every mistake, with its place.

    The word `shipped` stands for the shipped rules alone. Without FILE, the files of --rules or MAILVERDICT_RULES are
    checked.

    Beyond the grammar: rules that can never decide, proved over all replies; rules against a law, with a reply that
    shows it; and `examples`, which must be decided by their own rule, or by one of a file above it. Notes (what is only
    possible) need no mending and do not count for the exit status.
    """
    given = [] if (*files, *rules) == (SHIPPED,) else rules_files((*files, *rules))
    if not given and not files:
        fail(
            USAGE,
            "no file to check: write `mailverdict check my-rules.yaml`, or `mailverdict check shipped` for the shipped "
            "rules alone",
        )
    found = _found(given, clock(now))
    if form == "text":
        _print(found, given)
    elif form == "github":
        for each in found:
            click.echo(findings.workflow_command(each))
    else:
        from adapters.cli.show import print_json

        print_json(findings.sarif(found) if form == "sarif" else list(map(findings.document, found)))
    if fails(found):
        sys.exit(FINDINGS)


def _found(files: Sequence[str], now: datetime) -> list[Finding]:
    """The mistakes of files that cannot be loaded; of others all that can be said."""
    try:
        policy = load_policy(files)
    except RulesError as error:
        return [Finding(problem=each, level=Level.ERROR) for each in error.problems]
    except RulesUnreadable as error:
        fail(UNAVAILABLE, str(error))
    from policy.rules.proof.check import check  # the prover, when there is something to prove

    with patience(policy):
        return check(policy, now=now)


def _print(found: Sequence[Finding], files: Sequence[str]) -> None:
    """Errors and warnings in the files' order, then the notes."""
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for each in sorted(found, key=lambda finding: finding.level is Level.NOTE):
        first, *rest = findings.lines(each, files)
        place, _, said = first.partition(f" {each.problem.code}: ")
        code = click.style(each.problem.code, fg=findings.COLOURS[each.level], bold=True)
        click.echo(f"{place} {code}: {said}" if colour else first)
        for line in rest:
            click.echo(click.style(line, dim=True) if colour else line)
    click.echo(findings.counted(found), err=True)


@contextmanager
def patience(policy: Policy) -> Iterator[None]:
    """Tell a person at a terminal what takes so long."""
    if len(policy.rules) <= _MANY or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"checking {len(policy.rules):,} rules against each other"):
        yield
