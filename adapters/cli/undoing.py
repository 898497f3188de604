"""`mailverdict suppressions undo`: what bounces have suppressed wrongly is released in bulk, after a look at it."""

from collections.abc import Iterable
from datetime import datetime

import click

from adapters.cli.common import clock, format_option, now_option, store_option, the_store
from adapters.cli.listing import Choice, choice_options, is_attended, place, print_array, print_pages, since, until
from adapters.cli.veiled import tell_veiled
from policy import Store
from policy.attempt import EARLIEST
from policy.contract import write_suppression
from policy.history import Suppression

_SHOWN = 50  # entries that a person reads before saying yes
_COLUMNS = ("address", "source", "strength", "reason", "until (UTC)", "rule", "reply")


@click.command(
    "undo",
    epilog="""\b
Examples:
  mailverdict suppressions undo --since 2h --provider google --dry-run
  mailverdict suppressions undo --rule no-such-mailbox --since 2026-01-01T00:00:00Z --yes""",
)
@choice_options
@click.option("--dry-run", is_flag=True, help="Only show what would be released.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can be asked.")
@now_option
@store_option
@format_option
def undo_suppressions(
    choice: Choice, dry_run: bool, yes: bool, now: datetime | None, store_url: str, form: str
) -> None:
    """Release, in bulk, what bounces have suppressed wrongly: of a time, a provider or a rule.

    Complaints, unsubscribes, imports and what was entered by hand stay.
    """
    at = clock(now)
    if choice == Choice():
        raise click.UsageError("say what to undo: `--since`, `--provider` or `--rule`")
    if not (dry_run or yes or is_attended()):
        raise click.UsageError("nobody can be asked here: `--dry-run` shows what would be released, `--yes` does it")
    with the_store(store_url, must_exist=True) as store:
        if form == "text" and (dry_run or not yes):
            tell_veiled(store, "`suppressions show ADDRESS --keys FILE` finds one, and `remove` releases it alone")
        meant = _undone(store, choice, at, keep=False) if dry_run or not yes else []
        if dry_run:
            show_entries(form, meant)
            return
        if not yes and not _agreed(meant):
            return
        undone = _undone(store, choice, at, keep=True)
    if form == "json":
        show_entries(form, undone)
    else:
        click.echo(f"{len(undone)} released")


class _OnlyAsked(Exception):
    """Ends a unit of which nothing is to be kept."""


def _undone(store: Store, choice: Choice, at: datetime, *, keep: bool) -> list[Suppression]:
    """Undo, and with `keep` for good: what is shown before is by the same rules what is done after."""
    released: list[Suppression] = []
    try:
        with store.unit() as unit:
            released = unit.undo(
                since=since(choice.since, at) or EARLIEST, provider=choice.provider, rule=choice.rule, now=at
            )
            if not keep:
                raise _OnlyAsked
    except _OnlyAsked:
        pass
    return released


def _agreed(meant: list[Suppression]) -> bool:
    if not meant:
        click.echo("nothing to release")
        return False
    show_entries("text", meant[:_SHOWN])
    if len(meant) > _SHOWN:
        click.echo(f"... and {len(meant) - _SHOWN} more")
    return click.confirm(f"Release {'these' if len(meant) > 1 else 'this'} {len(meant)}?", err=True)


def show_entries(form: str, entries: Iterable[Suppression]) -> None:
    """Print entries of the suppression list, a page in memory at a time."""
    rows = (
        (e.target, e.source.value, e.strength.value, e.reason.value, until(e.expires_at), place(e.rule), str(e.reply))
        for e in entries
    )
    if form == "json":
        print_array(write_suppression(each) for each in entries)
    else:
        print_pages(_COLUMNS, rows)
