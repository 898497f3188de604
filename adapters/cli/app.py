"""The command group: names, order and help of the subcommands, each imported only when it runs."""

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

# ruff: noqa: ARG002 - click's signatures

# subcommand: where it lives, and its line in the list of commands
COMMANDS = {
    "decide": ("adapters.cli.deciding:decide_command", "Say what to do about one reply, or about a file of them."),
    "explain": ("adapters.cli.explaining:explain_command", "Show how a reply is read, and what almost matched."),
    "code": ("adapters.cli.codes:code_command", "Explain reply codes and enhanced statuses, and their differences."),
    "plan": ("adapters.cli.planning:plan_command", "Say whether mail to an address may be sent now, and why."),
    "observe": ("adapters.cli.observing:observe_command", "Decide and record attempts, from JSON lines."),
    "send": ("adapters.cli.sending:send_command", "Send a message through the policy, recipient by recipient."),
    "dsn": ("adapters.cli.reports:dsn_command", "Say what delivery reports hold, and what to do about each recipient."),
    "demo": ("adapters.cli.demo:demo_command", "See it all work on a real SMTP conversation on this machine."),
    "log": ("adapters.cli.ledger:log_command", "Show the decisions that were recorded, and follow them."),
    "why": ("adapters.cli.story:why_command", "Tell the whole story of a message, attempt by attempt."),
    "rescue": ("adapters.cli.rescue:rescue_command", "List whom a rule or an hour failed wrongly, to send to again."),
    "suppressions": (
        "adapters.cli.suppressions:suppressions_group",
        "Show the suppression list, add to it, take off it, import, export, undo.",
    ),
    "states": (
        "adapters.cli.states:states_group",
        "Show what holds mail back for a while, suspensions and outage guards, and end it.",
    ),
    "forwards": (
        "adapters.cli.forwards:forwards_group",
        "Show the forwards that replies named, approve or reject them.",
    ),
    "store": ("adapters.cli.store:store_group", "Look after the store: how much it keeps, prune, back up, migrate."),
    "erase": ("adapters.cli.erase:erase_command", "Remove what is kept of a person's address."),
    "keys": ("adapters.cli.keys:keys_group", "Make keys, so that a store keeps no addresses in clear."),
    "init": ("adapters.cli.starting:init_command", "Write a commented rules file to start from."),
    "check": ("adapters.cli.checking:check_command", "Check rules files: every mistake at once, with its place."),
    "diff": ("adapters.cli.diffing:diff_command", "Say which decisions a change of rules changes, with examples."),
    "test": ("adapters.cli.testing:test_command", "Try the examples of rules files, and files of golden cases."),
    "rules": (
        "adapters.cli.rules:rules_group",
        "Show the rules in force, with the place of each value, or edit a file.",
    ),
    "schema": ("adapters.cli.languages:schema_command", "Print the JSON Schema of rules files, for editors."),
}


class _Lazy(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:  # closed by the caller: nobody wants to see it
                setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open to the end
            stream = getattr(sys, name)
            if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character must not end the command
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(args, *rest, **extra)  # which ends quietly at a broken pipe
        except OSError as error:
            from adapters.cli.common import UNAVAILABLE, fail

            with suppress(OSError), Path(os.devnull).open("w") as nowhere:  # or Python tries again at its exit
                os.dup2(nowhere.fileno(), sys.stdout.fileno())
            what = f"`{error.filename}` cannot be used" if error.filename else "the output cannot be written"
            fail(UNAVAILABLE, f"{what}: {error.strerror or error}")
        except MemoryError:
            from adapters.cli.common import UNAVAILABLE, fail

            fail(UNAVAILABLE, "out of memory; what was not answered may be sent again")


def _version() -> str:
    try:
        return version("mailverdict")
    except PackageNotFoundError:
        return "of a checkout that is not installed"


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Try: mailverdict demo",
)
@click.version_option(_version(), prog_name="mailverdict")
def cli() -> None:
    """Read what the other mail server answered and say, with a reason, what the sending pipeline does next.

    Exit status: 0 done, 1 findings (bad lines, mistakes in rules), 2 usage, 3 a file, store or server is unavailable.
    """
