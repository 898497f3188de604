"""Decisions a second of `Engine.observe` and `Engine.observe_all`, kept durably in SQLite, and where the time goes.

    python benchmarks/observe.py                  median of 5 runs
    python benchmarks/observe.py --known          everybody had mail yesterday: the outage guard counts each answer

Beside it stands a plain loop over `sqlite3` that inserts one JSON row a decision, each as long as a ledger line, in
groups as large and as durable: what the medium itself takes. Runs take turns, since other work may slow a machine down.
"""

import argparse
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.stores.sqlite import SqliteStore
from policy.address import Address, parse_address
from policy.attempt import Attempt, Command
from policy.contract.entry import dump
from policy.engine import Engine, history_key, recorded
from policy.history import Entry, History
from policy.reply import parse_reply
from policy.rules.policy import Policy
from policy.rules.source import build_policy

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = timedelta(milliseconds=40)
RECIPIENTS = 100_000
ACCEPTED = 0.85
DOMAINS = {  # the domain, the host of its MX, its share of a list
    "gmail.com": ("gmail-smtp-in.l.google.com", 34),
    "yahoo.com": ("mta5.am0.yahoodns.net", 10),
    "outlook.com": ("outlook-com.olc.protection.outlook.com", 8),
    "hotmail.com": ("hotmail-com.olc.protection.outlook.com", 8),
    "icloud.com": ("mx01.mail.icloud.com", 4),
    "gmx.de": ("mx00.gmx.net", 4),
    "web.de": ("mx-ha02.web.de", 3),
    "t-online.de": ("mx00.t-online.de", 2),
    "orange.fr": ("smtp-in.orange.fr", 2),
    "mail.ru": ("mxs.mail.ru", 2),
    "qq.com": ("mx3.qq.com", 2),
    **{
        f"{name}-{number}.example": (f"mx.{name}-{number}.example", 0.07)
        for name in ("school", "works", "shop")
        for number in range(100)
    },
}
YES = (
    "250 2.0.0 OK  {unix} {hex}-{hex}si{number}qtb.{number} - gsmtp",
    "250 2.6.0 <{hex}@ours.example> [InternalId={number}{number}, Hostname={hex}.eurprd05.prod.outlook.com] "
    "{number} bytes in 0.{number}, 118.7 KB/sec Queued mail for delivery",
    "250 ok dirdel {number}/0",
    "250 2.0.0 Ok: queued as {hex}",
    "250 OK id={hex}-{hex}",
    "250 Requested mail action okay, completed: id={number}-{hex}",
)
NO = (  # a reply, and the command that it answers
    ("550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n550-5.1.1 double-checking the "
     "recipient's email address for typos.\r\n550 5.1.1 https://support.google.com/mail/?p=NoSuchUser {hex} - gsmtp",
     "RCPT"),
    ("452-4.2.2 The recipient's inbox is out of storage space. Please direct the\r\n452 4.2.2 recipient to "
     "https://support.google.com/mail/?p=OverQuotaTemp {hex} - gsmtp", "RCPT"),
    ("550-5.7.26 Your email has been blocked because the sender is unauthenticated.\r\n550 5.7.26 "
     "https://support.google.com/mail/answer/81126 {hex} - gsmtp", "DOT"),
    ("421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address.\r\n421 "
     "4.7.28 https://support.google.com/mail/?p=UnsolicitedRateLimitError {hex} - gsmtp", "DOT"),
    ("550-5.7.1 [192.0.2.{small}] Our system has detected that this message is likely unsolicited mail.\r\n550 5.7.1 "
     "https://support.google.com/mail/?p=UnsolicitedMessageError {hex} - gsmtp", "DOT"),
    ("554 delivery error: dd This user doesn't have a yahoo.com account ({to}) [0] - mta{number}.mail.ne1.yahoo.com",
     "DOT"),
    ("421 4.7.0 [TSS04] Messages from 192.0.2.{small} temporarily deferred due to unexpected volume or user complaints "
     "- {hex}; see https://postmaster.yahooinc.com/error-codes", "MAIL"),
    ("553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.{small}, because the ip is in Spamhaus's list; "
     "see https://postmaster.yahooinc.com/error-codes", "CONNECT"),
    ("550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [{hex}.eurprd05.prod.outlook.com "
     "2026-03-01T12:{minute}:00.{number}Z {hex}]", "RCPT"),
    ("550 5.7.1 Unfortunately, messages from [192.0.2.{small}] weren't sent. Please contact your Internet service "
     "provider since part of their network is on our block list (S3140). [{hex}.eurprd05.prod.outlook.com]", "MAIL"),
    ("451 4.7.500 Server busy. Please try again later from [192.0.2.{small}]. (S77719) [{hex}.prod.outlook.com]",
     "RCPT"),
    ("550 5.4.1 Recipient address rejected: Access denied. [{hex}.eurprd05.prod.outlook.com]", "RCPT"),
    ("550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table", "RCPT"),
    ("550 5.1.1 <{to}>: Recipient address rejected: User unknown in local recipient table", "RCPT"),
    ("550 Requested action not taken: mailbox unavailable\r\n", "RCPT"),
    ("450 4.2.0 <{to}>: Recipient address rejected: Greylisted, see http://postgrey.example/help/{hex}.html", "RCPT"),
    ("451 4.7.1 Greylisting in action, please come back in 00:0{digit}:{minute}", "RCPT"),
    ("452 4.2.2 <{to}> Mailbox full", "RCPT"),
    ("552 5.2.2 <{to}>: user is over quota, id {hex}", "DOT"),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.{small}] blocked using zen.spamhaus.org; "
     "https://www.spamhaus.org/query/ip/192.0.2.{small}", "RCPT"),
    ("554 Transaction failed. Reject due to policy restrictions. For explanation visit "
     "https://postmaster.gmx.net/en/case?c=r{number}&i=ip&v=192.0.2.{small}&r={hex}", "DOT"),
    ("450 4.1.8 <news@ours.example>: Sender address rejected: Domain not found", "RCPT"),
    ("421 too many connections from 192.0.2.{small}, try again later ({hex})", "CONNECT"),
    ("550 5.7.1 Message rejected as spam by content scanner, reference {hex}", "DOT"),
    ("552 5.3.4 Message size {number} exceeds fixed limit", "MAIL"),
    ("550 5.2.1 The user {to} you are trying to contact is inactive", "RCPT"),
    ("451 4.3.0 Temporary lookup failure ({hex})", "RCPT"),
    ("251 2.1.5 User not local; will forward to <new{number}@elsewhere.example>", "RCPT"),
    ("551 5.1.6 User not local; please try <new{number}@elsewhere.example>", "RCPT"),
    ("499 something that nobody has written before, {hex}", "DOT"),
)  # fmt: skip


