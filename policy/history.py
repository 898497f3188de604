"""What is remembered of a recipient, a message and a destination: plain values that stores keep and `decide` reads."""

from datetime import datetime, timedelta
from enum import Enum

from attrs import field, frozen

from policy.address import Address, parse_address
from policy.attempt import Attempt, Custody
from policy.decision import Action, Decision, RuleRef, Scope, Strength
from policy.diagnosis.category import Category
from policy.forward import ForwardState, UntrustedPath
from policy.guard import Watch
from policy.text import SafeText
from policy.throttle import Rate, Traffic, recovering

TRIGGERS_KEPT = 128  # newest triggers of one destination that a History holds
FORWARD_LASTS = timedelta(days=180)
STRIKES_KEPT = 32  # newest strikes of one target that a History holds; older ones no longer count


@frozen(kw_only=True)
class Progress:
    """How far one message has come with one recipient.

    Args:
        attempts: attempts that counted, so far.
        held: how long it has waited for a person; given back to the give-up time.
        last_at: when the last attempt was.
        action: what was decided then.
        retry_at: when it is due again; None when it is not.
        split: it was told once to go to this recipient alone.
        custody: who retries.
        rule, tried: the rule that decided last, and how often in a row it did.
        guarded: it waits because the outage guard was open.
        frozen: it waits because a person said that nothing is to be bounced.
        clear: it was told once to go in clear.
        route: by which it goes next; None: the usual one.
        deliver_by: when it is worth nothing any more; None: it has no deadline of its own.
    """

    message: str
    recipient: str
    attempts: int
    first_attempt_at: datetime
    held: timedelta
    last_at: datetime
    action: Action
    final: bool
    retry_at: datetime | None
    split: bool = False
    custody: Custody = Custody.OURS
    rule: str = ""
    tried: int = 0
    guarded: bool = False
    frozen: bool = False
    clear: bool = False
    route: str | None = None
    deliver_by: datetime | None = None


def tries(progress: Progress | None, rule: str, *, number: int) -> int:
    """How often in a row `rule` has decided about the message, this time included; with no past, all attempts."""
    if progress is None:
        return number
    return progress.tried + 1 if progress.rule == rule else 1


def first_attempt(attempt: Attempt, progress: Progress | None, now: datetime) -> datetime:
    """When a message was first tried: the earliest that anybody said, so that no later word moves its give-up time.

    A stated time that is still to come is a wrong clock, and counts as now.
    """
    stated = min(attempt.first_attempt_at or now, now)
    if progress is None:
        return stated
    return progress.first_attempt_at if attempt.first_attempt_at is None else min(stated, progress.first_attempt_at)


def stream_target(address: str, stream: str) -> str:
    """The target of a suppression of one stream to an address; a domain has no `#`, so it can be told apart."""
    return f"{address}#{stream}"


def stream_of(text: str) -> tuple[Address, str] | None:
    """Read the address and the stream of `jo@example.org#news`; None: it names no stream.

    The stream begins at the first `#` after what reads as an address: both may have any sign, a domain has no `#`.

    >>> stream_of("a#b@example.org#spring@sale")[1], stream_of("a#b@example.org")
    ('spring@sale', None)
    """
    at = text.find("@")
    while at >= 0 and (mark := text.find("#", at)) >= 0:
        try:
            return parse_address(text[:mark]), text[mark + 1 :]
        except ValueError:
            at = text.find("@", at + 1)
    return None


def deadline_of(attempt: Attempt, progress: Progress | None) -> datetime | None:
    """When a message is worth nothing any more: the earliest that anybody said; None: nobody did."""
    said = [attempt.deliver_by, progress.deliver_by if progress is not None else None]
    return min((each for each in said if each is not None), default=None)


@frozen(kw_only=True)
class PastStrike:
    """A failure that counted towards a suppression of `target`; one message strikes once for one reason."""

    target: str
    message: str
    reason: Category
    at: datetime


@frozen(kw_only=True)
class PastTrigger:
    """Something that counted towards suspending the destination `target`, or telling of it.

    Args:
        rule: which counts it, see `Trigger`; attempt: in which.
        nth: attempt there it was, counted from 1; 0: that was not counted yet.
    """

    target: str
    rule: str
    at: datetime
    attempt: str
    nth: int = 0


