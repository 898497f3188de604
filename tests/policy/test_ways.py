"""Laws of the ways that mail goes: by the route, to the address and as encrypted as the plan says, and told so."""

from datetime import datetime, timedelta

import pytest
from attrs import evolve

from adapters.mailers.skeleton import SkeletonMailer
from adapters.stores.memory import MemoryStore
from policy.address import Address, parse_address
from policy.attempt import Attempt, Command, Event, Failure
from policy.decision import Action, Suspend
from policy.engine import Engine
from policy.forward import ForwardState
from policy.history import HistoryKey
from policy.planning import Verdict
from policy.ports import MailerSetup
from policy.reply import parse_reply
from policy.rules.source import RulesFile, build_policy
from policy.sending import Sent, send
from policy.testing.scenarios import NOW
from policy.transaction import Envelope, Transaction

RULES = b"""
mailverdict: 1
routes:
  relay: {to: "smtp://relay.example:587"}
rules:
  - {id: by-relay, when: {text: go round}, then: {action: retry, route: relay, schedule: quick}}
  - {id: full, when: {text: full}, then: {action: retry, suspend: {scope: route, for: 1h, after: 2 in 1h}}}
schedules: {quick: {waits: [1m], give_up: 1d}}
domains: {via.example: {defaults: {route: relay}}}
"""
POLICY = build_policy([RulesFile("own.yaml", RULES)])
SENDER = parse_address("news@ours.example")
JO, VIA, NEW = map(parse_address, ("jo@old.example", "bo@via.example", "jo@new.example"))
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Route:
    """A way out that remembers what it was given."""

    def __init__(self, **said: str) -> None:
        self.said = said
        self.given: list[Envelope] = []

    def deliver(self, envelope: Envelope) -> Transaction:
        self.given.append(envelope)

        def ask(command: Command, argument: str | bytes) -> str:
            usual = {Command.DATA: "354 go ahead", Command.DOT: "250 queued"}.get(command, "250 ok")
            return self.said.get(str(argument).partition("@")[0] if command is Command.RCPT else command.value, usual)

        return SkeletonMailer(ask).deliver(envelope)

    @property
    def asked(self) -> list[str]:
        return [str(each) for envelope in self.given for each in envelope.recipients]


@pytest.fixture
def engine() -> Engine:
    return Engine(POLICY, MemoryStore())


def sent(
    engine: Engine, by: Route | dict[str, Route], *recipients: Address, at: datetime = NOW, message: str = "m"
) -> tuple[Sent, ...]:
    envelope = Envelope(sender=SENDER, recipients=recipients, content=b"Hi", message_id=message)
    return send(engine, by, envelope, now=at, attempt_id=f"{message} {at}")


# ---- routes ---------------------------------------------------------------------------------------------------------


def test_each_recipient_goes_by_the_mailer_of_its_route_and_the_attempt_says_so(engine: Engine) -> None:
    by = {"direct": Route(), "relay": Route()}
    rows = sent(engine, by, JO, VIA)
    assert [by[each].asked for each in ("direct", "relay")] == [[str(JO)], [str(VIA)]]
    assert [each.attempt and each.attempt.route for each in rows] == ["direct", "relay"]
    assert {each.recipient: each.attempt.route for each in engine.store.entries()} == {
        JO.key: "direct",
        VIA.key: "relay",
    }


def test_a_retry_goes_by_the_mailer_of_the_route_that_was_decided(engine: Engine) -> None:
    by = {"direct": Route(jo="450 go round"), "relay": Route()}
    sent(engine, by, JO)
    (row,) = sent(engine, by, JO, at=NOW + HOUR)
    assert (row.decision and row.decision.action, by["relay"].asked) == (Action.ACCEPT, [str(JO)])


def test_one_mailer_takes_the_mail_of_all_routes(engine: Engine) -> None:
    by = Route()
    rows = sent(engine, by, JO, VIA)
    assert sorted(by.asked) == sorted(map(str, (JO, VIA)))
    assert [each.attempt and each.attempt.route for each in rows] == [None, None]  # which way it went is not known


@pytest.mark.parametrize(("given", "missing"), [(("direct",), "relay"), (("relay",), "direct"), ((), "direct")])
def test_a_route_without_a_mailer_is_told_before_anything_is_sent(
    engine: Engine, given: tuple[str, ...], missing: str
) -> None:
    by = {name: Route() for name in given}
    with pytest.raises(MailerSetup, match=f"^route `{missing}` has no mailer; those that have one: "):
        sent(engine, by, JO, VIA)
    assert not any(each.given for each in by.values())
    assert list(engine.store.entries()) == []


def test_a_route_is_suspended_by_what_went_by_it_and_not_by_what_was_decided(engine: Engine) -> None:
    told = Attempt(outcome=parse_reply("452 full"), command=Command.RCPT, recipient=JO, sender=SENDER, route="relay")
    for number in range(2):
        last = engine.observe(evolve(told, message_id=f"m{number}", attempt_id=f"a{number}"), now=NOW)
    assert [each.target for each in last.effects if isinstance(each, Suspend)] == ["@relay"]
    assert engine.plan(JO, now=NOW + MINUTE, sender=SENDER).verdict is Verdict.SEND
    assert engine.plan(VIA, now=NOW + MINUTE, sender=SENDER).verdict is Verdict.WAIT


