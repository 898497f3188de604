"""`--metrics FILE`: what a command counts, kept in a file that is never half written and never stops the mail."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from adapters.cli.common import UNAVAILABLE, USAGE, clock, fail, safe
from policy import Attempt, AttemptConflict, Policy, Store, StoreUnavailable
from policy.engine import Kept

if TYPE_CHECKING:
    from adapters.metrics import Metrics, States

EVERY = 15.0  # seconds between two looks at what binds, at least: as often as Prometheus asks
SHARE = 20  # and at least so many times as long as a look takes

metrics_option = click.option(
    "--metrics",
    "metrics_path",
    metavar="FILE",
    help="Count for Prometheus' textfile collector: FILE, best named `*.prom`, is written anew after each group of "
    "lines that was kept. Counts go on from what it holds.",
)


def states_of(policy: Policy, observer: str | None = None) -> "States":
    """Return the collector of what binds; ends the command without the library that it needs."""
    try:
        from adapters.metrics import States
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        fail(USAGE, "metrics need prometheus-client; `pip install 'mailverdict[metrics]'`")
    return States(frozenset(policy.providers), observer)


class MetricsFile:
    """The counts of one command; each method does nothing when no file is asked for."""

    def __init__(self, path: str | None, policy: Policy, now: datetime | None) -> None:
        self._path, self._now = Path(path or ""), now
        self._metrics = None if path is None else _opened(self._path, policy)
        self._next_look = 0.0
        self._told = False

    def refused(self, why: str) -> None:
        """Count a line that got no decision."""
        if self._metrics is not None:
            self._metrics.refused(why)

    @contextmanager
    def store_failures(self, store: Store) -> Iterator[None]:
        """Count what the store fails with, and at the end see what binds."""
        try:
            yield
            self._next_look = 0.0
            self.write(store)
        except StoreUnavailable:
            if self._metrics is not None:
                self._metrics.store_failed()
                self._write()
            raise

    def kept(
        self, policy: Policy, attempts: Sequence[Attempt], kept: Sequence[Kept | AttemptConflict], seconds: float
    ) -> None:
        """Count a group that was kept, by the policy that decided it."""
        if self._metrics is None:
            return
        self._metrics.states.providers = frozenset(policy.providers)
        self._metrics.took(seconds, len(attempts))
        for attempt, each in zip(attempts, kept, strict=True):
            if isinstance(each, Kept):
                self._metrics.decided(each.decision, provider=policy.provider_of(attempt), known=each.known)
            else:
                self._metrics.refused("conflict")

    def write(self, store: Store) -> None:
        """Write the file, with a new look at what binds when it is time for one."""
        if self._metrics is None:
            return
        start = monotonic()
        if start >= self._next_look:
            self._metrics.states.look(store, clock(self._now))
            self._next_look = monotonic() + max(EVERY, SHARE * (monotonic() - start))
        self._write()

    def _write(self) -> None:
        """A disk that is full, say, is told once; decisions matter more."""
        from adapters.metrics import write

        try:
            if self._metrics is not None:
                write(self._metrics, self._path)
        except OSError as error:
            if not self._told:
                why = safe(error.strerror or error)
                click.echo(f"mailverdict: metrics `{safe(self._path)}` cannot be written: {why}", err=True)
            self._told = True


def _opened(path: Path, policy: Policy) -> "Metrics":
    """Return the counts, which go on from what the file holds; ends the command when it cannot be used."""
    states = states_of(policy, safe(path.name.removesuffix(".prom"), 60))
    from adapters.metrics import Metrics, NotOurs, write

    metrics = Metrics(states)
    try:
        metrics.go_on_from(path)
        write(metrics, path)
    except NotOurs as error:
        fail(USAGE, f"{error}; it is left as it is")
    except OSError as error:
        fail(UNAVAILABLE, f"metrics `{safe(path)}` cannot be written: {error.strerror or error}")
    return metrics
