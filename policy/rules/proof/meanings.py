"""What outcomes can mean: every (category, fault, weight) that a diagnosis may come to, and for which outcomes.

Read off the knowledge, not off texts: what a signature, a status or a code says, for each class of codes that it
speaks of, and what `policy.diagnosis.naming` makes of it. So it holds for all replies that there can be.
"""

from collections.abc import Iterator

from attrs import evolve

from policy.attempt import Event, Failure
from policy.diagnosis.category import Category, Fault, Weight
from policy.diagnosis.diagnose import ACCEPTED, EVENTS, NOTHING_KNOWN, PROTOCOL_ERROR
from policy.diagnosis.knowledge import Finding, Knowledge

Meaning = tuple[Category, Fault, Weight]

YES: Meaning = (ACCEPTED.category, ACCEPTED.fault, ACCEPTED.weight)
NOT_SMTP: Meaning = (PROTOCOL_ERROR.category, PROTOCOL_ERROR.fault, PROTOCOL_ERROR.weight)


def of_failure(knowledge: Knowledge, failure: Failure) -> Meaning:
    """What a failure without a reply means; always the same."""
    return _meaning(knowledge.failures[failure])


def of_event(event: Event) -> Meaning:
    """What a recipient's word means; always the same."""
    return _meaning(EVENTS[event])


def of_refusals(knowledge: Knowledge, klass: int) -> frozenset[Meaning]:
    """What a readable reply of class 4 or 5 can mean."""
    return frozenset(_meaning(each) for found in _findings(knowledge, klass) for each in _named(found))


def _findings(knowledge: Knowledge, klass: int) -> Iterator[Finding]:
    yield NOTHING_KNOWN
    yield from knowledge.statuses.values()
    yield from knowledge.provider_statuses.values()  # of either class: a 450 may quote another host's 5.1.8
    for (code, _), finding in knowledge.codes.items():
        if code // 100 == klass:
            yield finding
    for signature in knowledge.signatures:
        if signature.klass and klass not in signature.klass:
            continue
        if not signature.codes or any(code // 100 == klass for code in signature.codes):
            yield signature.finding


def _named(finding: Finding) -> Iterator[Finding]:
    """The finding, and what becomes of it where the reply names another address (`policy.diagnosis.naming`)."""
    yield finding
    if finding.fault is Fault.RECIPIENT:
        yield evolve(finding, category=Category.SENDER_REJECTED, fault=Fault.SENDER)
        if finding.weight is not Weight.WEAK:
            yield evolve(finding, weight=Weight.FAIR)


def _meaning(finding: Finding) -> Meaning:
    return finding.category, finding.fault, finding.weight
