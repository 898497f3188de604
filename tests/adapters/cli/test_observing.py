"""`mailverdict observe`: attempts in, kept decisions out; a line is printed only when it is kept."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from adapters.cli import observing
from adapters.cli.lines import Line, groups_of
from adapters.reload import RulesWatcher
from adapters.stores import open_store

Run = Callable[..., Result]
Document = Callable[..., Any]
Lines = Callable[..., str]

TIMEOUT = 60
STORE = "sqlite:///mail.db"
GOOD = {
    "id": "g",
    "reply": "550 5.1.1 no",
    "command": "RCPT",
    "recipient": "jo@x.example",
    "now": "2026-01-01T00:00:00Z",
    "attempt_id": "a1",
}
OURS = """\
mailverdict: 1
rules:
  - id: not-so-fast
    when: {code: "550"}
    then: {action: bounce}
"""
NEWER = OURS.replace("not-so-fast", "newer").encode()


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def kept(url: str = STORE) -> list[str]:
    store = open_store(url)
    try:
        return [each.attempt_id for each in store.entries()]
    finally:
        store.close()


def observe(run: Run, batch: str, *words: str, **options: Any) -> list[dict[str, Any]]:
    return answers(run("observe", "--batch", batch, "--store", STORE, *words, **options))


def test_each_line_is_kept_and_answered_in_order_as_the_log_has_it(run: Run, document: Document, lines: Lines) -> None:
    batch = lines(*(GOOD | {"id": str(n), "attempt_id": f"a{n}", "recipient": f"{n}@x.example"} for n in range(3)))
    answered = observe(run, batch)
    assert [each["id"] for each in answered] == ["0", "1", "2"]
    logged = document("log", "--store", STORE)
    assert [each["id"] for each in logged] == ["a0", "a1", "a2"]
    assert [each["rule"] for each in logged] == [each["rule"] for each in answered]


def test_a_line_is_printed_only_after_it_is_kept(run: Run, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[Any] = []

    def look_first(documents: Any) -> None:
        assert kept() == ["a1"]
        printed.extend(documents)

    monkeypatch.setattr(observing, "print_json_lines", look_first)
    run("observe", "--batch", lines(GOOD), "--store", STORE)
    assert len(printed) == 1


def test_nothing_is_printed_when_the_store_fails(run: Run, lines: Lines) -> None:
    Path("mail.db").write_bytes(b"no database, however long this text may be" * 100)
    result = run("observe", "--batch", lines(GOOD), "--store", STORE, status=3)
    assert result.stdout == ""
    assert result.stderr == "mailverdict: store `mail.db` is not an SQLite database\n"


def test_a_known_attempt_returns_what_was_decided_even_under_other_rules(run: Run, lines: Lines) -> None:
    Path("ours.yaml").write_text(OURS)
    first = observe(run, lines(GOOD))
    again = observe(run, lines(GOOD), "--rules", "ours.yaml")
    assert again == first
    assert observe(run, lines(GOOD | {"attempt_id": "a2"}), "--rules", "ours.yaml")[0]["rule"]["id"] == "not-so-fast"


def test_other_content_under_a_known_id_is_an_error_line_and_changes_nothing(
    run: Run, document: Document, lines: Lines
) -> None:
    observe(run, lines(GOOD))
    before = document("log", "--store", STORE)
    batch = lines(GOOD | {"id": "x", "reply": "250 ok"}, GOOD | {"attempt_id": "a2"})
    error, after = observe(run, batch, status=1)
    assert (error["id"], error["line"]) == ("x", 1)
    assert "known with other content" in error["error"]
    assert after["action"] == "hard-bounce"
    assert document("log", "--store", STORE)[:1] == before


def test_the_same_id_for_another_recipient_is_another_attempt(run: Run, lines: Lines) -> None:
    answered = observe(run, lines(GOOD, GOOD | {"recipient": "bo@x.example", "reply": "250 ok"}))
    assert [each["action"] for each in answered] == ["hard-bounce", "accept"]


def test_an_attempt_twice_in_a_batch_is_kept_once(run: Run, lines: Lines) -> None:
    first, second = observe(run, lines(GOOD, GOOD | {"id": "again"}))
    assert (second["id"], second["rule"]) == ("again", first["rule"])
    assert kept() == ["a1"]


def test_bad_lines_stand_in_their_place_and_hinder_nobody(run: Run, lines: Lines) -> None:
    batch = lines(b"[", GOOD, {"reply": "550", "recipent": "x"}, GOOD | {"attempt_id": "a2"}, b"\xff")
    answered = observe(run, batch, status=1)
    assert [each.get("line") for each in answered] == [1, None, 3, None, 5]
    assert kept() == ["a1", "a2"]


def test_each_line_sees_what_the_lines_before_it_did(run: Run, document: Document, lines: Lines) -> None:
    days = [f"2026-01-0{day}T00:00:00Z" for day in (1, 4, 7)]
    batch = lines(
        *(GOOD | {"reply": "552 5.2.2 mailbox full", "now": day, "attempt_id": day, "message_id": day} for day in days)
    )
    assert [each["suppress"] for each in observe(run, batch)] == [False, False, True]
    (entry,) = document("suppressions", "list", "--store", STORE, "--now", days[-1])
    assert entry["reason"] == "mailbox-full"


def test_the_same_input_gives_the_same_bytes_in_a_new_store_and_in_the_same_one(
    run: Run, command: Callable[..., Any], lines: Lines
) -> None:
    usual = {key: value for key, value in GOOD.items() if key != "attempt_id"}  # ids are derived
    batch = lines(
        *(
            usual
            | {"reply": f"45{n % 3} later", "recipient": f"{n % 7}@x.example", "now": f"2026-01-01T00:{n % 60:02}:00Z"}
            for n in range(100)
        )
    )
    outputs = set()
    for seed in "12":
        words = ("observe", "--batch", batch, "--store", f"sqlite:///{seed}.db")
        outputs.add(command(*words, env={"PYTHONHASHSEED": seed}).stdout)
        outputs.add(run(*words).stdout.encode())
    assert len(outputs) == 1
    logs = {run("log", "--store", f"sqlite:///{n}.db", "--format", "json").stdout for n in "12"}
    assert len(logs) == 1


def test_the_store_of_the_environment_is_used_unless_an_option_names_another(run: Run, lines: Lines) -> None:
    env = {"MAILVERDICT_STORE": "sqlite:///env.db"}
    run("observe", "--batch", lines(GOOD), env=env)
    run("observe", "--batch", lines(GOOD), "--store", "sqlite:///option.db", env=env)
    run("observe", "--batch", lines(GOOD))
    assert {"env.db", "option.db", "mailverdict.db"} <= {each.name for each in Path().iterdir()}
    assert kept("sqlite:///env.db") == kept("sqlite:///option.db") == kept("sqlite:///mailverdict.db") == ["a1"]


def test_an_absolute_path_has_four_slashes(run: Run, lines: Lines, tmp_path: Path) -> None:
    run("observe", "--batch", lines(GOOD), "--store", f"sqlite:///{tmp_path / 'deep.db'}")
    assert kept(f"sqlite:////{str(tmp_path).lstrip('/')}/deep.db") == ["a1"]


def test_a_batch_that_cannot_be_read_is_unavailable(run: Run) -> None:
    result = run("observe", "--batch", "missing.jsonl", "--store", STORE, status=3)
    assert result.stderr.startswith("mailverdict: `missing.jsonl` cannot be read: ")


def test_verbose_logs_each_attempt_once_to_standard_error_with_redacted_addresses(run: Run, lines: Lines) -> None:
    batch = lines(GOOD, GOOD | {"id": "h", "attempt_id": "a2", "recipient": "bo@y.example"}, b"bad")
    quiet = run("observe", "--batch", batch, "--store", "memory:", status=1)
    loud = run("observe", "--batch", batch, "--store", "memory:", "--verbose", status=1)
    assert loud.stdout == quiet.stdout
    *events, closing = loud.stderr.splitlines()
    assert closing == quiet.stderr.strip() == "mailverdict: 1 bad line"
    logged = [json.loads(each) for each in events]
    assert [each["event"] for each in logged] == ["attempt.decided"] * 2
    assert [each["recipient"] for each in logged] == ["j***@x.example", "b***@y.example"]
    assert [each["attempt_id"] for each in logged] == ["a1", "a2"]
    assert all(each["action"] == "hard-bounce" and each["rule"].startswith("no-such-mailbox") for each in logged)
    assert "jo@" not in loud.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_answers_are_json_lines_in_either_format(form: str, run: Run, lines: Lines) -> None:
    assert observe(run, lines(GOOD), "--format", form)[0]["action"] == "hard-bounce"


class Coprocess:
    """`observe --batch -` at the other end of two pipes."""

    def __init__(self, environment: dict[str, str], *words: str) -> None:
        with Path("said").open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "adapters.cli", "observe", "--batch", "-", "--store", STORE, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                bufsize=0,
                env=environment,
            )

    @property
    def said(self) -> list[str]:
        """The lines on standard error up to now."""
        return Path("said").read_text().splitlines()

    def write(self, octets: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(octets)

    def answer(self, attempt_id: str) -> dict[str, Any]:
        """What the usual attempt under this id is answered."""
        self.write(json.dumps(GOOD | {"attempt_id": attempt_id}).encode() + b"\n")
        return self.line()

    def line(self) -> dict[str, Any]:
        """Return the next line; fails when it does not come."""
        assert self.process.stdout is not None
        octets, deadline = b"", time.monotonic() + TIMEOUT
        while not octets.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no whole line in time, only {octets!r}"
            octet = os.read(self.process.stdout.fileno(), 1)
            assert octet, f"the command ended after {octets!r}"
            octets += octet
        answer: dict[str, Any] = json.loads(octets)
        return answer


@pytest.fixture
def coprocess(environment: dict[str, str]) -> Any:
    started = Coprocess(environment)
    yield started
    with started.process:
        started.process.kill()


def test_a_coprocess_answers_each_line_before_the_next_is_written(coprocess: Coprocess) -> None:
    for number in range(5):
        coprocess.write(json.dumps(GOOD | {"id": str(number), "attempt_id": str(number)}).encode() + b"\n")
        assert coprocess.line()["id"] == str(number)
    coprocess.write(b"not JSON\n")
    assert coprocess.line()["line"] == 6
    coprocess.process.stdin.close()  # type: ignore[union-attr]
    assert coprocess.process.wait(TIMEOUT) == 1


def test_a_line_that_comes_in_pieces_is_answered_when_it_is_whole(coprocess: Coprocess) -> None:
    whole = json.dumps(GOOD).encode() + b"\n"
    for octet in range(0, len(whole), 7):
        coprocess.write(whole[octet : octet + 7])
    assert coprocess.line()["action"] == "hard-bounce"


def test_what_was_answered_is_kept_although_the_command_is_killed(coprocess: Coprocess) -> None:
    coprocess.write(json.dumps(GOOD).encode() + b"\n")
    coprocess.line()
    coprocess.process.kill()
    coprocess.process.wait(TIMEOUT)
    assert kept() == ["a1"]


# ---- changed rules --------------------------------------------------------------------------------------------------


@pytest.fixture
def reloading(environment: dict[str, str]) -> Iterator[Coprocess]:
    Path("ours.yaml").write_text(OURS)
    started = Coprocess(environment, "--rules", "ours.yaml", "--reload")
    yield started
    with started.process:
        started.process.kill()


def test_sighup_has_the_next_lines_decided_by_the_changed_rules(reloading: Coprocess) -> None:
    first = reloading.answer("a1")
    assert first["rule"]["id"] == "not-so-fast"
    Path("ours.yaml").write_bytes(NEWER)
    reloading.process.send_signal(signal.SIGHUP)
    second = reloading.answer("a2")
    assert second["rule"]["id"] == "newer"
    assert second["policy_version"] != first["policy_version"]
    assert reloading.said == [f"mailverdict: rules are reloaded, version {second['policy_version']}"]


def test_sighup_with_bad_rules_says_where_and_leaves_the_last_good_ones(reloading: Coprocess) -> None:
    first = reloading.answer("a1")
    Path("ours.yaml").write_bytes(NEWER.replace(b"then", b"than"))
    reloading.process.send_signal(signal.SIGHUP)
    second = reloading.answer("a2")
    assert second == first
    *problems, closing = reloading.said
    assert problems
    assert all(each.startswith("ours.yaml:") for each in problems)
    assert closing == f"mailverdict: changed rules are refused, version {first['policy_version']} stays in force"
    Path("ours.yaml").unlink()
    reloading.process.send_signal(signal.SIGHUP)
    assert reloading.answer("a3")["rule"] == first["rule"]
    assert reloading.said[-2].startswith("ours.yaml:1:1: unreadable: ")


def test_sigterm_in_a_reload_leaves_what_was_answered_kept_and_nothing_half(
    reloading: Coprocess, run: Run, lines: Lines
) -> None:
    reloading.answer("a1")
    many = "".join(f'  - {{id: no-{n}, when: {{code: "550"}}, then: {{action: bounce}}}}\n' for n in range(5000))
    Path("ours.yaml").write_text("mailverdict: 1\nrules:\n" + many)  # takes long to read
    reloading.process.send_signal(signal.SIGHUP)
    reloading.write(json.dumps(GOOD | {"attempt_id": "a2"}).encode() + b"\n")
    reloading.process.send_signal(signal.SIGTERM)
    assert reloading.process.wait(TIMEOUT) == -signal.SIGTERM
    assert kept() in (["a1"], ["a1", "a2"])  # on a machine that is slow to send the signal, the line is done
    assert observe(run, lines(GOOD | {"attempt_id": "a3"}))[0]["action"] == "hard-bounce"


@pytest.fixture
def _rewritten_between_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line comes alone and an hour after the other, and the rules change before the second."""
    now = [time.time_ns()]

    def one_by_one(batch: str) -> Iterator[list[Line]]:
        for number, line in enumerate(each for group in groups_of(batch) for each in group):
            if number == 1:
                Path("ours.yaml").write_bytes(NEWER)
            now[0] += 3600 * 10**9
            yield [line]

    monkeypatch.setattr(observing, "groups_of", one_by_one)
    monkeypatch.setattr(observing, "RulesWatcher", partial(RulesWatcher, clock=lambda: now[0]))


