"""Hypothesis strategies for the values of `policy`: any that its constructors and parsers accept.

`from policy.testing import values` and then `values.replies()`, `values.attempts()`. Times lie between 2000 and 2100,
so that a test may add a schedule to them.
"""

import string
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policy.address import NULL_SENDER, Address, parse_address
from policy.attempt import NAME_LIMIT, Attempt, Command, Custody, Event, Failure, Outcome, Tls
from policy.decision import (
    Action,
    Alert,
    Decision,
    Delivered,
    Effect,
    InClear,
    NoteForward,
    Reconnect,
    Recovered,
    RuleRef,
    Scope,
    Split,
    Strength,
    Strike,
    Suppress,
    Suspend,
    Throttle,
)
from policy.diagnosis.category import Category, Evidence, EvidenceKind, Fault
from policy.forward import ForwardState, UntrustedPath
from policy.history import Entry, ForwardNote, Progress, Suppression
from policy.reply import EnhancedStatus, Flaw, Reply
from policy.text import SafeText, clean
from policy.throttle import Rate

_ATEXT = string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-."


def moments() -> SearchStrategy[datetime]:
    """Aware times in UTC, to the microsecond."""
    naive = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - UTC is said in the next line
    return naive.map(lambda time: time.replace(tzinfo=UTC, fold=0))


def safe_texts(*, min_size: int = 0, max_size: int = 80) -> SearchStrategy[SafeText]:
    """Cleaned text; hostile characters are generated and then cleaned, as on the way in."""
    return st.text(max_size=max_size).map(clean).filter(lambda text: len(text) >= min_size)


def names() -> SearchStrategy[str]:
    """Ids, streams, providers: what `policy.attempt.name` leaves as it is."""
    return st.text(min_size=1, max_size=40).map(lambda text: clean(text, limit=NAME_LIMIT)).filter(bool)


def domains() -> SearchStrategy[str]:
    """Lower-case A-labels, and now and then an address literal."""
    label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
    named = st.lists(label, min_size=1, max_size=3).map(".".join)
    return st.one_of(
        named, st.sampled_from(["example.org", "xn--bcher-kva.example", "[192.0.2.1]", "[ipv6:2001:db8::1]"])
    )


def addresses() -> SearchStrategy[Address]:
    """Addresses with dot-strings, misplaced dots, quoted strings and letters of any script."""
    letters = st.one_of(st.sampled_from(_ATEXT), st.characters(min_codepoint=0x80, categories=("L", "Nd")))
    plain = st.text(letters, min_size=1, max_size=16)
    quoted = st.from_regex(r'"([ !#-\[\]-~]|\\[ -~]){0,12}"', fullmatch=True)
    return st.builds("{}@{}".format, st.one_of(plain, quoted), domains()).map(parse_address)


def enhanced_statuses() -> SearchStrategy[EnhancedStatus]:
    """Any status of RFC 3463."""
    return st.builds(EnhancedStatus, st.integers(2, 5), st.integers(0, 999), st.integers(0, 999))


def replies() -> SearchStrategy[Reply]:
    """Replies with any code or none, any text and any flaws, whether or not a parser would have put them together."""
    flaws = st.sets(st.sampled_from(Flaw), max_size=3).map(lambda found: tuple(each for each in Flaw if each in found))
    return st.builds(
        Reply,
        st.none() | st.integers(200, 599),
        st.lists(safe_texts(min_size=1), max_size=3).map(tuple),
        st.none() | enhanced_statuses(),
        flaws,
    )


def outcomes() -> SearchStrategy[Outcome]:
    """Replies, failures and events."""
    return st.one_of(replies(), st.sampled_from([*Failure, *Event]))


def told(*, outcome: Outcome, recipient: Address | None, **said: Any) -> Attempt:
    """An attempt; an event of nobody's is somebody's, since it must be."""
    whose = Address("jo", "example.org") if isinstance(outcome, Event) else None
    return Attempt(outcome=outcome, recipient=recipient or whose, **said)


def attempts() -> SearchStrategy[Attempt]:
    """Attempts in which anything may be not stated but the outcome, and the recipient of an event."""
    return st.builds(
        told,
        outcome=outcomes(),
        command=st.none() | st.sampled_from(Command),
        recipient=st.none() | addresses(),
        sender=st.none() | st.just(NULL_SENDER) | addresses(),
        recipients=st.integers(1, 100),
        mx=st.none() | domains(),
        provider=st.none() | names(),
        number=st.none() | st.integers(1, 1000),
        first_attempt_at=st.none() | moments(),
        at=st.none() | moments(),
        stream=st.none() | names(),
        tags=st.dictionaries(names(), names(), max_size=2).map(lambda tags: tuple(tags.items())),
        rcpt_reply=st.none() | replies(),
        custody=st.sampled_from(Custody),
        deliver_by=st.none() | moments(),
        tls=st.none() | st.sampled_from(Tls),
        backup_mx=st.booleans(),
        route=st.none() | names(),
        smtputf8=st.booleans(),
        attempt_id=st.none() | names(),
        message_id=st.none() | names(),
    )


