"""A group of attempts in one unit of a store of rows leaves what its attempts leave one by one."""

from itertools import cycle, islice, product
from pathlib import Path

import pytest

from adapters.stores.memory import MemoryStore
from adapters.stores.sqlite import SqliteStore
from policy.address import parse_address
from policy.attempt import Attempt, Command
from policy.engine import Engine, history_key
from policy.guard import Watch
from policy.reply import parse_reply
from policy.rules.source import build_policy
from policy.testing.store_lines import HOUR, START, history

_GROUP = [
    Attempt(
        outcome=parse_reply(reply),
        command=command,
        recipient=parse_address(f"{name}@gmail.com"),
        at=START + number * HOUR,
        attempt_id=f"a{number % 30}",
        message_id=f"m{number % 11}",
    )
    for number, (reply, command, name) in enumerate(
        islice(
            cycle(
                product(
                    (
                        b"250 2.0.0 OK",
                        b"452 4.2.2 Mailbox full",
                        b"421 4.7.28 Too many messages, slow down",
                        b"550 5.1.1 User unknown",
                    ),
                    (Command.DOT, Command.RCPT),
                    ("jo", "mo", "flo"),
                )
            ),
            60,
        )
    )
]


@pytest.mark.parametrize("rows_known", [0, 3, 50_000])
def test_a_group_leaves_what_its_attempts_leave_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_known: int
) -> None:
    monkeypatch.setattr("adapters.stores.rows._ROWS_KNOWN", rows_known)
    monkeypatch.setattr("policy.engine._FORESEEN", 7)
    stores = SqliteStore(tmp_path / "group.db"), SqliteStore(tmp_path / "single.db"), MemoryStore()
    engines = [Engine(build_policy([]), each) for each in stores]
    together = engines[0].observe_all(_GROUP, now=START)
    for one in engines[1:]:
        assert list(map(str, together)) == [str(each) for a in _GROUP for each in one.observe_all([a], now=START)]
    kept = [
        [list(each) for each in (s.entries(), s.suppressions(), s.forwards(), s.suspensions(), s.watches())]
        for s in stores
    ]
    assert kept[0] == kept[1] == kept[2]
    assert all(kept[0][place] for place in (0, 1, 3, 4))
    keys = [history_key(build_policy([]), each) for each in _GROUP]
    assert [history(stores[0], each) for each in keys] == [history(stores[2], each) for each in keys]
    for each in stores:
        each.close()


def test_what_is_put_in_a_unit_is_written_once(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "mail.db")
    with store.unit() as unit:
        assert store._writer is not None
        before = store._writer.total_changes
        for number in range(10):
            unit.watch(Watch(key="google", probes=(START + number * HOUR,)))
    assert store._writer.total_changes - before == 1
    assert [each.probes for each in store.watches()] == [(START + 9 * HOUR,)]
    store.close()
