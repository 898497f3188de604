"""Laws of reading replies: any octets give a value, the form is judged by the standards, and traps stay closed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.reply import EnhancedStatus, Flaw, Reply, parse_reply, reply_from_client
from policy.testing import replies, values
from policy.text import LINE_LIMIT, LINES_LIMIT, TEXT_LIMIT


def read(raw: bytes | str) -> tuple[int | None, str | None, list[str], set[Flaw]]:
    reply = parse_reply(raw)
    stated = None if reply.stated is None else str(reply.stated)
    return reply.code, stated, list(reply.lines), set(reply.flaws)


@given(raw=st.one_of(replies.wire_replies(), replies.text_replies(), st.binary(), st.text()))
def test_every_input_is_a_reply_whose_text_is_printable_and_bounded(raw: bytes | str) -> None:
    reply = parse_reply(raw)
    assert reply.code is None or 200 <= reply.code <= 599
    assert (reply.code is None) == bool({Flaw.NO_CODE, Flaw.CODE_OUT_OF_RANGE} & set(reply.flaws))
    assert all(line and line.isprintable() and len(line) <= LINE_LIMIT for line in reply.lines)
    assert len(reply.lines) <= LINES_LIMIT
    assert len(reply.text) <= TEXT_LIMIT
    assert str(reply).isprintable()
    assert list(reply.flaws) == [flaw for flaw in Flaw if flaw in reply.flaws]


@given(code=st.integers(-5, 1100), message=st.one_of(st.binary(), replies.wordings()))
def test_whatever_a_client_hands_out_is_a_reply(code: int, message: bytes | str) -> None:
    reply = reply_from_client(code, message)
    assert reply.code == (code if 200 <= code <= 599 else None)
    assert all(line.isprintable() for line in reply.lines)


@settings(max_examples=13)
@given(raw=replies.huge_replies())
def test_a_megabyte_is_read_to_the_limit_and_no_further(raw: bytes) -> None:
    reply = parse_reply(raw)
    assert Flaw.TRUNCATED in reply.flaws
    assert len(reply.text) <= TEXT_LIMIT


@given(text=replies.plain_texts())
def test_text_octets_and_what_a_client_hands_out_of_one_reply_are_one_value(text: str) -> None:
    reply = parse_reply(text)
    assert parse_reply(text.encode() + b"\r\n") == reply
    assert reply_from_client(int(text[:3]), text[4:].encode()) == reply


@given(reply=values.replies())
def test_the_class_is_the_codes_and_the_status_that_counts_is_of_that_class(reply: Reply) -> None:
    if reply.code is None:
        assert reply.klass is None
        assert reply.enhanced == reply.stated
    elif reply.enhanced is not None:
        assert reply.enhanced.klass == reply.klass == reply.code // 100
        if reply.stated is not None and reply.stated.klass != reply.klass:
            assert str(reply.enhanced) == f"{reply.klass}.0.0"


@pytest.mark.parametrize(
    "raw", ["", b"", "\r\n", b"\r\n", "hello", b"\x00", "55", "55 x", "5500 x", b"5500 x", "-550", "+550 x"]
)
def test_without_three_digits_at_the_start_there_is_no_code(raw: bytes | str) -> None:
    reply = parse_reply(raw)
    assert reply.code is None
    assert Flaw.NO_CODE in reply.flaws


@pytest.mark.parametrize("digits", ["５５０", "٥٥٠", "5_5_0", "5a0", "²50", "0x226", "5.0", "55O"])
def test_only_ascii_digits_are_digits(digits: str) -> None:
    assert parse_reply(f"{digits} no such user").code is None
    assert parse_reply(f"{digits} no such user\r\n".encode()).code is None


@pytest.mark.parametrize("digits", ["000", "099", "100", "199", "600", "999"])
def test_a_first_digit_beside_two_to_five_is_no_code(digits: str) -> None:
    assert read(f"{digits} x")[0] is None
    assert Flaw.CODE_OUT_OF_RANGE in parse_reply(f"{digits} x").flaws


def test_a_blank_before_the_code_hides_it_on_the_wire() -> None:
    assert parse_reply(b" 550 x\r\n").code is None
    assert parse_reply(" 550 x\n").code == 550  # text out of a file may be indented


def test_a_code_needs_no_text() -> None:
    assert read(b"550\r\n") == (550, None, [], set())
    assert read("550") == (550, None, [], set())


def test_a_reply_that_never_ends_is_read_and_flawed() -> None:
    assert read(b"550-") == (550, None, [], {Flaw.UNTERMINATED})
    assert read(b"550-no\r\n550-such user\r\n") == (550, None, ["no", "such user"], {Flaw.UNTERMINATED})


def test_of_two_codes_the_last_lines_counts() -> None:
    assert read(b"250-yes\r\n550 no\r\n") == (550, None, ["yes", "no"], {Flaw.CODES_DIFFER})


def test_a_line_without_a_code_is_text_and_a_flaw() -> None:
    assert read(b"550-one\r\ntwo\r\n550 three\r\n") == (550, None, ["one", "two", "three"], {Flaw.LINE_WITHOUT_CODE})


def test_ten_thousand_lines_are_cut() -> None:
    code, _, lines, flaws = read(b"550-x\r\n" * 10_000 + b"550 y\r\n")
    assert code == 550
    assert len(lines) == LINES_LIMIT
    assert Flaw.TRUNCATED in flaws


def test_a_line_of_a_megabyte_is_cut() -> None:
    _, _, (line,), flaws = read(b"550 " + b"x" * 1_000_000)
    assert line == "x" * LINE_LIMIT
    assert flaws == {Flaw.TRUNCATED}


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\r\n", b"\n\r"])
def test_on_the_wire_a_bare_line_break_is_a_flaw(end: bytes) -> None:
    assert Flaw.BARE_LINE_BREAK in parse_reply(b"550 one" + end + b"two\r\n").flaws
    assert Flaw.BARE_LINE_BREAK not in parse_reply("550-one\n550 two\n").flaws


def test_a_bare_line_feed_smuggles_in_no_second_reply() -> None:
    assert read(b"550 no\n250 yes\r\n")[0] == 550


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_what_python_calls_a_line_break_does_not_break_a_reply(separator: str) -> None:
    for raw in (f"550 no{separator}250 yes", f"550 no{separator}250 yes\r\n".encode()):
        code, _, lines, flaws = read(raw)
        assert (code, lines) == (550, ["no 250 yes"])
        assert Flaw.LINE_WITHOUT_CODE not in flaws


@pytest.mark.parametrize("piece", ["\x00", "\x07", "\x1b[2J", "\x7f", "\x9b", "\u202e", "\u200b", "\ufeff"])
def test_unprintable_characters_are_cleaned_and_told(piece: str) -> None:
    reply = parse_reply(f"550 a{piece}b".encode())
    assert reply.text.isprintable()
    assert Flaw.CLEANED in reply.flaws


@pytest.mark.parametrize("charset", ["latin-1", "koi8-r", "big5", "utf-16-le"])
def test_what_is_not_utf_8_is_read_all_the_same_and_told(charset: str) -> None:
    word = {"latin-1": "inconnu é è", "koi8-r": "нет такого", "big5": "不存在"}.get(charset, "жé不")
    reply = parse_reply(b"550 5.1.1 " + word.encode(charset) + b"\r\n")
    assert (reply.code, str(reply.stated)) == (550, "5.1.1")
    assert Flaw.NOT_UTF8 in reply.flaws


def test_our_own_cut_through_a_character_is_not_the_servers_flaw() -> None:
    reply = parse_reply(b"550 " + "й".encode() * 100_000)
    assert Flaw.NOT_UTF8 not in reply.flaws
    assert set(reply.text) == {"й"}


def test_of_two_statuses_the_first_counts() -> None:
    assert read(b"550-5.1.1 a\r\n550 5.2.1 b\r\n") == (550, "5.1.1", ["a", "b"], {Flaw.ENHANCED_DIFFER})
    assert read(b"550-5.1.1 a\r\n550 5.1.1 b\r\n") == (550, "5.1.1", ["a", "b"], set())
    assert read("550 5.1.1 5.2.2 x")[1] == "5.1.1"


@pytest.mark.parametrize(
    ("raw", "counts"),
    [("550 4.2.2 x", "5.0.0"), ("421 5.7.32 x", "4.0.0"), ("250 5.1.1 x", "2.0.0"), ("354 5.1.1 x", None)],
)
def test_the_code_wins_over_a_status_of_another_class(raw: str, counts: str | None) -> None:
    reply = parse_reply(raw)
    assert reply.flaws == (Flaw.CLASS_MISMATCH,)
    assert (None if reply.enhanced is None else str(reply.enhanced)) == counts


@pytest.mark.parametrize(
    ("text", "status", "rest"),
    [
        ("5.1.1 x", "5.1.1", "x"),
        ("#5.1.1 x", "5.1.1", "x"),
        ("(#5.1.1) x", "5.1.1", "x"),
        ("[5.1.1]: x", "5.1.1", "x"),
        ("5.1.1: x", "5.1.1", "x"),
        ("5.1.999 x", "5.1.999", "x"),
        ("cuda_nsu 5.1.1 x", "5.1.1", "cuda_nsu x"),
        ("nobody of that name lives here. (#5.1.1)", "5.1.1", "nobody of that name lives here."),
        ("5.01.1 x", None, "5.01.1 x"),
        ("5.1 x", None, "5.1 x"),
        ("5.1.1.1 x", None, "5.1.1.1 x"),
        ("5.1.1000 x", None, "5.1.1000 x"),
        ("6.1.1 x", None, "6.1.1 x"),
        ("3.1.1 x", None, "3.1.1 x"),
        ("５.1.1 x", None, "５.1.1 x"),
        ("host 192.5.1.1 said no", None, "host 192.5.1.1 said no"),
        ("said: 550 5.1.1 unknown there", None, "said: 550 5.1.1 unknown there"),
    ],
)
def test_a_status_is_read_in_the_forms_that_servers_use_and_in_no_other(
    text: str, status: str | None, rest: str
) -> None:
    assert read(f"550 {text}") == (550, status, [rest], set())


@given(status=values.enhanced_statuses())
def test_a_status_is_read_as_it_is_written(status: EnhancedStatus) -> None:
    if status.klass == 3:
        with pytest.raises(ValueError, match="not an enhanced status"):
            EnhancedStatus.parse(str(status))
    else:
        assert EnhancedStatus.parse(str(status)) == status


@pytest.mark.parametrize(
    "text", ["", "5", "5.1", "5.1.1.", " 5.1.1", "5.1.1\n", "1.1.1", "5.1.1000", "5.01.1", "5,1,1", "٥.1.1"]
)
def test_what_is_no_status_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(ValueError, match="is not an enhanced status"):
        EnhancedStatus.parse(text)
