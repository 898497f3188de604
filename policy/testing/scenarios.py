"""Hypothesis strategies for what `decide()` is asked after the policy: an attempt with a history and a time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from attrs import evolve, frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policy.address import NULL_SENDER, Address, parse_address
from policy.attempt import Attempt, Command, Custody, Event, Failure, Tls
from policy.decision import Action, RuleRef, Scope, Strength
from policy.diagnosis.category import Category
from policy.guard import Seen, Watch, watched
from policy.history import ForwardNote, Freeze, History, PastStrike, PastTrigger, Progress, Suppression, Suspension
from policy.reply import parse_reply
from policy.testing import replies, values
from policy.text import clean
from policy.throttle import Traffic

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECIPIENTS = tuple(
    map(
        parse_address,
        [
            "jo@example.org", "JO@sub.example.org", "jo@gmail.com", "jo@outlook.com", "jo@bücher.example",
            "spam@x.example", '"a b"@example.net', "jo@[192.0.2.1]",
        ],
    )
)  # fmt: skip
SENDERS = (NULL_SENDER, None, *map(parse_address, ["news@sender.example", "bills@sender.example", "a@other.example"]))
HOSTS = (None, "mx.example.org", "aspmx.l.google.com", "x.mail.protection.outlook.com", "mta5.am0.yahoodns.net")
STREAMS = (None, "bulk", "otp", "transactional")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


class Scenario(NamedTuple):
    """The arguments of `decide()` after the policy, in order."""

    attempt: Attempt
    history: History
    now: datetime
    spread: float


_outcomes = st.one_of(
    *replies.often(replies.parsed_replies(), 2), values.replies(), st.sampled_from([*Failure, *Event])
)
_commands = st.sampled_from([None, *Command, *[Command.RCPT] * 4, *[Command.DOT] * 2])
_made = st.builds(
    values.told,
    outcome=_outcomes,
    command=_commands,
    recipient=st.sampled_from([None, *RECIPIENTS, *RECIPIENTS]),
    sender=st.sampled_from(SENDERS),
    recipients=st.sampled_from([1, 1, 1, 2, 100]),
    mx=st.sampled_from(HOSTS),
    provider=st.sampled_from([None, None, "google", "microsoft", "own-provider", "nobody's"]),
    number=st.sampled_from([None, None, None, 1, 2, 7, 1_000_000]),
    first_attempt_at=st.none() | st.timedeltas(timedelta(0), 6 * DAY).map(lambda ago: NOW - ago),
    stream=st.sampled_from(STREAMS),
    tags=st.sampled_from([(), (("kind", "news"),), (("kind", "bill"), ("x", "y"))]),
    rcpt_reply=st.none() | st.sampled_from(replies.TELLING).map(parse_reply),
    custody=st.sampled_from(Custody),
    deliver_by=st.none() | st.timedeltas(-DAY, 6 * DAY).map(lambda left: NOW + left),
    tls=st.none() | st.sampled_from(Tls),
    backup_mx=st.booleans(),
    route=st.sampled_from([None, None, "direct", "other"]),
    smtputf8=st.booleans(),
    message_id=st.sampled_from([None, "message-1", "message-2"]),
)
# Of those that speak of the recipient, and may count against it.
_striking = st.builds(
    Attempt,
    outcome=st.one_of(
        *replies.often(st.sampled_from(replies.BAD_RECIPIENTS).map(parse_reply), 3),
        st.sampled_from([Failure.NULL_MX, Failure.NO_SUCH_DOMAIN]),
    ),
    command=st.sampled_from([None, *Command, *[Command.RCPT] * 8, *[Command.DOT] * 4]),
    recipient=st.sampled_from(RECIPIENTS),
    sender=st.sampled_from([SENDERS[-1], None, SENDERS[-2], NULL_SENDER]),
    recipients=st.sampled_from([1, 1, 1, 2]),
    mx=st.sampled_from(HOSTS),
    message_id=st.sampled_from([None, "message-1"]),
)
_attempts = st.one_of(*replies.often(_made, 2), *replies.often(_striking, 2), values.attempts())


def attempts() -> SearchStrategy[Attempt]:
    """Attempts as adapters make them; one in five is any value that the constructor takes."""
    return _attempts


@frozen
class _Past:
    """A history before it is known whose: times are spans before the decision."""

    strikes: Sequence[tuple[bool, str, Category, timedelta]]  # (the domain's?, message, reason, how long ago)
    progress: tuple[timedelta, timedelta, int, timedelta, Action] | None
    last_success: timedelta | None
    suppressions: Sequence[tuple[Strength, int, int | None]]  # (strength, days since, days until it expires)
    forward: ForwardNote | None
    watches: Sequence[tuple[bool, timedelta, Sequence[bool]]]  # (open?, since when, which known-good recipients failed)
    suspension: tuple[str, timedelta, timedelta, int] | None  # (rule, since when, how much longer, how often)
    triggers: Sequence[tuple[str, timedelta]]
    freezes: Sequence[str]


_ago = st.sampled_from([timedelta(0), timedelta(hours=1), DAY, 2 * DAY, 8 * DAY, 30 * DAY, 100 * DAY, -DAY])
_gone = st.sampled_from([timedelta(0), timedelta(hours=1), DAY, 3 * DAY, 5 * DAY, 30 * DAY])
_recent = st.sampled_from([timedelta(0), MINUTE, 15 * MINUTE, 16 * MINUTE, -MINUTE])
_suspending = st.sampled_from(["rate-limited", "blocked", "not-authenticated", "blocked-for-now", "wicked"])
_pasts = st.builds(
    _Past,
    strikes=st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(["message-1", "older-1", "older-2", "older-3"]),
            st.sampled_from(
                [Category.BAD_MAILBOX, Category.INACTIVE_MAILBOX, Category.MAILBOX_FULL, Category.BAD_DOMAIN]
            ),
            _ago,
        ),
        max_size=8,
    ),
    progress=st.none()
    | st.tuples(
        _gone,
        _gone,
        st.integers(0, 40),
        st.sampled_from([timedelta(0), timedelta(hours=5), 9 * DAY]),
        st.sampled_from([Action.RETRY, Action.HOLD, Action.ACCEPT]),
    ),
    last_success=st.none() | _ago,
    suppressions=st.lists(
        st.tuples(st.sampled_from(Strength), st.sampled_from([1, 4, 90]), st.sampled_from([None, -1, 5])), max_size=2
    ),
    forward=st.none() | values.forward_notes(),
    watches=st.lists(
        st.tuples(
            st.booleans(), _gone, st.lists(st.booleans(), max_size=6) | st.sampled_from([[True] * 12, [False] * 12])
        ),
        max_size=2,
    ),
    suspension=st.none() | st.tuples(_suspending, _gone, _ago, st.sampled_from([1, 2, 9, 1000])),
    triggers=st.lists(st.tuples(_suspending, _recent), max_size=30),
    freezes=st.sampled_from([(), (), (), ("",), ("google",), ("example.org", "google")]),
)


def _history(past: _Past, attempt: Attempt, now: datetime) -> History:
    recipient = attempt.recipient
    if recipient is None:
        return History()
    strikes = [
        PastStrike(target=recipient.domain if whole else recipient.key, message=message, reason=reason, at=now - ago)
        for whole, message, reason, ago in past.strikes
    ]
    suppressions = [
        Suppression(
            target=recipient.key,
            scope=Scope.ADDRESS,
            strength=strength,
            reason=Category.BAD_MAILBOX,
            rule=RuleRef("earlier", "rules.yaml", 1),
            reply=clean("550 5.1.1 User unknown"),
            since=now - since * DAY,
            expires_at=None if left is None else now + left * DAY,
        )
        for strength, since, left in past.suppressions
    ]
    return History(
        progress=None if past.progress is None else _progress(past.progress, attempt, recipient, now),
        last_success=None if past.last_success is None else now - past.last_success,
        strikes=tuple(sorted(strikes, key=lambda each: each.at)),
        suppressions=tuple(suppressions),
        forward=past.forward,
        watches=_watches(past, recipient, now),
        suspensions=_suspensions(past, attempt, recipient, now),
        triggers=tuple(
            PastTrigger(target=target, rule=rule, at=now - ago, attempt=f"t{number}")
            for number, (rule, ago) in enumerate(sorted(past.triggers, key=lambda each: -each[1]))
            for target in _targets(attempt, recipient)
        ),
        traffics=tuple(
            Traffic(target=target, hour=int(now.timestamp()) // 3600, count=len(past.triggers) * 50)
            for target in _targets(attempt, recipient)
        ),
        freezes=tuple(Freeze(provider=each, since=now - DAY) for each in past.freezes),
    )


def _watches(past: _Past, recipient: Address, now: datetime) -> tuple[Watch, ...]:
    """One of the provider and one of the domain, after some answers of the last minutes."""
    found: list[Watch] = []
    for key, (is_open, ago, answers) in zip(("a-provider", recipient.domain), past.watches, strict=False):
        watch = Watch(key=key, open_since=now - ago if is_open else None)
        for number, failed in enumerate(answers):
            here = Seen(at=now - MINUTE, recipient=f"{number}@example.net", domain=f"{number}.example", failed=failed)
            watch = watched(watch, here, is_domain=bool(found))
        found.append(watch)
    return tuple(found)


def _targets(attempt: Attempt, recipient: Address) -> list[str]:
    """Keys of destinations, whatever the provider is known as."""
    identity = attempt.sender.domain if isinstance(attempt.sender, Address) else "-"
    places = (recipient.domain, "google", "microsoft", "yahoo", "own-provider")
    return [*(f"{identity}>{place}" for place in places), f"{identity}#{attempt.stream or '-'}"]


def _suspensions(past: _Past, attempt: Attempt, recipient: Address, now: datetime) -> tuple[Suspension, ...]:
    if past.suspension is None:
        return ()
    rule, ago, left, times = past.suspension
    one = Suspension(
        target="",
        rule=RuleRef(rule, "rules.yaml", 1),
        reason=Category.RATE_LIMITED,
        since=now - ago,
        until=max(now - ago, now + left),
        times=times,
        ends_on_success=times == 9,
    )
    return tuple(evolve(one, target=target) for target in _targets(attempt, recipient))


def _progress(
    past: tuple[timedelta, timedelta, int, timedelta, Action], attempt: Attempt, recipient: Address, now: datetime
) -> Progress:
    one, other, attempts_, held, action = past
    return Progress(
        message=attempt.message,
        recipient=recipient.key,
        attempts=attempts_,
        first_attempt_at=now - max(one, other),
        held=held,
        last_at=now - min(one, other),
        action=action,
        final=False,
        retry_at=None,
    )


_scenarios = st.builds(
    lambda attempt, past, now, spread: Scenario(attempt, _history(past, attempt, now), now, spread),
    _attempts,
    _pasts,
    st.sampled_from([NOW, NOW, NOW - 10 * DAY, NOW + 3 * DAY]) | values.moments(),
    st.sampled_from([0.0, 0.5, 1.0 - 2**-48]) | st.floats(0, 1, exclude_max=True),
)


def scenarios() -> SearchStrategy[Scenario]:
    """An attempt, what was known before it, when it is decided, and its place in a schedule's spread."""
    return _scenarios
