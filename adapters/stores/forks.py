"""What a fork would leave in two hands: a store lets go of its connection before one, and both sides make their own.

SQLite's locks belong to a process, and a socket has one other end: a connection that is used on both sides of a fork
loses what is kept, or mixes up answers. A unit that is open in the forking thread is left alone, in the parent; one in
another thread is waited for.
"""

import os
import threading
from weakref import WeakSet


class LetsGo:
    """A store with a lock, and a connection under it that can be made anew."""

    _lock: threading.RLock
    _open: bool
    _patience: float

    def let_go(self) -> None:
        """Close the connection; the next unit makes another one."""
        raise NotImplementedError

    def before_fork(self) -> None:
        """Wait for a unit of another thread, then let go of the connection."""
        self._held = self._lock.acquire(timeout=self._patience)
        if self._held and not self._open:
            self.let_go()

    def after_fork(self) -> None:
        """Let units begin again."""
        if self._held:
            self._lock.release()


_stores: "WeakSet[LetsGo]" = WeakSet()


def lets_go(store: LetsGo) -> None:
    """Have the store let go of its connection before each fork, as long as it lives."""
    _stores.add(store)


def _before() -> None:
    for store in list(_stores):
        store.before_fork()


def _after() -> None:
    for store in list(_stores):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
