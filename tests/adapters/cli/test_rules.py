"""`mailverdict rules`: the policy in force as a file that loads again, and edits that are whole or not made at all."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from policy.rules.showing.effective import in_force
from policy.rules.source import load_policy

Run = Callable[..., Result]
Document = Callable[..., Any]

MINE = """\
# ours
mailverdict: 1
override:
  - {id: over-quota, set: {then: {alert: ops}}}   # they asked
domains:
  example.org:
    schedules: {standard: {first: 10m, give_up: 1d}}
    rules:
      - {id: ours, when: {code: "552"}, then: {action: retry}}
"""


@pytest.fixture
def mine() -> Path:
    path = Path("mine.yaml")
    path.write_bytes(MINE.encode())
    return path


def names(directory: str) -> list[str]:
    return [each.name for each in Path(directory).iterdir()]


def test_what_is_shown_loads_to_the_same_policy(run: Run, mine: Path) -> None:
    shown = run("rules", "show", "--rules", "mine.yaml").stdout
    Path("whole.yaml").write_text(shown)
    assert in_force(load_policy("whole.yaml")) == in_force(load_policy(mine))
    assert "error" not in run("check", "whole.yaml", status=1).stderr  # what it hides of the bottom is told


def test_each_value_is_shown_with_its_place(run: Run, mine: Path) -> None:
    shown = run("rules", "show", "--rules", "mine.yaml", "--rule", "over-quota").stdout
    lines = [[part.strip() for part in line.rpartition("  # ")[::2]] for line in shown.splitlines()]
    places = dict(lines)
    assert places["alert: ops"] == "mine.yaml:4"
    assert places["action: hard-bounce"].startswith("rules.yaml:")
    assert places["- id: over-quota"].endswith(", edited by mine.yaml:4")
    assert "- id: blocked" not in shown


def test_a_place_is_shown_with_its_names_and_without_rules_that_cannot_hold_there(run: Run, mine: Path) -> None:
    here = run("rules", "show", "--rules", "mine.yaml", "--domain", "A.Example.ORG").stdout
    there = run("rules", "show", "--rules", "mine.yaml", "--domain", "example.net").stdout
    assert "- id: ours" in here
    assert "- id: ours" not in there
    assert "standard: {waits: [10m], give_up: 1d}" in here
    assert "standard: {first: 5m, " in there
    assert "domains:" not in [line.strip() for line in (here + there).splitlines()]


def test_the_provider_of_a_domain_is_found_and_may_go_by_any_of_its_names(run: Run, document: Document) -> None:
    Path("p.yaml").write_text(
        "mailverdict: 1\nproviders:\n  google: {rules: [{id: at-google, then: {action: hold}}]}\n"
        "  apple: {rules: [{id: at-apple, then: {action: hold}}]}\n"
    )

    def ids(*words: str) -> set[str]:
        said = document("rules", "show", "--rules", "p.yaml", *words)
        return {"at-google", "at-apple"} & {each["id"] for each in said["rules"]}

    assert ids("--domain", "gmail.com") == ids("--provider", "Google Workspace") == {"at-google"}
    assert ids("--domain", "unknown.example") == ids() == {"at-google", "at-apple"}
    assert list(document("rules", "show", "--provider", "gsuite")["providers"]) == ["google"]


def test_programs_get_everything_with_its_origin(document: Document, mine: Path) -> None:
    said = document("rules", "show", "--rules", "mine.yaml", "--rule", "over-quota")
    (rule,) = said["rules"]
    assert rule["origins"]["then.alert"] == "mine.yaml:4"
    whole = document("rules", "show", "--rules", "mine.yaml")
    assert whole["domains"]["example.org"]["schedules"]["standard"]["origin"] == "mine.yaml:7"
    assert whole["rules"][-1]["id"] == "anything-else"
    assert all(each["origin"] for each in whole["rules"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rule", "over-qouta"), "no rule in force is called `over-qouta`; did you mean `over-quota`?"),
        (("--provider", "gogle"), "no provider is called `gogle`; did you mean `google`?"),
        (("--domain", "a b"), "mailverdict: "),
    ],
)
def test_what_is_not_known_is_a_usage_error_with_the_near_miss(run: Run, words: tuple[str, ...], said: str) -> None:
    assert said in run("rules", "show", *words, status=2).stderr


def test_a_rule_that_can_never_hold_there_is_said_so(run: Run, mine: Path) -> None:
    words = ("rules", "show", "--rules", "mine.yaml", "--rule", "ours", "--domain", "x.example")
    assert "rule `ours` can never hold there" in run(*words, status=1).stderr


def terminal(environment: dict[str, str], *words: str) -> str:
    """What the command says to a terminal."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "adapters.cli", *words], stdout=theirs, env={"TERM": "xterm", **environment}
    ) as ran:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # of a terminal that nobody writes to any more
            while more := os.read(ours, 65536):
                said += more
        os.close(ours)
    assert ran.returncode == 0
    return said.decode().replace("\r\n", "\n")


