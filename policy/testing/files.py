"""Hypothesis strategies for what operators write: whole rules files, and stacks of them, that always load.

Words are few, so that rules, scopes and layers meet often. What the rules of a file say is drawn by
`policy.testing.rules`; here they get their ids and their places.
"""

import json
from collections.abc import Container, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policy.rules.policy import Policy
from policy.rules.source import RulesFile, build_policy
from policy.testing.rules import (
    DOMAINS,
    KINDS,
    NAMED,
    RATES,
    SPANS,
    STREAMS,
    edits_said,
    flags,
    maybe,
    rules_said,
    span_numbers,
    spans,
    which_of_its_kind,
)

_OWN = ("one", "two")  # as `own-retry-one`
_SHIPPED = frozenset(id_ for ids in KINDS.values() for id_ in ids)


def _schedule(waits: list[int], longest: int | None, rest: dict[str, Any]) -> dict[str, Any]:
    schedule: dict[str, Any] = {"waits": [SPANS[each] for each in waits], **rest}
    if longest is not None:
        schedule["longest"] = SPANS[max(longest, waits[-1])]
    return schedule


_schedules = st.builds(
    _schedule,
    st.lists(span_numbers, min_size=1, max_size=3),
    st.none() | span_numbers,
    st.fixed_dictionaries(
        {"give_up": spans},
        optional={
            "factor": st.sampled_from([1, 2, 3, 10, 100]),
            "spread": st.sampled_from(["0%", "20%", "99%"]),
            "tries": st.integers(1, 5),
            "hint": spans,
        },
    ),
)
_strengths = st.fixed_dictionaries({"for": spans}) | st.fixed_dictionaries(
    {"for": spans, "again_apart": spans, "again": spans}
)
_SPARED = (
    "jo@example.org", "JO@sub.example.org", "spam@x.example", "jo@bücher.example", "example.org", "=example.org",
    "*.example.org", "org", "=sub.example.org", "gmail.com", "=bücher.example", "[192.0.2.1]",
)  # fmt: skip
_spared = st.sampled_from(_SPARED) | st.lists(st.sampled_from(_SPARED), min_size=1, max_size=4)
_limits = st.fixed_dictionaries({"rate": st.sampled_from(RATES)})
_route_to = st.sampled_from(["smtp://relay.example.net:587", "lmtp://[192.0.2.9]", "mx"])
_BLOCK: dict[str, SearchStrategy[Any]] = {
    "rules": st.lists(rules_said, min_size=1, max_size=2),
    "override": st.lists(edits_said, min_size=1, max_size=2),
    "disable": st.lists(which_of_its_kind, min_size=1, max_size=2),
    "defaults": maybe(**{key: st.sampled_from(names) for key, names in NAMED.items()}),
    "schedules": st.dictionaries(st.sampled_from(NAMED["schedule"]), _schedules, min_size=1, max_size=2),
    "routes": st.dictionaries(st.sampled_from(NAMED["route"]), st.fixed_dictionaries({"to": _route_to}), min_size=1),
    "limits": st.dictionaries(st.sampled_from(NAMED["limit"]), _limits, min_size=1, max_size=2),
    "streams": st.dictionaries(st.sampled_from(STREAMS), maybe(give_up=spans, wanted=flags), min_size=1, max_size=2),
    "suppression": maybe(weak=_strengths, strong=_strengths),
}
_sections = st.one_of([st.tuples(st.just(key), each) for key, each in _BLOCK.items()])
_blocks = st.builds(
    lambda sections, edits: {**dict(sections), **edits},
    st.lists(_sections, min_size=1, max_size=2),
    maybe(override=_BLOCK["override"]),
)
_documents = st.fixed_dictionaries(
    {
        "mailverdict": st.just(1),
        "extends": st.sampled_from(["shipped", "shipped", "none"]),
        "schedules": st.fixed_dictionaries({"own-first": _schedules, "own-second": _schedules}),
        "routes": st.just({"own-route": {"to": "smtp://relay.example.net:587"}}),
        "limits": st.fixed_dictionaries({"own-slow": _limits, "own-fast": _limits}),
        "rules": st.lists(rules_said, min_size=1, max_size=3),
    },
    optional={
        "override": _BLOCK["override"],
        "disable": _BLOCK["disable"],
        "defaults": _BLOCK["defaults"],
        "streams": _BLOCK["streams"],
        "suppression": _BLOCK["suppression"],
        "never_suppress": _spared,
    },
)
_own_provider = st.builds(
    lambda where, block: {**where, **block},
    st.sampled_from([{"domains": ["example.org"], "mx": ["mx.example.org"]}, {"mx": "example.org", "names": ["mine"]}]),
    st.just({}) | _blocks,
)
_scoped = st.fixed_dictionaries(
    {"providers": st.builds(lambda own, more: {"own-provider": own, **more}, _own_provider, maybe(google=_blocks))},
    optional={"domains": st.dictionaries(st.sampled_from(DOMAINS), _blocks, min_size=1, max_size=3)},
)
_files = st.builds(lambda document, scoped: document | scoped, _documents, _scoped)


def _names(kind: str) -> list[str]:
    """Ids of a kind."""
    return [*KINDS[kind], *(f"own-{kind}-{each}" for each in _OWN)]


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
    every = [name for kind in KINDS for name in _names(kind)]
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
