"""`mailverdict check`: every mistake with its place, what does not do what it seems to, in four formats."""

import io
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from adapters.cli import checking, findings
from adapters.cli.app import cli
from policy.rules.finding import Finding, Level
from policy.yamlfile import Problem

Run = Callable[..., Result]
Document = Callable[..., Any]

PAGE = Path(__file__).parents[3] / "docs" / "checking.md"
KEYS = ["file", "line", "column", "code", "message", "level", "witness", "by"]


def test_the_shipped_rules_have_no_mistakes(run: Run, document: Document) -> None:
    assert run("check", "shipped").stderr == "no mistakes\n"
    assert document("check", "shipped") == []
    Path("bad.yaml").write_text(MISTAKES)
    assert run("check", "shipped", env={"MAILVERDICT_RULES": "bad.yaml"}).stderr == "no mistakes\n"


def test_to_check_no_file_at_all_is_a_usage_error_that_names_what_to_write(run: Run) -> None:
    result = run("check", status=2)
    assert result.stdout == ""
    assert "`mailverdict check my-rules.yaml`" in result.stderr
    assert "`mailverdict check shipped`" in result.stderr
    assert run("check", status=2, env={"MAILVERDICT_RULES": ""}).stderr == result.stderr


def test_a_file_of_cases_is_sent_to_the_command_that_tries_it(run: Run) -> None:
    Path("cases.yaml").write_text("- given: {reply: '550 no'}\n  want: {action: bounce}\n")
    said = "cases.yaml:1:1: bad-type: this is a list of cases, not a rules file; try it with `mailverdict test`\n"
    assert run("check", "cases.yaml", status=1).stdout == said
    Path("list.yaml").write_text("- a\n")
    assert "must be a map, not a list" in run("check", "list.yaml", status=1).stdout


@pytest.mark.parametrize("words", [("check",), ("test",), ("rules", "disable"), ("decide", "550 no", "--rules")])
def test_a_fifo_is_refused_and_nobody_waits_for_a_writer(command: Callable[..., Any], words: tuple[str, ...]) -> None:
    os.mkfifo("pipe")
    more = ("blocked",) if words[0] == "rules" else ()
    assert b"`pipe` cannot be read: it is a FIFO, not a file" in command(*words, "pipe", *more, status=3).stderr


def test_rules_on_standard_input_are_called_by_its_name(command: Callable[..., Any], run: Run) -> None:
    for words in (("check", "-"), ("decide", "550 no", "--rules", "-"), ("rules", "show", "--rules", "-")):
        said = "mailverdict: rules file `-` cannot be read: for standard input write `/dev/stdin`\n"
        assert run(*words, status=3).stderr == said
    assert command("check", "/dev/stdin", input=b"mailverdict: 1\n").stderr == b"no mistakes\n"
    assert (
        b"/dev/stdin:2:1: unknown-key" in command("check", "/dev/stdin", input=b"mailverdict: 1\na: b", status=1).stdout
    )


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
    assert result.stderr == "2 errors to mend\n"
    found = document("check", "bad.yaml", status=1)
    assert [list(each) for each in found] == [KEYS] * 2
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
    when: {code: "251", command: RCPT}
    then: {action: accept-and-note-forward, alert: ops}
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


CARELESS = """\
mailverdict: 1
rules:
  - id: wide
    when: {code: 5yz}
    then: {action: bounce}
  - id: narrow
    when: {code: "550", command: RCPT}
    then: {action: hard-bounce, suppress: {}}
  - id: odd-yes
    when: {code: "250", stream: otp}
    then: {action: bounce}
  - id: perhaps
    when: {stream: otp}
    then: {action: bounce}
"""


@pytest.fixture
def careless() -> str:
    Path("careless.yaml").write_text(CARELESS)
    return "careless.yaml"


