"""`mailverdict states`: what holds mail back (suspensions, throttles, guards, freezes), shown, explained, ended."""

import sys
from collections.abc import Sequence
from datetime import datetime

import click
from attrs import evolve

from adapters.cli.common import (
    FINDINGS,
    USAGE,
    clock,
    fail,
    format_option,
    named,
    now_option,
    rules_files,
    rules_option,
    safe,
    store_option,
    the_policy,
    the_store,
)
from adapters.cli.counting import states_of
from adapters.cli.listing import show
from adapters.cli.state_lines import State, limit_state, stored_states, time_text
from policy import Policy, RulesError, RulesUnreadable, load_policy
from policy.address import parse_domain
from policy.attempt import NAME_LIMIT
from policy.guard import standing
from policy.history import Freeze, HistoryKey
from policy.rules.limit import limits
from policy.text import TEXT_LIMIT, clean

_NOTHING = "nothing is suspended, throttled or frozen, and no outage guard is open"
_CANCELLED = ("suspension", "recovery", "throttle")  # what `cancel` ends
_TOLD = 10  # targets that are told at most to who named none of them


@click.group("states", epilog="\b\nExample:\n  mailverdict states list --store sqlite:///mail.db")
def states_group() -> None:
    """Show or end what holds mail back: suspended or slowed destinations, open outage guards, freezes."""


@states_group.command("list", epilog="\b\nExample:\n  mailverdict states list --all --format json")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
@now_option
@store_option
@rules_option
@format_option
def list_states(everything: bool, now: datetime | None, store_url: str, rules: tuple[str, ...], form: str) -> None:
    """Show the states that bind now, and what each of them does; and the limits of the rules, which always do."""
    with the_store(store_url, must_exist=True) as store:
        states = [each for each in stored_states(store, clock(now)) if everything or each.binds]
    states += _limits(rules)
    columns = ("kind", *(("state",) if everything else ()), "target", "since (UTC)", "until (UTC)", "why")
    show(form, (each.document for each in states), columns, (each.row(columns) for each in states), empty=_NOTHING)


def _limits(rules: tuple[str, ...]) -> list[State]:
    """The limits of the operator's rules; without these there are none, and what is stored is shown all the same."""
    try:
        return [limit_state(*each) for each in limits(load_policy(files))] if (files := rules_files(rules)) else []
    except (RulesError, RulesUnreadable) as error:
        click.echo(f"mailverdict: the rules cannot be used, so limits are not shown: {safe(error)}", err=True)
        return []


@states_group.command("cancel", epilog='\b\nExample:\n  mailverdict states cancel "example.org>google"')
@click.argument("target", metavar="TARGET")
@now_option
@store_option
@format_option
def cancel_suspension(target: str, now: datetime | None, store_url: str, form: str) -> None:
    """End a suspension, its recovery or a throttle, by the target that `list` shows: mail may go there as it comes."""
    at = clock(now)
    with the_store(store_url, must_exist=True) as store:
        with store.unit() as unit:
            ended = unit.cancel(target, at)
        states = () if ended else stored_states(store, at)
        held = [each.target for each in states if each.kind in _CANCELLED and each.binds]
    hint = "" if ended else _meant(target, held, "held back")
    _tell(form, target, ended, "cancelled", "is not held back", hint=hint)


@states_group.command("close", epilog="\b\nExample:\n  mailverdict states close google")
@click.argument("key", metavar="TARGET")
@now_option
@store_option
@format_option
def close_guard(key: str, now: datetime | None, store_url: str, form: str) -> None:
    """Close an outage guard, by the target that `list` shows: replies from there count again.

    It goes on watching, from nothing: failures that it has seen do not open it again. What it put aside stays aside.
    """
    look = HistoryKey(watches=(key,))
    with the_store(store_url, must_exist=True) as store:
        with store.unit() as unit:
            (known,) = unit.history(look).watches
            watch = known if now is None else standing(known, now)  # what time has closed may be closed by hand, too
            if watch.is_open:
                unit.watch(evolve(watch, open_since=None, failing=(), probes=()))
        others = [] if watch.is_open else [each.key for each in store.watches() if standing(each, clock(now)).is_open]
    hint = "" if watch.is_open else _meant(key, others, "open")
    _tell(form, key, watch.is_open, "closed", "is not open", hint=hint)