def rule_refs() -> SearchStrategy[RuleRef]:
    """Rules anywhere in a file."""
    return st.builds(
        RuleRef, names(), st.sampled_from(["rules.yaml", "/etc/mailverdict/a b.yaml"]), st.integers(1, 9999)
    )


def rates() -> SearchStrategy[Rate]:
    """Rates of sending."""
    return st.builds(Rate, st.integers(1, 10**9), st.timedeltas(timedelta(seconds=1), timedelta(days=30)))


def untrusted_paths() -> SearchStrategy[UntrustedPath]:
    """Forward paths as a reply may name them."""
    return addresses().map(lambda address: UntrustedPath(clean(str(address))))


def effects(targets: SearchStrategy[str] | None = None) -> SearchStrategy[Effect]:
    """Effects of every kind.

    Args:
        targets: keys that they concern; None: keys of any address.
    """
    keys = targets or addresses().map(lambda address: address.key)
    scope, category = st.sampled_from(Scope), st.sampled_from(Category)
    return st.one_of(
        st.builds(
            Suppress,
            target=keys,
            scope=scope,
            strength=st.sampled_from(Strength),
            reason=category,
            until=st.none() | moments(),
        ),
        st.builds(Strike, target=keys, scope=scope, reason=category, count=st.integers(1, 9), needed=st.integers(1, 9)),
        st.builds(Delivered, target=keys),
        st.builds(NoteForward, address=st.none() | addresses(), forward_path=untrusted_paths(), approved=st.booleans()),
        st.builds(Suspend, target=keys, until=moments(), usual=st.integers(0, 99), ends_on_success=st.booleans()),
        st.builds(Throttle, target=keys, rate=rates(), until=moments()),
        st.builds(Recovered, target=keys),
        st.builds(InClear),
        st.builds(Split),
        st.builds(Reconnect),
        st.builds(Alert, to=names(), text=safe_texts()),
    )


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Decisions; only a retry has times and a route."""
    action = draw(st.sampled_from(Action))
    waits = action is Action.RETRY
    first, last = sorted([draw(moments()), draw(moments())])
    evidence = st.builds(Evidence, st.sampled_from(EvidenceKind), safe_texts(), st.text(max_size=40))
    return Decision(
        action=action,
        final=draw(st.booleans()) and action not in (Action.RETRY, Action.HOLD),
        category=draw(st.sampled_from(Category)),
        fault=draw(st.sampled_from(Fault)),
        effects=tuple(draw(st.lists(effects(), max_size=3))),
        retry_at=first if waits else None,
        give_up_at=last if waits else None,
        route=draw(st.none() | names()) if waits else None,
        rule=draw(rule_refs()),
        evidence=tuple(draw(st.lists(evidence, max_size=2))),
        remedy=draw(st.text(max_size=40)),
        policy_version=draw(st.text("0123456789abcdef", min_size=12, max_size=12)),
        uncertain=draw(st.booleans()),
        custody=draw(st.sampled_from(Custody)),
    )


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Ledger lines whose keys belong to their attempt and whose progress belongs to their decision."""
    attempt, decision, at = draw(attempts()), draw(decisions()), draw(moments())
    recipient = "" if attempt.recipient is None else attempt.recipient.key
    progress = Progress(
        message=attempt.message,
        recipient=recipient,
        attempts=draw(st.integers(0, 1000)),
        first_attempt_at=attempt.first_attempt_at or at,
        held=draw(st.timedeltas(timedelta(0), timedelta(days=1000))),
        last_at=at,
        action=decision.action,
        final=decision.final,
        retry_at=decision.retry_at,
    )
    return Entry(
        attempt_id=attempt.identity, recipient=recipient, at=at, attempt=attempt, decision=decision, progress=progress
    )


def suppressions() -> SearchStrategy[Suppression]:
    """Entries of the suppression list."""
    return st.builds(
        Suppression,
        target=st.one_of(domains(), addresses().map(lambda address: address.key)),
        scope=st.sampled_from(Scope),
        strength=st.sampled_from(Strength),
        reason=st.sampled_from(Category),
        rule=rule_refs(),
        reply=safe_texts(),
        since=moments(),
        expires_at=st.none() | moments(),
    )


def forward_notes() -> SearchStrategy[ForwardNote]:
    """Notes in any state."""
    return st.builds(
        ForwardNote,
        address=addresses().map(lambda address: address.key),
        forward_path=untrusted_paths(),
        state=st.sampled_from(ForwardState),
        reply=safe_texts(),
        since=moments(),
    )
