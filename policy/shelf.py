"""Plain places to put what is remembered and take it from: all that a store has to bring.

What goes where, and which of two values stays, is decided elsewhere: `policy.remembering` for what an attempt brings,
`policy.curating` for what people do. `ShelvedUnit` makes the unit that the engine needs of a shelf.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from policy.alike import Alike
from policy.decision import Scope
from policy.guard import Watch
from policy.history import (
    Entry,
    ForwardNote,
    Freeze,
    PastStrike,
    PastTrigger,
    Progress,
    Suppression,
    Suspension,
    Throttling,
)
from policy.throttle import Traffic


class Shelf(Protocol):
    """The places of one open unit; each `put` replaces what its key held, each `drop` of nothing does nothing."""

    def append(self, entry: Entry) -> None:
        """Add to the ledger; ValueError when (attempt_id, recipient) is there."""

    def progress(self, message: str, recipient: str) -> Progress | None: ...

    def put_progress(self, progress: Progress) -> None: ...

    def last_success(self, target: str) -> datetime | None: ...

    def put_last_success(self, target: str, at: datetime) -> None: ...

    def newest_strikes(self, target: str, count: int) -> Iterable[PastStrike]:
        """Return the last `count` of the target by (at, message, reason), in any order."""

    def add_strike(self, strike: PastStrike) -> None:
        """Keep the strike; nothing happens when (target, message, reason) is there."""

    def drop_strikes(self, target: str) -> None: ...

    def suppression(self, scope: Scope, target: str) -> Suppression | None: ...

    def put_suppression(self, suppression: Suppression) -> None: ...

    def suppressions_of(self, scope: Scope, targets: Sequence[str]) -> Mapping[str, Suppression]:
        """Return, by target, those that there are."""
        found = ((each, self.suppression(scope, each)) for each in targets)
        return {target: suppression for target, suppression in found if suppression is not None}

    def put_new(self, entries: Sequence[Alike]) -> bool:  # noqa: ARG002 - for those that know a way
        """Put them all when none of them has its key taken, by another of them or in the store; False: none was put.

        A shelf without a quick way to know may always answer False.
        """
        return False

    def put_suppressions(self, entries: Iterable[Alike]) -> None:
        """Put them all; no two have one key."""
        for each in entries:
            self.put_suppression(each.whole)

    def streams_of(self, address: str) -> Sequence[Suppression]:
        """Return those of scope stream whose target begins with `address#`, by target."""

    def young_suppressions(
        self, since: datetime, after: Suppression | None = None, count: int | None = None
    ) -> Sequence[Suppression]:
        """Return at least those of bounces from `since` on, in any order; with a `count` so many behind `after`, by
        `young_order`."""

    def suspension(self, target: str) -> Suspension | None: ...

    def put_suspension(self, suspension: Suspension) -> None: ...

    def throttling(self, target: str) -> Throttling | None: ...

    def put_throttling(self, throttling: Throttling) -> None: ...

    def traffic(self, target: str) -> Traffic | None: ...

    def count(self, traffic: Traffic) -> None: ...

    def frozen(self, provider: str) -> Freeze | None: ...

    def put_freeze(self, freeze: Freeze) -> None: ...

    def drop_freeze(self, provider: str) -> None: ...

    def newest_triggers(self, target: str, count: int) -> Iterable[PastTrigger]:
        """Return the last `count` of the target by (at, rule, attempt), in any order."""

    def add_trigger(self, trigger: PastTrigger) -> None:
        """Keep the trigger; nothing happens when (target, rule, attempt) is there."""

    def watch_of(self, key: str) -> Watch | None: ...

    def watch(self, watch: Watch) -> None: ...

    def forward(self, address: str) -> ForwardNote | None: ...

    def put_forward(self, note: ForwardNote) -> None: ...


def young_order(entry: Suppression) -> tuple[datetime, str, str]:
    """Return the key by which young entries are read page by page: the order of an index."""
    return entry.since, entry.scope.value, entry.target


def strike_order(strike: PastStrike) -> tuple[datetime, str, str, str]:
    """Return the key by which strikes are older or newer; no two strikes share one."""
    return strike.at, strike.message, strike.reason.value, strike.target


def trigger_order(trigger: PastTrigger) -> tuple[datetime, str, str, str]:
    """Return the key by which triggers are older or newer."""
    return trigger.at, trigger.target, trigger.rule, trigger.attempt