@states_group.command(
    "freeze",
    epilog='\b\nExamples:\n  mailverdict states freeze --note "Gmail says no to everybody"\n'
    "  mailverdict states freeze --provider google",
)
@click.option("--provider", metavar="NAME", callback=named, help="Only mail to this provider, or to this domain.")
@click.option("--note", default="", metavar="TEXT", help="Why, for those who find it.")
@now_option
@store_option
@rules_option
@format_option
def freeze(
    provider: str | None, note: str, now: datetime | None, store_url: str, rules: tuple[str, ...], form: str
) -> None:
    """From now on bounce nobody and suppress nobody, until `lift`: what would be, is held and recorded."""
    policy = None if provider is None else the_policy(rules)  # all mail is frozen even where the rules are broken
    whose = _whose(provider, policy) if policy and provider else ""
    said = Freeze(provider=whose, since=clock(now), note=clean(note, limit=TEXT_LIMIT))
    with the_store(store_url) as store, store.unit() as unit:
        fresh = unit.frozen(said.provider) is None
        unit.freeze(said)
    of_one = policy.provider_of_domain(said.provider) if policy else None
    hint = f"{said.provider} is one domain of {of_one}; `--provider {of_one}` freezes all of them" if of_one else ""
    _tell(form, said.provider or "all mail", fresh, "frozen", "is frozen already", hint=hint)


@states_group.command("lift", epilog="\b\nExample:\n  mailverdict states lift --provider google")
@click.option("--provider", metavar="NAME", callback=named, help="The freeze of this provider; else that of all mail.")
@store_option
@rules_option
@format_option
def lift(provider: str | None, store_url: str, rules: tuple[str, ...], form: str) -> None:
    """End a freeze: what was held by it is planned again, and decided as it then is."""
    given = clean(provider or "", limit=NAME_LIMIT)
    with the_store(store_url, must_exist=True) as store:
        frozen = {each.provider: each for each in store.freezes()}
        # as it was frozen, whatever the rules call it by now; else as they call it
        name = given if not given or given in frozen else _called(given, the_policy(rules))
        with store.unit() as unit:
            lifted = unit.lift(name)
    others = [f"{each.provider or 'all mail'} since {time_text(each.since)} UTC" for each in frozen.values()]
    hint = "" if lifted else f"frozen: {', '.join(others)}" if others else "nothing is frozen"
    _tell(form, name or "all mail", lifted is not None, "lifted", "is not frozen", hint=hint)


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


def _called(provider: str, policy: Policy) -> str:
    """The provider's own name, or a domain in its usual form; else as it was given: nothing of that name is frozen."""
    try:
        return policy.provider_called(provider) or parse_domain(provider)
    except ValueError:
        return provider


def _whose(provider: str, policy: Policy) -> str:
    """The provider's own name, or a domain; a name that nobody goes by would freeze nothing."""
    name = policy.provider_called(provider)
    if name is not None:
        return name
    if "." not in provider:
        hint = "`mailverdict rules show` has all, or name a domain"
        fail(USAGE, f"no provider is called `{clean(provider, limit=80)}`; {hint}")
    try:
        return parse_domain(provider)
    except ValueError as error:
        fail(USAGE, str(error))


def _meant(target: str, there: Sequence[str], how: str) -> str:
    """What may have been meant by a target that is none: one that is near, or that it is a part of; else what there is.

    Args:
        there: the targets of that sort that there are; how: what they are.
    """
    from policy.rules.reading import near

    known = sorted(set(there))
    part = next((each for each in known if target and target.casefold() in each.casefold()), None)
    likely = near(target, known) or near(target.casefold(), known) or (f"; did you mean `{part}`?" if part else "")
    more = f" and {len(known) - _TOLD} more" if len(known) > _TOLD else ""
    return f"{how}: {', '.join(known[:_TOLD]) or 'nothing'}{more}{likely}"


def _tell(form: str, target: str, done: bool, did: str, did_not: str, *, hint: str = "") -> None:
    if form == "json":
        from adapters.cli.show import print_json

        print_json({"target": target, did: done})
    else:
        click.echo(f"{safe(target)}: {did if done else did_not}")
        if hint:
            click.echo(f"  {safe(hint, TEXT_LIMIT)}")
    if not done:
        sys.exit(FINDINGS)
