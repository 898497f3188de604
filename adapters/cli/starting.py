"""`mailverdict init` and `mailverdict check`: a rules file to start from, and what is wrong with one."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from adapters.cli.common import FINDINGS, UNAVAILABLE, USAGE, fail, format_option, rules_files, rules_option, safe
from policy import (
    Attempt,
    Command,
    History,
    Policy,
    RulesError,
    RulesUnreadable,
    decide,
    load_policy,
    parse_address,
    parse_reply,
)
from policy.rules.layer import Layer
from policy.rules.rule import Rule
from policy.yamlfile import Problem

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
        problems = list(_broken_examples(load_policy(rules_files((*files, *rules)))))
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


def _broken_examples(policy: Policy) -> Iterator[Problem]:
    """Each example of a rule that another rule decides, unless a higher layer takes it over: that is on purpose."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    over: set[str] = set()  # ids that higher layers define or take out
    for layer in policy.layers:
        for rule, domain, provider in _scoped(layer):
            to = parse_address(f"jo@{domain or 'example.com'}")
            for example in () if rule.ref.id in over else rule.examples:
                attempt = Attempt(
                    outcome=parse_reply(example), command=_command(rule), recipient=to, provider=provider, at=now
                )
                decided = decide(policy, attempt, History(), now=now, spread=0.5).rule
                if decided != rule.ref and decided.id not in over:
                    message = f"example `{safe(example, 80)}` of rule `{rule.ref.id}` is decided by {decided}"
                    yield Problem(rule.ref.file, rule.ref.line, 1, "broken-example", message)
        over.update(layer.disable, (rule.ref.id for rule in layer.all_rules))


def _scoped(layer: Layer) -> Iterator[tuple[Rule, str | None, str | None]]:
    """Each rule of a layer, with the domain or the provider that it is for."""
    yield from ((rule, None, None) for rule in layer.rules)
    yield from ((rule, domain, None) for domain, rules in layer.domain_rules.items() for rule in rules)
    yield from ((rule, None, provider) for provider, rules in layer.provider_rules.items() for rule in rules)


def _command(rule: Rule) -> Command | None:
    """The command that an example of `rule` answers: the first that its `when` names, else RCPT."""
    named = (value for each in rule.when if each.key == "command" for value in each.values)
    command = next(named, Command.RCPT)
    return command if isinstance(command, Command) else None
