"""`mailverdict suppressions`: who gets no mail and why; shown, added to, released one by one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click
from attrs import evolve

from adapters.cli.common import clock, format_option, now_option, safe, store_option, the_store
from adapters.cli.keys import check_keys, check_veil, keys_option
from adapters.cli.known_names import hinted
from adapters.cli.listing import (
    BY_HAND,
    Choice,
    cause,
    choice_options,
    new_target_key,
    target_key,
    until_when,
)
from adapters.cli.suppression_files import export_suppressions, import_suppressions
from adapters.cli.undoing import show_entries, state_at, undo_suppressions
from adapters.cli.veiled import chosen, names_of, recipient_options, tell_veiled
from policy.address import Address
from policy.contract import scope_of, write_suppression
from policy.contract.times import write_time
from policy.decision import Scope, Strength
from policy.diagnosis.category import Category
from policy.history import History, HistoryKey, Source, Suppression, stream_of
from policy.intake import Intake, take
from policy.ports import Unit
from policy.text import TEXT_LIMIT, clean
from policy.veil import UNVEILED, Veil


@click.group("suppressions", epilog="\b\nExample:\n  mailverdict suppressions list --store sqlite:///mail.db")
def suppressions_group() -> None:
    """Show or mend the suppression list: addresses and domains that no mail is sent to, and why."""


suppressions_group.add_command(import_suppressions)
suppressions_group.add_command(export_suppressions)
suppressions_group.add_command(undo_suppressions)


@suppressions_group.command(
    "list",
    epilog="""\b
Examples:
  mailverdict suppressions list --all --format json
  mailverdict suppressions list --since 2h --rule no-such-mailbox
  MAILVERDICT_KEYS=mail.keys mailverdict suppressions list --recipient jo@example.com""",
)
@click.option("--all", "everything", is_flag=True, help="Those that have expired, were put aside or released, too.")
@choice_options
@recipient_options
@now_option
@store_option
@format_option
def list_suppressions(  # noqa: PLR0917 - one argument an option
    everything: bool,
    choice: Choice,
    recipient: Address | None,
    veil: Veil | None,
    now: datetime | None,
    store_url: str,
    form: str,
) -> None:
    """Show the entries that bind now."""
    at = clock(now)
    with the_store(store_url, must_exist=True) as store:
        if form == "text" and recipient is None:
            tell_veiled(store)
        names = names_of(store, recipient, veil)
        entries = chosen(store, choice, names, at, everything=everything)
        empty = (
            "nothing is suppressed" if choice == Choice() and names is None else "nothing of that kind is suppressed"
        )
        told = hinted(entries, rule=choice.rule, provider=choice.provider)
        show_entries(form, told, empty=empty, at=at if everything else None)


@suppressions_group.command(
    "show", epilog="\b\nExample:\n  mailverdict suppressions show jo@example.com --store sqlite:///mail.db"
)
@click.argument("targets", nargs=-1, required=True, metavar="ADDRESS...")
@now_option
@store_option
@keys_option
@format_option
def show_suppressions(
    targets: tuple[str, ...], now: datetime | None, store_url: str, veil: Veil | None, form: str
) -> None:
    """Show all that is known for or against addresses or domains: entries of any state, strikes, the last delivery."""
    at, keys = clock(now), [target_key(each) for each in targets]
    with the_store(store_url, must_exist=True) as store:
        check_keys(store, veil)
        with store.unit() as unit:
            known = [(key, _known(unit, key, veil or UNVEILED)) for key in keys]
    if form == "json":
        from adapters.cli.show import print_json

        print_json([_document(key, history, at) for key, history in known])
        return
    for key, history in known:
        for line in _lines(key, history, at):
            click.echo(safe(line, TEXT_LIMIT) if line[:1] != " " else f"  {safe(line, TEXT_LIMIT)}")


def _key(target: str, veil: Veil) -> HistoryKey:
    of_stream = stream_of(target)
    local, at, domain = (target if of_stream is None else of_stream[0].key).rpartition("@")
    stream = None if of_stream is None else of_stream[1]
    found = HistoryKey(recipient=f"{local}@{domain}" if local and at else None, domain=domain, stream=stream)
    return veil.key(found, Address(local, domain)) if local and at else found


def _known(unit: Unit, target: str, veil: Veil) -> History:
    """What is known of a target; of an address also what stands against single streams to it."""
    history = unit.history(_key(target, veil))
    of_streams = [entry for name in veil.targets(target) for entry in unit.streams_of(name)]
    new = (each for each in of_streams if each not in history.suppressions)
    return evolve(history, suppressions=(*history.suppressions, *new))


def _document(key: str, history: History, at: datetime) -> dict[str, Any]:
    return {
        "address": key,
        "suppressed": any(each.active(at) for each in history.suppressions),
        "suppressions": [write_suppression(each) for each in history.suppressions],
        "strikes": [
            {"target": each.target, "reason": each.reason.value, "at": write_time(each.at), "message_id": each.message}
            for each in history.strikes
        ],
        "last_success": history.last_success and write_time(history.last_success),
    }


def _lines(key: str, history: History, at: datetime) -> Iterable[str]:
    from adapters.cli.show import moment

    active = [each for each in history.suppressions if each.active(at)]
    partly = all(each.scope is Scope.STREAM for each in active) and "#" not in key
    words = "suppressed for some streams" if partly else "suppressed"
    yield f"{key}: {words if active else 'not suppressed'}"
    for each in history.suppressions:
        yield f"  {state_at(each, at)} entry of {each.target}, {each.strength.value}, since {moment(each.since)}"
        yield f"  until: {until_when(each.expires_at)}"
        yield f"  why: {cause(each)}"
        note = "" if each.rule.id == BY_HAND.id else each.note  # which the cause says
        yield from (f"  {name}: {text}" for name, text in (("reply", each.reply), ("note", note)) if text)
    for strike in history.strikes:
        yield f"  strike against {strike.target}, {strike.reason.value}, {moment(strike.at)}, message {strike.message}"
    if history.last_success is not None:
        yield f"  last delivery {moment(history.last_success)}"


@suppressions_group.command(
    "add",
    epilog="""\b
