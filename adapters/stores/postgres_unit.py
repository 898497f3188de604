"""One open transaction in PostgreSQL.

Look-ups that do not depend on each other travel together (libpq's pipeline): over a network, where a round trip is
dear, and others wait for this unit, the histories of a group cost one, and one more where there are strikes.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from adapters.stores.postgres_link import Link
from adapters.stores.rows import RowUnit
from adapters.stores.tables import Key, Question, Table
from policy.history import History, HistoryKey
from policy.ports import StoreUnavailable
from policy.remembering import recall

_T = TypeVar("_T")


class PostgresUnit(RowUnit):
    """The unit of a link on which a transaction has begun; `faults` makes StoreUnavailable of psycopg's errors."""

    young = f"{RowUnit.young} AND substr(value, 1, 1) = '{{' AND strpos(value, '\"source\":') = 0"

    def __init__(self, link: Link, name: str, faults: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__(name)
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
        self.foresee((), (key,))
        return recall(self, key)

    def write(self, statement: str, *values: str | int) -> bool:
        # The number is what we ask for when the answer to COMMIT is lost; here it costs no round trip.
        (changed,) = self.answers([(f"{statement} RETURNING pg_current_xact_id()::text", values)])
        if changed:
            self.transaction = changed[0][0]
        return bool(changed)

    def keep(self, table: Table[_T], key: Key, value: _T) -> None:
        self.write(table.put, *key, *table.row(value))

    def settle(self) -> None:
        self.check()  # what is kept is written at once

    def answers(self, questions: Sequence[Question]) -> list[list[Any]]:
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

    def _ask(self, query: str, values: Sequence[str | int]) -> Any:
        return self._link.execute(query.replace("?", "%s").encode(), values)
