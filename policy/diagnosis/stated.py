"""What an outcome states beside its meaning, as evidence and remedy: a blocklist, a page, a code, a likelier domain.

All of it comes from a stranger's text or from a guess, and none of it decides anything.
"""

from collections.abc import Iterator

from policy.address import Address
from policy.diagnosis.category import Category, Evidence, EvidenceKind
from policy.diagnosis.facts import Facts, Listed, read_facts, shipped_blocklists
from policy.diagnosis.knowledge import Finding
from policy.diagnosis.typos import suggestion
from policy.text import SafeText, clean

_ADDRESS_MATTERS = (Category.BAD_MAILBOX, Category.BAD_DOMAIN)


def stated(text: SafeText, recipient: Address | None, finding: Finding) -> tuple[tuple[Evidence, ...], str]:
    """Return what the text states, and the finding's remedy made particular by it.

    Args:
        text: of the reply; empty for a failure without one.
    """
    facts = read_facts(text)
    remedy = finding.remedy
    evidence = list(_evidence(facts))
    meant = suggestion(recipient.domain) if recipient and finding.category in _ADDRESS_MATTERS else None
    if meant is not None and recipient is not None:
        evidence.append(Evidence(EvidenceKind.SUGGESTION, clean(meant), f"was {recipient.domain} meant to be this?"))
        remedy = f"Was {recipient.domain} meant to be {meant}? {remedy}"
    if facts.blocklist is not None and finding.category is Category.REPUTATION_BLOCK:
        remedy = f"{_blocklist_remedy(facts)} {remedy}"
    return tuple(evidence), remedy


def _evidence(facts: Facts) -> Iterator[Evidence]:
    if facts.blocklist is not None:
        of = f" for {facts.listed_ip}" if facts.listed_ip else ""
        yield Evidence(EvidenceKind.BLOCKLIST, clean(facts.blocklist), f"the list that the reply names{of}")
    if facts.support_code is not None:
        yield Evidence(EvidenceKind.SUPPORT_CODE, facts.support_code, "quote it when you ask their support")
    if facts.session is not None:
        says = "their own name of this conversation: quote it, too"
        yield Evidence(EvidenceKind.SUPPORT_CODE, facts.session, says)
    for url in facts.urls:
        yield Evidence(EvidenceKind.URL, url, "the page that the reply names; untrusted")


def _blocklist_remedy(facts: Facts) -> str:
    blocklist = shipped_blocklists()[facts.blocklist or ""]
    if blocklist.kind is Listed.NOBODY:
        return blocklist.note
    page = f" at {blocklist.lookup}" if blocklist.lookup else ""
    return f"Look up {facts.listed_ip or 'the sending address'} in {blocklist.name}{page}. {blocklist.note}".rstrip()
