"""What is written is what is read, whatever it holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.workloads.features.dtypes import DTYPES
from framework.workloads.online.rows import RowCodec, keys_of

MOMENTS = st.datetimes(timezones=st.just(UTC))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Boolean": st.booleans(),
    "String": st.text(),
    "Date": st.dates(),
    "Datetime": MOMENTS,
    "Float32": st.floats(width=32, allow_nan=False),
    "Float64": st.floats(allow_nan=False),
    **{
        f"{sign}Int{bits}": st.integers(0 if sign else -(2 ** (bits - 1)), 2 ** (bits if sign else bits - 1) - 1)
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
}


@st.composite
def frames(draw: st.DrawFn, missing: bool = True) -> tuple[pl.DataFrame, list[tuple[str, str]]]:
    words = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=10))
    height = draw(st.integers(0, 5))
    columns = {}
    for place, word in enumerate(words):
        value = st.none() | VALUES[word] if missing else VALUES[word]
        values = draw(st.lists(value, min_size=height, max_size=height))
        columns[f"c {place}"] = pl.Series(values, dtype=DTYPES[word])
    return pl.DataFrame(columns), [(f"c {place}", word) for place, word in enumerate(words)]


def test_every_dtype_of_a_view_is_among_them() -> None:
    assert set(VALUES) == set(DTYPES)


@given(frames())
def test_rows_of_all_dtypes_come_back_exactly(made: tuple[pl.DataFrame, list[tuple[str, str]]]) -> None:
    frame, columns = made
    codec = RowCodec(columns)
    rows = codec.encode(frame)

    assert all(map(codec.reads, rows))
    assert pl.DataFrame(codec.decode(rows, frame.columns)).equals(frame) or frame.is_empty()
    some = list(reversed(frame.columns))[:3]
    assert [series.name for series in codec.decode(rows, some)] == some
    with_gaps = codec.decode([None, *rows, None], frame.columns)
    for series in with_gaps:
        assert series.to_list() == [None, *frame[series.name].to_list(), None]
        assert series.dtype == frame.schema[series.name]


@given(frames(missing=False), st.data())
def test_two_keys_are_alike_exactly_where_all_their_columns_are(
    made: tuple[pl.DataFrame, list[tuple[str, str]]], data: st.DataObject
) -> None:
    frame, columns = made
    keys = keys_of(frame, columns)
    for one in range(frame.height):
        for other in range(frame.height):
            assert (keys[one] == keys[other]) == (frame.row(one) == frame.row(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [(("ab", "c"), ("a", "bc")), (("", "a"), ("a", "")), (("a\x00", "b"), ("a", "\x00b"))],
)
def test_text_does_not_run_together(one: tuple[str, str], other: tuple[str, str]) -> None:
    frame = pl.DataFrame([one, other], schema=["a", "b"], orient="row")
    assert len(set(keys_of(frame, [("a", "String"), ("b", "String")]))) == 2


def test_zero_is_zero_whatever_its_sign() -> None:
    zero, negative = keys_of(pl.DataFrame({"x": [0.0, -0.0]}), [("x", "Float64")])
    assert zero == negative


def test_a_row_that_is_cut_off_or_runs_on_is_damaged() -> None:
    columns = [("day", "Date"), ("name", "String")]
    codec = RowCodec(columns)
    (row,) = codec.encode(pl.DataFrame({"day": [date(2024, 1, 1)], "name": ["Zoë"]}))
    assert codec.reads(row)
    assert [codec.reads(wrong) for wrong in (row[:-1], row + b"x", b"", row[:3])] == [False] * 4
    with pytest.raises(ValueError, match=r"\w"):
        codec.decode([row[:3]], ["day"])


def test_moments_before_1970_are_moments() -> None:
    moment = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) - timedelta(days=20_000)
    frame = pl.DataFrame({"at": pl.Series([moment], dtype=DTYPES["Datetime"])})
    codec = RowCodec([("at", "Datetime")])
    assert codec.decode(codec.encode(frame), ["at"])[0].to_list() == [moment]
