"""A rules file under watch, in a world whose time passes when it is told to."""

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapters.reload import Refused, Reloaded, RulesWatcher
from policy.holder import PolicyHolder
from policy.rules.policy import Policy
from policy.rules.source import RulesFile, build_policy

SECOND = 10**9  # nanoseconds
LONG_AGO, TODAY = 10**18, 2 * 10**18
GOOD = "mailverdict: 1\n# für später\nrules:\n  - {id: own, then: {action: hold}}\n"


@cache
def policy_of(text: str, path: str) -> Policy:
    """What a file of this text says when nothing else was ever there."""
    return build_policy([RulesFile(path, text.encode())])


class Log:
    """Keeps the events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.events.append(("warning", event, fields))


class Site:
    """A rules file that is watched, in a world whose time passes when it is told to."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "own.yaml"
        self.now, self.written = TODAY, LONG_AGO
        self.write(GOOD.encode())
        self.good = self.policy(GOOD)
        self.holder, self.log = PolicyHolder(self.good), Log()
        self.watcher = RulesWatcher([self.path], self.holder, clock=lambda: self.now, log=self.log)
        assert self.look() is None  # what is in force already is no news

    def policy(self, text: str) -> Policy:
        return policy_of(text, str(self.path))

    def write(self, content: bytes, *, swap: bool = False, at: int | None = None) -> None:
        """Write long ago, or at a time, in place or as editors do that write beside and rename."""
        self.written += SECOND
        target = self.path.with_name("new") if swap else self.path
        target.write_bytes(content)
        os.utime(target, ns=(0, at or self.written))
        target.replace(self.path)

    def look(self) -> Reloaded | Refused | None:
        """Poll when it is time to."""
        self.now += 2 * SECOND
        return self.watcher.poll()

    def refuses(self, code: str) -> Refused:
        """Poll, and see that the last good policy stays, that it is told once, and what is wrong."""
        before = self.holder.current
        refused = self.look()
        assert isinstance(refused, Refused)
        assert self.watcher.problem == refused
        assert [each.code for each in refused.problems] == [code]
        assert refused.policy_version == before.version
        assert self.look() is None
        assert self.holder.current is before
        return refused

    def takes(self, text: str) -> None:
        """Poll, and see that this is in force."""
        assert self.look() == Reloaded(self.policy(text).version)
        assert self.holder.current.version == self.policy(text).version
        assert self.watcher.problem is None
        assert self.look() is None


@pytest.fixture(scope="session")
def site_at() -> type[Site]:
    """Makes a site in a folder, for tests that need more than one."""
    return Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)
