"""The values that sections and modifiers hold: schedules, routes, streams, and the terms of a suppression."""

import re
from typing import Any

from policy.address import parse_domain
from policy.decision import Action, Scope, Strength
from policy.retry import Schedule
from policy.rules.reading import (
    Key,
    Keys,
    Kind,
    Report,
    choice,
    duration,
    fields,
    flag,
    kind,
    members,
    number,
    percent,
    record,
    reference,
    schema_of,
    several,
    shown,
    string,
)
from policy.rules.restraints import alert, rate, suspend, throttle
from policy.rules.rule import Lasting, Stream, SuppressTerms
from policy.throttle import Rate
from policy.yamlfile import Node, Scalar

SCHEDULE: Keys = {
    "first": Key(duration, "The wait after the first failed attempt; then it grows by `factor`."),
    "waits": Key(several(duration), "Instead of `first`: the first waits, in order."),
    "factor": Key(number(1, 100), "By which the last wait grows each time; 1 repeats it."),
    "longest": Key(duration, "No grown wait is longer than this."),
    "spread": Key(percent, "By which share a wait may be shorter or longer, so that no herd comes back together."),
    "give_up": Key(duration, "How long after the first attempt retrying ends.", required=True),
    "tries": Key(number(1, 1000), "How many attempts in a row may fail before giving up."),
    "hint": Key(duration, "The longest wait that a reply may ask for and get; without it, replies are not asked."),
}


def _schedule(report: Report, node: Node) -> Schedule | None:
    found = fields(report, node, "a schedule", SCHEDULE)
    given: dict[str, Any] = {key: SCHEDULE[key].kind(report, value) for key, value in found.items()}
    if ("first" in found) == ("waits" in found):
        report.problem(node, "bad-schedule", "a schedule has either `first` or `waits`")
        return None
    first = given.pop("first", None)
    given["waits"] = given.get("waits") or ((first,) if first else None)
    if given["waits"] and given.get("longest") and given["longest"] < given["waits"][-1]:
        report.problem(found["longest"], "bad-schedule", "`longest` is shorter than the last wait")
    if any(value is None for value in given.values()) or "give_up" not in given:
        return None
    return Schedule(**given)


schedule: Kind[Schedule] = Kind(_schedule, schema_of(SCHEDULE), "schedule")


_ROUTE_TO = re.compile(r"(?:smtp|lmtp)://(\[[0-9A-Za-z:.]+\]|[^/:\[\]\s]+)(?::([0-9]{1,5}))?")


@kind("`mx`, or a URL such as `smtp://relay.example.net:587`", {"type": "string", "pattern": "^(mx$|smtp://|lmtp://)"})
def _next_hop(report: Report, node: Node) -> str | None:
    """Where a route goes: the recipient's MX hosts, or one host of ours."""
    text = node.text if isinstance(node, Scalar) else ""
    found = _ROUTE_TO.fullmatch(text)
    if text == "mx" or (found and _is_host(found[1]) and 0 < int(found[2] or 25) < 65536):
        return text
    report.problem(node, "bad-route", f"{shown(node)} is no route; write `mx` or `smtp://relay.example.net:587`")
    return None


def _is_host(text: str) -> bool:
    try:
        return bool(parse_domain(text))
    except ValueError:
        return False


ROUTE: Keys = {"to": Key(_next_hop, "Where it goes: to the recipient's MX hosts, or to one host.", required=True)}
route: Kind[str] = record("a route", ROUTE, lambda given: str(given["to"]))

STREAM: Keys = {
    "give_up": Key(duration, "How long mail of this stream is retried at most."),
    "wanted": Key(flag, "Its recipients asked for each message: weak and quota suppressions do not stop it."),
}
stream: Kind[Stream] = record("a stream", STREAM, lambda given: Stream(**given))

LIMIT: Keys = {"rate": Key(rate, "How many messages in how long, for each sender to each provider.", required=True)}
limit: Kind[Rate] = record("a limit", LIMIT, lambda given: given["rate"])

LASTING: Keys = {
    "for": Key(duration, "How long an entry of this strength lasts.", required=True),
    "again_apart": Key(duration, "An earlier entry at least this old makes the new one last as `again` says."),
    "again": Key(duration, "How long when the address failed again."),
}


