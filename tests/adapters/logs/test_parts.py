"""The parts of a mail: found where they should be, never too many, never too deep, never an exception."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.logs.parts import DEPTH_LIMIT, PARTS_LIMIT, read_part


def test_multiparts_are_entered_a_few_levels_deep_and_no_further() -> None:
    def nested(depth: int) -> bytes:
        head = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
        return f"{head}Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@b.example\n".encode()

    assert [each.type for each in read_part(nested(DEPTH_LIMIT)).parts()] == ["message/delivery-status"]
    assert [*read_part(nested(DEPTH_LIMIT + 1)).parts()] == []
    assert [*read_part(nested(2_000)).parts()] == []


def test_no_more_parts_are_read_than_the_limit() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 10_000
    assert len([*read_part(raw).parts()]) == PARTS_LIMIT


@pytest.mark.parametrize("boundary", ["", "*=utf\0-8''b", '="', "*0*=x'y'z; boundary*1=b", "=" + "b" * 5000, "=ü"])
def test_a_hostile_boundary_makes_no_parts_and_no_exception(boundary: str) -> None:
    raw = f"Content-Type: multipart/report; boundary{boundary}\n\n--b\n\nx".encode()
    assert len([*read_part(raw).parts()]) <= 1


def test_a_header_that_is_longer_than_the_limit_does_not_hide_the_body() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n" + b"X: y\n" * 50_000 + b"\n--b\n\nhello\n--b--\n"
    assert [each.body for each in read_part(raw).parts()] == [b"hello\n"]


@given(st.binary(max_size=300), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "8bit", "BASE64 "]))
def test_any_body_in_any_encoding_has_a_content(body: bytes, encoding: str) -> None:
    part = read_part(f"Content-Transfer-Encoding: {encoding}\n\n".encode() + body)
    assert isinstance(part.content, bytes)


@given(st.text(max_size=80))
def test_any_media_type_has_parameters_or_none(value: str) -> None:
    part = read_part(f"Content-Type: {value}\n\n".encode("utf-8", "surrogatepass"))
    assert isinstance(part.parameter("boundary"), str)
    assert "/" in part.type