def people(count: int) -> list[tuple[Address, str]]:
    """Recipients, each with the host that takes its mail."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    shares = [share for _, share in DOMAINS.values()]
    domains = chance.choices(list(DOMAINS), shares, k=count)
    return [(parse_address(f"user{number}@{domain}"), DOMAINS[domain][0]) for number, domain in enumerate(domains)]


def attempts(count: int, known: Sequence[tuple[Address, str]]) -> list[Attempt]:
    """First attempts, mostly, and some that were tried before."""
    chance = random.Random(2)  # noqa: S311 - the same each time
    return [_attempt(number, chance, *chance.choice(known)) for number in range(count)]


def _attempt(number: int, chance: random.Random, recipient: Address, mx: str) -> Attempt:
    said, command = (chance.choice(YES), "DOT") if chance.random() < ACCEPTED else chance.choice(NO)
    details = {
        "hex": f"{chance.getrandbits(48):012X}",
        "number": chance.randrange(10_000, 1_000_000),
        "unix": 1_772_366_400 + number,
        "small": chance.randrange(1, 20),
        "minute": chance.randrange(10, 60),
        "digit": chance.randrange(1, 10),
        "to": recipient,
    }
    return Attempt(
        outcome=parse_reply(said.format(**details).encode()),
        command=Command(command),
        recipient=recipient,
        sender=parse_address("news@ours.example"),
        mx=mx,
        at=START + number * STEP,
        stream="bulk",
        attempt_id=f"attempt-{number}",
        message_id=f"message-{number * 9 // 10}",
    )


def groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Items, `size` at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def delivered_yesterday(store: SqliteStore, known: Sequence[tuple[Address, str]]) -> None:
    """Write down a success of everybody's."""
    with store.unit() as unit:
        for recipient, _ in known:
            unit.put_last_success(recipient.key, START - timedelta(days=1))  # type: ignore[attr-defined]


