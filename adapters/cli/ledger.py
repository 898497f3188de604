"""`mailverdict log`: the decisions that were recorded, cut to a recipient, a domain, a rule or a time, and followed."""

import heapq
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field, frozen

from adapters.cli.common import USAGE, clock, fail, format_option, now_option, safe, store_option, the_store
from adapters.cli.keys import check_keys, keys_option
from adapters.cli.known_names import hinted
from adapters.cli.listing import print_array, print_pages, rule_option, since, when_option
from policy import Store
from policy.address import parse_domain
from policy.contract import write_decision
from policy.contract.times import write_time
from policy.history import Entry
from policy.ledger import place as order
from policy.text import TEXT_LIMIT
from policy.veil import UNVEILED, Veil

if TYPE_CHECKING:
    from rich.text import Text

LATE = timedelta(hours=1)  # an attempt that is told later than this after it was made is not followed
_POLL = 1.0  # seconds from one look at the store to the next, at least


_COLUMNS = ("at (UTC)", "recipient", "they said", "decision", "rule", "message")  # the last one is what `why` takes
_MOST = 1_000_000_000  # lines of `--last`: every store can count so far, and eight times further
_LOOK = 100  # lines among which the newest of a rule are looked for first


@frozen(kw_only=True)
class Filter:
    """Which lines of the ledger are meant; None: any."""

    recipient: tuple[str, ...] | None = None  # the keys under which it may be kept
    domain: str | None = None
    rule: str | None = None
    since: datetime | None = None

    def asked(self, store: Store, since: datetime | None = None, *, last: int | None = None) -> Iterator[Entry]:
        """Yield what the store finds by its indexes, whatever the rule; from `since` on, if that is later than ours."""
        start = max(filter(None, (self.since, since)), default=None)
        names = self.recipient or (None,)
        found = [store.entries(since=start, recipient=each, domain=self.domain, last=last) for each in names]
        merged = found[0] if len(found) == 1 else heapq.merge(*found, key=order)
        return merged if last is None or len(found) == 1 else iter(deque(merged, maxlen=last))

    def fits(self, entry: Entry) -> bool:
        """Is a line meant that was asked for?"""
        return self.rule in (None, entry.decision.rule.id)

    def newest(self, store: Store, count: int) -> list[Entry]:
        """Return the last `count` lines that are meant; of a rule's they are looked for further and further back."""
        look = count if self.rule is None else max(count, _LOOK)
        while True:
            read = list(self.asked(store, last=look))
            found = list(filter(self.fits, read))
            if len(found) >= count or len(read) < look:
                return found[-count:]
            look *= 8


@click.command(
    "log",
    epilog="""\b
Examples:
  mailverdict log --last 20
  mailverdict log --to jo@example.com --format json
  mailverdict log --domain example.com --rule no-such-mailbox --since 2h

\b
To watch it grow (JSON is then one decision a line):
  mailverdict log --last 5 --follow""",
)
@click.option("--to", "--recipient", "recipient", metavar="ADDRESS", help="Only attempts to this recipient.")
@click.option("--domain", metavar="NAME", help="Only attempts to recipients of this domain.")
@rule_option
@when_option("--since", "Only attempts made since then")
@click.option("--last", type=click.IntRange(1, _MOST), metavar="N", help="Only the newest N.  [default: all]")
@click.option("--follow", is_flag=True, help="Then wait for more, and show each as it comes, until interrupted.")
@now_option
@store_option
@keys_option
@format_option
def log_command(
    *,
    last: int | None,
    follow: bool,
    now: datetime | None,
    store_url: str,
    veil: Veil | None,
    form: str,
    **cut: Any,
) -> None:
    """Show the decisions that were recorded, the oldest first."""
    chosen = _filter(clock(now), veil or UNVEILED, **cut)
    with the_store(store_url, must_exist=True) as store:
        if chosen.recipient is not None:
            check_keys(store, veil)
        if follow:
            _follow(store, chosen, last, form)
            return
        entries = filter(chosen.fits, chosen.asked(store)) if last is None else iter(chosen.newest(store, last))
        entries = hinted(entries, rule=chosen.rule)
        if form == "json":
            print_array(write_entry(each) for each in entries)
        else:
            empty = "nothing is recorded" if chosen == Filter() else "nothing of that kind is recorded"
            print_pages(_COLUMNS, map(_row, entries), empty=empty, whole=_COLUMNS[-1])


def _filter(
    at: datetime,
    veil: Veil,
    *,
    recipient: str | None,
    domain: str | None,
    rule: str | None,
    since_: datetime | timedelta | None,
) -> Filter:
    from adapters.cli.planning import address

    try:
        name = None if domain is None else parse_domain(domain)
    except ValueError as error:
        fail(USAGE, str(error))
    names = None if recipient is None else veil.names(address(recipient))
    return Filter(recipient=names, domain=name, rule=rule, since=since(since_, at))


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


def _row(entry: Entry) -> "tuple[str | Text, ...]":
    from adapters.cli.show import coloured, said

    decision = entry.decision
    at = f"{entry.at:%Y-%m-%d %H:%M:%S}"
    what = said(entry.attempt), coloured(decision.action), str(decision.rule)
    return at, entry.recipient, *what, entry.progress.message


@define
class Tail:
    """What of a ledger was not seen yet, at each look; what is told late is found within `LATE`."""

    horizon: datetime | None = None  # what was before it is not looked for
    _seen: dict[tuple[str, str], datetime] = field(factory=dict)

    def fresh(self, entries: Iterable[Entry], now: datetime) -> Iterator[Entry]:
        """Yield the entries, in the ledger's order, that no earlier look yielded."""
        newest = None if self.horizon is None else self.horizon + LATE
        for each in entries:
            key = each.attempt_id, each.recipient
            if (self.horizon is not None and each.at < self.horizon) or key in self._seen:
                continue
            # A time that is still to come is a wrong clock: it must not hide what comes at the right time.
            at = min(each.at, now)
            newest = at if newest is None else max(newest, at)
            self._seen[key] = each.at
            self._forget(newest - LATE)
            yield each
        self.horizon = None if newest is None else newest - LATE

    def _forget(self, horizon: datetime) -> None:
        while self._seen and next(iter(self._seen.values())) < horizon:
            del self._seen[next(iter(self._seen))]


def _follow(store: Store, chosen: Filter, last: int | None, form: str) -> None:
    """Print what is there and then what comes; a look takes at most half of the time, however long the ledger is."""
    tail, rule = Tail(), chosen.rule
    try:
        start = None if last is None else _start(chosen.newest(store, last), datetime.now(UTC))
        while True:
            began = time.monotonic()
            fresh = filter(chosen.fits, tail.fresh(chosen.asked(store, start), datetime.now(UTC)))
            _print_lines(hinted(fresh if last is None else deque(fresh, maxlen=last), rule=rule), form)
            rule = None
            last, start = None, tail.horizon  # the newest of what was there only
            time.sleep(max(_POLL, time.monotonic() - began))
    except KeyboardInterrupt:
        return


def _start(newest: Sequence[Entry], now: datetime) -> datetime | None:
    """From when on to read, so that what is shown is found, and what later looks must know as seen."""
    return min(newest[0].at, min(newest[-1].at, now) - LATE) if newest else None


def _print_lines(entries: Iterable[Entry], form: str) -> None:
    if form == "json":
        from adapters.cli.show import print_json_lines

        print_json_lines(map(write_entry, entries))
        return
    for entry in entries:
        click.echo("  ".join(safe(cell, TEXT_LIMIT) for cell in _row(entry)))
