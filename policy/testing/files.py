"""Hypothesis strategies for what operators write: whole rules files, and stacks of them, that always load.

They use all of the language, however wickedly: they map a 250 to a bounce and suppress for a refused MAIL. Words are
few, so that rules, scopes and layers meet often. The kind of a rule (`_KINDS`) says which modifiers it may have; every
layer's rule of one id is of one kind, so that an `override` fits whatever it edits.
"""

import json
from collections.abc import Container, Iterator, Sequence
from enum import Enum
from typing import Any

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policy.attempt import Command, Custody, Failure
from policy.decision import Scope, Strength
from policy.diagnosis.category import Category, Fault, Weight
from policy.rules.policy import Policy
from policy.rules.source import RulesFile, build_policy

_KINDS = {  # of the shipped rules, those that decide most often, and those under them
    "retry": ("unknown-4yz", "not-reached", "class-4yz"),
    "hard-bounce": ("no-such-mailbox", "probably-no-such-mailbox"),
    "plain": ("yes-so-far", "understood-5yz", "unknown-5yz", "class-5yz"),
}
_SHIPPED = frozenset(id_ for ids in _KINDS.values() for id_ in ids)
_OWN = ("one", "two")  # as `own-retry-one`

_SPANS = ("1s", "90s", "5m", "1h30m", "4h", "1d", "4d", "90d", "3650d")
_SECONDS = (1, 90, 300, 5400, 14400, 86400, 345600, 7776000, 315360000)
_DAYS = ("2026-02-20", "2026-03-01", "2026-03-02", "2030-01-01")  # before, at and after `scenarios.NOW`
_DOMAINS = ("example.org", "sub.example.org", "org", "gmail.com", "bücher.example", "[192.0.2.1]")
_PROVIDERS = ("google", "microsoft", "own-provider")
_NAMED = {
    "schedule": ("standard", "greylist", "uncertain", "own-first", "own-second"),
    "route": ("direct", "own-route"),
}
_STREAMS = ("bulk", "otp")


def _words(kind: type[Enum]) -> list[str]:
    return [member.value for member in kind]


def _some(values: Sequence[str]) -> SearchStrategy[Any]:
    """One value of a condition, or a list of them."""
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=3)


def _maybe(**keys: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


_flag = st.booleans()
_spans = st.sampled_from(_SPANS)
_span_numbers = st.integers(0, len(_SPANS) - 1)


# ---- conditions ------------------------------------------------------------------------------------------------------


def _both_ends(low: int, wide: int) -> dict[str, Any]:
    return {"min": low, "max": low + wide}


_attempt_spans = st.builds(_both_ends, st.integers(1, 3), st.integers(0, 3))
_age_spans = st.tuples(_span_numbers, _span_numbers).map(
    lambda ends: {"min": _SPANS[min(ends)], "max": _SPANS[max(ends)]}
)
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
    "domain": _some((*_DOMAINS, "=example.org", "*.example.org", "*.org")),
    "sender_domain": _some(("sender.example", "*.example", "=other.example")),
    "mx": _some(("google.com", "*.example.org", "=mx.example.org", "net")),
    "provider": _some(_PROVIDERS),
    "attempt": st.integers(1, 3) | _attempt_spans | st.lists(_attempt_spans, min_size=1, max_size=2),
    "age": _age_spans | st.lists(_age_spans, min_size=1, max_size=2),
    "stream": _some(_STREAMS),
    "tag": _some(("kind=news", "kind=bill")),
    "custody": _some(_words(Custody)),
    "recipients": _some(("one", "several")),
    "null_sender": _flag,
    "forward_path": _flag,
    "void": _flag,
    "split_before": _flag,
    "delivered_before": _flag,
}
_ANY = _CLOSED | {
    "attempt": _CLOSED["attempt"] | st.sampled_from([{"min": 2}, {"max": 2}]),
    "age": _CLOSED["age"] | _maybe(min=_spans).filter(bool) | _maybe(max=_spans).filter(bool),
}


def _conditions(keys: dict[str, SearchStrategy[Any]], most: int) -> SearchStrategy[dict[str, Any]]:
    return st.lists(st.one_of([st.tuples(st.just(key), each) for key, each in keys.items()]), max_size=most).map(dict)


_whens = st.builds(
    lambda when, none: {**when, **({"not": none} if none else {})},
    _conditions(_ANY, 2),
    st.just({}) | st.just({}) | _conditions(_ANY, 2),
)


# ---- rules and edits -------------------------------------------------------------------------------------------------


def _strikes(strikes: int, apart: int, within: int) -> dict[str, Any]:
    """Terms that the loader takes: so many strikes, so far apart, fit into `within`."""
    within = max(within, apart)
    if _SECONDS[apart] * (strikes - 1) > _SECONDS[within]:
        return {}
    return {"strikes": strikes, "apart": _SPANS[apart], "within": _SPANS[within]}


