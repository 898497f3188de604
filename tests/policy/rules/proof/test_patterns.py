"""What is proved of text conditions is so: no text speaks against it, and the engine finds every sample."""

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy.matching import Pattern
from policy.rules.proof.patterns import TextAtom, Verdict, containments, excludes, implies, sample, verdict
from policy.text import TEXT_LIMIT, clean, searchable


def is_real(text: str) -> bool:
    """Can a reply have this text?"""
    return searchable(clean(text, limit=TEXT_LIMIT)) == text


def holds(atom: TextAtom, text: str) -> bool:
    return atom in text if isinstance(atom, str) else atom.found(text)


# All short texts of characters that patterns tell apart: letters (one of them the engine's other `s`), a digit, a
# blank, marks, and what addresses are made of.
SHORT = [text for n in range(4) for text in map("".join, product("asſ1 -é@<", repeat=n)) if is_real(text)]
TEXTS = st.text(st.sampled_from("abs1 -é_.@<>'\"/:,ſK用\t"), max_size=20).map(lambda text: searchable(clean(text)))

LETTERS = st.sampled_from(
    [
        *(
            "a",
            "a",
            "s",
            "S",
            "1",
            "-",
            "é",
            "_",
            "@",
            "<",
            "k",
            "用",
            " ",
            " ",
            ".",
            r"\.",
            r"\x61",
            r"\x{e9}",
            r"\x20",
        ),
        *(r"\d", r"\w", r"\W", r"\s", r"\S", r"\pL", r"\t", "[a-s]", "[A-C]", "[^a]", "[^a-z ]", r"[\d-]", "[]a]"),
        *("[[:alpha:]1]", r"[^\w\s]", r"[^\x00-\x{10FFFF}]"),
    ]
)
BORDERS = st.sampled_from(["^", "$", r"\b", r"\A", r"\z"])
REPEATS = st.sampled_from(["*", "+", "?", "*?", "{2}", "{0,2}", "{1,}", "{0}"])
FLAGS = st.sampled_from(["i", "-i", "s", "m", "i-s", "U", "s-i"])


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join).map("({})".format),
        st.builds("(?:{}){}".format, inner, REPEATS),
        st.builds("(?P<name>{}|)".format, inner),
        st.builds("(?{}:{})".format, FLAGS, inner),
        st.builds("(?{}){}".format, FLAGS, inner),
    )


PATTERNS = st.recursive(LETTERS | BORDERS | st.builds("{}{}".format, LETTERS, REPEATS), grown, max_leaves=6)
ENGINES = PATTERNS.filter(lambda text: text.count("<name>") < 2).map(Pattern)
PHRASES = st.text(st.sampled_from("abs1 -é<@"), max_size=4).map(lambda text: " ".join(text.split()))
ATOMS = ENGINES | PHRASES


@given(ENGINES, st.lists(TEXTS, max_size=5))
def test_no_text_speaks_against_a_verdict(pattern: Pattern, texts: list[str]) -> None:
    said = verdict(pattern.pattern)
    found = {pattern.found(text) for text in (*SHORT, *texts)}
    assert (said is Verdict.NEVER) <= (True not in found)
    assert (said is Verdict.ALWAYS) <= (False not in found)
    assert said is not Verdict.NOT_KNOWN or len(found) == 1


@given(ENGINES)
def test_a_sample_is_a_text_that_a_reply_can_have_and_is_found(pattern: Pattern) -> None:
    text = sample(pattern.pattern)
    if text is None:
        assert verdict(pattern.pattern) in (Verdict.NEVER, Verdict.NOT_KNOWN)
        assert not any(pattern.found(each) for each in SHORT)
    else:
        assert is_real(text)
        assert pattern.found(text)


@given(ATOMS, ATOMS, st.lists(TEXTS, max_size=5))
def test_no_text_speaks_against_an_implication_or_an_exclusion(a: TextAtom, b: TextAtom, texts: list[str]) -> None:
    held = {(holds(a, text), holds(b, text)) for text in (*SHORT, *texts)}
    assert implies(a, b) is not True or (True, False) not in held
    assert excludes(a, b) is not True or (True, True) not in held


@given(ATOMS, ATOMS)
def test_what_a_short_text_refutes_is_not_left_open(a: TextAtom, b: TextAtom) -> None:
    held = {(holds(a, text), holds(b, text)) for text in SHORT}
    assert (True, False) not in held or implies(a, b) is False
    assert (True, True) not in held or excludes(a, b) is False


@given(ATOMS)
def test_every_condition_implies_itself(atom: TextAtom) -> None:
    assert implies(atom, atom) is not False


@given(TEXTS.filter(bool))
@example("<address>'jo@example.org")
@example("jo@'x")
@example("@jo@example.org")
@example("<jo doe>@x")
def test_no_text_of_a_reply_is_called_impossible(text: str) -> None:
    exactly = "(?-i)" + "".join(f"\\x{{{ord(char):x}}}" for char in text)
    unguessed = verdict(f"^(?:$x|{exactly}|$x)$")
    assert unguessed is Verdict.NEITHER if is_real(text) else unguessed is not Verdict.NEVER