def test_on_a_terminal_only_the_places_are_dim_and_without_colours_the_text_is_the_same(
    environment: dict[str, str], run: Run
) -> None:
    words = ("rules", "show", "--rule", "blocked")
    plain = run(*words).stdout
    dim = terminal(environment, *words)
    assert terminal(environment | {"NO_COLOR": "1"}, *words) == plain
    assert re.sub("\x1b[^m]*m", "", dim) == plain
    assert {each[:2] for each in re.findall("\x1b\\[2m(.*?)\x1b", dim)} <= {"  ", "# "}
    assert "mailverdict: 1\n" in dim


def test_no_terminal_no_colours_and_nothing_for_them_is_loaded(environment: dict[str, str]) -> None:
    script = (
        "import sys; from adapters.cli import main\ntry: main()\nfinally: sys.stderr.write(str('rich' in sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, "rules", "show"], env=environment, capture_output=True, check=True
    )
    assert (b"\x1b" in ran.stdout, ran.stderr) == (False, b"False")


# ---- edits -----------------------------------------------------------------------------------------------------------

EDITS = [
    (("set", "mine.yaml", "over-quota", "then.alert", "page"), "{alert: page}", "`then.alert` of rule `over-quota`"),
    (("set", "mine.yaml", "ours", "when.code", "[550, 552]"), 'code: ["550", "552"]', "is set to `[550, 552]`"),
    (("unset", "mine.yaml", "blocked", "then.alert"), "then.alert", "is no longer set"),
    (("disable", "mine.yaml", "greylisted"), "disable: [greylisted]", "rule `greylisted` is disabled"),
    (("add", "mine.yaml", "{id: new, then: {action: hold}}"), "id: new", "a rule is added"),
    (
        ("add", "mine.yaml", "{id: new, then: {action: hold}}", "--domain", "Example.org", "--before", "ours"),
        "id: new",
        "a rule is added for Example.org",
    ),
]


@pytest.mark.parametrize(("words", "has", "said"), EDITS)
def test_an_edit_changes_the_one_thing_and_says_so_in_one_line(
    run: Run, mine: Path, words: tuple[str, ...], has: str, said: str
) -> None:
    result = run("rules", *words)
    assert said in result.stdout
    assert result.stdout.startswith("mine.yaml: ")
    assert result.stdout.count("\n") == 1
    assert has in mine.read_text()
    kept = [line for line in MINE.splitlines() if line not in mine.read_text()]
    assert len(kept) <= 1
    assert "# ours" in mine.read_text()
    run("check", "mine.yaml", status=(0, 1))  # what is added may hide another: that is no mistake in the text


@pytest.mark.parametrize(("words", "has", "said"), EDITS)
def test_a_dry_run_shows_the_change_and_makes_none(
    run: Run, mine: Path, words: tuple[str, ...], has: str, said: str
) -> None:
    shown = run("rules", *words, "--dry-run").stdout
    assert shown.startswith("--- mine.yaml (before)\n+++ mine.yaml (after)\n@@ ")
    assert has in "".join(line for line in shown.splitlines() if line.startswith("+"))
    assert mine.read_bytes() == MINE.encode()


def test_disable_and_enable_undo_each_other(run: Run, mine: Path) -> None:
    run("rules", "disable", "mine.yaml", "greylisted")
    run("rules", "enable", "mine.yaml", "greylisted")
    assert mine.read_bytes() == MINE.encode()


def test_a_rule_may_come_from_standard_input(command: Callable[..., Any], run: Run, mine: Path) -> None:
    command("rules", "add", "mine.yaml", input=b"# why\nid: new\nthen: {action: hold}\n")
    assert "- id: new" in mine.read_text()
    before = mine.read_bytes()
    assert b"not UTF-8" in command("rules", "add", "mine.yaml", "-", input=b"\xff", status=2).stderr
    assert mine.read_bytes() == before