def _lasting(report: Report, node: Node) -> Lasting | None:
    found = fields(report, node, "a strength", LASTING)
    spans = {key: duration(report, value) for key, value in found.items()}
    if ("again" in spans) != ("again_apart" in spans):
        report.problem(node, "missing-key", "`again` and `again_apart` go together")
    return Lasting(lasting=spans.get("for"), again_apart=spans.get("again_apart"), again=spans.get("again"))


lasting: Kind[Lasting] = Kind(_lasting, schema_of(LASTING), "strength")
SUPPRESSION: Keys = {
    "weak": Key(lasting, "A pause, for what is not sure."),
    "strong": Key(lasting, "For what is said in so many words."),
}
suppression: Kind[dict[Strength, Lasting]] = record(
    "`suppression`", SUPPRESSION, lambda given: {Strength(key): value for key, value in given.items()}
)

SUPPRESS: Keys = {
    "scope": Key(choice(members(Scope), "scope"), "What is suppressed; the address by default."),
    "strength": Key(choice(members(Strength), "strength"), "How sure it is, so how long; strong by default."),
    "strikes": Key(number(1, 32), "How many failures it takes, counted from 1; 1 by default."),
    "within": Key(duration, "How old a strike may be; 90d by default."),
    "apart": Key(duration, "How far apart two failures must be to count as two; 1d by default."),
    "for": Key(duration, "How long, whatever the strength says."),
    "meanwhile": Key(
        choice({each.value: each for each in (Strength.WEAK, Strength.STRONG)}, "strength"),
        "While the strikes of a domain do not suffice yet: suppress the address alone, this surely.",
    ),
}


def _suppress(report: Report, node: Node) -> SuppressTerms | None:
    found = fields(report, node, "`suppress`", SUPPRESS)
    given: dict[str, Any] = {key: SUPPRESS[key].kind(report, value) for key, value in found.items()}
    if "for" in given:
        given["lasting"] = given.pop("for")
    terms = SuppressTerms(**{key: value for key, value in given.items() if value is not None})
    if terms.strikes > 1 and terms.apart * (terms.strikes - 1) > terms.within:
        report.problem(node, "bad-strikes", f"{terms.strikes} strikes this far `apart` do not fit `within`")
    if terms.meanwhile is not None and (terms.scope is not Scope.DOMAIN or terms.strikes == 1):
        message = "`meanwhile` goes with `scope: domain` and several `strikes`"
        report.problem(found["meanwhile"], "misplaced-modifier", message)
    return terms


suppress: Kind[SuppressTerms] = Kind(_suppress, schema_of(SUPPRESS), "terms of a suppression")


MODIFIERS: Keys = {
    "schedule": Key(reference("schedule"), "When the next attempts are."),
    "route": Key(reference("route"), "Which way the next attempt takes."),
    "suppress": Key(suppress, "Send nothing more to the address, or to its domain."),
    "suspend": Key(suspend, "Send nothing there for a while."),
    "throttle": Key(throttle, "Send slower there for a while."),
    "split": Key(flag, "Go on with this recipient in a transaction of its own."),
    "reconnect": Key(flag, "Close the connection and open a new one; it does not count as an attempt."),
    "in_clear": Key(flag, "Send once without TLS, where opportunistic TLS failed."),
    "trust_forward": Key(
        flag,
        "Approve the forward path, where the host proved its name (`tls: authenticated`) and it is in the same "
        "registered domain.",
    ),
    "alert": Key(alert, "Whom to tell; a name of your own, such as `page`, `ops`, `digest`."),
    "remedy": Key(string, "What a person can check or do, instead of our own advice."),
}
THEN: Keys = {
    "action": Key(choice(members(Action), "action"), "What happens to the message.", required=True),
    **MODIFIERS,
}

ONLY_WITH = {
    "suppress": (Action.HARD_BOUNCE, Action.RETRY, Action.ACCEPT),
    "schedule": (Action.RETRY,),
    "route": (Action.RETRY,),
    "split": (Action.RETRY,),
    "reconnect": (Action.RETRY,),
    "in_clear": (Action.RETRY,),
    "trust_forward": (Action.ACCEPT_AND_NOTE_FORWARD,),
}