@frozen(kw_only=True)
class Suspension:
    """Nothing is sent to the destination `target` until `until`.

    Args:
        rule: which said so; reason: what it stood on.
        since: when the last one began; times: which one in a row it is, counted from 1.
        usual: how much went there in the hour before it.
        well_at: when mail was delivered there again; None: not since then.
        ends_on_success: a delivery ends it before its time.
    """

    target: str
    rule: RuleRef
    reason: Category
    since: datetime
    until: datetime
    times: int = 1
    usual: int = 0
    well_at: datetime | None = None
    ends_on_success: bool = False

    def active(self, now: datetime) -> bool:
        """Does it bind at `now`?"""
        return now < self.until

    def rate(self, now: datetime) -> Rate | None:
        """How fast mail may go there now that it is over; None: as fast as it likes."""
        return recovering(self.until, self.well_at, self.usual, self.times, now)


@frozen(kw_only=True)
class Throttling:
    """Mail to the destination `target` goes no faster than `rate` until `until`; see `Suspension`."""

    target: str
    rule: RuleRef
    reason: Category
    rate: Rate
    since: datetime
    until: datetime

    def active(self, now: datetime) -> bool:
        """Does it bind at `now`?"""
        return now < self.until


@frozen(kw_only=True)
class Learned:
    """Which provider took a domain's mail, and when that was seen last."""

    domain: str
    provider: str
    at: datetime


@frozen(kw_only=True)
class Freeze:
    """A person's word that nothing is to be bounced or suppressed until it is lifted.

    Args:
        provider: only for mail to this provider (or domain); empty: for all mail.
    """

    provider: str
    since: datetime
    note: str = ""

    @property
    def of_what(self) -> str:
        """What it concerns, for people."""
        return f"mail to {self.provider}" if self.provider else "all mail"


class Source(Enum):
    """Who says that nothing is to be sent."""

    BOUNCE = "bounce"
    MANUAL = "manual"
    IMPORT = "import"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"


class EntryState(Enum):
    """What has become of an entry; it is kept for those who ask."""

    ACTIVE = "active"
    QUARANTINED = "quarantined"  # put aside when an outage was seen
    RELEASED = "released"  # by a person, or by a delivery that showed it wrong


@frozen(kw_only=True)
class Suppression:
    """An entry of the suppression list.

    Args:
        target: an address key, a domain, or an address key and a stream (`jo@example.org#bulk`).
        provider: where the reply came from, as the guard and `undo` know it; empty when it came from nowhere.
        note: what a person said of it.
        reason, rule, reply: why, by which rule, on which words (cleaned).
        expires_at: None: never.
    """

    target: str
    scope: Scope
    strength: Strength
    reason: Category
    rule: RuleRef
    reply: SafeText
    since: datetime
    expires_at: datetime | None
    source: Source = Source.BOUNCE
    state: EntryState = EntryState.ACTIVE
    provider: str = ""
    note: str = ""

    def active(self, now: datetime) -> bool:
        """Does it bind at `now`?"""
        return self.state is EntryState.ACTIVE and (self.expires_at is None or now < self.expires_at)


@frozen(kw_only=True)
class ForwardNote:
    """A forward path that a reply named; nothing acts on it until `state` is approved.

    Args:
        since: when it was first named; seen_at: when last (None: not since).
    """

    address: str
    forward_path: UntrustedPath
    state: ForwardState
    reply: SafeText
    since: datetime
    seen_at: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        """Was it named not too long ago? Mailboxes change hands; after that the old address is asked again."""
        return now < (self.seen_at or self.since) + FORWARD_LASTS


