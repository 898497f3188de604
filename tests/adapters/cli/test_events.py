"""What recipients say of mail that arrived, by command: complaints and unsubscribes, and the entries they make."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

STORE, OTHER = ("--store", "sqlite:///mail.db"), ("--store", "sqlite:///other.db")
NOON, CENTURY = ("--now", "2026-01-01T12:00:00Z"), ("--now", "2126-01-01T12:00:00Z")
JO = {"recipient": "Jo@x.example", "now": NOON[1]}
NEWS = "jo@x.example#news"


@pytest.fixture
def tell(run: Run, lines: Lines) -> Callable[..., list[dict[str, Any]]]:
    """Observe lines about jo@x.example, and return the answers."""

    def tell_(*said: dict[str, Any], status: int = 0) -> list[dict[str, Any]]:
        told = run("observe", "--batch", lines(*({**JO, **each} for each in said)), *STORE, status=status)
        return [json.loads(line) for line in told.stdout.splitlines()]

    return tell_


@pytest.fixture
def verdict(document: Document) -> Callable[..., str]:
    """What the plan for jo@x.example says of a stream."""

    def verdict_(stream: str | None = None, now: tuple[str, str] = NOON, store: tuple[str, str] = STORE) -> str:
        words = ("--stream", stream) if stream else ()
        (planned,) = document("plan", "--to", "jo@x.example", *words, *now, *store)
        return str(planned["verdict"])

    return verdict_


@pytest.fixture
def listed(document: Document) -> Callable[..., list[dict[str, Any]]]:
    """The entries that bind."""
    return lambda store=STORE: document("suppressions", "list", *NOON, *store)


@pytest.mark.parametrize("event", ["complaint", "unsubscribe"])
def test_an_event_stops_its_stream_for_ever_and_no_other_mail(event: str, tell: Any, verdict: Any, listed: Any) -> None:
    (answer,) = tell({"event": event, "stream": "news"})
    assert (answer["action"], answer["final"], answer["suppress"]) == ("accept", False, True)
    for now in (NOON, CENTURY):
        assert [verdict(each, now) for each in ("news", "bills", None)] == ["suppressed", "send", "send"]
    (entry,) = listed()
    assert (entry["address"], entry["scope"], entry["source"]) == (NEWS, "stream", event)
    assert (entry["strength"], entry["expires_at"], entry["reply"]) == ("permanent", None, event)


def test_an_event_without_a_stream_stops_all_mail(tell: Any, verdict: Any, listed: Any) -> None:
    tell({"event": "complaint"})
    assert [verdict(each) for each in ("news", None)] == ["suppressed", "suppressed"]
    assert [(each["address"], each["scope"]) for each in listed()] == [("jo@x.example", "address")]


def test_an_event_that_is_told_again_is_one(tell: Any, listed: Any, document: Document) -> None:
    once = tell({"event": "complaint", "stream": "news", "attempt_id": "e"})
    assert tell({"event": "complaint", "stream": "news", "attempt_id": "e"}) == once
    assert len(listed()) == 1
    assert "known with other content" in tell({"event": "unsubscribe", "attempt_id": "e"}, status=1)[0]["error"]
    assert len(listed()) == 1


def test_an_event_settles_no_message_and_reopens_none(tell: Any, document: Document) -> None:
    tell({"reply": "250 2.0.0 queued", "command": "DOT", "message_id": "m"}, {"event": "complaint", "message_id": "m"})
    asked = ("plan", "--to", "jo@x.example", *NOON, *STORE)
    assert document(*asked, "--message-id", "m")[0]["verdict"] == "settled"
    assert document(*asked, "--message-id", "n")[0]["verdict"] == "suppressed"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"event": "complain"}, "unknown event `complain`"),
        ({"event": "complaint", "reply": "250"}, "`event`"),
        ({"event": 1}, "`event` must be a string"),
        ({"event": "complaint", "recipient": None}, "`event` needs a `recipient`"),
        ({"event": "unsubscribe", "recipient": None}, "`event` needs a `recipient`"),
    ],
)
def test_what_is_no_event_is_told_and_the_rest_is_kept(
    said: dict[str, Any], error: str, tell: Any, listed: Any, document: Document
) -> None:
    bad, good = tell(said, {"event": "complaint"}, status=1)
    assert error in bad["error"]
    assert "action" not in bad
    assert good["suppress"]
    assert len(listed()) == len(document("log", *STORE)) == 1


def test_an_event_without_a_recipient_is_counted_as_a_bad_line_alone(run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines({"event": "complaint"}), *STORE, "--metrics", "mail.prom", status=1)
    counted = Path("mail.prom").read_text()
    assert 'mailverdict_refused_lines_total{observer="mail",why="bad"} 1.0' in counted
    assert "mailverdict_decisions_total{" not in counted
    assert "mailverdict_suppressions_made_total{" not in counted


def test_a_bounce_without_a_recipient_suppresses_nobody_where_it_is_kept(run: Run, lines: Lines) -> None:
    bounce = lines({"reply": "550 5.1.1 no such user", "command": "RCPT", "now": NOON[1]})
    told = run("observe", "--batch", bounce, *STORE, "--metrics", "mail.prom")
    answer = json.loads(told.stdout)
    assert (answer["action"], answer["suppress"], answer["effects"]) == ("bounce", False, [])
    assert "mailverdict_suppressions_made_total{" not in Path("mail.prom").read_text()
    (asked,) = (json.loads(each) for each in run("decide", "--batch", bounce).stdout.splitlines())
    assert (asked["action"], asked["suppress"]) == ("hard-bounce", True)  # a question about a reply keeps nothing


@pytest.mark.parametrize("form", ["json", "csv"])
def test_entries_of_streams_exported_and_imported_elsewhere_bind_there(
    form: str, tell: Any, verdict: Any, run: Run, document: Document, listed: Any
) -> None:
    tell({"event": "complaint", "stream": "news"}, {"event": "unsubscribe", "stream": "à la carte, daily"})
    Path("list").write_text(run("suppressions", "export", "--format", form, *NOON, *STORE).stdout)
    for kept in (2, 0):
        count = document("suppressions", "import", "list", *NOON, *OTHER)
        assert (count["kept"], count["stands"], count["bad"]) == (kept, 2 - kept, 0)
    assert listed(OTHER) == listed()
    assert [verdict(each, store=OTHER) for each in ("news", "à la carte, daily", "bills")] == [
        "suppressed",
        "suppressed",
        "send",
    ]


def test_a_line_with_an_address_and_a_stream_is_an_entry_of_that_stream(
    run: Run, lines: Lines, listed: Any, verdict: Any
) -> None:
    run("suppressions", "import", lines({"address": "Jo@X.example#news"}), *NOON, *STORE)
    assert [(each["address"], each["scope"], each["source"]) for each in listed()] == [(NEWS, "stream", "import")]
    assert [verdict(each) for each in ("news", "bills")] == ["suppressed", "send"]


def test_a_stream_without_a_name_is_no_entry(run: Run, lines: Lines, listed: Any) -> None:
    told = run("suppressions", "import", lines({"address": "jo@x.example#"}, {"address": NEWS}), *STORE, status=1)
    assert ":1: bad-entry: `address`: write the address and the stream" in told.stderr
    assert [each["address"] for each in listed()] == [NEWS]


def test_an_undo_leaves_what_recipients_said(tell: Any, verdict: Any, document: Document) -> None:
    tell({"event": "complaint", "stream": "news"}, {"reply": "550 5.1.1 no", "command": "RCPT"})
    undone = document("suppressions", "undo", "--since", "1d", "--yes", *NOON, *STORE)
    assert [each["address"] for each in undone] == ["jo@x.example"]
    assert [verdict(each) for each in ("news", "bills")] == ["suppressed", "send"]


@pytest.mark.parametrize("target", [NEWS, "Jo@X.example#news"])
def test_an_entry_of_a_stream_is_shown_and_removed_by_its_name(
    target: str, tell: Any, verdict: Any, document: Document, run: Run
) -> None:
    tell({"event": "complaint", "stream": "news"})
    (shown,) = document("suppressions", "show", target, *NOON, *STORE)
    assert (shown["address"], shown["suppressed"]) == (NEWS, True)
    assert [each["address"] for each in shown["suppressions"]] == [NEWS]
    assert document("suppressions", "remove", target, *STORE) == [{"address": NEWS, "removed": 1}]
    assert verdict("news") == "send"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_stream_may_have_any_name(form: str, tell: Any, verdict: Any, run: Run) -> None:
    tell({"event": "complaint", "stream": "a#b"})
    Path("list").write_text(run("suppressions", "export", "--format", form, *NOON, *STORE).stdout)
    run("suppressions", "import", "list", *NOON, *OTHER)
    assert verdict("a#b", store=OTHER) == "suppressed"
