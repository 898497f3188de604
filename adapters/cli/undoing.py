"""`mailverdict suppressions undo`: what bounces have suppressed wrongly is released in bulk, after a look at it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice

import click

from adapters.cli.common import clock, format_option, now_option, store_option, the_store
from adapters.cli.listing import Choice, choice_options, is_attended, place, print_array, print_pages, since, until
from policy import Store
from policy.attempt import EARLIEST
from policy.contract import write_suppression
from policy.history import Suppression
from policy.shelf import young_order

GROUP = 5_000  # entries in one transaction
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
        undone = chain.from_iterable(_undone(store, choice, at, keep=False))
        if dry_run:
            show_entries(form, undone)
            return
        if not yes and not _agreed(undone):
            return
        undone = chain.from_iterable(_undone(store, choice, at, keep=True))
        if form == "json":
            show_entries(form, undone)
        else:
            click.echo(f"{sum(1 for _ in undone)} released")


class _OnlyAsked(Exception):
    """Ends a unit of which nothing is to be kept."""


def _undone(store: Store, choice: Choice, at: datetime, *, keep: bool) -> Iterator[list[Suppression]]:
    """Undo a group at a time, each of them with `keep` for good: others who write wait for a group only.

    What is shown before is by the same rules what is done after.
    """
    start, after = since(choice.since, at) or EARLIEST, None
    while True:
        group: list[Suppression] = []
        try:
            with store.unit() as unit:
                group = unit.undo(
                    since=start, provider=choice.provider, rule=choice.rule, now=at, after=after, count=GROUP
                )
                if not keep:
                    raise _OnlyAsked
        except _OnlyAsked:
            pass
        yield group
        if len(group) < GROUP:
            return
        after = max(group, key=young_order)


def _agreed(meant: Iterator[Suppression]) -> bool:
    shown = list(islice(meant, _SHOWN))
    if not shown:
        click.echo("nothing to release")
        return False
    show_entries("text", shown)
    more = sum(1 for _ in meant)
    if more:
        click.echo(f"... and {more} more")
    count = len(shown) + more
    return click.confirm(f"Release {'these' if count > 1 else 'this'} {count}?", err=True)


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
