"""What goes wrong, whatever it is, ends in one clear line and its exit status, and text from strangers stays text."""

import os
import pty
import re
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from adapters.smtpd import ScriptedServer

Run = Callable[..., Result]
Command = Callable[..., Any]
Lines = Callable[..., str]

TIMEOUT = 60
DECIDE = ("decide", "550", "--to", "jo@x.example")
GOOD = {"id": "g", "reply": "550 5.1.1 no", "command": "RCPT", "recipient": "jo@x.example"}

MISTAKES = """\
mailverdict: 2
extendz: shipped
schedules:
  slow: {first: 5x, give_up: 1d}
rules:
  - id: Bad_Name
    when: {code: 550}
    then: {action: bounce}
  - id: two
    when: {comand: RCPT, category: bad-mailbx}
    then: {action: bounse}
  - id: two
    when: {code: "5550"}
    then: {action: bounce, suppress: {}}
disable: [nothing-such]
"""
PLACES = [1, 2, 4, 6, 7, 10, 10, 11, 12, 13, 14, 15]


@pytest.fixture
def with_rules(lines: Lines) -> dict[str, tuple[str, ...]]:
    """Every command that takes rules."""
    Path("message.eml").write_text("Subject: x\n\nx\n")
    envelope = ("--smtp", "127.0.0.1:1", "--from", "a@y.example", "--to", "jo@x.example", "message.eml")
    return {
        "decide": DECIDE,
        "batch": ("decide", "--batch", lines(GOOD)),
        "observe": ("observe", "--batch", lines(GOOD)),
        "plan": ("plan", "--to", "jo@x.example", "--store", "memory:"),
        "send": ("send", *envelope),
        "demo": ("demo",),
    }


COMMANDS_WITH_RULES = ["decide", "batch", "observe", "plan", "send", "demo"]


@pytest.mark.parametrize("name", COMMANDS_WITH_RULES)
def test_every_mistake_in_the_rules_is_told_with_its_place_and_nothing_is_done(
    name: str, run: Run, with_rules: dict[str, tuple[str, ...]]
) -> None:
    Path("bad.yaml").write_text(MISTAKES)
    before = sorted(Path().iterdir())
    result = run(*with_rules[name], "--rules", "bad.yaml", status=2)
    *problems, closing = result.stderr.splitlines()
    places = [int(re.match(r"bad\.yaml:(\d+):\d+: [a-z-]+: .", line)[1]) for line in problems]  # type: ignore[index]
    assert sorted(places) == PLACES
    assert places == sorted(places)
    assert closing == f"mailverdict: {len(PLACES)} mistakes in the rules; nothing was done"
    assert result.stdout == ""
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("name", COMMANDS_WITH_RULES)
@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_rules_that_cannot_be_read_are_unavailable(
    path: str, name: str, run: Run, with_rules: dict[str, tuple[str, ...]]
) -> None:
    result = run(*with_rules[name], "--rules", path, status=3)
    assert result.stderr.startswith(f"mailverdict: rules file `{path}` cannot be read: ")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


@pytest.fixture
def with_store(lines: Lines) -> dict[str, tuple[str, ...]]:
    """Every command that takes a store."""
    Path("message.eml").write_text("Subject: x\n\nx\n")
    return {
        "observe": ("observe", "--batch", lines(GOOD)),
        "plan": ("plan", "--to", "jo@x.example"),
        "send": ("send", "--smtp", "127.0.0.1:1", "--from", "a@y.example", "--to", "jo@x.example", "message.eml"),
        "demo": ("demo",),
        "log": ("log",),
        "suppressions": ("suppressions", "list"),
        "forwards": ("forwards", "list"),
    }


COMMANDS_WITH_STORE = ["observe", "plan", "send", "demo", "log", "suppressions", "forwards"]


def refusal(run: Run, words: tuple[str, ...], url: str, status: int) -> str:
    """The one line with which the command refuses a store."""
    result = run(*words, "--store", url, status=status)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("mailverdict: ")
    return line


@pytest.mark.parametrize("name", COMMANDS_WITH_STORE)
def test_a_store_that_cannot_be_used_is_unavailable_in_one_line(
    name: str, run: Run, with_store: dict[str, tuple[str, ...]]
) -> None:
    Path("text.db").write_bytes(b"this is a letter, not a database, and a long one too. " * 100)
    Path("directory.db").mkdir()
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE users (name)")
    other.close()
    words = with_store[name]
    for url in ("missing/mail.db", "text.db", "directory.db", "other.db", "x" * 300):
        refusal(run, words, f"sqlite:///{url}", 3)


@pytest.mark.parametrize("name", COMMANDS_WITH_STORE)
@pytest.mark.parametrize(
    "url", ["mail.db", "sqlite:mail.db", "sqlite://mail.db", "sqlite:///", "mysql://u:secret@h/db"]
)
def test_a_url_that_names_no_store_is_a_usage_error_that_says_what_does(
    url: str, name: str, run: Run, with_store: dict[str, tuple[str, ...]]
) -> None:
    line = refusal(run, with_store[name], url, 2)
    assert "`sqlite:///relative.db` (three slashes)" in line
    assert "secret" not in line


