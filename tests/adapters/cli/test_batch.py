"""`mailverdict decide --batch`: decisions in input order, and what is wrong with a line in its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]
Lines = Callable[..., str]

NOW = "2026-01-01T00:00:00Z"
GOOD = {"id": "g", "reply": "550 5.1.1 no", "command": "RCPT", "recipient": "jo@x.example", "now": NOW}


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_line_has_its_decision_in_its_place_with_the_id_first(run: Run, lines: Lines) -> None:
    replies = ["250 ok", "450", "550", "251 will forward to <a@b.example>"]
    batch = lines(*(GOOD | {"id": str(n), "reply": reply} for n, reply in enumerate(replies)))
    answered = answers(run("decide", "--batch", batch))
    assert [each["id"] for each in answered] == ["0", "1", "2", "3"]
    actions = [each["action"] for each in answered]
    assert actions == ["accept", "retry", "hard-bounce", "accept-and-note-forward"]
    assert all(next(iter(each)) == "id" for each in answered)


def test_a_line_decides_as_the_same_options_do(run: Run, lines: Lines) -> None:
    said = GOOD | {"sender": "me@y.example", "attempt": 2, "mx": "mx.x.example", "stream": "bulk", "tags": {"a": "1"}}
    (answered,) = answers(run("decide", "--batch", lines(said)))
    words = ("--from", "me@y.example", "--attempt", "2", "--mx", "mx.x.example", "--stream", "bulk", "--tag", "a=1")
    alone = run("decide", "550 5.1.1 no", "--to", "jo@x.example", "--now", NOW, *words, "--format", "json").stdout
    assert {key: value for key, value in answered.items() if key != "id"} == json.loads(alone)


def test_an_absent_command_is_not_known_in_a_batch(run: Run, lines: Lines) -> None:
    bare = {"reply": "550", "recipient": "jo@x.example"}
    answered = answers(run("decide", "--batch", lines(bare, bare | {"command": "RCPT"})))
    assert [each["action"] for each in answered] == ["bounce", "hard-bounce"]


BAD = {
    "2 MB": json.dumps({"reply": "x" * 2_000_000}).encode(),
    "invalid UTF-8": b'{"reply": "550 \xff"}',
    "deep nesting": b'{"reply": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "NaN": b"NaN",
    "NaN inside": b'{"reply": "550", "attempt": NaN}',
    "array": b'[{"reply": "550"}]',
    "string": b'"550"',
    "number": b"5",
    "null": b"null",
    "no JSON": b"{reply: 550}",
    "half a line": b'{"reply": "550',
    "NUL": b'\x00{"reply": "550"}',
    "endless number": b'{"reply": "550", "attempt": ' + b"9" * 5000 + b"}",
    "big number": b'{"reply": "550", "attempt": 99999999999}',
    "fraction": b'{"reply": "550", "attempt": 1.5}',
    "truth": b'{"reply": "550", "attempt": true}',
    "empty": b"{}",
    "near miss": b'{"id": "n", "replly": "550"}',
    "both": b'{"reply": "550", "failure": "timeout"}',
    "address": b'{"reply": "550", "recipient": "jo"}',
    "surrogate address": b'{"reply": "550", "recipient": "\\ud800@x.example"}',
    "time": b'{"reply": "550", "now": "2026-02-30T00:00:00Z"}',
    "id": b'{"id": 5, "reply": "550"}',
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_has_its_error_in_its_place_and_the_others_their_decisions(bad: str, run: Run, lines: Lines) -> None:
    batch = lines(GOOD, BAD[bad], GOOD | {"id": "h"})
    result = run("decide", "--batch", batch, status=1)
    before, error, after = answers(result)
    assert (before["id"], after["id"]) == ("g", "h")
    assert list(error) == ["id", "line", "error"]
    assert error["line"] == 2
    assert 0 < len(error["error"]) < 500
    assert error["error"].isprintable()
    assert result.stderr == "mailverdict: 1 bad line\n"


def test_the_near_miss_and_the_id_of_a_bad_line_are_told(run: Run, lines: Lines) -> None:
    (error,) = answers(run("decide", "--batch", lines(BAD["near miss"]), status=1))
    assert error["id"] == "n"
    assert "did you mean `reply`?" in error["error"]


def test_all_that_is_wrong_with_a_line_is_said_at_once(run: Run, lines: Lines) -> None:
    bad = {"reply": 5, "recipient": "jo", "attempt": 0}
    (error,) = answers(run("decide", "--batch", lines(bad), status=1))
    assert error["error"].count(";") == 2


def test_text_that_is_hostile_comes_out_as_plain_ascii(run: Run, lines: Lines) -> None:
    hostile = "550 \x1b[31mred\x07 \u202egnp.exe [bold]x[/bold] \ud800\nmore"
    result = run("decide", "--batch", lines(GOOD | {"id": "\x1b\u202e", "reply": hostile}))
    assert result.stdout.isascii()
    assert all(line.isprintable() for line in result.stdout.splitlines())
    assert answers(result)[0]["id"] == "\x1b\u202e"  # the caller's own comes back as it was


def test_blank_lines_are_counted_and_passed_over(run: Run, lines: Lines) -> None:
    answered = answers(run("decide", "--batch", lines(b"", b"  \r", GOOD, b"x"), status=1))
    assert [each.get("line") for each in answered] == [None, 4]


def test_windows_line_ends_a_byte_order_mark_and_a_missing_last_newline_do_no_harm(run: Run) -> None:
    line = json.dumps(GOOD).encode()
    Path("a.jsonl").write_bytes(b"\xef\xbb\xbf" + line + b"\r\n" + line)
    assert [each["action"] for each in answers(run("decide", "--batch", "a.jsonl"))] == ["hard-bounce"] * 2


def test_an_empty_file_has_no_decisions_and_no_findings(run: Run) -> None:
    Path("a.jsonl").touch()
    assert run("decide", "--batch", "a.jsonl").output == ""


@pytest.mark.parametrize("path", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read_is_unavailable(path: str, run: Run) -> None:
    result = run("decide", "--batch", path, status=3)
    assert result.stderr.startswith(f"mailverdict: `{path}` cannot be read: ")
    assert result.stdout == ""


def test_lines_of_any_length_keep_their_numbers(run: Run, lines: Lines) -> None:
    long = {"reply": "550 " + "x" * 500_000}
    batch = lines(GOOD, long, BAD["2 MB"], GOOD, BAD["2 MB"], b"x")
    answered = answers(run("decide", "--batch", batch, status=1))
    assert [each.get("line") for each in answered] == [None, None, 3, None, 5, 6]


def test_standard_input_is_a_batch_too_and_the_hash_seed_changes_nothing(
    run: Run, command: Callable[..., Any], lines: Lines
) -> None:
    tags = {name: name for name in "abcdefgh"}
    name = lines(*(GOOD | {"id": str(n), "reply": f"45{n % 3} later", "tags": tags} for n in range(500)), b"bad")
    outputs = set()
    for seed in ("0", "1"):
        with Path(name).open("rb") as stream:
            ran = command("decide", "--batch", "-", stdin=stream, env={"PYTHONHASHSEED": seed}, status=1)
        outputs.add(ran.stdout)
    outputs.add(run("decide", "--batch", name, status=1).stdout.encode())
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 501


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_batch_is_answered_by_json_lines_in_either_format(form: str, run: Run, lines: Lines) -> None:
    assert answers(run("decide", "--batch", lines(GOOD), "--format", form))[0]["action"] == "hard-bounce"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (BAD["endless number"], "line is not JSON: a number has too many digits"),
        (BAD["deep nesting"], "line is not JSON: it is nested too deeply"),
        (BAD["no JSON"], "line is not JSON: a key in double quotes is missing, at column 2"),
        (BAD["half a line"], "line is not JSON: a string does not end, at column 11"),
        (b'{"reply": "\\x"}', "line is not JSON: a `\\` stands before what it cannot, at column 12"),
        (b'{"reply" "550"}', "line is not JSON: a `:` is missing, at column 10"),
        (b'{"reply": "550"} {}', "line is not JSON: more follows its end, at column 18"),
        (b"\xff\xfe", "line is not UTF-8"),
        (b'"\xed\xb3\xbf"', "line is not UTF-8"),
    ],
)
def test_what_no_decoder_takes_is_told_in_words_of_ours(line: bytes, told: str, run: Run, lines: Lines) -> None:
    (error,) = answers(run("decide", "--batch", lines(line), status=1))
    assert error["error"] == told


def test_a_domain_of_broken_characters_is_not_told_as_python_writes_it(run: Run, lines: Lines) -> None:
    broken = GOOD | {"recipient": "jo@\udcff\udcfe"}
    (error,) = answers(run("decide", "--batch", lines(broken), status=1))
    assert error["error"] == "`recipient`: `??` is not a domain: Codepoint U+DCFF not allowed at position 1"


@pytest.mark.parametrize("command", [("decide",), ("observe", "--store", "memory:")], ids=" ".join)
def test_a_campaign_is_told_to_be_a_tag(command: tuple[str, ...], run: Run, lines: Lines) -> None:
    (error,) = answers(run(*command, "--batch", lines(GOOD | {"campaign": "may"}), status=1))
    assert error["error"] == 'unknown key `campaign`; write `"tags": {"campaign": "may"}`'
