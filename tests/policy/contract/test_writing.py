"""A ledger's line is what JSON makes of its fields, however it is written."""

import json

from hypothesis import given

from policy.contract.entry import _CONVERTER, dump, load
from policy.contract.times import write_time
from policy.contract.writing import written
from policy.history import Entry
from policy.testing.values import entries


@given(line=entries())
def test_a_line_is_what_json_makes_of_the_fields_that_differ_from_their_defaults(line: Entry) -> None:
    plain = json.dumps(_CONVERTER.unstructure(line), sort_keys=True, separators=(",", ":"))
    assert written(line) == dump(line) == plain
    assert load(plain, Entry) == line


@given(line=entries())
def test_a_moment_that_was_written_before_is_written_the_same(line: Entry) -> None:
    assert write_time(line.at) == write_time(line.at) == write_time.__wrapped__(line.at)
