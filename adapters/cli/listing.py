"""What the lists share: times and spans as options, targets as arguments, and an output that starts before it ends."""

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import wraps
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen

from adapters.cli.common import USAGE, fail, named
from policy import Store
from policy.address import parse_address, parse_bare_domain, parse_domain
from policy.attempt import NAME_LIMIT
from policy.contract.times import read_time
from policy.decision import RuleRef
from policy.diagnosis.category import Category
from policy.history import Source, Suppression, stream_of, stream_target
from policy.text import TEXT_LIMIT, clean

if TYPE_CHECKING:
    from rich.text import Text

_SPAN = re.compile(r"(?:[0-9]{1,18}[smhdw])+")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST_SPAN = timedelta(days=366_000)  # a thousand years
BY_HAND = RuleRef("by-hand", "", 0)
_BY_HAND_WORDS = {Source.COMPLAINT: "a complaint, ", Source.UNSUBSCRIBE: "an unsubscribe, "}
IN_THE_END = "it is released"  # how an entry ends that has no time to end at, in the words of `plan`
_PAGE = 1000  # rows of one table: the columns of a page have one width, and no more is in memory

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def _when(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | timedelta | None:
    if value is None:
        return None
    if len(value) <= NAME_LIMIT and _SPAN.fullmatch(value):
        span = _span(value)
        if span > _LONGEST_SPAN:
            raise click.BadParameter(f"`{value}` is too long ago; the longest is {_LONGEST_SPAN.days}d", ctx, param)
        return span
    try:
        return read_time(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}, nor a span such as 2h or 7d", ctx, param) from None


def _span(text: str) -> timedelta:
    parts = re.findall(r"([0-9]+)([smhdw])", text)
    try:
        return sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in parts), timedelta(0))
    except OverflowError:
        return timedelta.max


def when_option(name: str, words: str) -> Callable[[F], F]:
    """An option that takes a time, or how long ago that is; see `since`."""
    own = name.removeprefix("--").replace("-", "_") + "_"
    return click.option(name, own, metavar="TIME|SPAN", callback=_when, help=f"{words} (RFC 3339, or as 2h or 7d ago).")


def since(value: datetime | timedelta | None, now: datetime) -> datetime | None:
    """The time that a `when_option` names; None when it was not given."""
    return now - value if isinstance(value, timedelta) else value


provider_option = click.option(
    "--provider",
    metavar="NAME",
    callback=named,
    help="Only of this provider of the rules, such as google; for a domain of no provider, the domain.",
)
rule_option = click.option("--rule", metavar="ID", callback=named, help="Only what this rule decided.")


@frozen
class Choice:
    """Which entries of the suppression list are meant; None: any.

    Args:
        since: from this time on, or so long ago.
    """

    since: datetime | timedelta | None = None
    provider: str | None = None
    rule: str | None = None

    def entries(self, store: Store, now: datetime) -> Iterator[Suppression]:
        """Yield those of a store that are meant."""
        return self.among(store.suppressions(since=since(self.since, now)), now)

    def among(self, entries: Iterable[Suppression], now: datetime) -> Iterator[Suppression]:
        """Yield those of some entries that are meant."""
        start = since(self.since, now)
        for each in entries:
            young = start is None or each.since >= start
            if young and self.provider in (None, each.provider) and self.rule in (None, each.rule.id):
                yield each


def choice_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that make a `Choice`, given to the command as `choice`."""

    @wraps(command)
    def chosen(
        *args: Any, since_: datetime | timedelta | None, provider: str | None, rule: str | None, **rest: Any
    ) -> None:
        command(*args, choice=Choice(since_, provider, rule), **rest)

    return when_option("--since", "Only those made since then")(provider_option(rule_option(chosen)))


def table_format_option(default: str) -> Callable[[F], F]:
    """`--format` of what another program, or a spreadsheet, takes in."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json", "csv"]),
        default=default,
        show_default=True,
        help="Text for people, JSON lines or CSV for programs.",
    )


