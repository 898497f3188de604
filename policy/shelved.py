"""The unit that the engine needs, made of a shelf: every store shares it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from policy.alike import Alike
from policy.curating import cancel, freeze, judge, lift, put, put_all, release, undo
from policy.forward import ForwardState
from policy.history import Entry, Freeze, History, HistoryKey, Suppression
from policy.remembering import recall, remember
from policy.retention import Attic, Old, Pruned, prune
from policy.shelf import Shelf


class ShelvedUnit(Shelf, Attic, Protocol):
    """The methods of `policy.ports.Unit`, for a unit that is its own shelf."""

    def foresee(self, attempts: Iterable[tuple[str, str]], keys: Iterable[HistoryKey]) -> None:  # noqa: ARG002
        return  # where a look-up costs nothing, there is nothing to prepare

    def history(self, key: HistoryKey) -> History:
        return recall(self, key)

    def commit(self, entry: Entry) -> None:
        remember(self, entry)

    def release(self, target: str) -> int:
        return release(self, target)

    def put(self, suppression: Suppression) -> bool:
        return put(self, suppression)

    def put_all(
        self, entries: Sequence[Alike], *, unless: Callable[[Suppression, Suppression], bool]
    ) -> Sequence[bool]:
        return put_all(self, entries, unless)

    def undo(
        self,
        *,
        since: datetime,
        provider: str | None,
        rule: str | None,
        now: datetime,
        after: Suppression | None = None,
        count: int | None = None,
    ) -> list[Suppression]:
        return undo(self, since=since, provider=provider, rule=rule, now=now, after=after, count=count)

    def cancel(self, target: str, now: datetime) -> bool:
        return cancel(self, target, now)

    def freeze(self, new: Freeze) -> None:
        freeze(self, new)

    def lift(self, provider: str) -> Freeze | None:
        return lift(self, provider)

    def judge(self, address: str, path: str, state: ForwardState) -> bool:
        return judge(self, address, path, state)

    def prune(self, kind: type[Old], *, before: datetime, after: Old | None, count: int) -> Pruned:
        return prune(self, kind, before=before, after=after, count=count)
