"""Hypothesis strategies for single rules, and for edits of rules, before it is known which ids they have.

They use all of the language, however wickedly: they map a 250 to a bounce and suppress for a refused MAIL. The kind of
a rule (`KINDS`) says which modifiers it may have; every layer's rule of one id is of one kind, so that an `override`
fits whatever it edits.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policy.attempt import Command, Custody, Event, Failure
from policy.decision import Scope, Strength
from policy.destination import Reach
from policy.diagnosis.category import Category, Fault, Weight

KINDS = {  # of the shipped rules, those that decide most often, and those under them
    "retry": ("unknown-4yz", "not-reached", "class-4yz"),
    "hard-bounce": ("no-such-mailbox", "probably-no-such-mailbox"),
    "plain": ("yes-so-far", "understood-5yz", "unknown-5yz", "class-5yz"),
    "event": ("complained", "any-event"),
    "forward": ("user-not-local-will-forward",),
    "domain": ("no-such-domain",),
}

SPANS = ("1s", "90s", "5m", "1h30m", "4h", "1d", "4d", "90d", "3650d")
_SECONDS = (1, 90, 300, 5400, 14400, 86400, 345600, 7776000, 315360000)
_DAYS = ("2026-02-20", "2026-03-01", "2026-03-02", "2030-01-01")  # before, at and after `scenarios.NOW`
DOMAINS = ("example.org", "sub.example.org", "org", "gmail.com", "bücher.example", "[192.0.2.1]")
PROVIDERS = ("google", "microsoft", "own-provider")
NAMED = {
    "schedule": ("standard", "greylist", "uncertain", "own-first", "own-second"),
    "route": ("direct", "own-route"),
    "limit": ("own-slow", "own-fast"),
}
RATES = ("1/1s", "30/1h", "1000/1h30m", "86400/1d")
STREAMS = ("bulk", "otp")


def _words(kind: type[Enum]) -> list[str]:
    return [member.value for member in kind]


def _some(values: Sequence[str]) -> SearchStrategy[Any]:
    """One value of a condition, or a list of them."""
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=3)


def maybe(**keys: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


flags = st.booleans()
spans = st.sampled_from(SPANS)
span_numbers = st.integers(0, len(SPANS) - 1)


# ---- conditions ------------------------------------------------------------------------------------------------------


def _both_ends(low: int, wide: int) -> dict[str, Any]:
    return {"min": low, "max": low + wide}


_attempt_spans = st.builds(_both_ends, st.integers(1, 3), st.integers(0, 3))
_age_spans = st.tuples(span_numbers, span_numbers).map(lambda ends: {"min": SPANS[min(ends)], "max": SPANS[max(ends)]})
# Those that can be laid over others of the same key.
_CLOSED: dict[str, SearchStrategy[Any]] = {
    "code": _some(("2yz", "3yz", "4yz", "5yz", "250", "251", "421", "450", "550", "552", "550-559", "420-452")),
    "enhanced": _some(("2", "4", "5", "X.1.1", "5.1.1", "5.1", "X.2.2", "4.2.2", "5.7", "X.7.1")),
    "command": _some([*_words(Command), "unknown"]),
    "failure": _some(_words(Failure)),
    "category": _some(_words(Category)),
    "fault": _some(_words(Fault)),
    "weight": _some(_words(Weight)),
    "text": _some(("unknown", "spam", "User  not local", "over quota", "try again", "e")),
    "pattern": _some(("user.*unknown", "^[a-z ]+$", "mailbox|quota", "[0-9]{2}")),
    "domain": _some((*DOMAINS, "=example.org", "*.example.org", "*.org")),
    "sender_domain": _some(("sender.example", "*.example", "=other.example")),
    "mx": _some(("google.com", "*.example.org", "=mx.example.org", "net")),
    "provider": _some(PROVIDERS),
    "attempt": st.integers(1, 3) | _attempt_spans | st.lists(_attempt_spans, min_size=1, max_size=2),
    "age": _age_spans | st.lists(_age_spans, min_size=1, max_size=2),
    "stream": _some(STREAMS),
    "tag": _some(("kind=news", "kind=bill")),
    "custody": _some(_words(Custody)),
    "recipients": _some(("one", "several")),
    "null_sender": flags,
    "forward_path": flags,
    "void": flags,
    "split_before": flags,
    "clear_before": flags,
    "backup_mx": flags,
    "delivered_before": flags,
}
_EVENTS = {"event": _some(_words(Event))}  # asked for by no rule but those of the kind `event`
_ANY = _CLOSED | {
    "attempt": _CLOSED["attempt"] | st.sampled_from([{"min": 2}, {"max": 2}]),
    "age": _CLOSED["age"] | maybe(min=spans).filter(bool) | maybe(max=spans).filter(bool),
}


def _conditions(keys: dict[str, SearchStrategy[Any]], most: int) -> SearchStrategy[dict[str, Any]]:
    return st.lists(st.one_of([st.tuples(st.just(key), each) for key, each in keys.items()]), max_size=most).map(dict)


def _asking(when: dict[str, Any], must: dict[str, Any], none: dict[str, Any]) -> dict[str, Any]:
    return {**when, **must, **({"not": none} if none else {})}


_must = {"event": st.fixed_dictionaries(_EVENTS)}
_whens = {
    kind: st.builds(
        _asking,
        _conditions(_ANY, 2),
        _must.get(kind, st.just({})),
        st.just({}) | st.just({}) | _conditions(_ANY | _EVENTS, 2),
    )
    for kind in KINDS
}


# ---- rules and edits -------------------------------------------------------------------------------------------------


def _strikes(strikes: int, apart: int, within: int) -> dict[str, Any]:
    """Terms that the loader takes: so many strikes, so far apart, fit into `within`."""
    within = max(within, apart)
    if _SECONDS[apart] * (strikes - 1) > _SECONDS[within]:
        return {}
    return {"strikes": strikes, "apart": SPANS[apart], "within": SPANS[within]}


_counts = st.builds(_strikes, st.sampled_from([1, 2, 2, 3]), st.integers(0, 5), span_numbers)
_terms = {"scope": st.sampled_from(_words(Scope)), "strength": st.sampled_from(_words(Strength)), "for": spans}
_suppress = st.builds(lambda counts, others: counts | others, _counts, maybe(**_terms))
_sure = st.sampled_from([Strength.WEAK.value, Strength.STRONG.value])
_surely = {"strength": _terms["strength"], "for": spans, "meanwhile": _sure}
_of_a_domain = st.builds(  # what `meanwhile` goes with
    lambda strikes, more: {"scope": "domain", "strikes": strikes, "apart": "1h30m", "within": "90d"} | more,
    st.sampled_from([2, 3]),
    maybe(**_surely),
)
_often = st.sampled_from(["2 in 4h", "3 in 1h", "2 of 5 in 4h", "3 of 120 in 30d"])
_reaches = st.sampled_from(_words(Reach))
_reach = {"scope": _reaches, "after": _often}
_longest = SPANS[-1]  # as long as any `for` that an edit may lay over it
_ALWAYS: dict[str, SearchStrategy[Any]] = {
    "suspend": st.fixed_dictionaries(
        {"for": spans}, optional={**_reach, "longest": st.just(_longest), "ends_on_success": flags}
    ),
    "throttle": st.fixed_dictionaries({"rate": st.sampled_from([*RATES, "half"]), "for": spans}, optional=_reach),
    "alert": st.one_of(
        st.sampled_from(["ops", "page"]),
        st.fixed_dictionaries({"to": st.just("ops"), "after": spans}, optional={"once": spans}),
        st.fixed_dictionaries({"to": st.just("ops"), "after": _often}, optional={"once": spans, "scope": _reaches}),
        st.fixed_dictionaries({"to": st.just("ops"), "once": spans}, optional={"scope": _reaches}),
    ),
    "remedy": st.just("Ask the postmaster."),
}
_RETRYING: dict[str, SearchStrategy[Any]] = {
    "schedule": st.sampled_from(NAMED["schedule"]),
    "route": st.sampled_from(NAMED["route"]),
    "split": flags,
    "reconnect": flags,
    "in_clear": flags,
}
_accept, _note = st.just("accept"), st.just("accept-and-note-forward")
_plain_actions = st.sampled_from(["accept", "accept-and-note-forward", "hold", "bounce", "discard", "retry"])
_THENS = {
    "retry": st.fixed_dictionaries(
        {"action": st.just("retry")}, optional={**_ALWAYS, **_RETRYING, "suppress": _suppress}
    ),
    "hard-bounce": st.fixed_dictionaries({"action": st.just("hard-bounce"), "suppress": _suppress}, optional=_ALWAYS),
    "plain": st.fixed_dictionaries({"action": _plain_actions}, optional=_ALWAYS),
    "event": st.fixed_dictionaries({"action": _accept}, optional={**_ALWAYS, "suppress": maybe(**_terms)}),
    "forward": st.fixed_dictionaries({"action": _note}, optional={**_ALWAYS, "trust_forward": flags}),
    "domain": st.fixed_dictionaries(
        {"action": st.sampled_from(["retry", "hard-bounce"]), "suppress": _of_a_domain}, optional=_ALWAYS
    ),
}
# What may be laid over any rule of the kind.
_MORE = {
    "retry": maybe(**_ALWAYS, **_RETRYING, suppress=maybe(**_terms)),
    "hard-bounce": maybe(**_ALWAYS, suppress=maybe(**_terms)),
    "plain": maybe(**_ALWAYS, action=_plain_actions),
    "event": maybe(**_ALWAYS, suppress=maybe(**_terms)),
    "forward": maybe(**_ALWAYS, trust_forward=flags),
    "domain": maybe(**_ALWAYS, suppress=maybe(**_surely)),
}
_laws = st.lists(st.sampled_from(["no-recipient-fault", "refused-on-purpose"]), min_size=1, unique=True)
_examples = st.lists(
    st.sampled_from(["550 5.1.1 User unknown", {"reply": "450 Later", "command": "RCPT"}, {"failure": "timeout"}]),
    min_size=1,
    max_size=2,
)
_MODES: dict[str, SearchStrategy[Any]] = {
    "mode": st.sampled_from(["observe", "observe", "decide"]),
    "expires": st.sampled_from(_DAYS),
    "despite": _laws,
    "note": st.just("why"),
}


def _seldom(**keys: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """Mostly nothing, else some of these."""
    return st.one_of(st.just({}), st.just({}).map(dict), maybe(**keys))


_TAKEN_AWAY = ("alert", "remedy", "suspend", "throttle", "schedule", "route", "in_clear", "trust_forward")


@frozen
class Said:
    """A rule, or an edit of one, before it has an id: which of its kind, and what it says."""

    kind: str
    which: int
    said: dict[str, Any]


def _rule(kind: str, which: int, then: dict[str, Any], when: dict[str, Any], more: dict[str, Any]) -> Said:
    return Said(kind, which, {"when": when, "then": then, **more})


def _edit(kind: str, which: int, then: dict[str, Any], when: dict[str, Any], more: dict[str, Any]) -> Said:
    """An edit that always says something; a key that it sets it may take away again, whether there was one or not."""
    changes = {key: value for key, value in {"then": then, "when": when, **more}.items() if value}
    paths = [f"then.{key}" for key in then if key in _TAKEN_AWAY]
    paths += [f"when.{key}" for key in when if key != "event"] + [
        key for key in more if key in ("mode", "expires", "despite")
    ]
    unset = paths[which % (len(paths) + 1) :][:1]
    said: dict[str, Any] = {"set": changes or {"note": "edited"}}
    return Said(kind, which, {**said, "unset": unset} if unset else said)


which_of_its_kind = st.sampled_from(
    [0, 0, 0, 1, 1, 2, 3, 4, 5]
)  # so that files, and their blocks, often mean the same rule
rules_said = st.one_of(
    [
        st.builds(
            _rule,
            st.just(kind),
            which_of_its_kind,
            then,
            _whens[kind],
            _seldom(**_MODES, owner=st.just("ops"), examples=_examples, counterexamples=_examples),
        )
        for kind, then in _THENS.items()
    ]
)
edits_said = st.one_of(
    [
        st.builds(
            _edit,
            st.just(kind),
            which_of_its_kind,
            then,
            st.just({}) | _conditions(_CLOSED | (_EVENTS if kind == "event" else {}), 1),
            _seldom(**_MODES),
        )
        for kind, then in _MORE.items()
    ]
)
