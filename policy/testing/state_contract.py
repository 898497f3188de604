"""What a store keeps besides its ledger: forward notes, suspensions, triggers, watches, and what people say.

A part of the contract of `policy.testing.store_contract`, which brings the fixtures.
"""

from collections.abc import Callable
from datetime import datetime

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy.alike import alike
from policy.decision import Delivered, NoteForward, OpenGuard, Recovered, Scope, Strength, Suspend, Throttle, Trigger
from policy.forward import ForwardState, UntrustedPath
from policy.guard import Seen, Watch, watched
from policy.history import TRIGGERS_KEPT, Entry, EntryState, ForwardNote, Freeze, Learned, Source, Suppression
from policy.intake import take, take_all
from policy.ports import Store
from policy.reply import parse_reply
from policy.shelf import young_order
from policy.testing.store_lines import (
    DOMAIN,
    HOUR,
    JO,
    KEY,
    MINUTE,
    PAIR,
    START,
    STREAM,
    brought,
    commit,
    entry,
    history,
    note,
    suppress,
    suppression,
)
from policy.testing.store_model import sureness
from policy.text import clean
from policy.throttle import Rate, Traffic, counted


class StateContract:
    """The sentences; `reopen` and the fixture `store` are those of the `StoreContract`."""

    def reopen(self, store: Store) -> Store:
        """Return the store as someone else finds it."""
        return store

    # -- many entries at once ------------------------------------------------------------------------------------

    @given(groups=st.lists(st.lists(brought(), max_size=6), min_size=1, max_size=4))
    @settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
    )
    def test_taking_many_at_once_is_taking_them_one_by_one(
        self, make_store: Callable[[], Store], groups: list[list[Suppression]]
    ) -> None:
        now = START + 24 * HOUR
        store = make_store()
        one_by_one = []
        for group in groups:
            with store.unit() as unit:
                one_by_one.append([take(unit, each, now) for each in group])
        expected = list(self.reopen(store).suppressions())
        store = make_store()
        at_once = []
        for group in groups:
            with store.unit() as unit:
                at_once.append(take_all(unit, [alike(each) for each in group], now))
        assert (at_once, list(self.reopen(store).suppressions())) == (one_by_one, expected)

    @given(entries=st.lists(brought(), min_size=1, max_size=5))
    @settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
    )
    def test_no_list_weakens_what_is_there_and_the_surer_of_two_stays(
        self, make_store: Callable[[], Store], entries: list[Suppression]
    ) -> None:
        now = START + 24 * HOUR
        store = make_store()
        for new in (
            attrs.evolve(each, target=JO, scope=Scope.ADDRESS) if n else each for n, each in enumerate(entries)
        ):
            place = new.scope, new.target
            before = {(each.scope, each.target): each for each in store.suppressions() if each.active(now)}
            with store.unit() as unit:
                take(unit, new, now)
            after = {(each.scope, each.target): each for each in store.suppressions() if each.active(now)}
            assert {**before, place: after.get(place)} == {**after, place: after.get(place)}
            if not new.active(now):
                assert before == after
                continue
            kept, old = after[place], before.get(place, new)
            for_good = old.strength is Strength.PERMANENT and old.expires_at is None
            said = for_good and old.source not in (Source.BOUNCE, Source.IMPORT)
            assert kept in (old, new)
            assert said or sureness(kept) >= sureness(new)
            assert new.source is Source.MANUAL or sureness(kept) >= sureness(old)
            assert not said or kept == old

    @given(entries=st.lists(brought(), max_size=8), count=st.integers(1, 3), hours=st.integers(0, 24))
    @settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
    )
    def test_an_undo_in_groups_is_the_whole_undo_and_lists_may_begin_at_a_time(
        self, make_store: Callable[[], Store], entries: list[Suppression], count: int, hours: int
    ) -> None:
        now, since = START + 24 * HOUR, START + hours * HOUR
        bounces = [
            attrs.evolve(each, source=Source.BOUNCE, target=f"{n}{each.target}") for n, each in enumerate(entries)
        ]
        store = make_store()
        with store.unit() as unit:
            for each in bounces:
                unit.put(each)
        young = [each for each in store.suppressions() if each.since >= since]
        assert list(self.reopen(store).suppressions(since=since)) == young
        after, groups = None, list[list[Suppression]]()
        while not groups or groups[-1]:
            with store.unit() as unit:
                group = unit.undo(since=since, provider=None, rule=None, now=now, after=after, count=count)
            groups.append(group)
            after = max(group, key=young_order, default=after)
        undone = [each for group in groups for each in group]
        assert sorted(undone, key=young_order) == sorted((e for e in young if e.active(now)), key=young_order)
        assert not any(each.active(now) for each in store.suppressions(since=since))

    # -- forwards and suspensions ---------------------------------------------------------------------------------

    def test_a_forward_note_is_pending_and_the_same_path_keeps_its_time(self, store: Store) -> None:
        told = note("a@new.example")
        commit(store, entry("a", told), entry("b", told, at=START + HOUR))
        kept = ForwardNote(
            address=JO,
            forward_path=UntrustedPath(clean("a@new.example")),
            state=ForwardState.PENDING,
            reply=clean("550 5.1.1 no such user"),
            since=START,
            seen_at=START + HOUR,
        )
        assert (history(store).forward, list(store.forwards())) == (kept, [kept])

    def test_what_a_person_said_of_a_note_stays_until_another_path_comes(self, store: Store) -> None:
        commit(store, entry("a", note("a@new.example")))
        with store.unit() as unit:
            assert unit.judge(JO, "a@new.example", ForwardState.APPROVED)
            assert not unit.judge(JO, "b@new.example", ForwardState.REJECTED)
            assert not unit.judge("nobody@example.org", "a@new.example", ForwardState.APPROVED)
        commit(store, entry("b", note("a@new.example")))
        assert [each.state for each in self.reopen(store).forwards()] == [ForwardState.APPROVED]
        commit(store, entry("c", note("b@new.example")))
        assert [each.state for each in store.forwards()] == [ForwardState.PENDING]

    def test_another_path_replaces_the_note(self, store: Store) -> None:
        commit(store, entry("a", note("a@new.example")), entry("b", note("b@new.example"), at=START + HOUR))
        (kept,) = store.forwards()
        assert (kept.forward_path.quoted, kept.since) == ("b@new.example", START + HOUR)

    def test_a_path_noted_for_nobody_is_kept_in_the_ledger_only(self, store: Store) -> None:
        line = entry("a", NoteForward(address=None, forward_path=UntrustedPath(clean("a@new.example"))))
        commit(store, line)
        assert (list(store.forwards()), list(store.entries())) == ([], [line])

    def test_a_note_quotes_the_reply_that_named_the_path(self, store: Store) -> None:
        rcpt = parse_reply("251 User not local; will forward to <a@new.example>")
        line = entry("a", note("a@new.example"), outcome=parse_reply("250 queued"))
        commit(store, attrs.evolve(line, attempt=attrs.evolve(line.attempt, rcpt_reply=rcpt)))
        assert [each.reply for each in store.forwards()] == [str(rcpt)]

    def test_the_later_end_of_a_suspension_wins(self, store: Store) -> None:
        long, short = (Suspend(target=PAIR, until=START + hours * HOUR) for hours in (2, 1))
        commit(store, entry("a", long), entry("b", short, at=START + HOUR))
        (suspension,) = history(store).suspensions
        assert (suspension.since, suspension.until) == (START, START + 2 * HOUR)
        assert list(self.reopen(store).suspensions()) == [suspension]

    def test_a_suspension_can_be_ended_once(self, store: Store) -> None:
        commit(store, entry("a", Suspend(target=PAIR, until=START + 2 * HOUR)))
        with store.unit() as unit:
            assert unit.cancel(PAIR, START + HOUR)
            assert not unit.cancel(PAIR, START + HOUR)
            assert not unit.cancel("nobody", START)
        (suspension,) = history(store).suspensions
        assert not suspension.active(START + HOUR)

    def test_a_trigger_counts_once_an_attempt_and_only_the_newest_are_told(self, store: Store) -> None:
        trigger = Trigger(target=PAIR, rule="r", count=1, needed=2)
        many = [entry(f"t{number}", trigger, at=START + number * MINUTE) for number in range(TRIGGERS_KEPT + 3)]
        commit(store, *many)
        known = history(store).triggers
        assert [each.attempt for each in known] == [f"t{number}" for number in reversed(range(3, TRIGGERS_KEPT + 3))]

    def test_triggers_are_told_newest_first_whenever_they_come(self, store: Store) -> None:
        trigger, kept = Trigger(target=PAIR, rule="r", count=1, needed=2, nth=7), list[int]()
        with store.unit() as unit:
            for number in (5, 3, 9, 1, 7, 9):
                if number not in kept:
                    unit.commit(entry(f"t{number}", trigger, at=START + number * MINUTE))
                    kept.append(number)
                told = unit.history(KEY).triggers
                assert [each.attempt for each in told] == [f"t{each}" for each in sorted(kept, reverse=True)]
                assert {each.nth for each in told} == {7}

    def test_a_slower_rate_stands_while_it_lasts(self, store: Store) -> None:
        slow, fast = (
            Throttle(target=PAIR, rate=Rate(count, HOUR), until=START + hours * HOUR)
            for count, hours in ((30, 2), (60, 9))
        )
        commit(store, entry("a", slow), entry("b", fast, at=START + HOUR))
        assert [(each.rate.count, each.until) for each in history(store).throttlings] == [(30, START + 2 * HOUR)]
        commit(store, entry("c", fast, at=START + 2 * HOUR))
        assert [each.rate.count for each in self.reopen(store).throttlings()] == [60]
        with store.unit() as unit:
            assert unit.cancel(PAIR, START + 3 * HOUR)
            assert not unit.cancel(PAIR, START + 3 * HOUR)

    def test_a_delivery_ends_a_suspension_once_and_the_next_one_begins_anew(self, store: Store) -> None:
        commit(
            store,
            entry("a", Suspend(target=PAIR, until=START + 2 * HOUR, usual=500)),
            entry("b", Recovered(target=PAIR), at=START + HOUR),
            entry("c", Recovered(target=PAIR), at=START + 3 * HOUR),
        )
        (suspension,) = history(store).suspensions
        assert (suspension.until, suspension.well_at) == (START + HOUR, START + HOUR)
        commit(store, entry("d", Suspend(target=PAIR, until=START + 5 * HOUR), at=START + 4 * HOUR))
        assert [each.well_at for each in self.reopen(store).suspensions()] == [None]

    def test_what_is_known_of_traffic_of_hosts_and_of_freezes_is_kept_and_replaced(self, store: Store) -> None:
        traffic = counted(Traffic(target=PAIR), START)
        learned = Learned(domain=DOMAIN, provider="google", at=START)
        with store.unit() as unit:
            unit.count(traffic)
            unit.learn(learned)
            unit.freeze(Freeze(provider="google", since=START, note="why"))
            unit.freeze(Freeze(provider="google", since=START + HOUR))
            assert (unit.learned(DOMAIN), unit.learned("other.example")) == (learned, None)
        seen = self.reopen(store)
        key = attrs.evolve(KEY, provider="google")
        assert history(seen, key).traffics == (traffic, Traffic(target=STREAM))
        assert history(seen, key).freezes == (Freeze(provider="google", since=START, note="why"),)
        assert list(seen.freezes()) == list(history(seen, key).freezes)
        assert history(seen).freezes == ()
        with seen.unit() as unit:
            unit.count(counted(traffic, START + HOUR))
            unit.learn(attrs.evolve(learned, provider="yahoo"))
            assert unit.lift("google") is not None
            assert (unit.lift("google"), unit.frozen("google")) == (None, None)
            unit.freeze(Freeze(provider="", since=START))
        again = self.reopen(seen)
        assert history(again, key).traffics[0].count == 1
        assert [each.provider for each in history(again).freezes] == [""]
        with again.unit() as unit:
            assert unit.learned(DOMAIN) == attrs.evolve(learned, provider="yahoo")

    # -- the guard ------------------------------------------------------------------------------------------------

    def test_a_watch_is_kept_as_it_was_and_replaced_by_the_next(self, store: Store) -> None:
        seen = Seen(at=START, recipient=JO, domain=DOMAIN, failed=True)
        first = watched(Watch(key="google"), seen)
        second = watched(first, attrs.evolve(seen, at=START + HOUR, failed=False))
        for each in (first, second):
            with store.unit() as unit:
                unit.watch(each)
        assert list(self.reopen(store).watches()) == [second]
        key = attrs.evolve(KEY, watches=("google", "other"))
        assert history(store, key).watches == (second, Watch(key="other"))

    def test_an_outage_puts_aside_what_the_last_hour_suppressed_there(self, store: Store) -> None:
        def line(id_: str, target: str, at: datetime, provider: str) -> Entry:
            return attrs.evolve(entry(id_, suppress(target=target), at=at), provider=provider)

        commit(
            store,
            line("a", "old@x.org", START, "google"),
            line("b", "new@x.org", START + HOUR, "google"),
            line("c", "other@x.org", START + HOUR, "yahoo"),
            entry("d", OpenGuard(key="google"), at=START + HOUR + HOUR / 2),
        )
        states = {each.target: each.state for each in store.suppressions()}
        quarantined = [target for target, state in states.items() if state is EntryState.QUARANTINED]
        assert quarantined == ["new@x.org"]

    def test_what_stands_against_streams_to_an_address_is_found_by_the_address(self, store: Store) -> None:
        entries = [
            attrs.evolve(suppression(target=target, source=Source.COMPLAINT), scope=scope)
            for target, scope in (
                (f"{JO}#news", Scope.STREAM),
                (f"{JO}#a b", Scope.STREAM),
                (f"o{JO}#news", Scope.STREAM),
                (f"{JO}x#news", Scope.STREAM),
                (JO, Scope.ADDRESS),
            )
        ]
        with store.unit() as unit:
            for each in entries:
                unit.put(each)
            assert [each.target for each in unit.streams_of(JO)] == [f"{JO}#a b", f"{JO}#news"]
        with self.reopen(store).unit() as unit:
            assert [each.target for each in unit.streams_of(JO)] == [f"{JO}#a b", f"{JO}#news"]
            assert unit.streams_of(DOMAIN) == []

    # -- what a person says ---------------------------------------------------------------------------------------

    def test_what_a_person_enters_stands_against_any_bounce(self, store: Store) -> None:
        mine = suppression(source=Source.MANUAL)
        with store.unit() as unit:
            assert unit.put(mine)
        commit(store, entry("a", suppress(Strength.PERMANENT), at=START + HOUR), entry("b", Delivered(target=JO)))
        assert list(store.suppressions()) == [mine]

    def test_undo_releases_what_bounces_made_since_then_and_nothing_else(self, store: Store) -> None:
        with store.unit() as unit:
            unit.put(suppression(target="m@x.org", source=Source.COMPLAINT, since=START + HOUR))
        commit(
            store,
            entry("a", suppress(target="old@x.org")),
            attrs.evolve(entry("b", suppress(target="b@x.org"), at=START + HOUR), provider="google"),
            attrs.evolve(entry("c", suppress(target="c@x.org"), at=START + HOUR), provider="yahoo"),
        )
        now = START + 2 * HOUR
        with store.unit() as unit:
            assert unit.undo(since=START + HOUR, provider=None, rule="other", now=now) == []
            (undone,) = unit.undo(since=START + HOUR, provider="google", rule="r", now=now)
        assert undone.target == "b@x.org"
        with store.unit() as unit:
            assert [each.target for each in unit.undo(since=START, provider=None, rule=None, now=now)] == [
                "old@x.org",
                "c@x.org",
            ]
        active = [each.target for each in self.reopen(store).suppressions() if each.active(now)]
        assert active == ["m@x.org"]