def observed(policy: Policy, tried: Sequence[Attempt], size: int, known: Sequence[tuple[Address, str]]) -> float:
    """Seconds of observing all, `size` in a transaction, on a fresh store in which those `known` have had mail."""
    with tempfile.TemporaryDirectory() as place:
        store = SqliteStore(Path(place, "observe.db"))
        delivered_yesterday(store, known)
        engine = Engine(policy, store)
        if size == 1:
            took = seconds(lambda: [engine.observe(each, now=START) for each in tried])
        else:
            took = seconds(lambda: [engine.observe_all(each, now=START) for each in groups(tried, size)])
        store.close()
    return took


def inserted(rows: Sequence[tuple[str, str]], size: int) -> float:
    """Seconds of the plain loop."""
    with tempfile.TemporaryDirectory() as place:
        connection = sqlite3.connect(Path(place, "plain.db"), isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE decision (id TEXT PRIMARY KEY, value TEXT NOT NULL)")

        def run() -> None:
            for group in groups(rows, size):
                connection.execute("BEGIN IMMEDIATE")
                for row in group:
                    connection.execute("INSERT INTO decision VALUES (?, ?)", row)
                connection.execute("COMMIT")

        took = seconds(run)
        connection.close()
    return took


def entries(policy: Policy, tried: Sequence[Attempt]) -> list[Entry]:
    """What is kept of attempts whose recipients nobody knows."""
    return [recorded(policy, each, History(), each.at or START).entry for each in tried]


def main() -> None:
    """Print decisions a second, and microseconds a decision of each part."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--attempts", type=int, default=10_000, help="in each run")
    options.add_argument("--group", type=int, default=500, help="attempts in one transaction")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--known", action="store_true", help="every recipient had mail yesterday")
    given = options.parse_args()
    known = people(RECIPIENTS)
    tried = attempts(given.attempts, known)
    alone = tried[: max(1, given.attempts // 20)]
    policy = build_policy([])
    kept = entries(policy, tried)
    rows = [(each.attempt_id, dump(each)) for each in kept]
    former = known if given.known else ()
    parts: dict[str, tuple[int, Callable[[], float]]] = {
        "observe, one by one": (len(alone), lambda: observed(policy, alone, 1, former)),
        f"observe_all, {given.group} in a group": (len(tried), lambda: observed(policy, tried, given.group, former)),
        f"plain inserts, {given.group} in a group": (len(rows), lambda: inserted(rows, given.group)),
        "  of it: keys and look-ups' names": (
            len(tried),
            lambda: seconds(lambda: [history_key(policy, each) for each in tried]),
        ),
        "  of it: diagnose and decide": (len(tried), lambda: seconds(lambda: entries(policy, tried))),
        "  of it: dump the ledger's line": (len(kept), lambda: seconds(lambda: [dump(each) for each in kept])),
    }
    runs: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(given.runs):
        for name, (_, work) in parts.items():
            runs[name].append(work())
    each = {name: statistics.median(took) / parts[name][0] for name, took in runs.items()}
    print(f"{given.attempts} attempts, {len(rows[0][1])} to {max(len(text) for _, text in rows)} octets a line")
    for name, took in each.items():
        print(f"{name:36} {1 / took:9,.0f} a second  {took * 1e6:7.1f} us each")
    _, group, plain, *pure = each.values()
    print(f"{'  of it: SQL, and the rest':36} {'':18}  {(group - sum(pure)) * 1e6:7.1f} us each")
    print(f"observe_all takes {group / plain:.1f} times the plain inserts")


if __name__ == "__main__":
    main()
