"""How a store cuts its ledger to what is meant, and what it forgets when it is told to.

A part of the contract of `policy.testing.store_contract`, which brings the fixtures.
"""

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress as swallowed
from datetime import datetime
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from policy.decision import Delivered, Scope, Strength, Suspend, Trigger
from policy.guard import Failing, Watch
from policy.history import Entry, EntryState, History, HistoryKey
from policy.ledger import place
from policy.ports import Store
from policy.retention import ERASED, KINDS
from policy.testing.store_lines import (
    DOMAIN,
    HOUR,
    JO,
    KEY,
    MINUTE,
    PAIR,
    START,
    commit,
    entry,
    history,
    note,
    small_effects,
    strike,
    suppress,
)

# `make_store` is one fixture for all examples, but each example makes a store of its own.
_FRESH = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)
_IDS = ("a", "b", 'c"}')
_RECIPIENTS = ("", JO, "ed@example.org", "jo@sub.example.org", '"x@y"@example.org', "jü@example.org")
_DOMAINS = (DOMAIN, "sub.example.org", "y", "")
_MESSAGES = ("m", "n", "\u00fc\U0001f600", '\\"}{,"message":"m"', '"progress":{"message":"m"')
_TIMES = tuple(START + n * MINUTE for n in range(4))
_LATER = START + HOUR


@st.composite
def _ledgers(draw: st.DrawFn) -> list[Entry]:
    """Draw lines of distinct keys, whose times, recipients and messages meet; some messages are not settled."""
    keys = draw(st.sets(st.tuples(st.sampled_from(_IDS), st.sampled_from(_RECIPIENTS)), max_size=8))
    lines = []
    for attempt_id, recipient in sorted(keys):
        effects = draw(st.lists(small_effects(), max_size=2))
        line = entry(attempt_id, *effects, at=draw(st.sampled_from(_TIMES)), message=draw(st.sampled_from(_MESSAGES)))
        progress = evolve(line.progress, recipient=recipient, final=draw(st.booleans()))
        lines.append(evolve(line, recipient=recipient, progress=progress))
    return draw(st.permutations(lines))


_ASKED: dict[str, Sequence[Any]] = {
    "since": _TIMES,
    "until": _TIMES,
    "recipient": _RECIPIENTS,
    "domain": _DOMAINS,
    "message": _MESSAGES,
    "attempt": _IDS,
    "after": tuple(itertools.product(_TIMES, _IDS, _RECIPIENTS)),
}
_EACH_ALONE = [{name: value} for name, values in _ASKED.items() for value in (None, *values)]


def _each_alone() -> list[Entry]:
    """A line of each recipient, with the messages in turn."""
    lines = [entry("a", at=_TIMES[n % 4], message=_MESSAGES[n % 5]) for n in range(len(_RECIPIENTS))]
    return [evolve(line, recipient=recipient) for line, recipient in zip(lines, _RECIPIENTS, strict=True)]


def _cuts() -> st.SearchStrategy[dict[str, Any]]:
    """What may be asked of `entries`: a few things at once, since of many nothing is left."""
    names = st.sets(st.sampled_from(sorted(_ASKED)), max_size=3)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: st.sampled_from(_ASKED[name]) for name in sorted(chosen)})
    )


def _is_meant(line: Entry, cut: dict[str, Any]) -> bool:
    fits: dict[str, Callable[[Any], bool]] = {
        "since": lambda at: line.at >= at,
        "until": lambda at: line.at < at,
        "recipient": lambda key: line.recipient == key,
        "domain": lambda name: line.recipient == name or line.recipient.endswith(f"@{name}"),
        "message": lambda message: line.progress.message == message,
        "attempt": lambda attempt: line.attempt_id == attempt,
        "after": lambda place: (line.at, line.attempt_id, line.recipient) > place,
    }
    return all(value is None or fits[name](value) for name, value in cut.items())


class _NotKept(Exception):
    """Ends a unit of which nothing is to stay."""


def pruned(store: Store, before: datetime, *, count: int = 100, keep: bool = True) -> dict[str, int]:
    """Prune each kind to its end, `count` values a unit; return how many values of each went, or would go."""
    removed = dict.fromkeys(KINDS, 0)
    for name, kind in KINDS.items():
        last, more = None, True
        while more:
            with swallowed(_NotKept), store.unit() as unit:
                step = unit.prune(kind, before=before, after=last, count=count)
                if not keep:
                    raise _NotKept
            removed[name] += step.removed
            last, more = step.last, step.last is not None
    return removed


