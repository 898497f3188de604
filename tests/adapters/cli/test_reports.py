"""`mailverdict dsn`: what is shown of delivery reports, and that nothing is kept of them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from adapters.logs.dsn import SIZE_LIMIT
from policy.contract import read_attempt

Run = Callable[..., Result]
Document = Callable[..., Any]
Command = Callable[..., "subprocess.CompletedProcess[bytes]"]

REPORTS = Path(__file__).parents[1] / "logs" / "reports"
UNPROVEN = "a report is unauthenticated: it is shown, not recorded"


def file(name: str) -> str:
    return str(REPORTS / f"{name}.eml")


@pytest.fixture(autouse=True)
def _without_the_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old-style bounces are read by an extra that need not be there: these tests say what happens without it."""
    monkeypatch.setitem(sys.modules, "flufl.bounce", None)


def test_a_failure_is_shown_with_its_decision_and_its_reason(run: Run) -> None:
    shown = run("dsn", file("exim_failed")).stdout
    assert f"{file('exim_failed')}: failed for jo@example.org, reported by exim.example.net" in shown
    assert "hard-bounce  to jo@example.org  RCPT: 550 5.1.1" in shown
    assert "no-such-mailbox (rules.yaml:" in shown
    assert UNPROVEN in shown


def test_the_json_has_one_element_a_recipient_in_the_contracts_form(document: Document) -> None:
    jo, bo = document("dsn", file("two_recipients"))
    assert list(jo) == [
        "file",
        "kind",
        "recipient",
        "original_recipient",
        "reporting_mta",
        "will_retry_until",
        "attempt",
        "decision",
        "notes",
    ]
    assert (jo["kind"], jo["recipient"], jo["reporting_mta"]) == ("failed", "jo@example.org", "relay.example.net")
    assert (jo["decision"]["action"], jo["decision"]["suppress"]) == ("hard-bounce", True)
    assert (bo["decision"]["action"], bo["decision"]["suppress"]) == ("bounce", False)
    assert all(UNPROVEN in each["notes"] for each in (jo, bo))


@pytest.mark.parametrize("sample", sorted(REPORTS.glob("*.eml")), ids=lambda path: path.stem)
def test_the_attempts_can_be_given_to_decide_and_get_the_same_decision(
    sample: Path, document: Document, run: Run, lines: Callable[..., str]
) -> None:
    reported = [each for each in document("dsn", str(sample)) if each["decision"]]
    for each in reported:
        read_attempt(each["attempt"])
    batch = lines(*(each["attempt"] for each in reported))
    decided = [json.loads(line) for line in run("decide", "--batch", batch).stdout.splitlines()]
    assert [{**each, "id": None} for each in decided] == [{"id": None, **each["decision"]} for each in reported]


@pytest.mark.parametrize("name", ["delayed", "delayed_softly"])
def test_a_delay_is_a_retry_of_theirs_never_final_and_never_suppresses(name: str, document: Document) -> None:
    (delay,) = document("dsn", file(name))
    decision = delay["decision"]
    assert (delay["kind"], decision["action"], decision["custody"]) == ("delayed", "retry", "theirs")
    assert not decision["final"]
    assert not decision["suppress"]


def test_a_rule_that_ends_what_is_still_tried_is_told_but_decides_nothing(document: Document) -> None:
    Path("mine.yaml").write_text(
        'mailverdict: 1\nrules:\n  - id: no-patience\n    when: {code: "451"}\n    then: {action: bounce}\n'
    )
    (delay,) = document("dsn", file("delayed"), "--rules", "mine.yaml")
    assert delay["decision"] is None
    assert "`no-patience (mine.yaml:3)` says bounce, but the mail is still being tried" in delay["notes"]


def test_a_delay_says_until_when_they_try(document: Document, run: Run) -> None:
    (delay,) = document("dsn", file("delayed"))
    assert delay["will_retry_until"] == "2026-01-10T10:00:00Z"
    assert "tries until 2026-01-10T10:00:00Z" in run("dsn", file("delayed")).stdout


def test_what_they_gave_up_after_days_is_a_bounce_that_does_not_suppress(document: Document) -> None:
    (failure,) = document("dsn", file("given_up"))
    assert (failure["decision"]["action"], failure["decision"]["suppress"]) == ("bounce", False)


def test_a_relayed_message_is_accepted_for_good(document: Document) -> None:
    (relayed,) = document("dsn", file("relayed"))
    assert (relayed["kind"], relayed["decision"]["action"], relayed["decision"]["final"]) == ("relayed", "accept", True)


def test_a_refusal_after_the_dot_of_several_recipients_suppresses_nobody(document: Document) -> None:
    assert not any(each["decision"]["suppress"] for each in document("dsn", file("after_the_dot")))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("vacation", "auto-reply"), ("arf", "complaint"), ("receipt", "none"), ("plain", "none")],
)
def test_mail_that_is_no_bounce_is_said_so_and_nothing_is_decided(
    name: str, kind: str, document: Document, run: Run
) -> None:
    (told,) = document("dsn", file(name))
    assert (told["kind"], told["recipient"], told["attempt"], told["decision"]) == (kind, None, None, None)
    shown = run("dsn", file(name)).stdout
    assert "nothing is decided" in shown
    assert UNPROVEN not in shown


def test_an_old_style_bounce_says_what_to_install_and_so_does_the_help(run: Run) -> None:
    assert "pip install 'mailverdict[dsn]'" in run("dsn", file("qmail")).stdout
    assert "pip install 'mailverdict[dsn]'" in run("dsn", "--help").stdout


def test_nothing_is_recorded(run: Run, tmp_path: Path) -> None:
    run("dsn", file("exim_failed"))
    assert list(tmp_path.iterdir()) == []


def test_several_files_are_one_array_and_one_that_cannot_be_read_does_not_hinder_the_others(run: Run) -> None:
    Path("folder").mkdir()
    result = run("dsn", file("relayed"), "missing.eml", "folder", file("plain"), "--format", "json", status=3)
    assert [each["kind"] for each in json.loads(result.stdout)] == ["relayed", "none"]
    assert "`missing.eml` cannot be read: No such file or directory" in result.stderr
    assert "`folder` cannot be read: Is a directory" in result.stderr


def test_a_dash_is_standard_input(command: Command) -> None:
    ran = command("dsn", "-", "--format", "json", input=Path(file("exim_failed")).read_bytes())
    (told,) = json.loads(ran.stdout)
    assert (told["file"], told["kind"]) == ("-", "failed")


def test_no_file_at_all_is_a_usage_error(run: Run) -> None:
    assert "FILE" in run("dsn", status=2).stderr


def test_the_same_mail_gives_the_same_answer_whatever_the_time(run: Run) -> None:
    one, other = (
        run("dsn", file("delayed"), "--format", "json", "--now", now).stdout
        for now in ("2026-02-01T00:00:00Z", "2027-02-01T00:00:00Z")
    )
    assert one == other


def test_no_control_character_of_a_mail_or_of_a_file_name_reaches_the_terminal(run: Run) -> None:
    shutil.copy(file("nul"), "bad\x1b[2J.eml")
    shown = run("dsn", "bad\x1b[2J.eml").stdout
    assert all(char.isprintable() or char == "\n" for char in shown)


def test_no_more_than_the_limit_is_taken_from_a_file(document: Document) -> None:
    Path("huge.eml").write_bytes(Path(file("exim_failed")).read_bytes() + b"\n" * SIZE_LIMIT)
    (told,) = document("dsn", "huge.eml")
    assert told["kind"] == "failed"
    assert f"only the first {SIZE_LIMIT} octets were read" in told["notes"]
