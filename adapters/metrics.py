"""What an observer counts, for Prometheus: a file for the textfile collector, or a collector for a registry of yours.

Label values are bounded: they are enumerations of ours, or names that the operator's own files give to rules, providers
and alerts. None comes from a reply or from a recipient's domain; a provider that the rules do not name is `other`.

Counts go on from what the file holds: a command that cron starts each minute must not look like a reset each minute.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from attrs import Factory, define, field
from prometheus_client import CollectorRegistry, generate_latest, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from policy import Decision
from policy.decision import Alert, CloseGuard, OpenGuard, Suppress, Suspend
from policy.guard import RESOLVER, standing
from policy.ports import Store
from policy.text import clean

OTHER = "other"  # a provider that the rules do not name
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# name: its labels, and what it says.
COUNTERS = {
    "mailverdict_decisions": (("action", "category", "provider"), "Attempts decided for the first time."),
    "mailverdict_rule_decisions": (("rule", "action"), "Attempts decided for the first time, by the rule that did it."),
    "mailverdict_known_attempts": ((), "Attempts that were known and answered from the ledger."),
    "mailverdict_refused_lines": (("why",), "Lines without a decision: bad, or in conflict with a known attempt."),
    "mailverdict_suppressions_made": (("scope", "strength", "reason"), "Suppressions that decisions made."),
    "mailverdict_suspensions_made": (("provider",), "Suspensions of a destination that decisions made."),
    "mailverdict_guard_changes": (("change", "provider"), "Outage guards that opened or closed."),
    "mailverdict_alerts": (("to",), "Alerts that rules or the outage guard raised."),
    "mailverdict_store_errors": ((), "Units or lists that failed for the store."),
}
GAUGES = {
    "mailverdict_guards_open": (("provider",), "Outage guards that are open."),
    "mailverdict_suspensions": (("provider",), "Suspensions in force."),
    "mailverdict_throttles": (("provider",), "Destinations to which mail goes slower."),
    "mailverdict_freezes": (("provider",), "Freezes in force; `all` is that of all mail."),
    "mailverdict_suppressions": (("scope", "strength", "source"), "Suppressions in force."),
}
LATENCY = "mailverdict_decision_seconds"
LATENCY_SAYS = "How long an attempt took from being read to being kept."

_Labels = tuple[str, ...]


class NotOurs(ValueError):
    """The file holds something else than metrics of ours, and is left as it is."""


@define(eq=False)
class States:
    """What binds, as a collector that any `prometheus_client` registry takes.

    Args:
        providers: the names that the policy gives to providers.
        observer: tells these series from those of others on the host; None: there is no such label.
    """

    providers: frozenset[str]
    observer: str | None = None
    _seen: dict[str, dict[_Labels, int]] = field(factory=dict)

    def look(self, store: Store, now: datetime, *, suppressions: bool = False) -> None:
        """See what binds at `now`.

        Args:
            suppressions: count the suppression list too, which means reading it all.

        Raises:
            StoreUnavailable: when the store fails; what was seen before stays.
        """
        guards = (self.provider(each.key) for each in store.watches() if standing(each, now).is_open)
        suspended = (self.destination(each.target) for each in store.suspensions() if each.active(now))
        slowed = (self.destination(each.target) for each in store.throttlings() if each.active(now))
        frozen = (self.provider(each.provider) if each.provider else "all" for each in store.freezes())
        seen = {
            "mailverdict_guards_open": _tally(guards),
            "mailverdict_suspensions": _tally(suspended),
            "mailverdict_throttles": _tally(slowed),
            "mailverdict_freezes": _tally(frozen),
        }
        if suppressions:
            binding = (each for each in store.suppressions() if each.active(now))
            labels = ((each.scope.value, each.strength.value, each.source.value) for each in binding)
            seen["mailverdict_suppressions"] = dict(Counter(labels))
        self._seen = seen

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges that were looked at, for a registry."""
        for name, numbers in self._seen.items():
            labels, says = GAUGES[name]
            gauge = GaugeMetricFamily(name, says, labels=(*labels, *self.label))
            for each, number in sorted(numbers.items()):
                gauge.add_metric((*each, *self.value), number)
            yield gauge

    @property
    def label(self) -> _Labels:
        """The label that every series has."""
        return () if self.observer is None else ("observer",)

    @property
    def value(self) -> _Labels:
        """Its value."""
        return () if self.observer is None else (self.observer,)

    def provider(self, name: str | None) -> str:
        """The provider's name where the rules have it."""
        return name if name is not None and (name in self.providers or name == RESOLVER) else OTHER

    def destination(self, pair: str) -> str:
        """The provider to which a suspended pair leads."""
        return self.provider(pair.partition(">")[2])


