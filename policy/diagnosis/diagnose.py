"""What an outcome means: a failure says it itself, a reply by its form, and else by all that speaks in it.

1. A failure without a reply says what it is, and so does an event.
2. The form: no readable code, bytes out of step, or a reply that its command cannot have is a protocol error.
3. 2yz and 3yz are success.
4. Any other reply is weighed (`policy.diagnosis.weighing`): words, the enhanced status as this provider uses it or as
   IANA registers it, and the code. Words weigh most, since one code has many meanings (Yandex says `550 5.7.1 No such
   user`, others `550 5.1.1 blocked`). The code alone is weak: an unexplained 550 to RCPT means the mailbox, elsewhere
   nothing.
"""

from functools import lru_cache

from policy.address import Address
from policy.attempt import Attempt, Command, Event, Failure
from policy.diagnosis.category import Category, Diagnosis, Evidence, EvidenceKind, Fault, Weight
from policy.diagnosis.hints import retry_after
from policy.diagnosis.knowledge import Finding, Knowledge
from policy.diagnosis.naming import of_whom
from policy.diagnosis.weighing import quoted_reply, weigh
from policy.forward import forward_path
from policy.reply import Flaw, Reply
from policy.text import clean

NOTHING_KNOWN = Finding(
    category=Category.UNKNOWN,
    fault=Fault.NONE,
    weight=Weight.WEAK,
    points=0,
    meaning="nothing in the reply says more than its class",
    remedy="Read the reply: it has no wording, status or code that is known here.",
)
PROTOCOL_ERROR = Finding(
    category=Category.PROTOCOL_ERROR,
    fault=Fault.RECEIVER,
    weight=Weight.STRONG,
    points=0,
    meaning="the server does not speak SMTP as RFC 5321 has it",
    remedy="Look at the conversation itself; a proxy, a firewall or a broken server answered out of turn.",
)
ACCEPTED = Finding(
    category=Category.ACCEPTED,
    fault=Fault.NONE,
    weight=Weight.STRONG,
    points=0,
    meaning="the server said yes",
    remedy="",
)

EVENTS = {
    Event.COMPLAINT: Finding(
        category=Category.COMPLAINT,
        fault=Fault.NONE,
        weight=Weight.STRONG,
        points=0,
        meaning="the recipient called the message spam",
        remedy="Send no more of this kind; look at how the address came onto the list.",
    ),
    Event.UNSUBSCRIBE: Finding(
        category=Category.UNSUBSCRIBE,
        fault=Fault.NONE,
        weight=Weight.STRONG,
        points=0,
        meaning="the recipient asked for no more of this kind",
        remedy="Send no more of this kind.",
    ),
}


def diagnose(knowledge: Knowledge, attempt: Attempt, provider: str | None) -> Diagnosis:
    """Return what the attempt's outcome means. Total: every outcome has a diagnosis.

    Args:
        provider: the mailbox provider as the policy knows it; None when it is not known.
    """
    from policy.diagnosis.stated import stated  # its patterns take 10 ms to compile, and only a decision needs them

    outcome = attempt.outcome
    if isinstance(outcome, Event):
        finding = EVENTS[outcome]
        return _diagnosis(
            finding, (_evidence(EvidenceKind.EVENT, outcome.value, finding.meaning),), remedy=finding.remedy
        )
    if isinstance(outcome, Failure):
        finding = knowledge.failures[outcome]
        beside, remedy = stated(clean(""), attempt.recipient, finding)
        said = _evidence(EvidenceKind.FAILURE, outcome.value, finding.meaning)
        return _diagnosis(finding, (said, *beside), remedy=remedy)
    path_reply = outcome if attempt.rcpt_reply is None or outcome.klass != 2 else attempt.rcpt_reply
    finding, evidence = _read(knowledge, outcome, attempt.command, provider, attempt.recipient)
    remedy = finding.remedy
    if outcome.klass in (4, 5):
        finding, named = of_whom(outcome, attempt, finding)
        evidence = (*evidence, *named)
        beside, remedy = stated(outcome.text, attempt.recipient, finding)
        evidence = (*evidence, *beside)
    hint = retry_after(outcome.searchable) if outcome.klass == 4 else None
    if hint is not None:
        says = f"asks to wait {int(hint.total_seconds())} seconds"
        evidence = (*evidence, _evidence(EvidenceKind.HINT, outcome.text, says))
    path = None
    if attempt.command in (None, Command.RCPT, Command.DOT):
        path = forward_path(path_reply, attempt.recipient, smtputf8=attempt.smtputf8)
    if path is not None:
        says = f"the server names this address in its {path_reply.code}; untrusted, for a person to approve"
        evidence = (*evidence, _evidence(EvidenceKind.FORWARD_PATH, path.quoted, says))
    return _diagnosis(finding, evidence, remedy=remedy, retry_after=hint, forward_path=path)


