"""Names of rules as people type them: one that nobody knows is told, and the likeliest that was meant.

A rule that was taken out of the rules still stands in the ledger, so an unknown name is no mistake; only where nothing
was found by it, there is a line on standard error.
"""

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from adapters.cli.common import rules_files, safe
from policy import RulesError, RulesUnreadable, load_policy
from policy.attempt import NAME_LIMIT

T = TypeVar("T")


def hinted(rule: str | None, found: Iterable[T]) -> Iterator[T]:
    """Yield what was found by the id of a rule (None: by another way); nothing, and nobody knows the id: say so."""
    empty = True
    for each in found:
        empty = False
        yield each
    if empty and rule is not None:
        hint(rule)


def hint(rule: str) -> None:
    """Say that no rule has this id, if none has; rules that cannot be read say nothing here."""
    try:
        known = {each.ref.id for each in load_policy(rules_files(())).rules}
    except (RulesError, RulesUnreadable):
        return
    if rule in known:
        return
    from policy.rules.reading import near

    whose = "rule of MAILVERDICT_RULES" if os.environ.get("MAILVERDICT_RULES") else "shipped rule"
    said = safe(rule, NAME_LIMIT)
    click.echo(f"mailverdict: no {whose} is called `{said}`, and it decided nothing here{near(rule, known)}", err=True)
