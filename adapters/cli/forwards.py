"""`mailverdict forwards`: the new addresses that replies named, shown and judged."""

import sys
from datetime import datetime

import click

from adapters.cli.common import FINDINGS, clock, format_option, now_option, safe, store_option, the_store
from adapters.cli.keys import is_marked
from adapters.cli.listing import show
from adapters.cli.veiled import names_of, recipient_options
from policy.address import Address
from policy.contract import write_forward
from policy.forward import ForwardState
from policy.history import ForwardNote
from policy.veil import Veil


@click.group("forwards", epilog="\b\nExample:\n  mailverdict forwards list --store sqlite:///mail.db")
def forwards_group() -> None:
    """Show or judge the forward addresses that 251 and 551 replies named; none is used before a person approves it."""


@forwards_group.command("list", epilog="\b\nExample:\n  mailverdict forwards list --format json")
@recipient_options
@now_option
@store_option
@format_option
def list_forwards(
    recipient: Address | None, veil: Veil | None, now: datetime | None, store_url: str, form: str
) -> None:
    """Show the notes; one that is too old to be followed says so."""
    at = clock(now)
    with the_store(store_url, must_exist=True) as store:
        names = names_of(store, recipient, veil)
        notes = [each for each in store.forwards() if names is None or each.address in names]
        if form == "text" and is_marked(store):
            click.echo(
                "mailverdict: forwards are not noted where there are keys; what there is is from before", err=True
            )
    columns = ("address", "they name (untrusted)", "state", "since (UTC)", "reply")
    rows = (
        (e.address, str(e.forward_path), _state(e, at), f"{e.since:%Y-%m-%d %H:%M:%S}", str(e.reply)) for e in notes
    )
    show(form, (write_forward(each) for each in notes), columns, rows, empty="no forward is noted")


def _state(note: ForwardNote, at: datetime) -> str:
    return note.state.value if note.lasts(at) else f"{note.state.value}, too old"


def _judging(verb: str, state: ForwardState, line: str) -> None:
    """Add the subcommand by which a person says `state` of a note."""
    example = f"\b\nExample:\n  mailverdict forwards {verb} jo@old.example jo@new.example"

    @forwards_group.command(verb, help=line, epilog=example)
    @click.argument("recipient", metavar="ADDRESS")
    @click.argument("path", metavar="NAMED")
    @store_option
    @format_option
    def judge_forward(recipient: str, path: str, store_url: str, form: str) -> None:
        from adapters.cli.planning import address
        from adapters.cli.show import print_json

        key = address(recipient).key
        with the_store(store_url, must_exist=True) as store, store.unit() as unit:
            noted = unit.judge(key, safe(path), state)
        if form == "json":
            print_json({"address": key, "forward_path": safe(path), "state": state.value if noted else None})
        else:
            click.echo(f"{safe(key)}: {state.value if noted else f'`{safe(path)}` is not what is noted'}")
        if not noted:
            sys.exit(FINDINGS)


_judging("approve", ForwardState.APPROVED, "Trust the address NAMED for ADDRESS: `plan` then says to write there.")
_judging("reject", ForwardState.REJECTED, "Do not trust the address NAMED for ADDRESS; it stays rejected.")
