"""The papers on the rules language and on stores say what is so: sessions run, files load, generated pages are fresh.

In these papers `yaml NAME` is a file that the session has from there on, `yaml NAME wrong` one with mistakes, and
`console session` what one types and sees; a number says the exit status of its last command. `...` stands for any text,
on a line of its own for any lines.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapters.cli.app import cli
from policy.contract import read_attempt
from policy.decide import decide
from policy.decision import Action, Decision, Suspend
from policy.history import History
from policy.rules.source import RulesError, RulesFile, build_policy

NOW = datetime(2027, 1, 15, 9, tzinfo=UTC)
DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(paper: str) -> Iterator[tuple[str, list[str], str]]:
    """(language, words beside it, text) of each block of a paper, in order."""
    for language, words, text in BLOCK.findall((DOCS / paper).read_text("utf-8")):
        yield language, words.split(), text


def pieces(paper: str) -> list[str]:
    """The YAML of a paper, each as a whole file."""
    found = [text for language, words, text in blocks(paper) if language == "yaml" and "wrong" not in words]
    return [text if "mailverdict: 1" in text else f"mailverdict: 1\n{text}" for text in found]


def as_pattern(shown: list[str]) -> str:
    """A pattern of what a session shows."""
    lines = [r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n" for line in shown]
    return "".join(lines)


def typed(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a session, and what it shows."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, shown


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """Follow a paper in an empty directory; returns how many commands were run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("MAILVERDICT_RULES", raising=False)

    def follow(paper: str) -> int:
        ran = 0
        for language, words, text in blocks(paper):
            if language == "yaml" and words:
                Path(words[0]).write_text(text, "utf-8")
            for command, shown in typed(text) if words[:1] == ["session"] else ():
                result = CliRunner().invoke(cli, shlex.split(command)[1:])
                said = "".join(line.rstrip() + "\n" for line in result.output.splitlines())
                assert re.fullmatch(as_pattern(shown), said), f"{command}\n{said}"
                assert result.exit_code == int(words[1] if len(words) > 1 else 0), command
                ran += 1
        return ran

    return follow


def test_the_guide_shows_what_the_commands_say(session: Callable[[str], int]) -> None:
    assert session("rules.md") >= 10


def test_the_paper_on_stores_shows_what_the_commands_say(
    session: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILVERDICT_STORE", raising=False)
    assert session("stores.md") == 5


@pytest.mark.parametrize("paper", ["rules.md", "coming-from.md"])
def test_every_piece_of_a_rules_file_loads(paper: str) -> None:
    found = pieces(paper)
    assert len(found) >= 6
    for text in found:
        build_policy([RulesFile("example.yaml", text.encode())])


def test_what_is_called_wrong_is_wrong() -> None:
    (text,) = (text for _, words, text in blocks("rules.md") if "wrong" in words)
    with pytest.raises(RulesError):
        build_policy([RulesFile("example.yaml", text.encode())])


@pytest.mark.parametrize("paper", ["rules.md", "coming-from.md"])
def test_no_session_is_left_out_by_its_marks(paper: str) -> None:
    assert {words[0] for language, words, _ in blocks(paper) if language == "console" and words} <= {"session"}


@pytest.mark.parametrize(
    ("page", "words"), [("rules.schema.json", ["schema"]), ("rules-reference.md", ["schema", "--format", "text"])]
)
def test_the_generated_pages_are_fresh(page: str, words: list[str]) -> None:
    made = CliRunner().invoke(cli, words).output
    assert made == (DOCS / page).read_text("utf-8"), f"make it anew: mailverdict {' '.join(words)} > docs/{page}"


def wish(number: int, reply: str, to: str, **more: str) -> Decision:
    """What our piece of wish `number` of the comparison decides."""
    policy = build_policy([RulesFile("wish.yaml", pieces("coming-from.md")[number - 1].encode())])
    attempt = read_attempt({"reply": reply, "recipient": to, "command": "RCPT", **more})
    return decide(policy, attempt, History(), now=NOW, spread=0.5)


def test_the_comparison_grants_the_six_wishes() -> None:
    assert wish(1, "450 4.7.1 Greylisted", "jo@example.org").retry_at == NOW + timedelta(minutes=1)
    assert wish(2, "550 5.1.1 No such user", "jo@outlook.com").action is Action.RETRY
    assert wish(3, "554 5.7.1 Over our daily limit", "jo@example.org").action is Action.RETRY
    assert wish(4, "450 try later", "jo@example.org", stream="bulk").retry_at == NOW + timedelta(hours=2)
    assert wish(5, "450 try later", "jo@example.org").route == "relay"
    paused = wish(6, "421 4.7.0 Try later", "jo@gmail.com").effects
    assert [each.until for each in paused if isinstance(each, Suspend)] == [NOW + timedelta(hours=1)]