@given(st.text(st.sampled_from("ab\\(){}[]|?*+^$.:-,12QEBCpPiU<>x\ud800\n ") | st.characters(), max_size=12))
def test_any_pattern_gets_a_verdict(pattern: str) -> None:
    said = verdict(pattern)
    try:
        engine = Pattern(pattern)
    except ValueError:
        assert said is Verdict.NOT_KNOWN
        assert sample(pattern) is None
        return
    found = {engine.found(text) for text in SHORT}
    assert (said is Verdict.NEVER) <= (True not in found)
    assert (said is Verdict.ALWAYS) <= (False not in found)


NEVER = [
    "$a",
    "a^b",
    r"x\by",
    r"[^\x00-\x{10FFFF}]",
    "a\nb",
    r"\t",
    "a  b",
    r"a\s\sb",
    "(?-i)ABC",
    "^ a",
    "a $",
    "\u200b",
]
NEVER += [r"user jo@example\.org", r"^\S+ $", "(?-i:A)b|c$d", r"\x00"]
ALWAYS = [".*", "a*", "(?:)", "x|", "^", "$", r"\w|\W|^$", "^.*$", "(a|b*)+", "(?i)|x", r"^(\S+ ?)*$", "[^\\n]*$"]
NEITHER = [
    "ABC",
    "[A-Z]",
    "user .* unknown",
    r"\pL+\d",
    "用户不存在",
    r"\A\z",
    "[[:^print:]]",
    r"jo@example\.org",
    " a",
]
NEITHER += ["<address>", r"(a{1000})b", r".*a.{14}b.*$", r"\{a\}", "a{,2}", r"\bsp?am\b", "(?P<one>x)y", "(?-i)s"]
NOT_KNOWN = [
    "(",
    "(?=a)",
    "a" * 1001,
    r"\Bfoo",
    r"\Qa.b\E",
    r"\C",
    "a(?i)*",
    "(" * 200 + ")" * 200,
    "(?:(?:){1000}a){500}",
]
NOT_KNOWN += ["$" + "".join(map(chr, range(0x4E00, 0x4E00 + 600)))]  # too many letters to ask the engine about


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        *((each, Verdict.NEVER) for each in NEVER),
        *((each, Verdict.ALWAYS) for each in ALWAYS),
        *((each, Verdict.NEITHER) for each in NEITHER),
        *((each, Verdict.NOT_KNOWN) for each in NOT_KNOWN),
    ],
)
def test_a_verdict_is_as_strong_as_it_can_be(pattern: str, expected: Verdict) -> None:
    assert verdict(pattern) is expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("mailbox full", Pattern("box.full"), True),
        ("mailbox full", "box f", True),
        ("box f", "mailbox full", False),
        ("x", Pattern("^x"), False),  # found in the phrase, not in every text with the phrase
        ("x", Pattern("x$"), False),
        ("x", Pattern(r"\bx"), False),
        ("a b c", Pattern(r"\bb\b"), True),
        ("a b c", Pattern(r"\ba b"), False),
        ("s", Pattern("s"), True),
        (Pattern("s"), "s", False),  # the engine takes `ſ` for an `s`
        (Pattern("abc+"), "abc", True),
        (Pattern("^x"), Pattern("x"), True),
        (Pattern("user [a-z]+ unknown"), Pattern("user .* unknown"), True),
        (Pattern("user .* unknown"), Pattern("user [a-z]+ unknown"), False),
        (Pattern("user (unknown|not found)"), Pattern("unknown|not found|no such"), True),
        (Pattern(r"\d{3} a"), Pattern(r"\d\d a"), True),
        ("user jo@example.org", "anything", True),  # no text has this phrase: an address is replaced
        (Pattern("ab(?i){2}"), "ab{2}", None),  # it says `abb`
        ("a", Pattern(r"\Bb"), None),
        (Pattern("a.{20}$"), Pattern("a.{20}$|b.{19}$"), None),  # too many states to follow
    ],
)
def test_an_implication_is_proved_refuted_or_left_open(a: TextAtom, b: TextAtom, expected: bool | None) -> None:
    assert implies(a, b) is expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Pattern("^a"), Pattern("^b"), True),
        (Pattern("a$"), Pattern("[^a]$"), True),
        (Pattern("^[a-m]+$"), "z", True),
        ("a", "b", False),
        (Pattern("^5"), Pattern("^5.5"), False),
    ],
)
def test_an_exclusion_is_proved_or_refuted(a: TextAtom, b: TextAtom, expected: bool) -> None:
    assert excludes(a, b) is expected
    assert excludes(b, a) is expected


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^user [a-z]+ (unknown|disabled)$", "user a unknown"),
        ("over.?quota", "over quota"),
        ("(spam|junk) mail", "spam mail"),
        ("MAILBOX  ?FULL", "mailbox full"),
        ("mailbox .* full", "mailbox x full"),
        (r"\d+ of \d{2}", "0 of 00"),
    ],
)
def test_a_sample_reads_like_a_reply(pattern: str, text: str) -> None:
    assert sample(pattern) == text


@given(st.lists(st.text(st.sampled_from("ab 用"), max_size=5), max_size=12))
def test_containments_are_all_pairs_of_a_phrase_and_its_part(phrases: list[str]) -> None:
    expected = [(i, j) for i, a in enumerate(phrases) for j, b in enumerate(phrases) if i != j and b in a]
    assert containments(phrases) == expected


def test_ten_thousand_phrases_are_compared_in_one_pass_each() -> None:
    phrases = [f"mailbox {n:05} is full" for n in range(10_000)]
    assert containments([*phrases, "09999 is"]) == [(9_999, 10_000)]
