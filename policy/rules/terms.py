"""The values that sections and modifiers hold: schedules, routes, streams, and the terms of a suppression."""

import re
from datetime import timedelta
from typing import Any

from attrs import evolve

from policy.address import parse_domain
from policy.decision import Action, Scope, Strength
from policy.destination import Reach
from policy.history import TRIGGERS_KEPT
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
    identifier,
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
from policy.rules.rule import Lasting, Stream, SuppressTerms, SuspendTerms, ThrottleTerms
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

_RATE = re.compile(r"([1-9][0-9]{0,8})/(\S+)")
HALF = "half"


@kind("how many in how long, such as `100/1h`", {"type": "string", "pattern": "^[1-9][0-9]{0,8}/[0-9smhdw]+$"})
def rate(report: Report, node: Node) -> Rate | None:
    """`100/1h`: so many messages in such a time, evenly."""
    found = _RATE.fullmatch(node.text) if isinstance(node, Scalar) else None
    if found is None:
        report.problem(node, "bad-rate", f"{shown(node)} is no rate; write how many in how long, `100/1h`")
        return None
    span = duration(report, Scalar(found[2], False, node.line, node.column))
    return None if span is None else Rate(int(found[1]), span)


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


_AFTER = re.compile(r"([0-9]{1,3}) in (\S+)")


@kind("how many in how long, such as `20 in 15m`", {"type": "string", "pattern": "^[0-9]{1,3} in [0-9smhdw]+$"})
def _after(report: Report, node: Node) -> tuple[int, timedelta] | None:
    """`20 in 15m`: so many decisions of the rule in such a time."""
    found = _AFTER.fullmatch(node.text) if isinstance(node, Scalar) else None
    if found is None or not 2 <= int(found[1]) <= TRIGGERS_KEPT:
        message = f"{shown(node)} does not say how many in how long; write `20 in 15m`, with 2 to {TRIGGERS_KEPT}"
        report.problem(node, "bad-after", message)
        return None
    span = duration(report, Scalar(found[2], False, node.line, node.column))
    return None if span is None else (int(found[1]), span)


_REACH = Key(
    choice(members(Reach), "scope"),
    "What: this sender to this provider (`pair`, by default), all mail to the provider or domain, this sender's mail "
    "of the stream, whatever goes by the route.",
)
SUSPEND: Keys = {
    "for": Key(duration, "For how long nothing is sent there.", required=True),
    "scope": _REACH,
    "longest": Key(duration, "When it comes again soon after, it lasts twice as long each time, up to this."),
    "after": Key(_after, "How many decisions of this rule it takes in which time; without it the first suspends."),
    "ends_on_success": Key(flag, "A delivery there, of mail that was under way, ends it before its time."),
}


def _suspend(report: Report, node: Node) -> SuspendTerms | None:
    found = fields(report, node, "`suspend`", SUSPEND)
    given: dict[str, Any] = {key: SUSPEND[key].kind(report, value) for key, value in found.items()}
    lasting, longest = given.get("for"), given.get("longest")
    needed, within = given.get("after") or (1, timedelta(0))
    if lasting is None:
        return None
    if longest is not None and longest < lasting:
        report.problem(found["longest"], "bad-suspend", "`longest` is shorter than `for`")
    terms = SuspendTerms(lasting=lasting, longest=longest, needed=needed, within=within)
    more = {key: given[key] for key in ("scope", "ends_on_success") if given.get(key) is not None}
    return evolve(terms, **more)


suspend: Kind[SuspendTerms] = Kind(_suspend, schema_of(SUSPEND), "terms of a suspension")


@kind("rate, or `half`", {"anyOf": [{"const": HALF}, rate.schema]})
def _slower(report: Report, node: Node) -> Rate | str | None:
    """A rate, or half of what went there in the last hour."""
    return HALF if isinstance(node, Scalar) and node.text == HALF else rate(report, node)


THROTTLE: Keys = {
    "rate": Key(_slower, "How many messages in how long; `half` of what went there in the last hour.", required=True),
    "for": Key(duration, "For how long.", required=True),
    "scope": _REACH,
    "after": Key(_after, "How many decisions of this rule it takes in which time; without it the first throttles."),
}


def _throttle(report: Report, node: Node) -> ThrottleTerms | None:
    found = fields(report, node, "`throttle`", THROTTLE)
    given: dict[str, Any] = {key: THROTTLE[key].kind(report, value) for key, value in found.items()}
    slower, lasting = given.get("rate"), given.get("for")
    if slower is None or lasting is None:
        return None
    needed, within = given.get("after") or (1, timedelta(0))
    return ThrottleTerms(
        rate=None if slower == HALF else slower,
        lasting=lasting,
        needed=needed,
        within=within,
        scope=given.get("scope") or Reach.PAIR,
    )


throttle: Kind[ThrottleTerms] = Kind(_throttle, schema_of(THROTTLE), "terms of a throttle")

ALERT: Keys = {
    "to": Key(identifier, "Whom to tell.", required=True),
    "after": Key(duration, "Not of messages that were first tried less long ago.", required=True),
}


def _alert(report: Report, node: Node) -> tuple[str, timedelta] | None:
    """A name, or a map of whom and how late."""
    if isinstance(node, Scalar):
        name = identifier(report, node)
        return None if name is None else (name, timedelta(0))
    found = {key: ALERT[key].kind(report, value) for key, value in fields(report, node, "`alert`", ALERT).items()}
    to, after = found.get("to"), found.get("after")
    return None if to is None or after is None else (to, after)


alert: Kind[tuple[str, timedelta]] = Kind(
    _alert, {"anyOf": [identifier.schema, schema_of(ALERT)]}, "name, or a map of whom and how late"
)

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
