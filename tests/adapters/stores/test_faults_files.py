"""Two engines on one store, an empty one, memory that runs out, rules that cannot be opened: one line, no traceback."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from adapters.cli.app import cli
from adapters.reload import Refused, RulesWatcher
from adapters.stores import open_store
from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from policy import Attempt, Command, Engine, load_policy, parse_address, parse_reply
from policy.holder import PolicyHolder
from policy.ports import Store, StoreUnavailable
from policy.testing.scenarios import NOW
from policy.testing.store_lines import commit, entry

ROOT = Path(__file__).parents[3]
TIMEOUT = 120  # seconds that any wait in here may last at most
DAY = timedelta(days=1)
POLICY = load_policy()


def full(number: int) -> Attempt:
    """A full mailbox, one of a few, a day after the other."""
    return Attempt(
        outcome=parse_reply("552 5.2.2 mailbox full"),
        command=Command.RCPT,
        recipient=parse_address(f"jo{number % 3}@example.org"),
        attempt_id=f"a{number}",
        message_id=f"m{number}",
        at=NOW + number * DAY,
    )


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "mail.db")
    yield store
    store.close()


# -- two engines on one store (10) ------------------------------------------------------------------------------------

_OBSERVER = """
import sys
from adapters.cli import main
sys.stdin.readline()
sys.argv[1:] = ["observe", "--batch", sys.argv[1], "--store", sys.argv[2]]
main()
"""


def observed_by_two(batch: Path, url: str) -> list[bytes]:
    """What two processes answer that observe the same lines at once."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _OBSERVER, str(batch), url]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) for _ in range(2)]
    for each in both:
        assert each.stdin is not None
        each.stdin.write(b"go\n")
        each.stdin.flush()
    said = [each.communicate(timeout=TIMEOUT) for each in both]
    assert [error for _, error in said] == [b"", b""]
    return [answers for answers, _ in said]


def ledger(url: str) -> tuple[list[Any], list[Any]]:
    store = open_store(url)
    try:
        return list(store.entries()), list(store.suppressions())
    finally:
        store.close()


def two_observe_as_one(tmp_path: Path, shared: str, alone: str) -> None:
    batch = tmp_path / "attempts.jsonl"
    one = {"reply": "552 5.2.2 mailbox full", "command": "RCPT"}
    lines = (
        {**one, "recipient": f"{n % 5}@x.example", "attempt_id": f"a{n}", "message_id": f"m{n}", "now": day}
        for n in range(120)
        for day in [f"2026-01-{1 + n // 6:02}T00:00:00Z"]
    )
    # Blanks make several groups of the lines: the two take turns.
    batch.write_text("".join(json.dumps(each) + 2000 * " " + "\n" for each in lines))
    first, second = observed_by_two(batch, shared)
    assert first == second  # whoever came later was answered from the ledger
    assert observed_by_two(batch, alone)[0] == first
    assert ledger(shared) == ledger(alone)
    entries, suppressions = ledger(shared)
    assert (len(entries), len(suppressions)) == (120, 5)


def test_two_engines_on_one_file_decide_each_attempt_once(tmp_path: Path) -> None:
    two_observe_as_one(tmp_path, f"sqlite:///{tmp_path}/shared.db", f"sqlite:///{tmp_path}/alone.db")


def test_two_engines_on_one_database_decide_each_attempt_once(tmp_path: Path, cluster: Any) -> None:
    two_observe_as_one(tmp_path, cluster.fresh(), cluster.fresh())


# -- out of memory (11) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["decided", "progress_after"])
def test_memory_that_runs_out_in_a_decision_keeps_nothing_of_the_group_and_it_can_be_sent_again(
    store: Store, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import policy.engine as module

    engine, group, calls = Engine(POLICY, store), [full(number) for number in range(6)], [0]
    really = getattr(module, at)

    def scarce(*words: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == 4:
            raise MemoryError
        return really(*words, **named)

    monkeypatch.setattr(module, at, scarce)
    with pytest.raises(MemoryError):
        engine.observe_all(group, now=NOW)
    assert list(store.entries()) == []
    assert len(engine.observe_all(group, now=NOW)) == len(list(store.entries())) == 6


def test_the_command_that_runs_out_of_memory_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import policy.engine as module

    def scarce(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.chdir(tmp_path)
    Path("attempts.jsonl").write_text('{"reply": "550", "recipient": "jo@x.example"}\n')
    monkeypatch.setattr(module, "decided", scarce)
    result = CliRunner().invoke(cli, ["observe", "--batch", "attempts.jsonl", "--store", "sqlite:///mail.db"])
    assert result.exit_code == 3
    assert result.output == "mailverdict: out of memory; what was not answered may be sent again\n"
    assert ledger("sqlite:///mail.db") == ([], [])


# -- rules that cannot be opened (6, 8) -------------------------------------------------------------------------------


def test_rules_that_cannot_be_opened_for_want_of_files_leave_the_last_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("mailverdict: 1\nrules:\n  - {id: own, then: {action: hold}}\n")
    os.utime(path, ns=(0, 10**18))
    holder = PolicyHolder(POLICY)
    watcher = RulesWatcher([path], holder, every=timedelta(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        refused = watcher.poll()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(refused, Refused)
    assert os.strerror(errno.EMFILE) in str(refused.problems[0])
    assert holder.current is POLICY
    watcher.poll()
    assert holder.current.version == load_policy(path).version


def _directory(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _empty(path: Path) -> None:
    path.touch()


def _half(path: Path) -> None:
    path.write_bytes("mailverdict: 1\n# für".encode()[:-2])


@pytest.mark.parametrize(
    ("fault", "status"),
    [(_directory, 3), (os.mkfifo, 3), (_loop, 3), (_empty, 2), (_half, 2)],
    ids=["a directory", "a pipe", "a loop", "empty", "half a character"],
)
def test_rules_that_are_no_rules_at_the_start_end_the_command_at_once_and_nothing_is_done(
    fault: Callable[[Path], None], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("attempts.jsonl").write_text('{"reply": "550", "recipient": "jo@x.example"}\n')
    fault(Path("own.yaml"))
    words = ["observe", "--batch", "attempts.jsonl", "--store", "sqlite:///mail.db", "--rules", "own.yaml"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == status, result.output
    assert "own.yaml" in result.output
    assert "Traceback" not in result.output
    assert not Path("mail.db").exists()


def test_an_empty_file_is_no_store_and_may_become_one(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    path.touch()
    with closing(SqliteStore(path, must_exist=True)) as store:
        for use in (lambda: list(store.suppressions()), store.facts, store.schema, lambda: store.unit().__enter__()):
            with pytest.raises(StoreUnavailable, match="no such store"):
                use()
    assert path.stat().st_size == 0
    with closing(SqliteStore(path)) as store:
        commit(store, entry("a"))
    with closing(SqliteStore(path, must_exist=True)) as store:
        assert len(list(store.entries())) == 1
