"""The laws that a rules file could break: for what a rule does, the inputs on which a law would hold it back.

`decide()` keeps the laws whatever a file says, so a broken one does no harm; but the file then says one thing and gets
another, which whoever wrote it wants to know. A finding is tried: it stands when `decide()` says, for a real reply,
that a law held the rule back.
"""

from collections.abc import Iterator

from attrs import frozen

from policy.attempt import Command, Event, Failure
from policy.decision import Action
from policy.diagnosis.category import Category, Fault
from policy.rules.proof import space as at
from policy.rules.proof.boxes import Box
from policy.rules.proof.meanings import YES, of_event
from policy.rules.proof.space import Abstraction
from policy.rules.rule import ON_PURPOSE, Despite, Rule
from policy.suppression import OWN_LOOKUP, STRIKING

_ACCEPTABLE = {YES, *map(of_event, Event)}
_ACCEPTING = (Action.ACCEPT, Action.ACCEPT_AND_NOTE_FORWARD)
_OF_THE_REPLY = {"code", "enhanced", "category", "fault", "weight", "text", "pattern", "failure", "event", "void"}


@frozen
class Suspicion:
    """A law that a rule may break, and where.

    Args:
        named: the rule asks for such inputs; otherwise it only does not leave them out, which is worth a note.
    """

    code: str
    law: str
    mend: str
    region: Box
    named: bool = True


def suspicions(rule: Rule, abstraction: Abstraction, *, usual_route: str) -> Iterator[Suspicion]:
    """Yield what the rule's action could break, whatever other rules leave of it."""
    for each in (_of_a_yes, _of_a_no, _of_suppressing):
        yield from each(rule, abstraction)
    route = rule.then.route
    if route is not None and route != usual_route and Despite.REFUSED_ON_PURPOSE not in rule.despite:
        refusing = abstraction.dimensions[at.MEANING].where(lambda meaning: meaning[0] in ON_PURPOSE)
        yield Suspicion(
            "law-19-evasion",
            f"takes the route `{route}` around a refusal on purpose",
            "leave these categories out, or say `despite: refused-on-purpose`",
            abstraction.box(MEANING=refusing),
        )


def _of_a_yes(rule: Rule, abstraction: Abstraction) -> Iterator[Suspicion]:
    """Law 2: a 2yz is accepted, and a 251 to RCPT noted."""
    yes = abstraction.dimensions[at.MEANING].of([YES])
    outcome, command = abstraction.dimensions[at.OUTCOME], abstraction.dimensions[at.COMMAND]
    named = bool(_OF_THE_REPLY & {each.key for each in rule.when})
    if rule.then.action not in _ACCEPTING:
        yield Suspicion(
            "law-2-yes",
            f"says `{rule.then.action.value}` to a yes",
            "ask for a `code` of 4yz or 5yz, or for a `category`",
            abstraction.box(MEANING=yes),
            named,
        )
    if rule.then.action is Action.ACCEPT:
        yield Suspicion(
            "law-2-forward",
            "accepts a 251 to RCPT without noting the address that it names",
            "say `accept-and-note-forward`, or leave 251 out",
            abstraction.box(OUTCOME=outcome.of([251]), COMMAND=command.of([Command.RCPT])),
        )
    if rule.then.action is not Action.HOLD:
        positive = outcome.mask(("code", "2yz"))
        yield Suspicion(
            "law-2-data",
            f"says `{rule.then.action.value}` to a 2yz where 354 belongs",
            "say `hold`, or leave DATA out",
            abstraction.box(OUTCOME=positive, COMMAND=command.of([Command.DATA])),
            named and any(each.key in ("code", "command") for each in rule.when),
        )


def _of_a_no(rule: Rule, abstraction: Abstraction) -> Iterator[Suspicion]:
    """Law 2: nothing but a yes is accepted."""
    if rule.then.action in _ACCEPTING:
        no = abstraction.dimensions[at.MEANING].where(lambda meaning: meaning not in _ACCEPTABLE)
        yield Suspicion(
            "law-2-no",
            f"says `{rule.then.action.value}` to what is no yes",
            "ask for `category: accepted`, or for a `code` of 2yz",
            abstraction.box(MEANING=no),
        )


def _of_suppressing(rule: Rule, abstraction: Abstraction) -> Iterator[Suspicion]:
    """Laws 3 and 4: who may be suppressed, when, and on whose word."""
    terms = rule.then.suppress
    if terms is None or rule.then.action is Action.ACCEPT:
        return
    if rule.then.action is not Action.HARD_BOUNCE and terms.strikes > 1:
        return
    outcome, command = abstraction.dimensions[at.OUTCOME], abstraction.dimensions[at.COMMAND]
    meaning, alone = abstraction.dimensions[at.MEANING], abstraction.dimensions[at.RECIPIENTS]
    passing = outcome.mask(("code", "4yz")) | outcome.mask(("code", "3yz")) | outcome.mask(("void", True))
    passing |= outcome.of(each for each in Failure if each not in OWN_LOOKUP)
    permanent = outcome.mask(("code", "5yz"))
    no = meaning.where(lambda each: each != YES)
    others = meaning.where(lambda each: each != YES and not _is_recipients(each[0], each[1]))
    if terms.strikes == 1:
        yield Suspicion(
            "law-3-at-first-sight",
            "suppresses at the first sight of a failure that may pass",
            "ask for `code: 5yz`, or for several `strikes`",
            abstraction.box(OUTCOME=passing, MEANING=no),
        )
    else:
        yield Suspicion(
            "law-4-fault",
            "suppresses for what may pass and is not the recipient's fault",
            "ask for a `category` and `fault: recipient`",
            abstraction.box(OUTCOME=passing, MEANING=others),
        )
    if Despite.NO_RECIPIENT_FAULT not in rule.despite:
        yield Suspicion(
            "law-4-fault",
            "suppresses for what is not the recipient's fault",
            "ask for a `category` and `fault: recipient`, or say `despite: no-recipient-fault`",
            abstraction.box(OUTCOME=permanent, MEANING=others),
        )
    # What is a hard bounce at RCPT is a bounce elsewhere: only a rule that asks for such a place is told.
    said = {value for each in rule.when if each.key == "command" for value in each.values}
    early = [each for each in Command if each in said and each not in (Command.RCPT, Command.DOT)]
    several = any(each.key == "recipients" and each.values == (False,) for each in rule.when)
    regions = [abstraction.box(OUTCOME=permanent, COMMAND=command.of(early))] if early else []
    if several:
        dot, many = command.of([Command.DOT]), alone.of([False])
        regions.append(abstraction.box(OUTCOME=permanent, COMMAND=dot, RECIPIENTS=many))
    for region in regions:
        says = "suppresses where a reply does not speak of one recipient"
        yield Suspicion("law-4-place", says, "ask for `command: RCPT`", region)


def _is_recipients(category: Category, fault: Fault) -> bool:
    return category in STRIKING and fault in (Fault.RECIPIENT, Fault.RECIPIENT_DOMAIN)
