"""What people and imports bring: taken once however often it comes, never over what a person said, never when over."""

from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from policy.decision import Scope, Strength
from policy.history import EntryState, Source, Suppression
from policy.intake import Intake, take
from policy.ports import Store
from policy.testing.store_lines import DOMAIN, HOUR, JO, START, commit, entry, suppress, suppression

NOW = START + timedelta(days=1)
ED = "ed@example.org"


def taken(store: Store, *entries: Suppression) -> list[Intake]:
    with store.unit() as unit:
        return [take(unit, each, NOW) for each in entries]


def brought() -> st.SearchStrategy[Suppression]:
    """Entries for one of two people, all alike but for what decides which stays."""
    return st.builds(
        lambda target, source, strength, hours, expires: evolve(
            suppression(target=target, source=source, since=START + hours * HOUR),
            strength=strength,
            expires_at=None if expires is None else START + expires * HOUR,
        ),
        st.sampled_from([JO, ED]),
        st.sampled_from(Source),
        st.sampled_from(Strength),
        st.integers(0, 23),
        st.none() | st.integers(20, 100),
    )


@given(st.lists(brought(), max_size=6))
def test_taking_a_list_twice_leaves_what_taking_it_once_does(entries: list[Suppression]) -> None:
    store = MemoryStore()
    taken(store, *entries)
    once = list(store.suppressions())
    taken(store, *entries)
    assert list(store.suppressions()) == once


@given(st.lists(brought(), max_size=6))
def test_what_binds_somebody_in_a_list_binds_them_afterwards(entries: list[Suppression]) -> None:
    store = MemoryStore()
    taken(store, *entries)
    bound = {each.target for each in store.suppressions() if each.active(NOW)}
    assert bound == {each.target for each in entries if each.active(NOW)}


@given(st.sampled_from([Source.MANUAL, Source.COMPLAINT, Source.UNSUBSCRIBE]), st.lists(brought(), max_size=6))
def test_what_a_person_said_stands_as_it_is_against_any_list(source: Source, entries: list[Suppression]) -> None:
    store = MemoryStore()
    mine = suppression(source=source)
    assert taken(store, mine) == [Intake.KEPT]
    taken(store, *entries)
    assert [each for each in store.suppressions() if each.target == JO] == [mine]


def test_the_same_told_again_later_keeps_its_first_time() -> None:
    store = MemoryStore()
    first = suppression(source=Source.IMPORT)
    assert taken(store, first, evolve(first, since=START + HOUR)) == [Intake.KEPT, Intake.STANDS]
    assert list(store.suppressions()) == [first]


def test_what_is_over_is_left_out_and_takes_nothing_away() -> None:
    store = MemoryStore()
    mine = suppression(source=Source.IMPORT)
    over = [
        *(evolve(mine, state=state) for state in EntryState if state is not EntryState.ACTIVE),
        evolve(mine, expires_at=NOW),
    ]
    assert taken(store, mine, *over) == [Intake.KEPT, *[Intake.OVER] * 3]
    assert list(store.suppressions()) == [mine]


def test_what_was_released_can_be_taken_again() -> None:
    store = MemoryStore()
    mine = suppression(source=Source.MANUAL)
    taken(store, mine)
    with store.unit() as unit:
        unit.release(JO)
    assert taken(store, mine) == [Intake.KEPT]


def test_an_entry_takes_the_place_of_a_bounce_of_its_scope_only() -> None:
    store = MemoryStore()
    commit(store, entry("a", suppress(target=JO), suppress(target=DOMAIN, scope=Scope.DOMAIN)))
    assert taken(store, suppression(source=Source.MANUAL)) == [Intake.KEPT]
    assert {each.target: each.source for each in store.suppressions()} == {JO: Source.MANUAL, DOMAIN: Source.BOUNCE}


def test_what_has_expired_stands_against_nothing_even_where_a_list_is_older() -> None:
    store = MemoryStore()
    past = evolve(suppression(source=Source.IMPORT), since=START, expires_at=START + HOUR)
    with store.unit() as unit:
        unit.put(past)
    weak = evolve(past, strength=Strength.WEAK, expires_at=NOW + HOUR)
    assert taken(store, weak) == [Intake.KEPT]
    assert list(store.suppressions()) == [weak]


def test_a_weak_entry_of_a_list_leaves_a_strong_one_of_a_bounce() -> None:
    store = MemoryStore()
    commit(store, entry("a", suppress(until=NOW + HOUR)))
    weak = evolve(suppression(source=Source.IMPORT), strength=Strength.WEAK)
    assert taken(store, weak) == [Intake.STANDS]
    assert taken(store, evolve(weak, strength=Strength.STRONG)) == [Intake.KEPT]
