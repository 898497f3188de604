"""One open transaction in PostgreSQL.

The look-ups of a history do not depend on each other, so they travel together (libpq's pipeline): over a network, where
a round trip is dear, and others wait for this unit, a history costs one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from adapters.stores.postgres_link import Link
from adapters.stores.rows import RowUnit
from policy.history import History, HistoryKey
from policy.ports import StoreUnavailable
from policy.remembering import recall


class PostgresUnit(RowUnit):
    """The unit of a link on which a transaction has begun; `faults` makes StoreUnavailable of psycopg's errors."""

    def __init__(self, link: Link, name: str, faults: Callable[[], AbstractContextManager[None]]) -> None:
        self.name = name
        self._link = link
        self._faults = faults
        self._fault: StoreUnavailable | None = None
        self.transaction: str | None = None  # its number, once it has written
        self.over = False

    @property
    def is_sound(self) -> bool:
        """Has nothing gone wrong on the link?"""
        return self._fault is None

    def check(self) -> None:
        """After a fault all else fails too, the commit with it, even if someone swallowed it."""
        if self.over:
            raise RuntimeError("this unit has ended")
        if self._fault is not None:
            raise self._fault

    def history(self, key: HistoryKey) -> History:
        notes = _Notes(self.name)
        while True:
            found = recall(notes, key)
            if not notes.open:
                return found
            questions, notes.open = notes.open, []
            notes.answers.update(zip(questions, self._answers(questions), strict=True))

    def rows(self, query: str, *values: str | int) -> list[Any]:
        (answer,) = self._answers([(query, *values)])
        return answer

    def write(self, statement: str, *values: str | int) -> int:
        # The number is what we ask for when the answer to COMMIT is lost; here it costs no round trip.
        changed = self.rows(f"{statement} RETURNING pg_current_xact_id()::text", *values)
        if changed:
            self.transaction = changed[0][0]
        return len(changed)

    def _answers(self, questions: list[tuple[Any, ...]]) -> list[list[Any]]:
        self.check()
        try:
            with self._faults():
                if len(questions) == 1:
                    return [self._ask(*questions[0]).fetchall()]
                with self._link.pipeline():
                    cursors = [self._ask(*each) for each in questions]
                return [each.fetchall() for each in cursors]
        except StoreUnavailable as failure:
            self._fault = failure
            raise

    def _ask(self, query: str, *values: str | int) -> Any:
        return self._link.execute(query.replace("?", "%s").encode(), values)


class _Notes(RowUnit):
    """Answers what it knows the answer of; notes what else is asked, and says that nothing is found."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.open: list[tuple[Any, ...]] = []
        self.answers: dict[tuple[Any, ...], list[Any]] = {}

    def rows(self, query: str, *values: str | int) -> list[Any]:
        question = query, *values
        if question not in self.answers and question not in self.open:
            self.open.append(question)
        return self.answers.get(question, [])

    def write(self, statement: str, *values: str | int) -> int:
        raise NotImplementedError("a history writes nothing")
