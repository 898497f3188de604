"""What the sending pipeline does next, and why: the only value that `decide()` returns.

A `Decision` settles one recipient of one message for now. Its effects are imperatives for the store (suppress,
strike, note a forward) and for the sending pipeline (suspend, throttle, split, reconnect, alert).
"""

from datetime import datetime
from enum import Enum

from attrs import field, frozen

from policy.address import Address
from policy.attempt import Custody
from policy.diagnosis.category import Category, Evidence, Fault
from policy.forward import UntrustedPath
from policy.text import SafeText
from policy.throttle import Rate


class Action(Enum):
    """What happens to this message for this recipient."""

    ACCEPT = "accept"
    ACCEPT_AND_NOTE_FORWARD = "accept-and-note-forward"
    RETRY = "retry"
    HOLD = "hold"  # our own fault: wait for a person, consume nothing, bounce nothing
    BOUNCE = "bounce"  # this message only
    HARD_BOUNCE = "hard-bounce"  # this message, and the address is suppressed
    DISCARD = "discard"  # a null-sender message that failed for good: logged, answered to nobody


SETTLED = frozenset({Action.BOUNCE, Action.HARD_BOUNCE, Action.DISCARD})


class Scope(Enum):
    """How far a suppression reaches."""

    ADDRESS = "address"
    DOMAIN = "domain"
    STREAM = "stream"  # mail of one stream to an address; the target is `address#stream`


class Strength(Enum):
    """How sure a suppression is of itself; how long each lasts is the policy's (`suppression:`)."""

    WEAK = "weak"
    STRONG = "strong"
    PERMANENT = "permanent"


@frozen
class RuleRef:
    """Where the rule that decided stands, and where it was edited (`override`), each as `file:line`."""

    id: str
    file: str
    line: int
    edited: tuple[str, ...] = ()

    def __str__(self) -> str:
        edits = f", edited by {', '.join(self.edited)}" if self.edited else ""
        return f"{self.id} ({self.file}:{self.line}{edits})"


@frozen(kw_only=True)
class Suppress:
    """Send nothing more to `target` until `until`; None: until someone releases it.

    `target` is an address key or a domain; empty where `decide()` is asked about a reply to nobody knows whom, never in
    what the engine keeps (`policy.unnamed`).
    """

    target: str
    scope: Scope
    strength: Strength
    reason: Category
    until: datetime | None


@frozen(kw_only=True)
class Strike:
    """Remember a failure that counts towards a suppression: the `count`th of `needed`."""

    target: str
    scope: Scope
    reason: Category
    count: int
    needed: int


@frozen(kw_only=True)
class Delivered:
    """Remember the success: weak strikes and weak suppressions of `target` are cleared."""

    target: str


@frozen(kw_only=True)
class NoteForward:
    """Keep the path that a 251 or 551 named, as untrusted text, for a person to approve; `address` None: not known.

    Args:
        approved: a rule of the operator's approves it, and the host proved that it speaks for the address.
    """

    address: Address | None
    forward_path: UntrustedPath
    approved: bool = False


@frozen(kw_only=True)
class Suspend:
    """Send nothing to the destination `target` (a key of `policy.destination`) until `until`.

    Args:
        times: which one in a row this is, counted from 1.
        usual: how much went there in the hour before.
        ends_on_success: a delivery ends it before its time.
    """

    target: str
    until: datetime
    times: int = 1
    usual: int = 0
    ends_on_success: bool = False


@frozen(kw_only=True)
class Throttle:
    """Send no faster than `rate` to the destination `target` until `until`."""

    target: str
    rate: Rate
    until: datetime


@frozen(kw_only=True)
class Recovered:
    """Mail was delivered to a destination that is, or was, suspended: what holds it back gives way."""

    target: str


@frozen(kw_only=True)
class Trigger:
    """Remember something that suspends a destination, or alerts, when it comes too often: the `count`th of `needed`.

    Args:
        count: may be above `needed`, where what has suspended goes on.
        rule: whose decisions are counted; with ` told` behind it: that its alert was raised.
        nth: attempt to the destination this is, counted from 1.
    """

    target: str
    rule: str
    count: int
    needed: int
    nth: int = 0


@frozen(kw_only=True)
class OpenGuard:
    """The outage guard opens for `key`: put aside what was suppressed there of late, and suppress nothing more."""

    key: str


@frozen(kw_only=True)
class CloseGuard:
    """The outage guard closes for `key`."""

    key: str


@frozen(kw_only=True)
class Split:
    """Send to this recipient in a transaction of its own."""


@frozen(kw_only=True)
class InClear:
    """Send once without TLS: what was offered as opportunistic does not work."""


@frozen(kw_only=True)
class Reconnect:
    """Close the connection and open a new one; what happened does not count as an attempt."""


@frozen(kw_only=True)
class Alert:
    """Tell somebody: `to` is a name of the operator's own, such as page, ops, digest."""

    to: str
    text: SafeText


Effect = (
    Suppress
    | Strike
    | Delivered
    | NoteForward
    | Suspend
    | Throttle
    | Recovered
    | Trigger
    | OpenGuard
    | CloseGuard
    | Split
    | InClear
    | Reconnect
    | Alert
)


@frozen(kw_only=True)
class Decision:
    """What to do, until when, and why.

    Args:
        action: what happens to the message for this recipient.
        final: True when its fate is settled; False for a retry, a hold and any 2yz before the final dot.
        retry_at: when to try again; None unless `action` is retry.
        give_up_at: when retrying ends; None unless `action` is retry.
        route: the name of the route for the next try; None unless `action` is retry.
        rule: the rule that decided.
        evidence: what spoke for the category, the deciding piece first, then what stood against it.
        remedy: what a person can check or do; empty when nothing needs doing.
        policy_version: the digest of rules and knowledge that made this decision.
        uncertain: True when the message may have arrived all the same (the connection was lost after the dot).
        custody: whose the retry is; `theirs` makes it advice.
    """

    action: Action
    final: bool
    category: Category
    fault: Fault
    effects: tuple[Effect, ...] = ()
    retry_at: datetime | None = None
    give_up_at: datetime | None = None
    route: str | None = None
    rule: RuleRef
    evidence: tuple[Evidence, ...] = field()
    remedy: str = ""
    policy_version: str
    uncertain: bool = False
    custody: Custody = Custody.OURS

    @property
    def suppress(self) -> bool:
        """True only when this decision suppresses now, not on a strike or a hold."""
        return any(isinstance(effect, Suppress) for effect in self.effects)

    @property
    def forward_path(self) -> UntrustedPath | None:
        """The noted forward path, if there is one."""
        return next((each.forward_path for each in self.effects if isinstance(each, NoteForward)), None)
