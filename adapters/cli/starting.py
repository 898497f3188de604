"""`mailverdict init` and `mailverdict check`: a rules file to start from, and what is wrong with one."""

import sys
from pathlib import Path

import click

from adapters.cli.common import (
    FINDINGS,
    UNAVAILABLE,
    USAGE,
    clock,
    fail,
    format_option,
    rules_files,
    rules_option,
    safe,
)
from policy import RulesError, RulesUnreadable, load_policy
from policy.rules.examples import failing_examples

STARTER = Path(__file__).with_name("starter.yaml")


@click.command("init", epilog="\b\nExample:\n  mailverdict init my-rules.yaml && mailverdict check my-rules.yaml")
@click.argument("file", default="mailverdict-rules.yaml")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@format_option
def init_command(file: str, force: bool, form: str) -> None:
    """Write a commented rules file to FILE (mailverdict-rules.yaml by default), to edit."""
    try:
        with Path(file).open("wb" if force else "xb") as stream:
            stream.write(STARTER.read_bytes())
    except FileExistsError:
        fail(USAGE, f"`{safe(file)}` is there already; --force writes over it")
    except OSError as error:
        fail(UNAVAILABLE, f"`{safe(file)}` cannot be written: {error.strerror or error}")
    if form == "json":
        from adapters.cli.show import print_json

        print_json({"wrote": file})
    else:
        click.echo(f"wrote {safe(file)}: edit it, then `mailverdict check {safe(file)}`")


@click.command("check", epilog="\b\nExample:\n  mailverdict check my-rules.yaml")
@click.argument("files", nargs=-1)
@rules_option
@format_option
def check_command(files: tuple[str, ...], rules: tuple[str, ...], form: str) -> None:
    """Check rules FILES, the last one on top, with the shipped rules under them: every mistake, with its place.

    A rule's `examples` are decided too: each must be decided by its own rule, or by one of a file above it.
    """
    try:
        problems = list(failing_examples(load_policy(rules_files((*files, *rules))), now=clock(None)))
    except RulesError as error:
        problems = list(error.problems)
    except RulesUnreadable as error:
        fail(UNAVAILABLE, str(error))
    if form == "json":
        from attrs import asdict

        from adapters.cli.show import print_json

        print_json([asdict(each) for each in problems])
    else:
        for each in problems:
            click.echo(safe(each, 2000))
        click.echo("no mistakes" if not problems else f"{len(problems)} to mend", err=True)
    if problems:
        sys.exit(FINDINGS)
