"""Entries of a suppression list that differ in little: a list of millions has a handful of moulds.

What a list says against one address it says against thousands: the same source, reason, rule and words. An `Alike` is
an entry as its mould and what is its own, the target, the time and the line; `whole` is the entry itself. Making
millions of whole entries only to write them down costs more than writing them.
"""

from datetime import datetime
from typing import NamedTuple

from attrs import field, frozen

from policy.decision import RuleRef
from policy.history import Suppression


@frozen(eq=False)
class Mould:
    """What entries have in common: all that `entry` says, but for its target, its time and its rule's line.

    Two moulds are never equal, however alike: they are looked up by what they are, not by what they hold.
    """

    entry: Suppression
    scope: str = field(init=False)  # the word, at hand for millions of entries

    @scope.default
    def _scope(self) -> str:
        return self.entry.scope.value


class Alike(NamedTuple):
    """An entry out of a mould; `line` is that of its rule."""

    target: str
    since: datetime
    line: int
    mould: Mould

    @property
    def whole(self) -> Suppression:
        """The entry."""
        like = self.mould.entry
        rule = like.rule
        return Suppression(
            target=self.target,
            scope=like.scope,
            strength=like.strength,
            reason=like.reason,
            rule=rule if rule.line == self.line else RuleRef(rule.id, rule.file, self.line, rule.edited),
            reply=like.reply,
            since=self.since,
            expires_at=like.expires_at,
            source=like.source,
            state=like.state,
            provider=like.provider,
            note=like.note,
        )


def alike(entry: Suppression) -> Alike:
    """Return an entry with a mould of its own.

    >>> from policy.testing.store_lines import suppression
    >>> from policy.history import Source
    >>> alike(suppression(source=Source.MANUAL)).whole == suppression(source=Source.MANUAL)
    True
    """
    return Alike(entry.target, entry.since, entry.rule.line, Mould(entry))
