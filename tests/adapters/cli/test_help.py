"""Each command's help has an example, and the examples work."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from adapters.cli.app import COMMANDS, cli

Run = Callable[..., Result]


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command and group."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        yield (name,)
        found = cli.get_command(context, name)
        if isinstance(found, click.Group):
            yield from ((name, each) for each in found.list_commands(context))


ALL = list(commands())


def command(words: tuple[str, ...]) -> click.Command:
    found: Any = cli
    for word in words:
        found = found.get_command(click.Context(found), word)
    assert isinstance(found, click.Command)
    return found


def examples(run: Run, words: tuple[str, ...]) -> list[str]:
    """The lines under `Example:`, continued ones joined."""
    shown = run(*words, "--help").stdout
    _, _, after = shown.partition("Example")
    lines = after.partition("\n")[2].replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip()]


def parts(line: str) -> Iterator[list[str]]:
    """The calls of mailverdict in one shell line."""
    for each in re.split(r"&&|\|(?!\|)", line):
        words = shlex.split(each)
        if words[:1] == ["mailverdict"]:
            yield words[1 : words.index(">")] if ">" in words else words[1:]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_an_example_of_itself(words: tuple[str, ...], run: Run) -> None:
    assert any(call[: len(words)] == list(words) for line in examples(run, words) for call in parts(line))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_example_parses(words: tuple[str, ...], run: Run) -> None:
    for line in examples(run, words):
        for call in parts(line):
            depth = 2 if call[0] in ("suppressions", "forwards", "states", "store", "keys") else 1
            command(tuple(call[:depth])).make_context("mailverdict", call[depth:])


def test_the_examples_of_decide_plan_check_and_init_work_one_after_the_other(run: Run, lines: Any) -> None:
    lines({"reply": "550 5.1.1 no", "command": "RCPT", "recipient": "jo@example.com"})
    run("observe", "--batch", "attempts.jsonl")
    lines({"recipient": "jo@example.com"}, name="deliveries.jsonl")
    run("init", "my-rules.yaml")
    tried = 0
    for words in (("decide",), ("plan",), ("check",), ("suppressions",), ("forwards",), ("states",), ("log",)):
        for line in examples(run, words):
            for call in parts(line.replace("mail.db", "mailverdict.db")):
                if "--follow" not in call:  # which ends when somebody has seen enough
                    run(*call)
                    tried += 1
    Path("my-rules.yaml").unlink()
    for call in parts(*examples(run, ("init",))):
        run(*call)
    assert tried >= 11


@pytest.mark.parametrize("words", [each for each in ALL if not isinstance(command(each), click.Group)], ids=" ".join)
def test_every_command_takes_a_format(words: tuple[str, ...]) -> None:
    (option,) = (each for each in command(words).params if each.name in ("form", "format"))
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices)[:2] == ("text", "json")


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_option_says_what_it_is(words: tuple[str, ...]) -> None:
    options = [each for each in command(words).params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []


def test_the_list_of_commands_is_in_order_and_short_help_is_asked_by_h_too(run: Run) -> None:
    shown = run("--help").stdout
    listed = re.findall(r"^  ([a-z]+)  +\S", shown.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(COMMANDS)
    assert run("-h").stdout == shown
    assert all(word in shown for word in ("0 done", "1 findings", "2 usage", "3 a"))


def test_the_command_is_called_by_its_name(run: Run) -> None:
    assert run("--version").stdout.startswith("mailverdict, version ")
    for words, option in ((("send",), "--smtp"), (("plan",), "--to")):
        assert f"Usage: mailverdict {words[0]}" in run(*words, "--help").stdout
        assert option in run(*words, status=2).stderr


def test_no_command_at_all_shows_the_help_and_is_a_usage_error(run: Run) -> None:
    assert "Commands:" in run(status=2).output
