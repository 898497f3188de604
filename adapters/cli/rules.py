"""`mailverdict rules`: what is in force and where each value comes from, and small edits of an operator's file."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from adapters.cli.common import (
    FINDINGS,
    UNAVAILABLE,
    USAGE,
    clock,
    fail,
    format_option,
    named,
    rules_files,
    rules_option,
    safe,
)
from policy import Policy, RulesError, RulesUnreadable, load_policy
from policy.address import parse_domain
from policy.rules.policy import Place
from policy.rules.reading import near

if TYPE_CHECKING:
    from adapters.cli.rules_file import Edited

T = TypeVar("T")


@click.group("rules", epilog="\b\nExample:\n  mailverdict rules show --domain example.org --rules my-rules.yaml")
def rules_group() -> None:
    """Show the rules that are in force, with the place of each value, or edit a rules file."""


@rules_group.command(
    "show",
    epilog="""\b
Examples:
  mailverdict rules show --rules my-rules.yaml > whole.yaml
  mailverdict rules show --domain gmail.com
  mailverdict rules show --rule over-quota --rules my-rules.yaml --format json""",
)
@click.option(
    "--domain",
    metavar="D",
    callback=named,
    help="Only what counts for recipients of this domain, at its provider if known.",
)
@click.option("--provider", metavar="P", callback=named, help="Only what counts for recipients at this provider.")
@click.option("--rule", "rule_id", metavar="ID", help="Only this rule, and the schedules and routes that it names.")
@rules_option
@format_option
def show_command(
    domain: str | None, provider: str | None, rule_id: str | None, rules: tuple[str, ...], form: str
) -> None:
    """Show the policy in force as one rules file, which loads again; beside each value stands where it comes from.

    With --domain or --provider, rules that can never hold there are left out, and each name has the value that it has
    there. What is not given excludes nothing: without --provider, and for a domain that no provider is known for,
    the rules of all providers are shown.
    """
    from policy.rules.showing.dumping import file_text
    from policy.rules.showing.effective import effective, only_rule
    from policy.rules.showing.origins import origins, traced

    policy = _checked(lambda: load_policy(rules_files(rules)))
    whole = effective(policy, _place(policy, domain, provider))
    if rule_id is not None:
        known = {rule.ref.id for rule in policy.rules}
        if rule_id not in known:
            fail(USAGE, f"no rule in force is called `{safe(rule_id, 60)}`{near(rule_id, known)}")
        whole = only_rule(whole, rule_id)
        if not whole.rules and whole.last is None:
            fail(FINDINGS, f"rule `{rule_id}` can never hold there")
    if form == "json":
        from adapters.cli.show import print_json

        print_json(traced(policy, whole))
    else:
        _print_text(file_text(whole, origins(policy, whole)))


def _place(policy: Policy, domain: str | None, provider: str | None) -> Place | None:
    """The place that the options speak of; None: they speak of none."""
    from policy.address import Address
    from policy.rules.providers import Providers

    if domain is None and provider is None:
        return None
    providers = Providers.merged([layer.providers for layer in reversed(policy.layers)])
    called = providers.called(provider)
    if provider is not None and called is None:
        fail(USAGE, f"no provider is called `{safe(provider, 60)}`{near(provider, policy.providers)}")
    if domain is None:
        return Place(None, called)
    try:
        return policy.place(Address("postmaster", parse_domain(domain)), called)
    except ValueError as error:
        fail(USAGE, str(error))


def _print_text(text: str) -> None:
    """Print a rules file; on a terminal its comments are dim."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        click.echo(text, nl=False)
        return
    from rich.text import Text

    from adapters.cli.show import console

    out = console()
    for line in text.splitlines():
        place = max(line.rfind("  # "), 0) if "  # " in line or line.startswith("# ") else len(line)
        out.print(Text(line[:place]) + Text(line[place:], style="dim"), soft_wrap=True)


def _edit_options(command: Callable[..., None]) -> Callable[..., None]:
    dry = click.option("--dry-run", is_flag=True, help="Show the change as a diff and write nothing.")
    return dry(rules_option(format_option(command)))


_file = click.argument("file")
_rule = click.argument("rule_id", metavar="ID")
_path = click.argument("path")