@pytest.mark.usefixtures("_rewritten_between_lines")
@pytest.mark.parametrize(
    ("words", "ids"),
    [(["--reload"], ["not-so-fast", "newer", "newer"]), ([], ["not-so-fast", "not-so-fast", "not-so-fast"])],
    ids=["watched", "not watched"],
)
def test_changed_rules_are_taken_up_between_lines_when_they_are_watched(
    words: list[str], ids: list[str], run: Run, lines: Lines
) -> None:
    Path("ours.yaml").write_text(OURS)
    before = signal.getsignal(signal.SIGHUP)
    batch = lines(*(GOOD | {"attempt_id": each} for each in "123"))
    assert [each["rule"]["id"] for each in observe(run, batch, "--rules", "ours.yaml", *words)] == ids
    assert signal.getsignal(signal.SIGHUP) is before


@pytest.mark.usefixtures("_rewritten_between_lines")
def test_the_log_has_the_change_between_the_attempts(run: Run, lines: Lines) -> None:
    Path("ours.yaml").write_text(OURS)
    batch = lines(GOOD, GOOD | {"attempt_id": "a2"})
    words = ("--store", STORE, "--rules", "ours.yaml", "--reload", "--verbose")
    logged = [json.loads(each) for each in run("observe", "--batch", batch, *words).stderr.splitlines()]
    assert [each["event"] for each in logged] == ["attempt.decided", "rules.reloaded", "attempt.decided"]
    assert [each["policy_version"] == logged[0]["policy_version"] for each in logged] == [True, False, False]
    assert logged[1]["files"] == ["ours.yaml"]


def test_the_files_of_the_environment_are_watched_and_without_any_there_is_nothing_to_watch(
    run: Run, lines: Lines
) -> None:
    Path("ours.yaml").write_text(OURS)
    batch = lines(GOOD)
    answered = observe(run, batch, "--reload", env={"MAILVERDICT_RULES": "ours.yaml"})
    assert answered[0]["rule"]["id"] == "not-so-fast"
    refused = run("observe", "--batch", batch, "--store", "sqlite:///none.db", "--reload", status=2)
    assert "`--reload` needs rules files to watch" in refused.stderr
    assert not Path("none.db").exists()
