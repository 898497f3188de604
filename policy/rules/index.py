"""Which rules can hold at all: so that a decision asks a few, however many rules there are.

For each of the common condition keys every value knows, as a set of rules (bits of an integer), which rules name it.
A rule may hold only when, for each key, it names what the facts have or does not name the key. The first of these that
holds decides: the same one that asking all in order would find (a test compares the two).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import define, field

from policy.matching import Phrases
from policy.rules.conditions import CONDITIONS
from policy.rules.rule import Condition, Facts, Rule

_Spoken = Callable[[Facts], Iterable[Any]]


def _codes(facts: Facts) -> Iterable[str]:
    reply = facts.reply
    if reply is None or reply.is_void:
        return ()
    code = str(reply.code)
    return code, f"{code[0]}yz"


# key: the values by which facts fall under a condition of this key
_KEYS: dict[str, _Spoken] = {
    "code": _codes,
    **{key: question.spoken for key, question in CONDITIONS.items() if question.spoken is not None},
}


@define
class _Named:
    """Of one key: the rules that name each value, and those that do not name the key."""

    by_value: dict[Any, int] = field(factory=dict)
    silent: int = 0


class RuleIndex:
    """Rules in order, ready to be asked."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        named = {key: _Named() for key in _KEYS}
        phrases = _Named()
        for number, rule in enumerate(self._rules):
            bit = 1 << number
            spoken = {each.key: each for each in (*rule.within, *rule.when)}
            for key, each in named.items():
                if key not in spoken:
                    each.silent |= bit
            if "text" not in spoken:
                phrases.silent |= bit
            for condition in (*rule.within, *rule.when):
                for value in _values(condition.key, condition.values) if condition.key in named else ():
                    by_value = named[condition.key].by_value
                    by_value[value] = by_value.get(value, 0) | bit
                for phrase in condition.values if condition.key == "text" else ():
                    phrases.by_value[phrase] = phrases.by_value.get(phrase, 0) | bit
        self._unasked = [_unasked(rule) for rule in self._rules]
        self._phrases = phrases
        self._having = list(phrases.by_value.values())
        self._search = Phrases(list(phrases.by_value))
        self._named = [(_KEYS[key], each) for key, each in named.items() if each.by_value]

    def holding(self, facts: Facts) -> Iterator[Rule]:
        """Yield, in order, the rules that hold."""
        for place in self._candidates(facts):
            rule = self._rules[place]
            if all(each.holds(facts) for each in self._unasked[place]) and rule.is_in_force(facts.now):
                yield rule

    def _candidates(self, facts: Facts) -> Iterator[int]:
        """Yield the places of the rules that may hold."""
        left = (1 << len(self._rules)) - 1
        for spoken, named in self._named:
            may = named.silent
            for value in spoken(facts):
                may |= named.by_value.get(value, 0)
            left &= may
        if left & ~self._phrases.silent:  # else no text is asked for
            left &= self._with_phrases(facts.text)
        while left:
            lowest = left & -left
            yield lowest.bit_length() - 1
            left ^= lowest

    def _with_phrases(self, text: str) -> int:
        may = self._phrases.silent
        for place in self._search.found(text) if self._having else ():
            may |= self._having[place]
        return may


def _unasked(rule: Rule) -> tuple[Condition, ...]:
    """The conditions that the index has no answer to: those of other keys, and of a key that the rule names twice."""
    conditions = *rule.within, *rule.when
    times = Counter(each.key for each in conditions)
    return tuple(each for each in conditions if each.key not in _KEYS or times[each.key] > 1)


def _values(key: str, values: tuple[Any, ...]) -> Iterator[Any]:
    """The values of a condition, ranges of codes written out."""
    for value in values:
        if key == "code" and "-" in value:
            low, high = map(int, value.split("-"))
            yield from map(str, range(low, high + 1))
        else:
            yield value
