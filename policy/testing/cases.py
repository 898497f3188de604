"""Golden cases: attempts with the decisions that are wanted of them, in YAML, for the shipped rules and for yours.

A file is a list. A case says `given` (an attempt with the keys of the JSON contract), `want` (a part of the decision,
see `WANTS`), mostly `note` (why it is so), and may say `after` (attempts observed before it, in order), `rules` (the
text of a rules file over those in force, or a list of them, the last on top) and `row` (the situation that it shows).
What an attempt says unless a case says otherwise is in `USUAL`, so that those of a case are of one message; `none`
takes a key away.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from attrs import define, evolve, field, frozen

from policy.attempt import Attempt
from policy.contract import ContractError, read_attempt
from policy.contract.times import read_time
from policy.decision import Decision, RuleRef
from policy.engine import history_key, recorded
from policy.guard import Watch
from policy.rules.policy import Policy
from policy.rules.reading import Key, Kind, Report, fields, several, string
from policy.rules.reading import shown as shown_node
from policy.rules.source import RulesError, RulesFile, build_policy
from policy.testing.store_model import StoreModel
from policy.testing.wants import WANTS, Want, shown
from policy.text import clean
from policy.throttle import Traffic
from policy.yamlfile import Mapping as MappingNode
from policy.yamlfile import Node, Problem, Sequence, plain, read_yaml

__all__ = [
    "USUAL",
    "WANTS",
    "Case",
    "Failure",
    "Mismatch",
    "Recollection",
    "cases_in",
    "decided",
    "failure",
    "read_cases",
]

USUAL: Mapping[str, str] = {
    "recipient": "jo@dest.example",
    "sender": "news@ours.example",
    "now": "2026-03-02T12:00:00Z",
    "message_id": "the message",
}
_COUNTS = ("attempt", "recipients")
_NOW = read_time(USUAL["now"])

Observe = Callable[[Attempt], Decision]


@frozen
class Wanted:
    """One key of `want`, its value, and where it stands."""

    key: str
    value: Any
    line: int
    column: int

    @property
    def want(self) -> Want:
        return WANTS[self.key]


@frozen(kw_only=True)
class Case:
    """One case, and where it stands.

    Args:
        attempts: what is observed, in order; the last one is what is decided about.
        layers: texts of rules files over those in force, the last on top.
    """

    file: str
    line: int
    column: int
    note: str = ""
    row: str | None = None
    layers: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...]
    want: tuple[Wanted, ...]


@frozen
class Mismatch:
    """A key of which something else was wanted than was decided."""

    key: str
    wanted: str
    decided: str


@frozen(kw_only=True)
class Failure:
    """What is wrong with a case.

    Args:
        problem: all of it in one line, at the first wrong key.
        rule: the rule that decides; None when nothing could be decided.
    """

    problem: Problem
    mismatches: tuple[Mismatch, ...] = ()
    rule: RuleRef | None = None


def read_cases(content: bytes, file: str, problems: list[Problem]) -> tuple[Case, ...]:
    """Return the cases of a file; what is wrong is appended to `problems`, and then the cases are of no use."""
    node = read_yaml(content, file, problems)
    if node is None:
        if not problems:
            problems.append(Problem(file, 1, 1, "empty-file", "the file says nothing; a list of cases is needed"))
        return ()
    return cases_in(node, file, problems)


def cases_in(node: Node, file: str, problems: list[Problem]) -> tuple[Case, ...]:
    """Return the cases of a file that was read; problems as in `read_cases`."""
    report = Report(file, problems)
    if not isinstance(node, Sequence):
        report.problem(node, "bad-type", f"a list of cases is needed, not {shown_node(node)}")
        return ()
    found = (_case(report, each) for each in node.items)
    return tuple(each for each in found if each is not None)


def decided(case: Case, observe: Observe) -> Decision:
    """Return the decision about the last attempt of a case, after the others were observed."""
    *before, last = case.attempts
    for attempt in before:
        observe(attempt)
    return observe(last)


@define
class Recollection:
    """A policy and all that it decided so far: the engine's `observe` without a store."""

    policy: Policy
    _model: StoreModel = field(factory=StoreModel)
    _watches: dict[str, Watch] = field(factory=dict)
    _traffics: dict[str, Traffic] = field(factory=dict)

    def observe(self, attempt: Attempt) -> Decision:
        """Decide about `attempt`, and remember it."""
        now = attempt.at or _NOW
        recipient = attempt.recipient.key if attempt.recipient else ""
        for entry in self._model.log:
            if (entry.attempt_id, entry.recipient) == (attempt.identity, recipient):
                return entry.decision
        history = self._model.history(history_key(self.policy, attempt))
        watches = tuple(self._watches.get(each.key, each) for each in history.watches)
        traffics = tuple(self._traffics.get(each.target, each) for each in history.traffics)
        kept = recorded(self.policy, attempt, evolve(history, watches=watches, traffics=traffics), now)
        self._model = self._model.after(kept.entry)
        self._watches.update((each.key, each) for each in kept.watches)
        self._traffics.update((each.target, each) for each in kept.traffics)
        return kept.entry.decision


