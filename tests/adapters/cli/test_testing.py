"""`mailverdict test`: examples and golden cases are all counted, and only failures shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]

RULES = """\
mailverdict: 1
rules:
  - id: full-relay
    when: {code: "452", text: queue is full}
    then: {action: hold}
    examples:
      - "452 4.3.1 queue is full"
      - "452 4.3.1 our queue is full"
    counterexamples: ["452 4.2.2 mailbox is full"]
"""
CASES = """\
- note: an unknown user is given up
  given: {reply: "550 5.1.1 User unknown", command: RCPT}
  want: {action: hard-bounce, suppress: true}
- given: {reply: "452 4.3.1 queue is full", command: RCPT}
  want: {action: hold}
"""
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _files() -> None:
    Path("rules.yaml").write_text(RULES)
    Path("cases.yaml").write_text(CASES)


def test_what_holds_is_counted_and_not_shown(run: Run) -> None:
    assert run("test", "rules.yaml").stdout == "3 examples: all as they should be\n"
    assert run("test", "cases.yaml", "--rules", "rules.yaml").stdout == "2 cases: all as they should be\n"
    assert run("test", "rules.yaml", "cases.yaml").stdout == "3 examples, 2 cases: all as they should be\n"


def test_only_failures_are_shown_with_their_places(run: Run) -> None:
    Path("rules.yaml").write_text(RULES.replace("452 4.3.1 our", "453 4.3.1 our").replace("mailbox is", "queue is"))
    shown = run("test", "rules.yaml", status=1).stdout.splitlines()
    assert shown[0].startswith(
        "./rules.yaml:8:9: broken-example: rule `full-relay`: example `453 4.3.1 our queue is full`"
    )
    assert shown[1].startswith("./rules.yaml:9:23: broken-counterexample: rule `full-relay`: ")
    assert shown[2:] == ["3 examples: 2 failed"]


def test_a_case_says_what_was_wanted_and_decided(run: Run) -> None:
    shown = run("test", "cases.yaml", status=1).stdout.splitlines()
    assert shown == [
        "cases.yaml:5:18: wrong-decision: `action` should be `hold`, not `retry`; "
        f"decided by {shown[0].partition('; decided by ')[2]}",
        "2 cases: 1 failed",
    ]
    assert "rules.yaml:" in shown[0]


def test_json_has_the_counts_and_each_failure(document: Document) -> None:
    told = document("test", "cases.yaml", "rules.yaml")
    assert told == {"examples": 3, "cases": 2, "failures": []}
    told = document("test", "cases.yaml", status=1)
    (failed,) = told["failures"]
    assert list(failed) == ["file", "line", "column", "code", "message", "wrong", "rule"]
    assert failed["wrong"] == {"action": {"wanted": "hold", "decided": "retry"}}
    assert failed["rule"].keys() == {"id", "file", "line"}


def test_rules_of_the_environment_lie_under_cases(run: Run) -> None:
    assert run("test", "cases.yaml", env={"MAILVERDICT_RULES": "rules.yaml"}).stdout.startswith("2 cases: all")


def test_an_example_of_the_option_is_not_counted(document: Document) -> None:
    Path("over.yaml").write_text("mailverdict: 1\n")
    assert document("test", "over.yaml", "--rules", "rules.yaml")["examples"] == 0


def test_a_file_without_examples_says_that_there_is_nothing(run: Run) -> None:
    Path("rules.yaml").write_text("mailverdict: 1\n")
    assert run("test", "rules.yaml").stdout == "nothing to try\n"


def test_what_an_example_decides_depends_on_the_time_given(run: Run) -> None:
    Path("rules.yaml").write_text(RULES + "    expires: 2027-01-31\n")
    run("test", "rules.yaml", "--now", "2027-01-30T00:00:00Z")
    assert "broken-example" in run("test", "rules.yaml", "--now", "2027-02-01T00:00:00Z", status=1).stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "- {given: {repyl: x}, want: {action: x}}",
            "bad.yaml:1:11: bad-case: unknown key `repyl`; did you mean `reply`?",
        ),
        ("- &a {}", "bad.yaml:1:3: anchor: anchors and aliases are not allowed"),
        ("- " + "[" * 50 + "]" * 50, "too-deep"),
        ("ruels: []", "bad.yaml:1:1: unknown-key: unknown key `ruels`"),
        ("", "bad.yaml:1:1: empty-file: "),
        ("just words", "bad.yaml:1:1: bad-type: "),
    ],
)
def test_a_file_with_mistakes_is_told_clearly_and_nothing_is_done(text: str, said: str, run: Run) -> None:
    Path("bad.yaml").write_text(text)
    result = run("test", "cases.yaml", "bad.yaml", status=2)
    assert said in result.stderr
    assert result.stderr.splitlines()[-1].startswith("mailverdict: ")
    assert result.stderr.endswith("; nothing was done\n")
    assert result.stdout == ""


def test_hostile_words_are_shown_as_plain_text(run: Run) -> None:
    Path("bad.yaml").write_text('- {note: "\u202e\\e[31m", given: {reply: "550 \\e[2J"}, want: {rule: "\\e[31m"}}\n')
    result = run("test", "bad.yaml", status=1)
    assert all(line.isprintable() for line in result.output.splitlines())


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_unavailable(path: str, run: Run) -> None:
    assert f"file `{path}` cannot be read: " in run("test", path, status=3).stderr


def test_no_file_at_all_is_a_usage_error(run: Run) -> None:
    run("test", status=2)


def test_our_own_golden_cases_pass(run: Run) -> None:
    files = [str(path) for path in sorted((ROOT / "tests" / "cases").glob("*.yaml"))]
    said = run("test", *files).stdout
    assert said.endswith(" cases: all as they should be\n")
    assert int(said.split()[0]) >= 90
