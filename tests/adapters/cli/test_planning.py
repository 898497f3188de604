"""`mailverdict plan`: whether mail may be sent now, when, by which route, and why not."""

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
NOON = "2026-01-01T12:00:00Z"
KEYS = [
    "recipient",
    "verdict",
    "not_before",
    "route",
    "alone",
    "in_clear",
    "why",
    "suppression",
    "forward",
    "deliver_to",
]
KEYS.append("policy_version")


@pytest.fixture
def observe(run: Run, lines: Lines) -> Callable[..., None]:
    """Keep attempts to jo@x.example about message m, made at noon unless they say otherwise."""
    usual = {"command": "RCPT", "recipient": "jo@x.example", "message_id": "m", "now": NOON}

    def observe_(*attempts: dict[str, Any]) -> None:
        run("observe", "--batch", lines(*({**usual, **each} for each in attempts)), *STORE)

    return observe_


@pytest.fixture
def plan(document: Document) -> Callable[..., dict[str, Any]]:
    """The plan for jo@x.example."""

    def plan_(*words: str, now: str = NOON) -> dict[str, Any]:
        (planned,) = document("plan", "--to", "jo@x.example", "--now", now, *STORE, *words)
        assert list(planned) == KEYS
        return dict(planned)

    return plan_


def test_mail_to_an_unknown_address_may_be_sent_by_the_default_route(document: Document) -> None:
    (planned,) = document("plan", "--to", "jo@x.example", "--store", "memory:")
    assert (planned["verdict"], planned["not_before"], planned["route"]) == ("send", None, "direct")
    assert list(planned) == KEYS


def test_plans_come_in_the_order_of_the_addresses(document: Document) -> None:
    asked = ("b@x.example", "a@x.example", "b@x.example")
    planned = document("plan", *(word for each in asked for word in ("--to", each)), "--store", "memory:")
    assert [each["recipient"] for each in planned] == list(asked)


def test_a_suppressed_address_is_not_sent_to_until_the_entry_expires(observe: Any, plan: Any) -> None:
    observe({"reply": "550 5.1.1 no"})
    planned = plan()
    assert (planned["verdict"], planned["route"]) == ("suppressed", None)
    assert planned["suppression"]["reply"] == "550 5.1.1 no"
    assert planned["suppression"]["expires_at"][:10] in planned["why"]
    assert plan(now=planned["suppression"]["expires_at"])["verdict"] == "send"


def test_the_case_of_the_local_part_does_not_matter(observe: Any, document: Document) -> None:
    observe({"reply": "550 5.1.1 no", "recipient": "Jo@X.example"})
    (planned,) = document("plan", "--to", "JO@x.EXAMPLE", "--now", NOON, *STORE)
    assert planned["verdict"] == "suppressed"


def test_a_message_waits_for_its_retry_time_and_new_mail_does_not(observe: Any, plan: Any) -> None:
    observe({"reply": "450 4.7.1 Greylisted, try again in 5 minutes"})
    waiting = plan("--message-id", "m")
    assert (waiting["verdict"], waiting["not_before"]) == ("wait", "2026-01-01T12:05:00Z")
    assert plan("--message-id", "m", now=waiting["not_before"])["verdict"] == "send"
    assert plan()["verdict"] == plan("--message-id", "other")["verdict"] == "send"


def test_a_settled_message_is_not_sent_again_and_new_mail_is(observe: Any, plan: Any) -> None:
    observe({"reply": "250 2.0.0 queued", "command": "DOT"})
    assert plan("--message-id", "m")["verdict"] == "settled"
    assert plan("--message-id", "n")["verdict"] == "send"


def test_a_held_message_waits_for_a_person(observe: Any, plan: Any) -> None:
    observe({"reply": "535 5.7.8 bad credentials", "command": "AUTH"})
    planned = plan("--message-id", "m")
    assert (planned["verdict"], planned["not_before"]) == ("held", None)


def test_a_noted_forward_waits_for_approval_and_changes_nothing(observe: Any, plan: Any) -> None:
    observe({"reply": "251 User not local; will forward to <jo@new.example>"})
    planned = plan()
    assert (planned["verdict"], planned["recipient"]) == ("send", "jo@x.example")
    assert planned["forward"]["state"] == "pending"
    assert planned["forward"]["forward_path"] == "jo@new.example"
    assert "waits for approval" in planned["why"]


def test_a_suspended_destination_waits_for_this_sender_only(observe: Any, plan: Any) -> None:
    observe(
        {"reply": "450 4.7.0 rate limit exceeded, slow down", "sender": "news@y.example", "recipient": "bo@x.example"}
    )
    assert plan("--from", "other@y.example")["verdict"] == "wait"
    assert plan("--from", "news@z.example")["verdict"] == plan("--from", "<>")["verdict"] == "send"


@pytest.mark.parametrize("said", [" m ", "m\n", "\u200bm"])
def test_a_message_is_found_by_its_id_as_attempts_have_it(said: str, observe: Any, plan: Any) -> None:
    observe({"reply": "250 2.0.0 queued", "command": "DOT", "message_id": said})
    assert plan("--message-id", said)["verdict"] == plan("--message-id", "m")["verdict"] == "settled"


