"""What `check` sees without asking for inputs."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.address import parse_address
from policy.reply import parse_reply
from policy.rules.lint import lint
from policy.rules.source import RulesFile, build_policy

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def found(*texts: str) -> list[str]:
    """Codes and lines of what is odd in operator files over the shipped rules."""
    files = [RulesFile(f"{number}.yaml", f"mailverdict: 1\n{text}\n".encode()) for number, text in enumerate(texts)]
    return [
        f"{each.problem.file}:{each.problem.line}: {each.problem.code}" for each in lint(build_policy(files), now=NOW)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "disable: [greylisted]\noverride: {id: greylisted, set: {note: x}}",
        "\nrules: [{id: a, then: {action: hold}}]\noverride: {id: greylisted, set: {note: x}}\nextends: none"[1:],
    ],
)
def test_an_override_of_what_is_not_in_force_is_told(text: str) -> None:
    assert found(text) == ["0.yaml:3: idle-override"]


def test_an_override_that_changes_a_rule_in_its_scope_is_not() -> None:
    assert found("override: {id: greylisted, set: {note: x}}") == []
    assert found("domains: {a.example: {override: {id: greylisted, set: {note: x}}}}") == []
    low = "override: {id: greylisted, set: {note: x}}"
    assert found(low, "providers: {google: {override: {id: greylisted, set: {note: y}}}}") == []


def test_schedules_that_hammer_or_never_retry_are_told() -> None:
    hammer, never = "first: 1m, give_up: 4d", "first: 2d, give_up: 1d"
    assert found(f"schedules:\n  a: {{{hammer}}}\n  b: {{{never}}}") == [
        "0.yaml:3: endless-schedule",
        "0.yaml:4: never-retries",
    ]
    assert found(f"schedules: {{a: {{{hammer}, tries: 9}}}}") == []


SPARED = ["jo@a.example", "a.example", "=a.example", "*.a.example", "b.a.example", "=b.a.example", "jo@b.a.example"]
ADDRESSES = ("jo@a.example", "al@a.example", "jo@b.a.example", "al@b.a.example", "jo@c.a.example", "jo@c.b.a.example")


def spared_by(word: str) -> set[str]:
    files = [RulesFile("0.yaml", f"mailverdict: 1\nnever_suppress: '{word}'\n".encode())]
    policy = build_policy(files)
    return {each for each in ADDRESSES if policy.spared(parse_address(each)) is not None}


@given(st.permutations(SPARED).map(lambda words: words[:2]))
def test_of_two_entries_that_spare_the_one_within_the_other_is_told(words: list[str]) -> None:
    first, second = map(spared_by, words)
    lines = [f"0.yaml:{3 + n}: spared-twice" for n, told in enumerate((first < second, second < first)) if told]
    assert found(f"never_suppress:\n- '{words[0]}'\n- '{words[1]}'") == lines


def test_of_two_entries_that_are_one_the_later_is_told_however_it_is_written() -> None:
    assert found("never_suppress:\n- bücher.example\n- XN--BCHER-KVA.example") == ["0.yaml:4: spared-twice"]
    assert found("never_suppress: jo@a.example", "never_suppress: jo@a.example") == []


def test_the_shipped_rules_are_without_oddities() -> None:
    assert found() == []


def texts(key: str, value: str, examples: str = "note: x") -> list[str]:
    return found(f"rules:\n- id: a\n  when: {{{key}: '{value}'}}\n  then: {{action: hold}}\n  {examples}")


CODED = ["550", "550 user unknown", "550-5.1.1 no", "5.7.1", "(5.7.1) blocked", "#5.1.1", "error 4.2.2 full"]
WORDS = ["user unknown", "1234 messages", "5501 users", "10.5.7.1", "5.7.1.9", "at 550 messages a day", "554abc"]


@pytest.mark.parametrize("phrase", CODED)
def test_a_phrase_that_begins_with_what_is_taken_off_a_reply_is_told(phrase: str) -> None:
    assert texts("text", phrase) == ["0.yaml:4: code-in-text"]


@pytest.mark.parametrize("phrase", WORDS)
def test_a_phrase_of_words_and_other_numbers_is_not(phrase: str) -> None:
    assert texts("text", phrase) == []


@given(st.integers(200, 599), st.sampled_from(["", "5.7.1 ", "4.2.2 "]), st.sampled_from(["no", "user unknown", "x y"]))
def test_a_reply_written_into_text_is_told_as_its_own_rule_never_finds_it(code: int, status: str, words: str) -> None:
    phrase = f"{code} {status}{words}"
    assert texts("text", phrase) == ["0.yaml:4: code-in-text"]
    assert phrase not in parse_reply(phrase).searchable


CODED_PATTERNS = [
    "^550", "550 .*unknown", "^(550|554) ", "^5[0-9][0-9]", r"^5\d{2}\b", "^[45][0-9]{2} ", r"5\.7\.1", "^5.7.1 ",
    r"^\s*421", r"550[ -]5\.1\.\d+", r"\(#5\.1\.1\)", r"5\.[0-9]+\.[0-9]{1,3} no", "(?i)^552",
]  # fmt: skip
WORD_PATTERNS = [
    "user .* unknown", "^[0-9]+ messages", "5501", r"550\d", r"10\.5\.7\.1", r"5\.7\.1\.9", r"5\.7\.12\.9",
    "limit of 550", "[245] times", "55?", "[550]", r"^blocked.*5\.7\.1",
]  # fmt: skip


@pytest.mark.parametrize("pattern", CODED_PATTERNS)
def test_a_pattern_that_begins_with_what_is_taken_off_a_reply_is_told(pattern: str) -> None:
    assert texts("pattern", pattern) == ["0.yaml:4: code-in-text"]


@pytest.mark.parametrize("pattern", WORD_PATTERNS)
def test_a_pattern_of_words_and_other_numbers_is_not(pattern: str) -> None:
    assert texts("pattern", pattern) == []


def test_an_example_in_which_the_number_stands_answers_for_it() -> None:
    assert texts("text", "500 messages", "examples: [450 4.7.1 only 500 messages a day]") == []
    assert texts("pattern", "^500 m", "examples: [450 4.7.1 500 messages a day]") == []
    assert texts("text", "500 messages", "examples: [500 messages]") == ["0.yaml:4: code-in-text"]


def test_the_message_names_the_conditions_to_use() -> None:
    def says(phrase: str) -> str:
        text = f"mailverdict: 1\nrules: [{{id: a, when: {{not: {{text: '{phrase}'}}}}, then: {{action: hold}}}}]"
        (finding,) = lint(build_policy([RulesFile("a.yaml", text.encode())]), now=NOW)
        return finding.problem.message.partition("; ")[2]

    assert [says(each) for each in ("550 no", "5.7.1 no", "550 5.7.1 no")] == [
        "use `code`",
        "use `enhanced`",
        "use `code` and `enhanced`",
    ]


def rule(id_: str, when: str, then: str = "{action: hold}") -> str:
    return f"{{id: {id_}, when: {{{when}}}, then: {then}}}"


SOME = ["domain: a.example", "provider: google", "mx: a.example", "sender_domain: a.example", "stream: otp", "tag: a=b"]
GREYLISTED = "category: greylisted, code: 4yz"


@pytest.mark.parametrize("some", SOME)
def test_a_rule_for_some_mail_that_takes_one_from_all_others_is_told(some: str) -> None:
    assert found(f"rules: [{rule('greylisted', f'{GREYLISTED}, {some}')}]") == ["0.yaml:2: takes-away"]
    low = f"rules: [{rule('mine', f'code: 4yz, {some}')}]"
    assert found(low, f"rules: [{rule('mine', f'{some}')}]") == []
    assert found(low, f"domains: {{a.example: {{rules: [{rule('mine', some)}]}}}}") == ["1.yaml:2: takes-away"]


@pytest.mark.parametrize(
    "when", [GREYLISTED, "category: greylisted", "code: 4yz, text: wait", "not: {domain: a.example}"]
)
def test_a_rule_for_everyone_in_the_place_of_another_is_not(when: str) -> None:
    assert found(f"rules: [{rule('greylisted', when)}]") == []


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (GREYLISTED, False),
        ("category: [network, greylisted]", False),
        ("code: [421, 4yz]".replace("421", "'421'"), False),
        ("code: '400-599'", False),
        ("", False),
        ("code: '450-499'", True),
        ("category: network", True),
        (f"{GREYLISTED}, text: wait", True),
    ],
)
def test_where_another_rule_of_the_operator_decides_for_everyone_nothing_is_taken_away(others: str, told: bool) -> None:
    some = rule("greylisted", f"{GREYLISTED}, domain: a.example")
    codes = [each.partition(": ")[2] for each in found(f"rules: [{some}, {rule('others', others)}]")]
    assert codes == ["takes-away"] * told
    observing = f"{rule('others', others)[:-1]}, mode: observe}}"
    assert found(f"rules: [{some}, {observing}]") == ["0.yaml:2: takes-away"]
