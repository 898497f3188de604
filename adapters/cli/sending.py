"""`mailverdict send`: a real message through the policy, with one row a recipient."""

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from adapters.cli.common import (
    UNAVAILABLE,
    USAGE,
    fail,
    format_option,
    named,
    rules_option,
    safe,
    store_option,
    the_policy,
    the_store,
)
from adapters.cli.keys import check_veil, keys_option
from adapters.cli.lines import open_lines
from adapters.cli.mailing import PASSWORD_VARIABLE, by_route, called, mailer_of
from adapters.cli.planning import address, write_plan
from adapters.journal import Journal, journal, log_addresses_option, verbose_option
from adapters.mailers.smtplib import Tls
from policy import (
    NULL_SENDER,
    Attempt,
    Command,
    Engine,
    Envelope,
    Failure,
    Policy,
    Sent,
    Verdict,
    send,
)
from policy.attempt import ident
from policy.contract import write_decision
from policy.veil import UNVEILED, Veil

if TYPE_CHECKING:
    from rich.text import Text

SIZE_LIMIT = 100_000_000  # octets of a message


@click.command(
    "send",
    epilog="""\b
Examples:
  mailverdict send --smtp 127.0.0.1:25 --from me@example.org --to jo@example.com message.eml
  printf 'Subject: hi\\n\\nhello\\n' | mailverdict send --smtp smtp.example.org:587 --starttls --user me \\
      --from me@example.org --to jo@example.com --to bo@example.com --message-id hello-1""",
)
@click.option(
    "--smtp",
    "server",
    required=True,
    metavar="HOST:PORT",
    help="The server that takes our mail; a route of the rules to a host of its own goes there.",
)
@click.option("--starttls", is_flag=True, help="Demand encryption; nothing is sent in clear.")
@click.option("--user", metavar="NAME", help=f"Log in; the password is read from {PASSWORD_VARIABLE}, or asked for.")
@click.option("--from", "sender", required=True, metavar="ADDRESS", help='"" or <> for the null sender.')
@click.option("--to", "recipients", multiple=True, required=True, metavar="ADDRESS", help="May be repeated.")
@click.option("--message-id", metavar="ID", help="Your queue's name of the message: the same one again is a retry.")
@click.option("--stream", metavar="NAME", callback=named, help="The kind of mail: bulk, otp, transactional ...")
@click.option(
    "--timeout",
    type=click.IntRange(1, 3600),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for each reply; twice as long for the one to the message.",
)
@click.option("--held", is_flag=True, help="Send to those on hold, too: you have mended what was our own fault.")
@click.argument("file", default="-")
@store_option
@keys_option
@rules_option
@verbose_option
@log_addresses_option
@format_option
def send_command(  # noqa: PLR0913, PLR0917 - one argument an option
    server: str,
    starttls: bool,
    user: str | None,
    sender: str,
    recipients: tuple[str, ...],
    message_id: str | None,
    stream: str | None,
    timeout: int,
    held: bool,
    file: str,
    store_url: str,
    veil: Veil | None,
    rules: tuple[str, ...],
    verbose: bool,
    log_addresses: bool,
    form: str,
) -> None:
    """Send the message in FILE (standard input by default) to each recipient that may be sent to now.

    Who is suppressed, held, settled or not due yet is not sent to. What each server reply leads to is decided, recorded
    and shown. The exit status is 0 when every recipient has a decision, whatever it is.
    """
    envelope = Envelope(
        sender=NULL_SENDER if sender in ("", "<>") else address(sender),
        recipients=tuple(address(each) for each in recipients),
        content=_content(file),
        message_id=ident(message_id) or f"cli-{uuid.uuid4()}",  # as attempts have it: `plan` must find them
        stream=stream,
    )
    named = mailer_of(server, user, timeout, Tls.STARTTLS if starttls else Tls.NONE)
    policy = the_policy(rules)
    mailers = by_route(policy, named, envelope.recipients)
    log = journal(verbose, log_addresses)
    verdicts, attempt_id = frozenset({Verdict.SEND, *([Verdict.HELD] if held else [])}), f"cli-{uuid.uuid4()}"
    with the_store(store_url) as store:
        check_veil(store, veil, datetime.now(UTC))
        engine = Engine(policy, store, veil)
        sent = send(engine, mailers, envelope, now=datetime.now(UTC), attempt_id=attempt_id, verdicts=verdicts)
    _log(log, sent, policy, veil or UNVEILED)
    if form == "json":
        from adapters.cli.show import print_json

        print_json([write_sent(each) for each in sent])
    else:
        print_sent(sent, f"message {envelope.message_id}")
    if unreached := _unreached(sent):
        route, failure = unreached
        spoken = f"server `{safe(called(mailers[route]), 80)}` could not be spoken to ({failure})"
        fail(UNAVAILABLE, f"{spoken}; the attempts are recorded")


