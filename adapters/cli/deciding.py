"""`mailverdict decide`: one reply in, one explained decision out; with --batch many. Nothing is recorded."""

import sys
from datetime import datetime
from typing import Any

import click

from adapters.cli.common import (
    FINDINGS,
    USAGE,
    clock,
    fail,
    format_option,
    now_option,
    refused,
    reply_argument,
    rules_option,
    safe,
    the_policy,
)
from adapters.cli.lines import Line, groups_of
from policy import Attempt, Command, Decision, Failure, History, Policy, decide
from policy.contract import ContractError, read_attempt, write_decision
from policy.engine import spread_of

_UNKNOWN = "unknown"


@click.command(
    "decide",
    epilog="""\b
Examples:
  mailverdict decide "550 5.1.1 User unknown" --to jo@example.com
  mailverdict decide "251 User not local; will forward to <jo@new.example>" --to jo@old.example --format json
  mailverdict decide "421 4.7.0 Too many connections" --mx mx.example.net --attempt 3
  mailverdict decide --failure null-mx --to jo@example.com
  mailverdict decide --batch attempts.jsonl > decisions.jsonl""",
)
@reply_argument
@click.option("--failure", metavar="NAME", help=f"Instead of a reply: {', '.join(each.value for each in Failure)}.")
@click.option("--to", "recipient", metavar="ADDRESS", help="The recipient.")
@click.option("--from", "sender", metavar="ADDRESS", help='The envelope sender; "" or <> for the null sender.')
@click.option(
    "--command",
    metavar="COMMAND",
    help=f"What the reply answers: {', '.join(each.value for each in Command)}, or {_UNKNOWN}.  [default: RCPT]",
)
@click.option("--mx", metavar="HOST", help="The remote host's name.")
@click.option("--provider", metavar="NAME", help="The mailbox provider, as the rules name it.")
@click.option("--recipients", type=int, metavar="N", help="Accepted recipients in the transaction.  [default: 1]")
@click.option("--attempt", type=int, metavar="N", help="Which attempt this was, counted from 1.")
@click.option("--first-attempt", metavar="TIME", help="When the first attempt was, RFC 3339.")
@click.option("--stream", metavar="NAME", help="The kind of mail: bulk, otp, transactional ...")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A tag of your own; may be repeated.")
@click.option(
    "--batch",
    metavar="FILE",
    help="Decide each line of a file of JSON attempts; - is standard input. The answers are JSON lines always.",
)
@now_option
@rules_option
@format_option
def decide_command(  # noqa: PLR0913, PLR0917 - one argument an option
    reply: str | None,
    batch: str | None,
    now: datetime | None,
    rules: tuple[str, ...],
    form: str,
    tags: tuple[str, ...],
    command: str | None,
    first_attempt: str | None,
    **said: Any,
) -> None:
    """Say what to do about REPLY, a server's answer to a delivery attempt, and why.

    Nothing is recorded, and the past is not looked at: `observe` does that.
    """
    if batch is not None:
        given = [reply, command, first_attempt, *said.values(), *tags]
        if any(each is not None for each in given):
            fail(USAGE, "--batch takes the attempts from its file: leave REPLY and the options about it out")
        _decide_batch(batch, the_policy(rules), clock(now))
        return
    document: dict[str, Any] = {"reply": reply, "first_attempt_at": first_attempt, **said}
    usual = Command.RCPT.value if said["failure"] is None else None
    document["command"] = None if command == _UNKNOWN else (command or usual)
    document["tags"] = _tags(tags) or None
    attempt = _attempt(document)
    policy = the_policy(rules)
    at = attempt.at or clock(now)
    decision = _decision(policy, attempt, at)
    if form == "json":
        from adapters.cli.show import print_json

        print_json(write_decision(decision))
    else:
        from adapters.cli.show import print_decision

        print_decision(decision, attempt, now=at)


def _attempt(document: dict[str, Any]) -> Attempt:
    if document["reply"] is None and document["failure"] is None:
        fail(USAGE, "a REPLY is needed, or --failure NAME, or --batch FILE; try `mailverdict decide --help`")
    try:
        return read_attempt(document)
    except ContractError as error:
        refused(error)


def _tags(texts: tuple[str, ...]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            fail(USAGE, f"--tag `{safe(text, 60)}` must be NAME=VALUE")
        if name in tags:
            fail(USAGE, f"--tag names `{safe(name, 60)}` twice")
        tags[name] = value
    return tags


def _decision(policy: Policy, attempt: Attempt, now: datetime) -> Decision:
    return decide(policy, attempt, History(), now=attempt.at or now, spread=spread_of(attempt))


def _decide_batch(path: str, policy: Policy, now: datetime) -> None:
    from adapters.cli.show import print_json_lines

    bad = 0
    for group in groups_of(path):
        answers = [_answer(policy, line, now) for line in group]
        bad += sum("error" in answer for answer in answers)
        print_json_lines(answers)
    if bad:
        click.echo(f"mailverdict: {bad} bad line{'s' if bad > 1 else ''}", err=True)
        sys.exit(FINDINGS)


def _answer(policy: Policy, line: Line, now: datetime) -> dict[str, Any]:
    if line.error is not None:
        return line.complaint(line.error)
    try:
        attempt = read_attempt(line.document)
    except ContractError as error:
        return line.complaint(str(error))
    return {"id": line.id, **write_decision(_decision(policy, attempt, now))}
