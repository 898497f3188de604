"""`--recipient` with `--keys`: one address found in a list under all its names; and a word that the list has names."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

import click

from adapters.cli.common import USAGE, fail
from adapters.cli.keys import check_keys, is_marked, keys_option_for
from adapters.cli.listing import Choice
from policy.address import Address, parse_address
from policy.history import HistoryKey, Suppression
from policy.ports import Store
from policy.veil import UNVEILED, Veil

F = TypeVar("F", bound=Callable[..., Any])
ASK = "`--recipient ADDRESS` with `--keys` finds one"


def _address(_: click.Context, __: click.Parameter, text: str | None) -> Address | None:
    try:
        return None if text is None else parse_address(text)
    except ValueError as error:
        fail(USAGE, str(error))


def recipient_options(command: F) -> F:
    """The options that name one address, given to the command as `recipient` and `veil`."""
    keys = keys_option_for("With `--recipient`: look under the veiled names, too, that these keys make.")
    only = click.option("--recipient", metavar="ADDRESS", callback=_address, help="Only of this address.")
    return only(keys(command))


def names_of(store: Store, recipient: Address | None, veil: Veil | None) -> tuple[str, ...] | None:
    """The names of the one who is asked for, newest first; None: all are."""
    if recipient is None:
        return None
    check_keys(store, veil)
    return (veil or UNVEILED).names(recipient)


def tell_veiled(store: Store, hint: str = ASK) -> None:
    """Say on standard error, where it is so, that a list shows names in place of addresses."""
    if is_marked(store):
        click.echo(f"mailverdict: recipients are shown by their veiled names; {hint}", err=True)


def _entries_of(store: Store, names: tuple[str, ...]) -> list[Suppression]:
    """What stands against these names and against single streams to them, as a list has it."""
    with store.unit() as unit:
        own = [each for name in names for each in unit.history(HistoryKey(recipient=name)).suppressions]
        of_streams = [each for name in names for each in unit.streams_of(name)]
    return sorted([*own, *of_streams], key=lambda each: (each.since, each.target))


def chosen(
    store: Store, choice: Choice, names: tuple[str, ...] | None, at: datetime, *, everything: bool
) -> Iterator[Suppression]:
    """Yield the entries that are asked for, of all or of one recipient's names; those that bind, or everything."""
    found = choice.entries(store, at) if names is None else choice.among(_entries_of(store, names), at)
    return (each for each in found if everything or each.active(at))