_counts = st.builds(_strikes, st.sampled_from([1, 2, 2, 3]), st.integers(0, 5), _span_numbers)
_terms = {"scope": st.sampled_from(_words(Scope)), "strength": st.sampled_from(_words(Strength)), "for": _spans}
_suppress = st.builds(lambda counts, others: counts | others, _counts, _maybe(**_terms))
_ALWAYS: dict[str, SearchStrategy[Any]] = {
    "suspend": st.builds(lambda span, more: {"for": span} | more, _spans, st.sampled_from([{}, {"after": "3 in 1h"}])),
    "alert": st.sampled_from(["ops", "page"]),
    "remedy": st.just("Ask the postmaster."),
}
_RETRYING: dict[str, SearchStrategy[Any]] = {
    "schedule": st.sampled_from(_NAMED["schedule"]),
    "route": st.sampled_from(_NAMED["route"]),
    "split": _flag,
    "reconnect": _flag,
}
_plain_actions = st.sampled_from(["accept", "accept-and-note-forward", "hold", "bounce", "discard", "retry"])
_THENS = {
    "retry": st.fixed_dictionaries(
        {"action": st.just("retry")}, optional={**_ALWAYS, **_RETRYING, "suppress": _suppress}
    ),
    "hard-bounce": st.fixed_dictionaries({"action": st.just("hard-bounce"), "suppress": _suppress}, optional=_ALWAYS),
    "plain": st.fixed_dictionaries({"action": _plain_actions}, optional=_ALWAYS),
}
# What may be laid over any rule of the kind.
_MORE = {
    "retry": _maybe(**_ALWAYS, **_RETRYING, suppress=_maybe(**_terms)),
    "hard-bounce": _maybe(**_ALWAYS, suppress=_maybe(**_terms)),
    "plain": _maybe(**_ALWAYS, action=_plain_actions),
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
    return st.one_of(st.just({}), st.just({}).map(dict), _maybe(**keys))


@frozen
class _Said:
    """A rule, or an edit of one, before it has an id: which of its kind, and what it says."""

    kind: str
    which: int
    said: dict[str, Any]


def _rule(kind: str, which: int, then: dict[str, Any], when: dict[str, Any], more: dict[str, Any]) -> _Said:
    return _Said(kind, which, {"when": when, "then": then, **more})


def _edit(kind: str, which: int, then: dict[str, Any], when: dict[str, Any], more: dict[str, Any]) -> _Said:
    """An edit that always says something; a key that it sets it may take away again, whether there was one or not."""
    changes = {key: value for key, value in {"then": then, "when": when, **more}.items() if value}
    paths = [f"then.{key}" for key in then if key in ("alert", "remedy", "suspend", "schedule", "route")]
    paths += [f"when.{key}" for key in when] + [key for key in more if key in ("mode", "expires", "despite")]
    unset = paths[which % (len(paths) + 1) :][:1]
    said: dict[str, Any] = {"set": changes or {"note": "edited"}}
    return _Said(kind, which, {**said, "unset": unset} if unset else said)


_which = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 5])  # so that files, and their blocks, often mean the same rule
_rules = st.one_of(
    [
        st.builds(
            _rule,
            st.just(kind),
            _which,
            then,
            _whens,
            _seldom(**_MODES, owner=st.just("ops"), examples=_examples, counterexamples=_examples),
        )
        for kind, then in _THENS.items()
    ]
)
_edits = st.one_of(
    [
        st.builds(_edit, st.just(kind), _which, then, st.just({}) | _conditions(_CLOSED, 1), _seldom(**_MODES))
        for kind, then in _MORE.items()
    ]
)


# ---- blocks and files ------------------------------------------------------------------------------------------------


def _schedule(waits: list[int], longest: int | None, rest: dict[str, Any]) -> dict[str, Any]:
    schedule: dict[str, Any] = {"waits": [_SPANS[each] for each in waits], **rest}
    if longest is not None:
        schedule["longest"] = _SPANS[max(longest, waits[-1])]
    return schedule


