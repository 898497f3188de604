"""Hypothesis strategies for what `decide()` is asked: an attempt with a history and a time, and whole rules files.

`scenarios()` are arguments of `decide()` after the policy; `operator_files()` are rules files of an operator, as text,
that always load, however wicked they are: they may map a 250 to a bounce and suppress for a refused MAIL.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policy.address import NULL_SENDER, Address, parse_address
from policy.attempt import Attempt, Command, Custody, Failure
from policy.decision import Action, RuleRef, Scope, Strength
from policy.diagnosis.category import Category, Fault, Weight
from policy.history import ForwardNote, History, PastStrike, Progress, Suppression
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.source import RulesFile, build_policy
from policy.testing import replies, values
from policy.text import clean

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
DAY = timedelta(days=1)


class Scenario(NamedTuple):
    """The arguments of `decide()` after the policy, in order."""

    attempt: Attempt
    history: History
    now: datetime
    spread: float


_outcomes = st.one_of(*replies.often(replies.parsed_replies(), 2), values.replies(), st.sampled_from(Failure))
_commands = st.sampled_from([None, *Command, *[Command.RCPT] * 4, *[Command.DOT] * 2])
_made = st.builds(
    Attempt,
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
    tags=st.sampled_from([(), (("kind", "news"),)]),
    rcpt_reply=st.none() | st.sampled_from(replies.TELLING).map(parse_reply),
    custody=st.sampled_from(Custody),
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


_ago = st.sampled_from([timedelta(0), timedelta(hours=1), DAY, 2 * DAY, 8 * DAY, 30 * DAY, 100 * DAY, -DAY])
_gone = st.sampled_from([timedelta(0), timedelta(hours=1), DAY, 3 * DAY, 5 * DAY, 30 * DAY])
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
    )


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


# ---- rules files -----------------------------------------------------------------------------------------------------

_SPANS = ("1s", "90s", "5m", "1h30m", "4h", "1d", "4d", "90d", "3650d")
_SECONDS = (1, 90, 300, 5400, 14400, 86400, 345600, 7776000, 315360000)
_CODES = ("2yz", "3yz", "4yz", "5yz", "250", "251", "354", "421", "450", "452", "550", "551", "552", "554", "556")
_ENHANCED = ("2", "4", "5", "X.1.1", "5.1.1", "5.1", "X.2.2", "4.2.2", "5.7", "X.7.1")
_REPLACED = ("no-such-mailbox", "delivered", "blocked", "over-quota", "class-5yz")
_TEXTS = ("unknown", "spam", "user not local", "over quota", "try again", "e")
_DOMAINS = ("example.org", "sub.example.org", "org", "gmail.com", "bücher.example", "[192.0.2.1]")


def _words(kind: Any) -> list[str]:
    return [member.value for member in kind]


def _some(values_: Sequence[str]) -> SearchStrategy[Any]:
    """One value of a condition, or a list of them."""
    one = st.sampled_from(values_)
    return one | st.lists(one, min_size=1, max_size=3)


_flag = st.booleans()
_spans = st.sampled_from(_SPANS)
_attempt_numbers = st.integers(1, 5).flatmap(
    lambda low: st.sampled_from([low, {"min": low}, {"max": low}, {"min": low, "max": low + 2}])
)
_CONDITIONS: dict[str, SearchStrategy[Any]] = {
    "code": _some(_CODES),
    "enhanced": _some(_ENHANCED),
    "command": _some([*_words(Command), "unknown"]),
    "failure": _some(_words(Failure)),
    "category": _some(_words(Category)),
    "fault": _some(_words(Fault)),
    "weight": _some(_words(Weight)),
    "text": _some(_TEXTS),
    "domain": _some(_DOMAINS),
    "provider": _some(["google", "microsoft", "own-provider"]),
    "attempt": _attempt_numbers,
    "stream": _some(["bulk", "otp"]),
    "tag": st.just("kind=news"),
    "custody": _some(_words(Custody)),
    "recipients": st.sampled_from(["one", "several"]),
    "null_sender": _flag,
    "forward_path": _flag,
    "delivered_before": _flag,
}
_whens = st.lists(st.one_of([st.tuples(st.just(key), each) for key, each in _CONDITIONS.items()]), max_size=2).map(dict)


def _strikes(strikes: int, apart: int, within: int) -> dict[str, Any]:
    """Terms that the loader takes: so many strikes, so far apart, fit into `within`."""
    within = max(within, apart)
    if _SECONDS[apart] * (strikes - 1) > _SECONDS[within]:
        return {}
    return {"strikes": strikes, "apart": _SPANS[apart], "within": _SPANS[within]}


_counts = st.builds(_strikes, st.sampled_from([1, 2, 2, 3]), st.integers(0, 5), st.integers(0, len(_SPANS) - 1))
_others = st.fixed_dictionaries(
    {},
    optional={"scope": st.sampled_from(_words(Scope)), "strength": st.sampled_from(_words(Strength)), "for": _spans},
)
_suppress = st.builds(lambda counts, others: counts | others, _counts, _others)
_PLAIN_ACTIONS = ("accept", "accept-and-note-forward", "hold", "bounce", "discard")
_modifiers: dict[str, SearchStrategy[Any]] = {
    "suspend": _spans.map(lambda span: {"for": span}),
    "alert": st.just("ops"),
    "remedy": st.just("Ask the postmaster."),
}
_thens = st.one_of(
    st.fixed_dictionaries({"action": st.sampled_from(_PLAIN_ACTIONS)}),
    st.fixed_dictionaries({"action": st.just("hard-bounce"), "suppress": _suppress}, optional=_modifiers),
    st.fixed_dictionaries(
        {"action": st.just("retry")},
        optional={
            **_modifiers,
            "suppress": _suppress,
            "schedule": st.sampled_from(["standard", "greylist", "uncertain", "own-first", "own-second"]),
            "route": st.sampled_from(["direct", "own-route"]),
            "split": _flag,
            "reconnect": _flag,
        },
    ),
)


def _schedule(waits: list[int], longest: int | None, rest: dict[str, Any]) -> dict[str, Any]:
    schedule: dict[str, Any] = {"waits": [_SPANS[each] for each in waits], **rest}
    if longest is not None:
        schedule["longest"] = _SPANS[max(longest, waits[-1])]
    return schedule


_span_numbers = st.integers(0, len(_SPANS) - 1)
_schedules = st.builds(
    _schedule,
    st.lists(_span_numbers, min_size=1, max_size=4),
    st.none() | _span_numbers,
    st.fixed_dictionaries(
        {"give_up": _spans},
        optional={
            "factor": st.sampled_from([1, 2, 3, 10, 100]),
            "spread": st.sampled_from(["0%", "20%", "99%"]),
            "tries": st.integers(1, 5),
            "hint": _spans,
        },
    ),
)
_rules = st.lists(st.fixed_dictionaries({"when": _whens, "then": _thens}), min_size=1, max_size=3)
_documents = st.fixed_dictionaries(
    {
        "mailverdict": st.just(1),
        "extends": st.sampled_from(["shipped", "none"]),
        "schedules": st.fixed_dictionaries({"own-first": _schedules, "own-second": _schedules}),
        "routes": st.just({"own-route": {"to": "smtp://relay.example.net:587"}}),
        "providers": st.fixed_dictionaries(
            {
                "own-provider": st.fixed_dictionaries(
                    {"domains": st.just(["example.org"]), "mx": st.just(["mx.example.org"])}, optional={"rules": _rules}
                )
            }
        ),
        "rules": _rules,
    },
    optional={
        "domains": st.dictionaries(
            st.sampled_from(_DOMAINS), st.fixed_dictionaries({"rules": _rules}), min_size=1, max_size=2
        ),
        "streams": st.fixed_dictionaries({"bulk": st.fixed_dictionaries({"give_up": _spans})}),
        "suppression": st.fixed_dictionaries({"weak": st.fixed_dictionaries({"for": _spans})}),
        "disable": st.lists(st.sampled_from(_REPLACED), min_size=1, unique=True),
        "defaults": st.fixed_dictionaries({"schedule": st.sampled_from(["standard", "own-first"])}),
    },
)


def _file(document: dict[str, Any], replaced: list[str]) -> str:
    """The text of the document, its rules named: some as shipped ones, which they replace, the rest anew."""
    scopes = [document, *document["providers"].values(), *document.get("domains", {}).values()]
    ids = [*replaced, *(f"own-{number}" for number in range(100))]
    rules = [rule for scope in scopes for rule in scope.get("rules", ())]
    for rule, id_ in zip(rules, ids, strict=False):
        rule["id"] = id_
    return json.dumps(document, indent=1, ensure_ascii=False)  # which is YAML too


_files = st.builds(_file, _documents, st.lists(st.sampled_from(_REPLACED), max_size=1))


def operator_files() -> SearchStrategy[str]:
    """Texts of rules files that load over the shipped ones."""
    return _files


def operator_policy(text: str) -> Policy:
    """Return the policy of one operator file over the shipped rules.

    Draw the text and build the policy in the test: a failing example is then shown as a file and not as its insides.
    """
    return build_policy([RulesFile("operator.yaml", text.encode())])
