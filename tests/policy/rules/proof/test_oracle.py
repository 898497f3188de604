"""An oracle of its own: z3 is asked, in other words than ours, which rules of a file can decide, and `check` agrees.

Nothing of the space, of boxes or of what is impossible is used: a rule becomes a formula by what the language says of
each key, and what cannot be is written anew, from RFC 5321, RFC 2034 and from what a diagnosis does.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, event, example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from policy.attempt import Command, Custody, Event, Failure
from policy.diagnosis.category import Category, Fault, Weight
from policy.diagnosis.diagnose import EVENTS
from policy.diagnosis.knowledge import shipped_knowledge
from policy.rules.policy import Policy
from policy.rules.proof.check import check
from policy.rules.rule import Condition, Rule
from policy.testing.files import operator_policy
from policy.testing.scenarios import NOW

z3 = pytest.importorskip("z3")

VOID = 600  # codes are 200-599, then void, then the failures, then the events
FAILURES = {failure: VOID + 1 + number for number, failure in enumerate(Failure)}
WORDS = {word: max(FAILURES.values()) + 1 + number for number, word in enumerate(Event)}
COMMANDS = {command: number for number, command in enumerate((None, *Command))}
NOBODY = -1  # a name that is not known, and of senders the null one
NULL = -2

# Names for every way in which the patterns of `VOCABULARY` can tell two apart.
DOMAINS = ("x.org", "a.x.org", "q.a.x.org", "q.x.org", "q.org", "y.net")
PHRASES = ("full mailbox", "mailbox", "full", "virus")
PATTERN = "full (mail|in)box"  # where "full mailbox" stands it is found, and where it is found "full" stands
PROVIDERS = ("google", "microsoft")

# ---- files -----------------------------------------------------------------------------------------------------------


def _some(*values: Any) -> SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique_by=str)


def _span(unit: str) -> SearchStrategy[dict[str, Any]]:
    ends = st.tuples(st.integers(1, 4), st.integers(1, 4)).map(sorted)
    written = ends.map(lambda pair: [f"{end}{unit}" if unit else end for end in pair])
    return written.flatmap(
        lambda pair: st.sampled_from([{"min": pair[0], "max": pair[1]}, {"min": pair[0]}, {"max": pair[1]}])
    )


_patterns = ("x.org", "=x.org", "*.x.org", "a.x.org", "=a.x.org", "*.a.x.org", "org", "y.net")
_flag = st.booleans()
VOCABULARY: dict[str, SearchStrategy[Any]] = {
    "code": _some("2yz", "3yz", "4yz", "5yz", "250", "251", "354", "450-452", "550", "551", "500-551", "552-599"),
    "failure": _some(*(each.value for each in Failure)),
    "event": _some(*(each.value for each in Event)),
    "void": _flag,
    "enhanced": _some("2", "4", "5", "X.1", "5.1", "5.1.1", "X.1.1", "4.2", "5.7"),
    "command": _some("RCPT", "DATA", "AUTH", "DOT", "MAIL", "unknown"),
    "category": _some(
        "accepted", "bad-mailbox", "mailbox-full", "protocol-error", "network", "sender-rejected", "unknown"
    ),
    "fault": _some("none", "recipient", "recipient-domain", "sender", "receiver", "network"),
    "weight": _some("strong", "fair", "weak"),
    "text": _some(*PHRASES),
    "pattern": st.just([PATTERN]),
    "domain": _some(*_patterns),
    "sender_domain": _some(*_patterns),
    "null_sender": _flag,
    "mx": _some(*_patterns),
    "provider": _some(*PROVIDERS),
    "stream": _some("bulk", "otp"),
    "tag": _some("k=1", "k=2"),
    "attempt": st.integers(1, 4) | _span(""),
    "age": _span("s"),
    "custody": _some("ours", "theirs"),
    "recipients": _some("one", "several"),
    "forward_path": _flag,
    "split_before": _flag,
    "clear_before": _flag,
    "backup_mx": _flag,
    "delivered_before": _flag,
}


@st.composite
def files(draw: st.DrawFn) -> str:
    """Three to eight rules about two to four things, so that they meet."""
    keys = draw(st.lists(st.sampled_from(list(VOCABULARY)), min_size=2, max_size=4, unique=True))
    conditions = st.fixed_dictionaries({}, optional={key: VOCABULARY[key] for key in keys})
    rules = draw(st.lists(st.tuples(conditions, conditions, st.integers(0, 11)), min_size=3, max_size=8))
    written = []
    for number, (when, none, turn) in enumerate(rules):
        said = {**when, **({"not": none} if none and turn % 3 == 0 else {})}
        more = {10: {"mode": "observe"}, 11: {"expires": "2026-01-01"}}.get(turn, {})
        action = "accept" if "event" in when else "retry"
        written.append({"id": f"r{number}", "when": said, "then": {"action": action}, **more})
    scoped = {"x.org": {"rules": written[:1]}, "a.x.org": {"rules": written[1:2]}} if draw(_flag) else {}
    own = written[2:] if scoped else written
    return json.dumps({"mailverdict": 1, "extends": "none", "rules": own, "domains": scoped})


# ---- what there is ---------------------------------------------------------------------------------------------------

outcome, command, stream, number, age = z3.Ints("outcome command stream number age")  # age in half seconds
category, fault, weight = z3.Ints("category fault weight")
klass, subject, detail = z3.Ints("class subject detail")
recipient, sender, mx, provider = z3.Ints("recipient sender mx provider")
stated, several, theirs, path, split, delivered = z3.Bools("stated several theirs path split delivered")
clear, backup = z3.Bools("clear backup")
found = {each: z3.Bool(f"text {each}") for each in (*PHRASES, PATTERN)}
tags = {("k", "1"): z3.Bool("k=1"), ("k", "2"): z3.Bool("k=2")}


def of_class(digit: int) -> Any:
    return z3.And(outcome >= digit * 100, outcome < digit * 100 + 100)


def meant(*triples: tuple[Category, Fault, Weight]) -> Any:
    at = {(list(Category).index(one), list(Fault).index(two), list(Weight).index(three)) for one, two, three in triples}
    return z3.Or([z3.And(category == one, fault == two, weight == three) for one, two, three in sorted(at)])


YES = (Category.ACCEPTED, Fault.NONE, Weight.STRONG)
NO_SMTP = (Category.PROTOCOL_ERROR, Fault.RECEIVER, Weight.STRONG)


def refusals(digit: int) -> set[tuple[Category, Fault, Weight]]:
    """What speaks in a reply of class 4 or 5: nothing, a status (it may be quoted), the code, a wording."""
    known = shipped_knowledge()
    speaking = [*known.statuses.values(), *known.provider_statuses.values()]
    speaking += [each for (code, _), each in known.codes.items() if str(code)[0] == str(digit)]
    for each in known.signatures:
        classes = set(each.klass or (4, 5)) & {code // 100 for code in each.codes or (400, 500)}
        speaking += [each.finding] if digit in classes else []
    triples = {(each.category, each.fault, each.weight) for each in speaking}
    triples.add((Category.UNKNOWN, Fault.NONE, Weight.WEAK))
    blamed = [each for each in triples if each[1] is Fault.RECIPIENT]
    triples |= {(each[0], each[1], Weight.FAIR) for each in blamed if each[2] is not Weight.WEAK}
    return triples | {(Category.SENDER_REJECTED, Fault.SENDER, each[2]) for each in blamed}


def meanings() -> Iterator[Any]:
    """RFC 5321 4.3.2: 354 belongs to DATA, 334 to AUTH, and a 2yz anywhere else."""
    data, auth = command == COMMANDS[Command.DATA], command == COMMANDS[Command.AUTH]
    yield z3.Implies(of_class(2), z3.If(data, meant(NO_SMTP), meant(YES)))
    yield z3.Implies(of_class(3), z3.If(z3.Or(data, auth), meant(YES), meant(NO_SMTP)))
    yield z3.Implies(outcome == VOID, meant(NO_SMTP))
    for digit in (4, 5):
        yield z3.Implies(of_class(digit), meant(*refusals(digit)))
    for failure, finding in shipped_knowledge().failures.items():
        yield z3.Implies(outcome == FAILURES[failure], meant((finding.category, finding.fault, finding.weight)))
    for word, said in EVENTS.items():
        yield z3.Implies(outcome == WORDS[word], meant((said.category, said.fault, said.weight)))


@cache
def world() -> tuple[Any, ...]:
    """What every input fulfils."""
    failed = outcome > VOID
    commands = [COMMANDS[each] for each in (None, Command.RCPT, Command.DOT)]
    names = [(each, low) for each, low in ((recipient, NOBODY), (sender, NULL), (mx, NOBODY), (provider, NOBODY))]
    ranges = [(outcome, 200, max(WORDS.values())), (command, 0, len(COMMANDS) - 1), (stream, 0, 2), (klass, 2, 5)]
    ranges += [(subject, 0, 999), (detail, 0, 999), *((each, low, len(DOMAINS) - 1) for each, low in names)]
    return (
        *(z3.And(each >= low, each <= high) for each, low, high in ranges),
        number >= 1,
        age >= 0,
        klass != 3,
        *meanings(),
        # RFC 2034 4: a status is of the reply's class, and 3yz have none; who does not answer states none either.
        z3.Implies(z3.Or(of_class(3), failed), z3.Not(stated)),
        *(z3.Implies(z3.And(stated, of_class(digit)), klass == digit) for digit in (2, 4, 5)),
        # A 251 or 551 names a path, and a 251 to RCPT is kept until the dot; what is void may have been either.
        z3.Implies(path, z3.Or(of_class(2), outcome == 551, outcome == VOID)),
        z3.Implies(path, z3.Or([command == each for each in commands])),
        z3.Implies(failed, z3.Not(z3.Or(list(found.values())))),
        z3.Implies(found["full mailbox"], z3.And(found["full"], found["mailbox"], found[PATTERN])),
        z3.Implies(found[PATTERN], found["full"]),
    )


# ---- what rules ask for ----------------------------------------------------------------------------------------------


def covers(pattern: str, name: str) -> bool:
    base = pattern.lstrip("=*.")
    if pattern[0] == "=":
        return name == base
    return name.endswith(f".{base}") or (name == base and pattern[0] != "*")


def named(variable: Any) -> Callable[[str], Any]:
    return lambda pattern: z3.Or([variable == place for place, each in enumerate(DOMAINS) if covers(pattern, each)])


def code(said: str) -> Any:
    low, _, high = said.replace("yz", "00").partition("-")
    return z3.And(outcome >= int(low), outcome <= int(high or (low if said.isdigit() else int(low) + 99)))


def status(said: str) -> Any:
    parts = zip((klass, subject, detail), said.split("."), strict=False)
    return z3.And(stated, *(variable == int(part) for variable, part in parts if part != "X"))


def within(variable: Any, unit: Any, steps: int) -> Callable[[Any], Any]:
    def ask(span: Any) -> Any:
        low = [] if span.low is None else [variable >= span.low // unit * steps]
        return z3.And(*low, *([] if span.high is None else [variable <= span.high // unit * steps]))

    return ask


def truth(variable: Any) -> Callable[[bool], Any]:
    return lambda said: variable if said else z3.Not(variable)


def member(variable: Any, kind: Any) -> Callable[[Any], Any]:
    return lambda said: variable == list(kind).index(said)


ASKS: Mapping[str, Callable[[Any], Any]] = {
    "code": code,
    "failure": lambda said: outcome == FAILURES[said],
    "event": lambda said: outcome == WORDS[said],
    "void": lambda said: (outcome == VOID) if said else (outcome != VOID),
    "enhanced": status,
    "command": lambda said: command == COMMANDS[None if said == "unknown" else said],
    "category": member(category, Category),
    "fault": member(fault, Fault),
    "weight": member(weight, Weight),
    "text": lambda said: found[said],
    "pattern": lambda said: found[said.pattern],
    "domain": named(recipient),
    "sender_domain": named(sender),
    "null_sender": lambda said: (sender == NULL) if said else (sender != NULL),
    "mx": named(mx),
    "provider": lambda said: provider == PROVIDERS.index(said),
    "stream": lambda said: stream == ("bulk", "otp").index(said),
    "tag": lambda said: tags[said],
    "attempt": within(number, 1, 1),
    "age": within(age, timedelta(seconds=1), 2),
    "custody": lambda said: theirs if said is Custody.THEIRS else z3.Not(theirs),
    "recipients": lambda said: z3.Not(several) if said else several,
    "forward_path": truth(path),
    "split_before": truth(split),
    "clear_before": truth(clear),
    "backup_mx": truth(backup),
    "delivered_before": truth(delivered),
}


def formula(conditions: tuple[Condition, ...]) -> Any:
    parts = []
    for each in conditions:
        if each.key == "not":
            parts += [z3.Not(formula((inner,))) for inner in each.values[0]]
        else:
            parts.append(z3.Or([ASKS[each.key](value) for value in each.values]))
    return z3.And(parts)


def verdicts(policy: Policy) -> dict[str, str]:
    """What z3 says of each rule of the operator's file that cannot decide."""
    solver = z3.Solver()
    solver.add(*world())
    said = {}
    for rule in (each for each in policy.rules if each.ref.file == "operator.yaml" and is_in_force(each)):
        asked = formula((*rule.within, *rule.when))
        if solver.check(asked) == z3.unsat:
            alone = z3.Solver()
            alone.add(*world(), asked)
            said[rule.ref.id] = "never-holds" if alone.check() == z3.unsat else "unreachable-rule"
        if not rule.observing:
            solver.add(z3.Not(asked))
    return said


