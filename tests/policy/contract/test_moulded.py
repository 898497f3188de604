"""The short way to and from the kept text of entries is the long way, letter by letter and value by value."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from policy.alike import Alike, Mould, alike
from policy.contract import ContractError, dump, load
from policy.contract.moulded import dumps, load_suppression
from policy.decision import RuleRef
from policy.history import EntryState, Source, Suppression
from policy.testing import values

HOSTILE = ['"since":"', '\\"since\\":\\"', '{"line":7}', '"target":"x"}', "\\", "\u00e9", "", 'a"b@x.example']


def entries() -> st.SearchStrategy[Suppression]:
    """Any, with words that look like the text around them."""
    texts = st.sampled_from(HOSTILE) | values.names()
    return st.builds(
        lambda entry, edited, rule, **rest: evolve(
            entry, rule=RuleRef(rule, entry.rule.file, entry.rule.line, edited), **rest
        ),
        values.suppressions(),
        st.lists(texts, max_size=2).map(tuple),
        texts,
        source=st.sampled_from(Source),
        state=st.sampled_from(EntryState),
        provider=texts,
        note=texts,
    )


@given(st.lists(st.tuples(entries(), st.lists(values.suppressions(), max_size=3))), st.sampled_from(HOSTILE))
def test_the_text_of_entries_out_of_moulds_is_that_of_the_entries(
    moulded: list[tuple[Suppression, list[Suppression]]], word: str
) -> None:
    made = []
    for model, others in moulded:
        mould = Mould(model)
        made += [Alike(model.target + word, model.since, 0, mould), alike(model)]
        made += [Alike(each.target, each.since, each.rule.line, mould) for each in others]
    assert list(dumps(made)) == [(each, dump(each.whole)) for each in made]


@given(entries(), values.suppressions())
def test_an_entry_comes_back_whole_from_its_text_whatever_was_read_before(model: Suppression, own: Suppression) -> None:
    for each in (alike(model), Alike(own.target, own.since, own.rule.line, Mould(model))):
        assert load_suppression(dump(each.whole)) == load(dump(each.whole), Suppression) == each.whole


@given(entries(), st.data())
def test_a_damaged_text_is_read_as_the_long_way_reads_it(model: Suppression, data: st.DataObject) -> None:
    text = dump(model)
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from(["", '"', "9", ":", "\\"])) + text[at + 1 :]
    try:
        expected = load(damaged, Suppression)
    except ContractError:
        with pytest.raises(ContractError):
            load_suppression(damaged)
    else:
        assert load_suppression(damaged) == expected
