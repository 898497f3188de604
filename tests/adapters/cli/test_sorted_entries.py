"""Entries come by target, and those of one target as they came, however many pieces they are sorted in."""

from datetime import timedelta
from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.cli import sorted_entries
from adapters.cli.sorted_entries import by_target
from policy.alike import Alike, Mould
from policy.history import Source
from policy.testing.store_lines import START, suppression

MOULDS = [Mould(suppression(source=source)) for source in Source]


@given(
    st.lists(st.tuples(st.text("abc", max_size=2), st.sampled_from(MOULDS)), max_size=40),
    st.integers(1, 9),
    st.integers(1, 4),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_sorting_in_pieces_is_one_stable_sort(
    monkeypatch: pytest.MonkeyPatch, told: list[tuple[str, Mould]], piece: int, block: int
) -> None:
    monkeypatch.setattr(sorted_entries, "IN_MEMORY", piece)
    monkeypatch.setattr(sorted_entries, "_BLOCK", block)
    entries = [Alike(key, START + timedelta(seconds=n), n, mould) for n, (key, mould) in enumerate(told)]
    some = [entries[start : start + piece] for start in range(0, len(entries), piece)]
    assert list(chain.from_iterable(by_target(some))) == sorted(entries, key=lambda each: each.target)
