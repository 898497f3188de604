"""`mailverdict dsn`: what delivery reports hold, decided and shown. Nothing is recorded: anybody can write a report."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
from attrs import frozen

from adapters.cli.common import (
    UNAVAILABLE,
    clock,
    format_option,
    now_option,
    rules_option,
    safe,
    the_policy,
)
from adapters.cli.lines import open_lines
from adapters.logs.dsn import SIZE_LIMIT, Report, read_report
from adapters.logs.recipient import Kind, Reported
from policy import Decision, History, Policy, decide
from policy.contract import write_attempt, write_decision
from policy.contract.times import write_time
from policy.engine import spread_of

UNPROVEN = "a report is unauthenticated: it is shown, not recorded"
_NO_REPORT = (Kind.COMPLAINT, Kind.AUTO_REPLY, Kind.NONE)


@click.command(
    "dsn",
    epilog="""\b
Examples:
  mailverdict dsn bounce.eml
  mailverdict dsn Maildir/new/* --format json
  mailverdict dsn - < bounce.eml

\b
Bounces from before RFC 3464 name recipients only, and need flufl.bounce:
  pip install 'mailverdict[dsn]'""",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@now_option
@rules_option
@format_option
def dsn_command(files: tuple[str, ...], now: datetime | None, rules: tuple[str, ...], form: str) -> None:
    """Read delivery reports (RFC 3464) and say what to do about each recipient, and why.

    A FILE is one mail; - is standard input. A report proves nothing, so nothing is recorded. Vacation notices and
    complaints are told apart, and nothing is decided about them.
    """
    policy = the_policy(rules)
    missing = 0
    shown: list[dict[str, Any]] = []
    for file in files:
        raw = _content(file)
        if raw is None:
            missing += 1
            continue
        report = read_report(raw)
        verdicts = list(_verdicts(policy, report, clock(now)))
        if form == "json":
            shown += [_written(file, report, each) for each in verdicts]
        else:
            _print(file, report, verdicts)
    if form == "json":
        from adapters.cli.show import print_json

        print_json(shown)
    if missing:
        sys.exit(UNAVAILABLE)


@frozen
class _Verdict:
    """One recipient of a report; `decision` is None when there is nothing to decide, or nothing may be yet."""

    reported: Reported
    decision: Decision | None
    now: datetime
    notes: tuple[str, ...]


def _content(file: str) -> bytes | None:
    """Return the mail, cut past what is read of it; None, and a line that says why, when it cannot be read."""
    try:
        with open_lines(file) as stream:
            return stream.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        click.echo(f"mailverdict: `{safe(file)}` cannot be read: {safe(why or error)}", err=True)
        return None


def _verdicts(policy: Policy, report: Report, now: datetime) -> Iterator[_Verdict]:
    for each in report.recipients:
        notes, attempt, decision = each.notes, each.attempt, None
        at = now if attempt is None or attempt.at is None else attempt.at
        if attempt is not None:
            decision = decide(policy, attempt, History(), now=at, spread=spread_of(attempt))
        if decision is not None and decision.final and each.kind is Kind.DELAYED:
            # A rule may end what is temporary; but the server that holds the mail has said that it goes on.
            notes = (*notes, f"`{decision.rule}` says {decision.action.value}, but the mail is still being tried")
            decision = None
        if each.will_retry_until is not None:
            notes = (*notes, f"the reporting mail server tries until {write_time(each.will_retry_until)}")
        yield _Verdict(each, decision, at, notes)


def _written(file: str, report: Report, verdict: _Verdict) -> dict[str, Any]:
    """Return one element of the JSON array."""
    each = verdict.reported
    return {
        "file": file,
        "kind": each.kind.value,
        "recipient": each.recipient and str(each.recipient),
        "original_recipient": each.original_recipient and str(each.original_recipient),
        "reporting_mta": report.reporting_mta,
        "will_retry_until": each.will_retry_until and write_time(each.will_retry_until),
        "attempt": each.attempt and write_attempt(each.attempt),
        "decision": verdict.decision and write_decision(verdict.decision),
        "notes": [*verdict.notes, *report.notes, *_unproven(report)],
    }


def _print(file: str, report: Report, verdicts: list[_Verdict]) -> None:
    from adapters.cli.show import print_decision

    by = f", reported by {report.reporting_mta}" if report.reporting_mta else ""
    for verdict in verdicts:
        each = verdict.reported
        whom = f" for {each.recipient}" if each.recipient else ""
        click.echo(safe(f"{file}: {each.kind.value}{whom}{by}", 2000))
        if verdict.decision is not None and each.attempt is not None:
            print_decision(verdict.decision, each.attempt, now=verdict.now)
        for note in verdict.notes:
            click.echo(f"  note: {safe(note)}")
    for note in (*report.notes, *_unproven(report)):
        click.echo(f"{safe(file)}: {safe(note)}")


def _unproven(report: Report) -> tuple[str, ...]:
    return () if all(each.kind in _NO_REPORT for each in report.recipients) else (UNPROVEN,)