@pytest.fixture
def guarded(lines: Lines, run: Run) -> Iterator[Path]:
    """A directory with a store and a batch that this user may read and not write."""
    place = Path(tempfile.mkdtemp())  # pytest's own is closed to other users
    shutil.copy(lines(GOOD), place / "attempts.jsonl")
    for name in ("log", "observe"):  # what these import must be in memory before we are nobody
        words = ("--batch", str(place / "attempts.jsonl")) if name == "observe" else ()
        run(name, *words, "--store", "memory:")
    run("observe", "--batch", str(place / "attempts.jsonl"), "--store", f"sqlite:///{place / 'mail.db'}")
    for path in place.iterdir():
        path.chmod(0o444)
    place.chmod(0o555)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    yield place
    if was_root:
        os.seteuid(0)
    place.chmod(0o755)
    shutil.rmtree(place)


def test_a_store_that_may_not_be_written_is_unavailable_in_one_line(guarded: Path, run: Run) -> None:
    words = ("observe", "--batch", str(guarded / "attempts.jsonl"))
    assert str(guarded) in refusal(run, words, f"sqlite:///{guarded / 'mail.db'}", 3)
    refusal(run, words, f"sqlite:///{guarded / 'new.db'}", 3)


HOSTILE = (
    "550 \x1b[31mred\x1b]8;;http://evil.example\x07\r\n"
    "x \x9b2J[bold]x[/bold] [link=http://e.example]y[/link] \u202egnp :smile:"
)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")  # colours of our own


def plain(shown: str) -> str:
    """What is left of text that was meant for a terminal when our colours are taken off; nothing else may be there."""
    text = ESCAPES.sub("", shown)
    assert all(char.isprintable() or char in "\r\n" for char in text), ascii(text)
    return text


def test_a_hostile_reply_is_shown_as_the_text_that_it_is(run: Run, lines: Lines) -> None:
    store = ("--store", "sqlite:///mail.db")
    shown = [run("decide", HOSTILE, "--to", "jo@x.example").stdout]
    moved = "251 " + HOSTILE[4:].replace("\r\n", " ") + " <jo@new.example>"
    run("observe", "--batch", lines(GOOD | {"reply": HOSTILE + " user unknown"}, GOOD | {"reply": moved}), *store)
    shown += [run(*words, *store).stdout for words in (("log",), ("suppressions", "list"), ("forwards", "list"))]
    for each in shown:
        words = " ".join(plain(each).split())
        assert "\x1b" not in each
        assert "[bold]x[/bold]" in words
        assert ":smile:" in words


def test_a_hostile_server_writes_nothing_to_the_terminal_but_text(run: Run) -> None:
    Path("message.eml").write_text("Subject: x\n\nx\n")
    said = HOSTILE.replace("\r\n", " ").encode() + b"\xff\r\n"
    with ScriptedServer(rcpt={"jo@x.example": said}) as world:
        words = ("--smtp", f"127.0.0.1:{world.port}", "--from", "a@y.example", "--to", "jo@x.example", "message.eml")
        result = run("send", *words, "--store", "memory:", "--verbose", "--message-id", "\x1b[1m[red]m[/red]")
    assert "[red]m[/red]" in plain(result.stdout)
    assert "[bold]x[/bold]" in " ".join(plain(result.stdout).split())
    assert plain(result.stderr)


ODD = "a\x1b[2J\u202e\nb"


@pytest.mark.parametrize(
    "words",
    [
        ("decide", "550", "--to", ODD),
        ("decide", "550", "--from", ODD),
        ("decide", "550", "--command", ODD),
        ("decide", "550", "--now", ODD),
        ("decide", "550", "--first-attempt", ODD),
        ("decide", "550", "--tag", ODD),
        ("decide", "550", "--rules", ODD),
        ("decide", "550", "--format", ODD),
        ("decide", "550", "--recipients", ODD),
        ("decide", "--failure", ODD),
        ("decide", "--batch", ODD),
        ("observe", "--batch", ODD, "--store", "memory:"),
        ("plan", "--to", ODD),
        ("plan", "--to", "jo@x.example", "--store", ODD),
        ("plan", "--to", "jo@x.example", "--store", f"sqlite:///{ODD}"),
        ("log", "--to", ODD),
        ("log", "--last", ODD),
        ("check", ODD),
        ("init", f"{ODD}/{ODD}"),
        ("send", "--smtp", ODD, "--from", "a@y.example", "--to", "jo@x.example", "message.eml"),
        ("send", "--smtp", f"{ODD}:25", "--from", "a@y.example", "--to", "jo@x.example", "message.eml"),
        ("send", "--smtp", "127.0.0.1:1", "--from", "a@y.example", "--to", "jo@x.example", ODD),
        (ODD,),
    ],
)
def test_odd_words_of_our_own_are_shown_as_plain_text_too(words: tuple[str, ...], run: Run) -> None:
    Path("message.eml").write_text("Subject: x\n\nx\n")
    result = run(*words, status=(2, 3))
    assert "\x1b" not in plain(result.output)
    assert result.stdout == ""


