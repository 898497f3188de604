"""What a store does with an entry and with a look-up: the rules that every store shares.

A store brings a `Shelf`, plain places to put values and take them from; what goes where, and which of two values stays,
is decided here and nowhere else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import evolve

from policy.alike import Alike
from policy.attempt import Attempt, Event
from policy.decision import (
    Delivered,
    NoteForward,
    OpenGuard,
    Recovered,
    Scope,
    Strength,
    Strike,
    Suppress,
    Suspend,
    Throttle,
    Trigger,
)
from policy.forward import ForwardState
from policy.guard import UNDO, UNDO_IN_DOMAIN, Watch
from policy.history import (
    STRIKES_KEPT,
    TRIGGERS_KEPT,
    Entry,
    EntryState,
    ForwardNote,
    Freeze,
    History,
    HistoryKey,
    PastStrike,
    PastTrigger,
    Progress,
    Source,
    Suppression,
    Suspension,
    Throttling,
)
from policy.reply import Reply
from policy.text import TEXT_LIMIT, SafeText, clean
from policy.throttle import Traffic

_SOURCES = {Event.COMPLAINT: Source.COMPLAINT, Event.UNSUBSCRIBE: Source.UNSUBSCRIBE}
_STRENGTHS = (Strength.WEAK, Strength.STRONG, Strength.PERMANENT)  # weakest first


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

    def young_suppressions(self, since: datetime) -> Iterable[Suppression]:
        """Return at least those of bounces from `since` on, in any order."""

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


def recall(shelf: Shelf, key: HistoryKey) -> History:
    """Return what the shelf knows under `key`; strikes oldest first, at most `STRIKES_KEPT` of each target."""
    striking = [target for scope, target in key.targets if scope is not Scope.STREAM]
    strikes = [each for target in striking for each in shelf.newest_strikes(target, STRIKES_KEPT)]
    suppressions = [shelf.suppression(scope, target) for scope, target in key.targets]
    suspensions = [shelf.suspension(each) for each in key.destinations]
    throttlings = [shelf.throttling(each) for each in key.destinations]
    traffics = [shelf.traffic(each) or Traffic(target=each) for each in key.destinations]
    triggers = [each for target in key.destinations for each in shelf.newest_triggers(target, TRIGGERS_KEPT)]
    return History(
        progress=None if key.message is None else shelf.progress(key.message, key.recipient or ""),
        last_success=None if key.recipient is None else shelf.last_success(key.recipient),
        strikes=tuple(sorted(strikes, key=strike_order)),
        suppressions=tuple(each for each in suppressions if each is not None),
        suspensions=tuple(each for each in suspensions if each is not None),
        throttlings=tuple(each for each in throttlings if each is not None),
        traffics=tuple(traffics),
        freezes=tuple(each for each in map(shelf.frozen, key.freezes) if each is not None),
        provider=key.provider,
        triggers=tuple(sorted(triggers, key=trigger_order)),
        watches=tuple(shelf.watch_of(each) or Watch(key=each) for each in key.watches),
        forward=None if key.recipient is None else shelf.forward(key.recipient),
    )


def remember(shelf: Shelf, entry: Entry) -> None:
    """Append the entry, keep its progress, and perform those of its effects that remember something.

    Raises:
        ValueError: when its key is in the ledger; nothing is changed then.
    """
    shelf.append(entry)
    shelf.put_progress(entry.progress)
    if not entry.recipient:
        return  # nobody to remember anything of
    for effect in entry.decision.effects:
        match effect:
            case Suppress():
                _suppress(shelf, effect, entry)
            case Strike():
                strike = PastStrike(
                    target=effect.target, message=entry.progress.message, reason=effect.reason, at=entry.at
                )
                shelf.add_strike(strike)
            case Delivered():
                _deliver(shelf, effect.target, entry.at)
            case NoteForward():
                _note(shelf, effect, entry)
            case Suspend():
                _suspend(shelf, effect, entry)
            case Throttle():
                _throttle(shelf, effect, entry)
            case Recovered():
                _recover(shelf, effect.target, entry.at)
            case Trigger():
                shelf.add_trigger(
                    PastTrigger(target=effect.target, rule=effect.rule, at=entry.at, attempt=entry.attempt_id)
                )
            case OpenGuard():
                _quarantine(shelf, effect.key, entry.at)


def release(shelf: Shelf, target: str) -> int:
    """Let mail go to the target again; return how many suppressions were not released yet."""
    found = [shelf.suppression(scope, target) for scope in Scope]  # a target is of one scope: its form tells
    held = [each for each in found if each is not None and each.state is not EntryState.RELEASED]
    for each in held:
        shelf.put_suppression(evolve(each, state=EntryState.RELEASED))
    shelf.drop_strikes(target)
    return len(held)


def put(shelf: Shelf, new: Suppression) -> bool:
    """Keep an entry of a person's; False when one stands against it."""
    old = shelf.suppression(new.scope, new.target)
    if old is not None and stays(old, new):
        return False
    shelf.put_suppression(new)
    return True


