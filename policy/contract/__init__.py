"""The outside contract: plain dicts, as JSON has them, and our values.

`attempt.py`, `decision.py` and `suppression.py` are what others script against; `entry.py` is the form in which stores
keep values, with nothing lost. Nothing in `policy` imports this package but its own test kit: only the shells speak
JSON.
"""

from policy.contract.attempt import read_attempt, write_attempt
from policy.contract.decision import (
    write_decision,
    write_forward,
    write_freeze,
    write_progress,
    write_suppression,
    write_suspension,
    write_throttling,
    write_watch,
)
from policy.contract.delivery import read_delivery
from policy.contract.entry import dump, dump_entry, load, load_entry
from policy.contract.mistake import ContractError
from policy.contract.suppression import read_suppression, scope_of

__all__ = [
    "ContractError",
    "dump",
    "dump_entry",
    "load",
    "load_entry",
    "read_attempt",
    "read_delivery",
    "read_suppression",
    "scope_of",
    "write_attempt",
    "write_decision",
    "write_forward",
    "write_freeze",
    "write_progress",
    "write_suppression",
    "write_suspension",
    "write_throttling",
    "write_watch",
]
