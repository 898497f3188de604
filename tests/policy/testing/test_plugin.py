"""The pytest plug-in, as another project sees it: what it collects, what a failure says, and what it does not load."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from policy.testing import plugin

ROOT = Path(__file__).parents[3]
Ran = "subprocess.CompletedProcess[str]"
Project = Callable[..., Ran]

RULES = """\
mailverdict: 1
rules:
  - id: full-relay
    when: {code: "452", text: queue is full}
    then: {action: hold}
    examples: ["452 4.3.1 queue is full", "452 4.3.1 relay is full"]
    counterexamples: ["452 4.2.2 mailbox is full"]
  - id: odd-yes
    when: {code: "250", stream: otp}
    then: {action: bounce}
"""
CASES = """\
- note: an unknown user is given up
  given: {reply: "550 5.1.1 User unknown", command: RCPT}
  want: {action: hard-bounce}
- note: a full relay is held
  given: {reply: "452 4.3.1 queue is full", command: RCPT}
  want: {action: hold}
- given: {reply: "450 4.7.1 Greylisted", command: RCPT}
  want: {action: bounce}
"""
GOOD = RULES.replace(', "452 4.3.1 relay is full"', "").partition("  - id: odd-yes")[0]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Write these files and run pytest with the plug-in and no other, in `place`."""

    def run(*words: str, place: str = ".", **files: str) -> Ran:
        (tmp_path / "pytest.ini").touch()
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        environment.pop("PYTEST_ADDOPTS", None)
        options = ["-p", "policy.testing.plugin", "-p", "no:cacheprovider", "-W", "error", *words]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *options],
            cwd=tmp_path / place, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def outcomes(ran: Ran) -> dict[str, str]:
    """What became of each item, by its name."""
    found = re.findall(r"^(\S+?::.+) (PASSED|FAILED|ERROR) +\[", ran.stdout, re.MULTILINE)
    return dict(found)


def test_rules_and_cases_are_items_each_and_fail_with_a_text(project: Project) -> None:
    ran = project("-v", my_rules_yaml=RULES, my_cases_yaml=CASES)
    assert outcomes(ran) == {
        "my.cases.yaml::1 an unknown user is given up": "PASSED",
        "my.cases.yaml::2 a full relay is held": "FAILED",
        "my.cases.yaml::3": "FAILED",
        "my.rules.yaml::check": "FAILED",
        "my.rules.yaml::full-relay[example 1]": "PASSED",
        "my.rules.yaml::full-relay[example 2]": "FAILED",
        "my.rules.yaml::full-relay[counterexample 1]": "PASSED",
    }
    assert "\nmy.cases.yaml:6:18: wrong-decision: a full relay is held: `action` should be `hold`, not `" in ran.stdout
    assert "\nmy.cases.yaml:8:18: wrong-decision: `action` should be `bounce`, not `retry`; decided by" in ran.stdout
    assert "\nmy.rules.yaml:6:43: broken-example: rule `full-relay`: example `452 4.3.1 relay is full`" in ran.stdout
    assert re.search(r"\nmy\.rules\.yaml:8:5: law-2-yes: .*\n  for example: `250` to RCPT", ran.stdout)
    assert ran.stdout.count("broken-example") <= 2  # once, and in the summary
    assert "Traceback" not in ran.stdout + ran.stderr
    assert ".py:" not in ran.stdout
    assert ran.returncode == 1


def test_an_item_is_run_by_its_name(project: Project) -> None:
    ran = project("-v", "my.rules.yaml::full-relay[example 1]", my_rules_yaml=RULES)
    assert list(outcomes(ran).values()) == ["PASSED"]


def test_rules_named_in_the_settings_lie_under_the_cases_wherever_pytest_is_run(project: Project) -> None:
    named = "[pytest]\nmailverdict_rules = a.rules.yaml b.rules.yaml\n"
    over = "mailverdict: 1\noverride:\n  - {id: full-relay, set: {then: {alert: ops}}}\n"
    case = CASES.partition("- given")[0].replace("want: {action: hold}", "want: {action: hold, alert: ops}")
    ran = project("-v", place="sub", pytest_ini=named, a_rules_yaml=GOOD, b_rules_yaml=over, sub__my_cases_yaml=case)
    assert outcomes(ran) == {
        f"my.cases.yaml::{name}": "PASSED" for name in ("1 an unknown user is given up", "2 a full relay is held")
    }
    again = project("-v")
    assert set(outcomes(again).values()) == {"PASSED"}
    assert "b.rules.yaml::check" in outcomes(again)


BAD = "- given: {repyl: 250 ok}\n  want: {acton: accept}\n"


def test_files_with_mistakes_are_told_in_lines_and_not_by_a_traceback(project: Project) -> None:
    ran = project("--continue-on-collection-errors", bad_cases_yaml=BAD, bad_rules_yaml="mailverdict: 1\nruels: []\n")
    assert "\nbad.cases.yaml:1:10: bad-case: unknown key `repyl`; did you mean `reply`?; " in ran.stdout
    assert "\nbad.cases.yaml:2:10: unknown-key: unknown key `acton` in `want`; did you mean `action`?\n" in ran.stdout
    assert "\nbad.rules.yaml:2:1: unknown-key: unknown key `ruels` in " in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr
    assert ".py:" not in ran.stdout


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "rules file `base.yaml` cannot be read: No such file or directory"),
        ({"base_yaml": "ruels: []\n"}, "base.yaml:1:1: unknown-key: "),
    ],
)
def test_rules_in_the_settings_that_cannot_be_used_are_told(rules: dict[str, str], said: str, project: Project) -> None:
    ran = project(pytest_ini="[pytest]\nmailverdict_rules = base.yaml\n", my_cases_yaml=CASES, **rules)
    assert f"\n{said}" in ran.stdout
    assert ".py:" not in ran.stdout


LIGHT = """\
import sys

HEAVY = {"hypothesis", "click", "rich", "structlog", "sqlite3", "adapters", "policy.rules.source",
         "policy.rules.proof.check", "policy.testing.cases"}

def test_a_project_without_such_files_does_not_pay_for_them():
    assert "policy.testing.plugin" in sys.modules
    assert HEAVY & set(sys.modules) == set()
"""


def test_the_plugin_is_light_and_leaves_other_files_alone(project: Project) -> None:
    ran = project("-v", test__light_py="", light_test_py="", rules_yaml="ruels: []\n", cases_yaml=BAD)
    assert "no tests ran" in ran.stdout
    ran = project("-v", "light.py", light_py=LIGHT)
    assert "1 passed" in ran.stdout, ran.stdout


def test_our_own_tests_are_not_collected_twice() -> None:
    ours = [path for wing in ("tests", "policy", "adapters", "docs") for path in (ROOT / wing).rglob("*.yaml")]
    assert len(ours) > 10
    assert [path for path in ours if path.name.endswith((plugin.RULES, plugin.CASES))] == []


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["pytest11"]
    assert points == {"mailverdict": plugin.__name__}