@rules_group.command(
    "set", epilog="\b\nExample:\n  mailverdict rules set my-rules.yaml over-quota then.suppress.for 14d --dry-run"
)
@_file
@_rule
@_path
@click.argument("value")
@_edit_options
def set_command(  # noqa: PLR0917 - click's signature
    file: str, rule_id: str, path: str, value: str, rules: tuple[str, ...], form: str, dry_run: bool
) -> None:
    """Set PATH of the rule ID to VALUE in FILE; a rule of a lower file is overridden there."""
    from policy.rules.editing.edits import set_value

    said = f"`{path}` of rule `{rule_id}` is set to `{value}`"
    edited = _edited(file, rules, lambda text, lower: set_value(text, rule_id, path, value, _ids(lower)))
    _finish(edited, said, form, dry_run=dry_run)


@rules_group.command("unset", epilog="\b\nExample:\n  mailverdict rules unset my-rules.yaml blocked then.alert")
@_file
@_rule
@_path
@_edit_options
def unset_command(file: str, rule_id: str, path: str, rules: tuple[str, ...], form: str, dry_run: bool) -> None:
    """Take PATH of the rule ID away in FILE."""
    from adapters.cli.rules_file import lacking, now_as_below
    from policy.rules.editing.edits import unset_value

    keys = tuple(path.split("."))

    def edit(text: str, lower: Policy) -> str:
        return unset_value(text, rule_id, path, _ids(lower), lacking(lower, keys))

    edited = _edited(file, rules, edit)
    again = now_as_below(edited, rule_id, keys)
    said = f"is as the rule in {again} has it again" if again else f"of rule `{rule_id}` is no longer set"
    _finish(edited, f"`{path}` {said}", form, dry_run=dry_run)


@rules_group.command("disable", epilog="\b\nExample:\n  mailverdict rules disable my-rules.yaml greylisted")
@_file
@_rule
@_edit_options
def disable_command(file: str, rule_id: str, rules: tuple[str, ...], form: str, dry_run: bool) -> None:
    """Take the rule ID of a lower file out of force in FILE."""
    from policy.rules.editing.edits import disable

    said = f"rule `{rule_id}` is disabled"
    edited = _edited(file, rules, lambda text, lower: disable(text, rule_id, _ids(lower)))
    _finish(edited, said, form, dry_run=dry_run)


@rules_group.command("enable", epilog="\b\nExample:\n  mailverdict rules enable my-rules.yaml greylisted")
@_file
@_rule
@_edit_options
def enable_command(file: str, rule_id: str, rules: tuple[str, ...], form: str, dry_run: bool) -> None:
    """Put the rule ID in force again that FILE disables."""
    from policy.rules.editing.edits import enable

    said = f"rule `{rule_id}` is no longer disabled"
    edited = _edited(file, rules, lambda text, lower: enable(text, rule_id, _ids(lower)))
    _finish(edited, said, form, dry_run=dry_run)


class _Adding(click.Command):
    """A command of which an argument may be a rule as it stands in a list, `- id: ...`, which is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f"\n{each}" if each.startswith(("- ", "-\n")) else each for each in args])


@rules_group.command(
    "add",
    cls=_Adding,
    epilog="""\b
