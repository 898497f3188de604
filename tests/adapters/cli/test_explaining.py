"""`mailverdict explain`."""

import json

from click.testing import CliRunner

from adapters.cli.app import cli


def run(*args: str) -> str:
    result = CliRunner().invoke(cli, ["explain", *args])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_tells_what_spoke_what_decided_and_what_almost_matched() -> None:
    told = json.loads(run("550 5.7.1 blocked by our spam policy: sender unknown", "--format", "json"))
    assert told["category"] == told["points"][0]["category"] == told["spoke"][0]["category"]
    assert {each["kind"] for each in told["spoke"]} == {"wording", "enhanced-status", "code"}
    assert any("sender" in each["reason"] for each in told["almost"])


def test_the_winner_and_the_runner_up_are_shown_with_their_points() -> None:
    out = run("550 5.1.1 No such user, blocked")
    assert "bad-mailbox" in out
    assert "points:" in out


def test_a_reply_that_is_none_is_explained_by_its_form() -> None:
    assert "the reply has no code" in run("hello")


def test_a_yes_is_explained_too() -> None:
    assert "accepted" in run("250 2.1.5 Ok")


def test_a_text_full_of_markup_stays_text() -> None:
    assert "[bold]no such user[/bold]" in run("550 [bold]no such user[/bold]")


def test_the_quotes_around_a_reply_may_be_left_out() -> None:
    assert run("550", "5.1.1", "No", "such", "user") == run("550 5.1.1 No such user")


def test_a_reply_is_needed() -> None:
    assert CliRunner().invoke(cli, ["explain"]).exit_code == 2


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli, ["explain", "550", "--command", "RCPTO"])
    assert result.exit_code == 2
    assert "did you mean `RCPT`?" in result.output
