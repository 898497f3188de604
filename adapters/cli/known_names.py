"""Names of rules and providers as people type them: one that nobody knows is told, and the likeliest that was meant.

What was taken out of the rules still stands in the store, so an unknown name is no mistake; only where nothing was
found by it, there is a line on standard error.
"""

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from adapters.cli.common import rules_files, safe
from policy import Policy, RulesError, RulesUnreadable, load_policy
from policy.attempt import NAME_LIMIT

T = TypeVar("T")


def hinted(found: Iterable[T], *, rule: str | None = None, provider: str | None = None) -> Iterator[T]:
    """Yield what was found by the id of a rule or by a provider (None: by another way); see `hint` for nothing."""
    empty = True
    for each in found:
        empty = False
        yield each
    if empty:
        hint(rule=rule, provider=provider)


def hint(*, rule: str | None = None, provider: str | None = None) -> None:
    """Say which of the names that were asked for nobody has; rules that cannot be read say nothing here."""
    if rule is None and provider is None:
        return
    try:
        policy = load_policy(rules_files(()))
    except (RulesError, RulesUnreadable):
        return
    for line in (*_of_rule(policy, rule), *_of_provider(policy, provider)):
        click.echo(f"mailverdict: {line}", err=True)


def _of_rule(policy: Policy, rule: str | None) -> Iterator[str]:
    known = {each.ref.id for each in policy.rules}
    if rule is None or rule in known:
        return
    yield f"no {_whose('rule')} is called `{safe(rule, NAME_LIMIT)}`, and it decided nothing here{_near(rule, known)}"


def _of_provider(policy: Policy, provider: str | None) -> Iterator[str]:
    """Lists know a provider by the rules' own name only, and the domains of none by their own: one may be new here."""
    if provider is None or provider in policy.providers:
        return
    said = safe(provider, NAME_LIMIT)
    own = policy.provider_called(provider) or policy.provider_of_domain(provider.lower())
    if own is not None:
        yield f"nothing is kept here under `{said}`; did you mean `{own}`?"
    elif "." not in provider:
        near = _near(provider, policy.providers)
        yield f"no {_whose('provider')} is called `{said}`, and nothing is kept of it here{near}"


def _whose(what: str) -> str:
    return f"{what} of MAILVERDICT_RULES" if os.environ.get("MAILVERDICT_RULES") else f"shipped {what}"


def _near(word: str, known: Iterable[str]) -> str:
    from policy.rules.reading import near

    return near(word, known)