MISTAKES = [
    (("set", "mine.yaml", "over-quota", "then.acton", "bounce"), 1, "unknown-key"),
    (("set", "mine.yaml", "over-quota", "then.schedule", "slow"), 1, "no schedule is called `slow`"),
    (("unset", "mine.yaml", "ours", "then"), 1, "missing-key"),
    (("add", "mine.yaml", "{id: new, then: {action: hold}}", "--provider", "nobody"), 1, "unknown-provider"),
    (("set", "mine.yaml", "over-qouta", "then.alert", "x"), 2, "did you mean `over-quota`?"),
    (("set", "mine.yaml", "over-quota", "id", "x"), 2, "cannot be changed"),
    (("unset", "mine.yaml", "ours", "then.alrt"), 2, "has no `then.alrt`"),
    (("unset", "mine.yaml", "blocked", "then.alrt"), 2, "no rule has a `then.alrt`; did you mean `then.alert`?"),
    (("disable", "mine.yaml", "ours"), 2, "stands in this file"),
    (("enable", "mine.yaml", "blokced"), 2, "did you mean `blocked`?"),
    (("add", "mine.yaml", "nonsense"), 2, "a rule is a map"),
    (("set", "none.yaml", "ours", "note", "x"), 3, "`none.yaml` cannot be read"),
    (("disable", "no file.yaml", "blocked"), 3, "; `mailverdict init 'no file.yaml'` writes one to start from"),
    (("set", "-", "ours", "note", "x"), 3, "`-` is standard input: an edit needs a file"),
    (("set", "mine.yaml", "ours", "note", "x", "--rules", "none.yaml"), 3, "`none.yaml` cannot be read"),
]


