"""`mailverdict log`, `suppressions list`, `forwards list`: what was recorded."""

import sys
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from adapters.cli.common import FINDINGS, USAGE, clock, fail, format_option, now_option, safe, store_option, the_store
from policy.address import parse_domain
from policy.contract import write_decision, write_forward, write_suppression
from policy.contract.times import write_time
from policy.forward import ForwardState
from policy.history import Entry


@click.command(
    "log",
    epilog="""\b
Examples:
  mailverdict log --last 20
  mailverdict log --to jo@example.com --format json""",
)
@click.option("--to", "recipient", metavar="ADDRESS", help="Only attempts to this recipient.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N.  [default: all]")
@store_option
@format_option
def log_command(recipient: str | None, last: int | None, store_url: str, form: str) -> None:
    """Show the decisions that were recorded, the oldest first."""
    from adapters.cli.planning import address

    key = None if recipient is None else address(recipient).key
    with the_store(store_url, must_exist=True) as store:
        entries = deque((each for each in store.entries() if key in (None, each.recipient)), maxlen=last)
    if form == "json":
        from adapters.cli.show import print_json

        print_json([write_entry(each) for each in entries])
        return
    from adapters.cli.show import coloured, said, table

    rows = (
        (f"{e.at:%Y-%m-%d %H:%M:%S}", e.recipient, said(e.attempt), coloured(e.decision.action), str(e.decision.rule))
        for e in entries
    )
    table("", ("at (UTC)", "recipient", "they said", "decision", "rule"), rows)


def write_entry(entry: Entry) -> dict[str, Any]:
    """A line of the ledger: the decision, and what it was about."""
    return {
        "id": entry.attempt_id,
        "at": write_time(entry.at),
        "recipient": entry.recipient or None,
        "message_id": entry.progress.message,
        "attempt": entry.progress.attempts,
        "outcome": str(getattr(entry.attempt.outcome, "value", entry.attempt.outcome)),
        **write_decision(entry.decision),
    }


@click.group("suppressions", epilog="\b\nExample:\n  mailverdict suppressions list --store sqlite:///mail.db")
def suppressions_group() -> None:
    """Show or mend the suppression list: addresses and domains that no mail is sent to, and why."""


@suppressions_group.command("list", epilog="\b\nExample:\n  mailverdict suppressions list --all --format json")
@click.option("--all", "everything", is_flag=True, help="Those that have expired, too.")
@now_option
@store_option
@format_option
def list_suppressions(everything: bool, now: datetime | None, store_url: str, form: str) -> None:
    """Show the entries that bind now."""
    at = clock(now)
    with the_store(store_url, must_exist=True) as store:
        entries = [each for each in store.suppressions() if everything or each.active(at)]
    columns = ("address", "strength", "reason", "until (UTC)", "rule", "reply")
    rows = (
        (e.target, e.strength.value, e.reason.value, _until(e.expires_at), str(e.rule), str(e.reply)) for e in entries
    )
    _show(form, (write_suppression(each) for each in entries), columns, rows)


@suppressions_group.command(
    "remove", epilog="\b\nExample:\n  mailverdict suppressions remove jo@example.com bo@example.com"
)
@click.argument("targets", nargs=-1, required=True, metavar="ADDRESS...")
@store_option
@format_option
def remove_suppressions(targets: tuple[str, ...], store_url: str, form: str) -> None:
    """Release addresses or domains: mail may be sent to them again, and their strikes are forgotten."""
    from adapters.cli.planning import address

    keys = [address(each).key if "@" in each else _domain(each) for each in targets]
    with the_store(store_url, must_exist=True) as store, store.unit() as unit:
        released = [(key, unit.release(key)) for key in keys]
    if form == "json":
        from adapters.cli.show import print_json

        print_json([{"address": key, "removed": count} for key, count in released])
    else:
        for key, count in released:
            click.echo(f"{safe(key)}: {'released' if count else 'was not suppressed'}")


@click.group("forwards", epilog="\b\nExample:\n  mailverdict forwards list --store sqlite:///mail.db")
def forwards_group() -> None:
    """Show or judge the forward addresses that 251 and 551 replies named; none is used before a person approves it."""


@forwards_group.command("list", epilog="\b\nExample:\n  mailverdict forwards list --format json")
@store_option
@format_option
def list_forwards(store_url: str, form: str) -> None:
    """Show the notes."""
    with the_store(store_url, must_exist=True) as store:
        notes = list(store.forwards())
    columns = ("address", "they name (untrusted)", "state", "since (UTC)", "reply")
    rows = (
        (e.address, str(e.forward_path), e.state.value, f"{e.since:%Y-%m-%d %H:%M:%S}", str(e.reply)) for e in notes
    )
    _show(form, (write_forward(each) for each in notes), columns, rows)


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


def _show(form: str, documents: Iterable[object], columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    if form == "json":
        from adapters.cli.show import print_json

        print_json(list(documents))
    else:
        from adapters.cli.show import table

        table("", columns, rows)


def _domain(text: str) -> str:
    try:
        return parse_domain(text)
    except ValueError as error:
        fail(USAGE, str(error))


def _until(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "released by a person"
