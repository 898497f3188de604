"""Rules files that were made to hurt: each is refused with its place and a code, or read as the text that it is.

The kinds that every YAML reader meets stand in `test_reading.py` (`UNREADABLE`, `MISTAKES`): empty files, other
encodings, tabs, second documents, anchors and aliases, tags, merge keys, 500 levels of a list, duplicate keys of a map.
"""

from datetime import UTC, datetime

import pytest

from policy.address import Address
from policy.attempt import Attempt, Command
from policy.decide import decide
from policy.history import History
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.source import RulesError, RulesFile, build_policy
from policy.text import TEXT_LIMIT
from policy.yamlfile import PROBLEMS_LIMIT, SIZE_LIMIT, Problem

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
OTHER_MISTAKE = b"mailverdict: 1\ndefualts: {}\n"


def policy(content: bytes | str) -> Policy:
    raw = content.encode() if isinstance(content, str) else content
    return build_policy([RulesFile("my.yaml", raw)])


def problems(*contents: bytes | str) -> list[Problem]:
    """What is wrong with these files, the first called `my.yaml`; every message fits on a line."""
    raw = [each.encode() if isinstance(each, str) else each for each in contents]
    names = ("my.yaml", *(f"other-{number}.yaml" for number in range(1, len(raw))))
    with pytest.raises(RulesError) as caught:
        build_policy([RulesFile(name, content) for name, content in zip(names, raw, strict=True)])
    for each in caught.value.problems:
        assert each.message.isprintable()
        assert len(each.message) < 400
    return list(caught.value.problems)


def place(problem: Problem) -> str:
    return f"{problem.line}:{problem.column}: {problem.code}"


def rule_id(policy: Policy, reply: str) -> str:
    attempt = Attempt(outcome=parse_reply(reply), command=Command.RCPT, recipient=Address("jo", "dest.example"))
    return decide(policy, attempt, History(), now=NOW, spread=0.5).rule.id


# ---- the form --------------------------------------------------------------------------------------------------------

LAUGHS = b"mailverdict: 1\nnote: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (letter, letter, b", ".join([b"*%c" % (letter - 1)] * 9))
    for letter in range(ord("b"), ord("m"))
)
FORMS = [
    pytest.param(LAUGHS, "2:7: anchor", id="a billion laughs"),
    pytest.param(b"mailverdict: 1\nrules: &all [*all]\n", "2:8: anchor", id="a cycle"),
    pytest.param(b"mailverdict: 1\nrules: !own []\n", "2:8: tag", id="a tag of one's own"),
    pytest.param(b"%TAG ! tag:x,2000:\n---\nmailverdict: !a 1\n", "3:14: tag", id="a tag directive"),
    pytest.param(b"mailverdict: 1\nrules:\n- {<<: {id: a}, then: {action: retry}}\n", "3:4: merge-key", id="merge"),
    pytest.param(b"mailverdict: 1\n'<<': {rules: []}\n", "2:1: unknown-key", id="a quoted merge key is a key"),
    pytest.param(b"mailverdict: 1\nrules: " + b"{a: " * 500 + b"}" * 500, "2:133: too-deep", id="500 maps"),
    pytest.param(b"mailverdict: 1\n" + b"".join(b" " * n + b"a:\n" for n in range(500)), "34:33: too-deep", id="steps"),
    pytest.param(b"mailverdict: 1\nrules:\n" + b"- " * 100_000, "3:65: too-deep", id="100,000 dashes"),
    pytest.param(b"mailverdict: 1\nrules: []\n'rules': []\n", "3:1: duplicate-key", id="duplicate in quotes"),
    pytest.param(b"mailverdict: 1\nrules:\n- {id: a, id: b, then: {action: hold}}\n", "3:11: duplicate-key", id="rule"),
    pytest.param(
        b"mailverdict: 1\nrules:\n- id: a\n\n  then: {action: hold}\n\tnote: x\n", "6:1: not-yaml", id="a tab"
    ),
    pytest.param("mailverdict: 1\n".encode("utf-16-be"), "1:1: not-yaml", id="UTF-16 without a mark"),
    pytest.param("mailverdict: 1\n".encode("utf-32"), "1:1: not-utf-8", id="UTF-32"),
    pytest.param(b"mailverdict: 1\n# \xed\xa0\x80\n", "2:3: not-utf-8", id="half a surrogate pair"),
    pytest.param(b"mailverdict: 1\n# \xe2\x82", "2:3: not-utf-8", id="cut within a character"),
    pytest.param(b"mailverdict: 1\n\x00", "2:1: not-yaml", id="a null octet"),
    pytest.param(b"mailverdict: 1\n...\nrules: []\n", "3:1: not-yaml", id="more after the end"),
    pytest.param(b"---\n", "1:1: empty-file", id="an empty document"),
    pytest.param(b"\r\n\r# a comment\r\n", "1:1: empty-file", id="a comment and line ends of all kinds"),
    pytest.param(b"null\n", "1:1: bad-type", id="null"),
    pytest.param(b"mailverdict: 1\nrules:\n", "2:7: bad-type", id="a key without a value"),
    pytest.param(b"#" * (SIZE_LIMIT + 1), "1:1: too-large", id="too large"),
]


