"""`mailverdict suppressions undo`: what bounces have suppressed wrongly is released in bulk, after a look at it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice

import click

from adapters.cli.common import clock, format_option, now_option, safe, store_option, the_store
from adapters.cli.known_names import hint
from adapters.cli.listing import Choice, choice_options, is_attended, place, show, since, until
from adapters.cli.veiled import tell_veiled
from policy import Store
from policy.attempt import EARLIEST
from policy.contract import write_suppression
from policy.history import EntryState, Suppression
from policy.shelf import young_order

GROUP = 5_000  # entries in one transaction
_NOTHING = "nothing to release"
_SHOWN = 50  # entries that a person reads before saying yes
_COLUMNS = ("address", "source", "strength", "reason", "until (UTC)", "rule", "reply or note")


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
        count = 0
        if dry_run:
            meant = _Counted(chain.from_iterable(_undone(store, choice, at, keep=False)))
            show_entries(form, meant, empty=_NOTHING)
            count = meant.count
        elif yes or _agreed(chain.from_iterable(_undone(store, choice, at, keep=False))):
            undone = _Counted(chain.from_iterable(_undone(store, choice, at, keep=True)))
            if form == "json":
                show_entries(form, undone, empty=_NOTHING)
            else:
                click.echo(f"{sum(1 for _ in undone)} released")
            count = undone.count
        if form == "text" and not count:
            _tell_set_aside(store, choice, at)
    if not count:
        hint(rule=choice.rule, provider=choice.provider)


class _Counted(Iterator[Suppression]):
    """Entries that are counted while they go by."""

    def __init__(self, entries: Iterator[Suppression]) -> None:
        self.entries, self.count = entries, 0

    def __next__(self) -> Suppression:
        entry = next(self.entries)
        self.count += 1
        return entry


def _tell_set_aside(store: Store, choice: Choice, at: datetime) -> None:
    """Say what of it the outage guard has put aside already: nothing to release need be no wrong question."""
    aside = Counter(each.provider for each in choice.entries(store, at) if _is_set_aside(each, at))
    for provider, count in sorted(aside.items()):
        were, bind = ("was", "binds") if count == 1 else ("were", "bind")
        click.echo(f"{safe(provider)}: {count} {were} quarantined already by the outage guard, and {bind} nobody")


def _is_set_aside(entry: Suppression, at: datetime) -> bool:
    lasts = entry.expires_at is None or at < entry.expires_at
    return entry.state is EntryState.QUARANTINED and lasts


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
        click.echo(_NOTHING)
        return False
    show_entries("text", shown, empty=_NOTHING)
    more = sum(1 for _ in meant)
    if more:
        click.echo(f"... and {more} more")
    count = len(shown) + more
    return click.confirm(f"Release {'these' if count > 1 else 'this'} {count}?", err=True)


def show_entries(form: str, entries: Iterable[Suppression], *, empty: str, at: datetime | None = None) -> None:
    """Print entries of the suppression list, a page in memory at a time.

    Args:
        empty: the line for people when there are none.
        at: when the states of the entries are told, too; None: they are all in one.
    """
    entries = iter(entries)
    columns = _COLUMNS if at is None else (_COLUMNS[0], "state", *_COLUMNS[1:])
    rows = (_row(each) if at is None else (each.target, state_at(each, at), *_row(each)[1:]) for each in entries)
    show(form, (write_suppression(each) for each in entries), columns, rows, empty=empty)


def _row(entry: Suppression) -> tuple[str, ...]:
    words = (each.value for each in (entry.source, entry.strength, entry.reason))
    return entry.target, *words, until(entry.expires_at), place(entry.rule), str(entry.reply or entry.note)


def state_at(entry: Suppression, at: datetime) -> str:
    """What has become of an entry, in a word."""
    return "expired" if entry.state is EntryState.ACTIVE and not entry.active(at) else entry.state.value
