"""What a rule does to a destination: suspends or throttles it, or counts towards that; what a delivery takes back.

How often a rule decides about a destination is told by its triggers there. Each knows which attempt there it was, so
that a share (`10 of 500 in 1d`) needs no other memory than the newest of them.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from attrs import evolve

from policy.decision import Recovered, Suspend, Throttle, Trigger
from policy.destination import Destination, in_words
from policy.history import History, PastTrigger, Suspension
from policy.rules.rule import AlertTerms, Often, Rule, SuspendTerms, ThrottleTerms
from policy.throttle import Traffic, half

Restraint = Suspend | Throttle | Trigger


def restrained(rule: Rule, to: Destination, route: str, history: History, now: datetime) -> tuple[Restraint, ...]:
    """Return the suspension and the throttle that are due by a rule, and what counts towards them."""
    found: list[Restraint] = []
    for terms in (rule.then.suspend, rule.then.throttle):
        if terms is None:
            continue
        target = to.key(terms.scope, route)
        if terms.after is not None:
            trigger = _counted(terms.after, rule.ref.id, target, history, now)
            found += [] if trigger in found else [trigger]
            if trigger.count < trigger.needed:
                continue
        if isinstance(terms, SuspendTerms):
            found.append(_suspend(terms, rule, target, history, now))
        else:
            found.append(_throttle(terms, target, history, now))
    return tuple(found)


def alerted(
    rule: Rule, terms: AlertTerms, to: Destination, route: str, history: History, now: datetime
) -> tuple[str | None, Trigger | None]:
    """Return how often it came, in words, when somebody is to be told now; and what is to be remembered of it.

    The words are empty where nothing is counted, and None when nobody is told.
    """
    once, target = terms.once, to.key(terms.scope, route)
    if once is None and terms.after is None:
        return "", None
    told = f"{rule.ref.id} told"
    if once is not None and any(now - once < each.at <= now for each in _triggers(history, told, target)):
        return None, None
    if terms.after is None:
        return "", Trigger(target=target, rule=told, count=1, needed=1, nth=_nth(history, target))
    trigger = _counted(terms.after, rule.ref.id, target, history, now)
    if trigger.count < trigger.needed:
        return None, trigger
    return _often(trigger, terms.after), evolve(trigger, rule=told)


def recovered(suspensions: Iterable[Suspension], now: datetime) -> Iterator[Recovered]:
    """Yield what mail that was delivered now takes back: it ends what is to end by it, and what is over recovers."""
    for each in suspensions:
        binds = each.active(now)
        if each.well_at is None and each.since <= now and (each.ends_on_success or not binds):
            yield Recovered(target=each.target)


def _suspend(terms: SuspendTerms, rule: Rule, target: str, history: History, now: datetime) -> Suspend:
    former = next((each for each in history.suspensions if each.target == target), None)
    times, usual = 1, _traffic(history, target).an_hour(now)
    if former is not None and former.rule.id == rule.ref.id:
        if former.active(now):  # what was under way when it began says nothing new
            return Suspend(
                target=target,
                until=former.until,
                times=former.times,
                usual=former.usual,
                ends_on_success=former.ends_on_success,
            )
        again = now < former.until + (former.until - former.since)
        if again:  # a few probes are not what usually goes there
            usual = max(usual, former.usual)
            times = former.times + 1 if terms.longest is not None else 1
    longest = terms.longest or terms.lasting
    doublings = min(times - 1, (longest // terms.lasting).bit_length())
    until = now + min(terms.lasting * 2**doublings, longest)
    return Suspend(target=target, until=until, times=times, usual=usual, ends_on_success=terms.ends_on_success)


def _throttle(terms: ThrottleTerms, target: str, history: History, now: datetime) -> Throttle:
    former = next((each for each in history.throttlings if each.target == target), None)
    slower = terms.rate or half(_traffic(history, target), now)
    if terms.rate is None and former is not None and former.active(now):
        slower = former.rate  # half of a half, of what was under way when it began, would soon be nothing
    return Throttle(target=target, rate=slower, until=now + terms.lasting)


def _often(trigger: Trigger, often: Often) -> str:
    """How often it came.

    >>> from datetime import timedelta
    >>> there = Trigger(target="ours.example#bulk", rule="no-such-mailbox", count=11, needed=11, nth=340)
    >>> _often(there, Often(needed=11, within=timedelta(days=1), among=500))
    '11 of the newest 340 attempts: mail from ours.example, stream bulk'
    """
    newest = "" if often.among is None else f" of the newest {min(often.among, trigger.nth)} attempts"
    return f"{trigger.count}{newest}: {in_words(trigger.target)}"


def _counted(often: Often, rule: str, target: str, history: History, now: datetime) -> Trigger:
    """What counts towards so many, or above."""
    nth = _nth(history, target)
    oldest = 0 if often.among is None else nth - often.among + 1
    count = 1 + sum(
        now - often.within <= each.at <= now and each.nth >= oldest for each in _triggers(history, rule, target)
    )
    return Trigger(target=target, rule=rule, count=count, needed=often.needed, nth=nth)


def _triggers(history: History, rule: str, target: str) -> Iterator[PastTrigger]:
    return (each for each in history.triggers if (each.rule, each.target) == (rule, target))


def _nth(history: History, target: str) -> int:
    """Which attempt there this one is."""
    return _traffic(history, target).total + 1


def _traffic(history: History, target: str) -> Traffic:
    return next((each for each in history.traffics if each.target == target), Traffic(target=target))
