"""The reader of rules files: every mistake at once, each with its place, its code and the near miss; never a crash."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.rules.layer import Layer, Names
from policy.rules.layer_reader import read_layer
from policy.rules.source import RulesError, RulesFile, build_policy
from policy.yamlfile import PROBLEMS_LIMIT, Problem, read_yaml

BELOW = Names(
    schedules=frozenset(["standard", "greylist"]),
    routes=frozenset(["direct"]),
    providers=frozenset(["google"]),
    rules=frozenset(["greylisted", "rate-limited"]),
)


def problems_of(content: bytes | str) -> list[str]:
    """What is wrong with a file over the shipped rules, one line a problem, in the order of the file."""
    raw = content.encode() if isinstance(content, str) else content
    try:
        build_policy([RulesFile("my.yaml", raw)])
    except RulesError as error:
        return list(map(str, error.problems))
    return []


TWELVE_MISTAKES = """\
mailverdict: 1
defualts: {route: direct}
schedules:
  slow: {first: 5 min, give_up: 4d}
  slow: {first: 5m, give_up: 4d}
rules:
  - id: octal
    when: {code: 0550, category: bad-mailbx, comand: RCPT}
    then: {action: hard-bonce}
  - id: octal
    when: {enhanced: 5.10, null_sender: no}
    then: {action: hard-bounce}
  - id: soft
    then: {action: bounce, suppress: {strength: strong}}
  - id: later
    when: {provider: gogle}
    then: {action: retry, schedule: standrad}
  - when: {code: []}
    then: bounce
