"""`mailverdict decide`: one reply in, one decision with its reason out, and nothing kept."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Document = Callable[..., Any]
Run = Callable[..., Result]

NOW = "2026-01-01T00:00:00Z"
KEYS = [
    "action",
    "final",
    "category",
    "fault",
    "suppress",
    "effects",
    "retry_at",
    "give_up_at",
    "route",
    "rule",
    "evidence",
    "remedy",
    "policy_version",
]
MOVED = "251 2.1.5 User not local; will forward to <jo@new.example>"


def effects(decision: dict[str, Any]) -> list[str]:
    return [each["effect"] for each in decision["effects"]]


def test_a_251_is_accepted_and_its_path_noted_and_nothing_is_fixed_or_retried(document: Document) -> None:
    decision = document("decide", MOVED, "--to", "jo@old.example")
    assert decision["action"] == "accept-and-note-forward"
    assert (decision["suppress"], decision["retry_at"], decision["give_up_at"]) == (False, None, None)
    assert {
        "effect": "note-forward",
        "address": "jo@old.example",
        "forward_path": "jo@new.example",
        "approved": False,
    } in decision["effects"]
    assert not decision["final"]  # only the final dot settles a delivery


@pytest.mark.parametrize(
    "reply", ["550", "550 5.1.1 no such user", "550 Requested action not taken: mailbox unavailable"]
)
def test_a_550_of_an_unknown_mailbox_to_rcpt_is_a_hard_bounce_and_suppresses(reply: str, document: Document) -> None:
    decision = document("decide", reply, "--to", "jo@x.example", "--now", NOW)
    assert (decision["action"], decision["suppress"], decision["final"]) == ("hard-bounce", True, True)
    (suppress,) = (each for each in decision["effects"] if each["effect"] == "suppress")
    assert (suppress["target"], suppress["scope"]) == ("jo@x.example", "address")
    assert suppress["until"] > NOW


@pytest.mark.parametrize("where", ["DOT", "DATA", "unknown"])
def test_a_bare_550_elsewhere_bounces_this_message_only(where: str, document: Document) -> None:
    decision = document("decide", "550", "--to", "jo@x.example", "--command", where)
    assert (decision["action"], decision["suppress"]) == ("bounce", False)
    assert "suppress" not in effects(decision)


@pytest.mark.parametrize(
    "reply", ["550 5.7.1 blocked by policy", "550 5.7.26 unauthenticated", "550 spam", "550 SPF check failed"]
)
def test_a_550_of_policy_leaves_the_address_alone_and_says_what_to_check(reply: str, document: Document) -> None:
    decision = document("decide", reply, "--to", "jo@x.example")
    assert (decision["action"], decision["suppress"]) == ("bounce", False)
    assert re.search("reputation|SPF|DKIM|DMARC", decision["remedy"])


def test_an_unexplained_550_says_to_check_typing_errors_reputation_and_records(document: Document) -> None:
    remedy = document("decide", "550", "--to", "jo@x.example")["remedy"]
    assert all(word in remedy for word in ("typing errors", "reputation", "SPF", "DKIM", "DMARC"))


@pytest.mark.parametrize("reply", ["450", "451", "452", "421", "450 4.7.1 Greylisted, try again in 5 minutes"])
def test_a_4yz_is_retried_at_a_time_before_the_give_up_time(reply: str, document: Document) -> None:
    decision = document("decide", reply, "--to", "jo@x.example", "--now", NOW)
    assert (decision["action"], decision["final"], decision["suppress"]) == ("retry", False, False)
    assert NOW < decision["retry_at"] < decision["give_up_at"]
    assert decision["route"] == "direct"


def test_the_keys_stand_in_the_order_of_the_contract(document: Document) -> None:
    decision = document("decide", "550 5.1.1 no", "--to", "jo@x.example")
    assert list(decision)[: len(KEYS)] == KEYS
    assert list(decision["rule"]) == ["id", "file", "line"]


def test_every_decision_names_its_rule_where_it_stands_and_the_evidence(document: Document) -> None:
    decision = document("decide", "550 5.1.1 no", "--to", "jo@x.example")
    shipped = (Path(__file__).parents[3] / "rules.yaml").read_text(encoding="utf-8").splitlines()
    assert decision["rule"]["id"] in shipped[decision["rule"]["line"] - 1]
    assert decision["evidence"]
    assert decision["policy_version"]


def test_text_shows_what_why_by_which_rule_and_what_to_check(run: Run) -> None:
    shown = run("decide", "550 5.7.26 unauthenticated", "--to", "jo@x.example").stdout
    assert shown.startswith("bounce  to jo@x.example  RCPT: 550 5.7.26 unauthenticated")
    for word in ("the address stays usable", "auth-failure", "not-authenticated (rules.yaml:", "SPF"):
        assert word in shown


def test_nothing_is_recorded(document: Document) -> None:
    document("decide", "550 5.1.1 no", "--to", "jo@x.example")
    assert list(Path().iterdir()) == []


def test_the_same_input_gives_the_same_bytes_whatever_the_hash_seed(command: Callable[..., Any]) -> None:
    words = (
        "decide",
        MOVED,
        "--to",
        "jo@old.example",
        "--now",
        NOW,
        "--format",
        "json",
        "--tag",
        "b=2",
        "--tag",
        "a=1",
    )
    outputs = {command(*words, env={"PYTHONHASHSEED": seed}).stdout for seed in ("0", "1")}
    assert len(outputs) == 1


def test_times_are_read_with_any_offset_and_the_schedule_starts_at_the_first_attempt(document: Document) -> None:
    late = ("--attempt", "3", "--first-attempt", "2026-01-01T01:00:00+01:00", "--now", "2026-01-01T06:00:00Z")
    decision = document("decide", "450", "--to", "jo@x.example", *late)
    give_up_at = datetime.fromisoformat(decision["give_up_at"])
    assert give_up_at == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=4)


def test_text_tells_the_wait_from_the_time_that_was_given(run: Run) -> None:
    shown = run("decide", "450 4.7.1 Greylisted, try again in 5 minutes", "--to", "jo@x.example", "--now", NOW).stdout
    assert "next try 2026-01-01 00:05:00 UTC, in 5m, by route `direct`" in shown


@pytest.mark.parametrize(
    ("name", "action"),
    [("null-mx", "hard-bounce"), ("refused", "retry"), ("timeout", "retry"), ("lost-after-dot", "retry")],
)
def test_a_failure_without_a_reply_is_decided_too(name: str, action: str, document: Document) -> None:
    assert document("decide", "--failure", name, "--to", "jo@x.example")["action"] == action


def test_a_failure_may_come_with_an_unknown_command(document: Document) -> None:
    assert document("decide", "--failure", "timeout", "--command", "unknown")["action"] == "retry"


@pytest.mark.parametrize("sender", ["", "<>"])
def test_mail_with_the_null_sender_is_discarded_and_suppresses_nobody(sender: str, document: Document) -> None:
    decision = document("decide", "550 5.1.1 no", "--to", "jo@x.example", "--from", sender)
    assert (decision["action"], decision["suppress"]) == ("discard", False)


@pytest.mark.parametrize("reply", ["", " ", "hello", "999 what", "25", "250-", "\N{SNOWMAN}" * 50_000])
def test_any_text_gets_a_decision(reply: str, document: Document) -> None:
    assert document("decide", reply, "--to", "jo@x.example")["action"] in ("accept", "retry")


OURS = """\
mailverdict: 1
rules:
  - id: {id}
    when: {{code: "550", stream: bulk, tag: "list=news"}}
    then: {{action: bounce}}
