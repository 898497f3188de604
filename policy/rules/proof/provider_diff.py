"""Hosts and domains that another provider has in the new policy: what that changes, tried on many replies."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice, product

from attrs import evolve

from policy.address import Address
from policy.attempt import Attempt, Command
from policy.decide import decide
from policy.history import History
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.proof.change import Change, differ
from policy.rules.proof.witness import Witness

_NAMES = 100  # names that are tried; more are only told to be possible


def provider_changes(old: Policy, new: Policy, *, now: datetime) -> Iterator[Change]:
    """Yield a change for each pair of providers between which names move."""
    moved: dict[tuple[str | None, str | None], list[Attempt]] = {}
    for attempt in _spoken_of(old, new):
        pair = old.provider_of(attempt), new.provider_of(attempt)
        if pair[0] != pair[1]:
            moved.setdefault(pair, []).append(attempt)
    for (before, after), attempts in moved.items():
        says = (f"{_names(attempts)}: provider {before or 'not known'} becomes {after or 'not known'}",)
        witness = _shown(old, new, attempts, now)
        if witness is None:
            yield Change(pairs=(), says=says)
            continue
        one, other = (decide(each, witness.attempt, History(), now=now, spread=0.5) for each in (old, new))
        yield Change(pairs=((one.rule, other.rule),), says=says, witness=witness, before=one, after=other)


def _spoken_of(*policies: Policy) -> Iterator[Attempt]:
    """An attempt for each domain, host and name that a policy says of a provider."""
    said = [each for policy in policies for each in policy.providers.items()]
    usual = Attempt(outcome=parse_reply("550"), command=Command.RCPT, recipient=Address("jo", "elsewhere.example"))
    for domain in dict.fromkeys(domain for _, each in said for domain in each.domains):
        yield evolve(usual, recipient=Address("jo", domain))
    for host in dict.fromkeys(host for _, each in said for host in each.mx):
        yield evolve(usual, mx=host)
    for name in dict.fromkeys(name for own, each in said for name in (own, *each.names)):
        yield evolve(usual, provider=name)


def _names(attempts: list[Attempt]) -> str:
    names = [each.provider or each.mx or (each.recipient.domain if each.recipient else "") for each in attempts]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"`{name}`" for name in names[:3]) + more


def _shown(old: Policy, new: Policy, attempts: list[Attempt], now: datetime) -> Witness | None:
    for attempt, reply in product(islice(attempts, _NAMES), _replies(old)):
        tried = evolve(attempt, outcome=parse_reply(reply), at=now)
        if differ(*(decide(each, tried, History(), now=now, spread=0.5) for each in (old, new))):
            return Witness(tried, History())
    return None


def _replies(policy: Policy) -> list[str]:
    """Replies that say much, and those that providers mean in their own way."""
    knowledge = policy.knowledge
    stated = [f"{status[0]}50 {status}" for _, status in knowledge.provider_statuses]
    told = [each.yes[0] for each in knowledge.signatures if each.providers]
    plain = ["550 5.1.1 User unknown", "450 4.7.1 Greylisted", "421 4.7.0 Too many connections", "550", "450", "250 ok"]
    return list(dict.fromkeys([*plain, *stated, *told]))
