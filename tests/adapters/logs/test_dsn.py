"""What delivery reports say, read off sample mails that were written for this test; hostile ones are made here."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.logs import dsn
from adapters.logs.dsn import RECIPIENTS_LIMIT, Report, read_report
from adapters.logs.recipient import Kind, Reported
from policy import Address, Attempt, Command, Custody, Reply, parse_address

REPORTS = Path(__file__).parent / "reports"
SAMPLES = sorted(REPORTS.glob("*.eml"))


def mail(name: str) -> bytes:
    return (REPORTS / f"{name}.eml").read_bytes()


def nobody(raw: bytes) -> tuple[Address, ...]:
    return ()


def only(report: Report) -> Reported:
    (reported,) = report.recipients
    return reported


def attempt(reported: Reported) -> Attempt:
    assert reported.attempt is not None
    return reported.attempt


def reply(reported: Reported) -> Reply:
    outcome = attempt(reported).outcome
    assert isinstance(outcome, Reply)
    return outcome


def of(*fields: str, text: str = "") -> Reported:
    """Read a report about one recipient with these fields."""
    status = "\n".join(("Reporting-MTA: dns; mta.example", "", "Final-Recipient: rfc822; jo@example.org", *fields))
    head = (
        "Date: Mon, 5 Jan 2026 10:00:10 +0000\nContent-Type: multipart/report; report-type=delivery-status; boundary=b"
    )
    parts = f"--b\n\n{text}\n--b\nContent-Type: message/delivery-status\n\n{status}\n--b--\n"
    return only(read_report(f"{head}\n\n{parts}".encode()))


# ---- a failure -------------------------------------------------------------------------------------------------------


def test_a_failure_of_postfix_gives_the_reply_whole_though_its_lines_were_joined() -> None:
    reported = only(read_report(mail("postfix_failed")))
    assert (reported.kind, str(reported.recipient)) == (Kind.FAILED, "jo@example.org")
    assert [str(line) for line in reply(reported).lines] == [
        "This message does not pass authentication checks (SPF and DKIM both",
        "do not pass).",
        "See https://example.org/help/26",
    ]
    assert (reply(reported).code, str(reply(reported).enhanced), reply(reported).flaws) == (550, "5.7.26", ())


def test_the_attempt_says_who_when_and_which_message_and_that_the_retry_is_theirs() -> None:
    report = read_report(mail("postfix_failed"))
    tried = attempt(only(report))
    assert report.reporting_mta == "relay.example.net"
    assert (tried.command, tried.mx, tried.custody) == (Command.DOT, "mx.example.org", Custody.THEIRS)
    assert tried.first_attempt_at == datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC)
    assert tried.at == datetime(2026, 1, 5, 10, 0, 10, tzinfo=UTC)
    assert tried.message_id == "<order-17@sender.example>"
    assert dict(tried.tags) == {
        "reporting_mta": "relay.example.net",
        "queue_id": "4F00D1",
        "envelope_id": "order-17",
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_the_null_sender_of_a_report_is_never_taken_for_that_of_the_returned_message(sample: Path) -> None:
    for reported in read_report(sample.read_bytes(), scan=nobody).recipients:
        assert reported.attempt is None or reported.attempt.sender is None


def test_the_quoted_reply_beats_the_status_that_exim_writes() -> None:
    reported = only(read_report(mail("exim_failed")))
    assert str(reply(reported)) == "550 5.1.1 <jo@example.org>: no such user here. Check the address."
    assert attempt(reported).command is Command.RCPT
    assert attempt(reported).message_id == "<order-17@sender.example>"
    assert reported.notes == ()


def test_each_recipient_has_its_own_reply_and_command() -> None:
    jo, bo = read_report(mail("two_recipients")).recipients
    assert (str(jo.recipient), str(reply(jo)), attempt(jo).command) == (
        "jo@example.org",
        "550 5.1.1 User unknown",
        Command.RCPT,
    )
    assert (str(bo.recipient), reply(bo).code, attempt(bo).command) == ("bo@example.com", 554, Command.DOT)
    assert (attempt(jo).recipients, attempt(bo).recipients) == (1, 1)


def test_recipients_who_share_a_refusal_after_the_dot_are_counted_as_one_transaction() -> None:
    assert [attempt(each).recipients for each in read_report(mail("after_the_dot")).recipients] == [2, 2]


def test_a_temporary_failure_that_is_reported_as_failed_says_that_they_have_given_up() -> None:
    reported = only(read_report(mail("given_up")))
    assert (reported.kind, reply(reported).code) == (Kind.FAILED, 451)
    assert any("has given up" in note for note in reported.notes)


# ---- no reply is quoted ----------------------------------------------------------------------------------------------


def test_without_a_quoted_reply_the_status_makes_one_and_a_note_says_so() -> None:
    reported = only(read_report(mail("exchange_without_reply")))
    assert (str(reply(reported)), attempt(reported).command) == ("550 5.1.1", None)
    assert reported.notes == ("the report quotes no SMTP reply: its status 5.1.1 counts, as 550",)


def test_words_of_the_reporting_server_are_the_text_and_no_command_is_claimed() -> None:
    reported = only(read_report(mail("local_words")))
    assert str(reply(reported)) == '550 5.1.1 unknown user: "jo"'
    assert attempt(reported).command is None


def test_a_command_that_is_named_elsewhere_does_not_make_a_status_an_answer_to_it() -> None:
    reported = of("Action: failed", "Status: 5.0.0", text="<jo@example.org>: no (in reply to RCPT TO command)")
    assert (str(reply(reported)), attempt(reported).command) == ("550 5.0.0", None), "a 550 to RCPT would say too much"


def test_an_smtp_diagnostic_without_a_code_gives_its_own_status_before_the_reports() -> None:
    reported = of("Action: failed", "Status: 5.0.0", "Diagnostic-Code: smtp; 5.4.7 - Delivery expired")
    assert str(reply(reported)) == "550 5.4.7 Delivery expired"


def test_a_reply_of_the_wrong_class_does_not_decide() -> None:
    reported = of("Action: failed", "Status: 5.2.2", "Diagnostic-Code: smtp; 250 ok")
    assert str(reply(reported)).startswith("550 5.2.2")
    assert reported.notes == ("`250 ok` is no reply of a mail that is failed: its status 5.2.2 counts, as 550",)


@pytest.mark.parametrize("status", ["Status: 2.0.0", "Status: 6.1.1", "Status: 5.01.1", "X: y"])
def test_a_failure_without_reply_and_status_makes_no_attempt(status: str) -> None:
    reported = of("Action: failed", status)
    assert (reported.kind, reported.attempt) == (Kind.FAILED, None)
    assert any("nothing is decided" in note for note in reported.notes)


def test_an_action_that_no_standard_knows_makes_no_attempt() -> None:
    reported = of("Action: undeliverable", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 no")
    assert (reported.kind, reported.attempt) == (Kind.UNKNOWN, None)


# ---- no failure ------------------------------------------------------------------------------------------------------


def test_a_delay_keeps_its_reply_and_says_how_long_they_try() -> None:
    reported = only(read_report(mail("delayed")))
    assert (reported.kind, reply(reported).code, attempt(reported).command) == (Kind.DELAYED, 451, Command.RCPT)
    assert reported.will_retry_until == datetime(2026, 1, 10, 10, tzinfo=UTC)
    assert attempt(reported).first_attempt_at is None, "or our schedule would give up what they still try"


def test_a_delay_is_temporary_whatever_reply_it_quotes() -> None:
    soft = only(read_report(mail("delayed_softly")))
    assert str(reply(soft)) == "450 4.1.1 no such user"
    for fields in (("Status: 5.1.1",), ("Diagnostic-Code: smtp; 250 ok",), ()):
        assert reply(of("Action: delayed", *fields)).klass == 4


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "Relayed (to a gateway)"])
@pytest.mark.parametrize(
    "said", ["Diagnostic-Code: smtp; 250 2.0.0 Ok", "Status: 2.0.0", "Diagnostic-Code: smtp; 550 no"]
)
def test_a_delivery_is_a_yes_to_the_final_dot(action: str, said: str) -> None:
    reported = of(f"Action: {action}", said)
    assert (reply(reported).code, attempt(reported).command) == (250, Command.DOT)


def test_the_relayed_report_of_postfix_keeps_its_words() -> None:
    assert str(reply(only(read_report(mail("relayed"))))) == "250 2.0.0 Ok: queued as 77"


# ---- who -------------------------------------------------------------------------------------------------------------


def test_the_reply_is_about_the_final_recipient_and_the_original_one_is_only_named() -> None:
    reported = only(read_report(mail("forwarded")))
    assert (str(reported.recipient), str(reported.original_recipient)) == ("bo@elsewhere.example", "jo@example.org")
    assert attempt(reported).recipient == reported.recipient
    assert any("addressed to jo@example.org" in note for note in reported.notes)


def test_without_a_readable_final_recipient_the_original_one_is_taken() -> None:
    reported = of("Original-Recipient: rfc822; bo@example.org", "Action: failed", "Status: 5.1.1")
    assert str(reported.recipient) == "jo@example.org"
    content = mail("local_words").replace(
        b"rfc822; jo@example.org\nAction", b"x400; c=de\nOriginal-Recipient: jo@b.example\nAction"
    )
    assert str(only(read_report(content)).recipient) == "jo@b.example"


def test_utf_8_addresses_are_read_raw_and_escaped() -> None:
    reported = only(read_report(mail("utf8")))
    assert reported.recipient == reported.original_recipient == parse_address("jösé@bücher.example")
    assert str(reply(reported)) == "550 5.1.1 Benutzer gibt es nicht: jösé"
    assert attempt(reported).command is Command.RCPT


@pytest.mark.parametrize("escape", [r"\x{110000}", r"\x{D800}", r"\x{}", r"\x{0}", "@", "<>"])
def test_an_address_that_is_none_is_no_recipient_and_nothing_is_decided(escape: str) -> None:
    content = mail("utf8").replace("jösé@bücher.example\nOrig".encode(), escape.encode() + b"\nX-Orig")
    reported = only(read_report(content))
    assert (reported.kind, reported.recipient, reported.attempt) == (Kind.FAILED, None, None)


# ---- what is no report -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [("vacation", Kind.AUTO_REPLY), ("arf", Kind.COMPLAINT), ("receipt", Kind.NONE), ("plain", Kind.NONE)],
)
def test_other_mail_is_told_apart_and_makes_no_attempt(name: str, kind: Kind) -> None:
    report = read_report(mail(name), scan=nobody)
    assert (only(report).kind, only(report).attempt, only(report).recipient) == (kind, None, None)
    assert only(report).notes[0].endswith("nothing is decided")


@pytest.mark.parametrize("header", ["X-Autoreply: yes", "Precedence: auto_reply", "Subject: Automatic reply: away"])
def test_automatic_replies_of_older_kinds_are_no_bounces(header: str) -> None:
    assert only(read_report(f"Return-Path: <>\n{header}\n\nI am away".encode(), scan=nobody)).kind is Kind.AUTO_REPLY


def test_an_old_style_bounce_gives_its_recipients_and_no_outcome() -> None:
    found = (parse_address("jo@example.org"),)
    reported = only(read_report(mail("qmail"), scan=lambda _: found))
    assert (reported.kind, reported.recipient, reported.attempt) == (Kind.UNKNOWN, found[0], None)


# ---- hostile mail ----------------------------------------------------------------------------------------------------


def test_a_report_that_is_cut_off_gives_what_is_there_and_says_so() -> None:
    report = read_report(mail("truncated"))
    assert str(only(report).recipient) == "jo@example.org"
    assert report.notes == ("the report is cut off: recipients may be missing",)


def test_a_line_that_is_cut_off_is_not_read() -> None:
    whole = mail("two_recipients")
    report = read_report(whole[: whole.index(b"rfc822; bo@example.com") + len("rfc822; bo@example.co")])
    assert [str(each.recipient) for each in report.recipients] == ["jo@example.org"]


def test_of_ten_thousand_recipients_a_thousand_are_read_and_the_rest_is_told() -> None:
    groups = "".join(
        f"\nFinal-Recipient: rfc822; u{number}@example.org\nAction: failed\nStatus: 5.1.1\n" for number in range(10_000)
    )
    head = "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
    report = read_report(f"{head}Reporting-MTA: dns; a.example\n{groups}\n--b--".encode())
    assert len(report.recipients) == RECIPIENTS_LIMIT
    assert report.notes == ("9000 more recipients are named and were not read",)


def test_a_status_in_base64_is_read() -> None:
    assert str(reply(only(read_report(mail("base64_status"))))) == "550 5.1.1 User unknown"


@pytest.mark.parametrize("cut", range(1, 6))
def test_base64_that_ends_too_soon_still_gives_what_is_there(cut: int) -> None:
    whole = mail("base64_status")
    end = whole.index(b"--F00D", whole.index(b"base64"))
    report = read_report(whole[: end - 1 - cut] + b"\n" + whole[end:])
    assert str(only(report).recipient) == "jo@example.org"


def test_a_charset_that_lies_is_not_believed() -> None:
    assert str(reply(only(read_report(mail("wrong_charset"))))) == "550 5.1.1 Benutzer unbekannt: Jörg"


def test_control_characters_never_come_out() -> None:
    assert only(read_report(mail("nul"))).recipient is None
    reported = only(read_report(mail("nul").replace(b"jo\0@", b"jo@")))
    assert str(reply(reported)) == "550 5.1.1 User??[2J unknown"


@pytest.mark.parametrize("name", ["missing_status", "no_recipient"])
def test_a_report_without_its_parts_names_nobody_and_decides_nothing(name: str) -> None:
    reported = only(read_report(mail(name), scan=nobody))
    assert (reported.kind, reported.recipient, reported.attempt) == (Kind.UNKNOWN, None, None)


def test_a_report_inside_the_returned_message_is_not_read() -> None:
    outer = mail("no_recipient").replace(
        b"--F00D.1/relay.example.net--",
        b"--F00D.1/relay.example.net\nContent-Type: message/rfc822\n\n" + mail("exim_failed"),
    )
    assert only(read_report(outer)).recipient is None


def test_a_mail_over_the_limit_is_read_up_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dsn, "SIZE_LIMIT", len(mail("exim_failed")))
    report = read_report(mail("exim_failed") + b"x" * 100)
    assert reply(only(report)).code == 550
    assert "were read" in report.notes[0]


@pytest.mark.parametrize(
    "date",
    ["Mon, 5 Jan 9999 10:00:00 +0000", "1 Jan 1900 00:00:00 +1400", "5 Jan 2026 10:00:00 +9999999999", "now", "(" * 90],
)
def test_a_date_that_leaves_no_room_is_no_date(date: str) -> None:
    tried = attempt(of("Action: failed", "Status: 5.1.1", f"Last-Attempt-Date: {date}"))
    assert tried.at == datetime(2026, 1, 5, 10, 0, 10, tzinfo=UTC)


@given(st.binary(max_size=2_000))
def test_any_bytes_give_a_report(raw: bytes) -> None:
    assert read_report(raw, scan=nobody).recipients


@given(st.sampled_from(SAMPLES), st.data())
def test_a_sample_with_any_piece_replaced_gives_a_report(sample: Path, drawn: st.DataObject) -> None:
    raw = sample.read_bytes()
    start = drawn.draw(st.integers(0, len(raw)))
    end = drawn.draw(st.integers(start, min(len(raw), start + 200)))
    noise = st.one_of(
        st.binary(max_size=60),
        st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.sampled_from([b"\n\n", b"\r", b"--b", b"; boundary*0*=", b"=?utf-8?q?=00?=", b"rfc822;", b"smtp; 55"]),
    )
    report = read_report(raw[:start] + drawn.draw(noise) + raw[end:], scan=nobody)
    for reported in report.recipients:
        tried = reported.attempt
        if tried is not None:
            assert tried.custody is Custody.THEIRS
            assert tried.sender is None
            assert isinstance(tried.outcome, Reply)
            assert tried.outcome.text.isprintable()


FIELD = st.sampled_from(
    ["Action", "Status", "Diagnostic-Code", "Remote-MTA", "Original-Recipient", "Last-Attempt-Date", "Will-Retry-Until"]
)
VALUE = st.one_of(
    st.sampled_from(["failed", "delayed", "relayed", "5.1.1", "4.2.2", "2.0.0", "smtp; 550 5.1.1 no", "smtp; 250 ok"]),
    st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=40),
)


@given(st.lists(st.tuples(FIELD, VALUE).map(": ".join), max_size=8))
def test_the_class_of_the_reply_is_always_one_that_the_action_can_have(fields: list[str]) -> None:
    status = "\n".join(["Final-Recipient: rfc822; jo@example.org", *fields])
    raw = f"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n{status}\n--b--"
    for reported in read_report(raw.encode(), scan=nobody).recipients:
        if reported.attempt is not None:
            classes = {Kind.FAILED: (4, 5), Kind.DELAYED: (4,)}.get(reported.kind, (2,))
            assert reply(reported).klass in classes
