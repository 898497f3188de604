"""The contract of `policy.ports.Store`, sentence by sentence, as a pytest class to inherit from.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def make_store(self, tmp_path): ...     # yield a callable that returns a fresh, empty store at each call

        def reopen(self, store): ...            # what another process would see; the same store if nobody else can

Besides the sentences one by one, any history of units is compared with `store_model`, which only keeps the list of
committed entries and reads everything off it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings

from policy.decision import (
    Delivered,
    RuleRef,
    Scope,
    Strength,
    Suppress,
    Suspend,
)
from policy.diagnosis.category import Category
from policy.history import (
    STRIKES_KEPT,
    Entry,
    EntryState,
    History,
    HistoryKey,
    Suppression,
)
from policy.ports import Store, StoreUnavailable
from policy.testing.ledger_contract import LedgerContract
from policy.testing.state_contract import StateContract
from policy.testing.store_lines import (
    DOMAIN,
    HOUR,
    JO,
    KEY,
    NOTHING,
    PAIR,
    START,
    STREAM,
    commit,
    entry,
    history,
    note,
    several_units,
    strike,
    suppress,
)
from policy.testing.store_model import StoreModel
from policy.testing.values import entries
from policy.text import clean
from policy.throttle import Traffic

MakeStore: TypeAlias = Callable[[], Store]
ACTIVE, RELEASED = EntryState.ACTIVE, EntryState.RELEASED

# `make_store` is one fixture for all examples, but each example makes a store of its own; an example that broke one
# store may well be tried on another; disks have no deadline.
FRESH = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)


class _Crash(Exception):
    """Whatever ends a block early."""


class StoreContract(StateContract, LedgerContract):
    """Inherit, give `make_store`, and override `reopen` where another process sees the same data."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """A callable that returns a fresh store at each call."""
        raise NotImplementedError("a store's tests bring their own `make_store`")

    def reopen(self, store: Store) -> Store:
        """Return the store as someone else finds it."""
        return store

    @pytest.fixture
    def store(self, make_store: MakeStore) -> Store:
        """A fresh store."""
        return make_store()

    # -- units ----------------------------------------------------------------------------------------------------

    def test_a_fresh_store_knows_nothing(self, store: Store) -> None:
        traffics = tuple(Traffic(target=each) for each in KEY.destinations)
        assert history(store) == History(traffics=traffics)
        assert (list(store.entries()), list(store.suppressions()), list(store.forwards())) == ([], [], [])
        with store.unit() as unit:
            assert unit.recorded("a", JO) is None

    def test_a_unit_sees_its_own_writes(self, store: Store) -> None:
        with store.unit() as unit:
            unit.commit(entry("a", suppress()))
            assert unit.recorded("a", JO) == entry("a", suppress())
            assert [each.target for each in unit.history(KEY).suppressions] == [JO]

    def test_nobody_sees_a_unit_before_its_end(self, store: Store) -> None:
        with store.unit() as unit:
            unit.commit(entry("a", suppress(), note("a@new.example")))
            assert (list(store.entries()), list(store.suppressions()), list(store.forwards())) == ([], [], [])

    def test_what_was_committed_is_there_for_everyone_after(self, store: Store) -> None:
        commit(store, entry("a", suppress(), note("a@new.example")))
        seen = self.reopen(store)
        assert list(seen.entries()) == [entry("a", suppress(), note("a@new.example"))]
        assert history(seen) == history(store) != History()

    @pytest.mark.parametrize("error", [_Crash, KeyboardInterrupt, GeneratorExit])
    def test_a_unit_that_raises_leaves_nothing(self, store: Store, error: type[BaseException]) -> None:
        effects = suppress(), strike(), note("a@new.example"), Suspend(target=PAIR, until=START)
        before = entry("a", Delivered(target=JO))
        commit(store, before)
        known = history(store)
        with pytest.raises(error), store.unit() as unit:  # noqa: PT012 - what is raised, and after what, is the point
            unit.commit(entry("b", *effects, at=START + HOUR))
            raise error
        assert history(store) == known
        assert list(store.entries()) == [before]

    def test_a_unit_is_over_when_its_block_is(self, store: Store) -> None:
        with store.unit() as unit:
            pass
        with pytest.raises(RuntimeError):
            unit.commit(entry("a"))
        assert list(store.entries()) == []

    def test_a_second_unit_inside_the_first_is_refused_and_the_first_goes_on(self, store: Store) -> None:
        with store.unit() as unit:
            with pytest.raises(RuntimeError), store.unit():
                pass
            unit.commit(entry("a"))
        assert list(store.entries()) == [entry("a")]

    def test_after_close_the_store_is_unavailable_and_close_may_be_repeated(self, store: Store) -> None:
        commit(store, entry("a"))
        store.close()
        store.close()
        with pytest.raises(StoreUnavailable), store.unit():
            pass
        with pytest.raises(StoreUnavailable):
            list(store.entries())

    # -- the ledger -----------------------------------------------------------------------------------------------

    def test_a_repeated_key_is_an_error_and_changes_nothing(self, store: Store) -> None:
        commit(store, entry("a"))
        with store.unit() as unit, pytest.raises(ValueError, match="`a`"):
            unit.commit(entry("a", suppress(), at=START + HOUR))
        assert list(store.entries()) == [entry("a")]
        assert history(store).suppressions == ()

    @given(line=entries())
    @settings(FRESH, max_examples=30)
    def test_any_entry_comes_back_as_it_was(self, make_store: MakeStore, line: Entry) -> None:
        store = make_store()
        commit(store, line)
        with store.unit() as unit:
            assert unit.recorded(line.attempt_id, line.recipient) == line
        assert list(self.reopen(store).entries()) == [line]

    @pytest.mark.parametrize("year", [1970, 2026, 2999])
    def test_times_are_kept_to_the_microsecond_however_far(self, store: Store, year: int) -> None:
        at = datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
        commit(store, entry("a", Delivered(target=JO), Suspend(target=PAIR, until=at), at=at))
        (suspension,) = history(store).suspensions
        assert (history(store).last_success, suspension.until) == (at, at)

    def test_the_ledger_is_listed_by_time_and_then_by_key(self, store: Store) -> None:
        later, first, second = entry("a", at=START + HOUR), entry("b"), entry("c")
        commit(store, later, second, first)
        assert list(store.entries()) == [first, second, later]

    # -- history --------------------------------------------------------------------------------------------------

    def test_parts_whose_key_is_none_stay_empty(self, store: Store) -> None:
        effects = suppress(), strike(), note("a@new.example"), Suspend(target=PAIR, until=START)
        commit(store, entry("a", Delivered(target=JO), *effects))
        assert history(store, NOTHING) == History()

    def test_progress_is_that_of_the_last_entry_of_the_message(self, store: Store) -> None:
        commit(store, entry("a"), entry("bb", at=START + HOUR), entry("ccc", message="n"))
        progress = history(store).progress
        assert progress is not None
        assert (progress.attempts, progress.last_at) == (2, START + HOUR)

    def test_history_holds_the_address_and_its_domain(self, store: Store) -> None:
        wide = suppress(target=DOMAIN, scope=Scope.DOMAIN)
        other = suppress(target="ed@example.org")
        commit(store, entry("a", suppress(), wide, other, strike(), strike(target=DOMAIN), strike(target="ed@x.org")))
        assert [each.target for each in history(store).suppressions] == [JO, DOMAIN]
        assert {each.target for each in history(store).strikes} == {JO, DOMAIN}

    # -- strikes --------------------------------------------------------------------------------------------------

    def test_one_message_strikes_once_for_one_reason_and_the_first_time_stays(self, store: Store) -> None:
        commit(store, entry("a", strike()), entry("b", strike(), at=START + HOUR), entry("c", strike(), message="n"))
        assert [(each.message, each.at) for each in history(store).strikes] == [("m", START), ("n", START)]

    def test_another_reason_is_another_strike(self, store: Store) -> None:
        commit(store, entry("a", strike()), entry("b", strike(Category.BAD_MAILBOX)))
        assert len(history(store).strikes) == 2

    def test_history_holds_the_newest_strikes_of_a_target_oldest_first(self, store: Store) -> None:
        count = STRIKES_KEPT + 5
        lines = [entry(f"a{n}", strike(), message=f"m{n}", at=START + n * HOUR) for n in range(count)]
        with store.unit() as unit:
            for line in reversed(lines):
                unit.commit(line)
        assert [each.at for each in history(store).strikes] == [line.at for line in lines[5:]]

    def test_a_busy_domain_does_not_push_out_the_strikes_of_an_address(self, store: Store) -> None:
        busy = strike(target=DOMAIN, scope=Scope.DOMAIN)
        commit(store, entry("jo", strike()))
        with store.unit() as unit:
            for n in range(STRIKES_KEPT + 5):
                unit.commit(entry(f"a{n}", busy, message=f"m{n}", at=START + (n + 1) * HOUR))
        assert [each.target for each in history(store).strikes].count(JO) == 1

    # -- suppressions ---------------------------------------------------------------------------------------------

    def test_a_suppression_keeps_reason_rule_words_and_times(self, store: Store) -> None:
        commit(store, entry("a", suppress(until=START + HOUR)))
        kept = Suppression(
            target=JO,
            scope=Scope.ADDRESS,
            strength=Strength.STRONG,
            reason=Category.BAD_MAILBOX,
            rule=RuleRef("r", "rules.yaml", 7),
            reply=clean("550 5.1.1 no such user"),
            since=START,
            expires_at=START + HOUR,
        )
        assert list(store.suppressions()) == [kept]
        assert history(store).suppressions == (kept,)

    @pytest.mark.parametrize(
        ("old", "new", "stays"),
        [
            (suppress(Strength.STRONG), suppress(Strength.WEAK), True),
            (suppress(Strength.PERMANENT), suppress(Strength.STRONG), True),
            (suppress(Strength.WEAK), suppress(Strength.STRONG), False),
            (suppress(until=START + 9 * HOUR), suppress(until=START + 8 * HOUR), True),
            (suppress(until=START + 8 * HOUR), suppress(until=START + 9 * HOUR), False),
            (suppress(until=None), suppress(until=START + 9 * HOUR), True),
            (suppress(until=START + 9 * HOUR), suppress(until=None), False),
            (suppress(Strength.PERMANENT, until=START + HOUR), suppress(Strength.WEAK, until=START + 9 * HOUR), False),
            (suppress(Strength.PERMANENT, until=START + 2 * HOUR), suppress(Strength.STRONG), True),
        ],
    )
    def test_an_active_stronger_or_longer_suppression_stays_any_other_is_replaced(
        self, store: Store, old: Suppress, new: Suppress, stays: bool
    ) -> None:
        commit(store, entry("a", old), entry("b", new, at=START + HOUR))
        (kept,) = store.suppressions()
        assert (kept.strength, kept.expires_at) == ((old.strength, old.until) if stays else (new.strength, new.until))
        assert kept.since == (START if stays else START + HOUR)

    def test_the_scopes_of_one_target_are_two_entries(self, store: Store) -> None:
        commit(store, entry("a", suppress(target="x"), suppress(target="x", scope=Scope.DOMAIN)))
        assert [each.scope for each in store.suppressions()] == [Scope.ADDRESS, Scope.DOMAIN]

    def test_expired_suppressions_are_listed_by_time_and_then_by_target(self, store: Store) -> None:
        expired = suppress(until=START + HOUR)
        commit(store, entry("a", expired, at=START + HOUR), entry("b", suppress(target="z"), suppress(target="b")))
        assert [each.target for each in store.suppressions()] == ["b", "z", JO]

    def test_a_released_target_keeps_its_entry_as_released_and_no_strikes(self, store: Store) -> None:
        commit(store, entry("a", suppress(), strike()), entry("b", suppress(target="ed@example.org")))
        with store.unit() as unit:
            assert (unit.release(JO), unit.release(JO), unit.release("nobody@example.org")) == (1, 0, 0)
        seen = self.reopen(store)
        assert (history(seen).strikes, [each.state for each in history(seen).suppressions]) == ((), [RELEASED])
        assert [(each.target, each.active(START)) for each in seen.suppressions()] == [
            ("ed@example.org", True),
            (JO, False),
        ]

    def test_strikes_stay_after_a_suppression(self, store: Store) -> None:
        commit(store, entry("a", strike(), suppress()))
        assert len(history(store).strikes) == 1

    # -- successes ------------------------------------------------------------------------------------------------

    def test_a_success_clears_the_strikes_of_its_target_only(self, store: Store) -> None:
        commit(store, entry("a", strike(), strike(target=DOMAIN)), entry("b", Delivered(target=JO)))
        assert [each.target for each in history(store).strikes] == [DOMAIN]

    @pytest.mark.parametrize("strength", Strength)
    def test_a_success_lifts_a_weak_suppression_and_no_other(self, store: Store, strength: Strength) -> None:
        commit(store, entry("a", suppress(strength)), entry("b", Delivered(target=JO)))
        (kept,) = self.reopen(store).suppressions()
        assert kept.state is (RELEASED if strength is Strength.WEAK else ACTIVE)
        commit(store, entry("c", suppress(strength)))
        assert [each.state for each in store.suppressions()] == [ACTIVE]

    def test_a_success_lifts_no_suppression_of_a_domain(self, store: Store) -> None:
        wide = suppress(Strength.WEAK, target=DOMAIN, scope=Scope.DOMAIN)
        commit(store, entry("a", wide), entry("b", Delivered(target=JO), Delivered(target=DOMAIN)))
        assert [each.target for each in store.suppressions()] == [DOMAIN]

    def test_the_last_success_is_the_latest_seen(self, store: Store) -> None:
        success = Delivered(target=JO)
        commit(store, entry("a", success, at=START + HOUR), entry("b", success))
        assert history(store).last_success == START + HOUR

    # -- all of it ------------------------------------------------------------------------------------------------

    @given(units=several_units())
    @settings(FRESH, max_examples=60)
    def test_any_units_leave_what_the_model_says(
        self, make_store: MakeStore, units: list[tuple[list[Entry], bool]]
    ) -> None:
        store, model = make_store(), StoreModel()
        for lines, crashes in units:
            after = model.after(*lines)
            try:
                with store.unit() as unit:
                    for line in lines:
                        unit.commit(line)
                    assert [unit.history(key) for key in _KEYS] == [after.history(key) for key in _KEYS]
                    if crashes:
                        raise _Crash
                model = after
            except _Crash:
                pass
            seen = self.reopen(store)
            assert [history(seen, key) for key in _KEYS] == [model.history(key) for key in _KEYS]
            assert list(seen.suppressions()) == model.suppressions()
            assert list(seen.forwards()) == model.forwards()
            assert list(seen.entries()) == model.entries()


_KEYS = (
    KEY,
    HistoryKey(recipient=JO, domain=DOMAIN, message="n"),
    HistoryKey(recipient="ed@example.org", domain=DOMAIN, message="m", destinations=(PAIR,)),
    HistoryKey(domain=DOMAIN, message="m", destinations=(PAIR, STREAM)),
    NOTHING,
)
