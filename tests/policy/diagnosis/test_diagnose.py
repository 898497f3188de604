"""What an outcome means: the order of the evidence, hints of a wait, and what a stranger's text must not decide."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.address import Address, parse_address
from policy.attempt import Attempt, Command, Failure
from policy.diagnosis.category import Category, Diagnosis, EvidenceKind, Fault, Weight
from policy.diagnosis.diagnose import diagnose
from policy.diagnosis.hints import LONGEST_HINT, retry_after
from policy.diagnosis.knowledge import shipped_knowledge
from policy.reply import Flaw, Reply, parse_reply
from policy.testing import values
from policy.text import SafeText, clean, searchable

JO = Address("jo", "dest.example")


def meaning(
    reply: str, command: Command | None = Command.RCPT, provider: str | None = None, recipient: Address = JO
) -> Diagnosis:
    """The diagnosis of a reply."""
    attempt = Attempt(outcome=parse_reply(reply), command=command, recipient=recipient)
    return diagnose(shipped_knowledge(), attempt, provider)


@pytest.mark.parametrize(
    ("reply", "category", "weight", "kinds"),
    [
        ("550 5.7.1 No such user", "bad-mailbox", "strong", ["wording", "code", "enhanced-status"]),
        ("550 5.1.1 Your reputation is bad", "reputation-block", "strong", ["wording", "enhanced-status", "code"]),
        ("550 5.2.1 Hm", "inactive-mailbox", "strong", ["enhanced-status", "code"]),
        ("550 5.7.1 Hm", "policy-other", "weak", ["enhanced-status", "code"]),
        ("550 5.1.0 Hm", "bad-mailbox", "weak", ["code"]),
        ("550 Hm", "bad-mailbox", "weak", ["code"]),
        ("554 Hm", "unknown", "weak", ["code"]),
    ],
)
def test_words_count_more_than_the_status_and_the_status_more_than_the_code(
    reply: str, category: str, weight: str, kinds: list[str]
) -> None:
    diagnosis = meaning(reply)
    assert (diagnosis.category.value, diagnosis.weight.value) == (category, weight)
    assert [each.kind.value for each in diagnosis.evidence] == kinds


@pytest.mark.parametrize("command", [each for each in (*Command, None) if each is not Command.RCPT])
def test_an_unexplained_550_blames_the_recipient_at_rcpt_only(command: Command | None) -> None:
    assert meaning("550 Hm").fault is Fault.RECIPIENT
    assert meaning("550 Hm", command).fault is not Fault.RECIPIENT


@pytest.mark.parametrize(
    ("reply", "provider", "category", "elsewhere"),
    [
        ("550 5.4.1 Hm", "microsoft", Category.BAD_MAILBOX, Category.NETWORK),
        ("550 5.5.0 Hm", "microsoft", Category.BAD_MAILBOX, Category.PROTOCOL_ERROR),
        ("550 5.1.10 Hm", "microsoft", Category.BAD_MAILBOX, Category.BAD_DOMAIN),
        ("550 5.2.2 Hm", "microsoft", Category.RATE_LIMITED, Category.MAILBOX_FULL),
        ("550 5.7.27 Hm", "google", Category.AUTH_FAILURE, Category.SENDER_REJECTED),
        ("550 5.7.30 Hm", "google", Category.AUTH_FAILURE, Category.TLS_REQUIRED),
        ("421 4.7.29 Hm", "google", Category.TLS_REQUIRED, Category.AUTH_FAILURE),
        ("554 5.7.9 Hm", "yahoo", Category.POLICY_OTHER, Category.RELAY_DENIED),
    ],
)
def test_a_provider_may_mean_something_of_its_own_by_a_status(
    reply: str, provider: str, category: Category, elsewhere: Category
) -> None:
    assert meaning(reply, provider=provider).category is category
    assert meaning(reply).category is meaning(reply, provider="apple").category is elsewhere


def test_words_count_more_than_a_providers_status() -> None:
    assert meaning("550 5.4.1 Mail loop", provider="microsoft").category is Category.NETWORK


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_says_what_it_is(failure: Failure) -> None:
    diagnosis = diagnose(shipped_knowledge(), Attempt(outcome=failure), None)
    assert diagnosis.evidence[0].kind is EvidenceKind.FAILURE
    assert diagnosis.evidence[0].value == failure.value
    assert diagnosis.remedy


@pytest.mark.parametrize(
    ("reply", "command", "category"),
    [
        ("250 Ok", Command.DATA, Category.PROTOCOL_ERROR),
        ("354 Go", Command.DATA, Category.ACCEPTED),
        ("334 Hm", Command.AUTH, Category.ACCEPTED),
        ("354 Go", Command.RCPT, Category.PROTOCOL_ERROR),
        ("354 Go", Command.DOT, Category.PROTOCOL_ERROR),
        ("354 Go", None, Category.PROTOCOL_ERROR),
        ("no such user", Command.RCPT, Category.PROTOCOL_ERROR),
        ("150 no such user", Command.RCPT, Category.PROTOCOL_ERROR),
        ("650 no such user", Command.RCPT, Category.PROTOCOL_ERROR),
    ],
)
def test_a_reply_out_of_place_or_out_of_form_is_a_protocol_error(
    reply: str, command: Command | None, category: Category
) -> None:
    diagnosis = meaning(reply, command)
    assert diagnosis.category is category
    assert diagnosis.fault is not Fault.RECIPIENT


def test_a_reply_out_of_step_says_nothing_even_when_it_is_plain() -> None:
    reply = Reply(550, (clean("no such user"),), None, (Flaw.OUT_OF_STEP,))
    diagnosis = diagnose(shipped_knowledge(), Attempt(outcome=reply, command=Command.RCPT, recipient=JO), None)
    assert (diagnosis.category, diagnosis.evidence[0].value) == (Category.PROTOCOL_ERROR, "out-of-step")


def test_a_status_of_another_class_than_the_code_does_not_count() -> None:
    diagnosis = meaning("450 5.1.1 Hm")
    assert diagnosis.category is Category.SYSTEM_ERROR
    assert [each.value for each in diagnosis.evidence] == ["450 to RCPT", "class-mismatch"]
    assert meaning("550 4.2.2 Hm").category is not Category.MAILBOX_FULL


@pytest.mark.parametrize(
    ("reply", "recipient"),
    [
        ("550 <spam@dest.example>: User unknown", "spam@dest.example"),
        ("550 spam@dest.example: User unknown", "spam@dest.example"),
        ('550 "blocked by spamhaus"@dest.example: User unknown', '"blocked by spamhaus"@dest.example'),
        ("550 User unknown at spam.example", "jo@spam.example"),
        ("550 User unknown at SPAM.Example", "jo@spam.example"),
        ("550 greylist@blocklist.example: User unknown", "greylist@blocklist.example"),
        ("550 User jo@dest.example (relay dmarc.example) unknown: no such user", "jo@dmarc.example"),
    ],
)
def test_the_recipients_own_name_and_domain_decide_nothing(reply: str, recipient: str) -> None:
    assert meaning(reply, recipient=parse_address(recipient)).category is Category.BAD_MAILBOX


@given(st.sampled_from(["spam", "blocklist", "dmarc", "virus", "quota", "greylist", "policy"]), values.domains())
def test_an_address_in_the_text_decides_nothing(word: str, domain: str) -> None:
    assert meaning(f"550 <{word}@{domain}>: hm", Command.DOT).category is Category.UNKNOWN


@given(values.attempts(), st.none() | st.sampled_from(["google", "microsoft", "yahoo"]))
def test_every_outcome_has_a_diagnosis_with_safe_evidence(attempt: Attempt, provider: str | None) -> None:
    diagnosis = diagnose(shipped_knowledge(), attempt, provider)
    assert diagnosis.evidence
    assert all(type(each.value) is SafeText for each in diagnosis.evidence)
    assert diagnosis.remedy or diagnosis.category is Category.ACCEPTED
    assert diagnosis == diagnose(shipped_knowledge(), attempt, provider)


@given(values.attempts())
def test_only_a_2yz_and_a_3yz_in_place_are_a_yes(attempt: Attempt) -> None:
    if diagnose(shipped_knowledge(), attempt, None).category is Category.ACCEPTED:
        assert isinstance(attempt.outcome, Reply)
        assert attempt.outcome.klass in (2, 3)


def test_a_path_of_a_251_is_evidence_and_quoted() -> None:
    diagnosis = meaning("251 User not local; will forward to <jo@new.example>")
    assert diagnosis.forward_path is not None
    assert [(each.kind, each.value) for each in diagnosis.evidence] == [
        (EvidenceKind.CODE, "251"),
        (EvidenceKind.FORWARD_PATH, "jo@new.example"),
    ]


@pytest.mark.parametrize("command", [Command.CONNECT, Command.EHLO, Command.AUTH, Command.MAIL, Command.DATA])
def test_a_251_to_another_command_names_no_path(command: Command) -> None:
    assert meaning("251 will forward to <jo@new.example>", command).forward_path is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Greylisted, try again in 5 minutes", 300),
        ("greylisted for 300 seconds", 300),
        ("please retry after 2h", 7200),
        ("come back in 1 hour", 3600),
        ("deferred, wait 90 sec", 90),
        ("greylisted; 00:04:30 to go", 270),
        ("retry in 0 seconds", 1),
    ],
)
def test_a_wait_that_the_text_asks_for_is_read(text: str, seconds: int) -> None:
    assert retry_after(searchable(text)) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "try again later",
        "greylisted",
        "mailbox unused for 90 days",
        "mailbox is 90 days old, try again later",
        "greylisted, retry from 192.0.2.30",
        "greylisted, host 192.0.2.30 minutes",
        "try again, see https://help.example/5 m",
        "greylisted by version 2.15 h",
        "greylisted at 12:30:45 UTC",
        "try again, it is 2026-03-02 12:30:45 here",
        "greylisted, triplet first seen 09:15:00",
        "retry after <30 minutes@dest.example>",
        "try again in -5 minutes",
        "the limit is 20 messages in 60 minutes",
    ],
)
def test_ages_addresses_versions_and_times_of_day_are_no_wait(text: str) -> None:
    assert retry_after(searchable(text)) is None


@pytest.mark.parametrize("reply", ["550 5.1.1 try again in 5 minutes", "250 try again in 5 minutes"])
def test_only_a_4yz_asks_for_a_wait(reply: str) -> None:
    assert meaning(reply).retry_after is None


def test_a_wait_is_evidence() -> None:
    diagnosis = meaning("450 4.7.1 Greylisted, try again in 5 minutes")
    assert diagnosis.retry_after == timedelta(minutes=5)
    assert (diagnosis.evidence[-1].kind, diagnosis.evidence[-1].says) == (EvidenceKind.HINT, "asks to wait 300 seconds")


@given(st.text() | st.from_regex(r"retry (in|after) [0-9]{1,8} ?(s|m|h|d|minutes|days|hours)", fullmatch=True))
def test_any_wait_is_bounded(text: str) -> None:
    wait = retry_after(searchable(text))
    assert wait is None or timedelta(seconds=1) <= wait <= LONGEST_HINT


def test_weak_fair_and_strong_are_what_rules_may_ask_for() -> None:
    assert meaning("550").weight is Weight.WEAK
    assert meaning("550 No such user").weight is Weight.STRONG
    assert meaning("550 Requested action not taken: mailbox unavailable").weight is Weight.FAIR
