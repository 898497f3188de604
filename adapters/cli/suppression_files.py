"""`mailverdict suppressions import` and `export`: lists of providers in, our own list in and out."""

import gc
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path

import click

from adapters.cli.common import (
    FINDINGS,
    UNAVAILABLE,
    clock,
    fail,
    format_option,
    now_option,
    safe,
    store_option,
    the_store,
)
from adapters.cli.keys import check_veil, keys_option
from adapters.cli.lines import open_lines
from adapters.cli.listing import (
    Choice,
    batches,
    choice_options,
    print_csv,
    table_format_option,
)
from adapters.cli.progress import Bar, import_bar
from adapters.cli.sorted_entries import by_target
from adapters.cli.veiled import chosen, names_of, recipient_options, tell_veiled
from adapters.logs.suppression_lists import COLUMNS, OURS, TABLES, Listed, cells, read_alike
from policy import Address, Store
from policy.alike import Alike, alike
from policy.contract import write_suppression
from policy.intake import Intake, take_all
from policy.veil import Veil

GROUP = 10_000  # entries in one transaction: others, who wait for its end, do not wait for long
_TOLD = 100  # bad records that are told one by one
_LONG = 1000  # characters of what is wrong with one


@click.command(
    "import",
    epilog="""\b
Examples:
  mailverdict suppressions import backup.jsonl
  mailverdict suppressions import --from sendgrid-bounces suppression_bounces.csv
  aws sesv2 list-suppressed-destinations | mailverdict suppressions import --from ses -""",
)
@click.argument("file", metavar="FILE")
@click.option(
    "--from",
    "of",
    type=click.Choice([OURS, *TABLES]),
    default=OURS,
    show_default=True,
    help="Whose list it is, CSV or JSON; of our own form a file with one address a line is enough.",
)
@now_option
@store_option
@keys_option
@format_option
def import_suppressions(file: str, of: str, now: datetime | None, store_url: str, veil: Veil | None, form: str) -> None:
    """Take the entries of FILE (- is standard input) into the list; taking it twice changes nothing.

    An entry that stands against one of the file stays. Records that say nothing against an address, such as blocks, are
    passed over. A bad record is told with its line, and the rest goes on; the exit status is then 1.
    """
    at = clock(now)
    try:
        with open_lines(file) as stream, the_store(store_url) as store, import_bar(file, stream) as bar:
            count = Counter(dict.fromkeys(["kept", "stands", "over", "passed", "bad"], 0))
            check_veil(store, veil, at)
            entries = _sorted_out(read_alike(stream, of=of, name=_name(file), now=at), _name(file), count, bar)
            if veil is not None:
                entries = ([_veiled(each, veil) for each in some] for some in entries)
            with closing(by_target(entries)) as ordered, _seldom_collected():
                keep(store, chain.from_iterable(ordered), at, count, bar)
    except OSError as error:
        fail(UNAVAILABLE, f"`{safe(file)}` cannot be read: {error.strerror or error}")
    _tell(count, form)
    if not any(count.values()):
        click.echo(f"mailverdict: there is no entry in `{safe(_name(file))}`", err=True)
    if count["bad"]:
        sys.exit(FINDINGS)


def _sorted_out(
    listed: Iterable[Sequence[Alike] | Listed], file: str, count: Counter[str], bar: Bar
) -> Iterator[Sequence[Alike]]:
    """Yield the entries; count what else there is, and tell what is bad."""
    for each in listed:
        if not isinstance(each, Listed):
            count["read"] += len(each)
            bar.read()
            yield each
        elif each.error:
            count["bad"] += 1
            if count["bad"] <= _TOLD:
                click.echo(f"{safe(file)}:{each.line}: {each.code}: {safe(each.error, _LONG)}", err=True)
        else:
            count["passed"] += 1
            count[f"passed: {each.passed}"] += 1


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let Python look for cycles after 100,000 new entries, not after 700: there are none among them."""
    before = gc.get_threshold()
    gc.set_threshold(10 * GROUP, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _veiled(entry: Alike, veil: Veil) -> Alike:
    """The entry as it is kept: nothing but its target changes where its words name no address."""
    like = entry.mould.entry
    if like.reply or like.note:
        return alike(veil.suppression(entry.whole))
    return entry._replace(target=veil.target(entry.target))


def keep(store: Store, entries: Iterable[Alike], at: datetime, count: Counter[str], bar: Bar) -> None:
    """Take the entries in groups, each kept as a whole; count what became of them."""
    for group in batches(entries, GROUP):
        with store.unit() as unit:
            taken = take_all(unit, group, at)
        for each in Intake:
            count[each.value] += taken.count(each)
        bar.kept(len(group), count["read"])


def _name(file: str) -> str:
    return "standard input" if file == "-" else Path(file).name


def _tell(count: Counter[str], form: str) -> None:
    reasons = {key.partition(": ")[2]: number for key, number in count.items() if key.startswith("passed: ")}
    if form == "json":
        from adapters.cli.show import print_json

        numbers = {
            key: count[key] for key in (Intake.KEPT.value, Intake.STANDS.value, Intake.OVER.value, "passed", "bad")
        }
        print_json({**numbers, "passed_over": reasons})
        return
    click.echo(f"{count['kept']} kept, {count['stands']} were there already, {count['bad']} bad")
    if count["over"]:
        click.echo(f"{count['over']} left out: expired or released")
    for why, number in reasons.items():
        click.echo(f"{number} passed over: {why}")


@click.command(
    "export",
    epilog="""\b
Examples:
  mailverdict suppressions export > backup.jsonl
  mailverdict suppressions export --format csv --since 7d > week.csv""",
)
@click.option("--all", "everything", is_flag=True, help="Those that have expired, were put aside or released, too.")
@choice_options
@recipient_options
@now_option
@store_option
@table_format_option("json")
def export_suppressions(  # noqa: PLR0917 - one argument an option
    everything: bool,
    choice: Choice,
    recipient: Address | None,
    veil: Veil | None,
    now: datetime | None,
    store_url: str,
    form: str,
) -> None:
    """Print the list for another program: JSON lines, or CSV; `import` reads both back."""
    at = clock(now)
    with the_store(store_url, must_exist=True) as store:
        if recipient is None:
            tell_veiled(store)
        names = names_of(store, recipient, veil)
        entries = chosen(store, choice, names, at, everything=everything)
        if form == "json":
            from adapters.cli.show import print_json_lines

            print_json_lines(write_suppression(each) for each in entries)
        else:
            print_csv(COLUMNS, (cells(each) for each in entries))
