"""What is wrong with rules beyond their grammar: what can never decide, what hides what, which laws they break.

Answered for all inputs, on the finite space of `policy.rules.proof.space`: that a rule cannot be reached is proved;
that a law is broken is tried on a real reply before it is called so.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import combinations

from attrs import evolve, frozen

from policy.decide import decide
from policy.diagnosis.category import EvidenceKind
from policy.hearing import facts_of
from policy.rules.examples import failing_examples
from policy.rules.finding import Finding, Level
from policy.rules.lint import lint, place_of
from policy.rules.policy import Policy
from policy.rules.proof.boxes import Box, Claim, Cover, Undecided
from policy.rules.proof.laws import Suspicion, suspicions
from policy.rules.proof.space import Abstraction
from policy.rules.proof.text_atoms import relations
from policy.rules.proof.witness import Witness, Witnesses
from policy.rules.rule import Rule
from policy.yamlfile import PROBLEMS_LIMIT, Problem

_BY_HAND = "set aside by the rule"
_BY_DESIGN = "null sender"  # whom nobody answers: no file has to say so (law 9)


def check(policy: Policy, *, now: datetime) -> list[Finding]:
    """Return what is wrong with a policy that could be loaded, in the order of the files' lines.

    Args:
        now: what has expired by then is told, and does not count.
    """
    found = list(lint(policy, now=now))
    found += [Finding(problem=each, level=Level.ERROR) for each in failing_examples(policy, now=now)]
    found += _Check(policy, now).findings()
    files = [layer.file for layer in policy.layers]
    unique = {(each.problem, each.level): each for each in found}.values()
    return sorted(unique, key=lambda each: (files.index(each.problem.file), each.problem.line, each.problem.column))


@frozen
class _Asked:
    """A rule in force and its number in the order of asking: boxes that it takes, and boxes in which all of it is."""

    number: int
    rule: Rule
    takes: tuple[Box, ...]
    boxes: tuple[Box, ...]


class _Check:
    """The questions to one policy."""

    def __init__(self, policy: Policy, now: datetime) -> None:
        self.policy, self.now = policy, now
        self.abstraction = Abstraction(policy.rules, policy.knowledge, policy.providers)
        self.witnesses = Witnesses(self.abstraction, policy, now)
        self.asked = [
            _Asked(number, rule, tuple(self.abstraction.boxes(rule)), tuple(self.abstraction.around(rule)))
            for number, rule in enumerate(policy.rules)
            if rule.expires is None or now < rule.expires
        ]
        self.impossible = [*self.abstraction.impossible(), *relations(self.abstraction)]
        self.rule_by_number = dict(enumerate(policy.rules))

    def findings(self) -> Iterator[Finding]:
        layer_of = {rule.ref.file: number for number, layer in enumerate(self.policy.layers) for rule in layer.rules}
        bottom = len(self.policy.layers) - 1
        mine: dict[int, list[_Asked]] = {}
        for each in self.asked:
            mine.setdefault(layer_of.get(each.rule.ref.file, bottom), []).append(each)
        for layer, rules in mine.items():
            if layer != bottom:
                yield from self.unreachable(rules)
        yield from self.lawless()

    def cover(self, rules: Sequence[_Asked]) -> Cover:
        """What these rules decide; a rule that observes decides nothing."""
        claims = [Claim(each.number, box) for each in rules if not each.rule.observing for box in each.takes]
        return Cover(self.abstraction.space, [*self.impossible, *claims])

    def unreachable(self, rules: Sequence[_Asked]) -> Iterator[Finding]:
        """Rules of one file that others of the same file leave nothing; a higher file does so on purpose."""
        cover = self.cover(rules)
        for each in rules:
            try:
                if any(cover.free(box, each.number) is not None for box in each.boxes):
                    continue
                hiding = {number for box in each.boxes for number in cover.hiding(box, each.number)}
            except Undecided:
                continue
            if not hiding:
                says = f"rule `{each.rule.ref.id}` can never hold: {self.at_odds(each.rule, cover)}"
                yield _finding(each.rule, "never-holds", says, Level.ERROR)
                continue
            hiders = [self.rule_by_number[number] for number in sorted(hiding)]
            witness = self.hidden(each, hiders)
            by = tuple(str(rule.ref) for rule in hiders)
            says = f"rule `{each.rule.ref.id}` never decides: all that it asks for is decided before by {', '.join(by)}"
            yield _finding(each.rule, "unreachable-rule", says, Level.WARNING, witness, by)

    def at_odds(self, rule: Rule, cover: Cover) -> str:
        """Which two of its conditions, its place included, exclude each other; or that all together do."""
        for one, other in combinations((*rule.within, *rule.when), 2):
            pair = evolve(rule, within=(), when=(one, other))
            if all(cover.free(box, 0) is None for box in self.abstraction.boxes(pair)):
                names = (f"`{each.key}`" if each in rule.when else f"its place ({each.key})" for each in (one, other))
                return " and ".join(names) + " exclude each other"
        return "its conditions exclude each other"

    def hidden(self, each: _Asked, hiders: Sequence[Rule]) -> Witness | None:
        """An attempt for which the rule holds, and one that hides it does too."""

        def bears_out(witness: Witness) -> bool:
            facts = facts_of(self.policy, witness.attempt, witness.history, self.now)
            return each.rule.holds(facts) and any(rule.holds(facts) for rule in hiders)

        found = (self.witnesses.find(box, box, (each.rule,), bears_out) for box in each.boxes)
        return next((witness for witness in found if witness), None)

    def lawless(self) -> Iterator[Finding]:
        """Rules that say more than the laws let them do."""
        cover: Cover | None = None
        usual, told = self.policy.route(None), 0
        bottom = self.policy.layers[-1].file  # which speaks by class alone and leaves the rest to the laws
        for each in self.asked:
            ref = each.rule.ref
            if each.rule.observing or told >= PROBLEMS_LIMIT or (ref.file == bottom and not ref.edited):
                continue
            for suspicion in suspicions(each.rule, self.abstraction, usual_route=usual):
                boxes = [box for box in (box & suspicion.region for box in each.boxes) if not box.is_empty]
                if not boxes:
                    continue
                cover = cover or self.cover(self.asked)
                finding = self.judged(each, suspicion, boxes, cover)
                if finding is not None:
                    told += finding.level is not Level.NOTE
                    yield finding

    def judged(self, each: _Asked, suspicion: Suspicion, boxes: Sequence[Box], cover: Cover) -> Finding | None:
        """The finding, shown by an attempt; a note when it is only possible; None when other rules leave none of it."""
        possible = False
        for box in boxes:
            try:
                free = cover.free(box, each.number)
            except Undecided:
                possible = True
                continue
            if free is None:
                continue
            possible = True
            witness = self.witnesses.find(free, box, (each.rule,), partial(self.held_back, each.rule))
            if witness is not None:
                level = Level.ERROR if suspicion.named else Level.NOTE
                says = f"rule `{each.rule.ref.id}` {suspicion.law}, and will not be let; {suspicion.mend}"
                return _finding(each.rule, suspicion.code, says, level, witness)
        if not possible:
            return None
        says = f"rule `{each.rule.ref.id}` possibly {suspicion.law}, though no reply was found that shows it"
        return _finding(each.rule, suspicion.code, says, Level.NOTE)

    def held_back(self, rule: Rule, witness: Witness) -> bool:
        """Does the rule decide, and a law keep it from what it says?"""
        decision = decide(self.policy, witness.attempt, witness.history, now=self.now, spread=0.5)
        laws = (each.says for each in decision.evidence if each.kind is EvidenceKind.LAW)
        return decision.rule == rule.ref and any(_BY_HAND not in says and _BY_DESIGN not in says for says in laws)


def _finding(
    rule: Rule, code: str, says: str, level: Level, witness: Witness | None = None, by: tuple[str, ...] = ()
) -> Finding:
    return Finding(
        problem=Problem(*place_of(rule), code, says),
        level=level,
        witness=None if witness is None else witness.document(),
        shown="" if witness is None else str(witness),
        by=by,
    )
