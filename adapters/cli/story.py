"""`mailverdict why`: the story of a message, recipient by recipient, attempt by attempt, and how it stands now."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import click

from adapters.cli.common import (
    FINDINGS,
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
from adapters.cli.keys import check_keys, keys_option
from adapters.cli.ledger import write_entry
from adapters.cli.listing import cause, until_when
from adapters.cli.planning import write_plan
from adapters.cli.state_lines import guard_words, suspension_words, throttling_words
from policy import Action, Address, Attempt, Delivery, Event, Plan, Policy, Store
from policy.attempt import ident
from policy.contract import (
    write_freeze,
    write_progress,
    write_suppression,
    write_suspension,
    write_throttling,
    write_watch,
)
from policy.engine import history_key, learned_provider
from policy.guard import standing
from policy.history import Entry, Freeze, History, HistoryKey, Progress
from policy.planning import plan_key, planned
from policy.ports import Unit
from policy.text import TEXT_LIMIT
from policy.veil import UNVEILED, Veil


@click.command(
    "why",
    epilog="""\b
Examples:
  mailverdict why order-17
  mailverdict why order-17 --to jo@example.com --format json""",
)
@click.argument("message", metavar="MESSAGE")
@click.option("--to", "recipient", metavar="ADDRESS", help="Only the story of this recipient.")
@now_option
@store_option
@keys_option
@rules_option
@format_option
def why_command(  # noqa: PLR0917 - one argument an option
    message: str,
    recipient: str | None,
    now: datetime | None,
    store_url: str,
    veil: Veil | None,
    rules: tuple[str, ...],
    form: str,
) -> None:
    """Tell the story of MESSAGE, by the message's id or that of one of its attempts.

    Each attempt in order: what they said, what was decided, by which rule, on which evidence, with which effects; then
    how it stands now. Exit status 1: nothing is recorded of it.
    """
    from adapters.cli.planning import address

    whom, hidden = None if recipient is None else address(recipient), veil or UNVEILED
    names = (None,) if whom is None else hidden.names(whom)
    policy, at = the_policy(rules), clock(now)
    with the_store(store_url, must_exist=True) as store:
        if whom is not None:
            check_keys(store, veil)
        named = hidden.ident(ident(message), whom) or ""
        stories = [story for each in names for story in _stories(store, named, each)]
        with store.unit() as unit:
            present = [_standing(policy, unit, story[-1].attempt, at) for story in stories]
    told = list(zip(stories, present, strict=True))
    if form == "json":
        from adapters.cli.show import print_json

        print_json({"message_id": ident(message), "recipients": [_document(story, *now, at) for story, now in told]})
    for story, (history, plan) in told if form == "text" else ():
        _print(story, history, plan, at)
    if not stories:
        fail(FINDINGS, f"nothing is recorded of message `{safe(message)}`")


def _stories(store: Store, named: str, recipient: str | None) -> list[list[Entry]]:
    """The attempts of the message, recipient by recipient in the order of their first ones."""
    stories: dict[str, list[Entry]] = {}
    for entry in _entries(store, named, recipient):
        stories.setdefault(entry.recipient, []).append(entry)
    return list(stories.values())


def _entries(store: Store, named: str, recipient: str | None) -> Sequence[Entry]:
    found = list(store.entries(message=named, recipient=recipient))
    if found:
        return found
    attempts = list(store.entries(attempt=named, recipient=recipient))
    return list(store.entries(message=attempts[-1].progress.message, recipient=recipient)) if attempts else []


def _standing(policy: Policy, unit: Unit, attempt: Attempt, at: datetime) -> tuple[History, Plan | None]:
    """What is known that concerns the next attempt, and what `plan` would say of it; asking takes no slot of a rate."""
    recipient = attempt.recipient
    if recipient is None:
        return unit.history(history_key(policy, attempt)), None

    def look(address: Address) -> History:
        return unit.history(HistoryKey(recipient=address.key, domain=address.domain, stream=attempt.stream))

    delivery = Delivery(
        recipient=recipient,
        sender=attempt.sender,
        message=attempt.message,
        stream=attempt.stream,
        campaign=attempt.campaign,
    )
    key = plan_key(policy, delivery, learned_provider(policy, unit, recipient.domain, at))
    history = unit.history(key)
    plan, _ = planned(policy, delivery, key, history, look, at)
    return history, plan


def _document(story: Sequence[Entry], history: History, plan: Plan | None, at: datetime) -> dict[str, Any]:
    return {
        "recipient": story[0].recipient or None,
        "attempts": [write_entry(each) for each in story],
        "now": {
            "plan": plan and write_plan(plan),
            "progress": history.progress and write_progress(history.progress),
            "suppressions": [write_suppression(each) for each in history.suppressions if each.active(at)],
            "suspension": next((write_suspension(each) for each in history.suspensions if each.active(at)), None),
            "suspensions": [write_suspension(each) for each in history.suspensions if each.active(at)],
            "throttles": [write_throttling(each) for each in history.throttlings if each.active(at)],
            "freezes": [write_freeze(each) for each in history.freezes],
            "guards": [write_watch(each) for each in history.watches if standing(each, at).is_open],
        },
    }


def _print(story: Sequence[Entry], history: History, plan: Plan | None, at: datetime) -> None:
    from adapters.cli.show import moment, print_decision

    click.echo(f"{safe(story[0].recipient) or '(no recipient)'}, message {safe(story[0].progress.message)}")
    for number, entry in enumerate(story, start=1):
        click.echo(f"\n{number}. {moment(entry.at)}, attempt {safe(entry.attempt_id)}")
        print_decision(entry.decision, entry.attempt, now=entry.at)
    click.echo("\nnow")
    tried = any(not isinstance(each.attempt.outcome, Event) for each in story)
    for line in _present(history, at, tried=tried):
        click.echo(f"  {safe(line, TEXT_LIMIT)}")
    if plan is not None and not (history.progress and history.progress.final):
        click.echo(f"  {safe(_plan_words(plan), TEXT_LIMIT)}")
    click.echo()


def _present(history: History, at: datetime, *, tried: bool) -> Iterator[str]:
    """How it stands, in a few lines for a person; what readers say of a message is no try to deliver it."""
    if history.progress is not None:
        words = _progress_words(history.progress, history.freezes, at)
        yield words if tried else "no attempt to deliver it is recorded"
    for entry in history.suppressions:
        if entry.active(at):
            yield f"{entry.target} is suppressed until {until_when(entry.expires_at)}: {cause(entry)}"
        elif entry.expires_at is None or at < entry.expires_at:
            yield f"{entry.target} was suppressed; the entry is {entry.state.value}"
        else:
            yield f"{entry.target} was suppressed until {until_when(entry.expires_at)}"
    for suspension in history.suspensions:
        if suspension.active(at):
            yield f"until {until_when(suspension.until)} {suspension_words(suspension)}"
    for throttling in history.throttlings:
        if throttling.active(at):
            yield f"until {until_when(throttling.until)} {throttling_words(throttling)}"
    yield from (f"{each.of_what} is frozen since {until_when(each.since)}" for each in history.freezes)
    yield from (guard_words(each) for each in history.watches if standing(each, at).is_open)


def _plan_words(plan: Plan) -> str:
    when = f" until {until_when(plan.not_before)}" if plan.not_before else ""
    return f"so `plan` says {plan.verdict.value}{when}: {plan.why}"


def _progress_words(progress: Progress, freezes: Sequence[Freeze], at: datetime) -> str:
    from adapters.cli.show import moment

    if progress.final:
        return f"settled: {progress.action.value}"
    if progress.action is Action.HOLD:
        if not progress.frozen:
            return "held: a person must act first"
        return "held by a freeze" if freezes else "was held by a freeze, which is lifted"
    if progress.retry_at is not None:
        held_back = ", held back by the outage guard" if progress.guarded else ""
        number, due = progress.attempts + 1, moment(progress.retry_at)
        if progress.retry_at <= at:
            return f"attempt {number} has been due since {due}{held_back}"
        return f"waits: attempt {number} is due {due}{held_back}"
    return f"not settled: {progress.action.value}"
