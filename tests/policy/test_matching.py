"""Markers and patterns: what they find, and that nothing they are given hurts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.matching import Markers, Pattern, PatternError, words
from policy.text import fold

TEXTS = st.text(st.sampled_from("ab -.'é不存在 \t"), max_size=30)


@pytest.mark.parametrize(
    ("marker", "text", "found"),
    [
        ("over quota", "mailbox is over-quota!", True),
        ("over quota", "overquota", False),
        ("spam", "spamhaus", False),
        ("greylist*", "you are greylisted", True),
        ("greylist*", "ungreylisted", False),
        ("doesn t exist", "it doesn't exist", True),
        ("用户不存在", "该用户不存在。", True),
        ("boîte pleine", "la boîte pleine", True),
    ],
)
def test_a_marker_is_compared_by_words(marker: str, text: str, found: bool) -> None:
    assert bool(Markers([marker]).found(fold(text))) is found


@given(st.lists(st.text(st.sampled_from("ab "), min_size=1, max_size=4).filter(str.strip), max_size=6), TEXTS)
def test_many_markers_at_once_find_what_each_finds_alone(markers: list[str], text: str) -> None:
    together = Markers(markers).found(text)
    assert together == {marker for marker in markers if words(marker) in words(text)}


@given(TEXTS)
def test_words_of_words_are_the_words(text: str) -> None:
    assert words(words(text)) == words(text)


def test_a_marker_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="no word"):
        Markers(["..."])


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        ("user (?=unknown)", "`not`"),
        ("user (?!known)", "`not`"),
        ("(?<!un)known", "`not`"),
        (r"(a)\1", "write the words out"),
        ("a(", "missing )"),
        ("[", "missing ]"),
        ("(a{1000}){1000}", "repetition"),
        ("a" * 1001, "over 1000"),
    ],
)
def test_a_pattern_that_is_refused_says_what_to_write_instead(pattern: str, instead: str) -> None:
    with pytest.raises(PatternError) as caught:
        Pattern(pattern)
    assert instead in str(caught.value)


@given(st.text(max_size=40), st.text(max_size=200))
def test_any_pattern_is_refused_or_searches_any_text(pattern: str, text: str) -> None:
    said = ""
    try:
        assert Pattern(pattern).found(text) in (True, False)
    except PatternError as error:
        said = str(error)
    assert said.isprintable()


def test_a_pattern_that_backtracks_elsewhere_ends_here() -> None:
    assert Pattern("(a+)+$").found("a" * 8000 + "!") is False
