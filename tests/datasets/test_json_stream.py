from __future__ import annotations

import contextlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offmap.datasets import json_stream
from offmap.errors import DataError

ROWS = [{"id": "a", "e": 1.5}, {"id": "b", "e": -2, "atoms": {"x": [1, 2]}}]


def read(text: str | bytes, coding: str = "utf-8") -> list:
    data = text.encode(coding) if isinstance(text, str) else text
    return list(json_stream.rows(io.BytesIO(data), "file.json"))


@pytest.fixture(params=[7, 2**20])
def chunk(request, monkeypatch):
    """Read in tiny pieces too, so that every value crosses a boundary."""
    monkeypatch.setattr(json_stream, "_CHUNK", request.param)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_of_objects(chunk, coding):
    rows = [{"id": "é", "e": 1}, {"id": "b", "e": None}]
    assert read(json.dumps(rows, ensure_ascii=False, indent=1), coding) == rows


def test_latin_1_is_recognised():
    assert read('[{"id": "é"}]', "latin-1") == [{"id": "é"}]


def test_layouts_of_a_table(chunk):
    assert read(json.dumps({"columns": ["id", "e"], "data": [["a", 1], ["b", 2]]})) == [
        {"id": "a", "e": 1},
        {"id": "b", "e": 2},
    ]
    split = {"index": [5, 6], "columns": ["e"], "data": [[1], [2]]}
    assert read(json.dumps(split)) == [{"index": 5, "e": 1}, {"index": 6, "e": 2}]
    assert read(json.dumps({"id": ["a", "b"], "e": [1, 2]})) == [
        {"id": "a", "e": 1},
        {"id": "b", "e": 2},
    ]
    assert read(json.dumps({"e": {"0": 1, "1": 2}, "formula": {"0": "Na", "1": "K"}})) == [
        {"index": "0", "e": 1, "formula": "Na"},
        {"index": "1", "e": 2, "formula": "K"},
    ]
    assert read(json.dumps({"mp-1": {"e": 1}, "mp-2": {"e": 2}})) == [
        {"id": "mp-1", "e": 1},
        {"id": "mp-2", "e": 2},
    ]
    response = {
        "links": {"next": None},
        "data": [{"id": "1", "type": "structures", "attributes": {"nsites": 2}}],
        "meta": {"data_returned": 1},
    }
    assert read(json.dumps(response)) == [{"id": "1", "type": "structures", "nsites": 2}]


def test_numbers_at_the_edge_and_odd_values(chunk):
    assert read('{"columns":["e"],"data":[[12345],[1e5],[NaN],[-Infinity]]}')[:2] == [
        {"e": 12345},
        {"e": 1e5},
    ]
    huge = read('[{"e": ' + "9" * 6000 + "}]")
    assert huge == [{"e": float("inf")}]
    assert read("[]") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("hello", "it starts with 'h'"),
        ('[{"a": 1}, {"b": ', "ends too early"),
        ('[{"a": 1}', "ends too early"),
        ('[{"a": 1} {"b": 2}]', "expected"),
        ('[{"a": 1}, {"b" 2}]' + " " * 100, "delimiter"),
        ('[{"a": 1}] more', "after its end"),
        ("[1, 2]", "not an object"),
        ('{"a": 1}', "no table"),
        ('{"a": {"x": 1} "b": 2}', "expected"),
        ("[" * 100_000, "nested too deeply"),
        ('[{"a": "' + "x" * 100, "ends too early"),
    ],
)
def test_what_is_wrong_is_said(text, words):
    with pytest.raises(DataError, match=r"file.json") as caught:
        read(text)
    assert words in str(caught.value)


def test_the_row_of_an_error_is_named():
    with pytest.raises(DataError, match="after 2 rows"):
        read('[{"a": 1}, {"a": 2}, {"a" 3}]' + " " * 100)


def test_a_value_beyond_all_bounds(monkeypatch):
    monkeypatch.setattr(json_stream, "MAX_VALUE", 1000)
    monkeypatch.setattr(json_stream, "_CHUNK", 64)
    with pytest.raises(DataError, match="more than 1,000 characters"):
        read('[{"a": "' + "x" * 10_000 + '"}]')


@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_bytes_give_rows_or_a_clear_error(text):
    with contextlib.suppress(DataError):
        for row in read(text if isinstance(text, bytes) else text.encode("utf-8", "replace")):
            assert isinstance(row, dict)


@given(
    st.lists(
        st.dictionaries(
            st.text(max_size=5).filter(lambda k: k != "attributes"),
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=20)
            | st.floats(allow_nan=False),
            max_size=4,
        ),
        max_size=6,
    ),
    st.integers(1, 50),
)
def test_any_list_of_objects_comes_back(rows, size):
    before, json_stream._CHUNK = json_stream._CHUNK, size
    try:
        assert read(json.dumps(rows)) == rows
    finally:
        json_stream._CHUNK = before
