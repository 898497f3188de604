"""`mailverdict store`: how much is kept, and what its operator does about it: prune, back up, migrate."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from adapters.cli.common import USAGE, clock, fail, format_option, now_option, safe, store_option, the_store
from adapters.cli.listing import since, when_option
from policy import Store
from policy.contract.times import write_time
from policy.retention import KINDS, Old, Pruned

_STEP = 300  # values that one unit of a prune looks at: others wait for it some tenths of a second
_LINES = {"ledger": "lines of the ledger", "progress": "settled messages and recipients"}  # for a person
_ONE = {"ledger": "line of the ledger", "progress": "settled message and recipient"}


@click.group("store", epilog="\b\nExample:\n  mailverdict store info --store sqlite:///mail.db")
def store_group() -> None:
    """Look after the store: how much it keeps, what may go, a copy of it, a newer schema."""


@store_group.command("info", epilog="\b\nExample:\n  mailverdict store info --format json")
@store_option
@format_option
def info_command(store_url: str, form: str) -> None:
    """Show how much the store keeps, since when, and in which schema; changes nothing, an older schema neither."""
    with the_store(store_url, must_exist=True) as store:
        facts = store.facts()
    document = {
        "kind": facts.kind,
        "name": facts.name,
        "schema": facts.schema,
        "current_schema": facts.current,
        "size": facts.size,
        "counts": facts.counts,
        "oldest": facts.oldest and write_time(facts.oldest),
        "newest": facts.newest and write_time(facts.newest),
    }
    if form == "json":
        _print_json(document)
        return
    older = facts.schema != facts.current and f", older than {facts.current}: `mailverdict store migrate`"
    told = {
        "kind": facts.kind,
        "name": facts.name,
        "schema": f"{facts.schema}{older or ''}" if facts.schema is not None else "",
        "size": "" if facts.size is None else _amount(facts.size),
        **{name: str(count) for name, count in facts.counts.items()},
        "oldest line": _time(facts.oldest),
        "newest line": _time(facts.newest),
    }
    for name, value in told.items():
        if value:
            click.echo(f"{name:<13}{safe(value)}")


@store_group.command(
    "prune",
    epilog="""\b
Examples:
  mailverdict store prune --before 400d --dry-run
  mailverdict store prune --before 2025-01-01T00:00:00Z""",
)
@when_option("--before", "What was over before then")
@click.option("--dry-run", is_flag=True, help="Only say how much would be removed.")
@now_option
@store_option
@format_option
def prune_command(
    before_: datetime | timedelta | None, dry_run: bool, now: datetime | None, store_url: str, form: str
) -> None:
    """Remove what was over long ago: lines of the ledger, settled messages, strikes, triggers, and suppressions and
    suspensions that ended.

    What is in force stays, however old: active suppressions, messages that are not settled (and their lines), forwards.
    An attempt whose line is gone counts as new when it is told again. Others may use the store all the while.
    """
    at = clock(now)
    before = since(before_, at)
    if before is None:
        raise click.UsageError("say how old: `--before 400d`, or a time")
    if before > at:
        raise click.UsageError("`--before` is still to come: what is in force now would be old then")
    removed = dict.fromkeys(KINDS, 0)
    with the_store(store_url, must_exist=True) as store:
        for name, count in _pruned(store, before, keep=not dry_run):
            removed[name] += count
    if form == "json":
        _print_json({"before": write_time(before), "dry_run": dry_run, "removed": removed})
        return
    click.echo(f"{'would be removed' if dry_run else 'removed'}, from before {_time(before)}:")
    for name, count in removed.items():
        click.echo(f"{count:>9} {_ONE.get(name, name.removesuffix('s')) if count == 1 else _LINES.get(name, name)}")


class _OnlyAsked(Exception):
    """Ends a unit of which nothing is to be kept."""


def _pruned(store: Store, before: datetime, *, keep: bool) -> Iterator[tuple[str, int]]:
    """Prune step by step, or only see what each step would do; yield how many values of a kind went."""
    for name, kind in KINDS.items():
        last: Old | None = None
        while True:
            began = time.monotonic()
            step = _step(store, kind, before, last, keep=keep)
            yield name, step.removed
            last = step.last
            if last is None:
                break
            time.sleep(time.monotonic() - began)  # who waits for the store asks now and then: leave them half the time


def _step(store: Store, kind: type[Old], before: datetime, last: Old | None, *, keep: bool) -> Pruned:
    step = Pruned(0, None)
    try:
        with store.unit() as unit:
            step = unit.prune(kind, before=before, after=last, count=_STEP)
            if not keep:
                raise _OnlyAsked
    except _OnlyAsked:
        pass
    return step


@store_group.command(
    "backup",
    epilog="""\b
Examples:
  mailverdict store backup backup.db
  mailverdict store backup --force /var/backups/mail.db --store sqlite:////var/lib/mail.db""",
)
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Write over FILE when it is there.")
@store_option
@format_option
def backup_command(target: Path, force: bool, store_url: str, form: str) -> None:
    """Copy an SQLite store into FILE while others use it: all that is committed now, checked, and whole or not at all.

    A store in PostgreSQL is backed up by `pg_dump`.
    """
    from adapters.stores.facts import BackupRefused

    with the_store(store_url, must_exist=True) as store:
        try:
            size = store.backup(target, force=force)
        except BackupRefused as refusal:
            fail(USAGE, str(refusal))
    if form == "json":
        _print_json({"file": str(target), "size": size})
    else:
        click.echo(f"{safe(target)}: {_amount(size)}, checked")


@store_group.command("migrate", epilog="\b\nExample:\n  mailverdict store migrate --store sqlite:///mail.db")
@store_option
@format_option
def migrate_command(store_url: str, form: str) -> None:
    """Bring an older store up to date, as the first use of it does too; stop older programs first.

    There is no way back but a backup.
    """
    with the_store(store_url, must_exist=True) as store:
        before = store.schema()
        with store.unit():
            pass
        after = store.schema()
    if form == "json":
        _print_json({"before": before, "schema": after, "migrated": before != after})
    elif before == after:
        click.echo("up to date" if after is None else f"up to date: schema {after}")
    else:
        click.echo(f"migrated from schema {before} to {after}")


def _print_json(document: dict[str, Any]) -> None:
    from adapters.cli.show import print_json

    print_json(document)


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _amount(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