_schedules = st.builds(
    _schedule,
    st.lists(_span_numbers, min_size=1, max_size=3),
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
_strengths = st.fixed_dictionaries({"for": _spans}) | st.fixed_dictionaries(
    {"for": _spans, "again_apart": _spans, "again": _spans}
)
_route_to = st.sampled_from(["smtp://relay.example.net:587", "lmtp://[192.0.2.9]", "mx"])
_BLOCK: dict[str, SearchStrategy[Any]] = {
    "rules": st.lists(_rules, min_size=1, max_size=2),
    "override": st.lists(_edits, min_size=1, max_size=2),
    "disable": st.lists(_which, min_size=1, max_size=2),
    "defaults": _maybe(**{key: st.sampled_from(names) for key, names in _NAMED.items()}),
    "schedules": st.dictionaries(st.sampled_from(_NAMED["schedule"]), _schedules, min_size=1, max_size=2),
    "routes": st.dictionaries(st.sampled_from(_NAMED["route"]), st.fixed_dictionaries({"to": _route_to}), min_size=1),
    "streams": st.dictionaries(
        st.sampled_from(_STREAMS), st.fixed_dictionaries({"give_up": _spans}), min_size=1, max_size=2
    ),
    "suppression": _maybe(weak=_strengths, strong=_strengths),
}
_sections = st.one_of([st.tuples(st.just(key), each) for key, each in _BLOCK.items()])
_blocks = st.builds(
    lambda sections, edits: {**dict(sections), **edits},
    st.lists(_sections, min_size=1, max_size=2),
    _maybe(override=_BLOCK["override"]),
)
_documents = st.fixed_dictionaries(
    {
        "mailverdict": st.just(1),
        "extends": st.sampled_from(["shipped", "shipped", "none"]),
        "schedules": st.fixed_dictionaries({"own-first": _schedules, "own-second": _schedules}),
        "routes": st.just({"own-route": {"to": "smtp://relay.example.net:587"}}),
        "rules": st.lists(_rules, min_size=1, max_size=3),
    },
    optional={
        "override": _BLOCK["override"],
        "disable": _BLOCK["disable"],
        "defaults": _BLOCK["defaults"],
        "streams": _BLOCK["streams"],
        "suppression": _BLOCK["suppression"],
    },
)
_own_provider = st.builds(
    lambda where, block: {**where, **block},
    st.sampled_from([{"domains": ["example.org"], "mx": ["mx.example.org"]}, {"mx": "example.org", "names": ["mine"]}]),
    st.just({}) | _blocks,
)
_scoped = st.fixed_dictionaries(
    {"providers": st.builds(lambda own, more: {"own-provider": own, **more}, _own_provider, _maybe(google=_blocks))},
    optional={"domains": st.dictionaries(st.sampled_from(_DOMAINS), _blocks, min_size=1, max_size=3)},
)
_files = st.builds(lambda document, scoped: document | scoped, _documents, _scoped)


def _names(kind: str) -> list[str]:
    """Ids of a kind."""
    return [*_KINDS[kind], *(f"own-{kind}-{each}" for each in _OWN)]


def _free(kind: str, which: int, free: Container[str]) -> str | None:
    """The id that `which` means, or the next one that is free."""
    names = _names(kind)
    turned = names[which % len(names) :] + names[: which % len(names)]
    return next((name for name in turned if name in free), None)


def _blocks_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (document, *document["providers"].values(), *document.get("domains", {}).values())


def _named(document: dict[str, Any], below: frozenset[str]) -> tuple[dict[str, Any], frozenset[str]]:
    """The document with ids for its rules and edits, and all ids that are known above it."""
    own: set[str] = set()
    every = [name for kind in _KINDS for name in _names(kind)]
    rules: dict[int, list[dict[str, Any]]] = {}
    for place, block in enumerate(_blocks_of(document)):
        for each in block.get("rules", ()):
            id_ = _free(each.kind, each.which, [name for name in every if name not in own])
            if id_ is not None:
                own.add(id_)
                rules.setdefault(place, []).append({"id": id_, **each.said})
    blocks = []
    for place, block in enumerate(_blocks_of(document)):
        edits = [(_free(each.kind, each.which, below - own), each.said) for each in block.get("override", ())]
        known = sorted(below)
        said: dict[str, Any] = {
            "rules": rules.get(place),
            "override": [{"id": id_, **said} for id_, said in edits if id_ is not None],
            "disable": [known[each * 7 % len(known)] for each in block.get("disable", ())],
        }
        blocks.append({**{k: v for k, v in block.items() if k not in said}, **{k: v for k, v in said.items() if v}})
    everyone, *scoped = blocks
    for section in ("providers", "domains"):
        names = list(document.get(section, ()))
        if names:
            everyone[section] = dict(zip(names, scoped, strict=False))
            del scoped[: len(names)]
    return everyone, below | own


def _texts(documents: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    texts: list[str] = []
    below = _SHIPPED
    for document in documents:
        written, below = _named(document, below)
        texts.append(json.dumps(written, indent=1, ensure_ascii=False))  # which is YAML too
    return tuple(texts)


@st.composite  # so that a failing example is shown as text
def _stacks(draw: st.DrawFn, most: int) -> tuple[str, ...]:
    return _texts(draw(st.lists(_files, min_size=1, max_size=most)))


_stack = _stacks(3)
_single = _stacks(1).map(lambda texts: texts[0])


def operator_files() -> SearchStrategy[str]:
    """Texts of rules files that load over the shipped ones."""
    return _single


def operator_stacks() -> SearchStrategy[tuple[str, ...]]:
    """One to three texts of rules files that load over each other, the last one on top, and over the shipped ones."""
    return _stack


def operator_policy(*texts: str) -> Policy:
    """Return the policy of operator files, the last one on top, over the shipped rules.

    Draw the texts and build the policy in the test: a failing example is then shown as files and not as their insides.
    """
    return build_policy(named_files(texts))


def named_files(texts: Sequence[str]) -> list[RulesFile]:
    """The texts as files `operator.yaml`, `operator-2.yaml` and so on."""
    names = ("operator.yaml", *(f"operator-{number}.yaml" for number in range(2, len(texts) + 1)))
    return [RulesFile(name, text.encode()) for name, text in zip(names, texts, strict=False)]
