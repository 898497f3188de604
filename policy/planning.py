"""What stands against a delivery, and until when: values in, a `Plan` out.

The gravest comes first: a message that is settled, a suppression, who else retries, a person who must act; then times:
its own next try, a suspended destination, the outage guard's probes, and last the rates, where a slot is taken.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from attrs import field, frozen

from policy.address import Address, parse_address
from policy.attempt import Custody, ident
from policy.attempt import name as short_name
from policy.decision import Action, Strength
from policy.destination import concerns, in_words
from policy.diagnosis.category import Category
from policy.forward import ForwardState
from policy.guard import WINDOW, Watch, may_probe, standing
from policy.history import ForwardNote, Freeze, History, HistoryKey, Source, Suppression
from policy.outage import is_known_good, watch_keys
from policy.rules.limit import Limit, limit_at
from policy.rules.policy import Policy
from policy.spread import spread
from policy.throttle import Rate, Traffic, admitted, slowest

HERD = timedelta(hours=1)  # those who wait for the end of a suspension come back within this
HOPS = 4  # approved forwards of forwards that are followed


class Verdict(Enum):
    """What `plan` says of a delivery."""

    SEND = "send"
    WAIT = "wait"  # not before `not_before`
    SUPPRESSED = "suppressed"
    HELD = "held"  # a person must act first
    THEIRS = "theirs"  # the MTA or provider that holds the message retries by itself
    SETTLED = "settled"  # this message's fate for this recipient is decided already


@frozen(kw_only=True)
class Delivery:
    """One message to one recipient, before it is sent.

    Args:
        sender: the reverse-path, empty for the null sender; None: not known.
        message: the id of a message that was tried before; None: new mail.
        stream: what kind of mail; None: not known, and then no suppression of one stream stops it.
        campaign: the mailing that it belongs to; None: not known.
    """

    recipient: Address
    sender: Address | Literal[""] | None = None
    message: str | None = field(default=None, converter=ident)
    stream: str | None = field(default=None, converter=short_name)
    campaign: str | None = field(default=None, converter=short_name)

    @property
    def spread(self) -> float:
        """Its own place among others that wait for the same, 0 <= x < 1; the same each time."""
        return spread(f"{self.message}\0{self.recipient.key}\0{self.stream}")


@frozen(kw_only=True)
class Plan:
    """Whether, when and by which route to send.

    Args:
        not_before: when to ask again; None when it may be sent now, or never.
        route: the name of the route; None unless it is to be sent.
        alone: it has to go in a transaction of its own (a `Split` was decided).
        in_clear: it goes without TLS from here on, which does not work there (an `InClear` was decided).
        why: one line for a person.
        suppression: the entry that forbids it; None when none does.
        forward: the note of another address, if there is one; it changes nothing while it waits for approval.
        deliver_to: the noted address once it is approved: write there instead, and spare the relay.
    """

    recipient: Address
    verdict: Verdict
    not_before: datetime | None = None
    route: str | None = None
    alone: bool = False
    in_clear: bool = False
    why: str
    suppression: Suppression | None = None
    forward: ForwardNote | None = None
    deliver_to: Address | None = None
    policy_version: str


Change = Watch | Traffic
Look = Callable[[Address], History]


def plan_key(policy: Policy, delivery: Delivery, learned: str | None) -> HistoryKey:
    """Where the history of a delivery is found.

    Args:
        learned: the provider of the domain as attempts showed it; None: not known.
    """
    recipient = delivery.recipient
    provider = policy.provider_by_domain(recipient) or learned
    to = policy.destination(delivery.sender, recipient, delivery.stream, provider, delivery.campaign)
    return HistoryKey(
        recipient=recipient.key,
        domain=recipient.domain,
        message=delivery.message,
        stream=delivery.stream,
        destinations=policy.all_destinations(to, policy.place(recipient, provider)),
        watches=watch_keys(policy, recipient, provider),
        provider=provider,
    )


def planned(
    policy: Policy, delivery: Delivery, key: HistoryKey, history: History, look: Look, now: datetime
) -> tuple[Plan, tuple[Change, ...]]:
    """Say whether a message may be sent now, and what is to be remembered of having said so.

    Args:
        look: what is known of another address, for forwards.
    """
    progress = history.progress
    place = policy.place(delivery.recipient, key.provider)
    route = policy.route(progress.route if progress else None, place)
    limit = limit_at(policy, place)
    rates = _rates(None if limit is None else limit.rate, key, history, route, now)
    against = next(_against(policy, delivery, history, route, now), None)
    changes: tuple[Change, ...] = ()
    if against is None:
        against, changes = _in_turn(delivery, history, limit, rates, now)
    words, deliver_to = _forward(delivery.recipient, history.forward, look, now)
    sends = against.verdict in (Verdict.SEND, Verdict.WAIT)
    plan = Plan(
        recipient=delivery.recipient,
        verdict=against.verdict,
        not_before=against.not_before,
        route=route if sends else None,
        alone=progress is not None and progress.split,
        in_clear=progress is not None and progress.clear and progress.action is Action.RETRY,
        why=against.why + words,
        suppression=against.suppression,
        forward=history.forward,
        deliver_to=deliver_to,
        policy_version=policy.version,
    )
    return plan, changes


@frozen(kw_only=True)
class _Finding:
    """What stands against sending, and for how long."""

    verdict: Verdict
    why: str
    not_before: datetime | None = None
    suppression: Suppression | None = None


def _against(policy: Policy, delivery: Delivery, history: History, route: str, now: datetime) -> Iterator[_Finding]:
    """Yield what stands against sending, the gravest first."""
    progress = history.progress
    if progress is not None and progress.final:
        yield _Finding(verdict=Verdict.SETTLED, why=f"this message is settled: {progress.action.value}")
    if progress is not None and progress.deliver_by is not None and progress.deliver_by <= now:
        why = f"its deadline is past, {progress.deliver_by:%Y-%m-%d %H:%M} UTC: nobody wants it any more"
        yield _Finding(verdict=Verdict.SETTLED, why=why)
    for entry in history.suppressions:
        if entry.active(now) and not _passes(policy, delivery, entry, history.provider):
            yield _Finding(verdict=Verdict.SUPPRESSED, why=_words(entry), suppression=entry)
    if progress is not None and progress.custody is Custody.THEIRS:
        yield _Finding(verdict=Verdict.THEIRS, why="who holds this message retries by itself; nothing is sent twice")
    if progress is not None and progress.action is Action.HOLD:
        freeze = next(iter(history.freezes), None)
        if progress.frozen and freeze is not None:
            yield _Finding(
                verdict=Verdict.HELD,
                why=f"{freeze.of_what} is frozen since {freeze.since:%Y-%m-%d %H:%M} UTC, until `{_lifting(freeze)}`",
            )
        elif not progress.frozen:
            yield _Finding(verdict=Verdict.HELD, why="the last attempt ended in a hold: a person must act first")
    waits: list[tuple[datetime, str]] = []
    if progress is not None and progress.retry_at is not None:
        waits.append((progress.retry_at, f"attempt {progress.attempts + 1} is due then"))
    for suspension in history.suspensions:
        if suspension.active(now) and concerns(suspension.target, route):
            herd = min((suspension.until - suspension.since) / 4, HERD) * delivery.spread
            why = f"{in_words(suspension.target)} is suspended until {_clock(suspension.until, now)} UTC"
            by = f"{suspension.reason.value}, rule {suspension.rule}"
            waits.append((suspension.until + herd, f"{why}: {by}"))
    latest, why = max(waits, default=(now, ""))
    if now < latest:
        yield _Finding(verdict=Verdict.WAIT, why=why, not_before=latest)


def _lifting(freeze: Freeze) -> str:
    """The command that ends a freeze, for whoever reads that it holds mail."""
    return f"mailverdict states lift{f' --provider {freeze.provider}' if freeze.provider else ''}"


def _clock(at: datetime, now: datetime) -> str:
    """A time of the day; of another day than today's, that too."""
    return f"{at:%H:%M}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M}"


