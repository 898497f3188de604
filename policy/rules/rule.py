"""A rule as the file says it: under which conditions, which action, with which modifiers."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from attrs import field, frozen

from policy.attempt import Attempt
from policy.decision import Action, RuleRef, Scope, Strength
from policy.destination import Reach
from policy.diagnosis.category import Category, Diagnosis
from policy.reply import Reply
from policy.throttle import Rate
from policy.yamlfile import Mapping


@frozen(kw_only=True)
class Facts:
    """All that a condition may look at.

    Args:
        provider: as the policy's `providers` know it; None when not known.
        number: of the attempt, counted from 1.
        now: when this is decided.
        age: since the first attempt.
        delivered_before: mail to this address was accepted for good at some time.
        split_before: this message was told once already to go to this recipient alone.
        clear_before: this message was told once already to go in clear.
        text: of the reply, as conditions see it; empty for a failure without a reply.
    """

    attempt: Attempt
    diagnosis: Diagnosis
    provider: str | None
    number: int
    now: datetime
    age: timedelta = timedelta(0)
    delivered_before: bool
    split_before: bool = False
    clear_before: bool = False
    text: str = field(init=False)

    @text.default
    def _text(self) -> str:
        outcome = self.attempt.outcome
        return outcome.searchable if isinstance(outcome, Reply) else ""

    @property
    def reply(self) -> Reply | None:
        """The reply, None for a failure or an event without one."""
        return self.attempt.outcome if isinstance(self.attempt.outcome, Reply) else None


@frozen
class Condition:
    """One line of a `when`: its key, and the values of which one must hold.

    Args:
        spoken: all values that hold of some facts, where these are few: so a long list costs no more than a short one.
    """

    key: str
    values: tuple[Any, ...]
    test: Callable[[Facts, Any], bool] = field(repr=False, eq=False)
    spoken: Callable[[Facts], Iterable[Any]] | None = field(default=None, repr=False, eq=False)
    _set: frozenset[Any] = field(init=False, repr=False, eq=False)

    @_set.default
    def _as_set(self) -> frozenset[Any]:
        return frozenset(self.values) if self.spoken is not None else frozenset()

    def holds(self, facts: Facts) -> bool:
        """Does one of the values hold?"""
        if self.spoken is not None:
            return not self._set.isdisjoint(self.spoken(facts))
        return any(self.test(facts, value) for value in self.values)


class Despite(Enum):
    """What a rule may do against a law of ours, when it says so: decisions then say so too."""

    NO_RECIPIENT_FAULT = "no-recipient-fault"  # suppress though the reply does not put the fault on the recipient
    REFUSED_ON_PURPOSE = "refused-on-purpose"  # take another route though they refuse us on purpose


# Refusals that a new route must not be used to get around (law 19).
ON_PURPOSE = frozenset(
    {
        Category.REPUTATION_BLOCK,
        Category.RATE_LIMITED,
        Category.GREYLISTED,
        Category.AUTH_FAILURE,
        Category.SPAM_CONTENT,
        Category.CONTENT_REJECTED,
        Category.VIRUS,
    }
)


@frozen(kw_only=True)
class SuppressTerms:
    """When and for how long a rule suppresses.

    Args:
        strikes: failures that are needed, counted from 1 (1: the first suppresses).
        within: how old a strike may be; apart: how far apart two must be to count as two.
        lasting: how long; None: what the policy says for `strength`.
        meanwhile: how sure the address is suppressed while the strikes do not suffice; None: not at all.
    """

    scope: Scope = Scope.ADDRESS
    strength: Strength = Strength.STRONG
    strikes: int = 1
    within: timedelta = timedelta(days=90)
    apart: timedelta = timedelta(days=1)
    lasting: timedelta | None = None
    meanwhile: Strength | None = None


@frozen(kw_only=True)
class Often:
    """How many decisions of a rule about one destination it takes.

    Args:
        needed: so many, counted from 1; within: in which time.
        among: and among how many attempts there, the newest ones; None: of any number.
    """

    needed: int
    within: timedelta
    among: int | None = None


@frozen(kw_only=True)
class SuspendTerms:
    """When and for how long a rule suspends the destination.

    Args:
        scope: what is suspended.
        lasting: how long the first time; each one in a row doubles it, up to `longest` (None: it does not grow).
        after: how often it takes; None: the first suspends.
        ends_on_success: a delivery ends it before its time.
    """

    lasting: timedelta
    longest: timedelta | None = None
    after: Often | None = None
    scope: Reach = Reach.PAIR
    ends_on_success: bool = False


@frozen(kw_only=True)
class ThrottleTerms:
    """How much slower a rule makes mail to a destination.

    Args:
        rate: None: half of what went there in the last hour.
        lasting: for how long.
        scope, after: as in `SuspendTerms`.
    """

    rate: Rate | None
    lasting: timedelta
    after: Often | None = None
    scope: Reach = Reach.PAIR


@frozen(kw_only=True)
class AlertTerms:
    """Whom a rule tells, and when.

    Args:
        age: not of messages that are younger.
        after: how often it takes; None: the first tells.
        once: no more than once in such a time for one destination; None: each time.
        scope: what is counted as one.
    """

    to: str
    age: timedelta = timedelta(0)
    after: Often | None = None
    once: timedelta | None = None
    scope: Reach = Reach.PAIR


@frozen(kw_only=True)
class Stream:
    """What holds for a kind of mail.

    Args:
        give_up: how long it is retried at most; None: as the schedule says.
        wanted: its recipients asked for each message: what is not sure does not stop it.
    """

    give_up: timedelta | None = None
    wanted: bool = False


@frozen(kw_only=True)
class Then:
    """What a rule does; None means that the policy's `defaults` say."""

    action: Action
    schedule: str | None = None
    route: str | None = None
    suppress: SuppressTerms | None = None
    suspend: SuspendTerms | None = None
    throttle: ThrottleTerms | None = None
    split: bool = False
    reconnect: bool = False
    in_clear: bool = False
    trust_forward: bool = False
    alert: AlertTerms | None = None
    remedy: str | None = None


@frozen
class Example:
    """An attempt of which the writer says whether the rule decides it.

    Args:
        said: keys of the JSON contract and their values; a bare reply has `reply` only.
    """

    said: tuple[tuple[str, str], ...]
    line: int = field(eq=False)
    column: int = field(eq=False)


@frozen(kw_only=True)
class Rule:
    """`when` this, `then` that. No conditions at all: always.

    Args:
        within: conditions of the place where the rule stands (`domains: x`), tested like those of `when`.
        examples, counterexamples: what it must decide, and what it must not.
        observing: it only says what it would have decided (`mode: observe`).
        expires: from this moment on it does not hold; None: it does not expire.
        despite: laws that it sets aside, and says so.
        node: the text that it was read of, for `override`.
    """

    ref: RuleRef
    within: tuple[Condition, ...] = ()
    when: tuple[Condition, ...]
    then: Then
    examples: tuple[Example, ...] = ()
    counterexamples: tuple[Example, ...] = ()
    note: str = ""
    owner: str = ""
    observing: bool = False
    expires: datetime | None = None
    despite: tuple[Despite, ...] = ()
    node: Mapping | None = field(default=None, eq=False, repr=False)

    def holds(self, facts: Facts) -> bool:
        """Do all conditions hold, and is it in force?"""
        for condition in self.within:
            if not condition.holds(facts):
                return False
        for condition in self.when:
            if not condition.holds(facts):
                return False
        return self.is_in_force(facts.now)

    def is_in_force(self, now: datetime) -> bool:
        """Has it not expired?"""
        return self.expires is None or now < self.expires


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
