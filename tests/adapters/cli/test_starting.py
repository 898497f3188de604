"""`mailverdict init` and `mailverdict check`: a file to start from, and every mistake of one with its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]


def test_init_writes_a_file_that_check_passes(run: Run) -> None:
    said = run("init").stdout
    assert said == "wrote mailverdict-rules.yaml: edit it, then `mailverdict check mailverdict-rules.yaml`\n"
    result = run("check", "mailverdict-rules.yaml")
    assert (result.stdout, result.stderr) == ("", "no mistakes\n")


def test_what_the_starter_has_in_comments_is_right_too(run: Run) -> None:
    run("init", "a.yaml")
    lines = Path("a.yaml").read_text().splitlines()
    tail = lines[next(n for n, line in enumerate(lines) if line.startswith("# schedules:")) :]
    Path("a.yaml").write_text("\n".join(["mailverdict: 1", *(line.removeprefix("# ") for line in tail)]) + "\n")
    run("check", "a.yaml")


def test_a_started_file_changes_no_decision(run: Run, document: Document) -> None:
    run("init", "a.yaml")
    ours, shipped = (document("decide", "550", "--to", "jo@x.example", "--now", "2026-01-01T00:00:00Z", *words)
                     for words in (("--rules", "a.yaml"), ()))  # fmt: skip
    assert ours | {"policy_version": ""} == shipped | {"policy_version": ""}


def test_init_writes_over_nothing_unless_it_is_told_to(run: Run) -> None:
    Path("a.yaml").write_text("mine")
    assert "is there already" in run("init", "a.yaml", status=2).stderr
    assert Path("a.yaml").read_text() == "mine"
    run("init", "a.yaml", "--force")
    run("check", "a.yaml")


def test_a_place_that_cannot_be_written_is_unavailable(run: Run) -> None:
    assert "cannot be written" in run("init", "missing/a.yaml", status=3).stderr
    assert "cannot be written" in run("init", ".", "--force", status=3).stderr


def test_init_says_in_json_what_it_wrote(document: Document) -> None:
    assert document("init", "a.yaml") == {"wrote": "a.yaml"}


def test_the_shipped_rules_have_no_mistakes(run: Run, document: Document) -> None:
    assert run("check").stderr == "no mistakes\n"
    assert document("check") == []


MISTAKES = """\
mailverdict: 1
rules:
  - id: ours
    when: {comand: RCPT}
    then: {action: bounse}
"""


def test_check_finds_every_mistake_with_its_place_and_near_miss(run: Run, document: Document) -> None:
    Path("bad.yaml").write_text(MISTAKES)
    result = run("check", "bad.yaml", status=1)
    first, second = result.stdout.splitlines()
    assert first == "bad.yaml:4:12: unknown-key: unknown key `comand` in `when`; did you mean `command`?"
    assert second.startswith("bad.yaml:5:20: unknown-value: ")
    assert result.stderr == "2 to mend\n"
    found = document("check", "bad.yaml", status=1)
    assert [list(each) for each in found] == [["file", "line", "column", "code", "message"]] * 2
    assert [(each["line"], each["column"]) for each in found] == [(4, 12), (5, 20)]


def test_check_finds_an_example_that_another_rule_decides(document: Document) -> None:
    Path("a.yaml").write_text(
        "mailverdict: 1\nrules:\n  - id: ours\n    when: {code: '551'}\n    then: {action: bounce}\n"
        "    examples: ['550 5.1.1 no']\n"
    )
    (found,) = document("check", "a.yaml", status=1)
    assert (found["code"], found["line"]) == ("broken-example", 6)
    assert "no-such-mailbox" in found["message"]


OVERRIDES = """\
mailverdict: 1
disable: [greylisted]
rules:
  - id: all-551
    when: {code: "551"}
    then: {action: bounce}
  - id: user-not-local-will-forward
    when: {code: "251"}
    then: {action: accept}
"""


def test_to_override_or_disable_a_shipped_rule_with_examples_is_no_mistake(run: Run) -> None:
    Path("a.yaml").write_text(OVERRIDES)
    run("check", "a.yaml")


SCOPED = """\
mailverdict: 1
domains:
  example.org:
    rules:
      - {{id: here, when: {{code: "451"}}, then: {{action: retry}}, examples: ["{reply}"]}}
providers:
  big:
    mx: [mx.big.example]
    rules:
      - {{id: there, when: {{code: "451", command: DOT}}, then: {{action: retry}}, examples: ["{reply}"]}}
"""


def test_examples_are_decided_where_their_rule_stands(run: Run, document: Document) -> None:
    Path("a.yaml").write_text(SCOPED.format(reply="451 later"))
    run("check", "a.yaml")
    Path("a.yaml").write_text(SCOPED.format(reply="452 later"))
    assert [each["code"] for each in document("check", "a.yaml", status=1)] == ["broken-example"] * 2


def test_files_rules_and_environment_are_checked_alike(run: Run) -> None:
    Path("bad.yaml").write_text(MISTAKES)
    said = [
        run("check", "bad.yaml", status=1).output,
        run("check", "--rules", "bad.yaml", status=1).output,
        run("check", status=1, env={"MAILVERDICT_RULES": "bad.yaml"}).output,
    ]
    assert said[0] == said[1] == said[2]


def test_all_files_are_checked_at_once(document: Document) -> None:
    Path("1.yaml").write_text(MISTAKES)
    Path("2.yaml").write_text(MISTAKES)
    assert {each["file"] for each in document("check", "1.yaml", "2.yaml", status=1)} == {"1.yaml", "2.yaml"}


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_unavailable(path: str, run: Run) -> None:
    result = run("check", path, status=3)
    assert result.stderr.startswith(f"mailverdict: rules file `{path}` cannot be read: ")
    assert result.stdout == ""


def test_hostile_bytes_in_a_file_are_shown_as_plain_text(run: Run) -> None:
    Path("bad.yaml").write_bytes("mailverdict: 1\nr\u202e\u009b[31m[bold]: x\n".encode())
    shown = run("check", "bad.yaml", status=1).stdout
    assert all(line.isprintable() for line in shown.splitlines())


def test_json_findings_are_one_array(run: Run) -> None:
    Path("bad.yaml").write_text(MISTAKES)
    assert isinstance(json.loads(run("check", "bad.yaml", "--format", "json", status=1).stdout), list)
