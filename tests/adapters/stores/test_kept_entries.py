"""What a row keeps of an entry is the entry, short or long; a short text is never taken for JSON or for a bounce's."""

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.stores.kept_entries import entry_of, row_of, rows_of
from policy.alike import Alike, Mould, alike
from policy.attempt import EARLIEST
from policy.contract import ContractError
from policy.decision import RuleRef
from policy.history import EntryState, Source, Suppression
from policy.testing import values
from policy.testing.store_lines import JO, suppression
from policy.text import clean

WORDS = ["", " ", "import", "a b", "a\tb", "li\u00e9st.csv", "\ud800", "\x00", "{", '"source":']


def entries() -> st.SearchStrategy[Suppression]:
    """Any, most of them with nothing to say but where they came from."""
    words = st.sampled_from(WORDS)
    silent = st.builds(
        lambda entry, name, file, line: evolve(entry, reply=clean(""), rule=RuleRef(name, file, line), expires_at=None),
        values.suppressions(),
        words,
        words,
        st.sampled_from([0, 7, 999_999_999]),
    )
    return st.builds(
        evolve,
        st.one_of(values.suppressions(), silent, silent),
        source=st.sampled_from(Source),
        state=st.sampled_from([EntryState.ACTIVE, *EntryState]),
        note=st.sampled_from(["", "", "asked by phone"]),
    )


@given(st.lists(entries(), max_size=4))
def test_what_a_row_keeps_is_the_entry(given_: list[Suppression]) -> None:
    rows = [(each.scope.value, each.target, *row_of(each)) for each in given_]
    assert [entry_of(each) for each in rows] == given_
    assert list(rows_of([alike(each) for each in given_])) == rows


@given(st.lists(st.tuples(entries(), st.sampled_from([EARLIEST, EARLIEST.replace(year=2026)]), st.integers(0, 2))))
def test_rows_out_of_moulds_are_those_of_the_whole_entries(told: list[tuple[Suppression, object, int]]) -> None:
    moulds = [Mould(entry) for entry, _, _ in told[:3]]
    made = [Alike(JO, at, line, moulds[n % len(moulds)]) for n, (_, at, line) in enumerate(told)]  # type: ignore[arg-type]
    assert list(rows_of(made)) == [(each.mould.scope, JO, *row_of(each.whole)) for each in made]


@given(entries())
@example(suppression(source=Source.IMPORT))
def test_what_is_no_bounce_is_told_from_one_by_its_text(entry: Suppression) -> None:
    _, text = row_of(entry)
    assert (text >= "{" and '"source":' not in text) is (entry.source is Source.BOUNCE)


def test_an_import_without_words_is_kept_in_a_few_letters() -> None:
    assert row_of(suppression(source=Source.IMPORT))[1] == "ip unknown 0 by-hand"
    assert {row_of(suppression(source=each))[1][0] for each in Source} == set("{micu")


@pytest.mark.parametrize(
    "text",
    ["", "ip", "ip unknown 0", "xp unknown 0 r", "ix unknown 0 r", "ip odd 0 r", "ip unknown 1_0 r", "ipp unknown 0 r"],
)
def test_a_damaged_text_is_told_and_never_guessed(text: str) -> None:
    with pytest.raises(ContractError, match="is no entry"):
        entry_of(("address", JO, 0, text))
