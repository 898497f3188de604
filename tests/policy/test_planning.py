"""Laws of `plan`: what stands against a delivery, in which order, until when, and that a wait is never for ever."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from adapters.stores.memory import MemoryStore
from policy.address import parse_address
from policy.attempt import Attempt, Command, Event, Failure, Tls
from policy.decision import Action, Scope
from policy.engine import Engine
from policy.forward import ForwardState
from policy.history import FORWARD_LASTS, Freeze, Source
from policy.planning import HERD, Delivery, Plan, Verdict
from policy.reply import parse_reply
from policy.rules.source import RulesFile, build_policy, load_policy

SHIPPED = load_policy()
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SENDER = parse_address("news@ours.example")
UNKNOWN, FULL = "550 5.1.1 User unknown", "452 4.2.2 Mailbox full"
SLOW = "451 4.7.1 You are sending too fast"


def engine(rules: str = "") -> Engine:
    policy = build_policy([RulesFile("own.yaml", f"mailverdict: 1\n{rules}".encode())]) if rules else SHIPPED
    return Engine(policy, MemoryStore())


def tell(of: Engine, outcome: str | Failure | Event, at: datetime = NOW, **more: object) -> Action:
    said = {
        "outcome": parse_reply(outcome) if isinstance(outcome, str) else outcome,
        "command": Command.DOT if isinstance(outcome, str) and outcome.startswith("2") else Command.RCPT,
        "recipient": parse_address("jo@dest.example"),
        "sender": SENDER,
        "at": at,
        "message_id": f"m {at} {more.get('recipient')}",
        **{key: parse_address(value) if key == "recipient" else value for key, value in more.items()},  # type: ignore[arg-type]
    }
    return of.observe(Attempt(**said), now=at).action  # type: ignore[arg-type]


def plan(of: Engine, at: datetime = NOW, to: str = "jo@dest.example", **more: str) -> Plan:
    return of.plan(parse_address(to), now=at, sender=SENDER, **more)


# ---- suppressions ----------------------------------------------------------------------------------------------------


def test_a_suppression_says_since_when_until_when_and_by_which_rule() -> None:
    of = engine()
    tell(of, UNKNOWN)
    found = plan(of, NOW + HOUR)
    assert found.verdict is Verdict.SUPPRESSED
    assert "since 2026-03-02 12:00 UTC until 2026-08-29 12:00 UTC" in found.why
    assert "no-such-mailbox (rules.yaml:" in found.why


def test_what_a_reader_asked_for_goes_in_spite_of_a_guess_and_of_a_full_mailbox() -> None:
    of = engine()
    tell(of, "550", recipient="bo@dest.example")
    tell(of, UNKNOWN)
    for days in (0, 2, 4):
        tell(of, FULL, NOW + days * DAY, recipient="al@dest.example")
    later = NOW + 5 * DAY
    assert plan(of, later, "bo@dest.example").verdict is Verdict.SUPPRESSED
    assert plan(of, later, "al@dest.example").verdict is Verdict.SUPPRESSED
    assert plan(of, later, "bo@dest.example", stream="transactional").verdict is Verdict.SEND
    assert plan(of, later, "al@dest.example", stream="transactional").verdict is Verdict.SEND
    assert plan(of, later, stream="transactional").verdict is Verdict.SUPPRESSED  # sure: nobody is there


def test_a_complaint_stops_its_stream_only_for_ever_and_no_delivery_ends_it() -> None:
    of = engine()
    tell(of, Event.COMPLAINT, stream="news")
    tell(of, "250 2.0.0 queued", NOW + HOUR, stream="bills")
    for later in (NOW + DAY, NOW + 3650 * DAY):
        assert plan(of, later, stream="news").verdict is Verdict.SUPPRESSED
        assert plan(of, later, stream="bills").verdict is Verdict.SEND
    (entry,) = of.store.suppressions()
    assert (entry.scope, entry.target, entry.source) == (Scope.STREAM, "jo@dest.example#news", Source.COMPLAINT)
    assert entry.expires_at is None


def test_a_complaint_is_not_undone_in_bulk() -> None:
    of = engine()
    tell(of, Event.UNSUBSCRIBE, stream="news")
    with of.store.unit() as unit:
        assert unit.undo(since=NOW - DAY, provider=None, rule=None, now=NOW) == []
    assert plan(of, stream="news").verdict is Verdict.SUPPRESSED


def test_who_is_on_the_never_suppress_list_gets_mail_in_spite_of_an_older_entry() -> None:
    of = engine()
    tell(of, UNKNOWN)
    spared = Engine(build_policy([RulesFile("own.yaml", b"mailverdict: 1\nnever_suppress: dest.example")]), of.store)
    assert plan(of).verdict is Verdict.SUPPRESSED
    assert plan(spared).verdict is Verdict.SEND
    tell(spared, Event.COMPLAINT)
    assert plan(spared).verdict is Verdict.SUPPRESSED


# ---- freezes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["", "dest.example"])
def test_while_frozen_nothing_is_bounced_or_suppressed_and_afterwards_it_is_decided_anew(provider: str) -> None:
    of = engine()
    with of.store.unit() as unit:
        unit.freeze(Freeze(provider=provider, since=NOW))
    assert tell(of, UNKNOWN, message_id="m") is Action.HOLD
    assert tell(of, "550 5.7.1 Blocked by policy", message_id="n") is Action.HOLD
    assert list(of.store.suppressions()) == []
    held = plan(of, message="m")
    assert (held.verdict, "frozen since" in held.why) == (Verdict.HELD, True)
    with of.store.unit() as unit:
        assert unit.lift(provider) is not None
        assert unit.lift(provider) is None
    assert plan(of, message="m").verdict is Verdict.SEND
    assert tell(of, UNKNOWN, NOW + HOUR, message_id="m") is Action.HARD_BOUNCE


def test_a_freeze_of_one_provider_leaves_the_others_alone() -> None:
    of = engine()
    with of.store.unit() as unit:
        unit.freeze(Freeze(provider="google", since=NOW))
    assert tell(of, UNKNOWN, recipient="jo@gmail.com") is Action.HOLD
    assert tell(of, UNKNOWN) is Action.HARD_BOUNCE


def test_a_freeze_stops_no_mail_and_no_retry() -> None:
    of = engine()
    with of.store.unit() as unit:
        unit.freeze(Freeze(provider="", since=NOW))
    assert plan(of).verdict is Verdict.SEND
    assert tell(of, "250 2.0.0 queued") is Action.ACCEPT
    assert tell(of, "451 4.3.0 later", NOW + HOUR) is Action.RETRY


# ---- destinations ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=50, unique=True))
def test_who_waits_for_the_end_of_a_suspension_comes_back_after_it_and_not_at_once(ids: list[int]) -> None:
    of = engine()
    tell(of, SLOW)
    told = [plan(of, NOW + MINUTE, message=f"{number}").not_before for number in ids]
    ends = NOW + 15 * MINUTE
    assert all(each is not None and ends <= each <= ends + HERD for each in told)
    assert len(set(told)) > 1


def test_after_a_suspension_come_probes_then_half_then_all() -> None:
    of = engine()
    for number in range(600):
        tell(of, "250 2.0.0 queued", NOW - HOUR + number * 6 * timedelta(seconds=1), message_id=f"m{number}")
    tell(of, SLOW)
    ended = NOW + 15 * MINUTE
    assert plan(of, ended).verdict is Verdict.SEND
    second = plan(of, ended, to="bo@dest.example")
    assert (second.verdict, second.not_before) == (Verdict.WAIT, ended + MINUTE)
    third = plan(of, ended, to="al@dest.example")
    assert third.not_before == ended + 2 * MINUTE
    tell(of, "250 2.0.0 queued", ended + MINUTE)  # the probe arrived
    (suspension,) = of.store.suspensions()
    half = suspension.rate(ended + MINUTE)
    assert half is not None
    assert 270 <= half.count <= 310
    assert suspension.rate(ended + MINUTE + 2 * HOUR) is None


def test_a_delivery_ends_a_suspension_only_where_the_rule_says_so() -> None:
    rule = "rules: [{id: a, when: {text: pause}, then: {action: retry, suspend: {for: 1h, ends_on_success: %s}}}]"
    for word, ends in (("true", True), ("false", False)):
        of = engine(rule % word)
        tell(of, "450 please pause")
        tell(of, "250 2.0.0 queued", NOW + MINUTE, recipient="bo@dest.example")
        suspended = plan(of, NOW + 2 * MINUTE).why.startswith("mail from ours.example to dest.example is suspended")
        assert suspended is not ends


def test_a_limit_of_the_operators_spaces_mail_to_a_domain_and_leaves_others_alone() -> None:
    of = engine("limits: {slow: {rate: 60/1h}}\ndomains: {dest.example: {defaults: {limit: slow}}}")
    asked = [plan(of, NOW, f"u{number}@dest.example") for number in range(3)]
    assert [each.not_before for each in asked] == [None, NOW + MINUTE, NOW + 2 * MINUTE]
    assert asked[1].why.startswith("mail from ours.example to dest.example goes at 60/1h")
    assert plan(of, NOW, "jo@other.example").verdict is Verdict.SEND


def test_who_has_to_wait_is_told_whose_rate_it_is_and_where_it_stands() -> None:
    of = engine(
        "limits:\n  slow: {rate: 60/1h}\ndomains: {dest.example: {defaults: {limit: slow}}}\n"
        "rules: [{id: a, when: {text: slower}, then: {action: retry, throttle: {rate: 1/10m, for: 2h}}}]"
    )
    why = [plan(of, NOW, f"u{number}@dest.example").why for number in range(2)][1]
    assert "goes at 60/1h now, by limit slow (own.yaml:3): " in why
    tell(of, "450 slower please")  # slower than the limit: the rule says so then
    why = [plan(of, NOW + HOUR, f"u{number}@dest.example").why for number in range(2)][1]
    assert "goes at 1/10m now, by rule a (own.yaml:5): " in why
    after = [plan(of, NOW + 3 * HOUR, f"u{number}@dest.example").why for number in range(2)][1]
    assert ", by limit slow (" in after


def test_a_throttle_binds_for_its_time_and_can_be_cancelled() -> None:
    of = engine("rules: [{id: a, when: {text: slower}, then: {action: retry, throttle: {rate: 1/10m, for: 2h}}}]")
    tell(of, "450 slower please")
    at = NOW + HOUR
    assert [plan(of, at, f"u{n}@dest.example").verdict for n in range(2)] == [Verdict.SEND, Verdict.WAIT]
    with of.store.unit() as unit:
        assert unit.cancel("ours.example>dest.example", at)
    assert plan(of, at, "u3@dest.example").verdict is Verdict.SEND


def test_a_suspended_route_holds_what_goes_by_it() -> None:
    of = engine(
        'routes: {relay: {to: "smtp://relay.example"}}\n'
        "domains: {via.example: {defaults: {route: relay}}}\n"
        "rules: [{id: a, when: {failure: refused}, then: {action: retry, suspend: {scope: route, for: 10m}}}]"
    )
    tell(of, Failure.REFUSED, recipient="jo@via.example")
    assert plan(of, to="bo@via.example").verdict is Verdict.WAIT
    assert plan(of, to="bo@dest.example").verdict is Verdict.SEND


def test_a_retry_goes_by_the_route_that_was_decided() -> None:
    of = engine(
        'routes: {relay: {to: "smtp://relay.example"}}\n'
        "rules: [{id: a, when: {failure: refused, attempt: {min: 2}}, then: {action: retry, route: relay}}]"
    )
    tell(of, Failure.REFUSED, message_id="m")
    assert plan(of, NOW + DAY, message="m").route == "direct"
    tell(of, Failure.REFUSED, NOW + HOUR, message_id="m")
    assert plan(of, NOW + DAY, message="m").route == "relay"
    assert plan(of, NOW + DAY).route == "direct"


def test_the_provider_of_a_domain_is_learned_from_its_hosts_and_forgotten_again() -> None:
    of = engine()
    tell(of, "250 2.0.0 queued", NOW - HOUR, mx="aspmx.l.google.com", recipient="jo@hosted.example")
    tell(of, SLOW, recipient="jo@gmail.com")
    waits = plan(of, to="bo@hosted.example")
    assert (waits.verdict, "to google is suspended" in waits.why) == (Verdict.WAIT, True)
    tell(of, SLOW, NOW + 40 * DAY, recipient="jo@gmail.com")
    assert plan(of, NOW + 40 * DAY, "bo@hosted.example").verdict is Verdict.SEND


def test_tls_that_failed_is_left_out_once() -> None:
    of = engine()
    tell(of, Failure.TLS_FAILED, message_id="m", tls=Tls.OPPORTUNISTIC)
    assert plan(of, NOW + HOUR, message="m").in_clear
    assert not plan(of, NOW + HOUR).in_clear


# ---- forwards --------------------------------------------------------------------------------------------------------


def approve(of: Engine, address: str) -> None:
    (path,) = [each.forward_path.quoted for each in of.store.forwards() if each.address == address]
    with of.store.unit() as unit:
        assert unit.judge(address, path, ForwardState.APPROVED)


def moves(of: Engine, old: str, new: str, at: datetime = NOW, **more: object) -> None:
    tell(of, f"251 User not local; will forward to <{new}>", at, recipient=old, command=Command.RCPT, **more)


def test_an_approved_note_leads_to_the_new_address_while_it_is_fresh() -> None:
    of = engine()
    moves(of, "jo@dest.example", "jo@new.example")
    assert plan(of).deliver_to is None
    approve(of, "jo@dest.example")
    assert plan(of).deliver_to == parse_address("jo@new.example")
    old = plan(of, NOW + FORWARD_LASTS)
    assert (old.deliver_to, "too old" in old.why) == (None, True)
    moves(of, "jo@dest.example", "jo@new.example", NOW + FORWARD_LASTS)  # named again
    assert plan(of, NOW + FORWARD_LASTS + DAY).deliver_to == parse_address("jo@new.example")


def test_notes_that_lead_in_a_circle_lead_nowhere() -> None:
    of = engine()
    moves(of, "jo@dest.example", "jo@new.example")
    moves(of, "jo@new.example", "jo@dest.example")
    approve(of, "jo@dest.example")
    assert plan(of).deliver_to == parse_address("jo@new.example")  # the way back is not approved
    approve(of, "jo@new.example")
    found = plan(of)
    assert (found.deliver_to, "leads back" in found.why) == (None, True)


def test_notes_of_notes_are_followed_a_few_steps_and_never_to_a_suppressed_address() -> None:
    of = engine()
    for number in range(3):
        moves(of, f"jo@a{number}.example", f"jo@a{number + 1}.example")
        approve(of, f"jo@a{number}.example")
    assert plan(of, to="jo@a0.example").deliver_to == parse_address("jo@a3.example")
    tell(of, UNKNOWN, recipient="jo@a3.example")
    found = plan(of, to="jo@a0.example")
    assert (found.deliver_to, "suppressed itself" in found.why) == (None, True)


TRUSTING = 'rules: [{id: a, when: {code: "251"}, then: {action: accept-and-note-forward, trust_forward: true}}]'


@pytest.mark.parametrize(
    ("new", "tls", "approved"),
    [
        ("jo@mail.dest.example", Tls.AUTHENTICATED, False),  # `example` is no public suffix that anybody knows
        ("jo@b.firm.co.uk", Tls.AUTHENTICATED, True),
        ("jo@b.firm.co.uk", Tls.OPPORTUNISTIC, False),
        ("jo@b.firm.co.uk", None, False),
        ("jo@other.co.uk", Tls.AUTHENTICATED, False),
    ],
)
def test_a_rule_approves_a_path_only_of_a_host_that_proved_its_name(new: str, tls: Tls | None, approved: bool) -> None:
    of = engine(TRUSTING)
    moves(of, "jo@a.firm.co.uk", new, tls=tls)
    (note,) = of.store.forwards()
    assert (note.state is ForwardState.APPROVED) is approved


def test_what_a_person_rejected_no_rule_approves() -> None:
    of = engine(TRUSTING)
    moves(of, "jo@a.firm.co.uk", "jo@b.firm.co.uk")
    with of.store.unit() as unit:
        assert unit.judge("jo@a.firm.co.uk", "jo@b.firm.co.uk", ForwardState.REJECTED)
    moves(of, "jo@a.firm.co.uk", "jo@b.firm.co.uk", NOW + HOUR, tls=Tls.AUTHENTICATED)
    assert [each.state for each in of.store.forwards()] == [ForwardState.REJECTED]


# ---- all together ----------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([f"u{n}@dest.example" for n in range(4)]), min_size=1, max_size=8))
def test_a_batch_says_what_one_after_the_other_says(recipients: list[str]) -> None:
    rules = "defaults: {limit: slow}\nlimits: {slow: {rate: 60/1h}}"
    one, other = engine(rules), engine(rules)
    deliveries = [Delivery(recipient=parse_address(each), sender=SENDER) for each in recipients]
    together = one.plan_all(deliveries, now=NOW)
    apart = [plan(other, NOW, each) for each in recipients]
    assert together == [evolve(each) for each in apart]


def test_what_holds_mail_back_holds_it_under_rules_that_would_not_begin_it() -> None:
    of = engine("rules: [{id: a, when: {text: pause}, then: {action: retry, suspend: {scope: domain, for: 1h}}}]")
    tell(of, "450 please pause")
    later = Engine(SHIPPED, of.store)
    assert plan(later, NOW + MINUTE).verdict is Verdict.WAIT
    assert plan(later, NOW + 2 * HOUR).verdict is Verdict.SEND


def test_a_message_is_not_sent_after_its_deadline() -> None:
    of = engine()
    tell(of, "451 4.3.0 later", message_id="m", deliver_by=NOW + HOUR)
    assert plan(of, NOW + HOUR - MINUTE, message="m").verdict is Verdict.SEND
    assert plan(of, NOW + HOUR, message="m").verdict is Verdict.SETTLED