def _passes(policy: Policy, delivery: Delivery, entry: Suppression, provider: str | None) -> bool:
    """Does mail go in spite of an entry: to those whom an operator spares, and what is wanted in spite of a guess?"""
    if entry.source is not Source.BOUNCE:
        return False
    unsure = entry.strength is Strength.WEAK or entry.reason is Category.MAILBOX_FULL
    if unsure and policy.stream(delivery.stream, policy.place(delivery.recipient, provider)).wanted:
        return True
    return policy.spared(delivery.recipient) is not None


def _words(entry: Suppression) -> str:
    until = f"until {entry.expires_at:%Y-%m-%d %H:%M} UTC" if entry.expires_at else "until it is released"
    by = f"{entry.reason.value}, rule {entry.rule}" if entry.source is Source.BOUNCE else entry.source.value
    note = f": {entry.note}" if entry.note else ""
    return f"{entry.target} is suppressed since {entry.since:%Y-%m-%d %H:%M} UTC {until}, by {by}{note}"


def _rates(limit: Rate | None, key: HistoryKey, history: History, route: str, now: datetime) -> dict[str, Rate]:
    """The slowest rate that holds for each destination."""
    slower: dict[str, list[Rate | None]] = {target: [] for target in key.destinations if concerns(target, route)}
    if key.destinations:
        slower[key.destinations[0]].append(limit)
    for throttling in history.throttlings:
        if throttling.target in slower and throttling.active(now):
            slower[throttling.target].append(throttling.rate)
    for suspension in history.suspensions:
        if suspension.target in slower and not suspension.active(now):
            slower[suspension.target].append(suspension.rate(now))
    found = {target: slowest(*rates) for target, rates in slower.items()}
    return {target: rate for target, rate in found.items() if rate is not None}


