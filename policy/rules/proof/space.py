"""The input space of rules, made finite: dimensions as fine as the conditions at hand tell inputs apart, no finer.

Each dimension has atoms that partition all there can be: every code, each enhanced status that a condition could tell
from others (one stands for all that none can), a domain for each that is named and one for all others, a number for
each interval of attempts. Texts are flags: a phrase occurs or not, whatever the rest says. A rule is then a union of
boxes exactly; what cannot occur together is given as boxes too, where it is known. What is not known to be impossible
counts as possible: a proof that nothing is left holds for all inputs, an example has to be tried.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache, partial
from itertools import chain, islice, product
from math import prod
from string import ascii_lowercase
from typing import Any

from attrs import field, frozen

from policy.address import parse_domain
from policy.attempt import Command, Custody, Event, Failure
from policy.diagnosis.knowledge import Knowledge
from policy.reply import EnhancedStatus
from policy.rules.conditions import UNKNOWN_COMMAND, code_matches
from policy.rules.domains import BELOW_ONLY, ITSELF_ONLY, patterns_over
from policy.rules.proof.boxes import IMPOSSIBLE, Box, Claim, Space
from policy.rules.proof.meanings import NOT_SMTP, YES, Meaning, of_event, of_failure, of_refusals
from policy.rules.rule import Condition, Rule

VOID = "void"
OTHER = "other"  # a name that no condition has
_BOXES_OF_A_RULE = 4096
_SHOWN_OF_A_RULE = 8  # of a rule that has more
_UNKNOWN_NAMES = ("elsewhere.example", "elsewhere.test", "elsewhere.invalid", "else-where.invalid")
_LABELS = 1000  # that are tried for a name below another
_JUST_AFTER = timedelta(milliseconds=500)  # durations are whole seconds

# fixed dimensions, by their place
OUTCOME, ENHANCED, COMMAND, MEANING, PROVIDER, DOMAIN, SENDER, MX, STREAM, NUMBER, AGE = range(11)
CUSTODY, RECIPIENTS, FORWARD_PATH, SPLIT, CLEAR, BACKUP, DELIVERED, FLAGS = range(11, 19)

_BOOLEANS = {
    "forward_path": FORWARD_PATH, "split_before": SPLIT, "clear_before": CLEAR, "backup_mx": BACKUP,
    "delivered_before": DELIVERED,
}  # fmt: skip
_FLAG_KEYS = ("text", "pattern", "tag")
NULL = "<>"

Flag = tuple[str, Any]


@frozen
class Dimension:
    """One dimension: its atoms, and which of them each value of a condition allows."""

    atoms: tuple[Any, ...]
    mask: Callable[[Any], int]
    place: Mapping[Any, int] = field(init=False, repr=False)

    @place.default
    def _places(self) -> Mapping[Any, int]:
        return {atom: place for place, atom in enumerate(self.atoms)}

    def of(self, atoms: Iterable[Any]) -> int:
        """The mask of some atoms."""
        places: set[int] = {self.place[atom] for atom in atoms}
        return sum(1 << place for place in places)

    def where(self, holds: Callable[[Any], bool]) -> int:
        """The mask of the atoms for which something holds."""
        return sum(1 << place for place, atom in enumerate(self.atoms) if holds(atom))

    def allowed(self, mask: int | None) -> Iterator[Any]:
        """The atoms of a mask, None for all."""
        return (atom for place, atom in enumerate(self.atoms) if mask is None or mask >> place & 1)


class Abstraction:
    """The space of some rules: its dimensions, each rule as boxes, and what cannot be."""

    def __init__(
        self, rules: Sequence[Rule], knowledge: Knowledge, providers: Iterable[str], streams: Iterable[str] = ()
    ) -> None:
        values = _values_of(rules)
        values.setdefault("stream", {}).update(dict.fromkeys(streams))
        self.dimensions = _dimensions(values, knowledge, tuple(providers))
        self.flags: dict[Flag, int] = {}
        for key in _FLAG_KEYS:
            for value in values.get(key, ()):
                self.flags.setdefault(flag_of(key, value), FLAGS + len(self.flags))
        self.patterns = {value.pattern: value for value in values.get("pattern", ())}
        self.space = Space((*map(len, (each.atoms for each in self.dimensions)), *([2] * len(self.flags))))
        self._knowledge = knowledge

    def boxes(self, rule: Rule) -> list[Box]:
        """The rule as a union of boxes; only a part of it where they would be thousands."""
        masks, choices = self._masks(rule)
        found = []
        for chosen in islice(product(*choices), _BOXES_OF_A_RULE):
            box = dict(masks)
            for dimension in chosen:
                box[dimension] = box.get(dimension, 3) & 2
            found.append(self.space.box(box))
        return [box for box in found if not box.is_empty]

    def around(self, rule: Rule) -> list[Box]:
        """Boxes in which all of the rule is: its own, or where these are only a part some of them and a wide one."""
        masks, choices = self._masks(rule)
        if prod(map(len, choices)) <= _BOXES_OF_A_RULE:
            return self.boxes(rule)
        wide = self.space.box(masks)
        return [*self.boxes(rule)[:_SHOWN_OF_A_RULE], wide] if not wide.is_empty else []

    def _masks(self, rule: Rule) -> tuple[dict[int, int], list[list[int]]]:
        """What the rule asks of each dimension, and the flags of which it asks for one."""
        masks: dict[int, int] = {}
        choices: list[list[int]] = []
        for condition in (*rule.within, *rule.when):
            self._narrow(masks, choices, condition)
        return masks, choices

    def box(self, **conditions: int) -> Box:
        """A box of masks by the names of fixed dimensions, such as `OUTCOME`."""
        return self.space.box({globals()[name]: mask for name, mask in conditions.items()})

    def _narrow(self, masks: dict[int, int], choices: list[list[int]], condition: Condition) -> None:
        if condition.key == "not":
            for inner in condition.values[0]:
                self._exclude(masks, inner)
        elif condition.key in _FLAG_KEYS:
            choices.append(sorted({self.flags[flag_of(condition.key, value)] for value in condition.values}))
        else:
            dimension, mask = self._allowed(condition)
            masks[dimension] = masks.get(dimension, self.space.full(dimension)) & mask

    def _exclude(self, masks: dict[int, int], condition: Condition) -> None:
        if condition.key in _FLAG_KEYS:
            for value in condition.values:
                flag = self.flags[flag_of(condition.key, value)]
                masks[flag] = masks.get(flag, 3) & 1
            return
        dimension, mask = self._allowed(condition)
        full = self.space.full(dimension)
        masks[dimension] = masks.get(dimension, full) & (full ^ mask)

    def _allowed(self, condition: Condition) -> tuple[int, int]:
        """The dimension of a condition, and what it allows there."""
        key = condition.key
        place = _PLACES[key]
        mask = 0
        for value in condition.values:
            mask |= self.dimensions[place].mask(value if key in _PLAIN_KEYS else (key, value))
        return place, mask

    def impossible(self) -> list[Claim]:
        """What never occurs together."""
        outcome, enhanced, command = (self.dimensions[each] for each in (OUTCOME, ENHANCED, COMMAND))
        meaning = self.dimensions[MEANING]
        wrong: list[dict[int, int]] = []

        def only(outcomes: int, meanings: Iterable[Meaning], commands: int | None = None) -> None:
            masks = {OUTCOME: outcomes, MEANING: self.space.full(MEANING) ^ meaning.of(meanings)}
            wrong.append(masks if commands is None else {**masks, COMMAND: commands})

        codes = {klass: outcome.where(partial(_is_of_class, klass)) for klass in (2, 3, 4, 5)}
        everything = self.space.full(COMMAND)
        at_data, to_go_on = command.of([Command.DATA]), command.of([Command.DATA, Command.AUTH])
        only(codes[2], [NOT_SMTP], at_data)
        only(codes[2], [YES], everything ^ at_data)
        only(codes[3], [YES], to_go_on)
        only(codes[3], [NOT_SMTP], everything ^ to_go_on)
        only(outcome.of([VOID]), [NOT_SMTP])
        for klass in (4, 5):
            only(codes[klass], of_refusals(self._knowledge, klass))
        for failure in Failure:
            only(outcome.of([failure]), [of_failure(self._knowledge, failure)])
        for event in Event:
            only(outcome.of([event]), [of_event(event)])
        failures = outcome.of([*Failure, *Event])
        wrong.append({OUTCOME: failures | codes[3], ENHANCED: enhanced.where(lambda each: each is not None)})
        for klass in (2, 4, 5):
            others = enhanced.where(partial(_is_of_another_class, str(klass)))
            wrong.append({OUTCOME: codes[klass], ENHANCED: others})
        named = outcome.of([251, 551, VOID]) | codes[2]  # a void reply may have had a code
        speaking = command.of([None, Command.RCPT, Command.DOT])
        wrong.append({FORWARD_PATH: 2, OUTCOME: self.space.full(OUTCOME) ^ named})
        wrong.append({FORWARD_PATH: 2, COMMAND: everything ^ speaking})
        for (key, value), place in self.flags.items():
            if key != "tag":  # a failure has no text
                holds = key == "pattern" and self.patterns[value].found("")
                wrong.append({OUTCOME: failures, place: 1 if holds else 2})
        return [Claim(IMPOSSIBLE, self.space.box(masks)) for masks in wrong]


def _is_of_class(klass: int, atom: object) -> bool:
    return isinstance(atom, int) and atom // 100 == klass


def _is_of_another_class(klass: str, status: str | None) -> bool:
    return status is not None and status[0] != klass


def flag_of(key: str, value: Any) -> Flag:
    """The name of a flag."""
    return key, value.pattern if key == "pattern" else value


def _values_of(rules: Iterable[Rule]) -> dict[str, dict[Any, None]]:
    """Every value of every condition, by key, each once and in order."""
    values: dict[str, dict[Any, None]] = {}
    for rule in rules:
        stack = [*rule.within, *rule.when]
        while stack:
            each = stack.pop()
            if each.key == "not":
                stack += each.values[0]
            else:
                values.setdefault(each.key, {}).update(dict.fromkeys(each.values))
    return values


def _dimensions(values: Mapping[str, Any], knowledge: Knowledge, providers: tuple[str, ...]) -> list[Dimension]:
    meanings = [YES, NOT_SMTP, *(of_failure(knowledge, failure) for failure in Failure), *map(of_event, Event)]
    meanings += sorted(of_refusals(knowledge, 4) | of_refusals(knowledge, 5), key=str)
    found: dict[int, Dimension] = {
        OUTCOME: _outcomes(),
        ENHANCED: _statuses(values.get("enhanced", ())),
        COMMAND: _named([*Command, None], lambda value: None if value == UNKNOWN_COMMAND else value),
        MEANING: _meanings(tuple(dict.fromkeys(meanings))),
        PROVIDER: _named([*providers, None], lambda value: value),
        DOMAIN: _domains(values.get("domain", ()), (None,)),
        SENDER: _domains(values.get("sender_domain", ()), (None, NULL)),
        MX: _domains(values.get("mx", ()), (None,)),
        STREAM: _named([*values.get("stream", ()), None], lambda value: value),
        NUMBER: _spans(values.get("attempt", ()), 1, 1),
        AGE: _spans(values.get("age", ()), timedelta(0), _JUST_AFTER),
        CUSTODY: _named(list(Custody), lambda value: value),
        RECIPIENTS: _named([True, False], lambda value: value),
    }
    for place in _BOOLEANS.values():
        found[place] = _named([False, True], lambda value: value)
    return [found[place] for place in range(FLAGS)]


def _named(atoms: list[Any], atom_of: Callable[[Any], Any]) -> Dimension:
    places = {atom: place for place, atom in enumerate(atoms)}
    return Dimension(tuple(atoms), lambda value: 1 << places[atom_of(value)] if atom_of(value) in places else 0)


def _outcomes() -> Dimension:
    atoms: tuple[Any, ...] = (*range(200, 600), VOID, *Failure, *Event)

    def mask(keyed: tuple[str, Any]) -> int:
        key, value = keyed
        if key == "code":
            holds = [isinstance(atom, int) and code_matches(value, str(atom)) for atom in atoms]
        elif key == "void":
            holds = [(atom == VOID) is value for atom in atoms]
        else:
            holds = [atom is value for atom in atoms]
        return sum(1 << place for place, each in enumerate(holds) if each)

    return Dimension(atoms, cache(mask))


def _statuses(patterns: Iterable[str]) -> Dimension:
    """A status for each set of patterns that some status fulfils, none included."""
    asked = frozenset(patterns)
    numbers = [tuple(int(part) for part in each.split(".")[1:]) for each in asked]
    other = next(number for number in range(999, 0, -1) if all(number not in each for each in numbers))
    pairs = {(0, 0), (other, other)}
    for each in numbers:
        pairs |= {(each[0], other)} if each else set()
        pairs |= {(each[0], each[1])} if len(each) > 1 else set()
    by_asked: dict[tuple[int, frozenset[str]], str] = {}
    for klass, (subject, detail) in product((2, 4, 5), sorted(pairs)):
        status = str(EnhancedStatus(klass, subject, detail))
        by_asked.setdefault((klass, asked & statuses_over(status)), status)
    atoms: tuple[str | None, ...] = (None, *by_asked.values())
    masks: dict[str, int] = {}
    for place, atom in enumerate(atoms):
        for pattern in statuses_over(atom) if atom else ():
            masks[pattern] = masks.get(pattern, 0) | 1 << place
    return Dimension(atoms, lambda value: masks.get(value, 0))


def statuses_over(status: str) -> frozenset[str]:
    """Every pattern that an enhanced status fulfils.

    >>> sorted(statuses_over("5.1.2"))
    ['5', '5.1', '5.1.2', 'X', 'X.1', 'X.1.2']
    """
    _, subject, detail = status.split(".")
    heads = (status[0], "X")
    return frozenset(each for head in heads for each in (head, f"{head}.{subject}", f"{head}.{subject}.{detail}"))


def _meanings(atoms: tuple[Meaning, ...]) -> Dimension:
    part = {"category": 0, "fault": 1, "weight": 2}

    def mask(keyed: tuple[str, Any]) -> int:
        key, value = keyed
        return sum(1 << place for place, atom in enumerate(atoms) if atom[part[key]] is value)

    return Dimension(atoms, cache(mask))


def _domains(patterns: Iterable[str], besides: tuple[str | None, ...]) -> Dimension:
    """A name for each that is named, one below where patterns tell the two apart, and one under none of them."""
    asked = dict.fromkeys(patterns)
    bases = dict.fromkeys(each.removeprefix(ITSELF_ONLY).removeprefix(BELOW_ONLY) for each in asked)
    marked = dict.fromkeys(base for base in bases if {ITSELF_ONLY + base, BELOW_ONLY + base} & asked.keys())
    names = [*bases, *filter(None, (_below(base, bases) for base in marked))]
    names.append(next(each for each in _unnamed() if not set(patterns_over(each)) & asked.keys()))
    masks: dict[str, int] = {}
    for place, name in enumerate(names):
        for pattern in patterns_over(name):
            masks[pattern] = masks.get(pattern, 0) | 1 << place
    null = 1 << len(names) + besides.index(NULL) if NULL in besides else 0
    every = (1 << len(names) + len(besides)) - 1

    def mask(value: Any) -> int:
        key, said = value if isinstance(value, tuple) else ("", value)
        if key == "null_sender":
            return null if said else every ^ null
        return masks.get(said, 0)

    return Dimension((*names, *besides), mask)


def _below(base: str, named: Container[str]) -> str | None:
    """A name below `base` that is not named itself; None where none can be, as below an address literal."""
    labels = chain(("mail", "mx"), ascii_lowercase, (f"x{number}" for number in range(_LABELS)))
    names = (f"{label}.{base}" for label in labels)
    return next((name for name in names if name not in named and _is_name(name)), None)


def _is_name(text: str) -> bool:
    try:
        return bool(parse_domain(text))
    except ValueError:
        return False


def _unnamed() -> Iterator[str]:
    yield from _UNKNOWN_NAMES
    yield from (f"elsewhere.x{number}" for number in range(1_000_000))


def _spans(spans: Iterable[Any], first: Any, step: Any) -> Dimension:
    """A point for each interval between the ends of spans."""
    points = {first}
    for span in spans:
        points |= {span.low} if span.low is not None else set()
        points |= {span.high + step} if span.high is not None else set()
    atoms = tuple(sorted(points))
    return Dimension(atoms, cache(lambda span: sum(1 << place for place, atom in enumerate(atoms) if atom in span)))


_PLACES = {
    "code": OUTCOME, "failure": OUTCOME, "event": OUTCOME, "void": OUTCOME, "enhanced": ENHANCED, "command": COMMAND,
    "category": MEANING, "fault": MEANING, "weight": MEANING, "provider": PROVIDER, "domain": DOMAIN,
    "sender_domain": SENDER, "null_sender": SENDER, "mx": MX, "stream": STREAM, "attempt": NUMBER, "age": AGE,
    "custody": CUSTODY, "recipients": RECIPIENTS, **_BOOLEANS,
}  # fmt: skip
_PLAIN_KEYS = frozenset(_PLACES) - {"code", "failure", "event", "void", "category", "fault", "weight", "null_sender"}