@frozen(kw_only=True)
class History:
    """What `decide()` and `plan()` may know of the past: bounded, and fetched by keys known before diagnosis.

    Args:
        progress: of this message with this recipient; None before its first attempt.
        last_success: when mail to this address was last accepted for good; None: never seen.
        strikes: of the address and of its domain, oldest first, the newest `STRIKES_KEPT`.
        suppressions: entries for the address, for its domain and for the stream to it, active or not.
        suspensions, throttlings: of the destinations of the key that have any, active or not.
        traffics: one of each destination of the key.
        triggers: of each of these destinations the newest `TRIGGERS_KEPT`, newest first.
        freezes: those of all mail, of the provider and of the domain.
        watches: the guard's, of the provider and of the domain.
        provider: that takes the domain's mail, as was learned from attempts; None: not known, or not asked for.
        forward: the note kept for this address; None when there is none.
    """

    progress: Progress | None = None
    last_success: datetime | None = None
    strikes: tuple[PastStrike, ...] = field(default=())
    suppressions: tuple[Suppression, ...] = field(default=())
    suspensions: tuple[Suspension, ...] = field(default=())
    throttlings: tuple[Throttling, ...] = field(default=())
    traffics: tuple[Traffic, ...] = field(default=())
    freezes: tuple[Freeze, ...] = field(default=())
    provider: str | None = None
    triggers: tuple[PastTrigger, ...] = field(default=())
    watches: tuple[Watch, ...] = field(default=())
    forward: ForwardNote | None = None


@frozen(kw_only=True)
class HistoryKey:
    """Where to look: known before anything is diagnosed.

    Args:
        recipient: address key; None when the recipient is not known.
        domain: the recipient's.
        message: the message's id; None when no certain message is meant.
        stream: what kind of mail; None when not known.
        destinations: keys of what may be suspended or throttled, see `policy.destination`; the pair's comes first.
        watches: keys of the guard's watches, see `policy.outage`.
        provider: as `History` has it; it is what the other keys were made with.
        names: keys of the recipient, the one that is written to first.
        freezes: keys of the freezes that concern it: of all mail, of the provider, of the domain.
        targets: what may be suppressed: the address, the domain, the stream to the address, as far as they are known.
        aliases: other keys under which the recipient may be kept, newest first, see `policy.veil` and `policy.aliases`.
        older: the message's ids under the aliases, in their order; empty where it has one id under all names.
        messages: (message, recipient) under which the progress may be kept.
    """

    recipient: str | None = None
    domain: str | None = None
    message: str | None = None
    stream: str | None = None
    destinations: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    provider: str | None = None
    aliases: tuple[str, ...] = ()
    older: tuple[str, ...] = ()
    names: tuple[str, ...] = field(init=False, eq=False, repr=False)
    freezes: tuple[str, ...] = field(init=False, eq=False, repr=False)
    targets: tuple[tuple[Scope, str], ...] = field(init=False, eq=False, repr=False)
    messages: tuple[tuple[str, str], ...] = field(init=False, eq=False, repr=False)

    @names.default
    def _named(self) -> tuple[str, ...]:
        return () if self.recipient is None else (self.recipient, *self.aliases)

    @freezes.default
    def _freezing(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each for each in ("", self.provider, self.domain) if each is not None))

    @messages.default
    def _known_as(self) -> tuple[tuple[str, str], ...]:
        if self.message is None:
            return ()
        names = self.names or ("",)
        return tuple(zip((self.message, *(self.older or [self.message] * len(self.aliases))), names, strict=True))

    @targets.default
    def _suppressible(self) -> tuple[tuple[Scope, str], ...]:
        streams = [(Scope.STREAM, stream_target(each, self.stream)) for each in self.names if each and self.stream]
        domain = () if self.domain is None else ((Scope.DOMAIN, self.domain),)
        return (*((Scope.ADDRESS, each) for each in self.names), *domain, *streams)


@frozen(kw_only=True)
class Entry:
    """One attempt and what was decided about it: a line of the ledger.

    Args:
        attempt_id: the attempt's identity, see `Attempt.identity`.
        recipient: address key, empty when not known; with `attempt_id` the ledger's key.
        at: when the attempt was.
        progress: how far the message is after it.
        provider: key of the provider's watch, or of the domain's; empty when the recipient is not known.
    """

    attempt_id: str
    recipient: str
    at: datetime
    attempt: Attempt
    decision: Decision
    progress: Progress
    provider: str = ""
