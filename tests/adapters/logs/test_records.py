"""Records out of files: the same in every form, told with their lines, and never more in memory than a piece."""

import csv
import io
import json
import tracemalloc
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.logs.csv_rows import RECORD_LIMIT, Record, Rows, rows
from adapters.logs.records import bare, guarded, records

OBJECTS = [{"a": "x", "b": 1}, {"a": 'y]}"\n,'}, {"a": "é", "tags": ["*"], "rule": {"id": "r"}}]


def read(text: str | bytes, inside: str = "") -> list[Record]:
    raw = text if isinstance(text, bytes) else text.encode()
    return list(records(io.BytesIO(raw), inside=inside))


def fields(text: str | bytes, inside: str = "") -> list[Any]:
    return [each.fields for each in read(text, inside)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("mark", ["", "\ufeff", "\r\n "])
def test_an_array_bare_or_in_an_object_and_json_lines_hold_the_same_records(indent: int | None, mark: str) -> None:
    before, after = {"paging": {"next": "n"}}, {"NextToken": "x"}
    wrapped = json.dumps({**before, "items": OBJECTS, **after}, indent=indent)
    assert fields(mark + json.dumps(OBJECTS, indent=indent)) == OBJECTS
    assert fields(mark + wrapped, "items") == OBJECTS
    assert fields(mark + "\n\n".join(map(json.dumps, OBJECTS))) == OBJECTS


def test_a_record_is_told_with_the_line_where_it_begins() -> None:
    assert [each.line for each in read(json.dumps(OBJECTS, indent=1))] == [2, 6, 9]
    assert [each.line for each in read('{"a": 1}\n\n{"a": 2}')] == [1, 3]
    assert [each.line for each in read('a,b\n1,"two\nlines"\n\n3,4\n')] == [2, 5]


def test_after_a_bad_line_or_row_the_next_one_is_read() -> None:
    lines = read('{"a": 1}\n{"a": \n[1]\n{"a": 2}')
    assert [each.error.partition(":")[0] for each in lines] == [
        "",
        "line is not JSON",
        "record is not a JSON object",
        "",
    ]
    rows = read("a,b\n1,2\n1\n1,2,3\n3,4\n")
    assert [each.error for each in rows] == [
        "",
        "row has 1 cells where the header has 2",
        "row has 3 cells where the header has 2",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[{"a": 1}, {"b": }, {"c": 3}]', "element is not JSON; what follows it is not read"),
        ('[{"a": 1},', "the file ends before its list does"),
        ('[{"a": 1}, {"b', "element is not JSON; what follows it is not read"),
        ('[{"a": 1}, ' + "[" * 9000, "element is not JSON; what follows it is not read"),
    ],
)
def test_a_broken_array_gives_what_came_before_and_one_error(text: str, error: str) -> None:
    first, second = read(text)
    assert (first.fields, second.error) == ({"a": 1}, error)


@pytest.mark.parametrize("start", ['{"a": "', '[{"a": "', 'a\n"', "a\n"])
def test_an_endless_record_is_one_error_and_is_never_held_whole(start: str) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            begin = start.encode() if not self.given else b""
            raw = (begin + b"x" * len(buffer))[: len(buffer)] if self.given < 40 * RECORD_LIMIT else b""
            buffer[: len(raw)] = raw
            self.given += len(raw)
            return len(raw)

    tracemalloc.start()
    found = list(records(io.BufferedReader(Endless())))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [bool(each.error) for each in found] == [True]
    assert peak < 8 * RECORD_LIMIT


def test_the_line_after_an_overlong_one_is_read() -> None:
    long = "x" * (RECORD_LIMIT + 70_000)
    assert [each.fields for each in read(f'{{"a": "{long}"}}\n{{"a": 2}}\n')] == [None, {"a": 2}]
    assert [each.fields for each in read(f"a\n{long}\n2\n")] == [None, {"a": "2"}]


@pytest.mark.parametrize("start", ["", "x" * 65_530 + ",\n", '"two\nlines",\n', '"un"quoted,\n'])
def test_a_quoted_local_part_is_taken_as_it_stands_and_as_csv_has_it(start: str) -> None:
    rows = '"q u"@x.example,1\r\n"a,b\\"c"@x.example,2\n"""q u""@x.example",3\n5,"q u"@x.example\n"plain",""\n"",6\n'
    assert fields(f"a,b\n{start}{rows}")[bool(start) :] == [
        {"a": '"q u"@x.example', "b": "1"},
        {"a": '"a,b\\"c"@x.example', "b": "2"},
        {"a": '"q u"@x.example', "b": "3"},
        {"a": "5", "b": '"q u"@x.example'},
        {"a": "plain"},
        {"b": "6"},
    ]


@given(st.lists(st.lists(st.text('ab,"@\n '), min_size=2, max_size=2).filter(any), max_size=6), st.integers(1, 40))
def test_what_a_writer_of_csv_wrote_comes_back_whatever_the_chunks(cells: list[list[str]], size: int) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["x", "y"], *cells])
    text = file.getvalue()
    found = list(rows(text[at : at + size] for at in range(0, len(text), size)))
    assert [row for each in found if isinstance(each, Rows) for row in each.cells if any(row)] == cells
    assert all(not isinstance(each, Record) for each in found)
    lines = list(accumulate([2, *(1 + "".join(each).count("\n") for each in cells)]))
    numbers = [n for each in found if isinstance(each, Rows) for n, row in enumerate(each.cells, each.line) if any(row)]
    assert numbers == lines[: len(cells)]


def test_empty_cells_are_not_stated() -> None:
    assert fields("a,b\n1, \n") == [{"a": "1"}]


@given(st.binary(max_size=300), st.sampled_from(["", "[", "{", '{"items": [', "a,b\n"]))
@example(b"\x00\xff\r\n\xe9", "a,b\n")
def test_any_bytes_give_records_and_no_exception(raw: bytes, start: str) -> None:
    for each in read(start.encode() + raw, "items"):
        assert (each.fields is None) is bool(each.error)
        assert each.error.isprintable()
        assert each.line >= 1


@given(st.text())
@example("'=1+1")
@example("''")
def test_a_guarded_cell_is_no_formula_and_comes_back(text: str) -> None:
    assert guarded(text)[:1] not in set("=+-@\t")
    assert bare(guarded(text)) == text