@pytest.mark.parametrize(("content", "where"), FORMS)
def test_a_hostile_form_is_refused_once_with_its_place_and_nothing_else_is_lost(content: bytes, where: str) -> None:
    mine, other = problems(content, OTHER_MISTAKE)
    assert (mine.file, place(mine)) == ("my.yaml", where)
    assert (other.file, place(other)) == ("other-1.yaml", "2:1: unknown-key")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_neither_a_mark_nor_other_line_ends_move_a_place(mark: str, line_end: str) -> None:
    lines = ["mailverdict: 1", "rules:", "- id: a", "  then: {action: hold, allert: x}", ""]
    (problem,) = problems(mark + line_end.join(lines))
    assert place(problem) == "4:24: unknown-key"


@pytest.mark.parametrize(
    ("first", "second"), [("Example.ORG", "example.org"), ("bücher.example", "xn--bcher-kva.example")]
)
def test_a_domain_spelt_twice_is_told_with_the_spelling_that_stood_above(first: str, second: str) -> None:
    for above, below in ((first, second), (second, first)):
        (found,) = problems(f"mailverdict: 1\ndomains:\n  {above}: {{}}\n  {below}: {{}}\n")
        assert place(found) == "4:3: duplicate-key"
        assert found.message == f"domain `{below}` stands already in line 3, as `{above}`"


def test_a_duplicate_key_keeps_the_first_and_hides_no_other_mistake() -> None:
    found = problems("mailverdict: 1\nrules: [{id: a, then: {action: hard-bonce}}]\nrules: []\ndisable: [b]\n")
    assert [place(each) for each in found] == ["2:32: unknown-value", "3:1: duplicate-key", "4:11: unknown-rule"]


# ---- words that YAML 1.1 bends ---------------------------------------------------------------------------------------

BENT = ["no", "on", "off", "yes", "y", "~", "null", "0550", "0x226", "5.10", "1:30", "5_5_0", "1e3", ".nan", ".inf"]


@pytest.mark.parametrize("word", BENT)
def test_a_bent_word_is_no_key_and_is_shown_as_it_stands(word: str) -> None:
    (problem,) = problems(f"mailverdict: 1\n{word}: 1\n")
    assert place(problem) == "2:1: unknown-key"
    assert f"`{word}`" in problem.message


@pytest.mark.parametrize("word", BENT)
@pytest.mark.parametrize("written", ["%s", '"%s"', "'%s'"])
def test_a_bent_word_is_no_reply_code_with_or_without_quotes(word: str, written: str) -> None:
    (problem,) = problems(
        f"mailverdict: 1\nrules:\n- {{id: a, when: {{code: {written % word}}}, then: {{action: hold}}}}"
    )
    assert place(problem) == "3:24: bad-code"


@pytest.mark.parametrize(
    "word", ["no", "on", "off", "yes", "~", "0x5", "5.0", "1:30", "5_0", "1e3", ".nan", "+5", "'5'"]
)
def test_a_bent_word_is_no_number(word: str) -> None:
    (problem,) = problems(f"mailverdict: 1\nrules: [{{id: a, when: {{attempt: {word}}}, then: {{action: hold}}}}]\n")
    assert place(problem) == "2:33: bad-number"


@pytest.mark.parametrize("word", [*BENT, "'true'", "True", "TRUE", "1"])
def test_a_bent_word_is_no_flag(word: str) -> None:
    (problem,) = problems(f"mailverdict: 1\nrules: [{{id: a, when: {{void: {word}}}, then: {{action: hold}}}}]\n")
    assert place(problem) == "2:30: bad-flag"