Examples:
  mailverdict rules add my-rules.yaml "{id: wait, when: {code: 4yz}, then: {action: retry}}"
  mailverdict rules add my-rules.yaml - --domain example.org < rule.yaml""",
)
@_file
@click.argument("rule", default="-")
@click.option("--domain", metavar="D", callback=named, help="For the recipients of this domain and of all below it.")
@click.option("--provider", metavar="P", callback=named, help="For the recipients at this provider.")
@click.option(
    "--before", metavar="ID", callback=named, help="Put it before this rule of the same list.  [default: at the end]"
)
@_edit_options
def add_command(  # noqa: PLR0913, PLR0917 - click's signature
    file: str, rule: str, domain: str | None, provider: str | None, before: str | None,
    rules: tuple[str, ...], form: str, dry_run: bool,
) -> None:  # fmt: skip
    """Add RULE, YAML in lines or in braces, to FILE; `-` (the default) reads it from standard input."""
    from policy.rules.editing.edits import add_rule

    try:
        text = sys.stdin.buffer.read().decode() if rule == "-" else rule
    except UnicodeDecodeError:
        fail(USAGE, "the rule on standard input is not UTF-8")
    where = f" for {domain or provider}" if domain or provider else ""

    def edit(old: str, _: Policy) -> str:
        return add_rule(old, text, domain=domain, provider=provider, before=before)

    _finish(_edited(file, rules, edit), f"a rule is added{where}", form, dry_run=dry_run)


def _ids(policy: Policy) -> frozenset[str]:
    return frozenset(rule.ref.id for layer in policy.layers for rule in layer.rules)


def _edited(file: str, rules: Sequence[str], edit: Callable[[str, Policy], str]) -> "Edited":
    """Edit a rules file's text and load it among the others; what is wrong ends the command."""
    from adapters.cli.rules_file import Edited, others_around
    from policy.rules.editing.edits import EditError
    from policy.rules.source import RulesFile, build_policy
    from policy.yamlfile import Problem, read_yaml

    below, content, above = _checked(lambda: others_around(file, rules_files(rules)))
    problems: list[Problem] = []
    if read_yaml(content, file, problems) is None and not problems:
        init = f"mailverdict init --force {shlex.quote(file)}"
        fail(FINDINGS, f"{file}: empty-file: the file says nothing; start with `mailverdict: 1`, or with `{init}`")
    if problems:
        _mistakes(problems)
    lower = _checked(lambda: build_policy(below))
    text = content.decode()
    try:
        new = edit(text, lower)
    except EditError as error:
        fail(USAGE, f"{safe(file)}: {error}")
    policy = _checked(lambda: build_policy([*below, RulesFile(file, new.encode()), *above]))
    before = (*below, RulesFile(file, content), *above)
    return Edited(file=file, old=text, new=new, before=before, lower=lower, policy=policy)


def _finish(edited: "Edited", said: str, form: str, *, dry_run: bool) -> None:
    """Write what was edited, and say what it is now and which errors it has that were not there before."""
    from adapters.cli.rules_file import replace_file

    if edited.new != edited.old and not dry_run:
        try:
            replace_file(Path(edited.file), edited.new.encode())
        except OSError as error:
            fail(UNAVAILABLE, f"`{safe(edited.file)}` cannot be written: {error.strerror or error}")
    _tell(edited.file, edited.old, edited.new, said, form, dry_run=dry_run)
    if edited.new != edited.old:
        _warn(edited, dry_run=dry_run)


def _warn(edited: "Edited", *, dry_run: bool) -> None:
    from adapters.cli.checking import patience
    from adapters.cli.findings import lines
    from adapters.cli.rules_file import brought

    with patience(edited.policy):
        errors = list(brought(edited, now=clock(None)))
    if errors:
        what = f"{len(errors)} error{'s' if len(errors) > 1 else ''} that `mailverdict check` did not find before"
        click.echo(f"mailverdict: the edit {'would bring' if dry_run else 'is made, and brings'} {what}:", err=True)
    for each in errors:
        for line in lines(each, [file.name for file in edited.before]):
            click.echo(line, err=True)


def _tell(file: str, old: str, new: str, said: str, form: str, *, dry_run: bool) -> None:
    from adapters.cli.rules_file import difference

    changed = difference(old, new, file)
    if form == "json":
        from adapters.cli.show import print_json

        wrote = bool(changed) and not dry_run
        print_json({"file": file, "changed": bool(changed), "wrote": wrote, "said": said, "diff": changed})
    elif dry_run and changed:
        click.echo(changed, nl=False)
    else:
        click.echo(f"{safe(file)}: {safe(said)}" if changed else f"{safe(file)}: nothing to change")


def _checked(load: Callable[[], T]) -> T:
    """What is loaded; ends the command when it has mistakes or cannot be read."""
    try:
        return load()
    except RulesError as error:
        _mistakes(error.problems)
    except RulesUnreadable as error:
        fail(UNAVAILABLE, str(error))


def _mistakes(problems: Sequence[object]) -> NoReturn:
    for each in problems:
        click.echo(safe(each, 2000), err=True)
    fail(FINDINGS, f"{len(problems)} mistake{'s' if len(problems) > 1 else ''} in the rules; nothing was done")