def target_key(text: str) -> str:
    """Read an address, a domain, or an address with a stream (`jo@example.org#news`), or end the command."""
    try:
        of_stream = stream_of(text)
        if of_stream is not None:
            return stream_target(of_stream[0].key, clean(of_stream[1], limit=NAME_LIMIT))
        return parse_address(text).key if "@" in text else parse_domain(text)
    except ValueError as error:
        fail(USAGE, str(error))


def new_target_key(text: str) -> str:
    """Read what `target_key` does, to put it on the list: a bare word is a domain only when it has a dot."""
    key = target_key(text)
    try:
        return key if "@" in key else parse_bare_domain(key)
    except ValueError as error:
        fail(USAGE, str(error))


def show(
    form: str,
    documents: Iterable[object],
    columns: Sequence[str],
    rows: Iterable[Sequence["str | Text"]],
    *,
    empty: str,
) -> None:
    """Print a list, as one JSON array or as a table; `empty` is what people read when there is nothing in it."""
    if form == "json":
        print_array(documents)
    else:
        print_pages(columns, rows, empty=empty)


def print_array(documents: Iterable[object]) -> None:
    """Print a JSON array, an element at a time: a ledger need not fit into memory."""
    opened = False
    for document in documents:
        text = json.dumps(document, indent=2).replace("\n", "\n  ")  # no line end within a JSON string
        sys.stdout.write(f"{',' if opened else '['}\n  {text}")
        opened = True
    sys.stdout.write("\n]\n" if opened else "[]\n")
    sys.stdout.flush()


def print_pages(
    columns: Sequence[str], rows: Iterable[Sequence["str | Text"]], *, empty: str, whole: str | None = None
) -> None:
    """Print rows as tables of a page each.

    From the second page on they are plain columns: whoever reads so many is a program, and a table of ours takes
    hundreds of times as long.

    Args:
        empty: the line in place of a table when there are none: bare columns look like a failure.
        whole: a column whose cells are to be copied, and so are not folded where there is room.
    """
    from adapters.cli.show import table

    pages = batches(rows, _PAGE)
    first = next(pages, None)
    if first is None:
        click.echo(empty)
        return
    table("", columns, first, whole=whole)
    for page in pages:
        sys.stdout.writelines(_plain([columns, *page]))


def _plain(rows: Iterable[Sequence["str | Text"]]) -> Iterator[str]:
    texts = [[clean(str(cell), limit=TEXT_LIMIT) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        yield "  ".join(map(str.ljust, row, widths)).rstrip() + "\n"
    yield "\n"


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print CSV with a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    sys.stdout.flush()


def batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of `size`, the last one shorter."""
    rest = iter(values)
    while batch := list(islice(rest, size)):
        yield batch


def is_attended() -> bool:
    """Can somebody be asked?"""
    return sys.stdin.isatty()


def place(rule: RuleRef) -> str:
    """A rule with its place, for a person; what was entered by hand has none."""
    return str(rule) if rule.line else " ".join(filter(None, (rule.id, rule.file)))


def cause(entry: Suppression) -> str:
    """Why an entry is there, for a sentence: the rule that made it and on what, or that a person did."""
    if entry.rule.id == BY_HAND.id:
        note = f": {entry.note}" if entry.note else ""
        return f"{_BY_HAND_WORDS.get(entry.source, '')}entered by hand{note}"
    reason = "" if entry.reason is Category.UNKNOWN else f"{entry.reason.value}, "
    return f"{reason}told by {entry.source.value}, rule {place(entry.rule)}"


def until(moment: datetime | None) -> str:
    """When an entry ends, for a table whose column says UTC."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else IN_THE_END


def until_when(moment: datetime | None) -> str:
    """When an entry ends, for a sentence."""
    return f"{until(moment)} UTC" if moment else IN_THE_END
