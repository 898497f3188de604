"""The examples of rules, tried: what each must decide, and what it must not.

An example says only what matters; the rest is filled in from the rule itself: the domain or the provider that it stands
under, the first command that its `when` names (else RCPT), an attempt number and a stream that it asks for.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from policy.attempt import Attempt, Command
from policy.contract import ContractError, read_attempt
from policy.hearing import facts_of
from policy.history import History
from policy.rules.policy import Policy
from policy.rules.rule import Example, Rule
from policy.text import clean
from policy.yamlfile import Problem

_NUMBERS = ("attempt", "recipients")


def failing_examples(policy: Policy, *, now: datetime) -> Iterator[Problem]:
    """Yield a problem for each example that its rule does not decide, and each counterexample that it does.

    A rule of a higher file may decide an example: taking over is what a higher file is for.
    """
    ranks = {layer.file: number for number, layer in enumerate(policy.layers)}
    for rule in policy.rules:
        yield from _failing(policy, rule, ranks, now)


def _failing(policy: Policy, rule: Rule, ranks: Mapping[str, int], now: datetime) -> Iterator[Problem]:
    for example in rule.examples:
        decided, observing = _deciding(policy, rule, example, now)
        if isinstance(decided, str):
            yield _problem(rule, example, "bad-example", decided)
        elif not _is_among(rule, (decided, *observing)) and _rank(decided, ranks) >= _rank(rule, ranks):
            yield _problem(rule, example, "broken-example", f"{_said(example)} is decided by {decided.ref}")
    for example in rule.counterexamples:
        decided, observing = _deciding(policy, rule, example, now)
        if isinstance(decided, str):
            yield _problem(rule, example, "bad-example", decided)
        elif _is_among(rule, (decided, *observing)):
            yield _problem(rule, example, "broken-counterexample", f"{_said(example)} is decided by this very rule")


def _is_among(rule: Rule, others: Iterable[Rule]) -> bool:
    """The rule, in whichever of the parts that an override in a scope makes of it."""
    return any(
        (each.ref.id, each.ref.file, each.ref.line) == (rule.ref.id, rule.ref.file, rule.ref.line) for each in others
    )


def _rank(rule: Rule, ranks: Mapping[str, int]) -> int:
    """Which file has the last word in the rule, the highest first: the file that edited it last, or its own."""
    file = rule.ref.edited[-1].rpartition(":")[0] if rule.ref.edited else rule.ref.file
    return ranks[file]


def attempt_of(rule: Rule, example: Example, now: datetime) -> Attempt:
    """Return the attempt that an example speaks of.

    Raises:
        ContractError: when the example says what no attempt can be.
    """
    said: dict[str, Any] = {**_usual(rule), **dict(example.said)}
    for key in _NUMBERS:
        if str(said.get(key, "")).isdigit():
            said[key] = int(said[key])
    if "failure" in said and "command" not in dict(example.said):
        said.pop("command", None)
    if said.get("command") == "unknown":
        said.pop("command")
    return read_attempt({"now": now.isoformat(), **said})


def _usual(rule: Rule) -> Mapping[str, Any]:
    asked = {each.key: each.values for each in (*rule.when, *rule.within)}
    command = next(iter(asked.get("command", ())), Command.RCPT)
    usual: dict[str, Any] = {"command": command.value if isinstance(command, Command) else command}
    domain = next(iter(asked.get("domain", ())), "example.com")
    usual["recipient"] = f"jo@{domain.replace('*', 'mail').removeprefix('=')}"
    for key in ("provider", "stream"):
        if key in asked:
            usual[key] = asked[key][0]
    if "attempt" in asked:
        usual["attempt"] = asked["attempt"][0].low or asked["attempt"][0].high
    if asked.get("recipients") == (False,):
        usual["recipients"] = 2
    if asked.get("null_sender") == (True,):
        usual["sender"] = ""
    return usual


def _deciding(policy: Policy, rule: Rule, example: Example, now: datetime) -> tuple[Rule | str, tuple[Rule, ...]]:
    """The rule that decides, and those that observe; or what is wrong with the example."""
    try:
        attempt = attempt_of(rule, example, now)
    except ContractError as error:
        return f"{_said(example)}: {error}", ()
    return policy.rule_for(facts_of(policy, attempt, History(), now))


def _problem(rule: Rule, example: Example, code: str, said: str) -> Problem:
    return Problem(rule.ref.file, example.line, example.column, code, f"rule `{rule.ref.id}`: example {said}")


def _said(example: Example) -> str:
    parts = dict(example.said)
    first = parts.pop("reply", None) or parts.pop("failure", "")
    rest = ", ".join(f"{key} {value}" for key, value in parts.items())
    return f"`{clean(first, limit=80)}`" + (f" ({clean(rest, limit=80)})" if rest else "")
