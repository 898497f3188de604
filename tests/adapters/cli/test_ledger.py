"""`mailverdict log`: cut to what is meant, and followed without losing or repeating a line."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from adapters.cli import ledger
from adapters.cli.ledger import LATE, Filter, Tail
from adapters.stores.memory import MemoryStore
from policy.history import Entry
from policy.testing.store_lines import START, entry

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
TOLD = [
    {"attempt_id": "a0", "reply": "250 ok", "recipient": "ann@x.example", "now": "2026-01-01T09:00:00Z"},
    {"attempt_id": "a1", "reply": "550 5.1.1 no", "recipient": "bo@x.example", "now": "2026-01-01T10:00:00Z"},
    {"attempt_id": "a2", "reply": "550 5.1.1 no", "recipient": "cy@sub.x.example", "now": "2026-01-01T11:00:00Z"},
    {"attempt_id": "a3", "reply": "450 4.2.1 later", "recipient": "bo@x.example", "now": "2026-01-01T12:00:00Z"},
]


@pytest.fixture
def observe(run: Run, lines: Lines) -> Callable[..., None]:
    """Record attempts at RCPT."""
    return lambda *told: run("observe", "--batch", lines(*({"command": "RCPT", **each} for each in told)), *STORE)


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ((), ["a0", "a1", "a2", "a3"]),
        (("--recipient", "BO@x.example"), ["a1", "a3"]),
        (("--domain", "X.example"), ["a0", "a1", "a3"]),
        (("--rule", "no-such-mailbox"), ["a1", "a2"]),
        (("--since", "2026-01-01T10:00:00Z"), ["a1", "a2", "a3"]),
        (("--since", "1h30m", "--now", "2026-01-01T12:00:00Z"), ["a2", "a3"]),
        (("--domain", "x.example", "--since", "2026-01-01T10:00:00Z", "--last", "1"), ["a3"]),
        (("--rule", "no-such-rule"), []),
    ],
)
def test_the_log_is_cut_to_what_is_meant(
    words: tuple[str, ...], ids: list[str], observe: Any, document: Document, run: Run
) -> None:
    observe(*TOLD)
    logged = document("log", *words, *STORE)
    assert [each["id"] for each in logged] == ids
    assert run("log", *words, "--format", "json", *STORE).stdout == json.dumps(logged, indent=2) + "\n"
    assert run("log", *words, *STORE).stdout.count("@") >= len(ids)


def test_a_name_that_is_no_domain_is_a_usage_error(run: Run) -> None:
    assert "not a domain" in run("log", "--domain", "a b", "--store", "memory:", status=2).stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_followed_log_shows_each_line_once_as_it_comes(
    form: str, observe: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe(*TOLD[:2])
    comes = iter(([], TOLD[2:3], TOLD[:3], TOLD[3:]))
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        told = next(comes, None)
        if told is None:
            raise KeyboardInterrupt
        if told:
            observe(*told)

    monkeypatch.setattr(ledger.time, "sleep", sleep)
    shown = run("log", "--follow", "--last", "1", "--domain", "x.example", "--format", form, *STORE).stdout
    first, second = shown.splitlines()  # not the one of another domain, and none twice
    assert ("550 5.1.1" in first, "450 4.2.1" in second) == (True, True)
    assert all(each >= 1 for each in waits)
    assert len(waits) == 5


def at(hours: float, name: str) -> Entry:
    return entry(name, at=START + timedelta(hours=hours))


@given(
    st.lists(st.tuples(st.floats(0, 0.9), st.integers(0, 3)), max_size=12),
    st.lists(st.floats(10, 20), max_size=2),
)
def test_every_line_is_fresh_once_however_late_within_the_hour_and_whatever_clock_is_wrong(
    told: list[tuple[float, int]], future: list[float]
) -> None:
    tail, kept, seen = Tail(), [at(hours, f"f{n}") for n, hours in enumerate(future)], []
    now = START + timedelta(hours=1)
    for look in range(4):
        kept += [at(hours, f"a{n}") for n, (hours, when) in enumerate(told) if when == look]
        seen += tail.fresh(sorted(kept, key=lambda each: (each.at, each.attempt_id)), now)
    assert sorted(each.attempt_id for each in seen) == sorted(each.attempt_id for each in kept)


def a_store(lines: list[Entry]) -> MemoryStore:
    store = MemoryStore()
    with store.unit() as unit:
        for line in lines:
            unit.commit(line)
    return store


@given(
    st.lists(st.floats(-10_000, 100), max_size=12),
    st.integers(1, 5),
    st.none() | st.floats(-10_000, 100),
    st.sampled_from([None, "r", "other"]),
)
def test_the_newest_lines_are_the_last_of_all_that_are_meant(
    hours: list[float], count: int, since: float | None, rule: str | None
) -> None:
    store = a_store([at(each, f"a{n}") for n, each in enumerate(hours)])
    chosen = Filter(rule=rule, since=None if since is None else START + timedelta(hours=since))
    meant = [each for each in store.entries(since=chosen.since) if rule in (None, each.decision.rule.id)]
    assert list(chosen.newest(store, count)) == meant[-count:]


def test_the_newest_lines_are_found_without_the_old_ones() -> None:
    store = a_store([at(-n, f"a{n}") for n in range(5000)])
    asked: list[int] = []

    class Counted(MemoryStore):
        def entries(self, **cut: Any) -> Any:
            found = list(store.entries(**cut))
            asked.append(len(found))
            return iter(found)

    assert [each.attempt_id for each in Filter().newest(Counted(), 3)] == ["a2", "a1", "a0"]
    assert asked == [3]


def test_a_log_that_is_followed_from_its_newest_line_shows_no_older_one_as_new(
    observe: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe(*TOLD, {**TOLD[0], "attempt_id": "a4", "now": "2026-01-01T12:30:00Z"})
    looks = iter((0, 0))

    def sleep(_: float) -> None:
        if next(looks, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(ledger.time, "sleep", sleep)
    shown = run("log", "--follow", "--last", "1", "--format", "json", *STORE).stdout
    assert [json.loads(line)["id"] for line in shown.splitlines()] == ["a4"]


def test_what_is_remembered_to_follow_stays_bounded() -> None:
    tail = Tail()
    many = [at(n / 10, f"a{n}") for n in range(1000)]
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert len(list(tail.fresh(many, now))) == 1000
    (remembered,) = (value for value in attrs.astuple(tail, recurse=False) if isinstance(value, dict))
    assert len(remembered) <= LATE / timedelta(hours=0.1) + 2
    assert list(tail.fresh(many, now)) == []
    late = [at(99, "late"), at(50, "too late")]
    assert [each.attempt_id for each in tail.fresh(itertools.chain(many, late), now)] == ["late"]
