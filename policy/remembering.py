"""What a store does with an entry and with a look-up: the rules that every store shares."""

from datetime import datetime

from attrs import evolve

from policy import aliases
from policy.attempt import Attempt, Event
from policy.curating import stays
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
from policy.shelf import Shelf
from policy.text import TEXT_LIMIT, SafeText, clean
from policy.throttle import Traffic

_SOURCES = {Event.COMPLAINT: Source.COMPLAINT, Event.UNSUBSCRIBE: Source.UNSUBSCRIBE}


def recall(shelf: Shelf, key: HistoryKey) -> History:
    """Return what the shelf knows under `key`; strikes oldest first, at most `STRIKES_KEPT` of each target.

    Triggers come as the shelf has them: nobody asks for their order, and there may be hundreds at each attempt.
    """
    suspensions = [shelf.suspension(each) for each in key.destinations]
    throttlings = [shelf.throttling(each) for each in key.destinations]
    traffics = [shelf.traffic(each) or Traffic(target=each) for each in key.destinations]
    triggers = [each for target in key.destinations for each in shelf.newest_triggers(target, TRIGGERS_KEPT)]
    return History(
        progress=aliases.progress(shelf, key),
        last_success=max((at for at in map(shelf.last_success, key.names) if at is not None), default=None),
        strikes=aliases.strikes(shelf, key),
        suppressions=tuple(aliases.suppressions(shelf, key)),
        suspensions=tuple(each for each in suspensions if each is not None),
        throttlings=tuple(each for each in throttlings if each is not None),
        traffics=tuple(traffics),
        freezes=tuple(each for each in map(shelf.frozen, key.freezes) if each is not None),
        provider=key.provider,
        triggers=tuple(triggers),
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
                shelf.add_trigger(_triggered(effect, entry))
            case OpenGuard():
                _quarantine(shelf, effect.key, entry.at)


def _triggered(effect: Trigger, entry: Entry) -> PastTrigger:
    return PastTrigger(target=effect.target, rule=effect.rule, at=entry.at, attempt=entry.attempt_id, nth=effect.nth)


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
