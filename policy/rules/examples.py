"""The examples of rules, tried: what each must decide, and what it must not.

An example says only what matters; the rest is filled in from the rule itself: the domain or the provider that it stands
under, the first command that its `when` names (else RCPT), an attempt number and a stream that it asks for.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from policy.attempt import Attempt, Command
from policy.contract import ContractError, read_attempt
from policy.decide import facts_of
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
    rank = {rule.ref: number for number, layer in enumerate(policy.layers) for rule in layer.rules}
    for rule in policy.rules:
        own = rank.get(rule.ref)
        for example in rule.examples if own is not None else ():
            decided, observing = _deciding(policy, rule, example, now)
            over = isinstance(decided, Rule) and rank.get(decided.ref, len(policy.layers)) < (own or 0)
            if isinstance(decided, str):
                yield _problem(rule, example, "bad-example", decided)
            elif rule not in (decided, *observing) and not over:
                yield _problem(rule, example, "broken-example", f"{_said(example)} is decided by {decided.ref}")
        for example in rule.counterexamples if own is not None else ():
            decided, observing = _deciding(policy, rule, example, now)
            if isinstance(decided, str):
                yield _problem(rule, example, "bad-example", decided)
            elif rule in (decided, *observing):
                yield _problem(rule, example, "broken-counterexample", f"{_said(example)} is decided by this very rule")


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
