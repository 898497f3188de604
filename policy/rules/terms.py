"""The values that sections and modifiers hold: schedules, routes, streams, and the terms of a suppression."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from policy.decision import Action, Scope, Strength
from policy.retry import Schedule
from policy.rules.reading import (
    Report,
    choice,
    duration,
    fields,
    flag,
    identifier,
    members,
    number,
    percent,
    several,
    string,
)
from policy.rules.rule import Lasting, SuppressTerms
from policy.yamlfile import Node


def schedule(report: Report, node: Node) -> Schedule | None:
    """`{first | waits, factor, longest, spread, give_up, tries, hint}`."""
    read = {
        "first": duration, "waits": several(duration), "factor": number(1, 100), "longest": duration,
        "spread": percent, "give_up": duration, "tries": number(1, 1000), "hint": duration,
    }  # fmt: skip
    found = fields(report, node, "a schedule", read, required=("give_up",))
    given: dict[str, Any] = {key: read[key](report, value) for key, value in found.items()}
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


def route(report: Report, node: Node) -> str | None:
    """`{to: mx}` or `{to: "smtp://host:port"}`."""
    found = fields(report, node, "a route", ("to",), required=("to",))
    return string(report, found["to"]) if "to" in found else None


def stream(report: Report, node: Node) -> timedelta | None:
    """`{give_up: 2d}`."""
    found = fields(report, node, "a stream", ("give_up",), required=("give_up",))
    return duration(report, found["give_up"]) if "give_up" in found else None


def suppression(report: Report, node: Node) -> dict[Strength, Lasting]:
    """`{weak: {for, again_apart, again}, strong: {for}}`."""
    lasting = {}
    for key, value in fields(report, node, "`suppression`", ("weak", "strong")).items():
        found = fields(report, value, f"`{key}`", ("for", "again_apart", "again"), required=("for",))
        spans = {name: duration(report, each) for name, each in found.items()}
        if ("again" in spans) != ("again_apart" in spans):
            report.problem(value, "missing-key", "`again` and `again_apart` go together")
        lasting[Strength(key)] = Lasting(
            lasting=spans.get("for"), again_apart=spans.get("again_apart"), again=spans.get("again")
        )
    return lasting


def _suppress(report: Report, node: Node) -> SuppressTerms | None:
    read = {
        "scope": choice(members(Scope), "scope"), "strength": choice(members(Strength), "strength"),
        "strikes": number(1, 32), "within": duration, "apart": duration, "for": duration,
    }  # fmt: skip
    found = fields(report, node, "`suppress`", read)
    given: dict[str, Any] = {key: read[key](report, value) for key, value in found.items()}
    if "for" in given:
        given["lasting"] = given.pop("for")
    terms = SuppressTerms(**{key: value for key, value in given.items() if value is not None})
    if terms.strikes > 1 and terms.apart * (terms.strikes - 1) > terms.within:
        report.problem(node, "bad-strikes", f"{terms.strikes} strikes this far `apart` do not fit `within`")
    return terms


def _suspend(report: Report, node: Node) -> timedelta | None:
    found = fields(report, node, "`suspend`", ("for",), required=("for",))
    return duration(report, found["for"]) if "for" in found else None


MODIFIERS: dict[str, Callable[[Report, Node], Any]] = {
    "schedule": identifier,
    "route": identifier,
    "suppress": _suppress,
    "suspend": _suspend,
    "split": flag,
    "reconnect": flag,
    "alert": identifier,
    "remedy": string,
}
ONLY_WITH = {
    "suppress": (Action.HARD_BOUNCE, Action.RETRY),
    "schedule": (Action.RETRY,),
    "route": (Action.RETRY,),
    "split": (Action.RETRY,),
    "reconnect": (Action.RETRY,),
}
