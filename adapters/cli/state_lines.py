"""What holds mail back, as the lines of a list: each with its kind, what it concerns, how long, and why in words."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from attrs import field, frozen

from policy.contract import write_freeze, write_suspension, write_throttling, write_watch
from policy.destination import in_words
from policy.guard import Watch, standing
from policy.history import Freeze, Suspension, Throttling
from policy.ports import Store
from policy.rules.layer import Where
from policy.rules.limit import Limit


@frozen(kw_only=True)
class State:
    """One line of the list."""

    kind: str
    target: str
    since: str
    until: str
    why: str
    binds: bool
    document: dict[str, Any]
    state: str = field()  # what has become of it, in a word

    @state.default
    def _word(self) -> str:
        return "active" if self.binds else "ended"

    def row(self, columns: Sequence[str]) -> list[str]:
        """Its cells: a column is called as the field is, maybe with its zone."""
        return [getattr(self, column.removesuffix(" (UTC)")) for column in columns]


def stored_states(store: Store, at: datetime) -> Iterator[State]:
    """Yield what the store holds of them, over or not."""
    yield from map(_freeze, store.freezes())
    yield from (_suspension(each, at) for each in store.suspensions())
    yield from (_throttling(each, at) for each in store.throttlings())
    for watch in (standing(each, at) for each in store.watches()):
        yield State(
            kind="outage guard",
            target=watch.key,
            since=time_text(watch.open_since) if watch.open_since else "",
            until="answers are well again" if watch.is_open else "closed",
            why=guard_words(watch),
            binds=watch.is_open,
            state="active" if watch.is_open else "closed",
            document={**write_watch(watch), "active": watch.is_open, "why": guard_words(watch)},
        )


def _freeze(freeze: Freeze) -> State:
    mail = f"mail to {freeze.provider}" if freeze.provider else "mail"
    why = f"no {mail} is bounced, and nobody is suppressed for it" + (f": {freeze.note}" if freeze.note else "")
    return State(
        kind="freeze",
        target=freeze.provider or "all mail",
        since=time_text(freeze.since),
        until="it is lifted",
        why=why,
        binds=True,
        document={**write_freeze(freeze), "active": True, "why": why},
    )


def _suspension(suspension: Suspension, at: datetime) -> State:
    binds, rate = suspension.active(at), suspension.rate(at)
    recovers = not binds and rate is not None
    why = suspension_words(suspension) if not recovers else f"{in_words(suspension.target)} recovers, {rate} now"
    more = {"active": binds or recovers, "recovering_at": str(rate) if recovers else None, "why": why}
    return State(
        kind="recovery" if recovers else "suspension",
        target=suspension.target,
        since=time_text(suspension.until if recovers else suspension.since),
        until="it is well" if recovers else time_text(suspension.until),
        why=why,
        binds=binds or recovers,
        state="recovering" if recovers else "active" if binds else "ended",
        document={**write_suspension(suspension), **more},
    )


def _throttling(throttling: Throttling, at: datetime) -> State:
    binds = throttling.active(at)
    return State(
        kind="throttle",
        target=throttling.target,
        since=time_text(throttling.since),
        until=time_text(throttling.until),
        why=throttling_words(throttling),
        binds=binds,
        document={**write_throttling(throttling), "active": binds, "why": throttling_words(throttling)},
    )


def limit_state(where: Where, limit: Limit) -> State:
    """A limit of the rules: it is in no store, and binds as long as they say so."""
    target = where.domain or where.provider or ""
    what = f"mail to {target}" if target else "mail to each provider"
    why = f"{what} goes at {limit.rate} from each sender's domain: limit {limit.ref}"
    said = {"name": limit.ref.id, "rate": str(limit.rate), "file": limit.ref.file, "line": limit.ref.line}
    return State(
        kind="limit",
        target=target or "all mail",
        since="",
        until="the rules change",
        why=why,
        binds=True,
        document={"kind": "limit", "target": target, "since": None, **said, "active": True, "why": why},
    )


def suspension_words(suspension: Suspension) -> str:
    """What a suspension does and why, for a person."""
    again = f", {suspension.times} times in a row" if suspension.times > 1 else ""
    what = in_words(suspension.target)
    return f"{what} waits: {suspension.reason.value}, rule {suspension.rule}{again}"


def throttling_words(throttling: Throttling) -> str:
    """What a throttle does and why, for a person."""
    what = in_words(throttling.target)
    return f"{what} goes at {throttling.rate}: {throttling.reason.value}, rule {throttling.rule}"


def guard_words(watch: Watch) -> str:
    """What an outage guard does and why, for a person."""
    count = len(watch.failing)
    failing = f"{count} {'recipient' if count == 1 else 'recipients'} who had mail of late "
    failing += "fails there" if count == 1 else "fail there"
    if not watch.is_open:
        return f"watches only; {failing}" if watch.failing else "watches only"
    probes = len(watch.probes)
    return f"nothing is suppressed at {watch.key}: {failing}; {probes} {'probe' if probes == 1 else 'probes'} of late"


def time_text(moment: datetime) -> str:
    """A time, for a column that says UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"
