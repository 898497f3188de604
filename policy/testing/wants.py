"""What a golden case may want of a decision: each key, how it is written, what was decided, and when that is it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from attrs import frozen

from policy.contract.decision import EFFECT_NAMES
from policy.decision import Alert, Decision, Effect, Strike, Suppress, Suspend, Throttle
from policy.rules.reading import Kind, Report, duration, several, string
from policy.text import clean
from policy.yamlfile import Node, Scalar, Sequence

_E = TypeVar("_E", bound=Effect)

NONE = "none"
FOR_EVER = "for ever"
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@frozen
class Want:
    """A key of `want`.

    Args:
        says: what it is of a decision.
        kind: how it is written.
        found: what was decided, as texts, spans and lists of them; None: nothing of the kind.
        agrees: is what was found the wanted value?
    """

    says: str
    kind: Kind[Any]
    found: Callable[[Decision, datetime], Any]
    agrees: Callable[[Any, Any], bool] = lambda found, wanted: bool(found == wanted)


def shown(value: Any) -> str:
    """A wanted or found value as a file would write it.

    >>> shown([timedelta(hours=4, seconds=6), "a"])
    '[4h6s, a]'
    """
    if isinstance(value, timedelta):
        return _span(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(shown, value))}]"
    return NONE if value is None else clean(str(value), limit=200)


def _span(value: timedelta) -> str:
    seconds, text = abs(value.total_seconds()), "-" if value < timedelta(0) else ""
    for size, unit in _UNITS[:-1]:
        count, seconds = divmod(seconds, size)
        text += f"{count:.0f}{unit}" if count else ""
    return f"{text}{seconds:g}s" if seconds or not value else text


def _read_word(report: Report, node: Node) -> str | None:
    word = string(report, node)
    return NONE if word == "None" else word


def _read_span(report: Report, node: Node) -> timedelta | str | None:
    text = node.text if isinstance(node, Scalar) else ""
    if text in (NONE, FOR_EVER):
        return text
    return timedelta(0) if text == "0s" else duration(report, node)


def _read_range(report: Report, node: Node) -> tuple[Any, ...] | None:
    ends = several(_SPAN)(report, node)
    if ends is not None and len(ends) != 2:
        report.problem(node, "bad-type", "`between` needs two time spans, the shortest and the longest")
        return None
    return ends


def _read_words(report: Report, node: Node) -> tuple[str, ...] | None:
    return () if isinstance(node, Sequence) and not node.items else several(string)(report, node)


_WORD = Kind(_read_word, string.schema, "text, or `none`")
_SPAN: Kind[timedelta | str] = Kind(_read_span, duration.schema, "time span, `for ever` or `none`")
_RANGE = Kind(_read_range, {}, "two time spans, the shortest and the longest")
_WORDS = Kind(_read_words, {}, "list of texts")


def _all(kind: type[_E], decision: Decision) -> list[_E]:
    return [each for each in decision.effects if isinstance(each, kind)]


def _said(get: Callable[[Decision], object]) -> Callable[[Decision, datetime], str]:
    """What is got, as a word of YAML."""

    def found(decision: Decision, _: datetime) -> str:
        value = get(decision)
        return str(value).lower() if isinstance(value, bool) else NONE if value is None else str(value)

    return found


def _of(kind: type[_E], get: Callable[[_E], object]) -> Callable[[Decision, datetime], str]:
    """A field of the effect of a kind; of several effects all."""
    return _said(lambda decision: ", ".join(str(get(each)) for each in _all(kind, decision)) or None)


def _retry_in(decision: Decision, now: datetime) -> timedelta | str:
    return NONE if decision.retry_at is None else decision.retry_at - now


def _gives_up_in(decision: Decision, now: datetime) -> timedelta | str:
    return NONE if decision.give_up_at is None else decision.give_up_at - now


def _lasting(kind: type[Suppress] | type[Suspend] | type[Throttle]) -> Callable[[Decision, datetime], timedelta | str]:
    def found(decision: Decision, now: datetime) -> timedelta | str:
        until = [each.until for each in _all(kind, decision)]
        if len(until) != 1:
            return f"{len(until)} effects" if until else NONE
        return FOR_EVER if until[0] is None else until[0] - now

    return found


def _between(found: Any, wanted: Any) -> bool:
    low, high = wanted
    return all(isinstance(each, timedelta) for each in (found, low, high)) and low <= found <= high


def _laws(decision: Decision, _: datetime) -> list[str]:
    return [each.says for each in decision.evidence if each.kind.value == "law"]


WANTS: Mapping[str, Want] = {
    "action": Want("What happens to the message.", _WORD, _said(lambda each: each.action.value)),
    "suppress": Want("Whether it suppresses now.", _WORD, _said(lambda each: each.suppress)),
    "final": Want("Whether the message's fate is settled.", _WORD, _said(lambda each: each.final)),
    "uncertain": Want("Whether it may have arrived all the same.", _WORD, _said(lambda each: each.uncertain)),
    "category": Want("What the reply means.", _WORD, _said(lambda each: each.category.value)),
    "fault": Want("Whose fault it is.", _WORD, _said(lambda each: each.fault.value)),
    "custody": Want("Whose the retry is.", _WORD, _said(lambda each: each.custody.value)),
    "route": Want("The route of the next try.", _WORD, _said(lambda each: each.route)),
    "rule": Want("The id of the rule that decides.", _WORD, _said(lambda each: each.rule.id)),
    "file": Want("The file of that rule.", _WORD, _said(lambda each: each.rule.file)),
    "effects": Want(
        "The names of all effects, in order.",
        _WORDS,
        lambda decision, _: tuple(EFFECT_NAMES[type(each)] for each in decision.effects),
    ),
    "alert": Want("Who is told.", _WORD, _of(Alert, lambda each: each.to)),
    "forward_path": Want("The forward path that is noted.", _WORD, _said(lambda each: each.forward_path)),
    "scope": Want("How far the suppression reaches.", _WORD, _of(Suppress, lambda each: each.scope.value)),
    "strength": Want("How sure the suppression is.", _WORD, _of(Suppress, lambda each: each.strength.value)),
    "suppressed_for": Want("How long the suppression lasts.", _SPAN, _lasting(Suppress)),
    "suspended_for": Want("How long the destination is left alone.", _SPAN, _lasting(Suspend)),
    "suspends": Want("Which destination is left alone, by its key.", _WORD, _of(Suspend, lambda each: each.target)),
    "throttled_to": Want("How fast mail goes there, `30/1h`.", _WORD, _of(Throttle, lambda each: each.rate)),
    "throttled_for": Want("How long it goes slower.", _SPAN, _lasting(Throttle)),
    "strike": Want(
        "Which strike of how many, `1 of 3`.", _WORD, _of(Strike, lambda each: f"{each.count} of {each.needed}")
    ),
    "retry_in": Want("The wait before the next try, exactly.", _SPAN, _retry_in),
    "between": Want("The same, as the shortest and the longest.", _RANGE, _retry_in, _between),
    "gives_up_in": Want("The time until it is given up.", _SPAN, _gives_up_in),
    "remedy_speaks_of": Want(
        "Words that the remedy has.",
        _WORDS,
        lambda decision, _: decision.remedy,
        lambda found, wanted: all(word in found for word in wanted),
    ),
    "evidence": Want(
        "The first pieces of evidence, in order.",
        _WORDS,
        lambda decision, _: tuple(each.value for each in decision.evidence),
        lambda found, wanted: found[: len(wanted)] == tuple(wanted),
    ),
    "law": Want(
        "Words of the law that held the rule back.",
        _WORD,
        _laws,
        lambda found, wanted: any(wanted in each for each in found),
    ),
}