@pytest.mark.parametrize("odd", ["550 \udcff\udcfe", "550 \ud800", "550 \u2028 \x00"])
def test_text_that_is_no_utf8_gets_a_decision(odd: str, run: Run) -> None:
    for form in ("text", "json"):
        shown = run("decide", odd, "--to", "jo@x.example", "--format", form).stdout
        assert plain(shown)


def test_arguments_that_are_no_utf8_are_no_traceback(command: Command) -> None:
    bad = b"\xff\xfe\x1b"
    command("decide", b"550 " + bad, "--to", "jo@x.example")
    command("decide", "550", "--to", bad + b"@x.example", status=2)
    command("plan", "--to", "jo@x.example", "--message-id", bad, "--store", "memory:")


def test_a_message_id_that_is_no_utf8_is_no_traceback_in_a_file_either(run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines(GOOD), "--store", "sqlite:///mail.db")
    run("plan", "--to", "jo@x.example", "--message-id", "\udcff", "--store", "sqlite:///mail.db")


@pytest.mark.parametrize("locale", [{}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=["C", "ASCII"])
def test_a_terminal_without_unicode_shows_what_it_can(locale: dict[str, str], command: Command, lines: Lines) -> None:
    locale = {"LC_ALL": "C", **locale}
    reply = "550 Empf\u00e4nger unbekannt \u2603"
    assert b"RCPT: 550 Empf" in command("decide", reply.encode(), "--to", "jo@x.example", env=locale).stdout
    store = ("--store", "sqlite:///mail.db")
    command("observe", "--batch", lines(GOOD | {"reply": reply, "recipient": "j\u00f6@x.example"}), *store, env=locale)
    assert b"@x.example" in command("log", *store, env=locale).stdout


def test_closed_streams_are_no_traceback(command: Command, lines: Lines) -> None:
    def closed(*numbers: int) -> dict[str, Any]:
        return {"preexec_fn": partial(deque, map(os.close, numbers), 0)}

    command(*DECIDE, **closed(1))
    command(*DECIDE, "--format", "json", **closed(1, 2))
    command("observe", "--batch", lines(GOOD), "--store", "sqlite:///mail.db", "--verbose", **closed(1, 2))
    assert Path("mail.db").read_bytes().startswith(b"SQLite format 3")
    assert b"`-` cannot be read" in command("decide", "--batch", "-", status=3, **closed(0)).stderr
    words = ("--smtp", "127.0.0.1:1", "--from", "a@y.example", "--to", "jo@x.example")
    assert b"message `-` cannot be read" in command("send", *words, status=3, **closed(0)).stderr


@pytest.mark.parametrize("words", [(*DECIDE, "--format", "json"), DECIDE, ("decide", "--batch", "attempts.jsonl")])
def test_a_reader_that_has_gone_is_no_traceback(words: tuple[str, ...], command: Command, lines: Lines) -> None:
    lines(*[GOOD] * 2000)
    reading, writing = os.pipe()
    os.close(reading)  # `| head -1`, when head has gone
    try:
        assert command(*words, status=1, stdout=writing).stderr == b""
    finally:
        os.close(writing)


@pytest.mark.parametrize(
    "words", [(*DECIDE, "--format", "json"), DECIDE, ("decide", "--batch", "attempts.jsonl"), ("--help",)]
)
def test_output_that_cannot_be_written_is_unavailable(words: tuple[str, ...], command: Command, lines: Lines) -> None:
    lines(GOOD)
    with Path("/dev/full").open("wb") as full:
        said = command(*words, status=3, stdout=full).stderr
    assert said == b"mailverdict: the output cannot be written: No space left on device\n"


def on_a_terminal(environment: dict[str, str], *words: str) -> str:
    """What the command writes to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "adapters.cli", *words]
    environment = {**environment, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + TIMEOUT
        while select.select([ours], [], [], max(deadline - time.monotonic(), 0))[0]:
            try:
                octets = os.read(ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not octets:
                break
            shown += octets
        assert process.wait(TIMEOUT) == 0
    os.close(ours)
    return shown.decode()


def test_colours_come_on_a_terminal_only_and_never_with_no_color(environment: dict[str, str], command: Command) -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|38;)")
    shown = on_a_terminal(environment, "decide", HOSTILE.replace("\0", ""), "--to", "jo@x.example")
    assert coloured.search(shown)
    assert "[bold]x[/bold]" in " ".join(plain(shown).split())
    assert not coloured.search(on_a_terminal({**environment, "NO_COLOR": "1"}, *DECIDE))
    assert b"\x1b" not in command(*DECIDE).stdout


def test_a_near_miss_of_a_command_is_named(run: Run) -> None:
    assert "Did you mean `observe`?" in run("obseve", status=2).stderr
    assert "Did you mean" not in run("xyzzy", status=2).stderr
