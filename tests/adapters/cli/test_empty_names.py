"""An empty word in place of a name, as of an unset variable, is a mistake: it never means all, and never nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
NOON = ("--now", "2026-01-01T12:00:00Z")
GONE = {"command": "RCPT", "reply": "550 5.1.1 no", "recipient": "jo@x.example", "now": NOON[1]}
NAMED = [
    ("states", "freeze", "--provider"),
    ("states", "lift", "--provider"),
    ("suppressions", "list", "--provider"),
    ("suppressions", "list", "--rule"),
    ("suppressions", "list", "--recipient"),
    ("suppressions", "export", "--rule"),
    ("suppressions", "undo", "--yes", "--provider"),
    ("suppressions", "undo", "--yes", "--rule"),
    ("suppressions", "undo", "--yes", "--since"),
    ("suppressions", "remove"),
    ("rescue", "--provider"),
    ("rescue", "--rule"),
    ("rescue", "--recipient"),
    ("log", "--recipient"),
    ("log", "--domain"),
    ("log", "--rule"),
    ("why", "m", "--to"),
    ("erase", "--suppressions", "remove"),
    ("store", "prune", "--before"),
]


@pytest.fixture
def _past(run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines(GONE), *STORE)
    run("states", "freeze", *NOON, *STORE)


@pytest.mark.usefixtures("_past")
@pytest.mark.parametrize("empty", ["", "  ", "\u200b\u200b"])
@pytest.mark.parametrize("words", NAMED)
def test_an_empty_name_is_refused_and_changes_nothing(
    words: tuple[str, ...], empty: str, run: Run, document: Document
) -> None:
    kept = ("states", "list", *NOON), ("suppressions", "list", "--all", *NOON), ("log",)
    before = [document(*each, *STORE) for each in kept]
    run(*words, empty, *STORE, status=2)
    assert [document(*each, *STORE) for each in kept] == before


@pytest.mark.parametrize("option", ["--domain", "--provider", "--before"])
def test_a_rule_for_an_empty_name_is_not_one_for_everyone(option: str, run: Run) -> None:
    rules = Path("rules.yaml")
    rules.write_text("mailverdict: 1\n")
    run("rules", "add", "rules.yaml", "{id: a, when: {code: 5yz}, then: {action: bounce}}", option, "", status=2)
    assert rules.read_text() == "mailverdict: 1\n"


def test_nothing_is_sent_as_of_an_empty_stream(run: Run) -> None:
    asked = ("--smtp", "127.0.0.1:1", "--from", "me@x.example", "--to", "jo@x.example")
    assert "the name is empty" in run("send", *asked, "--stream", "", *STORE, status=2).stderr


@pytest.mark.usefixtures("_past")
@pytest.mark.parametrize("number", ["0", "-1", "1000000001", "9223372036854775808", "99999999999999999999", "x"])
def test_a_number_of_lines_that_no_store_can_count_is_refused(number: str, run: Run) -> None:
    assert "--last" in run("log", "--last", number, *STORE, status=2).stderr


@pytest.mark.usefixtures("_past")
def test_the_largest_number_of_lines_is_counted_by_every_way(run: Run) -> None:
    for cut in ((), ("--rule", "no-such-mailbox"), ("--recipient", "jo@x.example")):
        assert "jo@x.example" in run("log", "--last", "1000000000", *cut, *STORE).stdout
