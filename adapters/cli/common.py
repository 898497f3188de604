"""What the subcommands share: options, the clock, and how an error becomes one clear line and an exit status."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import click

from adapters.stores import KeptStore, StoreUrlError, open_store
from policy import MailerSetup, Policy, RulesError, RulesUnreadable, StoreUnavailable, load_policy
from policy.attempt import NAME_LIMIT
from policy.contract import ContractError
from policy.contract.times import read_time
from policy.text import clean

DEFAULT_STORE = "sqlite:///mailverdict.db"
FINDINGS, USAGE, UNAVAILABLE = 1, 2, 3

F = TypeVar("F", bound=Callable[..., Any])


def _joined(_: click.Context, __: click.Parameter, words: tuple[str, ...]) -> str | None:
    """A reply may be given as one word in quotes, or as it stands; None when it is not given."""
    return " ".join(words) if words else None


reply_argument = click.argument("reply", nargs=-1, callback=_joined)
rules_option = click.option(
    "--rules",
    "rules",
    multiple=True,
    metavar="FILE",
    help="Your rules over the shipped ones; may be repeated, the last one on top. [env: MAILVERDICT_RULES]",
)
store_option = click.option(
    "--store",
    "store_url",
    metavar="URL",
    envvar="MAILVERDICT_STORE",
    default=DEFAULT_STORE,
    show_default=True,
    help="Where the past is kept: sqlite:///relative.db, sqlite:////absolute.db, postgresql://... or memory:. "
    "[env: MAILVERDICT_STORE]",
)
format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text for people, or JSON for programs.",
)


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else read_time(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


def named(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The callback of an option without which more is meant: an empty word, as of an unset variable, widens nothing."""
    if value is not None and not clean(value, limit=NAME_LIMIT):
        raise click.BadParameter("the name is empty; leave the option out where all is meant", ctx, param)
    return value


now_option = click.option(
    "--now", metavar="TIME", callback=_time, help="The time to decide at, RFC 3339; the clock's by default."
)


def clock(now: datetime | None) -> datetime:
    """The time given, or the time it is, to the second."""
    return now or datetime.now(UTC).replace(microsecond=0)


def fail(status: int, *lines: str) -> NoReturn:
    """Say what is wrong on standard error and end with `status`."""
    for line in lines:
        click.echo(f"mailverdict: {safe(line, 2000)}", err=True)
    sys.exit(status)


def rules_files(rules: Sequence[str]) -> Sequence[str]:
    """The files given, else those of the environment."""
    return rules or [path for path in os.environ.get("MAILVERDICT_RULES", "").split(os.pathsep) if path]


def the_policy(rules: Sequence[str]) -> Policy:
    """Load the policy of these files; ends the command when they have mistakes."""
    try:
        return load_policy(rules_files(rules))
    except RulesError as error:
        for problem in error.problems:
            click.echo(safe(problem, 2000), err=True)
        count = len(error.problems)
        fail(USAGE, f"{count} mistake{'s' if count > 1 else ''} in the rules; nothing was done")
    except RulesUnreadable as error:
        fail(UNAVAILABLE, str(error))


@contextmanager
def the_store(url: str, *, must_exist: bool = False) -> Iterator[KeptStore]:
    """Open a store for the command; what goes wrong with it ends the command with one line."""
    try:
        store = open_store(url, must_exist=must_exist)
    except StoreUrlError as error:
        fail(USAGE, str(error))
    except StoreUnavailable as error:
        fail(UNAVAILABLE, str(error))
    try:
        yield store
    except StoreUnavailable as error:
        fail(UNAVAILABLE, str(error))
    except MailerSetup as error:
        fail(USAGE, str(error))
    finally:
        store.close()


def refused(error: ContractError) -> NoReturn:
    """End the command over options that make no attempt."""
    fail(USAGE, *error.mistakes)


def safe(text: object, limit: int = 400) -> str:
    """Anything, as one printable line."""
    return clean(str(text), limit=limit)