def _read(
    knowledge: Knowledge, reply: Reply, command: Command | None, provider: str | None, recipient: Address | None
) -> tuple[Finding, tuple[Evidence, ...]]:
    """Weigh the evidence of a reply: what decided, and the pieces in the order of their weight."""
    if reply.code is None or reply.is_void:
        flaws = _flaws(reply.flaws) or (_evidence(EvidenceKind.FORM, Flaw.NO_CODE.value, _FLAWS[Flaw.NO_CODE]),)
        inner = quoted_reply(reply.text)
        start = f"a reply seems to start at `{inner}`: give it from there" if inner else ""
        return PROTOCOL_ERROR, (*flaws, *([_evidence(EvidenceKind.FORM, "quoted", start)] if inner else []))
    if reply.klass in (2, 3):
        return _positive(reply.code, command, reply.flaws)
    weighing = weigh(knowledge, reply, command, provider, recipient)
    if weighing.deciding is None:
        return NOTHING_KNOWN, (_code(reply.code), *_flaws(reply.flaws))
    return weighing.deciding, (*(each.evidence for each in weighing.telling), *_flaws(reply.flaws))


@lru_cache(maxsize=1024)
def _positive(code: int, command: Command | None, flaws: tuple[Flaw, ...]) -> tuple[Finding, tuple[Evidence, ...]]:
    """A 2yz is yes, except to DATA, which must be 354; a 3yz is yes to DATA and AUTH only."""
    klass = code // 100
    in_place = command is not Command.DATA if klass == 2 else command in (Command.DATA, Command.AUTH)
    if in_place:
        return ACCEPTED, (_code(code), *_flaws(flaws))
    place = command.value if command else "an unknown command"
    wrong = _evidence(EvidenceKind.FORM, str(code), f"cannot answer {place} (RFC 5321 4.3.2)")
    return PROTOCOL_ERROR, (wrong, *_flaws(flaws))


def _code(code: int) -> Evidence:
    return _evidence(EvidenceKind.CODE, str(code), f"class {code // 100}yz")


def _flaws(flaws: tuple[Flaw, ...]) -> tuple[Evidence, ...]:
    return tuple(_evidence(EvidenceKind.FORM, flaw.value, _FLAWS[flaw]) for flaw in flaws if flaw in _FLAWS)


def _diagnosis(finding: Finding, evidence: tuple[Evidence, ...], **facts: object) -> Diagnosis:
    return Diagnosis(
        category=finding.category,
        fault=finding.fault,
        weight=finding.weight,
        evidence=evidence,
        **facts,  # type: ignore[arg-type]
    )


def _evidence(kind: EvidenceKind, value: str, says: str) -> Evidence:
    return Evidence(kind, clean(value, limit=200), says)


_FLAWS = {
    Flaw.NO_CODE: "the reply has no code",
    Flaw.CODE_OUT_OF_RANGE: "the first digit of the code is not 2-5",
    Flaw.OUT_OF_STEP: "more bytes came than one reply; the verdict is void",
    Flaw.CODES_DIFFER: "the lines have different codes; the last one counts",
    Flaw.CLASS_MISMATCH: "the enhanced status is of another class than the code; the code counts",
    Flaw.ENHANCED_DIFFER: "the lines have different enhanced statuses; the first one counts",
}
