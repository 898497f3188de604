"""`mailverdict rescue`: whom a rule or an hour has failed wrongly, as recipients to send to again."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from heapq import merge
from typing import Any

import click
from attrs import frozen

from adapters.cli.common import clock, now_option, store_option, the_store
from adapters.cli.known_names import hinted
from adapters.cli.listing import (
    batches,
    print_csv,
    print_pages,
    provider_option,
    rule_option,
    since,
    table_format_option,
    when_option,
)
from adapters.cli.veiled import names_of, recipient_options, tell_veiled
from adapters.logs.records import guarded
from policy import Action, Address, Category, Store
from policy.contract.times import write_time
from policy.history import Entry, HistoryKey, Source, Suppression
from policy.veil import Veil

_GROUP = 500  # look-ups in one transaction
COLUMNS = ("recipient", "message_id", "sender", "at", "action", "rule", "provider", "outcome", "suppressed")


@click.command(
    "rescue",
    epilog="""\b
Examples:
  mailverdict rescue --since 2026-01-01T00:00:00Z --until 2026-01-01T06:00:00Z --provider google
  mailverdict rescue --rule no-such-mailbox --since 6h --format csv > again.csv

\b
To let them off the suppression list first:
  mailverdict suppressions undo --rule no-such-mailbox --since 6h --dry-run""",
)
@rule_option
@when_option("--since", "Only attempts made since then")
@when_option("--until", "Only attempts made before then")
@provider_option
@recipient_options
@now_option
@store_option
@table_format_option("text")
def rescue_command(
    recipient: Address | None, veil: Veil | None, now: datetime | None, store_url: str, form: str, **asked: Any
) -> None:
    """List each message and recipient that bounced then, or by that rule, to send to again; changes nothing.

    Left out: what was delivered later, and whom a complaint, an unsubscribe, an import or a person keeps off. Send it
    as a new message, under a new id: the old one stays settled.
    """
    at = clock(now)
    if asked["rule"] is None and asked["since_"] is None and recipient is None:
        raise click.UsageError("say whom to rescue: `--rule`, `--since` or `--recipient`")
    span = _Span.of(at, **asked)
    with the_store(store_url, must_exist=True) as store:
        if form == "text" and recipient is None:
            tell_veiled(store)
        names = names_of(store, recipient, veil)
        lost = hinted(
            _still_wanted(store, _found(store, span, names), at, names), rule=span.rule, provider=span.provider
        )
        if form == "json":
            from adapters.cli.show import print_json_lines

            print_json_lines(lost)
        elif form == "csv":
            print_csv(COLUMNS, ([guarded(_cell(each[name])) for name in COLUMNS] for each in lost))
        else:
            rows = ([_cell(each[name]) for name in COLUMNS[:-1]] for each in lost)
            print_pages(COLUMNS[:-1], rows, empty="nobody to rescue")


@frozen(kw_only=True)
class _Span:
    """Which failures are meant; None: any."""

    rule: str | None
    since: datetime | None
    until: datetime | None
    provider: str | None

    @classmethod
    def of(
        cls,
        at: datetime,
        *,
        rule: str | None,
        since_: datetime | timedelta | None,
        until_: datetime | timedelta | None,
        provider: str | None,
    ) -> "_Span":
        return cls(rule=rule, since=since(since_, at), until=since(until_, at), provider=provider)

    def fits(self, entry: Entry) -> bool:
        """Is this one meant, which is not from before `since`?"""
        failed = entry.decision.action in (Action.BOUNCE, Action.HARD_BOUNCE)
        return (
            failed
            and (self.until is None or entry.at < self.until)
            and self.rule in (None, entry.decision.rule.id)
            and self.provider in (None, entry.provider)
        )


def _found(store: Store, span: _Span, names: tuple[str, ...] | None) -> list[Entry]:
    """The last failure that is meant of each message and recipient; none of those that were delivered after it."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in _entries(store, span, names):  # to the end: what was delivered later is left out
        key = entry.progress.message, entry.recipient if names is None else names[0]
        if entry.attempt.recipient is None:
            continue  # nobody to send to
        if entry.decision.final and entry.decision.category is Category.ACCEPTED:
            found.pop(key, None)
        elif span.fits(entry):
            found[key] = entry
    return sorted(found.values(), key=lambda each: (each.at, each.attempt_id, each.recipient))


def _entries(store: Store, span: _Span, names: tuple[str, ...] | None) -> Iterable[Entry]:
    """In order; of one recipient those under any of the names."""
    if names is None:
        return store.entries(since=span.since)
    several = (store.entries(since=span.since, recipient=each) for each in names)
    return merge(*several, key=lambda each: (each.at, each.attempt_id))


def _still_wanted(
    store: Store, found: list[Entry], at: datetime, names: tuple[str, ...] | None
) -> Iterator[dict[str, Any]]:
    """Those that nobody but a bounce keeps off; the rest must not be written to because of a mistake of ours."""
    for group in batches(found, _GROUP):
        with store.unit() as unit:
            binding = [[s for s in unit.history(_key(each, names)).suppressions if s.active(at)] for each in group]
        for entry, suppressions in zip(group, binding, strict=True):
            if all(each.source is Source.BOUNCE for each in suppressions):
                yield _document(entry, suppressions)


def _key(entry: Entry, names: tuple[str, ...] | None) -> HistoryKey:
    current, *older = names or (entry.recipient,)
    domain = entry.recipient.rpartition("@")[2]
    return HistoryKey(recipient=current, domain=domain, stream=entry.attempt.stream, aliases=tuple(older))


def _document(entry: Entry, suppressions: list[Suppression]) -> dict[str, Any]:
    attempt = entry.attempt
    return {
        "recipient": str(attempt.recipient),
        "message_id": entry.progress.message,
        "sender": None if attempt.sender is None else str(attempt.sender),
        "at": write_time(entry.at),
        "action": entry.decision.action.value,
        "rule": entry.decision.rule.id,
        "provider": entry.provider,
        "outcome": str(getattr(attempt.outcome, "value", attempt.outcome)),
        "suppressed": bool(suppressions),
    }


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
