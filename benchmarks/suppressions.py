"""Import a suppression list of many entries into SQLite, then look up addresses in it.

    python benchmarks/suppressions.py                              1,000,000 entries
    python benchmarks/suppressions.py --entries 10000000 --times many

The import is the command's own. Beside it stands a baseline, the least that any import must do: csv.reader and
executemany of rows as long into a bare table of the same columns, in the order of the file. A look-up is what `plan`
asks about suppression: the address's entry and its domain's, in a unit. The list has its addresses in no order.
"""

import argparse
import contextlib
import csv
import io
import json
import random
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from adapters.cli.app import cli
from adapters.stores.rows import RowUnit
from adapters.stores.sqlite import SqliteStore
from policy.decision import Scope

DOMAINS = 997
SPREAD = 0x9E3779B1  # odd: no two numbers below 2**32 give one address


def address(number: int) -> str:
    """The address of a number; the next number's is far from it in any order."""
    return f"user{number * SPREAD % 2**32:08x}@example{number % DOMAINS}.com"


def write_list(path: Path, count: int, times: str) -> None:
    """Write the list: addresses alone, or with one of few or of many times."""
    draw = random.Random(1)  # noqa: S311 - the same each time
    seconds = 1 if times == "few" else 30_000_000
    with path.open("w") as file:
        file.write("address\n" if times == "none" else "address,since\n")
        for number in range(count):
            at = time.gmtime(1_700_000_000 + draw.randrange(seconds)) if times != "none" else None
            file.write(address(number) + (time.strftime(",%Y-%m-%dT%H:%M:%SZ\n", at) if at else "\n"))


def baseline(source: Path, target: Path, like: tuple[str, int, str]) -> tuple[float, float]:
    """Return the seconds, and those of the processor, of the bare import; `like` is a row as our store keeps it."""
    scope, since, value = like
    connection = sqlite3.connect(target)
    connection.execute("CREATE TABLE bare (scope TEXT, target TEXT, since INTEGER, value TEXT)")
    start, worked = time.perf_counter(), time.process_time()
    with source.open(newline="") as file:
        rows = csv.reader(file)
        next(rows)
        connection.executemany("INSERT INTO bare VALUES (?, ?, ?, ?)", ((scope, row[0], since, value) for row in rows))
    connection.commit()
    seconds = time.perf_counter() - start, time.process_time() - worked
    connection.close()
    return seconds


def command(*words: str) -> str:
    """Run our command in this process; return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        cli.main(words, standalone_mode=False)
    return printed.getvalue()


def look_ups(store: Path, numbers: list[int]) -> list[float]:
    """Return the microseconds of each look-up, in order of length."""
    took = []
    with contextlib.closing(SqliteStore(store)) as opened, opened.unit() as unit:
        assert isinstance(unit, RowUnit)  # noqa: S101 - for the types
        for number in numbers:
            key = address(number)
            domain = key.rpartition("@")[2]
            start = time.perf_counter_ns()
            unit.suppression(Scope.ADDRESS, key)
            unit.suppression(Scope.DOMAIN, domain)
            took.append((time.perf_counter_ns() - start) / 1000)
    return sorted(took)


def tell_look_ups(store: Path, entries: int, count: int) -> None:
    """Print how long look-ups of addresses take that are there, and of such as are not."""
    draw = random.Random(2)  # noqa: S311
    for name, first in (("present", 0), ("absent", entries)):
        took = look_ups(store, [first + draw.randrange(entries) for _ in range(count)])
        print(f"look-up, {name:7}   median {statistics.median(took):6.1f} µs   p99 {took[count * 99 // 100]:6.1f} µs")


def main() -> None:
    """Write, import, compare, look up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--times", choices=["none", "few", "many"], default="none", help="of the entries in the list")
    parser.add_argument("--look-ups", type=int, default=100_000)
    parser.add_argument("--again", action="store_true", help="import the list a second time, too")
    parser.add_argument("--directory", help="for the files; they are removed at the end")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as place:
        source, store = Path(place, "list.csv"), Path(place, "mail.db")
        print(f"writing {given.entries} entries", file=sys.stderr)
        write_list(source, given.entries, given.times)
        rates: list[tuple[float, float]] = []
        for turn in ("import", "again")[: 1 + given.again]:
            print(f"{turn} of {source.stat().st_size / 1e6:.0f} MB", file=sys.stderr)
            start, worked = time.perf_counter(), time.process_time()
            counted = json.loads(
                command("suppressions", "import", str(source), "--store", f"sqlite:///{store}", "--format", "json")
            )
            seconds, work = time.perf_counter() - start, time.process_time() - worked
            rates.append((given.entries / seconds, work))
            print(
                f"{turn:6}    {given.entries / seconds:9.0f} entries/s   {seconds:6.1f} s, {work:.1f} s of CPU",
                flush=True,
            )
            print(f"{turn} counts {counted}", file=sys.stderr)
        print(f"memory    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")
        print(f"size      {store.stat().st_size / 1e6:.0f} MB")
        with contextlib.closing(sqlite3.connect(store)) as reader:
            like = reader.execute("SELECT scope, since, value FROM suppression LIMIT 1").fetchone()
        seconds, work = baseline(source, Path(place, "bare.db"), like)
        bare, (rate, worked) = given.entries / seconds, rates[0]
        print(f"baseline  {bare:9.0f} entries/s   {seconds:6.1f} s, {work:.1f} s of CPU")
        print(f"ratio     {bare / rate:.1f} by the clock, {worked / work:.1f} by CPU", flush=True)
        tell_look_ups(store, given.entries, given.look_ups)


if __name__ == "__main__":
    main()