"""


def test_a_file_gets_all_its_mistakes_at_once_with_their_places() -> None:
    assert problems_of(TWELVE_MISTAKES) == [
        "my.yaml:2:1: unknown-key: unknown key `defualts` in a rules file; did you mean `defaults`?",
        "my.yaml:4:17: bad-duration: `5 min` is no duration; write `90s`, `5m`, `4h`, `4d` or `1h30m`",
        "my.yaml:5:3: duplicate-key: key `slow` stands here a second time; the first is in line 4",
        'my.yaml:8:18: bad-code: `0550` is no reply code; write "550", "550-559", or "5yz" for a class',
        "my.yaml:8:34: unknown-value: `bad-mailbx` is no category; did you mean `bad-mailbox`?",
        "my.yaml:8:46: unknown-key: unknown key `comand` in `when`; did you mean `command`?",
        "my.yaml:9:20: unknown-value: `hard-bonce` is no action; did you mean `hard-bounce`?",
        "my.yaml:10:9: duplicate-id: rule `octal` stands already in line 7",
        'my.yaml:11:22: unquoted-code: enhanced status `5.10` needs quotes: "5.10"',
        "my.yaml:11:41: bad-flag: `no` must be true or false",
        "my.yaml:12:11: needs-suppress: `hard-bounce` suppresses: say how in `suppress`, or `bounce`",
        "my.yaml:14:38: misplaced-modifier: `suppress` goes with `hard-bounce` or `retry`, not with `bounce`",
        "my.yaml:16:22: unknown-provider: no provider is called `gogle`; did you mean `google`?",
        "my.yaml:17:37: unknown-schedule: no schedule is called `standrad`; did you mean `standard`?",
        "my.yaml:18:5: missing-key: a rule needs the key `id`",
        "my.yaml:18:18: empty-list: an empty list can never hold",
        "my.yaml:19:11: bad-type: `then` must be a map, not `bounce`",
    ]


def test_mistakes_of_several_files_come_together() -> None:
    files = [RulesFile("a.yaml", b"mailverdict: 2\n"), RulesFile("b.yaml", b"rules: []\n")]
    with pytest.raises(RulesError) as caught:
        build_policy(files)
    assert [(each.file, each.line, each.column, each.code) for each in caught.value.problems] == [
        ("a.yaml", 1, 14, "unknown-value"),
        ("b.yaml", 1, 1, "missing-key"),
    ]


def in_rule(when: str = "{}", then: str = "{action: retry}") -> str:
    """A file with one rule, in line 3."""
    return f"mailverdict: 1\nrules:\n- {{id: mine, when: {when}, then: {then}}}\n"


UNREADABLE = [
    (b"", "1:1: empty-file"),
    (b"# nothing but a comment\n", "1:1: empty-file"),
    (b"\xef\xbb\xbf", "1:1: empty-file"),
    ("mailverdict: 1\n".encode("utf-16"), "1:1: not-utf-8"),
    ("mailverdict: 1\n".encode("utf-16-le"), "1:2: not-yaml"),
    (b"mailverdict: 1\n# caf\xe9\n", "2:6: not-utf-8"),
    (b"mailverdict: 1\r# caf\xe9\r", "2:6: not-utf-8"),
    (b"mailverdict: 1\n# \xc3\xa9\x00\n", "2:4: not-yaml"),
    (b"mailverdict: 1\nrules:\n\t- {}\n", "3:1: not-yaml"),
    (b"mailverdict: 1\nrules: [}\n", "2:9: not-yaml"),
    (b"mailverdict: 1\n---\nmailverdict: 1\n", "2:1: second-document"),
    (b"mailverdict: &one 1\n", "1:14: anchor"),
    (b"mailverdict: 1\nrules: *all\n", "2:8: anchor"),
    (b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", "1:4: anchor"),
    (b"mailverdict: 1\n<<: {rules: []}\n", "2:1: merge-key"),
    (b"mailverdict: 1\nrules: !!python/object/apply:os.system [ls]\n", "2:8: tag"),
    (b"mailverdict: !!int 1\n", "1:14: tag"),
    (b"mailverdict: 1\nrules: " + b"[" * 500 + b"]" * 500, "2:40: too-deep"),
    (b"mailverdict: 1\nrules: " + b"[" * 500, "2:40: too-deep"),
    (b"mailverdict: 1\n[a]: b\n", "2:1: bad-key"),
]

# `§` stands before what is wrong.
MISTAKES = [
    # the file as a whole
    ("§rules\n", "bad-type"),
    ("§- mailverdict: 1\n", "bad-type"),
    ("§rules: []\n", "missing-key"),
    ("mailverdict: §2\n", "unknown-value"),
    ("mailverdict: 1\nextends: §shiped\n", "unknown-value"),
    ("mailverdict: 1\nrules: §{id: a}\n", "bad-type"),
    ("mailverdict: 1\nrules: [§a]\n", "bad-type"),
    ("mailverdict: 1\ndisable: [greylisted, §rate-limitd]\n", "unknown-rule"),
    ("mailverdict: 1\ndisable: §[]\n", "empty-list"),
    ("mailverdict: 1\ndefaults: {schedule: §fast}\n", "unknown-schedule"),
    # sections
    ("mailverdict: 1\nschedules: {x: §{first: 5m}}\n", "missing-key"),
    ("mailverdict: 1\nschedules: {x: §{give_up: 1d}}\n", "bad-schedule"),
    ("mailverdict: 1\nschedules: {x: §{first: 5m, waits: [5m], give_up: 1d}}\n", "bad-schedule"),
    ("mailverdict: 1\nschedules: {x: {first: 5h, longest: §4h, give_up: 1d}}\n", "bad-schedule"),
    ("mailverdict: 1\nschedules: {x: {first: 5m, spread: §100%, give_up: 1d}}\n", "bad-percent"),
    ("mailverdict: 1\nschedules: {x: {first: 5m, spread: §0.2, give_up: 1d}}\n", "bad-percent"),
    ("mailverdict: 1\nschedules: {x: {first: 5m, factor: §1.5, give_up: 1d}}\n", "bad-number"),
    ("mailverdict: 1\nschedules: {x: {first: §0s, give_up: 1d}}\n", "bad-duration"),
    ("mailverdict: 1\nschedules: {x: {first: §5, give_up: 1d}}\n", "bad-duration"),
    ("mailverdict: 1\nschedules: {x: {waits: §[], give_up: 1d}}\n", "empty-list"),
    ("mailverdict: 1\nschedules: {§Big One: {first: 5m, give_up: 1d}}\n", "bad-name"),
    ("mailverdict: 1\nsuppression: {weak: §{for: 7d, again: 9d}}\n", "missing-key"),
    ("mailverdict: 1\nsuppression: {§permanent: {for: 7d}}\n", "unknown-key"),
    ("mailverdict: 1\nstreams: {bulk: §2d}\n", "bad-type"),
    ("mailverdict: 1\nroutes: {relay: §{}}\n", "missing-key"),
    ("mailverdict: 1\nproviders: {big: {mx: [§not a host]}}\n", "bad-domain"),
    ("mailverdict: 1\ndomains: §[a.example]\n", "bad-type"),
    ("mailverdict: 1\ndomains: {§a..example: {rules: []}}\n", "bad-domain"),
    ("mailverdict: 1\ndomains: {a.example: {rules: []}, §A.Example.: {rules: []}}\n", "duplicate-key"),
    # conditions
    (in_rule("{code: §550}"), "unquoted-code"),
    (in_rule('{code: §"0550"}'), "bad-code"),
    (in_rule('{code: §"650"}'), "bad-code"),
    (in_rule('{code: §"5xx"}'), "bad-code"),
    (in_rule("{code: §{}}"), "bad-code"),
    (in_rule('{code: ["550", §551]}'), "unquoted-code"),
    (in_rule('{enhanced: §"5.01.1"}'), "bad-enhanced-status"),
    (in_rule('{enhanced: §"5.1.1.1"}'), "bad-enhanced-status"),
    (in_rule("{enhanced: §5.1.1}"), "unquoted-code"),
    (in_rule("{command: §RCTP}"), "unknown-value"),
    (in_rule("{category: §[]}"), "empty-list"),
    (in_rule("{failure: §timout}"), "unknown-value"),
    (in_rule("{text: §''}"), "bad-type"),
    (in_rule("{domain: §'a b'}"), "bad-domain"),
    (in_rule("{attempt: §0}"), "bad-number"),
    (in_rule("{attempt: §{min: 5, max: 3}}"), "bad-number"),
    (in_rule("{tag: §campaign}"), "bad-tag"),
    (in_rule("{null_sender: §yes}"), "bad-flag"),
    (in_rule("{null_sender: §'true'}"), "bad-flag"),
    (in_rule("§[code]"), "bad-type"),
    # what is done
    (in_rule(then="§{schedule: standard}"), "missing-key"),
    (in_rule(then="{action: accept, schedule: §standard}"), "misplaced-modifier"),
    (in_rule(then="{action: bounce, split: §true}"), "misplaced-modifier"),
    (in_rule(then="{action: retry, route: §relay}"), "unknown-route"),
    (in_rule(then="{action: retry, suspend: §{}}"), "missing-key"),
    (in_rule(then="{action: hard-bounce, suppress: {scope: §adress}}"), "unknown-value"),
    (in_rule(then="{action: hard-bounce, suppress: §{strikes: 3, apart: 7d, within: 10d}}"), "bad-strikes"),
    (in_rule(then="{action: bounce, alert: §Bob Smith}"), "bad-name"),
    ("mailverdict: 1\nrules: [{id: §Mine, then: {action: retry}}]\n", "bad-name"),
]


@pytest.mark.parametrize(("content", "place"), UNREADABLE)
def test_what_cannot_be_read_is_said_once_with_its_place(content: bytes, place: str) -> None:
    (problem,) = problems_of(content)
    assert problem.startswith(f"my.yaml:{place}: ")


@pytest.mark.parametrize(("marked", "code"), MISTAKES)
def test_each_mistake_has_its_place_and_code(marked: str, code: str) -> None:
    before, after = marked.split("§")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    (problem,) = problems_of(before + after)
    assert problem.startswith(f"my.yaml:{line}:{column}: {code}: ")


@pytest.mark.parametrize(
    "content",
    [
        b"mailverdict: 1\n",
        b"\xef\xbb\xbfmailverdict: 1\n",
        b"mailverdict: 1\r\nrules: []\r\n",
        b"mailverdict: 1\rrules: []\r",
        b"---\nmailverdict: 1\n...\n",
        b"mailverdict: '1'\n",
        b"mailverdict:\t1\n",
        b'{"mailverdict": "1", "rules": []}',
        in_rule('{code: ["550", 5yz], enhanced: ["X.1.1", "5.7", "5"], command: unknown}').encode(),
        in_rule("{tag: [campaign=spring], recipients: several, attempt: {min: 2}}").encode(),
        in_rule("{domain: Bücher.example, text: Über das Limit}").encode(),
    ],
)
def test_files_without_a_mistake_have_none(content: bytes) -> None:
    assert problems_of(content) == []


def test_a_file_that_is_nothing_but_mistakes_gets_a_bounded_list() -> None:
    rules = "".join(f"  - {{id: r{n}, then: {{action: nope}}}}\n" for n in range(10 * PROBLEMS_LIMIT))
    assert len(problems_of(f"mailverdict: 1\nrules:\n{rules}")) == PROBLEMS_LIMIT


def test_a_huge_file_is_refused_unread() -> None:
    problems: list[Problem] = []
    assert read_yaml(b" " * 16_000_001, "my.yaml", problems) is None
    assert [each.code for each in problems] == ["too-large"]


LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # YAML 1.1, 5.4


def read(content: bytes) -> tuple[Layer, list[Problem]]:
    """A file as a layer over `BELOW`."""
    problems: list[Problem] = []
    return read_layer(read_yaml(content, "my.yaml", problems), "my.yaml", problems, BELOW), problems


def holds_the_law(content: bytes) -> None:
    """Any file is a layer or has problems, and each problem is fit to be shown and lies in the file."""
    layer, problems = read(content)
    assert problems or layer.file == "my.yaml"
    lines = LINE_END.split(content.decode("utf-8-sig", "replace"))
    for each in problems:
        assert 1 <= each.line <= len(lines)
        assert 1 <= each.column <= len(lines[each.line - 1]) + 1
        assert each.message.isprintable()
        assert not any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") for char in str(each))


@given(st.binary())
def test_any_bytes_are_a_layer_or_have_problems(content: bytes) -> None:
    holds_the_law(content)


@given(st.text("abc01:-,[]{}#&*!|>'\"%@`?<~ \t\r\n\x00\x1b\x85\u2028\u202e\ufeffé"))
def test_any_text_is_a_layer_or_has_problems(content: str) -> None:
    holds_the_law(content.encode())


LANGUAGE = """
    mailverdict 1 rules id when then action retry bounce hard-bounce suppress code '550' 550 5yz schedules waits first
    give_up 5m 4d 20% standard greylist domains a.example providers mx google disable greylisted strikes within apart
    attempt min max factor longest spread tries hint '' no << x\u202ey \x1b "\\u202e"