@pytest.mark.parametrize("word", ["no", "0550", "1e3"])
def test_a_bent_word_that_may_be_a_name_is_that_name(word: str) -> None:
    mine = policy(
        f"mailverdict: 1\nrules: [{{id: {word}, then: {{action: hold}}}}]\nstreams: {{{word}: {{give_up: 1h}}}}\n"
    )
    assert rule_id(mine, "550 no") == word
    assert mine.stream_give_up(word) is not None


# ---- times -----------------------------------------------------------------------------------------------------------

NO_TIMES = [
    "0",
    "0s",
    "-5m",
    "1y",
    "1M",
    "5 m",
    "5",
    "1.5h",
    "1e3s",
    "1:30",
    ".inf",
    "3651d",
    "999999w",
    "1234567s",
    "٥m",
]


@pytest.mark.parametrize("wait", NO_TIMES)
def test_a_wait_of_no_lawful_length_is_refused_in_its_place(wait: str) -> None:
    (problem,) = problems(f"mailverdict: 1\nschedules: {{x: {{waits: [5m, {wait}, 1h], give_up: 1d}}}}\n")
    assert place(problem) == "2:29: bad-duration"


@pytest.mark.parametrize("waits", ["1h, 5m", "1d", "1s, 1s, 1s"], ids=["shrinking", "past the end", "equal"])
def test_waits_in_any_order_are_a_schedule(waits: str) -> None:
    mine = policy(f"mailverdict: 1\nschedules: {{x: {{waits: [{waits}], give_up: 1h}}}}\n")
    assert len(mine.schedule("x").waits) == waits.count(",") + 1


# ---- patterns --------------------------------------------------------------------------------------------------------

NO_PATTERNS = {
    "open": "(",
    "a thousand open": "(" * 999,
    "backwards": "[z-a]",
    "twice starred": "a**",
    "look-behind": "(?<=a)b",
    "no look-behind": "(?<!a)b",
    "look-ahead": "(?=a)b",
    "back-reference": "(a)\\1",
    "atomic": "(?>a)b",
    "too often": "(a{1000}){1000}",
    "too many states": "((a{100}){100}){10}",
    "a megabyte": "a" * 1_000_000,
}


@pytest.mark.parametrize("pattern", NO_PATTERNS.values(), ids=list(NO_PATTERNS))
def test_a_pattern_that_cannot_be_searched_in_linear_time_is_refused(pattern: str) -> None:
    (problem,) = problems(
        f"mailverdict: 1\nrules: [{{id: a, when: {{pattern: '{pattern}'}}, then: {{action: hold}}}}]\n"
    )
    assert place(problem) == "2:33: bad-pattern"


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_is_a_catastrophe_elsewhere_ends_here(pattern: str) -> None:
    mine = policy(f"mailverdict: 1\nrules: [{{id: a, when: {{pattern: '{pattern}'}}, then: {{action: hold}}}}]\n")
    assert rule_id(mine, f"450 {'a' * TEXT_LIMIT}!") in ("a", "unknown-4yz")


# ---- sizes -----------------------------------------------------------------------------------------------------------


def test_many_rules_load_and_the_last_of_them_is_found() -> None:
    # 20,000 take some seconds; the 100,000 of the list of faults take most of a minute, and end as these do.
    rules = "".join(
        f"- {{id: r{number}, when: {{text: word{number}}}, then: {{action: hold}}}}\n" for number in range(20_000)
    )
    mine = policy(f"mailverdict: 1\nrules:\n{rules}")
    assert rule_id(mine, "450 said word19999") == "r1"  # `word1` stands in it
    assert rule_id(mine, "450 said word") == "unknown-4yz"


def test_many_mistakes_of_many_files_are_a_bounded_list() -> None:
    bad = "mailverdict: 1\nrules:\n" + "- {id: A, then: {action: x}}\n" * 5000
    assert len(problems(bad, bad)) <= 2 * PROBLEMS_LIMIT


def test_a_huge_word_is_cut_in_the_message() -> None:
    (problem,) = problems(f"mailverdict: 1\n{'x' * 1000}: {'y' * 1_000_000}\n")
    assert place(problem) == "2:1: unknown-key"


def test_a_domain_without_end_and_a_name_without_end_are_refused() -> None:
    found = problems(
        f"mailverdict: 1\ndomains: {{? {'a.' * 100_000}b : {{}}}}\nroutes: {{? {'a' * 100_000} : {{to: mx}}}}\n"
    )
    assert sorted(each.code for each in found) == ["bad-domain", "bad-name"]