@pytest.mark.parametrize(("words", "status", "said"), MISTAKES)
def test_a_mistake_is_said_and_leaves_the_file_as_it_was(
    run: Run, mine: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    result = run("rules", *words, status=status)
    assert said in result.stderr
    assert result.stdout == ""
    assert mine.read_bytes() == MINE.encode()
    assert names(".") == ["mine.yaml"]


@pytest.mark.parametrize(("content", "said"), [(b"rules: [", "not-yaml"), (b"\xff", "not-utf-8"), (b"", "empty-file")])
def test_a_file_that_is_no_rules_file_is_told_with_its_mistakes(run: Run, content: bytes, said: str) -> None:
    Path("bad.yaml").write_bytes(content)
    refused = run("rules", "disable", "bad.yaml", "blocked", status=1).stderr
    assert said in refused
    assert ("`mailverdict init --force bad.yaml`" in refused) == (content == b"")
    assert said in run("rules", "show", "--rules", "bad.yaml", status=1).stderr
    assert Path("bad.yaml").read_bytes() == content


def test_the_result_is_checked_among_the_other_files(run: Run, mine: Path) -> None:
    Path("low.yaml").write_text("mailverdict: 1\nrules: [{id: low, then: {action: hold}}]\n")
    Path("high.yaml").write_text("mailverdict: 1\noverride: {id: ours, set: {then: {schedule: fast}}}\n")
    assert "no rule is called `low`" in run("rules", "disable", "mine.yaml", "low", status=2).stderr
    run("rules", "disable", "mine.yaml", "low", "--rules", "low.yaml")
    three = ("--rules", "low.yaml", "--rules", "mine.yaml", "--rules", "high.yaml")
    assert "fast" in run("rules", "enable", "mine.yaml", "low", *three, status=1).stderr
    environment = {"MAILVERDICT_RULES": os.pathsep.join(["low.yaml", "./mine.yaml"])}
    run("rules", "enable", "mine.yaml", "low", env=environment)
    assert mine.read_bytes() == MINE.encode()


def test_a_file_is_replaced_in_one_step_with_its_mode_and_through_links(
    run: Run, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("real").mkdir()
    real = Path("real/rules.yaml")
    real.write_bytes(MINE.encode())
    real.chmod(0o640)
    link = Path("link.yaml")
    link.symlink_to(real)
    inode = real.stat().st_ino
    run("rules", "disable", "link.yaml", "greylisted")
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert real.stat().st_ino != inode
    assert names("real") == ["rules.yaml"]
    before = real.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "cannot be written: No space left" in run("rules", "disable", "link.yaml", "blocked", status=3).stderr
    assert (real.read_bytes(), names("real")) == (before, ["rules.yaml"])


def test_bytes_that_are_not_edited_stay(run: Run) -> None:
    content = b"\xef\xbb\xbf" + MINE.replace("\n", "\r\n").encode()
    Path("dos.yaml").write_bytes(content)
    run("rules", "set", "dos.yaml", "over-quota", "then.alert", "page")
    assert Path("dos.yaml").read_bytes() == content.replace(b"alert: ops", b"alert: page")


def test_an_edit_that_changes_nothing_writes_nothing(run: Run, mine: Path) -> None:
    inode = mine.stat().st_ino
    said = run("rules", "set", "mine.yaml", "over-quota", "then.alert", "ops").stdout
    assert said == "mine.yaml: nothing to change\n"
    assert mine.stat().st_ino == inode


ABSENT = [
    ("unset", "mine.yaml", "ours", "then.alert"),
    ("unset", "mine.yaml", "greylisted", "then.alert"),
    ("enable", "mine.yaml", "blocked"),
    ("enable", "mine.yaml", "ours"),
]


@pytest.mark.parametrize("words", ABSENT)
def test_to_take_away_what_is_not_there_changes_nothing_and_is_no_mistake(
    run: Run, mine: Path, words: tuple[str, ...]
) -> None:
    assert run("rules", *words).output == "mine.yaml: nothing to change\n"
    assert mine.read_bytes() == MINE.encode()


@pytest.mark.parametrize(
    "words", [("disable", "mine.yaml", "blocked"), ("unset", "mine.yaml", "blocked", "then.alert")]
)
def test_an_edit_made_twice_is_made_once(run: Run, mine: Path, words: tuple[str, ...]) -> None:
    run("rules", *words)
    once = mine.read_bytes()
    assert run("rules", *words).output == "mine.yaml: nothing to change\n"
    assert mine.read_bytes() == once


def test_to_unset_an_override_says_what_is_in_force_now(run: Run, mine: Path) -> None:
    said = run("rules", "unset", "mine.yaml", "over-quota", "then.alert").stdout
    origin = re.fullmatch(r"mine.yaml: `then.alert` is as the rule in (.*) has it again\n", said)
    assert origin is not None
    (rule,) = (each for each in load_policy("mine.yaml").rules if each.ref.id == "over-quota")
    assert origin[1] == f"{rule.ref.file}:{rule.ref.line}"
    assert "is no longer set" in run("rules", "unset", "mine.yaml", "ours", "when.code").stdout
    assert "is no longer set" in run("rules", "unset", "mine.yaml", "blocked", "then.alert").stdout
    run("rules", "add", "mine.yaml", "{id: greylisted, then: {action: hold}, note: it stands here now}")
    assert "is no longer set" in run("rules", "unset", "mine.yaml", "greylisted", "note").stdout


WARNED = "mailverdict: the edit {}, and brings 2 errors that `mailverdict check` did not find before:"
LATER = '{id: first, when: {code: "451"}, then: {action: retry}}'
ODD_YES = '{id: odd-yes, when: {code: "250", stream: otp}, then: {action: bounce}}'


def test_an_edit_is_made_and_the_errors_that_it_brings_are_told_once(run: Run, mine: Path) -> None:
    result = run("rules", "add", "mine.yaml", ODD_YES)
    assert result.stdout == "mine.yaml: a rule is added\n"
    head, *told = result.stderr.splitlines()
    assert head == WARNED.format("is made")
    assert [line.split(": ")[1] for line in told if not line.startswith(" ")] == ["law-2-yes", "law-2-data"]
    assert "odd-yes" in mine.read_text()
    assert run("check", "mine.yaml", status=1).stdout.startswith(told[0])
    # Those that were there before are not told again, though their lines have moved.
    assert run("rules", "disable", "mine.yaml", "greylisted").stderr == ""
    assert run("rules", "add", "mine.yaml", LATER, "--before", "odd-yes").stderr == ""
    second = run("rules", "add", "mine.yaml", ODD_YES.replace("odd", "odder"), "--before", "first").stderr
    assert "rule `odder-yes`" in second
    assert "rule `odd-yes`" not in second


def test_a_dry_run_tells_the_errors_that_the_edit_would_bring(run: Run, mine: Path) -> None:
    result = run("rules", "add", "mine.yaml", ODD_YES, "--dry-run")
    assert result.stderr.startswith("mailverdict: the edit would bring 2 errors ")
    assert mine.read_bytes() == MINE.encode()


@pytest.mark.parametrize(
    "rule",
    ["- id: new\n  then: {action: hold}", "- {id: new, then: {action: hold}}", "-\n  id: new\n  then: {action: hold}"],
)
def test_a_rule_may_be_given_as_it_stands_in_a_list(run: Run, mine: Path, rule: str) -> None:
    run("rules", "add", "mine.yaml", rule, "--domain", "example.org")
    assert [each.ref.id for each in load_policy("mine.yaml").rules if each.ref.file == "mine.yaml"] == ["ours", "new"]
    assert "No such option" in run("rules", "add", "mine.yaml", "-x", status=2).stderr


def test_programs_are_told_what_changed(document: Document, mine: Path) -> None:
    said = document("rules", "disable", "mine.yaml", "blocked", "--dry-run")
    assert (said["changed"], said["wrote"]) == (True, False)
    assert "+disable: [blocked]" in said["diff"]
    assert json.dumps(document("rules", "disable", "mine.yaml", "blocked")["wrote"]) == "true"
