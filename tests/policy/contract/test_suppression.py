"""Entries and states as JSON: what was written is read as it was; an address is enough; mistakes are named."""

import json
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.contract import (
    ContractError,
    read_suppression,
    write_progress,
    write_suppression,
    write_suspension,
    write_watch,
)
from policy.decision import RuleRef, Scope
from policy.diagnosis.category import Category
from policy.guard import Watch
from policy.history import Entry, EntryState, Source, Suppression, Suspension
from policy.testing import values


def listed() -> st.SearchStrategy[Suppression]:
    """Entries as a list holds them: of an address or a domain, from anybody, in any state."""
    targets = st.one_of(
        st.tuples(values.domains(), st.just(Scope.DOMAIN)),
        st.tuples(values.addresses().map(lambda address: address.key), st.just(Scope.ADDRESS)),
    )
    names = st.one_of(st.just(""), values.names())
    edits = st.lists(st.sampled_from(["my.yaml:3", "a b.yaml:14"]), max_size=2).map(tuple)
    return st.builds(
        lambda entry, target, **rest: attrs.evolve(
            entry, target=target[0], scope=target[1], rule=attrs.evolve(entry.rule, edited=rest.pop("edited")), **rest
        ),
        values.suppressions(),
        targets,
        edited=edits,
        source=st.sampled_from(Source),
        state=st.sampled_from(EntryState),
        provider=names,
        note=names,
    )


@given(listed())
def test_reading_a_written_suppression_gives_the_same_one(suppression: Suppression) -> None:
    written = json.loads(json.dumps(write_suppression(suppression)))
    assert read_suppression(written, now=datetime(2001, 1, 1, tzinfo=UTC)) == suppression


def test_an_address_alone_is_an_import_from_now_on_for_ever() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    address, domain = (read_suppression({"address": each}, now=now) for each in ("Jo@X.example", "X.example"))
    assert (address.target, address.scope, domain.target, domain.scope) == (
        "jo@x.example",
        Scope.ADDRESS,
        "x.example",
        Scope.DOMAIN,
    )
    assert (address.since, address.expires_at, address.source) == (now, None, Source.IMPORT)
    assert address.active(now)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "an entry is a JSON object"),
        ({}, "`address` is needed"),
        ({"adress": "jo@x.example"}, "unknown key `adress`; did you mean `address`?"),
        ({"address": "jo@"}, "`address`: `jo@` is not a mail address"),
        ({"address": ["jo@x.example"]}, "`address` must be a string"),
        ({"address": "jo@x.example", "scope": "domain"}, "`address`: `jo@x.example` is not a domain"),
        ({"address": "jo@x.example", "strength": "stong"}, "unknown strength `stong`; did you mean `strong`?"),
        ({"address": "jo@x.example", "since": "today"}, "`since`: `today` is not an RFC 3339 time"),
        ({"address": "jo@x.example", "rule": "r"}, "`rule` must be an object"),
        ({"address": "jo@x.example", "rule": {"id": "r", "line": True}}, "`rule.line` must be a whole number"),
        ({"address": "jo@x.example", "rule": {"name": "r"}}, "`rule`: unknown key `name`"),
        ({"address": "jo@x.example", "rule": {"id": 7}}, "`rule.id` must be a string"),
        ({"address": "jo@x.example", "rule": {"id": "r", "edited": "a:1"}}, "`rule.edited` must be an array"),
    ],
)
def test_a_mistake_of_a_suppression_is_named(document: object, message: str) -> None:
    with pytest.raises(ContractError) as caught:
        read_suppression(document, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert message in str(caught.value)


@given(values.moments(), values.moments(), values.rule_refs(), st.integers(1, 9))
def test_states_are_written_with_their_kind_first(since: datetime, until: datetime, rule: RuleRef, times: int) -> None:
    suspension = Suspension(
        target="a>b", rule=rule, reason=Category.RATE_LIMITED, since=since, until=until, times=times
    )
    written = write_suspension(suspension)
    assert " ".join(written) == "kind target reason rule since until times well_at"
    watch = write_watch(Watch(key="b", open_since=since))
    assert " ".join(watch) == "kind target since failing probes"
    assert (written["since"], watch["since"], write_watch(Watch(key="b"))["since"]) == (watch["since"],) * 2 + (None,)
    assert json.loads(json.dumps([written, watch])) == [written, watch]


@given(values.entries())
def test_progress_is_written_as_why_shows_it(entry: Entry) -> None:
    written = write_progress(entry.progress)
    assert " ".join(written) == (
        "attempts first_attempt_at last_at action final retry_at custody guarded frozen route deliver_by"
    )
    assert json.loads(json.dumps(written)) == written
