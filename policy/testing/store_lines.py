"""Ledger lines to write into a store under test: a mail to Jo, its effects, and any history of units."""

from datetime import UTC, datetime, timedelta

from attrs import evolve
from hypothesis import strategies as st

from policy.address import parse_address
from policy.attempt import Attempt, Failure, Outcome
from policy.decision import (
    Action,
    Alert,
    Decision,
    Delivered,
    Effect,
    NoteForward,
    OpenGuard,
    Reconnect,
    RuleRef,
    Scope,
    Split,
    Strength,
    Strike,
    Suppress,
    Suspend,
    Trigger,
)
from policy.diagnosis.category import Category, Fault
from policy.forward import UntrustedPath
from policy.history import Entry, EntryState, History, HistoryKey, Progress, Source, Suppression
from policy.ports import Store
from policy.reply import parse_reply
from policy.text import clean

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
JO, DOMAIN, PAIR, STREAM = "jo@example.org", "example.org", "us>example", "us#news"
KEY = HistoryKey(recipient=JO, domain=DOMAIN, message="m", stream="news", destinations=(PAIR, STREAM))
NOTHING = HistoryKey()
REPLY = parse_reply("550 5.1.1 no such user")


def entry(
    attempt_id: str, *effects: Effect, at: datetime = START, message: str = "m", outcome: Outcome = REPLY
) -> Entry:
    """Return a ledger line for a mail to Jo."""
    decision = Decision(
        action=Action.BOUNCE,
        final=True,
        category=Category.BAD_MAILBOX,
        fault=Fault.RECIPIENT,
        effects=effects,
        rule=RuleRef("r", "rules.yaml", 7),
        evidence=(),
        policy_version="v",
    )
    progress = Progress(
        message=message,
        recipient=JO,
        attempts=len(attempt_id),
        first_attempt_at=START,
        held=timedelta(0),
        last_at=at,
        action=decision.action,
        final=True,
        retry_at=None,
    )
    attempt = Attempt(outcome=outcome, recipient=parse_address(JO), at=at)
    return Entry(attempt_id=attempt_id, recipient=JO, at=at, attempt=attempt, decision=decision, progress=progress)


def suppress(
    strength: Strength = Strength.STRONG,
    *,
    until: datetime | None = None,
    target: str = JO,
    scope: Scope = Scope.ADDRESS,
) -> Suppress:
    """Return the effect; without `until` it never expires."""
    return Suppress(target=target, scope=scope, strength=strength, reason=Category.BAD_MAILBOX, until=until)


def suppression(*, target: str = JO, since: datetime = START, source: Source) -> Suppression:
    """Return an entry that a person makes, for ever."""
    return Suppression(
        target=target,
        scope=Scope.ADDRESS,
        strength=Strength.PERMANENT,
        reason=Category.UNKNOWN,
        rule=RuleRef("by-hand", "", 0),
        reply=clean(""),
        since=since,
        expires_at=None,
        source=source,
    )


def brought() -> st.SearchStrategy[Suppression]:
    """Entries for one of three targets, all alike but for what decides which stays."""
    return st.builds(
        lambda target, scope, source, state, strength, hours, expires: evolve(
            suppression(
                target=f"{JO}#{target}" if scope is Scope.STREAM else target, source=source, since=START + hours * HOUR
            ),
            scope=scope,
            state=state,
            strength=strength,
            expires_at=None if expires is None else START + expires * HOUR,
        ),
        st.sampled_from([JO, DOMAIN, "\u00e9d@example.org"]),
        st.sampled_from(Scope),
        st.sampled_from(Source),
        st.sampled_from([EntryState.ACTIVE, EntryState.ACTIVE, EntryState.RELEASED]),
        st.sampled_from(Strength),
        st.integers(0, 23),
        st.none() | st.integers(20, 100),
    )


def strike(reason: Category = Category.MAILBOX_FULL, *, target: str = JO, scope: Scope = Scope.ADDRESS) -> Strike:
    """Return the effect; the message and the time are the entry's."""
    return Strike(target=target, scope=scope, reason=reason, count=1, needed=3)


def note(path: str) -> NoteForward:
    """Return the note of `path` for Jo."""
    return NoteForward(address=parse_address(JO), forward_path=UntrustedPath(clean(path)))


def commit(store: Store, *lines: Entry) -> None:
    """Commit the lines, each in a unit of its own."""
    for line in lines:
        with store.unit() as unit:
            unit.commit(line)


def history(store: Store, key: HistoryKey = KEY) -> History:
    """Return what the store knows, seen from a new unit."""
    with store.unit() as unit:
        return unit.history(key)


def small_effects() -> st.SearchStrategy[Effect]:
    """Effects of few targets and few times, so that they meet."""
    times = st.integers(0, 4).map(lambda hours: START + hours * HOUR)
    targets = st.sampled_from([JO, DOMAIN, "ed@example.org"])
    reasons = st.sampled_from([Category.MAILBOX_FULL, Category.BAD_MAILBOX])
    strengths, scopes = st.sampled_from(Strength), st.sampled_from(Scope)
    return st.one_of(
        st.builds(suppress, strengths, until=st.none() | times, target=targets, scope=scopes),
        st.builds(strike, reasons, target=targets, scope=scopes),
        st.builds(Delivered, target=targets),
        st.sampled_from(["a@new.example", "b@new.example"]).map(note),
        st.builds(Suspend, target=st.just(PAIR), until=times, times=st.integers(1, 3)),
        st.builds(Trigger, target=st.just(PAIR), rule=st.sampled_from("rs"), count=st.just(1), needed=st.just(2)),
        st.builds(OpenGuard, key=st.sampled_from(["google", "yahoo"])),
        st.sampled_from([Split(), Reconnect(), Alert(to="ops", text=clean("look"))]),
    )


@st.composite
def several_units(draw: st.DrawFn) -> list[tuple[list[Entry], bool]]:
    """Draw units of entries with distinct keys and times out of order; True: the unit raises at its end."""
    units: list[tuple[list[Entry], bool]] = []
    outcomes: list[Outcome] = [REPLY, Failure.TIMEOUT]
    for number in range(draw(st.integers(1, 6))):
        lines = [
            entry(
                f"a{number}.{each}",
                *draw(st.lists(small_effects(), max_size=3)),
                at=START + draw(st.integers(0, 4)) * HOUR,
                message=draw(st.sampled_from("mn")),
                outcome=draw(st.sampled_from(outcomes)),
            )
            for each in range(draw(st.integers(0, 3)))
        ]
        lines = [evolve(line, provider=draw(st.sampled_from(["google", "yahoo", ""]))) for line in lines]
        units.append((lines, draw(st.sampled_from([False, False, True]))))
    return units
