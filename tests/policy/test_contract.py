"""The outside contract: what is read, what is refused and how, what is written, and that stores lose nothing."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.address import NULL_SENDER, parse_address
from policy.attempt import Attempt, Command, Custody, Failure
from policy.contract import (
    ContractError,
    dump,
    dump_entry,
    load,
    load_entry,
    read_attempt,
    write_attempt,
    write_decision,
    write_forward,
    write_suppression,
)
from policy.decision import Action, Decision, Effect, NoteForward, RuleRef, Scope, Strength, Suppress
from policy.diagnosis.category import Category, Evidence, EvidenceKind, Fault
from policy.forward import UntrustedPath
from policy.history import Entry, ForwardNote, Suppression
from policy.reply import Flaw, Reply
from policy.testing import values
from policy.text import clean

# Flaws that a text with code, status and lines shows again when it is read.
SHOWN = {Flaw.CODE_OUT_OF_RANGE, Flaw.UNTERMINATED, Flaw.CLASS_MISMATCH}

FULL = {
    "id": "line 7",
    "reply": "550-5.1.1 The account\r\n550 5.1.1 does not exist",
    "command": "RCPT",
    "recipient": "<Jo@Example.org>",
    "sender": "news@example.com",
    "recipients": 3,
    "mx": "MX.example.org.",
    "provider": "google",
    "attempt": 2,
    "first_attempt_at": "2026-01-02T03:04:05+01:00",
    "now": "2026-01-02t04:04:05.25z",
    "stream": "bulk",
    "tags": {"campaign": "spring"},
    "rcpt_reply": "250 2.1.5 ok",
    "custody": "theirs",
    "attempt_id": "a-1",
    "message_id": "m-1",
}


def reply_texts() -> st.SearchStrategy[str]:
    """Texts that look like replies often enough: codes, statuses, marks and line ends between any characters."""
    pieces = st.one_of(
        st.sampled_from(
            ["550", "250", "999", "000", "-", " ", "5.1.1", "4.2.0", "(#5.1.1)", "\r\n", "\n", "\r", "\u200b", "\x1b"]
        ),
        st.text(max_size=6),
    )
    line = st.builds("{}{}{}".format, st.sampled_from(["550", "451"]), st.sampled_from("- "), st.text(max_size=20))
    return st.one_of(st.lists(pieces, max_size=12).map("".join), st.lists(line, min_size=1, max_size=4).map("\n".join))


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Documents that keep the contract."""
    counts = st.integers(1, 2**31 - 1)
    times = st.builds(
        "{:%Y-%m-%dT%H:%M:%S}{}{}".format,
        values.moments(),
        st.sampled_from(["", ".5", ".000001"]),
        st.sampled_from(["Z", "+00:00", "-08:00", "+05:45"]),
    )
    outcome = st.one_of(
        st.fixed_dictionaries({"reply": reply_texts()}),
        st.fixed_dictionaries({"failure": st.sampled_from([each.value for each in Failure])}),
    )
    rest = st.fixed_dictionaries(
        {},
        optional={
            "id": st.text(max_size=5),
            "command": st.sampled_from([each.value for each in Command]),
            "recipient": values.addresses().map(str),
            "sender": st.one_of(st.just(""), st.just("<>"), values.addresses().map(str)),
            "recipients": counts,
            "mx": values.domains(),
            "provider": st.text(),
            "attempt": counts,
            "first_attempt_at": times,
            "now": times,
            "stream": st.text(),
            "tags": st.dictionaries(values.names(), st.text(), max_size=3),
            "rcpt_reply": reply_texts(),
            "custody": st.sampled_from(["ours", "theirs"]),
            "attempt_id": st.text(),
            "message_id": st.text(),
        },
    )
    return st.builds(lambda first, second: {**first, **second}, outcome, rest)


def mistakes(document: object) -> str:
    with pytest.raises(ContractError) as caught:
        read_attempt(document)
    return str(caught.value)


