"""Of whom a reply speaks: an address that it names may be the recipient's, the sender's, or somebody else's.

`550 <us@ours.example> User unknown` is about our own sender address (the server asked for it and was told no), and
`550 <other@there.example> User unknown` about an address behind the one we wrote to. The first says nothing of the
recipient, the second says it weakly.
"""

import re

from attrs import evolve

from policy.address import Address, parse_address
from policy.attempt import Attempt
from policy.diagnosis.category import Category, Evidence, EvidenceKind, Fault, Weight
from policy.diagnosis.knowledge import Finding
from policy.reply import Reply
from policy.text import clean

_ADDRESS = re.compile(r"(?<![^\s<>\"',;:()\[\]])[^\s<>\"',;:()\[\]@]{1,64}@[^\s<>@\"',;:()\[\]]{1,255}")
_NAMED_LIMIT = 16


def of_whom(reply: Reply, attempt: Attempt, finding: Finding) -> tuple[Finding, tuple[Evidence, ...]]:
    """Return the finding, milder where the reply names another address than the recipient's, and why."""
    recipient = attempt.recipient
    if reply.code == 551:  # it names the address to try instead, and that decides nothing
        return finding, ()
    if recipient is None or finding.fault is not Fault.RECIPIENT or "@" not in reply.text:
        return finding, ()
    named = _named(reply)
    if not named or recipient.key in named:
        return finding, ()
    sender = attempt.sender
    if isinstance(sender, Address) and sender.key in named:
        says = "the reply names the sender's address: it is that one that was refused"
        about = evolve(finding, category=Category.SENDER_REJECTED, fault=Fault.SENDER, remedy=_SENDER_REMEDY)
        return about, (Evidence(EvidenceKind.NAMED, clean(sender.key), says),)
    other = min(named)
    says = "the reply names another address than the recipient's"
    milder = finding if finding.weight is Weight.WEAK else evolve(finding, weight=Weight.FAIR)
    return milder, (Evidence(EvidenceKind.NAMED, clean(other), says),)


_SENDER_REMEDY = "Check that the envelope sender exists and takes mail: the server asked and was told no."


def _named(reply: Reply) -> frozenset[str]:
    keys = set()
    for found, _ in zip(_ADDRESS.finditer(reply.text), range(_NAMED_LIMIT), strict=False):
        try:
            keys.add(parse_address(found[0].rstrip(".!?")).key)
        except ValueError:
            continue
    return frozenset(keys)
