"""`mailverdict code`: replies explained, told apart, and what the rules in force do with them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adapters.cli.app import cli
from policy import Command

SHIPPED = {"RCPT": "accept-and-note-forward"}
OURS = """\
mailverdict: 1
rules:
  - id: ours
    when: {code: "550", command: RCPT}
    then: {action: bounce}
"""
KEYS = [
    "reply", "code", "status", "known", "class", "name", "meaning", "says_more",
    "when", "todo", "whose", "commands", "ref", "warnings", "rules",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MAILVERDICT_RULES", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def code(*words: str, status: int = 0, env: dict[str, str] | None = None) -> Result:
    """Run `mailverdict code`; it may end, but never by a traceback."""
    result = CliRunner().invoke(cli, ["code", *words], prog_name="mailverdict", env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result


def document(*words: str, **options: Any) -> Any:
    return json.loads(code(*words, "--format", "json", **options).stdout)


def actions(reply: dict[str, Any]) -> dict[str | None, str]:
    """command: action"""
    return {each["command"]: each["action"] for each in reply["rules"]}


def words_of(text: str) -> str:
    """The words of a table's or a card's text, whatever line they stand in."""
    return " ".join(text.split())


def test_one_code_says_what_it_means_when_what_to_do_and_what_to_beware_of() -> None:
    shown = words_of(code("251").stdout)
    for word in (
        "positive completion",
        "user not local",
        "untrusted",
        "Fix nothing",
        "RCPT, VRFY, ETRN",
        "RFC 5321 3.4",
    ):
        assert word in shown
    assert "Key difference" not in shown


def test_what_the_rules_do_is_in_the_table() -> None:
    assert re.search(
        r"RCPT +251 +accept-and-note-forward +accepted +user-not-local-will-forward \(rules.yaml:\d+\)",
        code("251").stdout,
    )


def test_two_are_side_by_side_with_their_key_difference() -> None:
    shown = code("251", "550").stdout
    assert re.search(r"251  user not local.* 550  mailbox not available", shown)
    assert re.search(r"positive completion: yes +permanent negative: no", shown)
    assert words_of(shown).count("Key difference: 251 is a positive completion") == 1


def test_three_have_a_difference_for_each_pair() -> None:
    found = document("250", "251", "252")["differences"]
    assert [each["between"] for each in found] == [["250", "251"], ["250", "252"], ["251", "252"]]
    shown = words_of(code("250", "251", "252").stdout)
    assert all(f"Key difference between {a} and {b}:" in shown for a, b in (each["between"] for each in found))


def test_a_code_and_its_status_are_one_reply() -> None:
    (reply,) = document("550", "5.7.1")["replies"]
    assert (reply["reply"], reply["code"], reply["status"]) == ("550 5.7.1", 550, "5.7.1")
    assert reply["says_more"].startswith("5.7.1 says more")
    assert {each["reply"] for each in reply["rules"]} == {"550 5.7.1"}
    assert "together" in code("550", "5.7.1").stdout


def test_json_has_the_same_keys_for_whatever_is_asked() -> None:
    for asked in (("251",), ("5.7.26",), ("550", "5.7.1"), ("299",), ("5.9.9",), ("211", "550", "5.1.1")):
        found = document(*asked)
        assert list(found) == ["replies", "differences", "policy_version"]
        assert [list(each) for each in found["replies"]] == [KEYS] * len(found["replies"])
        for each in found["replies"]:
            assert [list(row) for row in each["rules"]] == [
                ["command", "reply", "action", "category", "suppress", "rule"]
            ] * len(each["rules"])
            assert each["rules"]


def test_each_command_that_may_give_a_code_has_its_decision() -> None:
    (reply,) = document("550")["replies"]
    found = actions(reply)
    assert list(found) == ["EHLO", "MAIL", "RCPT", "DOT"]
    assert found["RCPT"] == "hard-bounce"
    assert "hard-bounce" not in {found[each] for each in ("EHLO", "MAIL", "DOT")}
    assert actions(document("251")["replies"][0]) == SHIPPED
    assert list(actions(document("421")["replies"][0])) == [each.value for each in Command]


def test_a_status_alone_is_decided_with_the_code_that_it_usually_comes_with() -> None:
    assert {each["reply"] for each in document("5.7.26")["replies"][0]["rules"]} == {"550 5.7.26"}
    assert {each["reply"] for each in document("4.7.26")["replies"][0]["rules"]} == {"451 4.7.26"}
    assert {each["reply"] for each in document("5.7.8")["replies"][0]["rules"]} == {"535 5.7.8"}


def test_a_code_that_no_command_of_a_delivery_gives_is_decided_for_an_unknown_one() -> None:
    assert actions(document("252")["replies"][0]) == {None: "accept"}
    assert re.search(r"unknown +252 +accept", code("252").stdout)


def test_the_rules_of_the_caller_decide(tmp_path: Path) -> None:
    ours = tmp_path / "ours.yaml"
    ours.write_text(OURS)
    for found in (document("550", "--rules", "ours.yaml"), document("550", env={"MAILVERDICT_RULES": str(ours)})):
        (row,) = (each for each in found["replies"][0]["rules"] if each["command"] == "RCPT")
        assert (row["action"], row["rule"]["id"], row["suppress"]) == ("bounce", "ours", False)
    assert document("550")["policy_version"] != document("550", "--rules", "ours.yaml")["policy_version"]


@pytest.mark.parametrize("asked", ["299", "5.9.9", "4.1.99", "560"])
def test_what_no_rfc_has_is_explained_by_its_class(asked: str) -> None:
    (reply,) = document(asked)["replies"]
    assert not reply["known"]
    assert "no RFC" in reply["meaning"]
    assert set(actions(reply)) == {"RCPT", "DOT", None}
    assert "no RFC" in code(asked).stdout


@pytest.mark.parametrize("word", ["650", "abc", "5.1", "3.1.1", "\x1b[2J"])
def test_what_is_no_code_is_a_usage_error_with_a_hint(word: str) -> None:
    result = code("550", word, status=2)
    assert result.stdout == ""
    assert re.fullmatch(r"mailverdict: `.*` is n.* such as 5[.\d]+\n", result.stderr)


@pytest.mark.parametrize("words", [(), (" ",), ("250", "251", "252", "450", "550")])
def test_none_and_too_many_are_usage_errors(words: tuple[str, ...]) -> None:
    assert code(*words, status=2).stdout == ""


def test_rules_with_mistakes_and_files_that_are_missing_end_it_as_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("mailverdict: 1\nrulse: []\n")
    assert "1 mistake in the rules" in code("550", "--rules", "bad.yaml", status=2).stderr
    code("550", "--rules", "missing.yaml", status=3)


def test_output_is_the_same_each_time() -> None:
    assert code("451", "5.7.26").stdout == code("451", "5.7.26").stdout


def test_every_example_of_the_help_works(tmp_path: Path) -> None:
    (tmp_path / "my-rules.yaml").write_text(OURS)
    lines = re.findall(r"^ *mailverdict code (.+)$", code("--help").stdout, re.MULTILINE)
    assert len(lines) >= 5
    for line in lines:
        code(*line.split())