def test_every_key_of_the_contract_reaches_its_attribute() -> None:
    attempt = read_attempt(FULL)
    assert isinstance(attempt.outcome, Reply)
    assert (attempt.outcome.code, attempt.outcome.lines) == (550, ("The account", "does not exist"))
    assert (attempt.command, attempt.custody, attempt.mx) == (Command.RCPT, Custody.THEIRS, "mx.example.org")
    assert (str(attempt.recipient), str(attempt.sender)) == ("Jo@example.org", "news@example.com")
    assert (attempt.recipients, attempt.number, attempt.provider, attempt.stream) == (3, 2, "google", "bulk")
    assert attempt.first_attempt_at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert attempt.at == datetime(2026, 1, 2, 4, 4, 5, 250000, tzinfo=UTC)
    assert attempt.tags == (("campaign", "spring"),)
    assert attempt.rcpt_reply is not None
    assert attempt.rcpt_reply.code == 250
    assert (attempt.attempt_id, attempt.message_id) == ("a-1", "m-1")


def test_an_absent_or_null_key_is_not_stated() -> None:
    bare = read_attempt({"failure": "null-mx"})
    assert bare == Attempt(outcome=Failure.NULL_MX)
    assert read_attempt({"failure": "null-mx", "reply": None, "sender": None, "attempt": None}) == bare


@pytest.mark.parametrize("sender", ["", "<>"])
def test_the_empty_reverse_path_is_the_null_sender(sender: str) -> None:
    assert read_attempt({"reply": "250 ok", "sender": sender}).sender == NULL_SENDER


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"reply": "250", "recipent": "jo@example.org"}, "unknown key `recipent`; did you mean `recipient`?"),
        ({"reply": "250", "zzz": 1}, "unknown key `zzz`"),
        ({}, "one of `reply`, `failure` and `event` is needed"),
        ({"reply": "250", "failure": "timeout"}, "`reply` and `failure` exclude each other"),
        ({"reply": "250", "event": "complaint"}, "`reply` and `event` exclude each other"),
        ({"event": "complain"}, "unknown event `complain`; did you mean `complaint`?"),
        ({"reply": "250", "backup_mx": "yes"}, "`backup_mx` must be true or false"),
        ({"reply": 250}, "`reply` must be a string"),
        ({"failure": "nullmx"}, "unknown failure `nullmx`; did you mean `null-mx`?"),
        ({"failure": ["timeout"]}, "`failure` must be a string"),
        ({"reply": "250", "command": "rcpt"}, "unknown command `rcpt`; did you mean `RCPT`?"),
        ({"reply": "250", "custody": "their"}, "unknown custody `their`; did you mean `theirs`?"),
        ({"reply": "250", "attempt": 0}, "`attempt` must be a whole number from 1"),
        ({"reply": "250", "attempt": True}, "`attempt` must be a whole number from 1"),
        ({"reply": "250", "attempt": 1.0}, "`attempt` must be a whole number from 1"),
        ({"reply": "250", "attempt": 10**5000}, "`attempt` must be a whole number from 1"),
        ({"reply": "250", "recipients": "3"}, "`recipients` must be a whole number from 1"),
        ({"reply": "250", "recipient": "jo"}, "`recipient`: `jo` is not a mail address"),
        ({"reply": "250", "recipient": ""}, "`recipient`: `` is not a mail address"),
        ({"reply": "250", "recipient": 5}, "`recipient` must be a string"),
        ({"reply": "250", "sender": "a b@example.org"}, "`sender`: local part of `a b@example.org`"),
        ({"reply": "250", "now": "2026-01-02T03:04:05"}, "`now`: time `2026-01-02T03:04:05` needs its offset"),
        ({"reply": "250", "now": "20260102T030405Z"}, "`now`: `20260102T030405Z` is not an RFC 3339 time"),
        ({"reply": "250", "now": "2026-02-30T00:00:00Z"}, "`now`: time `2026-02-30T00:00:00Z` does not exist"),
        (
            {"reply": "250", "now": "0001-01-01T00:00:00+23:00"},
            "`now`: time `0001-01-01T00:00:00+23:00` is not in 1970-2999",
        ),
        ({"reply": "250", "now": 1767322800}, "`now` must be a string"),
        ({"reply": "250", "tags": ["a"]}, "`tags` must be an object whose values are strings"),
        ({"reply": "250", "tags": {"a": 1}}, "`tags` must be an object whose values are strings"),
        ({"reply": "250", "tags": {"a": "1", "a\u200b": "2"}}, "`tags` names `a` twice"),
        ({"reply": "250", "id": 7}, "`id` must be a string"),
        ([], "an attempt is a JSON object"),
        (None, "an attempt is a JSON object"),
    ],
)
def test_a_mistake_is_named_with_its_key_and_the_near_miss(document: object, message: str) -> None:
    assert message in mistakes(document)


