"""`mailverdict erase`: what is kept of a person's address, removed because they ask for it."""

from collections import Counter
from datetime import datetime

import click

from adapters.cli.common import clock, format_option, now_option, safe, store_option, the_store
from adapters.cli.keys import check_keys, check_veil, keys_option
from adapters.cli.planning import address
from policy import Address, Store
from policy.history import Suppression
from policy.ports import Unit
from policy.retention import ERASED
from policy.veil import Veil

_WORDS = {  # of one, of several
    "ledger": ("line of the ledger", "lines of the ledger"),
    "progress": ("message's progress", "messages' progress"),
    "strikes": ("strike", "strikes"),
    "successes": ("last delivery", "last deliveries"),
    "forwards": ("forward note", "forward notes"),
    "guard": ("watch of the outage guard", "watches of the outage guard"),
    "suppressions": ("suppression", "suppressions"),
    "kept": ("suppression kept", "suppressions kept"),
}


class _NothingDone(Exception):
    """Ends the unit of a dry run."""


@click.command(
    "erase",
    epilog="""\b
Examples:
  mailverdict erase jo@example.com --suppressions keep --dry-run
  mailverdict erase jo@example.com --suppressions keep
  MAILVERDICT_KEYS=mail.keys mailverdict erase jo@example.com""",
)
@click.argument("recipient", metavar="ADDRESS")
@click.option(
    "--suppressions",
    type=click.Choice(["keep", "remove"]),
    help="What becomes of the entries of the suppression list; with keys they are kept under the veiled name unless "
    "this says otherwise, without keys it must be said.",
)
@click.option("--dry-run", is_flag=True, help="Only say how much there is.")
@now_option
@store_option
@keys_option
@format_option
def erase_command(  # noqa: PLR0917 - one argument an option
    recipient: str,
    suppressions: str | None,
    dry_run: bool,
    now: datetime | None,
    store_url: str,
    veil: Veil | None,
    form: str,
) -> None:
    """Remove what is kept of ADDRESS: its lines of the ledger, progress, strikes, last delivery and forward note.

    Backups, exports and logs are not touched.
    """
    whom = address(recipient)
    if veil is None and suppressions is None:
        raise click.UsageError(
            "say `--suppressions keep` or `--suppressions remove`: a kept entry holds the address in clear, and when "
            "it is removed nobody honours an unsubscribe or a complaint any more; with `--keys` it is kept veiled"
        )
    with the_store(store_url, must_exist=True) as store:
        check_keys(store, veil)
        if suppressions != "remove" and not dry_run and _is_in_clear(store, whom):
            check_veil(store, veil, clock(now))  # what is kept of it will be kept under a veiled name
        erased = _erase(store, whom, veil, keeps=suppressions != "remove", dry_run=dry_run)
    if form == "json":
        from adapters.cli.show import print_json

        print_json({"address": whom.key, "dry_run": dry_run, "erased": erased})
        return
    if not any(erased.values()):
        click.echo(f"{safe(whom.key)}: nothing is kept of it")
        return
    done = any(count for name, count in erased.items() if name != "kept")
    told = "would be erased" if dry_run else "erased"
    click.echo(f"{safe(whom.key)}: {told if done else 'nothing is left to erase'}")
    for name, count in erased.items():
        click.echo(f"  {count} {_WORDS[name][count != 1]}")


def _erase(store: Store, whom: Address, veil: Veil | None, *, keeps: bool, dry_run: bool) -> dict[str, int]:
    names = (whom.key,) if veil is None else veil.names(whom)
    entries = [each for each in store.suppressions() if _is_of(each, names)]
    erased = Counter(dict.fromkeys(ERASED, 0))
    try:
        with store.unit() as unit:
            for name in names:
                in_clear = veil is not None and name == whom.key
                erased.update(unit.erase(name, suppressions=in_clear or not keeps))
            if keeps:
                erased["kept"] = len(entries)
                erased["suppressions"] = 0
                _keep_veiled(unit, entries, whom, veil)
            if dry_run:
                raise _NothingDone
    except _NothingDone:
        pass
    return dict(erased)


def _keep_veiled(unit: Unit, entries: list[Suppression], whom: Address, veil: Veil | None) -> None:
    """Entries in clear, which are gone by now, come back under the veiled name; one that stands against them stays."""
    for each in entries:
        if veil is not None and _is_of(each, (whom.key,)):
            unit.put(veil.suppression(each))


def _is_in_clear(store: Store, whom: Address) -> bool:
    return any(_is_of(each, (whom.key,)) for each in store.suppressions())


def _is_of(entry: Suppression, names: tuple[str, ...]) -> bool:
    return any(entry.target == each or entry.target.startswith(f"{each}#") for each in names)
