"""mailverdict: reads what the other mail server answered and says, with a reason, what the sending pipeline does next.

This wing decides and touches nothing: no clock, no network, no disk but for reading rules. Start with `load_policy`,
`Engine`, `Attempt` and `parse_reply`; `decide` is the pure heart of it all.
"""

from typing import TYPE_CHECKING, Any

from policy.address import NULL_SENDER, Address, parse_address
from policy.attempt import Attempt, Command, Custody, Event, Failure, Outcome, Tls
from policy.decide import decide
from policy.decision import Action, Decision, Effect, RuleRef
from policy.diagnosis.category import Category, Diagnosis, Evidence, Fault
from policy.engine import AttemptConflict, Engine
from policy.history import History
from policy.planning import Delivery, Plan, Verdict
from policy.ports import Mailer, MailerSetup, Store, StoreUnavailable
from policy.reply import EnhancedStatus, Reply, parse_reply, reply_from_client
from policy.rules.policy import Policy
from policy.sending import Sent, send
from policy.transaction import Envelope, Transaction, fold

__all__ = [
    "NULL_SENDER", "Action", "Address", "Attempt", "AttemptConflict", "Category", "Command", "Custody", "Decision",
    "Delivery", "Diagnosis", "Effect", "Engine", "EnhancedStatus", "Envelope", "Event", "Evidence", "Failure", "Fault",
    "History", "Mailer", "MailerSetup", "Outcome", "Plan", "Policy", "Reply", "RuleRef", "RulesError",
    "RulesUnreadable", "Sent", "Store", "StoreUnavailable", "Tls", "Transaction", "Verdict", "decide", "fold",
    "load_policy", "parse_address", "parse_reply", "reply_from_client", "send",
]  # fmt: skip

if TYPE_CHECKING:
    from policy.rules.source import RulesError, RulesUnreadable, load_policy


def __getattr__(name: str) -> Any:
    """What reads rules from disk is imported when it is asked for: it brings the YAML parser (PEP 562)."""
    if name not in ("RulesError", "RulesUnreadable", "load_policy"):
        raise AttributeError(f"module `policy` has no attribute `{name}`")
    from policy.rules import source

    return getattr(source, name)
