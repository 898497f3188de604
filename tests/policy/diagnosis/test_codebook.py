"""The codebook: complete, in step with the knowledge, and able to tell any two replies apart."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from attrs import fields
from hypothesis import given, settings
from hypothesis import strategies as st

import policy.diagnosis.codebook as module
from policy.attempt import Command
from policy.diagnosis.category import Fault
from policy.diagnosis.codebook import (
    Asked,
    CodeEntry,
    Explanation,
    ReplyClass,
    codebook,
    difference,
    explain,
    read_asked,
)
from policy.diagnosis.knowledge import shipped_knowledge
from policy.reply import EnhancedStatus
from policy.yamlfile import Problem, plain, read_yaml

BOOK = codebook()

# The IANA registry of enhanced status codes (2024-12-06): in each subject the details run from 0 to this one.
LAST_DETAIL = {0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30}
IANA = [f"X.{subject}.{detail}" for subject, last in LAST_DETAIL.items() for detail in range(last + 1)]
CODES = [
    "211", "214", "220", "221", "235", "250", "251", "252", "253", "334", "354",
    "421", "422", "430", "432", "441", "450", "451", "452", "453", "454", "455", "458", "459", "498",
    "500", "501", "502", "503", "504", "505", "521", "522", "523", "524", "525",
    "530", "533", "534", "535", "538", "540", "541",
    "550", "551", "552", "553", "554", "555", "556", "571", "585", "591",
]  # fmt: skip
COMMANDS = {each.value for each in Command} | {
    *("HELO", "HELP", "VRFY", "EXPN", "NOOP", "RSET", "QUIT", "ETRN", "ATRN", "BDAT", "BURL", "any"),
}
WRITTEN = [
    "250/251", "251/252", "251/551", "251/550", "421/450", "450/550", "451/452",
    "550/551", "550/553", "550/554", "552/452", "535/530",
    "5.1.1/5.7.1", "4.7.0/5.7.0", "5.1.1/5.2.1", "5.2.1/5.2.2",
]  # fmt: skip
REFERENCE = re.compile(r"RFC [1-9][0-9]{2,3}\b|no RFC|IANA registry")


def table(name: str) -> Any:
    """A data file as it is written."""
    problems: list[Problem] = []
    node = read_yaml(Path(module.__file__).with_name(name).read_bytes(), name, problems)
    assert node is not None
    assert problems == []
    return plain(node)


def explained(*words: str) -> Explanation:
    """What the codebook says of the one reply that is asked for."""
    (asked,) = read_asked(words)
    return explain(asked)


def told_apart(first: str, second: str) -> str:
    return difference(explained(first), explained(second))


def test_the_book_has_every_code_once_and_each_with_all_its_keys() -> None:
    entries = table("codebook.yaml")["codes"]
    assert sorted(each["code"] for each in entries) == sorted(CODES)
    assert [set(each) for each in entries] == [{each.name for each in fields(CodeEntry)}] * len(CODES)


@pytest.mark.parametrize("entry", BOOK.codes.values(), ids=lambda entry: entry.code)
def test_every_code_is_explained_in_full(entry: CodeEntry) -> None:
    assert all((entry.name, entry.meaning, entry.when, entry.todo, entry.ref, entry.whose))
    assert set(entry.commands) <= COMMANDS
    assert entry.origin in ("core", "extension", "registry", "none")
    assert REFERENCE.match(entry.ref)
    assert entry.ref.startswith("no RFC") == (entry.origin == "none")
    assert entry.commands or entry.origin in ("registry", "none")
    for sentences in (entry.meaning, entry.when, entry.todo, entry.warning):
        assert sentences == "" or (sentences[0].isupper() and sentences[-1] in ".?")
    assert not entry.name.endswith(".")


@pytest.mark.parametrize("code", ["251", "252", "550", "551", "552", "452", "535", "554"])
def test_what_is_easily_misread_has_a_warning(code: str) -> None:
    assert BOOK.codes[code].warning


def test_the_warnings_that_matter_say_what_they_must() -> None:
    assert "untrusted" in BOOK.codes["251"].warning
    assert "untrusted" in BOOK.codes["551"].warning
    assert "says nothing" in BOOK.codes["252"].warning
    assert BOOK.codes["550"].warning.startswith("Two meanings")
    assert BOOK.codes["552"].warning.startswith("Two meanings")


def test_every_status_of_the_registry_is_there_once_and_has_a_reference() -> None:
    entries = table("statusbook.yaml")
    assert [each["status"] for each in entries] == IANA
    assert len(entries) == 81
    assert all(REFERENCE.match(each["ref"]) for each in entries)
    for each in entries:
        assert set(each) - {"warning"} == {"status", "codes", "commands", "ref", "when"}
        assert set(each["codes"]) <= set(CODES)
        assert each["commands"] != []
        assert set(each["commands"]) <= COMMANDS


@pytest.mark.parametrize("status", IANA)
@pytest.mark.parametrize("klass", "245")
def test_a_status_means_what_the_knowledge_says_in_every_class(status: str, klass: str) -> None:
    found = explained(status.replace("X", klass))
    assert found.known
    assert found.name == shipped_knowledge().statuses[status].meaning
    assert all((found.meaning, found.when, found.todo, found.ref, found.commands))
    assert found.carrier // 100 == int(klass)
    assert klass != "2" or found.whose == (Fault.NONE,)


def test_what_a_provider_means_otherwise_is_a_warning_of_that_status() -> None:
    for provider, status in shipped_knowledge().provider_statuses:
        assert any(each.startswith(f"{provider.title()} uses {status} ") for each in explained(status).warnings)
    assert not any("Google" in each for each in explained("2.7.30").warnings)


def test_classes_subjects_and_faults_are_complete() -> None:
    assert set(BOOK.classes) == {2, 3, 4, 5}
    assert set(BOOK.subjects) == set(range(1, 8))
    assert set(BOOK.whose) == set(Fault)
    assert all(all(getattr(each, name.name) for name in fields(ReplyClass)) for each in BOOK.classes.values())


@pytest.mark.parametrize("pair", table("codebook.yaml")["pairs"], ids=lambda pair: "/".join(pair["pair"]))
def test_each_written_difference_names_both_is_short_and_holds_both_ways(pair: dict[str, Any]) -> None:
    first, second = pair["pair"]
    text = told_apart(first, second)
    assert text == told_apart(second, first) == pair["difference"]
    assert re.search(rf"(?<![\d.]){re.escape(first)}(?![\d.]*\d)", text)
    assert re.search(rf"(?<![\d.]){re.escape(second)}(?![\d.]*\d)", text)
    assert len(re.findall(r"\.(?= [A-Z0-9]|$)", text)) <= 2


def test_the_pairs_that_people_ask_for_are_written_by_hand() -> None:
    assert {frozenset(each.split("/")) for each in WRITTEN} == set(BOOK.pairs)
    assert len(table("codebook.yaml")["pairs"]) == len(BOOK.pairs)


def test_251_and_550_differ_in_what_the_sender_does() -> None:
    text = told_apart("251", "550")
    yes, _, no = text.partition("550 is ")
    assert all(word in yes for word in ("positive completion", "relays", "nothing needs fixing", "trusts"))
    assert all(word in no for word in ("permanent negative", "typing errors", "reputation", "SPF", "DKIM", "DMARC"))


def test_a_reply_with_both_is_told_apart_by_its_status_where_the_codes_are_one() -> None:
    apart = [explain(each) for each in read_asked(["550", "5.1.1", "550", "5.7.1"])]
    assert difference(*apart) == BOOK.pairs[frozenset(("5.1.1", "5.7.1"))]
    other = [explain(each) for each in read_asked(["550", "5.1.1", "554", "5.7.1"])]
    assert difference(*other) not in BOOK.pairs.values()


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("250", "550", ["positive completion (yes", "permanent negative (no, for good", "After 250 go on"]),
        ("354", "554", ["positive intermediate", "permanent negative", "send what is asked for"]),
        ("451", "554", ["transient negative (not now", "After 451 send it again later"]),
        ("556", "535", ["Both are a permanent negative", "the recipient's domain", "the sending side", "look at"]),
        ("421", "452", ["Both are a transient negative", "After both send it again later"]),
        ("5.7.23", "5.7.26", ["matter of the sending side", "5.7.23 says: SPF failed", "5.7.26 says: "]),
        ("5.4.1", "5.4.4", ["matter of the network"]),
        ("5.3.5", "5.4.3", ["(about their mail system)", "(about network and routing)"]),
        ("211", "214", ["Both are a positive completion (yes). 211 says: system status"]),
        ("299", "250", ["a code that no RFC has"]),
        ("550", "550", ["both are 550"]),
    ],
)
def test_any_other_difference_comes_from_class_matter_and_subject(first: str, second: str, words: list[str]) -> None:
    text = told_apart(first, second)
    assert [word for word in words if word not in text] == []


LABELS = st.one_of(
    st.integers(200, 599).map(str),
    st.builds(EnhancedStatus, st.sampled_from([2, 4, 5]), st.integers(0, 9), st.integers(0, 40)).map(str),
)


@settings(max_examples=60)
@given(LABELS, LABELS)
def test_any_two_replies_are_explained_and_told_apart_by_name(first: str, second: str) -> None:
    text = told_apart(first, second)
    assert first in text
    assert second in text
    assert text.endswith(".")
    for each in (explained(first), explained(second)):
        assert all((each.name, each.meaning, each.when, each.todo, each.ref, each.whose))


def test_all_known_codes_differ_from_each_other_in_words() -> None:
    for first, second in combinations(CODES, 2):
        text = told_apart(first, second)
        assert first in text
        assert second in text


@pytest.mark.parametrize("word", ["299", "599", "5.9.9", "4.1.99"])
def test_what_no_rfc_has_is_explained_by_its_class_and_says_so(word: str) -> None:
    found = explained(word)
    assert not found.known
    assert "no RFC" in found.meaning
    assert found.ref.startswith("no RFC")
    assert BOOK.classes[int(word[0])].meaning in found.meaning
    assert found.todo == BOOK.classes[int(word[0])].todo


@pytest.mark.parametrize(
    ("words", "start", "whose"),
    [
        (("550", "5.7.1"), "5.7.1 says more", Fault.SENDER),
        (("550", "5.1.1"), "5.1.1 says more", Fault.RECIPIENT),
        (("552", "5.2.2"), "5.2.2 says more", Fault.RECIPIENT),
        (("556", "5.1.10"), "The two agree", Fault.RECIPIENT_DOMAIN),
        (("535", "5.7.0"), "535 says more: 5.7.0 only names a field", Fault.SENDER),
        (("535", "5.0.0"), "535 says more", Fault.SENDER),
        (("535", "5.9.9"), "535 says more", Fault.SENDER),
        (("530", "5.1.1"), "5.1.1 says more: it is the particular one", Fault.RECIPIENT),
        (("250", "5.1.1"), "250 counts: 5.1.1 is of another class", Fault.NONE),
        (("354", "5.1.1"), "354 counts: 5.1.1 is of another class", Fault.NONE),
    ],
)
def test_of_a_code_and_a_status_the_one_that_says_more_gives_the_meaning(
    words: tuple[str, ...], start: str, whose: Fault
) -> None:
    found = explained(*words)
    assert found.says_more.startswith(start)
    assert found.whose == (whose,)
    assert all(word in found.meaning and word in found.ref for word in words)


def test_a_vague_status_leaves_the_last_word_to_the_wording() -> None:
    assert "wording" in explained("550", "5.7.1").says_more
    assert "wording" not in explained("550", "5.1.1").says_more


def test_for_now_the_advice_is_time_first_and_for_good_it_is_the_remedy() -> None:
    remedy = shipped_knowledge().statuses["X.7.23"].remedy
    assert explained("5.7.23").todo == remedy
    assert explained("4.7.23").todo == f"{BOOK.classes[4].todo} If it lasts: {remedy}"
    assert explained("2.7.23").todo == BOOK.classes[2].todo


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["550", "5.7.1"], ["550 5.7.1"]),
        (["550 5.7.1"], ["550 5.7.1"]),
        (["251", "550"], ["251", "550"]),
        (["5.1.1", "5.7.1"], ["5.1.1", "5.7.1"]),
        (["550", "5.1.1", "5.7.1"], ["550 5.1.1", "5.7.1"]),
        (["5.7.1", "550"], ["5.7.1", "550"]),
        ([" "], []),
    ],
)
def test_a_status_belongs_to_the_code_right_before_it(words: list[str], asked: list[str]) -> None:
    assert [str(each) for each in read_asked(words)] == asked


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("650", "three digits"),
        ("55", "three digits"),
        ("199", "three digits"),
        ("5.1", "three numbers"),
        ("3.1.1", "three numbers"),
        ("5.01.1", "three numbers"),
        ("abc", "neither"),
        ("５５０", "neither"),
        ("550-5.1.1", "neither"),
        ("\x1b[2J", "neither"),
    ],
)
def test_what_is_neither_code_nor_status_is_refused_with_a_hint(word: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint) as caught:
        read_asked([word])
    assert str(caught.value).isprintable()


def test_nothing_is_no_reply() -> None:
    with pytest.raises(ValueError, match="is needed"):
        Asked(None)