@define(eq=False)
class Metrics:
    """Counts of one observer, and the states that it saw, as a collector that any registry takes."""

    states: States
    _counts: dict[tuple[str, _Labels], float] = field(factory=dict)
    _within: dict[str, float] = Factory(lambda: dict.fromkeys([*map(str, SECONDS), "+Inf"], 0.0))
    _seconds: float = 0.0

    def decided(self, decision: Decision, *, provider: str | None, known: bool) -> None:
        """Count a decision and what it did; of a known attempt only that it came again."""
        if known:
            self._count("mailverdict_known_attempts")
            return
        action, whose = decision.action.value, self.states.provider(provider)
        self._count("mailverdict_decisions", action, decision.category.value, whose)
        self._count("mailverdict_rule_decisions", clean(decision.rule.id, limit=100), action)
        for effect in decision.effects:
            match effect:
                case Suppress():
                    labels = effect.scope.value, effect.strength.value, effect.reason.value
                    self._count("mailverdict_suppressions_made", *labels)
                case Suspend():
                    self._count("mailverdict_suspensions_made", self.states.destination(effect.target))
                case OpenGuard() | CloseGuard():
                    change = "opened" if isinstance(effect, OpenGuard) else "closed"
                    self._count("mailverdict_guard_changes", change, self.states.provider(effect.key))
                case Alert():
                    self._count("mailverdict_alerts", clean(effect.to, limit=100))

    def refused(self, why: str) -> None:
        """Count a line that got no decision; `why` is `bad` or `conflict`."""
        self._count("mailverdict_refused_lines", why)

    def store_failed(self) -> None:
        """Count a failure of the store."""
        self._count("mailverdict_store_errors")

    def took(self, seconds: float, attempts: int) -> None:
        """Count how long each of these attempts took until it was kept."""
        for bound in SECONDS:
            if seconds <= bound:
                self._within[str(bound)] += attempts
        self._within["+Inf"] += attempts
        self._seconds += seconds * attempts

    def collect(self) -> Iterator[Metric]:
        """Yield all families, for a registry."""
        for name, (labels, says) in COUNTERS.items():
            counter = CounterMetricFamily(name, says, labels=(*labels, *self.states.label))
            found = {each: count for (of, each), count in self._counts.items() if of == name}
            for each, count in sorted((found if labels else {(): 0.0} | found).items()):
                counter.add_metric((*each, *self.states.value), count)
            yield counter
        yield from self.states.collect()
        latency = HistogramMetricFamily(LATENCY, LATENCY_SAYS, labels=self.states.label)
        latency.add_metric(self.states.value, buckets=list(self._within.items()), sum_value=self._seconds)
        yield latency

    def go_on_from(self, path: Path) -> None:
        """Take up the counts that the file holds; an empty file, or none, holds none.

        Raises:
            NotOurs: when it holds something else.
            OSError: when it cannot be read.
        """
        if not path.exists():
            return
        if not path.is_file():  # a FIFO would be waited for, a device filled
            raise NotOurs(f"`{clean(str(path))}` is not a regular file")
        try:
            content = path.read_text("utf-8")
            families = list(text_string_to_metric_families(content))
        except ValueError as error:
            raise NotOurs(f"`{clean(str(path))}` is no file of metrics: {clean(str(error), limit=100)}") from error
        ours = [each for each in families if each.name.startswith("mailverdict_")]
        if content.strip() and (not ours or len(ours) < len(families)):
            raise NotOurs(f"`{clean(str(path))}` holds something else than metrics of ours")
        for family in families:
            self._take_up(family)

    def _take_up(self, family: Metric) -> None:
        names = COUNTERS.get(family.name, ((),))[0]
        for sample in family.samples:
            if family.name in COUNTERS and sample.name.endswith("_total"):
                self._counts[family.name, tuple(sample.labels.get(each, "") for each in names)] = sample.value
            elif sample.name == f"{LATENCY}_bucket" and sample.labels.get("le") in self._within:
                self._within[sample.labels["le"]] = sample.value
            elif sample.name == f"{LATENCY}_sum":
                self._seconds = sample.value

    def _count(self, name: str, *labels: str) -> None:
        self._counts[name, labels] = self._counts.get((name, labels), 0.0) + 1


def text(collector: Collector) -> str:
    """Return what it collects in Prometheus' text format."""
    return generate_latest(_registry(collector)).decode()


def write(collector: Collector, path: Path) -> None:
    """Put what it collects into the file in one step: who reads it sees the old or the new; raises OSError."""
    write_to_textfile(str(path), _registry(collector))


def _registry(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _tally(values: Iterable[str]) -> dict[_Labels, int]:
    """How many of each; where there is none, a zero under `other`, so that there is a series to look at."""
    found: Counter[_Labels] = Counter((each,) for each in values)
    return {(OTHER,): 0} | dict(found)
