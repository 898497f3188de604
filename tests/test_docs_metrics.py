"""docs/metrics.md names every metric, label and field that there is, and no other; docs/stores.md names real tests."""

import re
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="metrics need prometheus-client")

from adapters.journal import Journal
from adapters.metrics import COUNTERS, GAUGES, LATENCY
from policy import Attempt, History, decide, load_policy, parse_reply
from policy.testing.scenarios import NOW

ROOT = Path(__file__).parent.parent
METRICS, STORES = ((ROOT / "docs" / name).read_text("utf-8") for name in ("metrics.md", "stores.md"))


def test_every_metric_stands_there_with_its_labels() -> None:
    rows = re.findall(r"^\| `(mailverdict_\w+)` \| (\w+)(?:: ([^|]*))? \|", METRICS, re.MULTILINE)
    told = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    there = {f"{name}_total": ("counter", labels) for name, (labels, _) in COUNTERS.items()}
    there |= {name: ("gauge", labels) for name, (labels, _) in GAUGES.items()}
    assert told == there | {LATENCY: ("histogram", ())}


def test_every_metric_of_the_example_exists() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", METRICS, re.DOTALL)
    used = set(re.findall(r"mailverdict_\w+", example))
    assert used
    assert used <= {*GAUGES, *(f"{name}_total" for name in COUNTERS)}


class Log:
    def __init__(self) -> None:
        self.fields: set[str] = set()

    def info(self, _: str, **fields: object) -> None:
        self.fields |= {"event", *fields}

    warning = info


def test_every_field_of_an_event_stands_there() -> None:
    attempt = Attempt(outcome=parse_reply("535 5.7.8 authentication failed"), at=NOW)
    log = Log()
    Journal(log).decided(attempt, decide(load_policy(), attempt, History(), now=NOW, spread=0.0))
    assert "remedy" in log.fields  # an alert was among the events
    table = METRICS.partition("| field |")[2]
    told = {name for row in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == log.fields | {"level", "timestamp"}


def test_every_test_that_the_table_of_faults_names_exists_and_every_fault_has_its_row() -> None:
    table = STORES.partition("## Faults")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(test_\w+)`", table))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    }
    assert len(named) > 40
    assert named <= there, named - there
    assert {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == set(range(1, 28))