def test_every_mistake_of_a_document_is_told_at_once() -> None:
    error = mistakes({"recipent": "x", "attempt": 0, "command": "HELO", "now": "today", "sender": "x"})
    for word in ("recipent", "one of `reply`", "attempt", "HELO", "`now`", "`sender`"):
        assert word in error


def test_a_message_stays_printable_and_bounded_whatever_the_document_holds() -> None:
    error = mistakes({f"\x1b[2J\u202e{n}" * 1000: n for n in range(500)} | {"recipient": "\x00" * 100_000})
    assert error.isprintable()
    assert len(error) < 8000
    assert "and 452 more" in error


@given(documents())
def test_reading_what_was_written_gives_the_same_attempt(document: dict[str, Any]) -> None:
    attempt = read_attempt(json.loads(json.dumps(document)))
    again = read_attempt(json.loads(json.dumps(write_attempt(attempt))))
    replies = [each for each in (attempt.outcome, attempt.rcpt_reply) if isinstance(each, Reply)]
    if all(SHOWN.issuperset(each.flaws) for each in replies):
        assert again == attempt
        assert again.fingerprint == attempt.fingerprint


@given(st.text(alphabet="5 .-\r1a\u200b", max_size=12))
def test_a_reply_without_a_code_keeps_its_text_and_stays_without(text: str) -> None:
    old = read_attempt({"reply": text}).outcome
    new = read_attempt(write_attempt(read_attempt({"reply": text}))).outcome
    assert isinstance(old, Reply)
    assert isinstance(new, Reply)
    if old.flaws == (Flaw.NO_CODE,):
        assert (new.code, new.lines, new.stated) == (None, old.lines, old.stated)


@given(documents())
def test_writing_never_changes_the_code_of_a_reply(document: dict[str, Any]) -> None:
    attempt = read_attempt(document)
    again = read_attempt(write_attempt(attempt))
    for old, new in ((attempt.outcome, again.outcome), (attempt.rcpt_reply, again.rcpt_reply)):
        assert not isinstance(old, Reply) or (isinstance(new, Reply) and new.code == old.code)


@given(values.attempts())
def test_any_attempt_can_be_written_and_read(attempt: Attempt) -> None:
    again = read_attempt(json.loads(json.dumps(write_attempt(attempt))))
    assert (again.recipient, again.sender, again.at, again.tags) == (
        attempt.recipient,
        attempt.sender,
        attempt.at,
        attempt.tags,
    )


def test_a_reply_without_a_code_is_never_written_as_one_with_a_code() -> None:
    attempt = read_attempt({"reply": "\u200b550 no such user", "command": "RCPT"})
    assert write_attempt(attempt)["reply"].startswith("000 ")


@given(values.decisions(), st.none() | st.text())
def test_a_decision_is_written_with_the_contracts_keys_in_its_order(decision: Decision, caller: str | None) -> None:
    written = write_decision(decision, id=caller)
    keys = (
        "action final category fault suppress effects retry_at give_up_at route rule evidence remedy "
        "policy_version uncertain custody"
    )
    assert " ".join(written) == (keys if caller is None else f"id {keys}")
    assert json.loads(json.dumps(written)) == written
    assert written["suppress"] is any(isinstance(each, Suppress) for each in decision.effects)
    assert [each["effect"] for each in written["effects"]] == [dash_case(each) for each in decision.effects]
    assert list(written["rule"]) == ["id", "file", "line"]
    assert all(list(each) == ["kind", "value", "says"] for each in written["evidence"])