def _log(log: Journal, sent: tuple[Sent, ...], policy: Policy, veil: Veil) -> None:
    for each in sent:
        if each.attempt is not None and each.decision is not None:
            log.decided(veil.attempt(each.attempt), each.decision, provider=policy.provider_of(each.attempt))


def _unreached(sent: tuple[Sent, ...]) -> tuple[str, str] | None:
    """The route, and the failure's name, when its server was unavailable to all who were tried; else nothing."""
    tried = [each.attempt for each in sent if each.attempt is not None]
    places = {(each.route, each.command, each.outcome) for each in tried}
    route, command, outcome = places.pop() if len(places) == 1 else (None, None, None)
    at_the_door = command in (Command.CONNECT, Command.STARTTLS)
    return (route, outcome.value) if route and at_the_door and isinstance(outcome, Failure) else None


def _content(file: str) -> bytes:
    try:
        with open_lines(file) as stream:
            content = stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        fail(UNAVAILABLE, f"message `{safe(file)}` cannot be read: {error.strerror or error}")
    if len(content) > SIZE_LIMIT:
        fail(USAGE, f"message `{safe(file)}` is over {SIZE_LIMIT // 1_000_000} MB")
    if not content.strip():
        fail(USAGE, f"message `{safe(file)}` is empty")
    return content


def write_sent(sent: Sent) -> dict[str, Any]:
    """One recipient's row as JSON; `reply` and `decision` are null when nothing was tried, `onward` when none is."""
    return {
        "recipient": str(sent.recipient),
        "reply": sent.attempt and outcome_text(sent.attempt),
        "decision": sent.decision and write_decision(sent.decision),
        "plan": write_plan(sent.plan),
        "onward": sent.onward and write_plan(sent.onward),
    }


def outcome_text(attempt: Attempt) -> str:
    """The reply, or the failure's name."""
    outcome = attempt.outcome
    return outcome.value if isinstance(outcome, Failure) else str(outcome)


def print_sent(rows: tuple[Sent, ...], title: str = "") -> None:
    """The rows as a table: who, what they said, what we do, which rule."""
    from adapters.cli.show import brief, coloured, said, table

    shown: list[tuple[str | Text, ...]] = []
    for each in rows:
        plan = each.onward or each.plan
        whom = str(each.recipient) if each.onward is None else f"{each.recipient}, to {each.onward.recipient}"
        if each.decision is None or each.attempt is None:
            when = f" ({plan.not_before:%Y-%m-%d %H:%M:%S} UTC)" if plan.not_before else ""
            shown.append((whom, "not sent", plan.verdict.value, f"{plan.why}{when}", ""))
        else:
            decision = each.decision
            todo = brief(decision, each.attempt.at or datetime.now(UTC))
            shown.append((whom, said(each.attempt), coloured(decision.action), todo, str(decision.rule)))
    table(title, ("recipient", "they said", "decision", "what happens", "rule"), shown)
