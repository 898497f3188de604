"""Laws of the engine: what is observed is kept once, and a plan says the gravest thing that stands against sending."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from policy.attempt import Attempt, Command, Failure
from policy.decision import Action, Decision, Reconnect, Suppress, Suspend
from policy.engine import AttemptConflict, Engine, Plan, Verdict, spread_of
from policy.forward import ForwardState
from policy.history import Entry, History, HistoryKey
from policy.ports import StoreUnavailable, Unit
from policy.reply import parse_reply
from policy.rules.source import RulesFile, build_policy, load_policy
from policy.testing.scenarios import NOW, RECIPIENTS, SENDERS, attempts

SHIPPED = load_policy()
JO, MO = RECIPIENTS[0], RECIPIENTS[5]
NEWS = SENDERS[2]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UNKNOWN, GREYLISTED, LOGIN = "550 5.1.1 User unknown", "450 4.7.1 Greylisted", "535 5.7.8 bad credentials"


def engine() -> Engine:
    return Engine(SHIPPED, MemoryStore())


def attempt(text: str, id_: str = "a1", command: Command = Command.RCPT, at: datetime = NOW) -> Attempt:
    return Attempt(
        outcome=parse_reply(text), command=command, recipient=JO, sender=NEWS, at=at, attempt_id=id_, message_id="m"
    )


def kept(of: Engine) -> tuple[list[object], ...]:
    return tuple(list(each) for each in (of.store.entries(), of.store.suppressions(), of.store.forwards()))


def plan(of: Engine, *, now: datetime = NOW, message: str | None = "m") -> Plan:
    return of.plan(JO, now=now, sender=NEWS, message=message)


# ---- observe --------------------------------------------------------------------------------------------------------


@settings(max_examples=max(10, settings().max_examples // 2))
@given(observed=st.lists(attempts(), max_size=4), again=st.randoms(use_true_random=False))
def test_observing_again_in_any_order_changes_nothing(observed: list[Attempt], again: object) -> None:
    at = engine()
    first = at.observe_all(observed, now=NOW)
    before = kept(at)
    order = list(range(len(observed)))
    again.shuffle(order)  # type: ignore[attr-defined]
    for number in order:
        (told,) = at.observe_all([observed[number]], now=NOW)  # without an id, the time is what names it
        assert (type(told), str(told)) == (type(first[number]), str(first[number]))
    assert kept(at) == before


def test_a_known_attempt_has_its_stored_decision_under_a_newer_policy() -> None:
    at = engine()
    decision = at.observe(attempt(UNKNOWN), now=NOW)
    rules = b"mailverdict: 1\nrules:\n  - {id: own, then: {action: hold}}\n"
    at.policy = build_policy([RulesFile("own.yaml", rules)])
    assert at.observe(attempt(UNKNOWN), now=NOW) == decision
    assert at.observe(attempt(UNKNOWN, "a2"), now=NOW).action is Action.HOLD


def test_other_content_under_a_known_id_is_a_conflict_and_changes_nothing() -> None:
    at = engine()
    at.observe(attempt(GREYLISTED), now=NOW)
    before = kept(at)
    with pytest.raises(AttemptConflict, match=r"`a1` to `jo@example\.org` is known with other content"):
        at.observe(attempt(UNKNOWN), now=NOW)
    assert kept(at) == before


def test_a_conflict_does_not_hinder_the_others_of_a_group() -> None:
    at = engine()
    at.observe(attempt(GREYLISTED), now=NOW)
    conflict, decision = at.observe_all([attempt(UNKNOWN), attempt(UNKNOWN, "a2")], now=NOW)
    assert isinstance(conflict, AttemptConflict)
    assert isinstance(decision, Decision)
    assert len(kept(at)[0]) == 2


def test_the_same_id_to_another_recipient_is_another_attempt() -> None:
    at = engine()
    at.observe(attempt(UNKNOWN), now=NOW)
    assert at.observe(attrs.evolve(attempt(GREYLISTED), recipient=MO), now=NOW).action is Action.RETRY


def test_in_a_group_each_attempt_sees_what_came_before_it() -> None:
    at, one = engine(), engine()
    group = [attempt("452 4.2.2 Mailbox full", f"a{n}", at=NOW + n * DAY) for n in range(3)]
    group = [attrs.evolve(each, message_id=f"m{number}") for number, each in enumerate(group)]
    together = at.observe_all(group, now=NOW)
    assert together == [one.observe(each, now=NOW) for each in group]
    assert [each.suppress for each in together if isinstance(each, Decision)] == [False, False, True]
    assert kept(at) == kept(one)


class FailingStore(MemoryStore):
    """A memory store whose medium fails at a chosen commit."""

    def __init__(self, fails_at: int) -> None:
        super().__init__()
        self.left = fails_at

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        with super().unit() as inner:
            yield _FailingUnit(self, inner)


class _FailingUnit:
    def __init__(self, store: FailingStore, inner: Unit) -> None:
        self.store, self.inner = store, inner

    def recorded(self, attempt_id: str, recipient: str) -> Entry | None:
        return self.inner.recorded(attempt_id, recipient)

    def foresee(self, attempts: Iterable[tuple[str, str]], keys: Iterable[HistoryKey]) -> None:
        self.inner.foresee(attempts, keys)

    def history(self, key: HistoryKey) -> History:
        return self.inner.history(key)

    def commit(self, entry: Entry) -> None:
        self.store.left -= 1
        if self.store.left == 0:
            raise StoreUnavailable("store `failing:` is full")
        self.inner.commit(entry)


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_when_the_store_fails_nothing_of_the_group_is_kept_and_it_can_be_sent_again(fails_at: int) -> None:
    at = Engine(SHIPPED, FailingStore(fails_at))
    group = [attempt(UNKNOWN, f"a{number}") for number in range(3)]
    with pytest.raises(StoreUnavailable, match="is full"):
        at.observe_all(group, now=NOW)
    assert kept(at) == ([], [], [])
    assert at.observe_all(group, now=NOW) == engine().observe_all(group, now=NOW)


def test_a_closed_store_is_told_and_never_taken_for_an_empty_one() -> None:
    at = engine()
    at.store.close()
    with pytest.raises(StoreUnavailable):
        at.observe(attempt(UNKNOWN), now=NOW)
    with pytest.raises(StoreUnavailable):
        plan(at)


@given(one=attempts())
def test_the_spread_is_drawn_from_the_attempt_and_lies_between_zero_and_one(one: Attempt) -> None:
    assert 0 <= spread_of(one) < 1
    assert spread_of(one) == spread_of(attrs.evolve(one))


# ---- how far a message is ------------------------------------------------------------------------------------------


def progress(of: Engine) -> tuple[int, datetime, timedelta]:
    (*_, last) = sorted(of.store.entries(), key=lambda entry: entry.at)
    return last.progress.attempts, last.progress.first_attempt_at, last.progress.held


def test_attempts_are_counted_from_the_first() -> None:
    at = engine()
    for number in range(1, 5):
        at.observe(attempt(GREYLISTED, f"a{number}", at=NOW + number * HOUR), now=NOW)
        assert progress(at) == (number, NOW + HOUR, timedelta(0))


def test_what_made_us_reconnect_is_no_attempt() -> None:
    at = engine()
    at.observe(attempt(GREYLISTED, "a1"), now=NOW)
    decision = at.observe(attempt("421 Too many connections", "a2", at=NOW + HOUR), now=NOW)
    assert any(isinstance(each, Reconnect) for each in decision.effects)
    assert progress(at)[0] == 1
    at.observe(attempt(GREYLISTED, "a3", at=NOW + 2 * HOUR), now=NOW)
    assert progress(at)[0] == 2


def test_a_hold_consumes_nothing_of_the_give_up_time() -> None:
    at = engine()
    first = at.observe(attempt(GREYLISTED, "a1"), now=NOW)
    assert first.give_up_at is not None
    assert at.observe(attempt(LOGIN, "a2", Command.AUTH, NOW + HOUR), now=NOW).action is Action.HOLD
    assert plan(at, now=NOW + 9 * DAY).verdict is Verdict.HELD
    later = at.observe(attempt(GREYLISTED, "a3", at=NOW + 10 * DAY), now=NOW)
    assert later.action is Action.RETRY
    assert later.give_up_at == first.give_up_at + 10 * DAY - HOUR
    last = at.observe(attempt(GREYLISTED, "a4", at=NOW + 11 * DAY), now=NOW)
    assert last.give_up_at == later.give_up_at


def test_a_message_that_fails_for_ever_is_given_up_once_and_in_time() -> None:
    at, now, decision = engine(), NOW, None
    for number in range(100):
        decision = at.observe(attempt("451 4.3.0 wait", f"a{number}", at=now), now=now)
        if decision.retry_at is None:
            break
        assert now < decision.retry_at <= NOW + 4 * DAY
        now = decision.retry_at
    assert decision is not None
    assert (decision.action, decision.final, now) == (Action.BOUNCE, True, NOW + 4 * DAY)


# ---- plan ----------------------------------------------------------------------------------------------------------


def test_nothing_known_is_no_reason_not_to_send() -> None:
    planned = plan(engine())
    assert (planned.verdict, planned.route, planned.not_before) == (Verdict.SEND, "direct", None)


def test_an_accepted_message_is_settled_and_new_mail_may_go() -> None:
    at = engine()
    at.observe(attempt("250 2.0.0 queued", command=Command.DOT), now=NOW)
    assert plan(at).verdict is Verdict.SETTLED
    assert plan(at, message=None).verdict is Verdict.SEND


def test_a_suppressed_address_gets_nothing_until_it_expires() -> None:
    at = engine()
    decision = at.observe(attempt(UNKNOWN), now=NOW)
    (effect,) = [each for each in decision.effects if isinstance(each, Suppress)]
    assert effect.until is not None
    planned = plan(at, message=None)
    assert planned.verdict is Verdict.SUPPRESSED
    assert planned.suppression is not None
    assert planned.suppression.target == JO.key
    assert planned.route is None
    assert plan(at, message="other", now=effect.until - MINUTE).verdict is Verdict.SUPPRESSED
    assert plan(at, message="other", now=effect.until).verdict is Verdict.SEND


def test_a_suppressed_domain_binds_every_address_in_it() -> None:
    at = engine()
    at.observe(Attempt(outcome=Failure.NULL_MX, recipient=attrs.evolve(JO, local="other")), now=NOW)
    assert plan(at, message=None).verdict is Verdict.SUPPRESSED


def test_a_retry_waits_until_it_is_due() -> None:
    at = engine()
    due = at.observe(attempt(GREYLISTED), now=NOW).retry_at
    assert due is not None
    planned = plan(at, now=due - MINUTE)
    assert (planned.verdict, planned.not_before, planned.route) == (Verdict.WAIT, due, "direct")
    assert plan(at, now=due).verdict is Verdict.SEND
    assert plan(at, message=None).verdict is Verdict.SEND


def test_a_suspended_destination_waits_for_every_message() -> None:
    at = engine()
    decision = at.observe(attempt("421 4.7.0 slow down"), now=NOW)
    (effect,) = [each for each in decision.effects if isinstance(each, Suspend)]
    planned = plan(at, message="other")
    assert (planned.verdict, planned.not_before) == (Verdict.WAIT, effect.until)
    assert at.plan(JO, now=NOW, sender=SENDERS[4], message=None).verdict is Verdict.SEND  # another identity
    assert plan(at, message="other", now=effect.until).verdict is Verdict.SEND


def test_the_gravest_reason_is_told_first() -> None:
    at = engine()
    at.observe(attempt("421 4.7.0 slow down", "a1"), now=NOW)  # suspended and not yet due
    assert plan(at).verdict is Verdict.WAIT
    at.observe(attempt(LOGIN, "a2", Command.AUTH), now=NOW)  # held besides
    assert plan(at).verdict is Verdict.HELD
    at.observe(attrs.evolve(attempt(UNKNOWN, "a3"), message_id="other"), now=NOW)  # suppressed besides
    assert plan(at).verdict is Verdict.SUPPRESSED
    at.observe(attempt("550 5.7.1 Blocked by policy", "a4"), now=NOW)  # and now settled
    assert plan(at).verdict is Verdict.SETTLED


def test_a_noted_forward_is_shown_and_changes_nothing() -> None:
    at = engine()
    at.observe(attempt("251 User not local; will forward to <jo@new.example>"), now=NOW)
    planned = plan(at)
    assert planned.verdict is Verdict.SEND
    assert planned.recipient is JO
    assert planned.forward is not None
    assert planned.forward.state is ForwardState.PENDING
    assert "`jo@new.example` waits for approval" in planned.why


def test_planning_keeps_nothing() -> None:
    at = engine()
    plan(at)
    assert kept(at) == ([], [], [])


def test_each_decision_and_plan_names_the_policy_that_made_it() -> None:
    at = engine()
    assert at.observe(attempt(UNKNOWN), now=NOW).policy_version == plan(at).policy_version == SHIPPED.version


def test_times_with_another_offset_are_the_same_moment() -> None:
    one, other = engine(), engine()
    east = timezone(9 * HOUR)
    first = one.observe(attempt(GREYLISTED), now=NOW)
    assert other.observe(attempt(GREYLISTED, at=NOW.astimezone(east)), now=NOW.astimezone(east)) == first
