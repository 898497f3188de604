"""A slow, obvious store: the list of committed entries, and every answer read off it from the beginning.

It is the reference that `store_contract` compares a store with; it shares no rule with `policy.remembering`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TypeVar

from attrs import evolve, field, frozen

from policy.attempt import Event
from policy.decision import (
    Delivered,
    Effect,
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
    History,
    HistoryKey,
    PastStrike,
    PastTrigger,
    Source,
    Suppression,
    Suspension,
    Throttling,
)
from policy.reply import Reply
from policy.text import SafeText, clean
from policy.throttle import Traffic

_E = TypeVar("_E", bound=Effect)

_SOURCES: dict[object, Source] = {Event.COMPLAINT: Source.COMPLAINT, Event.UNSUBSCRIBE: Source.UNSUBSCRIBE}
_NEVER = datetime.max.replace(tzinfo=UTC)
_RANK = {Strength.WEAK: 1, Strength.STRONG: 2, Strength.PERMANENT: 3}


@frozen
class StoreModel:
    """What a store must answer after the entries of `log` were committed in this order."""

    log: tuple[Entry, ...] = field(default=())

    def after(self, *entries: Entry) -> "StoreModel":
        """Return the model of a store to which `entries` were committed too."""
        return StoreModel(self.log + entries)

    def history(self, key: HistoryKey) -> History:
        """Return what `Unit.history` must."""
        progress = [
            each.progress
            for each in self.log
            if (each.progress.message, each.progress.recipient) == (key.message, key.recipient or "")
        ]
        successes = [entry.at for entry, effect in self._effects(Delivered) if effect.target == key.recipient]
        stream = f"{key.recipient}#{key.stream}" if key.recipient and key.stream else None
        places = [(Scope.ADDRESS, key.recipient), (Scope.DOMAIN, key.domain), (Scope.STREAM, stream)]
        found = [self._suppression(scope, target) for scope, target in places if target is not None]
        triggers = [each for target in key.destinations for each in self._triggers(target)]
        return History(
            progress=progress[-1] if progress else None,
            last_success=max(successes, default=None),
            strikes=tuple(sorted(self._strikes(key.recipient) + self._strikes(key.domain), key=_age)),
            suppressions=tuple(each for each in found if each is not None),
            suspensions=tuple(each for each in map(self._suspension, key.destinations) if each is not None),
            throttlings=tuple(each for each in map(self._throttling, key.destinations) if each is not None),
            traffics=tuple(Traffic(target=each) for each in key.destinations),
            triggers=tuple(triggers),
            provider=key.provider,
            watches=tuple(Watch(key=each) for each in key.watches),
            forward=None if key.recipient is None else self._forward(key.recipient),
        )

    def suppressions(self) -> list[Suppression]:
        """Return what `Store.suppressions` must."""
        places = {(effect.scope, effect.target) for _, effect in self._effects(Suppress)}
        kept = [each for each in (self._suppression(*place) for place in places) if each is not None]
        return sorted(kept, key=lambda each: (each.since, each.target, each.scope.value))

    def forwards(self) -> list[ForwardNote]:
        """Return what `Store.forwards` must."""
        addresses = {effect.address.key for _, effect in self._effects(NoteForward) if effect.address is not None}
        kept = [each for each in map(self._forward, addresses) if each is not None]
        return sorted(kept, key=lambda each: (each.since, each.address))

    def entries(self) -> list[Entry]:
        """Return what `Store.entries` must."""
        return sorted(self.log, key=lambda each: (each.at, each.attempt_id, each.recipient))

    def _all_effects(self) -> Iterator[tuple[Entry, Effect]]:
        return ((entry, effect) for entry in self.log for effect in entry.decision.effects)

    def _effects(self, kind: type[_E]) -> Iterator[tuple[Entry, _E]]:
        return ((entry, effect) for entry, effect in self._all_effects() if isinstance(effect, kind))

    def _strikes(self, target: str | None) -> list[PastStrike]:
        kept: list[PastStrike] = []
        for entry, effect in self._all_effects():
            if isinstance(effect, Delivered) and effect.target == target:
                kept = [each for each in kept if each.at > entry.at]
            if not isinstance(effect, Strike) or effect.target != target:
                continue
            if all((each.message, each.reason) != (entry.progress.message, effect.reason) for each in kept):
                message = entry.progress.message
                kept.append(PastStrike(target=target, message=message, reason=effect.reason, at=entry.at))
        return sorted(kept, key=_age)[-STRIKES_KEPT:]

    def _suppression(self, scope: Scope, target: str) -> Suppression | None:
        kept: Suppression | None = None
        for entry, effect in self._all_effects():
            if kept is not None and self._wrong(kept, entry, effect):
                kept = evolve(kept, state=EntryState.RELEASED)
            if kept is not None and isinstance(effect, OpenGuard) and kept.active(entry.at):
                young = UNDO_IN_DOMAIN if target.endswith(effect.key) and kept.provider != effect.key else UNDO
                here = effect.key in (kept.provider, target.rpartition("@")[2])
                if here and entry.at - young <= kept.since:
                    kept = evolve(kept, state=EntryState.QUARANTINED)
            if isinstance(effect, Suppress) and (effect.scope, effect.target) == (scope, target):
                sure = _RANK[effect.strength], effect.until or _NEVER
                if kept is None or not kept.active(entry.at) or sure >= sureness(kept):
                    kept = Suppression(
                        target=target,
                        scope=scope,
                        strength=effect.strength,
                        reason=effect.reason,
                        rule=entry.decision.rule,
                        reply=_words(entry),
                        since=entry.at,
                        expires_at=effect.until,
                        provider=entry.provider,
                        source=_SOURCES.get(entry.attempt.outcome, Source.BOUNCE),
                    )
        return kept

    def _wrong(self, kept: Suppression, entry: Entry, effect: Effect) -> bool:
        """Does a delivery show that a weak guess was wrong?"""
        meant = isinstance(effect, Delivered) and (Scope.ADDRESS, effect.target) == (kept.scope, kept.target)
        weak = kept.strength is Strength.WEAK and kept.state is EntryState.ACTIVE
        return meant and weak and kept.since <= entry.at

    def _suspension(self, target: str) -> Suspension | None:
        kept: Suspension | None = None
        for entry, effect in self._all_effects():
            well = isinstance(effect, Recovered) and effect.target == target
            if well and kept is not None and kept.well_at is None and kept.since <= entry.at:
                kept = evolve(kept, until=min(kept.until, entry.at), well_at=entry.at)
            if not isinstance(effect, Suspend) or effect.target != target:
                continue
            if kept is None or effect.until > kept.until:
                kept = Suspension(
                    target=target,
                    rule=entry.decision.rule,
                    reason=entry.decision.category,
                    since=entry.at,
                    until=effect.until,
                    times=effect.times,
                    usual=effect.usual,
                    ends_on_success=effect.ends_on_success,
                )
        return kept

    def _throttling(self, target: str) -> Throttling | None:
        kept: Throttling | None = None
        for entry, effect in self._effects(Throttle):
            slower = kept is not None and entry.at < kept.until and kept.rate.interval > effect.rate.interval
            if effect.target == target and not slower:
                kept = Throttling(
                    target=target,
                    rule=entry.decision.rule,
                    reason=entry.decision.category,
                    rate=effect.rate,
                    since=entry.at,
                    until=effect.until,
                )
        return kept

    def _triggers(self, target: str) -> tuple[PastTrigger, ...]:
        kept: dict[tuple[str, str], PastTrigger] = {}
        for entry, effect in self._effects(Trigger):
            if effect.target == target:
                name = effect.rule, entry.attempt_id
                past = PastTrigger(target=target, rule=name[0], at=entry.at, attempt=name[1], nth=effect.nth)
                kept.setdefault(name, past)
        ordered = sorted(kept.values(), key=lambda each: (each.at, each.rule, each.attempt))
        return tuple(reversed(ordered[-TRIGGERS_KEPT:]))

    def _forward(self, address: str) -> ForwardNote | None:
        kept: ForwardNote | None = None
        for entry, effect in self._effects(NoteForward):
            meant = effect.address is not None and effect.address.key == address
            if meant and kept is not None and kept.forward_path == effect.forward_path:
                kept = evolve(kept, seen_at=max(entry.at, kept.seen_at or kept.since))
                if effect.approved:
                    kept = evolve(kept, state=ForwardState.APPROVED)
            elif meant:
                kept = ForwardNote(
                    address=address,
                    forward_path=effect.forward_path,
                    state=ForwardState.APPROVED if effect.approved else ForwardState.PENDING,
                    reply=_words(entry),
                    since=entry.at,
                )
        return kept


def sureness(entry: Suppression) -> tuple[int, datetime]:
    """Return how strong an entry is, and among those as strong how long it lasts."""
    return _RANK[entry.strength], entry.expires_at or _NEVER


def _age(strike: PastStrike) -> tuple[datetime, str, str, str]:
    return strike.at, strike.message, strike.reason.value, strike.target


def _words(entry: Entry) -> SafeText:
    outcome = entry.attempt.outcome
    return clean(str(outcome)) if isinstance(outcome, Reply) else clean(outcome.value)
