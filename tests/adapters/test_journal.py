"""Events say what was decided, and nobody's address, control characters or novels, whoever wrote them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.journal import Journal, journal
from policy.address import Address, parse_address
from policy.attempt import Attempt, Command
from policy.decide import decide
from policy.decision import Alert, Decision
from policy.history import History
from policy.redaction import TEXT_SHOWN, ident_without_addresses, redacted, without_addresses
from policy.reply import parse_reply
from policy.rules.source import load_policy
from policy.testing import values
from policy.testing.scenarios import NOW, RECIPIENTS, Scenario, attempts, scenarios
from policy.text import clean

JO = parse_address("jo@example.org")
BARE = re.compile(r"(?<!\*\*\*)(?<![\s@])(?<!^)@")  # an `@` behind a local part that is shown
POLICY = load_policy()


class Log:
    """Keeps the events as a logger gets them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, "level": "info", **fields})

    def warning(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, "level": "warning", **fields})


def events(attempt: Attempt, decision: Decision, *, addresses: bool = False, **told: Any) -> list[dict[str, Any]]:
    log = Log()
    Journal(log, addresses).decided(attempt, decision, **told)
    return log.events


def texts(value: Any) -> Iterator[str]:
    """Every text anywhere in an event, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from texts(key)
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)


def spoken(attempt: Attempt, decision: Decision) -> tuple[Attempt, Decision]:
    """The same where everybody who may say something names addresses: the reply, a rule's remedy, an alert, ids."""
    said = (
        '550 5.1.1 <Jo@Example.org>: jo@sub.example.org, see http://x.example/?to=jo%40example.org or "a b"@example.net'
    )
    alert = Alert(to="ops@example.org", text=clean(f"rule: {said} \u202e\x1b[2J"))
    attempt = evolve(attempt, outcome=parse_reply(said), message_id="<1.jo@example.org>", attempt_id="jo@example.org/1")
    return attempt, evolve(
        decision, remedy=f"write to postmaster@example.org\n{said}", effects=(*decision.effects, alert)
    )


def is_safe(event: dict[str, Any]) -> None:
    for text in texts(event):
        assert BARE.search(text) is None, text
        assert text.isprintable(), ascii(text)
        assert len(text) <= TEXT_SHOWN + 20, text
    assert len(json.dumps(event)) < 12_000


@given(scenario=scenarios())
def test_no_event_of_any_decision_shows_an_address_a_control_character_or_a_novel(scenario: Scenario) -> None:
    decision = decide(POLICY, *scenario[:2], now=scenario.now, spread=scenario.spread)
    for attempt, decided in ((scenario.attempt, decision), spoken(scenario.attempt, decision)):
        for event in events(attempt, decided, provider=POLICY.provider_of(attempt)):
            is_safe(event)
            shown = " ".join(texts(event)).lower()
            for address in (*RECIPIENTS, attempt.recipient, attempt.sender):
                assert not isinstance(address, Address) or address.key.lower() not in shown


@given(attempt=attempts(), decision=values.decisions())
def test_no_event_of_any_values_at_all_shows_an_address(attempt: Attempt, decision: Decision) -> None:
    for event in events(attempt, decision):
        is_safe(event)


@given(st.text(alphabet=st.sampled_from('ab@"<>\\ .%40,:=*\u202e\uff20é\n')))
@example('x"a<b"@y "@"@c')
@example('"a b"@example.net <jo@example.org> "***@x')
def test_text_without_addresses_stays_so(text: str) -> None:
    once = without_addresses(text)
    assert BARE.search(once) is None
    assert without_addresses(once) == once


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("550 <jo@example.org>: no such user", "550 <j***@example.org>: no such user"),
        ("RCPT TO:<jo@example.org>", "RCPT TO:<j***@example.org>"),
        ("jo=example.org@bounce.example", "j***@bounce.example"),
        ("https://x.example/?rcpt=jo%40example.org", "https:/***@example.org"),
        ('"a b"@example.net', '"***@example.net'),
        ("jo does not exist, Jo; but john and banjo do", "j*** does not exist, j***; but john and banjo do"),
        ("nobody here @ all", "nobody here @ all"),
    ],
)
def test_what_stands_before_the_sign_goes_and_the_domain_stays(text: str, shown: str) -> None:
    assert without_addresses(text, [JO]) == shown


def test_ids_stay_told_apart_unless_they_hold_the_attempts_own_address() -> None:
    one, other = (ident_without_addresses(f"<{word}@mx.example>", [JO]) for word in ("a.1", "a.2"))
    assert one != other
    assert one.startswith("<a***@mx.example>~")
    assert ident_without_addresses("a1", [JO]) == "a1"
    assert ident_without_addresses("JO@example.org", [JO]) == "J***@example.org"


def bounced(**changes: Any) -> tuple[Attempt, Decision]:
    attempt = Attempt(
        outcome=parse_reply("552 5.2.2 jo@example.org is over quota"),
        **{"command": Command.RCPT, "recipient": JO, "attempt_id": "a1", "message_id": "m1", "at": NOW, **changes},
    )
    return attempt, decide(POLICY, attempt, History(), now=NOW, spread=0.0)


def test_an_event_holds_what_is_needed_to_find_the_rest() -> None:
    (event,) = events(*bounced(), provider="google")
    assert event["event"] == "attempt.decided"
    assert event["recipient"] == redacted(JO) == "j***@example.org"
    assert (event["attempt_id"], event["message_id"], event["provider"]) == ("a1", "m1", "google")
    assert (event["outcome"], event["reply"]) == (552, "552 5.2.2 j***@example.org is over quota")
    assert (event["category"], event["fault"], event["suppress"]) == ("mailbox-full", "recipient", False)
    assert event["strikes"] == ["address mailbox-full 1/3"]
    assert (event["suspension"], event["guard"], event["known"]) == (None, [], False)


def test_an_alert_is_an_event_of_its_own_with_its_name_and_what_can_be_done() -> None:
    attempt, decision = bounced()
    alert = Alert(to="ops", text=clean("full: 552 5.2.2 jo@example.org is over quota"))
    decision = evolve(decision, effects=(alert,), remedy="ask jo")
    decided, raised = events(attempt, decision, known=True)
    assert (raised["event"], raised["level"], raised["to"]) == ("alert.raised", "warning", "ops")
    assert raised["text"] == "full: 552 5.2.2 j***@example.org is over quota"
    assert raised["remedy"] == "ask j***"
    assert decided["known"] is raised["known"] is True
    assert raised["attempt_id"] == decided["attempt_id"]


def test_addresses_are_shown_to_those_who_ask_for_them_and_stay_one_bounded_line() -> None:
    attempt, decision = spoken(*bounced())
    decided, raised = events(attempt, decision, addresses=True)
    assert decided["recipient"] == "jo@example.org"
    assert decided["message_id"] == "<1.jo@example.org>"
    assert "<Jo@Example.org>" in decided["reply"]
    for text in texts([decided, raised]):
        assert text.isprintable()
        assert len(text) <= TEXT_SHOWN


def test_the_commands_log_redacts_what_others_write_to_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    log = journal(verbose=True).log
    log.warning("rules.refused", problems=["own.yaml:1:1: unknown-domain: `jo@example.org`\x1b[2J"] * 100)
    event = json.loads(capsys.readouterr().err)
    assert event["problems"][0] == "own.yaml:1:1: unknown-domain: `***@example.org`?[2J"
    assert len(event["problems"]) == 16
    assert event["level"] == "warning"


def test_nothing_is_logged_unless_it_is_asked_for() -> None:
    assert journal(verbose=False).log is None
    Journal().decided(*bounced())
