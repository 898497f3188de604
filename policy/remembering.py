"""What a store does with an entry and with a look-up: the rules that every store shares.

A store brings a `Shelf`, plain places to put values and take them from; what goes where, and which of two values stays,
is decided here and nowhere else.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from attrs import evolve

from policy.attempt import Attempt
from policy.decision import Delivered, NoteForward, OpenGuard, Scope, Strength, Strike, Suppress, Suspend, Trigger
from policy.forward import ForwardState
from policy.guard import UNDO, UNDO_IN_DOMAIN, Watch
from policy.history import (
    STRIKES_KEPT,
    TRIGGERS_KEPT,
    Entry,
    EntryState,
    ForwardNote,
    History,
    HistoryKey,
    PastStrike,
    PastTrigger,
    Progress,
    Source,
    Suppression,
    Suspension,
)
from policy.reply import Reply
from policy.retention import Attic, Old, Pruned, prune
from policy.text import TEXT_LIMIT, SafeText, clean

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

    def young_suppressions(self, since: datetime) -> Iterable[Suppression]:
        """Return those from `since` on, in any order."""

    def suspension(self, target: str) -> Suspension | None: ...

    def put_suspension(self, suspension: Suspension) -> None: ...

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
    targets = [(Scope.ADDRESS, key.recipient), (Scope.DOMAIN, key.domain)]
    known = [(scope, target) for scope, target in targets if target is not None]
    strikes = [each for _, target in known for each in shelf.newest_strikes(target, STRIKES_KEPT)]
    suppressions = [shelf.suppression(scope, target) for scope, target in known]
    return History(
        progress=None if key.message is None else shelf.progress(key.message, key.recipient or ""),
        last_success=None if key.recipient is None else shelf.last_success(key.recipient),
        strikes=tuple(sorted(strikes, key=strike_order)),
        suppressions=tuple(each for each in suppressions if each is not None),
        suspension=None if key.pair is None else shelf.suspension(key.pair),
        triggers=() if key.pair is None else _triggers(shelf, key.pair),
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
            case Trigger():
                shelf.add_trigger(
                    PastTrigger(target=effect.target, rule=effect.rule, at=entry.at, attempt=entry.attempt_id)
                )
            case OpenGuard():
                _quarantine(shelf, effect.key, entry.at)


def release(shelf: Shelf, target: str) -> int:
    """Let mail go to the target again; return how many suppressions were not released yet."""
    found = [shelf.suppression(scope, target) for scope in Scope]
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
    """End a suspension now; False when there is none that binds."""
    suspension = shelf.suspension(target)
    if suspension is None or not suspension.active(now):
        return False
    shelf.put_suspension(evolve(suspension, until=now))
    return True


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
    )
    shelf.put_suspension(suspension)


def _quarantine(shelf: Shelf, key: str, at: datetime) -> None:
    """Put aside what was suppressed there of late: an outage is likelier to have made it than the truth."""
    for each in shelf.young_suppressions(at - UNDO_IN_DOMAIN):
        at_provider = each.provider == key and each.since >= at - UNDO
        in_domain = each.provider != key and each.target.rpartition("@")[2] == key
        if (at_provider or in_domain) and each.source is Source.BOUNCE and each.active(at):
            shelf.put_suppression(evolve(each, state=EntryState.QUARANTINED))


def _triggers(shelf: Shelf, target: str) -> tuple[PastTrigger, ...]:
    return tuple(sorted(shelf.newest_triggers(target, TRIGGERS_KEPT), key=trigger_order))


def trigger_order(trigger: PastTrigger) -> tuple[datetime, str, str]:
    """Return the key by which triggers of one target are older or newer."""
    return trigger.at, trigger.rule, trigger.attempt


def _note(shelf: Shelf, effect: NoteForward, entry: Entry) -> None:
    if effect.address is None:
        return  # nobody to keep it for; the decision in the ledger shows the path
    old = shelf.forward(effect.address.key)
    if old is not None and old.forward_path == effect.forward_path:
        return
    note = ForwardNote(
        address=effect.address.key,
        forward_path=effect.forward_path,
        state=ForwardState.PENDING,
        reply=_words(entry.attempt, codes=(251, 551)),
        since=entry.at,
    )
    shelf.put_forward(note)


def _words(attempt: Attempt, *, codes: tuple[int, ...] = ()) -> SafeText:
    """Return the outcome in one line; of several replies the one whose code is among `codes`."""
    replies = [each for each in (attempt.outcome, attempt.rcpt_reply) if isinstance(each, Reply)]
    meant = next((each for each in replies if each.code in codes), attempt.outcome)
    return clean(str(meant) if isinstance(meant, Reply) else meant.value, limit=TEXT_LIMIT)


class ShelvedUnit(Shelf, Attic, Protocol):
    """The methods of `policy.ports.Unit`, for a unit that is its own shelf."""

    def history(self, key: HistoryKey) -> History:
        return recall(self, key)

    def commit(self, entry: Entry) -> None:
        remember(self, entry)

    def release(self, target: str) -> int:
        return release(self, target)

    def put(self, suppression: Suppression) -> bool:
        return put(self, suppression)

    def undo(self, *, since: datetime, provider: str | None, rule: str | None, now: datetime) -> list[Suppression]:
        return undo(self, since=since, provider=provider, rule=rule, now=now)

    def cancel(self, target: str, now: datetime) -> bool:
        return cancel(self, target, now)

    def judge(self, address: str, path: str, state: ForwardState) -> bool:
        return judge(self, address, path, state)

    def prune(self, kind: type[Old], *, before: datetime, after: Old | None, count: int) -> Pruned:
        return prune(self, kind, before=before, after=after, count=count)
