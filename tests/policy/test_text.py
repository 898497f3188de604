"""Laws of making strangers' text safe, and of what conditions may see of it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.address import Address
from policy.testing import replies, values
from policy.text import ADDRESS_PLACEHOLDER, LINE_LIMIT, SafeText, clean, fold, searchable

hostile = st.one_of(
    st.text(), replies.wordings(), st.text(st.sampled_from("a \t\r\n\x00\x1b\x85\u2028\u202e\u200b\ud800ß"))
)


@given(text=hostile, limit=st.integers(1, 60))
def test_cleaned_text_is_printable_on_one_line_and_no_longer_than_its_limit(text: str, limit: int) -> None:
    cleaned = clean(text, limit=limit)
    assert isinstance(cleaned, SafeText)
    assert cleaned.isprintable()
    assert len(cleaned) <= limit
    assert cleaned == " ".join(cleaned.split())
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in cleaned)


@given(text=hostile, limit=st.integers(1, 60))
def test_cleaning_again_changes_nothing(text: str, limit: int) -> None:
    cleaned = clean(text, limit=limit)
    assert clean(str(cleaned), limit=limit) == cleaned
    assert clean(cleaned, limit=limit) == cleaned


@given(text=st.text(st.characters(categories=("L", "N", "P", "S")), max_size=40))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_what_safe_text_is_longer_than_the_limit_is_cut_again() -> None:
    assert clean(clean("abc def"), limit=4) == "abc"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\x00b", "a?b"),
        ("a\x1b[2Jb", "a?[2Jb"),
        ("a\r\nRCPT TO:<x>", "a RCPT TO:<x>"),
        ("a\u2028b\x85c", "a b c"),
        ("moc.\u202eelgoog", "moc.elgoog"),
        ("pay\u200bpal", "paypal"),
        ("\ud800", "?"),
        (" \t a  b ", "a b"),
    ],
)
def test_each_kind_of_trick_is_made_visible_or_vanishes(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    "unit", ["a", " ", "\u202e", "\x00", "@", "<", '"', '"\\', "a@", '"@', "<a", "a@b.", "'=", "\ud800"]
)
def test_a_megabyte_of_anything_is_cleaned_and_searched(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    assert len(clean(text)) <= LINE_LIMIT
    assert len(searchable(text)) <= 2 * len(text) + len(ADDRESS_PLACEHOLDER)


@given(address=values.addresses(), form=st.sampled_from(["{}", "<{}>", "'{}'", "({})", "to:{}", "{},", "<{}>:"]))
def test_no_part_of_an_address_is_seen_by_conditions(address: Address, form: str) -> None:
    # Cleaned, as in a reply: two blanks in a row of a quoted local part are one.
    seen = searchable(clean(f"before {form.format(address)} after"))
    left = seen.replace(ADDRESS_PLACEHOLDER, "")
    assert seen.startswith("before ")
    assert seen.endswith(" after")
    assert not any(char.isalnum() for char in left[len("before") : -len("after")].replace("to:", ""))


@pytest.mark.parametrize(
    "address",
    [
        "spam@x.example",
        "o'spam@x.example",
        "spam=jo@x.example",
        "a+spam@x.example",
        '"spam jo"@x.example',
        '"spam\\"jo"@x.example',
        '"spam @ jo"@x.example',
        "spam@[192.0.2.1]",
        "spam/mo@x.example",
    ],
)
def test_a_recipient_named_spam_does_not_decide(address: str) -> None:
    for text in (f"<{address}>: user unknown", f"{address} user unknown", f"user unknown ({address})"):
        assert "spam" not in searchable(text)
        assert "user unknown" in searchable(text)


@pytest.mark.parametrize(
    "text", ["see <https://mail.example/spam>", "a @ b", "meet @noon", "price < 5 > 3", '"spam" said he']
)
def test_what_is_no_address_is_left_for_conditions(text: str) -> None:
    assert searchable(text) == text


@given(text=hostile)
def test_searchable_text_is_folded(text: str) -> None:
    assert fold(searchable(text)) == searchable(text) or "İ" in text
