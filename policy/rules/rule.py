"""A rule as the file says it: under which conditions, which action, with which modifiers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from attrs import field, frozen

from policy.attempt import Attempt, Failure
from policy.decision import Action, RuleRef, Scope, Strength
from policy.diagnosis.category import Diagnosis
from policy.reply import Reply


@frozen(kw_only=True)
class Facts:
    """All that a condition may look at.

    Args:
        provider: as the policy's `providers` know it; None when not known.
        number: of the attempt, counted from 1.
        delivered_before: mail to this address was accepted for good at some time.
        split_before: this message was told once already to go to this recipient alone.
        text: of the reply, as conditions see it; empty for a failure without a reply.
    """

    attempt: Attempt
    diagnosis: Diagnosis
    provider: str | None
    number: int
    delivered_before: bool
    split_before: bool = False
    text: str = field(init=False)

    @text.default
    def _text(self) -> str:
        outcome = self.attempt.outcome
        return outcome.searchable if isinstance(outcome, Reply) else ""

    @property
    def reply(self) -> Reply | None:
        """The reply, None for a failure without one."""
        return None if isinstance(self.attempt.outcome, Failure) else self.attempt.outcome


@frozen
class Condition:
    """One line of a `when`: its key, and the values of which one must hold."""

    key: str
    values: tuple[Any, ...]
    test: Callable[[Facts, Any], bool] = field(repr=False, eq=False)

    def holds(self, facts: Facts) -> bool:
        """Does one of the values hold?"""
        return any(self.test(facts, value) for value in self.values)


@frozen(kw_only=True)
class SuppressTerms:
    """When and for how long a rule suppresses.

    Args:
        strikes: failures that are needed, counted from 1 (1: the first suppresses).
        within: how old a strike may be; apart: how far apart two must be to count as two.
        lasting: how long; None: what the policy says for `strength`.
    """

    scope: Scope = Scope.ADDRESS
    strength: Strength = Strength.STRONG
    strikes: int = 1
    within: timedelta = timedelta(days=90)
    apart: timedelta = timedelta(days=1)
    lasting: timedelta | None = None


@frozen(kw_only=True)
class Then:
    """What a rule does; None means that the policy's `defaults` say."""

    action: Action
    schedule: str | None = None
    route: str | None = None
    suppress: SuppressTerms | None = None
    suspend: timedelta | None = None
    split: bool = False
    reconnect: bool = False
    alert: str | None = None
    remedy: str | None = None


@frozen(kw_only=True)
class Rule:
    """`when` this, `then` that. No conditions at all: always.

    Args:
        examples: replies of which the writer says that this rule decides them.
    """

    ref: RuleRef
    when: tuple[Condition, ...]
    then: Then
    examples: tuple[str, ...] = ()

    def holds(self, facts: Facts) -> bool:
        """Do all conditions hold?"""
        return all(condition.holds(facts) for condition in self.when)


@frozen(kw_only=True)
class Lasting:
    """How long a suppression of one strength lasts, and how long when it was tried again in vain.

    Args:
        lasting: None: until someone releases it.
        again_apart: an earlier entry at least this old makes this one `again`; None: there is no `again`.
        again: how long then.
    """

    lasting: timedelta | None
    again_apart: timedelta | None = None
    again: timedelta | None = None


@frozen(kw_only=True)
class Provider:
    """A mailbox provider: host names of its MX and domains of its mailboxes, each with all below it.

    Args:
        names: other names by which callers may call it; only the rules' own name stands in conditions.
    """

    mx: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def over(self, lower: "Provider | None") -> "Provider":
        """This one over what a lower layer says of it: what is not said here stays."""
        if lower is None:
            return self
        return Provider(mx=self.mx or lower.mx, domains=self.domains or lower.domains, names=self.names or lower.names)


def spoken_name(name: str) -> str:
    """Return the form in which providers' names are compared: letters and digits only, without case.

    >>> spoken_name("Microsoft 365")
    'microsoft365'
    """
    return "".join(filter(str.isalnum, name.lower()))


def below(name: str, parent: str) -> bool:
    """Is `name` the domain `parent` or one under it?"""
    return name == parent or name.endswith("." + parent)
