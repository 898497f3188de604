"""The terms of what a rule does to a destination, and of whom it tells: how often, how long, how fast."""

import re
from datetime import timedelta
from typing import Any

from attrs import evolve

from policy.destination import Reach
from policy.history import TRIGGERS_KEPT
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
    schema_of,
    shown,
)
from policy.rules.rule import AlertTerms, Often, SuspendTerms, ThrottleTerms
from policy.text import clean
from policy.throttle import Rate
from policy.yamlfile import Node, Scalar

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


_AFTER = re.compile(r"([0-9]+)(?: of ([0-9]+))?(?: in (.*\S))?")
_MOST_AMONG = 9_999_999
_WAYS = "does not say how many in how long; write `20 in 15m` or `10 of 500 in 1d`"
_AFTER_SCHEMA = {"type": "string", "pattern": "^[0-9]{1,3}( of [0-9]{1,7})? in [0-9smhdw]+$"}


@kind("how often, such as `20 in 15m` or `10 of 500 in 1d`", _AFTER_SCHEMA)
def _after(report: Report, node: Node) -> Often | None:
    """`20 in 15m`: so many decisions of the rule in such a time; `10 of 500 in 1d`: among the newest 500 attempts."""
    found = _AFTER.fullmatch(node.text) if isinstance(node, Scalar) else None
    wrong = _WAYS if found is None else _wrong_after(*found.groups())
    if found is None or wrong is not None:
        report.problem(node, "bad-after", f"{shown(node)} {wrong}")
        return None
    span = duration(report, Scalar(found[3], False, node.line, node.column))
    among = None if found[2] is None else int(found[2])
    return None if span is None else Often(needed=int(found[1]), within=span, among=among)


def _wrong_after(needed: str, among: str | None, span: str | None) -> str | None:
    """Which part of `needed of among in span` is wrong; None: none of what is counted here."""
    if len(needed) > 3 or not 2 <= int(needed) <= TRIGGERS_KEPT:
        few = "; for the first one, leave `after` out" if needed == "1" else ""
        return f"needs 2 to {TRIGGERS_KEPT} decisions, not {clean(needed, limit=20)}{few}"
    if among is not None and len(among) > 7:
        return f"counts among {clean(among, limit=20)} attempts; no more than {_MOST_AMONG} are counted"
    if among is not None and int(among) < int(needed):
        return f"can never be: there are no {needed} among {among}"
    if span is None or " " in span:
        wrong = "does not say in how long" if span is None else f"says `{clean(span, limit=20)}`, which is no duration"
        return f"{wrong}; write `{needed}{'' if among is None else f' of {among}'} in 1d`"
    return None


_REACH = Key(
    choice(members(Reach), "scope"),
    "What: this sender to this provider (`pair`, by default), all mail to the provider or domain, this sender's mail "
    "of the stream or of the campaign (tag `campaign`; without one, of the stream), whatever goes by the route.",
)
_OFTEN = Key(
    _after,
    "How many decisions of this rule it takes in which time, and among how many of the newest attempts there; without "
    "it the first is enough.",
)
SUSPEND: Keys = {
    "for": Key(duration, "For how long nothing is sent there.", required=True),
    "scope": _REACH,
    "longest": Key(duration, "When it comes again soon after, it lasts twice as long each time, up to this."),
    "after": _OFTEN,
    "ends_on_success": Key(flag, "A delivery there, of mail that was under way, ends it before its time."),
}


def _suspend(report: Report, node: Node) -> SuspendTerms | None:
    found = fields(report, node, "`suspend`", SUSPEND)
    given: dict[str, Any] = {key: SUSPEND[key].kind(report, value) for key, value in found.items()}
    lasting, longest = given.get("for"), given.get("longest")
    if lasting is None:
        return None
    if longest is not None and longest < lasting:
        report.problem(found["longest"], "bad-suspend", "`longest` is shorter than `for`")
    terms = SuspendTerms(lasting=lasting, longest=longest, after=given.get("after"))
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
    "after": _OFTEN,
}


def _throttle(report: Report, node: Node) -> ThrottleTerms | None:
    found = fields(report, node, "`throttle`", THROTTLE)
    given: dict[str, Any] = {key: THROTTLE[key].kind(report, value) for key, value in found.items()}
    slower, lasting = given.get("rate"), given.get("for")
    if slower is None or lasting is None:
        return None
    return ThrottleTerms(
        rate=None if slower == HALF else slower,
        lasting=lasting,
        after=given.get("after"),
        scope=given.get("scope") or Reach.PAIR,
    )


throttle: Kind[ThrottleTerms] = Kind(_throttle, schema_of(THROTTLE), "terms of a throttle")


@kind("duration, or how often", {"anyOf": [duration.schema, _AFTER_SCHEMA]})
def _late(report: Report, node: Node) -> timedelta | Often | None:
    """`1h`: of messages that are older; `10 of 500 in 1d`: when the rule decided so often."""
    often = isinstance(node, Scalar) and " " in node.text
    return _after(report, node) if often else duration(report, node)


ALERT: Keys = {
    "to": Key(identifier, "Whom to tell.", required=True),
    "after": Key(
        _late,
        "Not of messages that were first tried less long ago (`1h`), or not before the rule decided so often "
        "(`10 of 500 in 1d`).",
    ),
    "once": Key(duration, "No more than once in such a time; where `after` counts, the time in which it counts."),
    "scope": Key(_REACH.kind, "What is counted as one, as in `suspend`."),
}


def _alert(report: Report, node: Node) -> AlertTerms | None:
    """A name, or a map of whom and when."""
    if isinstance(node, Scalar):
        name = identifier(report, node)
        return None if name is None else AlertTerms(to=name)
    found = fields(report, node, "`alert`", ALERT)
    given: dict[str, Any] = {key: ALERT[key].kind(report, value) for key, value in found.items()}
    to, after, once = given.get("to"), given.get("after"), given.get("once")
    if to is None:
        return None
    scope = given.get("scope") or Reach.PAIR
    if isinstance(after, Often):
        return AlertTerms(to=to, after=after, once=once or after.within, scope=scope)
    return AlertTerms(to=to, age=after or timedelta(0), once=once, scope=scope)


alert: Kind[AlertTerms] = Kind(
    _alert, {"anyOf": [identifier.schema, schema_of(ALERT)]}, "name, or a map of whom and when"
)