def test_findings_show_an_attempt_and_notes_stand_last(run: Run, careless: str) -> None:
    result = run("check", careless, status=1)
    told = [line for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert told[0].startswith("careless.yaml:6:5: unreachable-rule: rule `narrow` never decides: ")
    assert told[1].startswith("careless.yaml:9:5: law-2-yes: ")
    assert [": note: " in line for line in told] == sorted(": note: " in line for line in told)
    assert "  for example: `550` to RCPT, recipient jo@elsewhere.example" in result.stdout
    assert "for example" not in "".join(told)
    assert re.fullmatch(r"2 errors, 1 warning to mend; [0-9]+ notes?\n", result.stderr)


def test_the_command_to_try_shows_what_the_finding_says(run: Run, careless: str) -> None:
    shown = run("check", careless, status=1).stdout.splitlines()
    told, tried = "", 0
    for line, following in zip(shown, [*shown[1:], ""], strict=True):
        rule = re.search(r"rule `(.*?)`", line)
        told = rule[1] if rule else told
        if following.startswith("  try: mailverdict "):
            decided = json.loads(run(*shlex.split(following)[2:], "--format", "json").stdout)
            assert decided["rule"]["id"] == ("wide" if told == "narrow" else told)
            tried += 1
    assert tried >= 3


PAST = {"reply": "550 no", "command": "RCPT", "recipient": "jo@x.example", "delivered_before": True}
HOSTILE = {"reply": "550 $(reboot) `x` \"y\" 'z'", "recipient": "jo@x.example"}


@pytest.mark.parametrize("witness", [PAST, {"failure": "timeout"}, {"reply": ""}, {"reply": "550 a\nb"}, {}])
def test_what_decide_cannot_be_asked_has_no_command_to_try(witness: dict[str, Any]) -> None:
    assert findings.to_try(witness, ()) == ""


def test_a_command_to_try_is_one_word_for_each_text() -> None:
    words = shlex.split(findings.to_try(HOSTILE, ("my rules.yaml",)))
    assert words[2] == HOSTILE["reply"]
    assert words[3:] == ["--to", "jo@x.example", "--command", "unknown", "--rules", "my rules.yaml"]


def test_notes_alone_need_no_mending(run: Run, document: Document) -> None:
    Path("a.yaml").write_text(
        "mailverdict: 1\nrules:\n  - {id: perhaps, when: {stream: otp}, then: {action: bounce}}\n"
    )
    assert {each["level"] for each in document("check", "a.yaml")} == {"note"}
    assert run("check", "a.yaml").stderr.startswith("no mistakes; ")


EXPIRING = """\
mailverdict: 1
rules: [{id: a, when: {code: "551"}, then: {action: bounce}, expires: 2027-01-31}]
"""


def test_what_has_expired_depends_on_the_time_given(document: Document) -> None:
    Path("a.yaml").write_text(EXPIRING)
    assert document("check", "a.yaml", "--now", "2027-01-30T00:00:00Z") == []
    (found,) = document("check", "a.yaml", "--now", "2027-01-31T00:00:00Z", status=1)
    assert (found["code"], found["level"], found["witness"], found["by"]) == ("expired-rule", "warning", None, [])


def test_json_tells_the_witness_and_the_rules_that_hide(document: Document, careless: str) -> None:
    first = document("check", careless, "--now", "2026-01-01T00:00:00Z", status=1)[0]
    assert list(first) == KEYS
    assert first["level"] == "warning"
    assert first["witness"] | {"message_id": ""} == {
        "reply": "550",
        "command": "RCPT",
        "recipient": "jo@elsewhere.example",
        "attempt": 1,
        "now": "2026-01-01T00:00:00Z",
        "message_id": "",
    }
    assert first["by"] == ["wide (careless.yaml:3)"]


def test_github_gets_a_command_a_finding(run: Run, careless: str) -> None:
    lines = run("check", careless, "--format", "github", status=1).stdout.splitlines()
    assert lines[0].startswith(
        "::warning file=careless.yaml,line=6,col=5,title=mailverdict%3A unreachable-rule::rule `narrow` never decides: "
    )
    assert {line.split()[0] for line in lines} == {"::warning", "::error", "::notice"}
    assert "; for example `550` to RCPT" in lines[0]


texts = st.text(st.characters(codec="utf-8"), max_size=30)


def finding(file: str, message: str, level: Level = Level.ERROR) -> Finding:
    return Finding(problem=Problem(file, 3, 7, "not-yaml", message), level=level)


@given(text=texts | st.text("%:,\r\n0AD"), in_property=st.booleans())
def test_what_is_escaped_for_github_comes_back_and_ends_nothing_early(text: str, in_property: bool) -> None:
    said = findings.escaped(text, in_property=in_property)
    assert unquote(said) == text
    assert not set(said) & set("\r\n:," if in_property else "\r\n")


@given(file=texts, message=texts, level=st.sampled_from(Level))
def test_a_workflow_command_is_one_line_with_four_properties(file: str, message: str, level: Level) -> None:
    command = findings.workflow_command(finding(file, message, level))
    assert command.isprintable()
    _, head, _ = command.split("::", 2)
    assert [each.partition("=")[0] for each in head.partition(" ")[2].split(",")] == ["file", "line", "col", "title"]


def is_sarif(log: Any) -> None:
    """What SARIF 2.1.0 asks of what we say (3.13, 3.14, 3.19, 3.27, 3.30)."""
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"]
    assert len({each["id"] for each in rules}) == len(rules)
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert f"docs/checking.md#{rule['id']}" in rule["help"]["markdown"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert isinstance(result["message"]["text"], str)
        (place,) = (each["physicalLocation"] for each in result["locations"])
        assert re.fullmatch(r"(file://)?[A-Za-z0-9_.~/%-]*", place["artifactLocation"]["uri"])
        assert min(place["region"]["startLine"], place["region"]["startColumn"]) >= 1


@given(st.lists(st.builds(finding, texts, texts, st.sampled_from(Level)), max_size=4))
def test_all_findings_make_a_sarif_log(found: list[Finding]) -> None:
    log = findings.sarif(found)
    is_sarif(json.loads(json.dumps(log)))
    assert len(log["runs"][0]["results"]) == len(found)


def test_sarif_has_a_rule_a_code_and_the_witness(run: Run, careless: str) -> None:
    log = json.loads(run("check", careless, "--format", "sarif", status=1).stdout)
    is_sarif(log)
    (run_,) = log["runs"]
    assert [each["id"] for each in run_["tool"]["driver"]["rules"]] == ["unreachable-rule", "law-2-yes", "law-2-data"]
    assert run_["results"][0]["properties"]["witness"]["reply"] == "550"
    assert json.loads(run("check", "shipped", "--format", "sarif").stdout)["runs"][0]["results"] == []


def test_colour_is_for_terminals_only_and_never_with_no_color(careless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown() -> str:
        stream = Terminal()
        monkeypatch.setattr("sys.stdout", stream)
        with pytest.raises(SystemExit):
            cli(["check", careless])
        return stream.getvalue()

    assert "\x1b[" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in shown()


def test_many_rules_on_a_terminal_say_what_takes_so_long(
    careless: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checking, "_MANY", 3)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with pytest.raises(SystemExit):
        cli(["check", careless])
    assert re.search(r"checking [0-9]+ rules against each other", capsys.readouterr().err)


def typed(text: str) -> tuple[list[str], str]:
    """The words of a session's command, and a pattern of what it shows; `...` is any text."""
    command, _, shown = text.removeprefix("$ mailverdict ").partition("\n")
    lines = [r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"
             for line in shown.splitlines()]  # fmt: skip
    return shlex.split(command), "".join(lines)


def test_the_guide_shows_what_the_commands_say() -> None:
    ran = 0
    for language, words, text in re.findall(r"^```(\w+) ([^\n]+)\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S):
        if language == "yaml":
            Path(words).write_text(text)
        else:
            command, shown = typed(text)
            result = CliRunner().invoke(cli, command)
            assert re.fullmatch(shown, result.output), result.output
            assert result.exit_code == int(words.removeprefix("session "))
            ran += 1
    assert ran == 3


def test_the_guide_has_every_code_as_the_command_prints_them(run: Run) -> None:
    said = run("check", "--codes").stdout
    assert PAGE.read_text("utf-8").endswith(said), "make it anew: mailverdict check --codes"
    assert "\n#### never-holds\n" in said
