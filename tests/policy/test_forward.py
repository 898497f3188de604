"""Laws of forward paths: the one path that a 251 or 551 names, by the letter, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.address import parse_address
from policy.forward import PATH_LIMIT, UntrustedPath, forward_path
from policy.reply import parse_reply
from policy.testing import replies

RECIPIENT = parse_address("jo@old.example")


def named(text: str, *, smtputf8: bool = False) -> str | None:
    path = forward_path(parse_reply(text), RECIPIENT, smtputf8=smtputf8)
    return None if path is None else str(path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("251 User not local; will forward to <jo@new.example>", "jo@new.example"),
        ("551 5.1.6 User not local; please try <Jo@New.Example>", "Jo@new.example"),
        ("251 <jo@old.example> moved; will forward to <jo@new.example>", "jo@new.example"),
        ("251 <jo@new.example> is <JO@NEW.EXAMPLE>", "JO@new.example"),
        ("251 will forward to <@a.example,@b.example:jo@new.example>", "jo@new.example"),
        ('251 <"a b"@new.example>', '"a b"@new.example'),
        ("251 <jo@[192.0.2.1]>", "jo@[192.0.2.1]"),
        ("251-User not local\r\n251 will forward to <jo@new.example>", "jo@new.example"),
        ("251 <>", None),
        ("251 <jo>", None),
        ("251 <jo@>", None),
        ("251 <@new.example>", None),
        ("251 jo@new.example", None),
        ("251 User not local", None),
        ("551 5.7.1 no", None),
        ("251 <a@x.example> <b@x.example> <c@x.example>", None),
        ("251 <jo@old.example>", None),
        ("251 <JO@OLD.EXAMPLE>", None),
        ("251 <a..b@new.example>", None),
        ("251 <jo@exa mple>", None),
        (f"251 <{'a' * 65}@new.example>", None),
        (f"251 <jo@{'a' * 300}.example>", None),
        (f"251 <jo@{'.'.join(['a' * 60] * 5)}>", None),
        ("250 <jo@new.example>", None),
        ("550 <jo@new.example>", None),
        ("451 <jo@new.example>", None),
    ],
)
def test_a_reply_names_one_path_or_none(text: str, path: str | None) -> None:
    assert named(text) == path


def test_a_command_behind_the_path_is_no_part_of_it() -> None:
    assert named("251 <jo@new.example>\r\nRCPT TO:<mo@evil.example>") is None  # two paths: which one is meant?
    assert named("251 <jo@new.example\r\nRCPT TO:>") is None


def test_a_mailbox_beyond_ascii_counts_only_where_smtputf8_was_used() -> None:
    assert named("251 <jo@аpple.example>") is None
    assert named("251 <ﬁ@new.example>") is None
    assert named("251 <jo@аpple.example>", smtputf8=True) == "jo@xn--pple-43d.example"


@given(reply=replies.parsed_replies(), smtputf8=st.booleans())
def test_a_path_is_printable_bounded_an_address_by_the_letter_and_not_the_recipient(
    reply: object, smtputf8: bool
) -> None:
    path = forward_path(reply, RECIPIENT, smtputf8=smtputf8)  # type: ignore[arg-type]
    if path is not None:
        assert type(path) is UntrustedPath
        assert path.quoted.isprintable()
        assert len(path.quoted) <= PATH_LIMIT
        assert parse_address(path.quoted, strict=True).key != RECIPIENT.key


@given(text=st.sampled_from(["251 {}", "551 5.1.6 try {}"]), name=st.sampled_from(replies.NAMED), utf8=st.booleans())
def test_hostile_paths_are_read_or_dropped_and_never_raise(text: str, name: str, utf8: bool) -> None:
    path = forward_path(parse_reply(text.format(name)), RECIPIENT, smtputf8=utf8)
    assert path is None or parse_address(path.quoted, strict=True)