def is_in_force(rule: Rule) -> bool:
    return rule.expires is None or rule.expires > NOW


def told(policy: Policy) -> dict[str, str]:
    """What `check` says."""
    lines = {rule.ref.line: rule.ref.id for rule in policy.rules if rule.ref.file == "operator.yaml"}
    found = (each.problem for each in check(policy, now=NOW))
    return {lines[each.line]: each.code for each in found if each.code in ("never-holds", "unreachable-rule")}


def one_a_line(text: str) -> str:
    return json.dumps(json.loads(text), indent=1)


TAKEN_TOGETHER = {
    "mailverdict": 1,
    "rules": [
        {"id": "r0", "when": {"code": "5yz", "text": "full"}, "then": {"action": "retry"}},
        {"id": "r1", "when": {"not": {"text": "full"}}, "then": {"action": "retry"}},
        {"id": "r2", "when": {"code": "550"}, "then": {"action": "retry"}},
        {"id": "r3", "when": {"code": "4yz", "text": "mailbox"}, "then": {"action": "retry"}},
    ],
}


@settings(max_examples=max(40, settings().max_examples // 2), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example(json.dumps(TAKEN_TOGETHER))
@given(files())
def test_check_says_of_each_rule_what_an_independent_solver_says(text: str) -> None:
    policy = operator_policy(one_a_line(text))
    expected = verdicts(policy)
    event(f"{len(expected)} cannot decide")
    assert told(policy) == expected
