"""The outside contract: plain dicts, as JSON has them, and our values.

`attempt.py` and `decision.py` are what others script against; `entry.py` is the form in which stores keep values, with
nothing lost. Nothing in `policy` imports this package but its own test kit: only the shells speak JSON.
"""

from policy.contract.attempt import read_attempt, write_attempt
from policy.contract.decision import write_decision, write_forward, write_suppression
from policy.contract.entry import dump, dump_entry, load, load_entry
from policy.contract.mistake import ContractError

__all__ = [
    "ContractError",
    "dump",
    "dump_entry",
    "load",
    "load_entry",
    "read_attempt",
    "write_attempt",
    "write_decision",
    "write_forward",
    "write_suppression",
]
