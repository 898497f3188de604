"""`mailverdict states`: what holds mail back (suspensions, throttles, guards, freezes), shown, explained, ended."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
from attrs import evolve, frozen

from adapters.cli.common import (
    FINDINGS,
    USAGE,
    clock,
    fail,
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
from policy.address import parse_domain
from policy.attempt import NAME_LIMIT
from policy.contract import write_freeze, write_suspension, write_throttling, write_watch
from policy.destination import in_words
from policy.guard import Watch, standing
from policy.history import Freeze, HistoryKey, Suspension, Throttling
from policy.ports import Store
from policy.text import TEXT_LIMIT, clean


@click.group("states", epilog="\b\nExample:\n  mailverdict states list --store sqlite:///mail.db")
def states_group() -> None:
    """Show or end what holds mail back: suspended or slowed destinations, open outage guards, freezes."""


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
    yield from map(_freeze, store.freezes())
    yield from (_suspension(each, at) for each in store.suspensions())
    yield from (_throttling(each, at) for each in store.throttlings())
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


def _freeze(freeze: Freeze) -> _State:
    why = f"nothing of {freeze.of_what} is bounced or suppressed" + (f": {freeze.note}" if freeze.note else "")
    return _State(
        kind="freeze",
        target=freeze.provider or "all mail",
        since=_time(freeze.since),
        until="it is lifted",
        why=why,
        binds=True,
        document={**write_freeze(freeze), "active": True, "why": why},
    )


def _suspension(suspension: Suspension, at: datetime) -> _State:
    binds, rate = suspension.active(at), suspension.rate(at)
    recovers = not binds and rate is not None
    why = suspension_words(suspension) if not recovers else f"{in_words(suspension.target)} recovers, {rate} now"
    more = {"active": binds or recovers, "recovering_at": str(rate) if recovers else None, "why": why}
    return _State(
        kind="recovery" if recovers else "suspension",
        target=suspension.target,
        since=_time(suspension.until if recovers else suspension.since),
        until="it is well" if recovers else _time(suspension.until),
        why=why,
        binds=binds or recovers,
        document={**write_suspension(suspension), **more},
    )


def _throttling(throttling: Throttling, at: datetime) -> _State:
    binds = throttling.active(at)
    return _State(
        kind="throttle",
        target=throttling.target,
        since=_time(throttling.since),
        until=_time(throttling.until),
        why=throttling_words(throttling),
        binds=binds,
        document={**write_throttling(throttling), "active": binds, "why": throttling_words(throttling)},
    )


def suspension_words(suspension: Suspension) -> str:
    """What a suspension does and why, for a person."""
    again = f", the {suspension.times}. time in a row" if suspension.times > 1 else ""
    what = in_words(suspension.target)
    return f"{what} waits: {suspension.reason.value}, rule {suspension.rule}{again}"


def throttling_words(throttling: Throttling) -> str:
    """What a throttle does and why, for a person."""
    what = in_words(throttling.target)
    return f"{what} goes at {throttling.rate}: {throttling.reason.value}, rule {throttling.rule}"


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
    """End a suspension, its recovery or a throttle, by the target that `list` shows: mail may go there as it comes."""
    at = clock(now)
    with the_store(store_url, must_exist=True) as store, store.unit() as unit:
        ended = unit.cancel(target, at)
    _tell(form, target, ended, "cancelled", "is not held back")


@states_group.command("close", epilog="\b\nExample:\n  mailverdict states close google")
@click.argument("key", metavar="TARGET")
@store_option
@format_option
def close_guard(key: str, store_url: str, form: str) -> None:
    """Close an outage guard, by the target that `list` shows: replies from there count again.

    It goes on watching, from nothing: failures that it has seen do not open it again. What it put aside stays aside.
    """
    look = HistoryKey(watches=(key,))
    with the_store(store_url, must_exist=True) as store, store.unit() as unit:
        (watch,) = unit.history(look).watches
        if watch.is_open:
            unit.watch(evolve(watch, open_since=None, failing=(), probes=()))
    _tell(form, key, watch.is_open, "closed", "is not open")


@states_group.command(
    "freeze",
    epilog='\b\nExamples:\n  mailverdict states freeze --note "Gmail says no to everybody"\n'
    "  mailverdict states freeze --provider google",
)
@click.option("--provider", default="", metavar="NAME", help="Only mail to this provider, or to this domain.")
@click.option("--note", default="", metavar="TEXT", help="Why, for those who find it.")
@now_option
@store_option
@rules_option
@format_option
def freeze(provider: str, note: str, now: datetime | None, store_url: str, rules: tuple[str, ...], form: str) -> None:
    """From now on bounce nobody and suppress nobody, until `lift`: what would be, is held and recorded."""
    name = _whose(provider, rules)
    said = Freeze(provider=name, since=clock(now), note=clean(note, limit=TEXT_LIMIT))
    with the_store(store_url) as store, store.unit() as unit:
        fresh = unit.frozen(said.provider) is None
        unit.freeze(said)
    _tell(form, said.provider or "all mail", fresh, "frozen", "is frozen already")


@states_group.command("lift", epilog="\b\nExample:\n  mailverdict states lift --provider google")
@click.option("--provider", default="", metavar="NAME", help="The freeze of this provider; else that of all mail.")
@store_option
@rules_option
@format_option
def lift(provider: str, store_url: str, rules: tuple[str, ...], form: str) -> None:
    """End a freeze: what was held by it is planned again, and decided as it then is."""
    with the_store(store_url, must_exist=True) as store, store.unit() as unit:
        given = clean(provider, limit=NAME_LIMIT)  # as it was frozen, whatever the rules call it by now
        lifted = unit.lift(given if unit.frozen(given) else _whose(provider, rules))
    _tell(form, provider or "all mail", lifted is not None, "lifted", "is not frozen")


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


def _whose(provider: str, rules: tuple[str, ...]) -> str:
    """The provider's own name, or a domain; a name that nobody goes by would freeze nothing."""
    if not provider:
        return ""
    name = the_policy(rules).provider_called(provider)
    if name is not None:
        return name
    if "." not in provider:
        hint = "`mailverdict rules show` has all, or name a domain"
        fail(USAGE, f"no provider is called `{clean(provider, limit=80)}`; {hint}")
    try:
        return parse_domain(provider)
    except ValueError as error:
        fail(USAGE, str(error))


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