class LedgerContract:
    """The sentences; `reopen`, `make_store` and `store` are those of the `StoreContract`."""

    def reopen(self, store: Store) -> Store:
        """Return the store as someone else finds it."""
        return store

    # -- filters --------------------------------------------------------------------------------------------------

    @example(lines=_each_alone(), cuts=_EACH_ALONE)
    @given(lines=_ledgers(), cuts=st.lists(_cuts(), min_size=1, max_size=8))
    @settings(_FRESH, max_examples=60)
    def test_a_filtered_ledger_is_the_whole_one_filtered(
        self, make_store: Callable[[], Store], lines: list[Entry], cuts: list[dict[str, Any]]
    ) -> None:
        store = make_store()
        with store.unit() as unit:
            for line in lines:
                unit.commit(line)
        whole = list(store.entries())
        for cut in cuts:
            meant = [line for line in whole if _is_meant(line, cut)]
            assert list(store.entries(**cut)) == meant, cut
            for last in (0, 1, 3):
                assert list(store.entries(**cut, last=last)) == meant[len(meant) - min(last, len(meant)) :], (cut, last)

    def test_line_after_line_gives_each_line_once(self, store: Store) -> None:
        commit(store, *(entry(f"a{n}", at=START + (n // 2) * HOUR) for n in range(5)))
        seen: list[Entry] = []
        while line := next(store.entries(after=place(seen[-1]) if seen else None), None):
            seen.append(line)
        assert seen == list(store.entries())

    # -- what is forgotten ----------------------------------------------------------------------------------------

    @given(lines=_ledgers(), minutes=st.integers(0, 5), count=st.integers(1, 4))
    @settings(_FRESH, max_examples=60)
    def test_a_prune_removes_what_is_old_and_over_and_nothing_else(
        self, make_store: Callable[[], Store], lines: list[Entry], minutes: int, count: int
    ) -> None:
        store, before = make_store(), START + minutes * MINUTE
        with store.unit() as unit:
            for line in lines:
                unit.commit(line)
        past = _Past(store, lines)
        would = pruned(store, before, count=count, keep=False)
        assert _Past(store, lines).kept == past.kept
        assert pruned(store, before, count=count) == would
        now = _Past(self.reopen(store), lines)
        assert now.kept == past.after(before)
        assert sum(would.values()) == sum(map(len, past.kept.values())) - sum(map(len, now.kept.values()))
        assert set(pruned(store, before, count=count).values()) == {0}

    def test_what_is_in_force_is_never_forgotten(self, store: Store) -> None:
        waits = entry("a", suppress(), note("a@new.example"), Suspend(target=PAIR, until=_LATER + HOUR))
        waits = evolve(waits, progress=evolve(waits.progress, final=False))
        commit(store, waits, entry("b", suppress(target="ed@example.org", until=_LATER), message="n"))
        known = history(store)
        assert set(pruned(store, _LATER)) == set(KINDS)
        assert (history(store), list(store.entries())) == (known, [waits])
        assert [each.target for each in store.suppressions()] == ["ed@example.org", JO]
        assert len(list(store.forwards())) == 1

    def test_what_was_put_aside_in_an_outage_stays_and_what_was_released_goes(self, store: Store) -> None:
        commit(store, entry("a", suppress(Strength.WEAK)), entry("b", suppress(target="ed@example.org")))
        with store.unit() as unit:
            unit.release(JO)
        pruned(store, _LATER)
        assert [(each.target, each.state) for each in store.suppressions()] == [("ed@example.org", EntryState.ACTIVE)]

    def test_an_attempt_whose_line_is_gone_is_new_when_it_comes_again(self, store: Store) -> None:
        old = entry("a", strike(), Trigger(target=PAIR, rule="r", count=1, needed=2))
        commit(store, old, entry("b", at=_LATER, message="n"))
        assert pruned(store, _LATER) == {
            "ledger": 1, "progress": 1, "strikes": 1, "triggers": 1, "suppressions": 0, "suspensions": 0,
            "throttles": 0,
        }  # fmt: skip
        with store.unit() as unit:
            assert unit.recorded("a", JO) is None
            unit.commit(old)
        with store.unit() as unit, pytest.raises(ValueError, match="`a`"):
            unit.commit(old)
        assert [each.attempt_id for each in store.entries()] == ["a", "b"]

    def test_a_key_may_come_again_in_the_unit_that_forgot_it(self, store: Store) -> None:
        commit(store, entry("a", suppress(until=START)))
        with store.unit() as unit:
            for kind in KINDS.values():
                unit.prune(kind, before=_LATER, after=None, count=9)
            assert unit.history(KEY).suppressions == ()
            assert unit.history(KEY).progress is None
            unit.commit(entry("a", at=_LATER))
            assert unit.undo(since=START, provider=None, rule=None, now=START) == []
        assert [each.at for each in self.reopen(store).entries()] == [_LATER]

    # -- erasing --------------------------------------------------------------------------------------------------

    def test_what_is_erased_is_as_if_it_had_never_been_and_nothing_else_is_gone(self, store: Store) -> None:
        ed, news = "ed@example.org", Scope.STREAM
        spared = [
            evolve(entry("a"), recipient=ed, progress=evolve(entry("a").progress, recipient=ed)),
            entry("d", suppress(target=ed), strike(target=ed), suppress(target=f"{ed}#{JO}#", scope=news), message="n"),
        ]
        spared[1] = evolve(spared[1], recipient=ed, progress=evolve(spared[1].progress, recipient=ed))
        streams = [suppress(target=f"{JO}#{each}", scope=news) for each in ("news", "%", "a#b")]
        commit(
            store, *spared, entry("a", Delivered(target=JO)), entry("b", suppress(), strike(), note("a@new.example"))
        )
        commit(store, entry("c", *streams, suppress(target=DOMAIN, scope=Scope.DOMAIN), message="o"))
        failing = (Failing(JO, DOMAIN, START), Failing(ed, DOMAIN, START))
        with store.unit() as unit:
            unit.watch(Watch(key="google", failing=failing, attempted=failing[:1]))
            assert unit.history(KEY).progress is not None
        with store.unit() as unit:
            counts = unit.erase(JO, suppressions=False)
            assert unit.recorded("a", JO) is None
            assert (unit.history(KEY).progress, unit.history(KEY).forward) == (None, None)
        assert counts == {
            "ledger": 3, "progress": 2, "strikes": 1, "successes": 1, "forwards": 1, "guard": 1, "suppressions": 0,
        }  # fmt: skip
        assert tuple(counts) == ERASED
        kept = len(list(store.suppressions()))
        with store.unit() as unit:
            assert unit.erase(JO, suppressions=True) == {**dict.fromkeys(ERASED, 0), "suppressions": 4}
        seen = self.reopen(store)
        assert list(seen.entries()) == spared
        assert len(list(seen.suppressions())) == kept - 4
        assert {each.target for each in seen.suppressions()} == {ed, DOMAIN, f"{ed}#{JO}#"}
        assert [each.failing for each in seen.watches()] == [failing[1:]]
        with seen.unit() as unit:
            assert unit.erase(JO, suppressions=True) == dict.fromkeys(ERASED, 0)
            known = unit.history(HistoryKey(recipient=JO, message="m"))
            assert known == History()
            theirs = unit.history(HistoryKey(recipient=ed, message="n"))
        assert (len(theirs.strikes), len(theirs.suppressions), theirs.progress) == (1, 1, spared[1].progress)

    def test_an_erasure_that_is_rolled_back_has_erased_nothing(self, store: Store) -> None:
        commit(store, entry("a", suppress(), strike(), note("a@new.example")))
        known, lines = history(store), list(store.entries())
        with swallowed(RuntimeError), store.unit() as unit:
            unit.erase(JO, suppressions=True)
            raise RuntimeError
        assert (history(store), list(store.entries())) == (known, lines)

    def test_other_names_of_a_recipient_are_looked_up_for_what_binds_it(self, store: Store) -> None:
        commit(store, entry("a", suppress(), Delivered(target=JO), suppress(target=f"{JO}#news", scope=Scope.STREAM)))
        key = HistoryKey(recipient="jo@new.example", stream="news", message="m", aliases=("x@x.example", JO))
        with store.unit() as unit:
            unit.foresee([], [key])
            known = unit.history(key)
        assert sorted(each.target for each in known.suppressions) == [JO, f"{JO}#news"]
        assert known.last_success == START
        assert known.progress == entry("a").progress


class _Past:
    """All that a store shows of what a prune may touch, told apart by kind."""

    def __init__(self, store: Store, lines: list[Entry]) -> None:
        keys = sorted({(line.progress.message, line.recipient) for line in lines})
        with store.unit() as unit:
            told = [unit.history(_key(recipient, message)) for message, recipient in keys]
            targets = [unit.history(_key(target, None)) for target in (JO, DOMAIN, "ed@example.org")]
        self.kept: dict[str, list[Any]] = {
            "ledger": list(store.entries()),
            "progress": [each.progress for each in told if each.progress is not None],
            "strikes": [strike for each in targets for strike in each.strikes],
            "triggers": list(targets[0].triggers),
            "suppressions": list(store.suppressions()),
            "suspensions": list(store.suspensions()),
            "throttles": list(store.throttlings()),
        }

    def after(self, before: datetime) -> dict[str, list[Any]]:
        """What must be left of it."""
        waits = {(each.message, each.recipient) for each in self.kept["progress"] if not each.final}
        stays: dict[str, Callable[[Any], bool]] = {
            "ledger": lambda e: e.at >= before or (e.progress.message, e.recipient) in waits,
            "progress": lambda p: not p.final or p.last_at >= before,
            "strikes": lambda s: s.at >= before,
            "triggers": lambda t: t.at >= before,
            "suppressions": lambda s: (
                (s.state is not EntryState.RELEASED or s.since >= before)
                and (s.state is EntryState.RELEASED or s.expires_at is None or s.expires_at >= before)
            ),
            "suspensions": lambda s: s.until >= before,
            "throttles": lambda s: s.until >= before,
        }
        return {name: [each for each in values if stays[name](each)] for name, values in self.kept.items()}


def _key(recipient: str, message: str | None) -> HistoryKey:
    return HistoryKey(recipient=recipient, message=message, destinations=(PAIR,))
