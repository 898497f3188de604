"""`mailverdict observe`: attempts in, recorded decisions out; a line is printed after it is kept."""

import sys
from contextlib import nullcontext
from datetime import datetime
from time import perf_counter
from typing import Any

import click
from attrs import evolve

from adapters.cli.common import (
    FINDINGS,
    clock,
    now_option,
    rules_files,
    rules_option,
    safe,
    store_option,
    the_policy,
    the_store,
)
from adapters.cli.counting import MetricsFile, metrics_option
from adapters.cli.keys import check_veil, keys_option
from adapters.cli.lines import Line, groups_of
from adapters.cli.show import print_json_lines
from adapters.journal import Journal, journal, log_addresses_option, verbose_option
from adapters.reload import Refused, Reloaded, RulesWatcher
from policy import Attempt, AttemptConflict, Engine, Policy
from policy.contract import ContractError, read_attempt, write_decision
from policy.engine import Kept
from policy.holder import PolicyHolder, in_force
from policy.veil import UNVEILED, Veil


@click.command(
    "observe",
    epilog="""\b
Examples:
  mailverdict observe --batch attempts.jsonl --store sqlite:///mail.db > decisions.jsonl
  tail -f attempts.jsonl | mailverdict observe --batch -
  tail -f attempts.jsonl | mailverdict observe --batch - --rules my-rules.yaml --reload""",
)
@click.option(
    "--batch", required=True, metavar="FILE", help="A file of JSON attempts, one a line; - is standard input."
)
@now_option
@store_option
@keys_option
@rules_option
@click.option(
    "--reload",
    is_flag=True,
    help="Take up changed rules while it runs: each second, and on SIGHUP at once, the files are looked at before the "
    "next lines are decided. Rules with mistakes are refused, and the last good ones stay in force.",
)
@metrics_option
@verbose_option
@log_addresses_option
@click.option(
    "--format",
    type=click.Choice(["text", "json"]),
    default="json",
    expose_value=False,
    help="Taken as everywhere; the answers are JSON lines in either format.",
)
def observe_command(  # noqa: PLR0913, PLR0917 - one argument an option
    batch: str,
    now: datetime | None,
    store_url: str,
    veil: Veil | None,
    rules: tuple[str, ...],
    reload: bool,
    metrics_path: str | None,
    verbose: bool,
    log_addresses: bool,
) -> None:
    """Decide each attempt, record it with its effects, and print the decision: a JSON line for each line.

    An attempt that is known already, by its attempt_id and recipient, gets the decision that was made then.
    """
    log = journal(verbose, log_addresses)
    holder = PolicyHolder(the_policy(rules))
    watcher = _watcher(rules, holder, log) if reload else None
    metrics = MetricsFile(metrics_path, holder.current, now)
    bad = 0
    hangup = watcher.on_hangup() if watcher else nullcontext()
    with the_store(store_url) as store, metrics.store_failures(store), hangup:
        check_veil(store, veil, clock(now))
        engine = Engine(holder, store, veil)
        for group in groups_of(batch):
            if watcher:
                _tell(watcher.poll(), log)
            answers = _observe(engine, group, clock(now), log, metrics)
            bad += sum("error" in answer for answer in answers)
            print_json_lines(answers)
            metrics.write(store)
    if bad:
        click.echo(f"mailverdict: {bad} bad line{'s' if bad > 1 else ''}", err=True)
        sys.exit(FINDINGS)


def _watcher(rules: tuple[str, ...], holder: PolicyHolder, log: Journal) -> RulesWatcher:
    files = rules_files(rules)
    if not files:
        raise click.UsageError("`--reload` needs rules files to watch: name them with `--rules` or MAILVERDICT_RULES")
    return RulesWatcher(files, holder, log=log.log)


def _tell(news: Reloaded | Refused | None, log: Journal) -> None:
    """Say on standard error what came of changed rules, unless the log has it."""
    if log.log is not None or news is None:
        return
    if isinstance(news, Reloaded):
        click.echo(f"mailverdict: rules are reloaded, version {news.policy_version}", err=True)
        return
    for problem in news.problems:
        click.echo(safe(problem, 2000), err=True)
    click.echo(f"mailverdict: changed rules are refused, version {news.policy_version} stays in force", err=True)


def _observe(
    engine: Engine, group: list[Line], now: datetime, log: Journal, metrics: MetricsFile
) -> list[dict[str, Any]]:
    """Observe a group in one store transaction; each line has its answer in its place."""
    start, policy, veil = perf_counter(), in_force(engine.policy), engine.veil or UNVEILED
    answers: list[dict[str, Any] | None] = []
    attempts: list[Attempt] = []
    for line in group:
        error = line.error
        if error is None:
            try:
                attempts.append(_named(read_attempt(line.document), veil))
            except ContractError as mistake:
                error = str(mistake)
        if error is not None:
            metrics.refused("bad")
        answers.append(None if error is None else line.complaint(error))
    kept = engine.keep_all(attempts, now=now)
    metrics.kept(policy, attempts, kept, perf_counter() - start)
    told = iter(zip(attempts, kept, strict=True))
    return [
        _answer(line, *next(told), log, policy, veil) if answer is None else answer
        for line, answer in zip(group, answers, strict=True)
    ]


def _answer(
    line: Line, attempt: Attempt, kept: Kept | AttemptConflict, log: Journal, policy: Policy, veil: Veil
) -> dict[str, Any]:
    if isinstance(kept, AttemptConflict):
        return line.complaint(str(kept))
    log.decided(veil.attempt(attempt), kept.decision, provider=policy.provider_of(attempt), known=kept.known)
    return {"id": line.id, **write_decision(kept.decision)}


def _named(attempt: Attempt, veil: Veil) -> Attempt:
    """A line without an id is named by what is kept of it, so that the same line again is the same attempt."""
    return attempt if attempt.attempt_id is not None else evolve(attempt, attempt_id=veil.attempt(attempt).identity)
