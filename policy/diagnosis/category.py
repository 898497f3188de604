"""The vocabulary of meaning: what a reply says (`Category`), whose matter it is (`Fault`), and how we know."""

from datetime import timedelta
from enum import Enum

from attrs import frozen

from policy.forward import UntrustedPath
from policy.text import SafeText


class Category(Enum):
    """What an outcome means."""

    ACCEPTED = "accepted"
    BAD_MAILBOX = "bad-mailbox"
    INACTIVE_MAILBOX = "inactive-mailbox"
    BAD_DOMAIN = "bad-domain"
    MAILBOX_FULL = "mailbox-full"
    MESSAGE_TOO_BIG = "message-too-big"
    SPAM_CONTENT = "spam-content"
    CONTENT_REJECTED = "content-rejected"
    VIRUS = "virus"
    REPUTATION_BLOCK = "reputation-block"
    AUTH_FAILURE = "auth-failure"
    SENDER_REJECTED = "sender-rejected"
    RECIPIENT_FILTER = "recipient-filter"
    POLICY_OTHER = "policy-other"
    RELAY_DENIED = "relay-denied"
    RATE_LIMITED = "rate-limited"
    GREYLISTED = "greylisted"
    NETWORK = "network"
    SYSTEM_ERROR = "system-error"
    PROTOCOL_ERROR = "protocol-error"
    TLS_REQUIRED = "tls-required"
    COMPLAINT = "complaint"  # by the recipient, of a message that arrived
    UNSUBSCRIBE = "unsubscribe"
    UNKNOWN = "unknown"


class Fault(Enum):
    """Who must change something before it can work."""

    RECIPIENT = "recipient"
    RECIPIENT_DOMAIN = "recipient-domain"
    SENDER = "sender"  # our reputation, authentication or configuration
    MESSAGE = "message"
    RECEIVER = "receiver"
    NETWORK = "network"
    NONE = "none"


class Weight(Enum):
    """How plainly the outcome says it."""

    STRONG = "strong"  # in so many words, or by a status of its own
    FAIR = "fair"  # by a stock phrase, or a status that a provider bends
    WEAK = "weak"  # merely by its code


class EvidenceKind(Enum):
    """Where a piece of evidence was found."""

    CODE = "code"
    ENHANCED_STATUS = "enhanced-status"
    WORDING = "wording"
    FAILURE = "failure"
    FORM = "form"  # a flaw of the reply, or a reply that its command cannot have
    FORWARD_PATH = "forward-path"
    HINT = "hint"  # a time to wait that the reply names
    BLOCKLIST = "blocklist"
    SUPPORT_CODE = "support-code"
    URL = "url"
    SUGGESTION = "suggestion"  # a domain that was likelier meant
    NAMED = "named"  # an address in the reply that is not the recipient's
    HISTORY = "history"
    LAW = "law"  # a law of the design kept a rule from doing more, or was set aside by it
    GUARD = "guard"  # the outage guard keeps the address from being suppressed
    FREEZE = "freeze"  # a person said that nothing is to be bounced or suppressed for now
    SPARED = "spared"  # the address is on the operator's never-suppress list
    EVENT = "event"
    OBSERVED = "observed"  # what a rule in `mode: observe` would have decided


@frozen
class Evidence:
    """One thing that spoke: where, what it was, and what it says. `value` may quote the reply."""

    kind: EvidenceKind
    value: SafeText
    says: str


@frozen(kw_only=True)
class Diagnosis:
    """What an outcome means.

    Args:
        weight: strong when wording or a specific status says it; weak when only the code implies it.
        evidence: the deciding piece first.
        remedy: one helpful sentence for the sender; empty when nothing needs doing.
        retry_after: a wait that the reply asks for, bounded, untrusted; None when it names none.
        forward_path: the path a 251 or 551 names, untrusted; None when it names none.
    """

    category: Category
    fault: Fault
    weight: Weight
    evidence: tuple[Evidence, ...]
    remedy: str = ""
    retry_after: timedelta | None = None
    forward_path: UntrustedPath | None = None
