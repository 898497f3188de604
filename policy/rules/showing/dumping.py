"""A policy as the text of one rules file that says the same: values written in the words of the rules language.

The file has `extends: none` and loads to a policy with the same rules in force in the same order and the same names
in every place (`in_force`). Left out are a rule whose scope and conditions exclude each other, and the last rule of
the bottom, which is always there. What no single file can say is told in comments.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from policy.destination import Reach
from policy.matching import Pattern
from policy.retry import Schedule
from policy.rules.conditions import Span
from policy.rules.layer import EVERYONE
from policy.rules.layer_reader import LANGUAGE
from policy.rules.policy import Place, Policy
from policy.rules.restraints import HALF
from policy.rules.rule import (
    AlertTerms,
    Condition,
    Example,
    Lasting,
    Stream,
    SuppressTerms,
    SuspendTerms,
    Then,
    ThrottleTerms,
)
from policy.rules.showing.effective import Effective, RuleInForce, effective
from policy.rules.showing.layout import Line, Origins, flow, laid_out, text_of
from policy.rules.showing.resolution import Name, Said
from policy.text import clean
from policy.throttle import Rate

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def dump(policy: Policy) -> str:
    """Return one rules file that says what the policy says."""
    return file_text(effective(policy))


def file_text(whole: Effective, origins: Origins | None = None) -> str:
    """Return the text of a rules file; with `origins`, each value's in a comment beside it."""
    notes = [Line(f"# {clean(_elsewhere(place, name, said))}") for place, name, said in whole.unsaid]
    if origins is not None and whole.last is not None:
        notes.append(Line(f"# {whole.last.ref} decides about all else: {flow(_then(whole.last.then))}"))
    return text_of([*laid_out(document(whole), origins), *([Line(""), *notes] if notes else [])])


def document(whole: Effective) -> dict[str, Any]:
    """Return what is in force as the tree of a rules file; its words, whole numbers and flags are not spelt yet."""
    found: dict[str, Any] = {"mailverdict": int(LANGUAGE), "extends": "none", "disable": list(whole.disabled)}
    found["never_suppress"] = list(whole.spared)
    found |= _sections(whole.names[EVERYONE])
    scoped = [(where, _sections(names)) for where, names in whole.names.items() if where != EVERYONE]
    providers = {
        name: {key: list(getattr(each, key)) for key in ("mx", "domains", "names") if getattr(each, key)}
        for name, each in whole.providers.items()
    }
    for where, said in scoped:
        if where.provider in providers:
            providers[where.provider] |= said
    found["providers"] = providers
    found["rules"] = [written_rule(each) for each in whole.rules]
    found["domains"] = {where.domain: said for where, said in scoped if where.domain is not None}
    return {key: value for key, value in found.items() if value not in ([], {})}


def _elsewhere(place: Place, name: Name, said: Said) -> str:
    """One line for a name that has another value in a place than its file can say."""
    section, key = name
    value = flow(_WRITERS[section](said.value))
    return f"one file cannot say: `{section}` of {place.domain} at {place.provider} has {_word(key)}: {value}"


