"""What the papers show runs: code blocks are executed, rules load, commands answer."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapters.cli.app import COMMANDS, cli
from policy.rules.source import RulesFile, build_policy, load_policy

ROOT = Path(__file__).parents[1]
PAPERS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[object]:
    found = []
    for paper in PAPERS:
        text = paper.read_text("utf-8")
        for match in BLOCK.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], id=f"{paper.relative_to(ROOT)}:{line}"))
    return found


@pytest.mark.parametrize("code", blocks("python"))
def test_python_in_the_papers_runs(code: str) -> None:
    exec(compile(code, "example", "exec"), {"__name__": "example"})  # noqa: S102 - our own text


@pytest.mark.parametrize("text", [b for b in blocks("yaml") if "mailverdict: 1" in b.values[0]])  # type: ignore[attr-defined]
def test_rules_in_the_papers_load(text: str) -> None:
    build_policy([RulesFile("example.yaml", text.encode())])


@pytest.mark.parametrize("text", blocks("console"))
def test_commands_in_the_papers_answer(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [line.removeprefix("$ ").partition("   #")[0] for line in text.splitlines() if line.startswith("$ ")]
    for command in commands:
        for part in command.split("&&"):
            words = shlex.split(part)
            if words[0] == "mailverdict":
                result = CliRunner().invoke(cli, words[1:])
                assert result.exit_code == 0, (part, result.output)


def test_the_readme_names_every_command() -> None:
    text = PAPERS[0].read_text("utf-8")
    for name in COMMANDS:
        assert f"`mailverdict {name}" in text or f"`{name}" in text, name


def test_the_lines_that_the_readme_shows_are_lines_of_rules() -> None:
    shown = {int(line) for line in re.findall(r"rules\.yaml:([0-9]+)\)", PAPERS[0].read_text("utf-8"))}
    shipped = {rule.ref.line for layer in load_policy().layers for rule in layer.rules if layer.file == "rules.yaml"}
    assert shown
    assert shown <= shipped