"""
WORDS = st.sampled_from(LANGUAGE.split())
FLOW = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.builds("{}: {}".format, WORDS, inner), max_size=5).map(lambda items: f"{{{', '.join(items)}}}"),
    ),
    max_leaves=30,
)
SECTION = st.sampled_from(
    ["rules", "schedules", "domains", "providers", "streams", "suppression", "defaults", "disable", "routes", "extends"]
)


@given(st.dictionaries(SECTION, FLOW, max_size=4))
def test_any_words_of_the_language_in_any_order_are_a_layer_or_have_problems(sections: dict[str, str]) -> None:
    text = "mailverdict: 1\n" + "".join(f"{key}: {value}\n" for key, value in sections.items())
    holds_the_law(text.encode())


@given(st.dictionaries(SECTION, FLOW, max_size=4))
def test_a_file_without_problems_makes_a_policy(sections: dict[str, str]) -> None:
    text = "mailverdict: 1\n" + "".join(f"{key}: {value}\n" for key, value in sections.items())
    if read(text.encode())[1] == []:
        assert build_policy([RulesFile("my.yaml", text.encode())]).layers[0].file == "my.yaml"


@pytest.mark.parametrize("value", ["010", "0x10", "1_0", "+1", "1.0", "१"])
def test_a_number_that_yaml_readers_bend_is_refused(value: str) -> None:
    (problem,) = problems_of(
        f"mailverdict: 1\nrules: [{{id: a, when: {{attempt: {value}}}, then: {{action: bounce}}}}]\n"
    )
    assert "bad-number" in problem


@pytest.mark.parametrize("value", ["010m", "5m5m", "5m1h", "0s", "m", "''", "1h 5m", "1.5h", "-5m"])
def test_a_duration_has_each_unit_once_and_the_longest_first(value: str) -> None:
    (problem,) = problems_of(f"mailverdict: 1\nstreams: {{bulk: {{give_up: {value}}}}}\n")
    assert "bad-duration" in problem


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ("3 of 20", "does not say in how long; write `3 of 20 in 1d`"),
        ("30 of 20 in 1d", "can never be: there are no 30 among 20"),
        ("1 of 20 in 1d", "needs 2 to 128 decisions, not 1; for the first one, leave `after` out"),
        ("300 in 1d", "needs 2 to 128 decisions, not 300"),
        ("3 of 999999999999 in 1d", "counts among 999999999999 attempts; no more than 9999999 are counted"),
        ("3 of 20 in 1 day", "says `1 day`, which is no duration; write `3 of 20 in 1d`"),
        ("often", "does not say how many in how long; write `20 in 15m` or `10 of 500 in 1d`"),
    ],
)
def test_of_how_often_the_part_that_is_wrong_is_told(after: str, told: str) -> None:
    (problem,) = problems_of(in_rule(then=f"{{action: retry, suspend: {{for: 1h, after: {after}}}}}"))
    assert problem.endswith(f": bad-after: `{after}` {told}")


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ("mailing", "known are `pair`, `provider`, `domain`, `stream`, `campaign`, `route`"),
        ("domian", "did you mean `domain`?"),
    ],
)
def test_a_few_words_are_listed_unless_one_of_them_was_meant_for_sure(scope: str, told: str) -> None:
    (problem,) = problems_of(in_rule(then=f"{{action: retry, suspend: {{for: 1h, scope: {scope}}}}}"))
    assert problem.endswith(f": unknown-value: `{scope}` is no scope; {told}")
