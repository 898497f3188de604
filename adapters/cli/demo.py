"""`mailverdict demo`: the main job on a real SMTP conversation.

A server on the loopback interface answers like the world does, the real mailer sends to it, the engine decides, an
SQLite file remembers; then a second round is planned from what it remembers.
"""

import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from adapters.cli.common import format_option, rules_option, the_policy, the_store
from adapters.cli.planning import print_plans, write_plan
from adapters.cli.sending import print_sent, write_sent
from adapters.mailers.smtplib import SmtplibMailer, Tls
from adapters.smtpd import Answer, Close, ScriptedServer
from policy import Engine, Envelope, Plan, Sent, parse_address, send

SENDER = "news@sender.example"
WORLD: dict[str, Answer] = {
    "ann@welcome.example": "250 2.1.5 Ok",
    "jo@moved.example": "251 2.1.5 User not local; will forward to <jo@new.example>",
    "kim@shy.example": "252 2.5.0 Cannot verify the user, but will take the message and try",
    "ghost@nobody.example": "550 5.1.1 No such user here",
    "bob@strict.example": "550 5.7.1 Blocked by policy",
    "bare@terse.example": "550",
    "grey@patient.example": "450 4.7.1 Greylisted, try again in 5 minutes",
    "full@stuffed.example": "452 4.2.2 The mailbox is over quota",
    "eve@checked.example": "550-5.7.26 This mail is unauthenticated: neither SPF\n"
    "550-5.7.26 nor DKIM passed for sender.example.\n550 5.7.26 See the sender guidelines",
    "old@left.example": "551 5.1.6 User not local; please try <old@elsewhere.example>",
}
CROWDED, CLOSED = "max@crowded.example", "zoe@closed.example"
MESSAGE = f"""\
From: {SENDER}
Subject: The first issue

Hello from the demo.
"""


@click.command(
    "demo",
    epilog="\b\nExample:\n  mailverdict demo --store sqlite:///demo.db && mailverdict log --store sqlite:///demo.db",
)
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    help="Keep what happens here, to look at it afterwards.  [default: a temporary file]",
)
@rules_option
@format_option
def demo_command(store_url: str | None, rules: tuple[str, ...], form: str) -> None:
    """Send to a small world of mail servers on this machine, and show each decision.

    Everything is real but the world's size: SMTP over TCP on 127.0.0.1, the smtplib mailer, an SQLite store.
    """
    policy = the_policy(rules)
    with tempfile.TemporaryDirectory(prefix="mailverdict-demo-") as directory:
        url = store_url or f"sqlite:///{Path(directory) / 'demo.db'}"
        with the_store(url) as store:
            engine = Engine(policy, store)
            sent = tuple(_first_round(engine))
            plans = list(_second_round(engine, sent))
    if form == "json":
        from adapters.cli.show import print_json

        print_json({"sent": [write_sent(each) for each in sent], "planned": [write_plan(each) for each in plans]})
        return
    print_sent(sent, "First round: one message, sent over SMTP on 127.0.0.1")
    print_plans(plans, "Second round, planned now: what is still queued, and a new message to everybody else")
    if store_url and store_url != "memory:":
        click.echo(f"Kept in {store_url}; look at it with `mailverdict log`, `suppressions list` or `forwards list`.")
    click.echo('Ask about any reply of your own: mailverdict decide "550 5.1.1 User unknown" --to jo@example.com')


def _first_round(engine: Engine) -> Iterator[Sent]:
    """A transaction with a server that has an answer for each, one with a server that has had enough, one with none."""
    with ScriptedServer(rcpt=WORLD) as world:
        yield from _send(engine, world.port, *WORLD)
    with ScriptedServer(rcpt={CROWDED: Close("421 4.7.0 Too many connections from your host")}) as crowded:
        yield from _send(engine, crowded.port, CROWDED)
    yield from _send(engine, _closed_port(), CLOSED)


def _send(engine: Engine, port: int, *recipients: str) -> tuple[Sent, ...]:
    now = datetime.now(UTC)
    envelope = Envelope(
        sender=parse_address(SENDER),
        recipients=tuple(map(parse_address, recipients)),
        content=MESSAGE.encode(),
        message_id=_message_id(now),
    )
    mailer = SmtplibMailer(
        host="127.0.0.1", port=port, tls=Tls.NONE, timeout=timedelta(seconds=10), ehlo_name="sender.example"
    )
    return send(engine, mailer, envelope, now=now, attempt_id=f"demo-{now.isoformat()}")


def _message_id(now: datetime) -> str:
    return f"first-issue-{now:%Y%m%d%H%M%S%f}"


def _second_round(engine: Engine, sent: tuple[Sent, ...]) -> Iterator[Plan]:
    now = datetime.now(UTC)
    for each in sent:
        queued = each.attempt is not None and each.decision is not None and not each.decision.final
        message = each.attempt.message if each.attempt and queued else None
        yield engine.plan(each.recipient, now=now, sender=parse_address(SENDER), message=message)


def _closed_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
