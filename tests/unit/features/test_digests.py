"""What names the values of a table, column by column."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from framework.workloads.features import digests as module
from framework.workloads.features.digests import digests

AT = datetime(2026, 3, 1, tzinfo=UTC)
VALUES: dict[str, tuple[pl.DataType, list[object]]] = {
    "Boolean": (pl.Boolean(), [True, False, None, True]),
    "Int8": (pl.Int8(), [1, -2, None, 3]),
    "UInt64": (pl.UInt64(), [1, 2**63, None, 3]),
    "Float32": (pl.Float32(), [1.5, 0.0, None, -2.5]),
    "Float64": (pl.Float64(), [1.5, 0.0, None, -2.5]),
    "String": (pl.String(), ["a", "", None, "ünï"]),
    "Date": (pl.Date(), [date(2026, 3, 1), date(1969, 1, 1), None, date(2026, 3, 2)]),
    "Datetime": (pl.Datetime("us", "UTC"), [AT, datetime(1969, 1, 1, tzinfo=UTC), None, AT]),
}


def of(values: list[object], dtype: pl.DataType) -> str:
    return digests(pl.DataFrame({"x": pl.Series(values, dtype=dtype)}))["x"]


@pytest.mark.parametrize(("dtype", "values"), VALUES.values(), ids=VALUES)
def test_equal_values_have_one_digest_and_each_difference_another(dtype: pl.DataType, values: list[object]) -> None:
    name = of(values, dtype)
    assert name == of(list(values), dtype)
    others = [
        of([values[1], values[0], *values[2:]], dtype),
        of([*values[:2], values[1], values[3]], dtype),
        of(values[:-1], dtype),
        of([*values, None], dtype),
        of([None, *values[1:]], dtype),
    ]
    assert name not in others
    assert len(set(others)) == len(others)


def test_what_a_value_is_counts_with_the_value() -> None:
    names = {of([1, 0, None], dtype) for dtype in (pl.Int8(), pl.Int64(), pl.Float32(), pl.Float64())}
    assert len(names) == 4


def test_texts_are_told_apart_by_where_they_end() -> None:
    assert len({of(list(texts), pl.String()) for texts in (["ab", "c"], ["a", "bc"], ["", "abc"], ["abc", ""])}) == 4


def test_a_zero_is_a_zero() -> None:
    assert of([0.0, 1.0], pl.Float64()) == of([-0.0, 1.0], pl.Float64())


@pytest.mark.parametrize(("dtype", "values"), VALUES.values(), ids=VALUES)
def test_how_the_rows_lie_in_memory_makes_no_difference(
    dtype: pl.DataType, values: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = values * 50
    whole = of(many, dtype)
    halves = pl.concat([pl.Series("x", values * 25, dtype=dtype)] * 2, rechunk=False).to_frame()
    assert digests(halves)["x"] == whole
    assert digests(pl.Series("x", [*values, *many, *values], dtype=dtype).slice(4, 200).to_frame())["x"] == whole
    hidden = pl.Series("x", [values[0] if value is None else value for value in many], dtype=dtype)
    masked = hidden.set(pl.Series([value is None for value in many]), None) if dtype != pl.Boolean else hidden
    if dtype != pl.Boolean:
        assert digests(masked.to_frame())["x"] == whole, "what lies below a missing value does not count"
    monkeypatch.setattr(module, "_ROWS", 16)
    assert of(many, dtype) == whole, "however many rows are taken at a time"


def test_no_rows_have_a_digest() -> None:
    assert len({of([], dtype) for dtype, _ in VALUES.values()}) == len(VALUES)
