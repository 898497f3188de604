"""Counts say what was decided, under labels that no stranger can make more of, and go on from one run to the next."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("prometheus_client", reason="metrics need prometheus-client")

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from adapters.metrics import OTHER, Metrics, NotOurs, States, text, write
from adapters.stores.memory import MemoryStore
from policy.decision import Action, Decision, Scope, Suspend
from policy.diagnosis.category import Category
from policy.guard import Watch
from policy.history import Source
from policy.rules.source import load_policy
from policy.testing import values
from policy.testing.store_lines import START, commit, entry, suppress, suppression

PROVIDERS = frozenset(load_policy().providers)
HOUR = timedelta(hours=1)
FEWER = settings(max_examples=max(10, settings().max_examples // 5))  # each reads what Prometheus reads


def metrics(observer: str | None = None) -> Metrics:
    return Metrics(States(PROVIDERS, observer))


def samples(collector: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every series and its value, as Prometheus reads them."""
    families = text_string_to_metric_families(text(collector))
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(collector: Any, name: str, **labels: str) -> float | None:
    return samples(collector).get((name, frozenset(labels.items())))


@FEWER
@given(
    decided=st.lists(
        st.tuples(values.decisions(), st.none() | values.domains() | st.sampled_from(["google", 'x\n"'])), max_size=4
    )
)
def test_no_label_has_a_value_that_a_reply_or_a_domain_made(decided: list[tuple[Decision, str | None]]) -> None:
    counted = metrics()
    for decision, provider in decided:
        counted.decided(decision, provider=provider, known=False)
    allowed = {
        "action": {each.value for each in Action},
        "category": {each.value for each in Category},
        "provider": PROVIDERS | {OTHER},
        "rule": {decision.rule.id for decision, _ in decided},
        "scope": {each.value for each in Scope},
    }
    for _, labels in samples(counted):
        for label, each in labels:
            assert each in allowed.get(label, {each}), (label, each)


@FEWER
@given(decided=st.lists(st.tuples(values.decisions(), st.booleans()), max_size=4))
def test_each_decision_counts_once_and_a_known_one_only_as_known(decided: list[tuple[Decision, bool]]) -> None:
    counted = metrics()
    for decision, known in decided:
        counted.decided(decision, provider=None, known=known)
    totals = dict.fromkeys(("mailverdict_decisions_total", "mailverdict_rule_decisions_total"), 0.0)
    for (name, _), number in samples(counted).items():
        if name in totals:
            totals[name] += number
    fresh = sum(not known for _, known in decided)
    assert set(totals.values()) == {fresh}
    assert value(counted, "mailverdict_known_attempts_total") == len(decided) - fresh
    made = sum(each for (name, _), each in samples(counted).items() if name == "mailverdict_suppressions_made_total")
    effects = [effect for decision, known in decided if not known for effect in decision.effects]
    assert made == sum(type(effect).__name__ == "Suppress" for effect in effects)


@FEWER
@given(decided=st.lists(values.decisions(), max_size=5), took=st.lists(st.floats(0, 20), max_size=5))
def test_counts_go_on_from_what_the_file_holds(
    tmp_path_factory: pytest.TempPathFactory, decided: list[Decision], took: list[float]
) -> None:
    path = tmp_path_factory.mktemp("metrics") / "out.prom"
    one, two = metrics("out"), metrics("out")
    for each in decided:
        one.decided(each, provider="google", known=False)
    for seconds in took:
        one.took(seconds, 2)
    write(one, path)
    two.go_on_from(path)
    assert samples(two) == samples(one)
    two.store_failed()
    assert value(two, "mailverdict_store_errors_total", observer="out") == 1


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in ("# only a comment\n", "up 1\n", '{"reply": "550"}\n', "mailverdict_x 1\nup 1\n", "\x00"):
        path.write_text(content)
        with pytest.raises(NotOurs):
            metrics().go_on_from(path)
        assert path.read_text() == content
    with pytest.raises(NotOurs, match="not a regular file"):
        metrics().go_on_from(tmp_path)
    path.write_text("")
    metrics().go_on_from(path)
    metrics().go_on_from(tmp_path / "missing")


def test_the_file_is_replaced_in_one_step_and_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "out.prom"
    write(metrics(), path)
    before = path.stat().st_ino
    with path.open() as reader:
        write(metrics(), path)
        assert path.stat().st_ino != before
        assert list(text_string_to_metric_families(reader.read()))  # whoever reads the old one has it whole
    assert [each.name for each in tmp_path.iterdir()] == ["out.prom"]
    assert path.stat().st_mode & 0o044 == 0o044


def test_latencies_fall_into_the_buckets_that_hold_them() -> None:
    counted = metrics()
    counted.took(0.003, 5)
    counted.took(60, 1)
    assert value(counted, "mailverdict_decision_seconds_bucket", le="0.0025") == 0
    assert value(counted, "mailverdict_decision_seconds_bucket", le="0.005") == 5
    assert value(counted, "mailverdict_decision_seconds_count") == 6
    assert value(counted, "mailverdict_decision_seconds_sum") == pytest.approx(60.015)


def test_states_are_those_that_bind_at_the_time_and_a_domain_is_other() -> None:
    store, seen = MemoryStore(), States(PROVIDERS)
    commit(
        store,
        entry("a", suppress(until=START + HOUR)),
        entry("b", Suspend(target="us.example>google", until=START + HOUR)),
        entry("c", Suspend(target="us.example>recipient.example", until=START + 2 * HOUR)),
    )
    with store.unit() as unit:
        unit.watch(Watch(key="google", open_since=START))
        unit.watch(Watch(key="recipient.example", open_since=START))
        unit.put(suppression(target="m@x.org", source=Source.MANUAL))
    seen.look(store, START, suppressions=True)
    assert "recipient" not in text(seen)
    assert value(seen, "mailverdict_guards_open", provider="google") == 1
    assert value(seen, "mailverdict_guards_open", provider=OTHER) == 1
    assert value(seen, "mailverdict_suspensions", provider="google") == 1
    strong = {"scope": "address", "strength": "strong", "source": "bounce"}
    assert value(seen, "mailverdict_suppressions", **strong) == 1
    seen.look(store, START + HOUR, suppressions=True)
    assert value(seen, "mailverdict_suspensions", provider="google") is None
    assert value(seen, "mailverdict_suspensions", provider=OTHER) == 1
    assert value(seen, "mailverdict_suppressions", **strong) is None
    by_hand = {"scope": "address", "strength": "permanent", "source": "manual"}
    assert value(seen, "mailverdict_suppressions", **by_hand) == 1


def test_any_registry_takes_it() -> None:
    registry, counted = CollectorRegistry(), metrics()
    registry.register(counted)
    counted.store_failed()
    assert registry.get_sample_value("mailverdict_store_errors_total") == 1