Examples:
  mailverdict suppressions add jo@example.com --note "asked by phone"
  mailverdict suppressions add jo@example.com --source complaint""",
)
@click.argument("targets", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("--note", default="", metavar="TEXT", help="What people should know of it.")
@click.option(
    "--source",
    type=click.Choice([Source.MANUAL.value, Source.COMPLAINT.value, Source.UNSUBSCRIBE.value]),
    default=Source.MANUAL.value,
    show_default=True,
    help="Who says so.",
)
@now_option
@store_option
@keys_option
@format_option
def add_suppressions(  # noqa: PLR0917 - one argument an option
    targets: tuple[str, ...],
    note: str,
    source: str,
    now: datetime | None,
    store_url: str,
    veil: Veil | None,
    form: str,
) -> None:
    """Suppress addresses or domains until a person releases them; no success and no `undo` does."""
    at, keys = clock(now), [new_target_key(each) for each in targets]
    entries = [(key, (veil or UNVEILED).suppression(_by_hand(key, Source(source), note, at))) for key in keys]
    with the_store(store_url) as store:
        check_veil(store, veil, at)
        with store.unit() as unit:
            taken = [(key, take(unit, entry, at)) for key, entry in entries]
    if form == "json":
        from adapters.cli.show import print_json

        print_json([{"address": key, "added": intake is Intake.KEPT} for key, intake in taken])
    else:
        for key, intake in taken:
            click.echo(f"{safe(key)}: {'suppressed' if intake is Intake.KEPT else 'was suppressed already'}")


def _by_hand(key: str, source: Source, note: str, at: datetime) -> Suppression:
    return Suppression(
        target=key,
        scope=scope_of(key),
        strength=Strength.PERMANENT,
        reason=Category.UNKNOWN,
        rule=BY_HAND,
        reply=clean(""),
        since=at,
        expires_at=None,
        source=source,
        note=clean(note),
    )


@suppressions_group.command(
    "remove", epilog="\b\nExample:\n  mailverdict suppressions remove jo@example.com bo@example.com"
)
@click.argument("targets", nargs=-1, required=True, metavar="ADDRESS...")
@store_option
@keys_option
@format_option
def remove_suppressions(targets: tuple[str, ...], store_url: str, veil: Veil | None, form: str) -> None:
    """Release addresses or domains: mail may be sent to them again, and their strikes are forgotten."""
    keys = [target_key(each) for each in targets]
    with the_store(store_url, must_exist=True) as store:
        check_keys(store, veil)
        names = {key: tuple((veil or UNVEILED).targets(key)) for key in keys}
        with store.unit() as unit:
            released = [(key, sum(unit.release(each) for each in names[key])) for key in keys]
            of_streams = {key: [each for name in names[key] for each in unit.streams_of(name)] for key in keys}
    left = {key: [each.target for each in found if each.active(clock(None))] for key, found in of_streams.items()}
    if form == "json":
        from adapters.cli.show import print_json

        print_json([{"address": key, "removed": count} for key, count in released])
    else:
        for key, count in released:
            click.echo(f"{safe(key)}: {'released' if count else 'was not suppressed'}")
            if left[key]:
                click.echo(f"  still suppressed: {safe(', '.join(left[key]), TEXT_LIMIT)}; remove these by their names")