def _in_turn(
    delivery: Delivery, history: History, limit: Limit | None, rates: dict[str, Rate], now: datetime
) -> tuple[_Finding, tuple[Change, ...]]:
    """Nothing stands against it: is it its turn?"""
    probe, finding = _probing(history, now)
    if finding is not None and finding.verdict is not Verdict.SEND:
        return finding, ()
    traffics = {each.target: each for each in history.traffics}
    changed, not_before = admitted(traffics, rates, now, spread=delivery.spread)
    if not_before is not None:
        target, rate = max(rates.items(), key=lambda each: each[1].interval)
        by = _whose_rate(rate, target, limit if target == next(iter(rates)) else None, history, now)
        why = f"{in_words(target)} goes at {rate} now{by}: its turn is then"
        return _Finding(verdict=Verdict.WAIT, why=why, not_before=not_before), changed
    clear = _Finding(verdict=Verdict.SEND, why="nothing stands against it")
    return finding or clear, (*changed, *probe)


def _whose_rate(rate: Rate, target: str, limit: Limit | None, history: History, now: datetime) -> str:
    """Who says that mail goes at this rate; nothing where it recovers from a suspension, which nobody says.

    Args:
        limit: the operator's, where it is about this destination.
    """
    if limit is not None and limit.rate == rate:
        return f", by limit {limit.ref}"
    throttles = (each for each in history.throttlings if each.target == target and each.active(now))
    return next((f", by rule {each.rule}" for each in throttles if each.rate == rate), "")


def _probing(history: History, now: datetime) -> tuple[tuple[Watch, ...], _Finding | None]:
    """What the outage guard holds back is tried a little at a time, to see whether the outage is over.

    Recipients to whom nothing was ever delivered would show nothing: they wait until it is.
    """
    watch = next((each for each in history.watches if standing(each, now).is_open), None)
    if watch is None or history.progress is None or not history.progress.guarded:
        return (), None
    probing = may_probe(watch, now) if is_known_good(history, now) else None
    if probing is not None:
        why = f"to see whether {watch.key} is well again: its answers are not believed now"
        return (probing,), _Finding(verdict=Verdict.SEND, why=why)
    why = f"the outage guard is open for {watch.key}: enough are tried for now"
    return (), _Finding(verdict=Verdict.WAIT, not_before=now + WINDOW, why=why)


def _forward(recipient: Address, note: ForwardNote | None, look: Look, now: datetime) -> tuple[str, Address | None]:
    """What to say of a noted address, and whether to write there instead."""
    if note is None or note.state is ForwardState.REJECTED:
        return "", None
    if not note.lasts(now):
        return f"; the forward to `{note.forward_path}` is too old to be followed", None
    if note.state is ForwardState.PENDING:
        return f"; a forward to `{note.forward_path}` waits for approval", None
    return _followed(recipient, note, look, now)


def _followed(recipient: Address, note: ForwardNote, look: Look, now: datetime) -> tuple[str, Address | None]:
    """Where approved notes lead in the end: never in a circle, and not to an address that is suppressed."""
    seen = {recipient.key}
    address = parse_address(note.forward_path.quoted)
    for _ in range(HOPS):
        if address.key in seen:
            return f"; the forward to `{note.forward_path}` leads back to where it began", None
        seen.add(address.key)
        there = look(address)
        if any(each.active(now) for each in there.suppressions):
            return f"; the approved new address `{address}` is suppressed itself", None
        onward = there.forward
        if onward is None or onward.state is not ForwardState.APPROVED or not onward.lasts(now):
            return f"; the new address `{address}` is approved: write there", address
        address = parse_address(onward.forward_path.quoted)
    return f"; the forward to `{note.forward_path}` leads on and on", None