def failure(case: Case, files: tuple[RulesFile, ...] = ()) -> Failure | None:
    """Return what is wrong with a case under these operator files, the last on top; None: it is decided as wanted."""
    own = tuple(RulesFile(f"operator-{n}.yaml", text.encode()) for n, text in enumerate(case.layers, start=1))
    try:
        policy = policy_of((*files, *own))
    except RulesError as error:
        says = f"`rules` of the case: {error.problems[0]}"
        return Failure(problem=Problem(case.file, case.line, case.column, "bad-case", says))
    decision = decided(case, Recollection(policy).observe)
    return judged(case, decision)


def judged(case: Case, decision: Decision) -> Failure | None:
    """Return what a decision has otherwise than a case wants it."""
    now = case.attempts[-1].at or _NOW
    wrong = [each for each in case.want if not _agrees(each, decision, now)]
    if not wrong:
        return None
    mismatches = tuple(Mismatch(each.key, shown(each.value), shown(each.want.found(decision, now))) for each in wrong)
    told = "; ".join(f"`{each.key}` should be `{each.wanted}`, not `{each.decided}`" for each in mismatches)
    note = f"{clean(case.note, limit=200)}: " if case.note else ""
    says = f"{note}{told}; decided by {decision.rule}"
    problem = Problem(case.file, wrong[0].line, wrong[0].column, "wrong-decision", says)
    return Failure(problem=problem, mismatches=mismatches, rule=decision.rule)


@lru_cache(maxsize=64)
def policy_of(files: tuple[RulesFile, ...]) -> Policy:
    """The shipped policy under these operator files; cases of one file mostly share theirs."""
    return build_policy(files)


def _agrees(wanted: Wanted, decision: Decision, now: datetime) -> bool:
    return wanted.want.agrees(wanted.want.found(decision, now), wanted.value)


def _read_attempt(report: Report, node: Node) -> Attempt | None:
    if not isinstance(node, MappingNode):
        report.problem(node, "bad-type", f"an attempt is a map, not {shown_node(node)}")
        return None
    said = {**USUAL, **plain(node)}
    for key in _COUNTS:
        if str(said.get(key, "")).isdecimal():
            said[key] = int(said[key][:20])  # what is cut is too many either way
    try:
        return read_attempt({key: value for key, value in said.items() if value != "none"})
    except ContractError as error:
        report.problem(node, "bad-case", str(error))
        return None


def _read_want(report: Report, node: Node) -> tuple[Wanted, ...] | None:
    found = fields(report, node, "`want`", {key: Key(each.kind, each.says) for key, each in WANTS.items()})
    if isinstance(node, MappingNode) and not node.items:
        report.problem(node, "empty-list", "`want` wants nothing")
    values = [(key, WANTS[key].kind(report, value), value) for key, value in found.items()]
    wanted = [Wanted(key, value, at.line, at.column) for key, value, at in values if value is not None]
    return tuple(wanted) if wanted and len(wanted) == len(values) else None


def _read_after(report: Report, node: Node) -> tuple[Attempt, ...] | None:
    attempts = [_read_attempt(report, each) for each in node.items] if isinstance(node, Sequence) else [None]
    if not isinstance(node, Sequence):
        report.problem(node, "bad-type", f"`after` is a list of attempts, not {shown_node(node)}")
    found = tuple(each for each in attempts if each is not None)
    return found if len(found) == len(attempts) else None


_CASE: Mapping[str, Key] = {
    "note": Key(string, "Why it is so."),
    "row": Key(string, "The situation that it shows."),
    "rules": Key(several(string), "The text of a rules file, or a list of them, the last on top."),
    "after": Key(Kind(_read_after, {}, "list of attempts"), "Attempts observed before it."),
    "given": Key(Kind(_read_attempt, {}, "attempt"), "The attempt.", required=True),
    "want": Key(Kind(_read_want, {}, "part of a decision"), "What is wanted.", required=True),
}


def _case(report: Report, node: Node) -> Case | None:
    found = fields(report, node, "a case", _CASE)
    values: dict[str, Any] = {key: _CASE[key].kind(report, value) for key, value in found.items()}
    if None in values.values() or not {"given", "want"} <= values.keys():
        return None
    return Case(
        file=report.file,
        line=node.line,
        column=node.column,
        note=values.get("note", ""),
        row=values.get("row"),
        layers=values.get("rules", ()),
        attempts=(*values.get("after", ()), values["given"]),
        want=values["want"],
    )
