"""`mailverdict rescue`: those who were failed wrongly, each once, and nobody who must not be written to."""

import csv
import io
import json
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
GONE = {"reply": "550 5.1.1 no such user", "command": "RCPT", "message_id": "m"}
TOLD = [
    {**GONE, "recipient": "Ann@gmail.com", "now": "2026-01-01T09:00:00Z", "sender": "news@y.example"},
    {**GONE, "recipient": "bo@x.example", "now": "2026-01-01T10:00:00Z"},
    {**GONE, "recipient": "cy@x.example", "now": "2026-01-01T11:00:00Z", "reply": "550 5.7.1 blocked by policy"},
    {**GONE, "recipient": "di@x.example", "now": "2026-01-01T11:01:00Z"},
    {**GONE, "recipient": "ed@x.example", "now": "2026-01-01T11:10:00Z"},
    {**GONE, "recipient": "ed@x.example", "now": "2026-01-01T11:20:00Z", "reply": "250 ok", "command": "DOT"},
    {**GONE, "recipient": "fay@x.example", "now": "2026-01-01T11:30:00Z", "reply": "450 4.2.1 later"},
]


@pytest.fixture(autouse=True)
def _past(run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines(*TOLD), *STORE)


@pytest.fixture
def rescued(run: Run) -> Callable[..., list[dict[str, Any]]]:
    """What the command lists, as JSON lines."""
    return lambda *words: [
        json.loads(line) for line in run("rescue", *words, "--format", "json", *NOON, *STORE).stdout.splitlines()
    ]


def names(rescued: list[dict[str, Any]]) -> list[str]:
    return [each["recipient"].partition("@")[0] for each in rescued]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--since", "1d"), ["Ann", "bo", "cy", "di"]),
        (("--since", "2026-01-01T10:00:00Z", "--until", "2026-01-01T11:00:00Z"), ["bo"]),
        (("--since", "1d", "--until", "90m"), ["Ann", "bo"]),
        (("--since", "1d", "--provider", "google"), ["Ann"]),
        (("--rule", "no-such-mailbox"), ["Ann", "bo", "di"]),
        (("--rule", "none-such"), []),
    ],
)
def test_those_who_bounced_then_or_by_that_rule_are_listed_and_none_that_had_it_later(
    words: tuple[str, ...], expected: list[str], rescued: Any
) -> None:
    assert names(rescued(*words)) == expected


def test_nobody_is_listed_whom_more_than_a_bounce_keeps_off(rescued: Any, run: Run) -> None:
    run("suppressions", "add", "bo@x.example", "--source", "unsubscribe", *STORE)
    run("suppressions", "remove", "di@x.example", *STORE)
    assert {each["recipient"]: each["suppressed"] for each in rescued("--since", "1d")} == {
        "Ann@gmail.com": True,
        "cy@x.example": False,
        "di@x.example": False,
    }
    run("suppressions", "add", "x.example", *STORE)
    assert names(rescued("--since", "1d")) == ["Ann"]


def test_every_form_has_the_same_recipients_with_what_is_needed_to_send_again(rescued: Any, run: Run) -> None:
    lines = rescued("--since", "1d")
    assert (lines[0]["message_id"], lines[0]["sender"], lines[0]["provider"]) == ("m", "news@y.example", "google")
    rows = list(csv.DictReader(io.StringIO(run("rescue", "--since", "1d", "--format", "csv", *NOON, *STORE).stdout)))
    assert [list(each) for each in rows] == [list(each) for each in lines]
    assert [each["recipient"] for each in rows] == [each["recipient"] for each in lines]
    text = run("rescue", "--since", "1d", *NOON, *STORE).stdout
    assert all(each["recipient"] in text for each in lines)


def test_a_rescue_changes_nothing(rescued: Any, run: Run, document: Document) -> None:
    def kept() -> list[Any]:
        return [document(*words, *NOON, *STORE) for words in (("log",), ("suppressions", "list", "--all"))]

    before = kept()
    assert rescued("--since", "1d") == rescued("--since", "1d")
    assert kept() == before
    assert Path("mail.db").exists()


def test_who_is_to_be_rescued_must_be_said(run: Run) -> None:
    assert "`--rule`, `--since` or `--recipient`" in run("rescue", "--provider", "google", *STORE, status=2).stderr