def test_a_delivery_frees_the_route_by_which_it_went_alone(engine: Engine) -> None:
    told = Attempt(outcome=parse_reply("452 full"), command=Command.RCPT, recipient=JO, sender=SENDER)
    for number in range(4):
        by = ("relay", "direct")[number % 2]
        engine.observe(evolve(told, message_id=f"m{number}", attempt_id=f"a{number}", route=by), now=NOW)
    good = evolve(told, outcome=parse_reply("250 ok"), command=Command.DOT, message_id="good", route="relay")
    engine.observe(good, now=NOW + 2 * HOUR)
    assert {each.target: each.well_at for each in engine.store.suspensions()} == {
        "@relay": NOW + 2 * HOUR,
        "@direct": None,
    }


def test_mail_counts_for_the_route_by_which_it_went(engine: Engine) -> None:
    told = Attempt(outcome=parse_reply("250 ok"), command=Command.DOT, recipient=JO, sender=SENDER)
    ways = ["relay", "relay", "direct", None]
    for number, by in enumerate(ways):
        engine.observe(evolve(told, message_id=f"m{number}", route=by), now=NOW)
    with engine.store.unit() as unit:
        found = unit.history(HistoryKey(destinations=("@relay", "@direct"))).traffics
    assert {each.target: each.an_hour(NOW) for each in found} == {"@relay": 2, "@direct": 2}


def test_an_attempt_that_names_no_route_is_known_by_the_id_that_it_always_had() -> None:
    told = Attempt(outcome=Failure.TIMEOUT, recipient=JO, message_id="m")
    assert told.fingerprint == evolve(told, route=None).fingerprint != evolve(told, route="relay").fingerprint
    assert told.identity == "5fb47fe85ca373dba9067f720d4a3ba1"


# ---- in clear -------------------------------------------------------------------------------------------------------


def test_the_mailer_is_told_to_leave_tls_out_where_the_plan_says_so_and_nowhere_else(engine: Engine) -> None:
    broken = Attempt(
        outcome=Failure.TLS_FAILED,
        command=Command.STARTTLS,
        recipient=JO,
        sender=SENDER,
        message_id="m",
        attempt_id="a0",
    )
    assert engine.observe(broken, now=NOW).action is Action.RETRY
    by = Route()
    sent(engine, by, JO, NEW, at=NOW + HOUR)
    assert [(each.recipients, each.in_clear) for each in by.given] == [((JO,), True), ((NEW,), False)]
    sent(engine, by, JO, at=NOW + HOUR, message="other")
    assert not by.given[-1].in_clear


# ---- approved forwards ----------------------------------------------------------------------------------------------


@pytest.fixture
def moved(engine: Engine) -> Engine:
    """Jo has moved, and a person has approved the new address."""
    told = Attempt(
        outcome=parse_reply(f"251 User not local; will forward to <{NEW}>"), command=Command.RCPT, recipient=JO
    )
    engine.observe(told, now=NOW)
    with engine.store.unit() as unit:
        assert unit.judge(JO.key, str(NEW), ForwardState.APPROVED)
    return engine


def test_an_approved_new_address_is_written_to_and_observed_under_its_own_name(moved: Engine) -> None:
    by = Route(jo="550 5.1.1 no such user")
    (row,) = sent(moved, by, JO)
    assert by.asked == [str(NEW)]
    assert (row.recipient, row.onward and row.onward.recipient) == (JO, NEW)
    assert row.attempt
    assert row.attempt.recipient == NEW
    assert [each.target for each in moved.store.suppressions()] == [NEW.key]  # who said no was the new one


def test_the_same_message_goes_to_a_new_address_once(moved: Engine) -> None:
    by = Route()
    assert len(sent(moved, by, JO, NEW)) == 2
    again = sent(moved, by, JO, NEW, at=NOW + HOUR)
    assert by.asked == [str(NEW)]
    assert [each.decision for each in again] == [None, None]
    assert again[0].onward
    assert again[0].onward.verdict is Verdict.SETTLED


def test_the_same_try_again_finds_what_was_decided_of_the_new_address(moved: Engine) -> None:
    by = Route(jo="450 4.7.1 Greylisted")
    first = sent(moved, by, JO)
    again = sent(moved, by, JO)
    assert (again[0].decision, len(by.given)) == (first[0].decision, 1)


def test_whom_a_complaint_keeps_off_is_not_written_to_at_a_new_address(moved: Engine) -> None:
    moved.observe(Attempt(outcome=Event.COMPLAINT, recipient=JO), now=NOW)
    by = Route()
    (row,) = sent(moved, by, JO)
    assert (row.plan.verdict, row.onward, by.given) == (Verdict.SUPPRESSED, None, [])


def test_a_new_address_that_waits_is_not_written_to(moved: Engine) -> None:
    by = Route(jo="450 4.7.1 Greylisted")
    sent(moved, by, JO)
    (row,) = sent(moved, by, JO, at=NOW + MINUTE)
    assert len(by.given) == 1
    assert row.onward
    assert row.onward.verdict is Verdict.WAIT
