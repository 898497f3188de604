"""What outcomes can mean is known whole: no reply, however put together, comes to another diagnosis."""

from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given

from policy.address import parse_address
from policy.attempt import Attempt, Command, Event, Failure
from policy.diagnosis.diagnose import diagnose
from policy.diagnosis.knowledge import Signature, shipped_knowledge
from policy.reply import parse_reply
from policy.rules.proof.meanings import NOT_SMTP, YES, Meaning, of_event, of_failure, of_refusals
from policy.rules.source import load_policy
from policy.testing.scenarios import Scenario, scenarios

KNOWLEDGE = shipped_knowledge()
PROVIDERS = (None, *load_policy().providers)
COMMANDS = (None, *Command)


def possible(attempt: Attempt) -> frozenset[Meaning]:
    """What the attempt's outcome can mean, by its form alone (RFC 5321 4.3.2)."""
    outcome = attempt.outcome
    if isinstance(outcome, Failure):
        return frozenset({of_failure(KNOWLEDGE, outcome)})
    if isinstance(outcome, Event):
        return frozenset({of_event(outcome)})
    if outcome.is_void:
        return frozenset({NOT_SMTP})
    if outcome.klass == 2:
        return frozenset({NOT_SMTP if attempt.command is Command.DATA else YES})
    if outcome.klass == 3:
        return frozenset({YES if attempt.command in (Command.DATA, Command.AUTH) else NOT_SMTP})
    return POSSIBLE[outcome.klass or 0]


POSSIBLE = {klass: of_refusals(KNOWLEDGE, klass) for klass in (4, 5)}


def meaning(attempt: Attempt, provider: str | None) -> Meaning:
    found = diagnose(KNOWLEDGE, attempt, provider)
    return found.category, found.fault, found.weight


def check(attempt: Attempt, provider: str | None) -> None:
    assert meaning(attempt, provider) in possible(attempt), (attempt, provider)


@given(scenarios())
def test_every_attempt_means_what_its_outcome_can_mean(scenario: Scenario) -> None:
    for provider in PROVIDERS[:6]:
        check(scenario.attempt, provider)


def alike(example: str) -> Iterator[str]:
    """An example as it is, and under codes of the other class and without its status."""
    yield example
    code, _, rest = example.partition(" ")
    if code[:1] in ("4", "5"):
        yield from (f"{other} {rest}" for other in ("450", "452", "550", "554") if other[0] != code[0])


@pytest.mark.parametrize("signature", KNOWLEDGE.signatures, ids=lambda signature: signature.id)
def test_every_example_of_a_signature_means_what_it_can_mean(signature: Signature) -> None:
    for text in (reply for example in (*signature.yes, *signature.no) for reply in alike(example)):
        outcome = parse_reply(text)
        for provider, command in product((None, *signature.providers), (None, Command.RCPT, *signature.commands)):
            check(Attempt(outcome=outcome, command=command), provider)


@pytest.mark.parametrize("code", ["450", "552"])
@pytest.mark.parametrize("form", ["{code} {status}", "{code} said: 550 {status} x", "{code} said: 450 {status} x"])
def test_every_status_stated_or_quoted_means_what_it_can_mean(code: str, form: str) -> None:
    theirs = [(status, provider) for provider, status in KNOWLEDGE.provider_statuses]
    registered = [(f"{klass}{each[1:]}", None) for klass in "45" for each in KNOWLEDGE.statuses]
    for status, provider in (*theirs, *registered):
        outcome = parse_reply(form.format(code=code, status=status))
        check(Attempt(outcome=outcome, command=Command.RCPT), provider)


@pytest.mark.parametrize("code", ["450 4", "550 5"])
@pytest.mark.parametrize("named", ["us@ours.example", "other@there.example"])
def test_a_reply_that_names_another_address_means_what_it_can_mean(code: str, named: str) -> None:
    recipient, sender = map(parse_address, ("jo@example.org", "us@ours.example"))
    for status in KNOWLEDGE.statuses:
        for reply in (f"{code}{status[1:]} <{named}>", f"{code[:3]} <{named}>"):
            check(Attempt(outcome=parse_reply(reply), command=Command.RCPT, recipient=recipient, sender=sender), None)


def test_every_code_means_what_it_can_mean_to_every_command() -> None:
    for code, command in product(range(200, 600), COMMANDS):
        check(Attempt(outcome=parse_reply(str(code)), command=command), None)


@pytest.mark.parametrize("klass", [4, 5])
def test_most_meanings_of_a_refusal_are_met(klass: int) -> None:
    """The list is not so long that it proves nothing: what it has too much is what replies name other addresses for."""
    met = {
        meaning(Attempt(outcome=parse_reply(reply), command=command), provider)
        for reply, command, provider in told(klass)
    }
    strays = {each for each in POSSIBLE[klass] - met if each[0].value != "sender-rejected"}
    assert len(strays) < len(POSSIBLE[klass]) / 3, sorted(map(str, strays))


def told(klass: int) -> Iterator[tuple[str, Command | None, str | None]]:
    for signature in KNOWLEDGE.signatures:
        for example, provider in product(signature.yes, (None, *signature.providers)):
            code, _, rest = example.partition(" ")
            replies = (
                f"{each} {rest}" for each in (code, *map(str, signature.codes), f"{klass}50") if each[0] == str(klass)
            )
            yield from product(replies, (Command.RCPT, *signature.commands), (provider,))
    yield from ((str(number), command, None) for number, command in KNOWLEDGE.codes)
    for status in KNOWLEDGE.statuses:
        yield f"{klass}50 {klass}{status[1:]}", Command.RCPT, None
    for provider, status in KNOWLEDGE.provider_statuses:
        yield f"{status[0]}50 {status}", Command.RCPT, provider
