"""Conditions as the slow evaluator asks them: what a line of a `when` says of an attempt, in the plainest words."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from policy.address import Address, parse_domain
from policy.attempt import Attempt, Event, Failure
from policy.diagnosis.category import Diagnosis
from policy.reply import Reply

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@frozen(kw_only=True)
class Asked:
    """What conditions look at."""

    attempt: Attempt
    diagnosis: Diagnosis
    provider: str | None
    number: int
    now: datetime
    age: timedelta
    delivered_before: bool
    split_before: bool
    clear_before: bool


def many(value: Any) -> list[Any]:
    """One value, or a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def domain_of(address: Address | Any) -> str | None:
    return address.domain if isinstance(address, Address) else None


def duration(text: str) -> timedelta:
    return timedelta(seconds=sum(int(count) * SECONDS[unit] for count, unit in re.findall("([0-9]+)([a-z])", text)))


def rule_holds(rule: dict[str, Any], asked: Asked) -> bool:
    expires = rule.get("expires")
    if expires is not None and asked.now >= datetime.fromisoformat(expires).replace(tzinfo=UTC):
        return False
    return all(holds(key, value, asked) for key, value in rule.get("when", {}).items())


def holds(key: str, value: Any, asked: Asked) -> bool:
    """Does one line of a `when` hold? Of several values one is enough; of `not` none may hold."""
    if key == "not":
        return not any(holds(each, below, asked) for each, below in value.items())
    return any(one_holds(key, each, asked) for each in many(value))


def one_holds(key: str, value: Any, asked: Asked) -> bool:  # noqa: PLR0911
    attempt, outcome = asked.attempt, asked.attempt.outcome
    reply = outcome if isinstance(outcome, Reply) else None
    if key == "code":
        return reply is not None and not reply.is_void and code_falls_under(value, str(reply.code))
    if key == "enhanced":
        return reply is not None and reply.enhanced is not None and starts_as(value, str(reply.enhanced))
    if key == "text":
        return reply is not None and " ".join(value.split()).lower() in reply.searchable
    if key == "pattern":
        return re.search(value, reply.searchable if reply else "", re.IGNORECASE) is not None
    if key in ("domain", "sender_domain", "mx"):
        names = {"domain": domain_of(attempt.recipient), "sender_domain": domain_of(attempt.sender), "mx": attempt.mx}
        return falls_under(value, names[key])
    if key in ("attempt", "age"):
        have, read = (asked.number, int) if key == "attempt" else (asked.age, duration)
        span = value if isinstance(value, dict) else {"min": value, "max": value}
        return ("min" not in span or read(span["min"]) <= have) and ("max" not in span or have <= read(span["max"]))
    if key == "tag":
        return value in [f"{name}={word}" for name, word in attempt.tags]
    return bool(value == words(asked)[key])


def words(asked: Asked) -> dict[str, str | None]:
    """Of the keys whose values are compared as words: what the attempt has."""
    attempt, diagnosis, outcome = asked.attempt, asked.diagnosis, asked.attempt.outcome
    return {
        "command": attempt.command.value if attempt.command else "unknown",
        "failure": outcome.value if isinstance(outcome, Failure) else None,
        "event": outcome.value if isinstance(outcome, Event) else None,
        "category": diagnosis.category.value,
        "fault": diagnosis.fault.value,
        "weight": diagnosis.weight.value,
        "provider": asked.provider,
        "stream": attempt.stream,
        "custody": attempt.custody.value,
        "recipients": "one" if attempt.recipients == 1 else "several",
        "null_sender": flag(attempt.sender == ""),
        "forward_path": flag(diagnosis.forward_path is not None),
        "void": flag(isinstance(outcome, Reply) and outcome.is_void),
        "split_before": flag(asked.split_before),
        "clear_before": flag(asked.clear_before),
        "backup_mx": flag(attempt.backup_mx),
        "delivered_before": flag(asked.delivered_before),
    }


def flag(value: bool) -> str:
    return "true" if value else "false"


def code_falls_under(pattern: str, code: str) -> bool:
    """`550`, `550-559`, `5yz`."""
    if "-" in pattern:
        return int(pattern[:3]) <= int(code) <= int(pattern[4:])
    return pattern in (code, code[0] + "yz")


def starts_as(prefix: str, status: str) -> bool:
    """`5.1.1`, `5.1`, `X.1.1`: by parts, not by characters."""
    have = status.split(".")
    return all(want in ("X", have[place]) for place, want in enumerate(prefix.split(".")))


def falls_under(pattern: str, name: str | None) -> bool:
    """`example.org` and all below it, `*.example.org` what is below, `=example.org` itself."""
    if name is None:
        return False
    bare = parse_domain(pattern.removeprefix("*.").removeprefix("="))
    itself, below = name == bare, name.endswith("." + bare)
    return below if pattern.startswith("*.") else itself if pattern.startswith("=") else itself or below
