"""From a rule's node to a `Rule`: its keys, and which modifiers an action needs and forbids."""

from typing import Any

from policy.decision import Action, RuleRef
from policy.rules.conditions import when
from policy.rules.reading import (
    Key,
    Keys,
    Kind,
    Report,
    choice,
    day,
    fields,
    identifier,
    members,
    schema_of,
    several,
    string,
)
from policy.rules.rule import Despite, Example, Rule, Then
from policy.rules.terms import ONLY_WITH, THEN
from policy.yamlfile import Mapping, Node, Scalar

# What an example may say of its attempt: keys of the JSON contract (`policy.contract.attempt`).
EXAMPLE_KEYS = (
    "reply", "failure", "command", "recipient", "sender", "recipients", "mx", "provider", "attempt", "first_attempt_at",
    "now", "stream", "rcpt_reply", "custody", "event", "deliver_by", "tls", "backup_mx",
)  # fmt: skip
_EXAMPLE: Keys = {key: Key(string, f"`{key}` of the attempt, as in JSON.") for key in EXAMPLE_KEYS}


def _example(report: Report, node: Node) -> Example | None:
    """A reply, or a map of what an attempt says."""
    if not isinstance(node, Mapping):
        reply = string(report, node)
        return None if reply is None else Example((("reply", reply),), node.line, node.column)
    found = fields(report, node, "an example", _EXAMPLE)
    said = [(key, value.text) for key, value in found.items() if isinstance(value, Scalar)]
    if len(said) < len(found) or not {"reply", "failure", "event"} & found.keys():
        message = "an example is a reply, or a map with `reply`, `failure` or `event`, each one text"
        report.problem(node, "bad-example", message)
        return None
    return Example(tuple(said), node.line, node.column)


example: Kind[Example] = Kind(
    _example, {"anyOf": [string.schema, schema_of(_EXAMPLE)]}, "a reply, or a map of what the attempt says"
)


def _then(report: Report, node: Node) -> Then | None:
    found = fields(report, node, "`then`", THEN)
    given: dict[str, Any] = {key: THEN[key].kind(report, value) for key, value in found.items()}
    action = given.get("action")
    if action is None:
        return None
    if action is Action.HARD_BOUNCE and "suppress" not in found:
        report.problem(node, "needs-suppress", "`hard-bounce` suppresses: say how in `suppress`, or `bounce`")
    for key in found.keys() & ONLY_WITH.keys():
        if action not in ONLY_WITH[key]:
            allowed = " or ".join(f"`{each.value}`" for each in ONLY_WITH[key] if each is not Action.ACCEPT)
            message = f"`{key}` goes with {allowed}, not with `{action.value}`"
            report.problem(found[key], "misplaced-modifier", message)
    return Then(**{key: value for key, value in given.items() if value is not None})


then: Kind[Then] = Kind(_then, schema_of(THEN), "map: an action and its modifiers")

RULE: Keys = {
    "id": Key(identifier, "The rule's name, of which there is one in a file.", required=True),
    "when": Key(when, "What must hold; without it the rule always holds."),
    "then": Key(then, "What is done.", required=True),
    "examples": Key(several(example), "What this rule must decide; `check` and `test` try them."),
    "counterexamples": Key(several(example), "What this rule must not decide."),
    "note": Key(string, "Why the rule is there, for those who come after."),
    "owner": Key(string, "Whom to ask about it."),
    "mode": Key(
        choice({"decide": False, "observe": True}, "mode"),
        "`observe`: only say in the evidence what it would have decided; `decide` is usual.",
    ),
    "expires": Key(day, "From this day on (UTC) the rule no longer holds, and `check` says so."),
    "despite": Key(
        several(choice(members(Despite), "law that can be set aside")),
        "Set a law of ours aside, on purpose: decisions say so.",
    ),
}
_FIELDS = {"mode": "observing"}


def _rule(report: Report, node: Node) -> Rule | None:
    found = fields(report, node, "a rule", RULE)
    given = {key: RULE[key].kind(report, value) for key, value in found.items()}
    said = {_FIELDS.get(key, key): value for key, value in given.items() if value is not None}
    id_ = said.pop("id", None)
    if id_ in report.ids:
        report.problem(found["id"], "duplicate-id", f"rule `{id_}` stands already in line {report.ids[id_]}")
    elif id_ is not None:
        report.ids[id_] = node.line
    if id_ is None or "then" not in said or not isinstance(node, Mapping):
        return None
    said.setdefault("when", ())
    _check_event(report, found, said)
    return Rule(ref=RuleRef(id_, report.file, node.line), node=node, **said)


def _check_event(report: Report, found: dict[str, Node], said: dict[str, Any]) -> None:
    """What a recipient says of a message is no fate of the message: it is accepted, and may suppress all the same."""
    of_events = any(each.key == "event" for each in said["when"])
    action = said["then"].action
    if action is Action.ACCEPT and said["then"].suppress is not None and not of_events:
        message = "`suppress` goes with `accept` only where `when` names an `event`; a yes never suppresses"
        report.problem(found["then"], "misplaced-modifier", message)
    if of_events and action is not Action.ACCEPT:
        message = f"an `event` is about a message that arrived: the action is `accept`, not `{action.value}`"
        report.problem(found["then"], "misplaced-modifier", message)


rule: Kind[Rule] = Kind(_rule, schema_of(RULE), "rule")