def dash_case(effect: Effect) -> str:
    name = type(effect).__name__
    return name[0].lower() + "".join(f"-{char.lower()}" if char.isupper() else char for char in name[1:])


def test_an_effect_shows_what_it_does_in_plain_words() -> None:
    until = datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=UTC)
    decision = Decision(
        action=Action.HARD_BOUNCE,
        final=True,
        category=Category.BAD_MAILBOX,
        fault=Fault.RECIPIENT,
        effects=(
            Suppress(
                target="jo@example.org",
                scope=Scope.ADDRESS,
                strength=Strength.STRONG,
                reason=Category.BAD_MAILBOX,
                until=until,
            ),
            NoteForward(address=parse_address("jo@example.org"), forward_path=UntrustedPath(clean("jo@new.example"))),
        ),
        rule=RuleRef("no-such-mailbox", "rules.yaml", 40),
        evidence=(Evidence(EvidenceKind.CODE, clean("550"), "a permanent failure"),),
        policy_version="abc",
    )
    written = write_decision(decision)
    assert written["effects"] == [
        {
            "effect": "suppress",
            "target": "jo@example.org",
            "scope": "address",
            "strength": "strong",
            "reason": "bad-mailbox",
            "until": "2026-07-01T12:00:00.000005Z",
        },
        {
            "effect": "note-forward",
            "address": "jo@example.org",
            "forward_path": "jo@new.example",
            "approved": False,
        },
    ]
    assert written["rule"] == {"id": "no-such-mailbox", "file": "rules.yaml", "line": 40}
    assert written["evidence"] == [{"kind": "code", "value": "550", "says": "a permanent failure"}]
    assert (written["retry_at"], written["give_up_at"], written["route"]) == (None, None, None)


@given(values.suppressions())
def test_a_suppression_is_written_as_the_list_shows_it(suppression: Suppression) -> None:
    written = write_suppression(suppression)
    keys = "address scope strength reason rule reply since expires_at source state provider note"
    assert " ".join(written) == keys
    assert written["address"] == suppression.target
    assert (written["expires_at"] is None) == (suppression.expires_at is None)
    assert json.loads(json.dumps(written)) == written


@given(values.forward_notes())
def test_a_forward_note_is_written_as_the_list_shows_it(note: ForwardNote) -> None:
    written = write_forward(note)
    assert " ".join(written) == "address forward_path state reply since seen_at"
    assert written["forward_path"] == note.forward_path.quoted
    assert json.loads(json.dumps(written)) == written


@given(values.entries())
def test_a_store_gets_back_exactly_what_it_kept(entry: Entry) -> None:
    text = dump_entry(entry)
    again = load_entry(text)
    assert again == entry
    assert again.attempt.fingerprint == entry.attempt.fingerprint
    assert dump_entry(again) == text
    assert text.isascii()
    assert "\n" not in text


@given(st.one_of(values.suppressions(), values.forward_notes(), values.decisions()))
def test_every_kept_value_comes_back(value: Suppression | ForwardNote | Decision) -> None:
    assert load(dump(value), type(value)) == value


@given(values.entries(), st.data())
def test_a_kept_text_with_an_unknown_key_or_a_wrong_type_is_refused(entry: Entry, data: st.DataObject) -> None:
    document = json.loads(dump_entry(entry))
    part = data.draw(st.sampled_from([document, document["attempt"], document["decision"], document["progress"]]))
    key = data.draw(st.sampled_from([*sorted(part), "surprise"]))
    part[key] = data.draw(st.sampled_from([1.5, {"x": 1}, [[]]]))
    with pytest.raises(ContractError, match="entry"):
        load_entry(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', "{}", '{"attempt": "x"}', "[" * 2000])
def test_a_damaged_text_is_a_contract_error(text: str) -> None:
    with pytest.raises(ContractError):
        load_entry(text)


def test_the_time_held_is_kept_to_the_microsecond() -> None:
    assert load(dump(timedelta(days=40, microseconds=1)), timedelta) == timedelta(days=40, microseconds=1)
