"""Rules files that are watched: a change that reads well is put in force, any other leaves the last good policy there.

A file may be caught while somebody writes it, and half a file can be whole YAML. So a file that was written within the
last interval is left alone until it stands still, it is read only when it looks the same before and after, and what
was refused is looked at again when it changes. SIGHUP says that the files are ready: they are read without waiting.
Nothing is opened but regular files, and nothing is waited for.
"""

import os
import signal
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import frozen

from policy.holder import PolicyHolder
from policy.rules.source import RulesError, RulesFile, build_policy
from policy.text import clean
from policy.yamlfile import SIZE_LIMIT, Problem

_EVERY = timedelta(seconds=1)


@frozen
class Reloaded:
    """The files were read, and the policy of this version is in force."""

    policy_version: str


@frozen
class Refused:
    """The files cannot be used: all that is wrong, and the version that stays in force."""

    problems: tuple[Problem, ...]
    policy_version: str


@frozen
class _Stamp:
    """What tells a changed file from the one that was read; times are in nanoseconds since the epoch.

    Args:
        ctime: what a copy that keeps the file's time does not keep (on POSIX).
    """

    mtime: int
    ctime: int
    size: int
    inode: int


class RulesWatcher:
    """Keeps a holder's policy to what its rules files say. One thread polls; any may read the holder.

    Args:
        paths: the operator's files, the last one on top, as `load_policy` takes them.
        every: how often the files are looked at at most, and how long one has to stand still before it is read.
        clock: nanoseconds since the epoch, as files' times are.
        log: a structlog logger for `rules.reloaded` and `rules.refused`; None: silence.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        holder: PolicyHolder,
        *,
        every: timedelta = _EVERY,
        clock: Callable[[], int] = time.time_ns,
        log: Any = None,
    ) -> None:
        self.problem: Refused | None = None  # what is wrong with the files as they were last read; None: nothing
        self._paths, self._holder, self._clock, self._log = tuple(map(str, paths)), holder, clock, log
        self._every = every // timedelta(microseconds=1) * 1000
        self._looked: int | None = None
        self._asked = False
        self._stamps: tuple[_Stamp | Problem, ...] | None = None  # of what was read; None: it has to be read again
        self._found: tuple[RulesFile | Problem, ...] | None = None

    def poll(self) -> Reloaded | Refused | None:
        """Look at the files when it is time to, or when SIGHUP asked for it; put a good change in force.

        Returns:
            What came of a change, or of SIGHUP; None when there is nothing new to tell.
        """
        asked = self._asked
        if asked:
            self._asked = False  # only a flag that was seen is taken down: no signal is lost in between
        now = self._clock()
        # A clock that was put back must not stop the watch.
        if not asked and self._looked is not None and 0 <= now - self._looked < self._every:
            return None
        self._looked = now
        stamps = tuple(map(_stamp, self._paths))
        still = not any(isinstance(each, _Stamp) and 0 <= now - each.mtime < self._every for each in stamps)
        if not asked and (stamps == self._stamps or not still):
            return None
        found = tuple(map(_content, self._paths, stamps))
        news = self._judged(found, asked) if asked or found != self._found else None
        # A right to the folder changes no stamp, nor may what is written at once after an early look: read again.
        readable = not any(isinstance(each, Problem) for each in found)
        # Only now: whoever interrupted the above leaves files that are still to be read.
        self._stamps, self._found = stamps if still and readable else None, found
        return news

    @contextmanager
    def on_hangup(self) -> Iterator[None]:
        """While the block runs, SIGHUP makes the next `poll` read the files; for the main thread only.

        A system without the signal has nothing to do here.
        """
        if not hasattr(signal, "SIGHUP"):
            yield
            return
        before = signal.signal(signal.SIGHUP, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before or signal.SIG_DFL)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def _judged(self, found: tuple[RulesFile | Problem, ...], asked: bool) -> Reloaded | Refused | None:
        problems = [each for each in found if isinstance(each, Problem)]
        if problems:
            return self._refused(problems)
        try:
            policy = build_policy([each for each in found if isinstance(each, RulesFile)])
        except RulesError as error:
            return self._refused(error.problems)
        except Exception as error:  # whatever it is, it must not stop who decides by the policy in force
            return self._refused([_problem(", ".join(self._paths), f"rules cannot be read: {error}")])
        same = policy.version == self._holder.current.version
        if same and self.problem is None and not asked:
            return None
        if not same:
            self._holder.replace(policy)
        self.problem = None
        if self._log is not None:
            self._log.info("rules.reloaded", files=list(self._paths), policy_version=policy.version)
        return Reloaded(policy.version)

    def _refused(self, problems: Sequence[Problem]) -> Refused:
        self.problem = Refused(tuple(problems), self._holder.current.version)
        if self._log is not None:
            lines = [str(each) for each in problems]
            self._log.warning("rules.refused", problems=lines, policy_version=self.problem.policy_version)
        return self.problem


def _stamp(path: str) -> _Stamp | Problem:
    """What a file looks like without opening it: the opening of a FIFO or a device may wait, or do something."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:
        return _problem(path, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if not stat.S_ISREG(found.st_mode):
        return _problem(path, "is not a regular file", code="not-a-file")
    return _stamped(found)


def _stamped(found: os.stat_result) -> _Stamp:
    return _Stamp(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)


def _content(path: str, stamp: _Stamp | Problem) -> RulesFile | Problem:
    """Read the file that has this stamp, and only that one, whole."""
    if isinstance(stamp, Problem):
        return stamp
    try:
        with open(path, "rb", opener=_opened) as file:
            if _stamped(os.fstat(file.fileno())) != stamp:
                return _problem(path, "changed while it was read", code="changing")
            content = file.read(SIZE_LIMIT + 1)
            if _stamped(os.fstat(file.fileno())) != stamp:
                return _problem(path, "changed while it was read", code="changing")
    except OSError as error:
        return _problem(path, f"cannot be read: {error.strerror or error}")
    return RulesFile(path, content)


def _opened(path: str, flags: int) -> int:
    """Open without waiting: what was a file a moment ago may be a FIFO by now."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _problem(path: str, message: str, *, code: str = "unreadable") -> Problem:
    return Problem(clean(path), 1, 1, code, clean(message, limit=200))
