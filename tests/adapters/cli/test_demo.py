"""`mailverdict demo`: the issue's story on a real SMTP conversation, kept and planned from."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]

STORE = ("--store", "sqlite:///demo.db")
ACTIONS = {
    "ann@welcome.example": "accept",
    "jo@moved.example": "accept-and-note-forward",
    "kim@shy.example": "accept",
    "ghost@nobody.example": "hard-bounce",
    "bob@strict.example": "bounce",
    "bare@terse.example": "hard-bounce",
    "grey@patient.example": "retry",
    "full@stuffed.example": "retry",
    "eve@checked.example": "bounce",
    "old@left.example": "bounce",
    "max@crowded.example": "retry",
    "zoe@closed.example": "retry",
}
SUPPRESSED = ["ghost@nobody.example", "bare@terse.example"]
WAITING = ["grey@patient.example", "full@stuffed.example", "max@crowded.example", "zoe@closed.example"]
MOVED = ["jo@moved.example", "old@left.example"]


@pytest.fixture
def demo(document: Document) -> Any:
    return document("demo", *STORE)


def test_twelve_recipients_have_the_actions_of_the_story(demo: Any) -> None:
    assert list(demo) == ["sent", "planned"]
    assert {each["recipient"]: each["decision"]["action"] for each in demo["sent"]} == ACTIONS
    suppressed = [each["recipient"] for each in demo["sent"] if each["decision"]["suppress"]]
    assert suppressed == SUPPRESSED


def test_a_retry_has_a_time_and_nothing_else_has(demo: Any) -> None:
    assert [each["recipient"] for each in demo["sent"] if each["decision"]["retry_at"]] == WAITING


def test_a_policy_refusal_speaks_of_reputation_or_authentication(demo: Any) -> None:
    remedies = {each["recipient"]: each["decision"]["remedy"] for each in demo["sent"]}
    assert "reputation" in remedies["bob@strict.example"]
    assert all(word in remedies["eve@checked.example"] for word in ("SPF", "DKIM", "DMARC"))


def test_the_second_round_is_planned_from_what_was_kept(demo: Any) -> None:
    planned = {each["recipient"]: each for each in demo["planned"]}
    assert list(planned) == list(ACTIONS)
    assert [to for to, each in planned.items() if each["verdict"] == "suppressed"] == SUPPRESSED
    assert [to for to, each in planned.items() if each["verdict"] == "wait"] == WAITING
    assert all(planned[to]["not_before"] for to in WAITING)
    assert {each["verdict"] for to, each in planned.items() if to not in (*SUPPRESSED, *WAITING)} == {"send"}
    assert [to for to, each in planned.items() if "waits for approval" in each["why"]] == MOVED
    assert [planned[to]["forward"]["state"] for to in MOVED] == ["pending", "pending"]


def test_everything_is_really_kept_in_the_store_that_was_named(demo: Any, document: Document) -> None:
    logged = document("log", *STORE)
    assert {each["recipient"]: each["action"] for each in logged} == ACTIONS
    entries = document("suppressions", "list", *STORE)
    assert sorted(each["address"] for each in entries) == sorted(SUPPRESSED)
    notes = {each["address"]: each["forward_path"] for each in document("forwards", "list", *STORE)}
    assert notes == {"jo@moved.example": "jo@new.example", "old@left.example": "old@elsewhere.example"}


def test_a_demo_after_a_demo_does_not_send_to_the_suppressed(demo: Any, document: Document) -> None:
    again = {each["recipient"]: each for each in document("demo", *STORE)["sent"]}
    assert [again[to]["decision"] for to in SUPPRESSED] == [None, None]
    assert [again[to]["plan"]["verdict"] for to in SUPPRESSED] == ["suppressed", "suppressed"]
    assert again["ann@welcome.example"]["decision"]["action"] == "accept"


def test_text_shows_both_rounds_and_leaves_nothing_behind(run: Run, tmp_path: Any) -> None:
    shown = run("demo").stdout
    assert "First round" in shown
    assert "Second round" in shown
    assert all(shown.count(to) >= 2 for to in ACTIONS)
    assert "Kept in" not in shown
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_memory_is_not_said_to_be_kept(run: Run) -> None:
    assert "Kept in" not in run("demo", "--store", "memory:").stdout
    assert "Kept in sqlite:///demo.db" in run("demo", *STORE).stdout
