"""`--metrics FILE` and `states metrics`: counted when it is kept, written whole, and never in the way of the mail."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

pytest.importorskip("prometheus_client", reason="metrics need prometheus-client")

from prometheus_client.parser import text_string_to_metric_families

from adapters.cli import observing

Run = Callable[..., Result]
Lines = Callable[..., str]

STORE = ("--store", "sqlite:///mail.db")
GOOD = {
    "reply": "550 5.1.1 no",
    "command": "RCPT",
    "recipient": "jo@x.example",
    "now": "2026-01-01T00:00:00Z",
    "attempt_id": "a1",
}


def value(text: str, name: str, **labels: str) -> float:
    found = [
        each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name == name and labels.items() <= each.labels.items()
    ]
    return sum(found)


def counted(name: str, path: str = "out.prom", **labels: str) -> float:
    return value(Path(path).read_text(), name, **labels)


def observe(run: Run, batch: str, *words: str, **options: Any) -> Result:
    return run("observe", "--batch", batch, *STORE, "--metrics", "out.prom", *words, **options)


def test_what_was_kept_is_counted_once_over_all_runs(run: Run, lines: Lines) -> None:
    google = GOOD | {"attempt_id": "a2", "recipient": "jo@gmail.com", "reply": "250 ok", "command": "DOT"}
    observe(run, lines(GOOD, google, b"bad"), status=1)
    assert counted("mailverdict_decisions_total", action="hard-bounce", provider="other", observer="out") == 1
    assert counted("mailverdict_decisions_total", action="accept", provider="google") == 1
    assert counted("mailverdict_rule_decisions_total", rule="no-such-mailbox") == 1
    assert counted("mailverdict_suppressions_made_total", reason="bad-mailbox", strength="strong") == 1
    assert counted("mailverdict_refused_lines_total", why="bad") == 1
    assert counted("mailverdict_decision_seconds_count") == 2
    observe(run, lines(GOOD, GOOD | {"reply": "250 ok"}, GOOD | {"attempt_id": "a3"}), status=1)
    assert counted("mailverdict_decisions_total") == 3
    assert (
        counted("mailverdict_decision_seconds_count") == counted("mailverdict_decision_seconds_bucket", le="+Inf") == 5
    )
    assert counted("mailverdict_known_attempts_total") == 1
    assert counted("mailverdict_refused_lines_total", why="conflict") == 1
    assert "x.example" not in Path("out.prom").read_text()


def test_the_answers_are_the_same_with_and_without_metrics(run: Run, lines: Lines) -> None:
    batch = lines(*(GOOD | {"attempt_id": str(n), "recipient": f"{n}@x.example"} for n in range(5)))
    plain = run("observe", "--batch", batch, "--store", "memory:")
    assert run("observe", "--batch", batch, "--store", "memory:", "--metrics", "out.prom").stdout == plain.stdout


def test_the_file_is_written_at_each_group_after_its_answers(
    run: Run, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    groups = observing.groups_of

    def one_by_one(batch: str) -> Any:
        for line in next(iter(groups(batch))):
            seen.append(counted("mailverdict_decisions_total"))
            yield [line]

    monkeypatch.setattr(observing, "groups_of", one_by_one)
    observe(run, lines(*(GOOD | {"attempt_id": each} for each in "123")))
    assert [*seen, counted("mailverdict_decisions_total")] == [0, 1, 2, 3]


def test_what_holds_mail_back_is_seen_at_the_end(run: Run, lines: Lines) -> None:
    slow = GOOD | {"reply": "450 4.7.0 rate limit exceeded, slow down", "sender": "news@y.example"}
    observe(run, lines(slow), "--now", GOOD["now"])
    assert counted("mailverdict_suspensions") == counted("mailverdict_suspensions_made_total") == 1
    assert counted("mailverdict_guards_open") == 0
    printed = run("states", "metrics", *STORE, "--now", GOOD["now"]).stdout
    assert value(printed, "mailverdict_suspensions", provider="other") == 1
    assert "mailverdict_decisions" not in printed


def test_states_are_printed_with_the_suppressions_by_strength(run: Run, lines: Lines) -> None:
    run("observe", "--batch", lines(GOOD), *STORE)
    printed = run("states", "metrics", *STORE, "--now", GOOD["now"]).stdout
    assert value(printed, "mailverdict_suppressions", strength="strong", source="bounce", scope="address") == 1
    listed = json.loads(run("states", "metrics", *STORE, "--now", GOOD["now"], "--format", "json").stdout)
    labels = {"scope": "address", "strength": "strong", "source": "bounce"}
    assert {"metric": "mailverdict_suppressions", "labels": labels, "value": 1} in listed
    printed = run("states", "metrics", *STORE, "--now", "2028-01-01T00:00:00Z").stdout
    assert value(printed, "mailverdict_suppressions") == 0
    run("states", "metrics", "--store", "sqlite:///none.db", status=3)


def test_a_store_that_fails_is_counted_although_the_command_ends(run: Run, lines: Lines) -> None:
    Path("mail.db").write_bytes(b"no database, however long this text may be" * 100)
    observe(run, lines(GOOD), status=3)
    assert counted("mailverdict_store_errors_total") == 1
    assert counted("mailverdict_decisions_total") == 0


@pytest.mark.parametrize("path", ["attempts.jsonl", ".", "comment.yaml"])
def test_a_file_of_something_else_is_left_as_it_is_and_nothing_is_done(path: str, run: Run, lines: Lines) -> None:
    batch = lines(GOOD)
    Path("comment.yaml").write_text("# mine\n")
    before = Path(path).read_bytes() if Path(path).is_file() else b""
    result = run("observe", "--batch", batch, *STORE, "--metrics", path, status=2)
    assert result.stderr.startswith("mailverdict: `")
    assert len(result.stderr.splitlines()) == 1
    assert before == (Path(path).read_bytes() if Path(path).is_file() else b"")
    assert not Path("mail.db").exists()


def test_a_file_that_cannot_be_written_is_told_before_anything_is_done(run: Run, lines: Lines) -> None:
    result = run("observe", "--batch", lines(GOOD), *STORE, "--metrics", "no/such/out.prom", status=3)
    assert result.stderr == "mailverdict: metrics `no/such/out.prom` cannot be written: No such file or directory\n"
    assert not Path("mail.db").exists()


def test_a_disk_that_fills_up_later_is_told_once_and_stops_no_mail(
    run: Run, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters import metrics

    calls: list[object] = []

    def full(*_: object) -> None:
        calls.append(_)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics, "write", full)
    result = observe(run, lines(GOOD))
    assert json.loads(result.stdout)["action"] == "hard-bounce"
    assert result.stderr == "mailverdict: metrics `out.prom` cannot be written: No space left on device\n"
    assert len(calls) > 2


@pytest.mark.parametrize(
    "words", [("observe", "--batch", "attempts.jsonl", "--metrics", "x.prom"), ("states", "metrics")]
)
def test_without_the_library_one_line_says_what_to_install(
    words: tuple[str, ...], run: Run, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines(GOOD)
    monkeypatch.delitem(sys.modules, "adapters.metrics", raising=False)
    for name in [each for each in sys.modules if each.partition(".")[0] == "prometheus_client"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setattr(sys, "meta_path", [_Missing(), *sys.meta_path])
    result = run(*words, *STORE, status=2)
    assert result.stderr == "mailverdict: metrics need prometheus-client; `pip install 'mailverdict[metrics]'`\n"
    assert result.stdout == ""
    assert not Path("mail.db").exists()


class _Missing:
    """Finds no prometheus_client."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] == "prometheus_client":
            raise ModuleNotFoundError(f"No module named {name!r}", name="prometheus_client")


def test_a_known_attempt_says_so_in_the_log_and_addresses_are_shown_only_when_asked_for(run: Run, lines: Lines) -> None:
    said = GOOD | {"reply": "550 5.1.1 <jo@x.example> no", "message_id": "<1.jo@x.example>"}
    batch = lines(said, said)
    words = ("observe", "--batch", batch, *STORE)
    first, second = (json.loads(each) for each in run(*words, "--verbose").stderr.splitlines())
    assert (first["known"], second["known"]) == (False, True)
    assert first["reply"] == "550 5.1.1 <j***@x.example> no"
    assert "jo@" not in json.dumps([first, second])
    clear = json.loads(run(*words, "--log-addresses").stderr.splitlines()[0])
    assert (clear["recipient"], clear["reply"]) == ("jo@x.example", "550 5.1.1 <jo@x.example> no")
