"""Laws of addresses: what is one, and which two have one key."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.address import (
    LOCAL_PART_LIMIT,
    Address,
    parse_address,
    parse_bare_domain,
    parse_domain,
    plain_key,
    plain_keys,
)
from policy.testing import replies, values


@given(address=values.addresses())
def test_an_address_is_read_as_it_is_written(address: Address) -> None:
    assert parse_address(str(address)) == address
    assert parse_address(f"<{address}>") == address


@given(address=values.addresses())
def test_the_key_is_an_address_whose_key_it_is(address: Address) -> None:
    assert parse_address(address.key).key == address.key


@given(one=values.addresses(), other=values.addresses())
def test_two_addresses_share_a_key_only_if_they_differ_in_ascii_case_alone(one: Address, other: Address) -> None:
    lower = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
    assert (one.key == other.key) == (str(one).translate(lower) == str(other).translate(lower))


@given(text=st.one_of(st.text(), replies.wordings(), st.builds("{}@{}".format, st.text(), st.text())))
def test_any_text_is_an_address_or_an_error_of_one_printable_line(text: str) -> None:
    try:
        said = parse_address(text).key
    except ValueError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 400


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jo@x.example", "jo@X.EXAMPLE"),
        ("jo@x.example.", "jo@x.example"),
        ("jo@bücher.example", "jo@xn--bcher-kva.example"),
        ("jo@BÜCHER.example", "jo@bücher.example"),
        ("jo@[IPv6:2001:DB8::1]", "jo@[ipv6:2001:db8::1]"),
    ],
)
def test_one_mailbox_written_in_two_ways_has_one_key(one: str, other: str) -> None:
    assert parse_address(one).key == parse_address(other).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.b@x.example", "ab@x.example"),
        ("a+x@x.example", "a@x.example"),
        ("a-b@x.example", "a@x.example"),
        ("\u212a@x.example", "k@x.example"),  # the Kelvin sign
        ("\u0131@x.example", "i@x.example"),  # dotless i
        ("\u0130@x.example", "i@x.example"),  # dotted capital I
        ("ß@x.example", "ss@x.example"),
        ("ς@x.example", "σ@x.example"),
        ("É@x.example", "é@x.example"),  # only ASCII case is folded
        ("ａｄｍｉｎ@x.example", "admin@x.example"),
        ("jo@faß.example", "jo@fass.example"),  # IDNA 2008 keeps them apart
        ('"jo"@x.example', "jo@x.example"),
        ("jo@x.example", "jo@y.x.example"),
        ("аpple@x.example", "apple@x.example"),  # a Cyrillic letter
    ],
)
def test_another_mailbox_has_another_key(one: str, other: str) -> None:
    assert parse_address(one).key != parse_address(other).key


@pytest.mark.parametrize(
    "text",
    [
        '"a@b"@c.example', '"@"@c.example', '"a b"@c.example', '"a\\"b"@c.example', '""@c.example', "a..b@c.example",
        ".a@c.example", "a.@c.example", "a%b@c.example", "host!user@c.example", "jo@[127.0.0.1]", "jo@[IPv6:::1]",
        "jo@localhost", "jo@_x.example", "пример@пример.example", f"{'a' * 64}@c.example", "prvs=1234=jo@c.example",
    ],
)  # fmt: skip
def test_what_exists_in_the_wild_is_read(text: str) -> None:
    assert parse_address(text).local == text.rpartition("@")[0]


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "a@", "@c.example", "jo", "<>", "<jo>", "a b@c.example", "a@b@c.example", "jo(comment)@c.example",
        "jo@c.example\r\nRCPT TO:<x@y>", "jo\x00@c.example", "jo\n@c.example", "jo@c\x00.example", "jo\u202e@c.example",
        f"{'a' * 65}@c.example", f"{'é' * 33}@c.example", f"jo@{'a' * 64}.example", f"jo@{'a.' * 127}aaa",
        "jo@c..example", "jo@-c.example", "jo@c-.example", "jo@.example", "jo@[127.0.0.1", "jo@[IPv6:zz]",
        "jo@c example", "jo@c.example..",
        '"a"b@c.example', '"a@c.example', "jo@exam\u200bple..org", "<jo@c.example", "jo,mo@c.example", "jo;@c.example",
    ],
)  # fmt: skip
def test_what_is_no_address_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|over 64|characters that"):
        parse_address(text)


@pytest.mark.parametrize("text", ["a..b@c.example", ".a@c.example", "a.@c.example"])
def test_by_the_letter_dots_stand_between_letters_only(text: str) -> None:
    with pytest.raises(ValueError, match="local part"):
        parse_address(text, strict=True)


@given(name=values.domains())
def test_a_domain_reads_itself(name: str) -> None:
    assert parse_domain(name) == name
    assert parse_domain(name.upper()) == name


@given(text=st.one_of(st.text(), values.addresses().map(str), st.from_regex(r"[A-Za-z.<'K]{1,66}@[a-zA-Z.\-_]{1,260}")))
def test_the_short_way_to_a_key_gives_the_key_or_nothing(text: str) -> None:
    key = plain_key(text)
    assert key is None or key == parse_address(text).key


@pytest.mark.parametrize("text", ["Jo.Doe+x@Example.ORG", "o'hara@a-b.example", "a..b@x_y.example", "1@2"])
def test_usual_addresses_have_the_short_way(text: str) -> None:
    assert plain_key(text) == parse_address(text).key


@pytest.mark.parametrize(
    "text",
    [
        "jo",
        "<jo@x.example>",
        '"a b"@x.example',
        "jo@x.example.",
        "jo@[192.0.2.1]",
        "jo@-x.example",
        "\u212ao@x.example",
        f"{'a' * 65}@x.example",
        f"a@{'a' * 64}.example",
        f"a@{'a.' * 127}aa",
        "jo@x.example\n",
    ],
)
def test_all_else_goes_the_long_way(text: str) -> None:
    assert plain_key(text) is None


@given(
    st.lists(
        st.one_of(
            st.text(),
            st.sampled_from(
                ["-a@b", "a@b-", "a@b--c.d", "a" * 65 + "@x.example", "a@" + "b" * 64 + ".example", "a@_.x", "a\\n@b"]
            ),
            values.addresses().map(str),
        ),
        max_size=4,
    )
)
@example(["0@0."])
@example(["a@b-", "a@b-.c", "a@b..c"])
def test_keys_of_many_are_those_of_each(told: list[str]) -> None:
    found = plain_keys(told)
    assert found is None or list(found) == [plain_key(each) for each in told]
    assert found is not None or any(plain_key(each) is None or len(each) > LOCAL_PART_LIMIT for each in told)


@given(values.domains())
def test_a_bare_domain_is_a_domain_with_a_dot_and_a_name_at_the_top(name: str) -> None:
    try:
        found = parse_bare_domain(name)
    except ValueError:
        top = name.rpartition(".")[2]
        assert "." not in name or top.isdecimal() or "xn--" in name
    else:
        assert found == parse_domain(name)
        assert "." in found or ":" in found


@pytest.mark.parametrize(
    "word", ["junk", "=evil", "a@b.example", "10.5", "_x.example", "a..b", "", ".", "xn--\u00e9.example", "xn--a-.b"]
)
def test_not_every_word_is_a_domain(word: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        parse_bare_domain(word)