def put_all(
    shelf: Shelf, entries: Sequence[Alike], unless: Callable[[Suppression, Suppression], bool]
) -> Sequence[bool]:
    """Put entries in order, as `put` does one by one, with one look-up and one writing for all of them."""
    if shelf.put_new(entries):
        return [True] * len(entries)
    held: dict[tuple[str, str], Suppression] = {}
    for scope in Scope:
        targets = [each.target for each in entries if each.mould.scope == scope.value]
        held.update(((scope.value, key), old) for key, old in shelf.suppressions_of(scope, targets).items())
    kept: dict[tuple[str, str], Alike] = {}
    answers = []
    for new in entries:
        place = new.mould.scope, new.target
        newer = kept.get(place)
        old = held.get(place) if newer is None else newer.whole
        stands = old is not None and (unless(old, whole := new.whole) or stays(old, whole))
        if not stands:
            kept[place] = new
        answers.append(not stands)
    shelf.put_suppressions(kept.values())
    return answers


def undo(shelf: Shelf, *, since: datetime, provider: str | None, rule: str | None, now: datetime) -> list[Suppression]:
    """Release what bounces have suppressed since then; return it as it was, by (since, target)."""
    meant = [
        each
        for each in shelf.young_suppressions(since)
        if each.source is Source.BOUNCE
        and each.active(now)
        and provider in (None, each.provider)
        and rule in (None, each.rule.id)
    ]
    for each in meant:
        shelf.put_suppression(evolve(each, state=EntryState.RELEASED))
        shelf.drop_strikes(each.target)
    return sorted(meant, key=lambda each: (each.since, each.target, each.scope.value))


def cancel(shelf: Shelf, target: str, now: datetime) -> bool:
    """End now what holds mail to a destination back; False when nothing does."""
    suspension, throttling = shelf.suspension(target), shelf.throttling(target)
    ended = False
    if suspension is not None and (suspension.active(now) or suspension.rate(now) is not None):
        # what went there before is forgotten, so that nothing has to recover
        shelf.put_suspension(evolve(suspension, until=min(suspension.until, now), well_at=now, usual=0))
        ended = True
    if throttling is not None and throttling.active(now):
        shelf.put_throttling(evolve(throttling, until=now))
        ended = True
    return ended


def freeze(shelf: Shelf, new: Freeze) -> None:
    """Keep a freeze, unless one of the same stands."""
    if shelf.frozen(new.provider) is None:
        shelf.put_freeze(new)


def lift(shelf: Shelf, provider: str) -> Freeze | None:
    """End a freeze; return what it was."""
    found = shelf.frozen(provider)
    if found is not None:
        shelf.drop_freeze(provider)
    return found


def judge(shelf: Shelf, address: str, path: str, state: ForwardState) -> bool:
    """Keep what a person said of a note; False when another path, or none, is noted by now."""
    note = shelf.forward(address)
    if note is None or note.forward_path.quoted != path:
        return False
    shelf.put_forward(evolve(note, state=state))
    return True


def strike_order(strike: PastStrike) -> tuple[datetime, str, str, str]:
    """Return the key by which strikes are older or newer; no two strikes share one."""
    return strike.at, strike.message, strike.reason.value, strike.target


def stays(old: Suppression, new: Suppression) -> bool:
    """Does the old entry stand against the new one: still active, and stronger, or as strong and longer?

    What a person or a recipient said stands against what a bounce says.
    """
    if not old.active(new.since):
        return False
    if (old.source is Source.BOUNCE) is not (new.source is Source.BOUNCE):
        return new.source is Source.BOUNCE
    if old.strength is not new.strength:
        return _STRENGTHS.index(old.strength) > _STRENGTHS.index(new.strength)
    return new.expires_at is not None and (old.expires_at is None or old.expires_at > new.expires_at)


def _suppress(shelf: Shelf, effect: Suppress, entry: Entry) -> None:
    new = Suppression(
        target=effect.target,
        scope=effect.scope,
        strength=effect.strength,
        reason=effect.reason,
        rule=entry.decision.rule,
        reply=_words(entry.attempt),
        since=entry.at,
        expires_at=effect.until,
        provider=entry.provider,
        source=_SOURCES[entry.attempt.outcome] if isinstance(entry.attempt.outcome, Event) else Source.BOUNCE,
    )
    old = shelf.suppression(effect.scope, effect.target)
    if old is None or not stays(old, new):
        shelf.put_suppression(new)


def _deliver(shelf: Shelf, target: str, at: datetime) -> None:
    former = shelf.last_success(target)
    shelf.put_last_success(target, max(at, former or at))
    newer = [strike for strike in shelf.newest_strikes(target, STRIKES_KEPT) if strike.at > at]
    shelf.drop_strikes(target)
    for strike in newer:  # a success that is told late takes back nothing that came after it
        shelf.add_strike(strike)
    suppression = shelf.suppression(Scope.ADDRESS, target)
    # A success shows that the mailbox works; it takes back nothing that was surer of itself than a weak guess.
    if suppression is None or suppression.source is not Source.BOUNCE or suppression.strength is not Strength.WEAK:
        return
    if suppression.since <= at and suppression.state is EntryState.ACTIVE:
        shelf.put_suppression(evolve(suppression, state=EntryState.RELEASED))