def _sections(names: Mapping[Name, Said]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (section, key), said in names.items():
        found.setdefault(section, {})[_word(key)] = _WRITERS[section](said.value)
    return found


def written_rule(each: RuleInForce) -> dict[str, Any]:
    """Return a rule as the tree of its text."""
    rule = each.rule
    found: dict[str, Any] = {
        "id": each.id,
        "when": written_conditions(each.when),
        "then": _then(rule.then),
        "examples": [_example(one) for one in rule.examples],
        "counterexamples": [_example(one) for one in rule.counterexamples],
        "note": rule.note,
        "owner": rule.owner,
        "mode": "observe" if rule.observing else "",
        "expires": f"{rule.expires:%Y-%m-%d}" if rule.expires else "",
        "despite": _some(rule.despite),
    }
    return {key: value for key, value in found.items() if value not in ("", [], {})}


def written_conditions(conditions: Iterable[Condition]) -> dict[str, Any]:
    """Return a `when` as a tree."""
    return {
        each.key: written_conditions(each.values[0])
        if each.key == "not"
        else _one_or_several([_value(each.key, value) for value in each.values])
        for each in conditions
    }


def duration_text(span: timedelta) -> str:
    """Spell a duration as people do.

    >>> [duration_text(timedelta(seconds=each)) for each in (90, 120, 5400, 86400, 345600, 90061)]
    ['90s', '2m', '1h30m', '1d', '4d', '1d1h1m1s']
    """
    left = round(span.total_seconds())
    if left < 120 and left % 60:
        return f"{left}s"
    text = ""
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text


def _value(key: str, value: Any) -> Any:
    """One value of a condition."""
    if key == "recipients":
        return "one" if value else "several"
    if isinstance(value, Pattern):
        return value.pattern
    if isinstance(value, Span):
        if value.low == value.high and isinstance(value.low, int):
            return value.low
        return {name: _word(end) for name, end in (("min", value.low), ("max", value.high)) if end is not None}
    return "=".join(value) if isinstance(value, tuple) else _word(value)


def _word(value: Any) -> Any:
    """A scalar of the language: a word, a whole number or a flag."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Rate):
        return f"{value.count}/{duration_text(value.per)}"
    return duration_text(value) if isinstance(value, timedelta) else value


def _one_or_several(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _some(values: Iterable[Any]) -> Any:
    """Nothing, one word, or a list."""
    words = [_word(value) for value in values]
    return _one_or_several(words) if words else []


def _example(example: Example) -> Any:
    said = dict(example.said)
    return said["reply"] if said.keys() == {"reply"} else said


def _then(then: Then) -> dict[str, Any]:
    found: dict[str, Any] = {
        "action": then.action,
        "schedule": then.schedule,
        "route": then.route,
        "suppress": None if then.suppress is None else _suppress(then.suppress),
        "suspend": None if then.suspend is None else _suspend(then.suspend),
        "throttle": None if then.throttle is None else _throttle(then.throttle),
        "split": then.split or None,
        "reconnect": then.reconnect or None,
        "in_clear": then.in_clear or None,
        "trust_forward": then.trust_forward or None,
        "alert": None if then.alert is None else _alert(then.alert),
        "remedy": then.remedy,
    }
    return _given(found)


def _suppress(terms: SuppressTerms) -> dict[str, Any]:
    """How sure it always is; the rest when it is not as usual."""
    usual = SuppressTerms()
    counts = {key: getattr(terms, key) for key in ("strikes", "apart", "within")}
    counted = any(value != getattr(usual, key) for key, value in counts.items())
    return _given(
        {
            "scope": terms.scope if terms.scope is not usual.scope else None,
            "strength": terms.strength,
            **(counts if counted else {}),
            "for": terms.lasting,
            "meanwhile": terms.meanwhile,
        }
    )


def _suspend(terms: SuspendTerms) -> dict[str, Any]:
    found = {"for": terms.lasting, "longest": terms.longest, **_counted(terms)}
    return _given({**found, "ends_on_success": terms.ends_on_success or None})


def _throttle(terms: ThrottleTerms) -> dict[str, Any]:
    return _given({"rate": terms.rate or HALF, "for": terms.lasting, **_counted(terms)})


def _counted(terms: SuspendTerms | ThrottleTerms | AlertTerms) -> dict[str, Any]:
    scope, often = None if terms.scope is Reach.PAIR else terms.scope, terms.after
    if often is None:
        return {"scope": scope}
    among = "" if often.among is None else f" of {often.among}"
    return {"scope": scope, "after": f"{often.needed}{among} in {duration_text(often.within)}"}


def _alert(terms: AlertTerms) -> dict[str, Any] | str:
    """The name alone, where it is told each time."""
    once = None if terms.after is not None and terms.once == terms.after.within else terms.once
    found = _given({"after": terms.age or None, **_counted(terms), "once": once})
    return {"to": terms.to, **found} if found else terms.to


def _stream(stream: Stream) -> dict[str, Any]:
    return _given({"give_up": stream.give_up, "wanted": stream.wanted or None})


def _schedule(schedule: Schedule) -> dict[str, Any]:
    waits = [_word(wait) for wait in schedule.waits]
    grows = len(waits) == 1 and schedule.factor != 1
    found: dict[str, Any] = {
        "first": waits[0] if grows else None,
        "waits": None if grows else waits,
        "factor": schedule.factor if schedule.factor != 1 else None,
        "longest": schedule.longest,
        "spread": f"{round(schedule.spread * 100)}%" if schedule.spread else None,
        "give_up": schedule.give_up,
        "tries": schedule.tries,
        "hint": schedule.hint,
    }
    return _given(found)


def _lasting(lasting: Lasting) -> dict[str, Any]:
    return _given({"for": lasting.lasting, "again_apart": lasting.again_apart, "again": lasting.again})


def _given(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _word(value) for key, value in found.items() if value is not None}


_WRITERS: Mapping[str, Any] = {
    "defaults": str,
    "schedules": _schedule,
    "routes": lambda to: {"to": to},
    "limits": lambda rate: {"rate": _word(rate)},
    "streams": _stream,
    "suppression": _lasting,
}
