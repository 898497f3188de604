"""`mailverdict states`: what holds mail back for a while, suspensions and outage guards; shown, explained, ended."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
from attrs import evolve, frozen

from adapters.cli.common import (
    FINDINGS,
    clock,
    format_option,
    now_option,
    rules_option,
    safe,
    store_option,
    the_policy,
    the_store,
)
from adapters.cli.counting import states_of
from adapters.cli.listing import show
from policy.contract import write_suspension, write_watch
from policy.guard import Watch, standing
from policy.history import HistoryKey, Suspension
from policy.ports import Store


@click.group("states", epilog="\b\nExample:\n  mailverdict states list --store sqlite:///mail.db")
def states_group() -> None:
    """Show or end what holds mail back for a while: suspended destinations, and outage guards that are open."""


@states_group.command("list", epilog="\b\nExample:\n  mailverdict states list --all --format json")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@now_option
@store_option
@format_option
def list_states(everything: bool, now: datetime | None, store_url: str, form: str) -> None:
    """Show the states that bind now, and what each of them does."""
    at = clock(now)
    with the_store(store_url, must_exist=True) as store:
        states = [each for each in _states(store, at) if everything or each.binds]
    rows = ((each.kind, each.target, each.since, each.until, each.why) for each in states)
    columns = ("state", "target", "since (UTC)", "until (UTC)", "why")
    show(form, (each.document for each in states), columns, rows)


@frozen(kw_only=True)
class _State:
    """One line of the list."""

    kind: str
    target: str
    since: str
    until: str
    why: str
    binds: bool
    document: dict[str, Any]


def _states(store: Store, at: datetime) -> Iterator[_State]:
    for suspension in store.suspensions():
        binds = suspension.active(at)
        yield _State(
            kind="suspension",
            target=suspension.target,
            since=_time(suspension.since),
            until=_time(suspension.until),
            why=suspension_words(suspension),
            binds=binds,
            document={**write_suspension(suspension), "active": binds, "why": suspension_words(suspension)},
        )
    for watch in (standing(each, at) for each in store.watches()):
        yield _State(
            kind="outage guard",
            target=watch.key,
            since=_time(watch.open_since) if watch.open_since else "",
            until="answers are well again" if watch.is_open else "closed",
            why=guard_words(watch),
            binds=watch.is_open,
            document={**write_watch(watch), "active": watch.is_open, "why": guard_words(watch)},
        )


def suspension_words(suspension: Suspension) -> str:
    """What a suspension does and why, for a person."""
    identity, _, destination = suspension.target.partition(">")
    sender = "mail without a sender's domain" if identity == "-" else f"mail from {identity}"
    again = f", the {suspension.times}. time in a row" if suspension.times > 1 else ""
    return f"{sender} to {destination} waits: {suspension.reason.value}, rule {suspension.rule}{again}"


def guard_words(watch: Watch) -> str:
    """What an outage guard does and why, for a person."""
    failing = f"{len(watch.failing)} recipients who had mail of late fail there"
    if not watch.is_open:
        return f"watches only; {failing}" if watch.failing else "watches only"
    probes = len(watch.probes)
    return f"nothing is suppressed at {watch.key}: {failing}; {probes} {'probe' if probes == 1 else 'probes'} of late"


@states_group.command("cancel", epilog='\b\nExample:\n  mailverdict states cancel "example.org>google"')
@click.argument("target", metavar="TARGET")
@now_option
@store_option
@format_option
def cancel_suspension(target: str, now: datetime | None, store_url: str, form: str) -> None:
    """End a suspension, by the target that `list` shows: mail may go there again now."""
    at = clock(now)
    with the_store(store_url, must_exist=True) as store, store.unit() as unit:
        ended = unit.cancel(target, at)
    _tell(form, target, ended, "cancelled", "is not suspended")


@states_group.command("close", epilog="\b\nExample:\n  mailverdict states close google")
@click.argument("key", metavar="TARGET")
@store_option
@format_option
def close_guard(key: str, store_url: str, form: str) -> None:
    """Close an outage guard, by the target that `list` shows: replies from there count again.

    It goes on watching, from nothing: failures that it has seen do not open it again. What it put aside stays aside.
    """
    look = HistoryKey(recipient=None, domain=None, message=None, pair=None, watches=(key,))
    with the_store(store_url, must_exist=True) as store, store.unit() as unit:
        (watch,) = unit.history(look).watches
        if watch.is_open:
            unit.watch(evolve(watch, open_since=None, failing=(), probes=()))
    _tell(form, key, watch.is_open, "closed", "is not open")


@states_group.command(
    "metrics",
    epilog="\b\nExample:\n  mailverdict states metrics > states.prom.new && mv states.prom.new states.prom",
)
@now_option
@store_option
@rules_option
@format_option
def metrics_of_states(now: datetime | None, store_url: str, rules: tuple[str, ...], form: str) -> None:
    """Print what binds now for Prometheus: open guards, suspensions, and suppressions by scope, strength and source.

    The whole suppression list is read. Providers are called as the rules call them.
    """
    states = states_of(the_policy(rules))
    from adapters.metrics import text

    with the_store(store_url, must_exist=True) as store:
        states.look(store, clock(now), suppressions=True)
    if form == "json":
        from adapters.cli.show import print_json

        samples = (each for family in states.collect() for each in family.samples)
        print_json([{"metric": each.name, "labels": each.labels, "value": each.value} for each in samples])
    else:
        click.echo(text(states), nl=False)


def _tell(form: str, target: str, done: bool, did: str, did_not: str) -> None:
    if form == "json":
        from adapters.cli.show import print_json

        print_json({"target": target, did: done})
    else:
        click.echo(f"{safe(target)}: {did if done else did_not}")
    if not done:
        sys.exit(FINDINGS)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