def _suspend(shelf: Shelf, effect: Suspend, entry: Entry) -> None:
    former = shelf.suspension(effect.target)
    if former is not None and former.until >= effect.until:
        return
    suspension = Suspension(
        target=effect.target,
        rule=entry.decision.rule,
        reason=entry.decision.category,
        since=entry.at,
        until=effect.until,
        times=effect.times,
        usual=effect.usual,
        ends_on_success=effect.ends_on_success,
    )
    shelf.put_suspension(suspension)


def _throttle(shelf: Shelf, effect: Throttle, entry: Entry) -> None:
    throttling = Throttling(
        target=effect.target,
        rule=entry.decision.rule,
        reason=entry.decision.category,
        rate=effect.rate,
        since=entry.at,
        until=effect.until,
    )
    former = shelf.throttling(effect.target)
    slower = former is not None and former.active(entry.at) and former.rate.interval > effect.rate.interval
    if not slower:
        shelf.put_throttling(throttling)


def _recover(shelf: Shelf, target: str, at: datetime) -> None:
    suspension = shelf.suspension(target)
    if suspension is not None and suspension.well_at is None and suspension.since <= at:
        shelf.put_suspension(evolve(suspension, until=min(suspension.until, at), well_at=at))


def _quarantine(shelf: Shelf, key: str, at: datetime) -> None:
    """Put aside what was suppressed there of late: an outage is likelier to have made it than the truth."""
    for each in shelf.young_suppressions(at - UNDO_IN_DOMAIN):
        at_provider = each.provider == key and each.since >= at - UNDO
        in_domain = each.provider != key and each.target.rpartition("@")[2] == key
        if (at_provider or in_domain) and each.source is Source.BOUNCE and each.active(at):
            shelf.put_suppression(evolve(each, state=EntryState.QUARANTINED))


def trigger_order(trigger: PastTrigger) -> tuple[datetime, str, str, str]:
    """Return the key by which triggers are older or newer."""
    return trigger.at, trigger.target, trigger.rule, trigger.attempt


def _note(shelf: Shelf, effect: NoteForward, entry: Entry) -> None:
    if effect.address is None:
        return  # nobody to keep it for; the decision in the ledger shows the path
    old = shelf.forward(effect.address.key)
    approves = effect.approved and (old is None or old.state is not ForwardState.REJECTED)
    if old is not None and old.forward_path == effect.forward_path:
        state = ForwardState.APPROVED if approves else old.state
        shelf.put_forward(evolve(old, state=state, seen_at=max(entry.at, old.seen_at or old.since)))
        return
    note = ForwardNote(
        address=effect.address.key,
        forward_path=effect.forward_path,
        state=ForwardState.APPROVED if effect.approved else ForwardState.PENDING,
        reply=_words(entry.attempt, codes=(251, 551)),
        since=entry.at,
    )
    shelf.put_forward(note)


def _words(attempt: Attempt, *, codes: tuple[int, ...] = ()) -> SafeText:
    """Return the outcome in one line; of several replies the one whose code is among `codes`."""
    replies = [each for each in (attempt.outcome, attempt.rcpt_reply) if isinstance(each, Reply)]
    meant = next((each for each in replies if each.code in codes), attempt.outcome)
    return clean(str(meant) if isinstance(meant, Reply) else meant.value, limit=TEXT_LIMIT)


class ShelvedUnit(Shelf, Protocol):
    """The methods of `policy.ports.Unit`, for a unit that is its own shelf."""

    def foresee(self, attempts: Iterable[tuple[str, str]], keys: Iterable[HistoryKey]) -> None:  # noqa: ARG002
        return  # where a look-up costs nothing, there is nothing to prepare

    def history(self, key: HistoryKey) -> History:
        return recall(self, key)

    def commit(self, entry: Entry) -> None:
        remember(self, entry)

    def release(self, target: str) -> int:
        return release(self, target)

    def put(self, suppression: Suppression) -> bool:
        return put(self, suppression)

    def put_all(
        self, entries: Sequence[Alike], *, unless: Callable[[Suppression, Suppression], bool]
    ) -> Sequence[bool]:
        return put_all(self, entries, unless)

    def undo(self, *, since: datetime, provider: str | None, rule: str | None, now: datetime) -> list[Suppression]:
        return undo(self, since=since, provider=provider, rule=rule, now=now)

    def cancel(self, target: str, now: datetime) -> bool:
        return cancel(self, target, now)

    def freeze(self, new: Freeze) -> None:
        freeze(self, new)

    def lift(self, provider: str) -> Freeze | None:
        return lift(self, provider)

    def judge(self, address: str, path: str, state: ForwardState) -> bool:
        return judge(self, address, path, state)
