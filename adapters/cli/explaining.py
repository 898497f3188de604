"""`mailverdict explain`: how a reply was read, step by step: what matched, what it weighed, what almost matched."""

from typing import Any

import click

from adapters.cli.common import USAGE, fail, format_option, refused, reply_argument, rules_option, the_policy
from policy import Attempt, Command, Policy, Reply
from policy.contract import ContractError, read_attempt
from policy.diagnosis.diagnose import diagnose
from policy.diagnosis.weighing import Weighing, near_misses, weigh

_UNKNOWN = "unknown"


@click.command(
    "explain",
    epilog="""\b
Examples:
  mailverdict explain "550 5.7.1 No such user"
  mailverdict explain "550 5.1.1 blocked, see our spam policy" --command DOT
  mailverdict explain "550 5.4.1 Recipient address rejected: Access denied" --provider microsoft --format json""",
)
@reply_argument
@click.option("--command", metavar="COMMAND", help=f"What the reply answers, or {_UNKNOWN}.  [default: RCPT]")
@click.option("--to", "recipient", metavar="ADDRESS", help="The recipient.")
@click.option("--mx", metavar="HOST", help="The remote host's name.")
@click.option("--provider", metavar="NAME", help="The mailbox provider, as the rules name it.")
@rules_option
@format_option
def explain_command(
    reply: str | None, command: str | None, rules: tuple[str, ...], form: str, **said: str | None
) -> None:
    """Show how REPLY is read: its parts, every signature that matched, what decided, and what almost matched."""
    if reply is None:
        fail(USAGE, "a REPLY is needed; try `mailverdict explain --help`")
    document = {"reply": reply, **said, "command": None if command == _UNKNOWN else (command or Command.RCPT.value)}
    try:
        attempt = read_attempt(document)
    except ContractError as error:
        refused(error)
    explanation = explain(the_policy(rules), attempt)
    if form == "json":
        from adapters.cli.show import print_json

        print_json(explanation)
    else:
        print_explanation(explanation)


def explain(policy: Policy, attempt: Attempt) -> dict[str, Any]:
    """Return all that can be said of how the reply of `attempt` is read."""
    reply = attempt.outcome
    if not isinstance(reply, Reply):
        fail(USAGE, "a failure or an event without a reply has nothing to explain")
    provider = policy.provider_of(attempt)
    subject = (policy.knowledge, reply, attempt.command, provider, attempt.recipient)
    weighing = weigh(*subject) if reply.klass in (4, 5) else Weighing(spoken=(), points=())
    diagnosis = diagnose(policy.knowledge, attempt, provider)
    return {
        "reply": _parts(reply),
        "command": attempt.command and attempt.command.value,
        "provider": provider,
        "category": diagnosis.category.value,
        "fault": diagnosis.fault.value,
        "weight": diagnosis.weight.value,
        "points": [{"category": category.value, "points": points} for category, points in weighing.points],
        "spoke": [
            {
                "by": each.by,
                "kind": each.evidence.kind.value,
                "value": str(each.evidence.value),
                "category": each.finding.category.value,
                "points": each.finding.points,
            }
            for each in weighing.spoken
        ],
        "almost": [
            {"signature": each.id, "category": each.finding.category.value, "reason": reason}
            for each, reason in (near_misses(*subject) if reply.klass in (4, 5) else ())
        ],
        "evidence": [
            {"kind": each.kind.value, "value": str(each.value), "says": each.says} for each in diagnosis.evidence
        ],
        "remedy": diagnosis.remedy,
    }


def _parts(reply: Reply) -> dict[str, Any]:
    return {
        "code": reply.code,
        "stated": reply.stated and str(reply.stated),
        "enhanced": reply.enhanced and str(reply.enhanced),
        "lines": [str(line) for line in reply.lines],
        "flaws": [flaw.value for flaw in reply.flaws],
    }


def print_explanation(told: dict[str, Any]) -> None:
    """The explanation as tables."""
    from adapters.cli.show import console, table

    out = console()
    parts = told["reply"]
    code, status = parts["code"] or "none", parts["enhanced"] or "none"
    out.print(f"code {code}, enhanced status {status}, text «{' '.join(parts['lines'])}»")
    if parts["flaws"]:
        out.print(f"its form: {', '.join(parts['flaws'])}")
    out.print(f"answers {told['command'] or 'an unknown command'}, provider {told['provider'] or 'not known'}\n")
    out.print(f"{told['category']}, fault: {told['fault']}, {told['weight']}", style="bold")
    others = [f"{each['category']} {each['points']}" for each in told["points"]]
    if others:
        out.print(f"points: {', '.join(others)} (of each kind only the best piece counts)")
    if told["spoke"]:
        rows = [(str(e["points"]), e["category"], e["kind"], e["value"], e["by"]) for e in told["spoke"]]
        table("", ("points", "for", "kind", "what it saw", "by"), rows)
    weighed = ("wording", "enhanced-status", "code") if told["spoke"] else ()
    for each in told["evidence"]:
        if each["kind"] not in weighed:
            out.print(f"{each['kind']} «{each['value']}»: {each['says']}")
    if told["almost"]:
        misses = [(e["signature"], e["category"], e["reason"]) for e in told["almost"]]
        table("almost", ("signature", "for", "but it"), misses)
    if told["remedy"]:
        out.print(f"check: {told['remedy']}")