def test_a_long_message_id_is_found_too(observe: Any, plan: Any) -> None:
    observe({"reply": "250 2.0.0 queued", "command": "DOT", "message_id": "m" * 1000})
    assert plan("--message-id", "m" * 1000)["verdict"] == "settled"


def test_text_shows_a_row_for_each_address(run: Run, observe: Any) -> None:
    observe({"reply": "550 5.1.1 no"})
    shown = run("plan", "--to", "jo@x.example", "--to", "bo@x.example", "--now", NOON, *STORE).stdout
    assert [line.split()[:2] for line in shown.splitlines() if "@x" in line] == [
        ["jo@x.example", "suppressed"],
        ["bo@x.example", "send"],
    ]


def test_a_plan_makes_no_store(run: Run) -> None:
    result = run("plan", "--to", "jo@x.example", *STORE, status=3)
    assert result.stderr == "mailverdict: no such store: `mail.db`\n"
    assert not Path("mail.db").exists()


@pytest.mark.parametrize("words", [("--to", "jo"), ("--to", "jo@x.example", "--from", "@"), ()])
def test_a_bad_address_is_a_usage_error(words: tuple[str, ...], run: Run) -> None:
    assert run("plan", *words, "--store", "memory:", status=2).stdout == ""


def test_a_batch_of_deliveries_is_planned_line_by_line_as_each_alone(
    observe: Any, document: Document, run: Run, lines: Lines
) -> None:
    observe({"reply": "550 5.1.1 no"}, {"event": "complaint", "recipient": "bo@x.example", "stream": "news"})
    asked = [
        {"id": "1", "recipient": "jo@x.example"},
        {"id": "2", "recipient": "bo@x.example", "stream": "news"},
        {"id": "3", "recipient": "bo@x.example", "stream": "bills", "sender": "a@ours.example"},
    ]
    told = run("plan", "--batch", lines(*asked), "--now", NOON, *STORE).stdout
    plans = [json.loads(each) for each in told.splitlines()]
    assert [(each.pop("id"), each["verdict"]) for each in plans] == [
        ("1", "suppressed"),
        ("2", "suppressed"),
        ("3", "send"),
    ]
    assert plans[0] == document("plan", "--to", "jo@x.example", "--now", NOON, *STORE)[0]


def test_a_bad_delivery_gets_its_error_in_its_place_and_the_others_are_planned(run: Run, lines: Lines) -> None:
    batch = lines({"recipient": "jo@x.example"}, {"recipent": "jo@x.example"}, b"{", {"recipient": "no address"})
    result = run("plan", "--batch", batch, "--store", "memory:", status=1)
    answers = [json.loads(each) for each in result.stdout.splitlines()]
    assert [each.get("verdict") for each in answers] == ["send", None, None, None]
    assert "did you mean `recipient`?" in answers[1]["error"]
    (timed,) = run(
        "plan", "--batch", lines({"recipient": "jo@x.example", "at": NOON}), "--store", "memory:", status=1
    ).stdout.split("\n")[:-1]
    assert "unknown key `at`: all deliveries are planned for one time, that of `--now`" in json.loads(timed)["error"]
    assert "3 bad lines" in result.stderr


def test_the_campaign_of_a_delivery_is_told_to_be_a_tag(run: Run, lines: Lines) -> None:
    said = run(
        "plan", "--batch", lines({"recipient": "jo@x.example", "campaign": "may"}), "--store", "memory:", status=1
    )
    assert json.loads(said.stdout)["error"] == 'unknown key `campaign`; write `"tags": {"campaign": "may"}`'


def test_a_plan_is_asked_for_addresses_or_for_a_batch(run: Run) -> None:
    for words in ((), ("--to", "jo@x.example", "--batch", "-")):
        assert "say to whom" in run("plan", *words, "--store", "memory:", status=2).stderr


def test_a_mailing_that_is_paused_waits_and_another_one_goes(
    observe: Any, plan: Any, run: Run, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = "mailverdict: 1\noverride: {id: content-refused, set: {then: {suspend: {after: 2 of 5 in 1d}}}}\n"
    Path("own.yaml").write_text(rules)
    monkeypatch.setenv("MAILVERDICT_RULES", "own.yaml")
    spam = {"reply": "550 5.7.1 Message rejected as spam", "command": "DOT", "sender": "a@ours.example"}
    observe(*({**spam, "message_id": f"m{number}", "tags": {"campaign": "may"}} for number in range(2)))
    sender = ("--from", "a@ours.example")
    paused = plan(*sender, "--campaign", "may")
    assert paused["verdict"] == "wait"
    assert paused["why"].startswith("mail from ours.example, campaign may is suspended until 13:00 UTC")
    batch = lines({"recipient": "jo@x.example", "sender": "a@ours.example", "tags": {"campaign": "may"}})
    (planned,) = run("plan", "--batch", batch, "--now", NOON, *STORE).stdout.splitlines()
    assert {key: value for key, value in json.loads(planned).items() if key != "id"} == paused
    assert plan(*sender, "--campaign", "june")["verdict"] == "send"
    assert plan(*sender)["verdict"] == "send"