"""


def test_your_rules_come_before_the_shipped_ones_and_the_last_file_is_on_top(document: Document) -> None:
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text(OURS.format(id=name))
    both = ("--rules", "one.yaml", "--rules", "two.yaml")
    asked = ("decide", "550", "--to", "jo@x.example", "--stream", "bulk", "--tag", "list=news")
    assert document(*asked, *both)["rule"] == {"id": "two", "file": "two.yaml", "line": 3}
    assert document(*asked, "--rules", "two.yaml", "--rules", "one.yaml")["rule"]["id"] == "one"
    assert document(*asked[:4], *both)["rule"]["id"] == "probably-no-such-mailbox"


def test_the_rules_of_the_environment_are_used_unless_an_option_names_others(document: Document) -> None:
    for name in ("one", "two", "three"):
        Path(f"{name}.yaml").write_text(OURS.format(id=name))
    asked = ("decide", "550", "--to", "jo@x.example", "--stream", "bulk", "--tag", "list=news")
    env = {"MAILVERDICT_RULES": os.pathsep.join(["one.yaml", "two.yaml"])}
    assert document(*asked, env=env)["rule"]["id"] == "two"
    assert document(*asked, "--rules", "three.yaml", env=env)["rule"]["id"] == "three"
    assert document(*asked, env={"MAILVERDICT_RULES": ""})["rule"]["file"] == "rules.yaml"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "a REPLY is needed"),
        (("550", "--failure", "timeout"), "`reply` and `failure` exclude each other"),
        (("--failure", "timout"), "did you mean `timeout`?"),
        (("550", "--to", "jo"), "`recipient`"),
        (("550", "--command", "rcpt"), "did you mean `RCPT`?"),
        (("550", "--attempt", "0"), "`attempt` must be a whole number from 1"),
        (("550", "--recipients", "-1"), "`recipients` must be a whole number from 1"),
        (("550", "--first-attempt", "2026-01-01T00:00:00"), "needs its offset from UTC"),
        (("550", "--now", "yesterday"), "`yesterday` is not an RFC 3339 time"),
        (("550", "--tag", "news"), "--tag `news` must be NAME=VALUE"),
        (("550", "--tag", "a=1", "--tag", "a=2"), "--tag names `a` twice"),
        (("550", "--batch", "x.jsonl"), "leave REPLY and the options about it out"),
        (("--to", "jo@x.example", "--batch", "x.jsonl"), "leave REPLY and the options about it out"),
        (("--format", "yaml", "550"), "--format"),
    ],
)
def test_options_that_make_no_attempt_are_a_usage_error_in_one_line(
    words: tuple[str, ...], says: str, run: Run
) -> None:
    result = run("decide", *words, status=2)
    assert says in result.stderr
    assert result.stdout == ""


def test_all_that_is_wrong_with_the_options_is_said_at_once(run: Run) -> None:
    said = run("decide", "550", "--to", "jo", "--command", "RCTP", "--attempt", "0", status=2).stderr
    assert len(said.splitlines()) == 3
    assert all(line.startswith("mailverdict: ") for line in said.splitlines())


def test_json_is_one_document(run: Run) -> None:
    assert json.loads(run("decide", "250 ok", "--format", "json").stdout)["action"] == "accept"
