"""In what two versions of a table differ, held to looking at them row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.workloads.features.difference import compared

SCHEMA = {"id": pl.Int64(), "name of key": pl.String(), "x": pl.Float64(), "s": pl.String()}
ROW = st.tuples(
    st.integers(0, 4), st.sampled_from(["a", "é b"]), st.sampled_from([None, float("nan"), 0.5, 1.5]),
    st.sampled_from([None, "", "u"]),
)  # fmt: skip
ROWS = st.lists(ROW, max_size=12)
KEYS = ["id", "name of key"]


def table(rows: Sequence[tuple[Any, ...]]) -> pl.LazyFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").lazy()


def by_key(rows: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Counter[tuple[Any, ...]]]:
    found: dict[tuple[Any, ...], Counter[tuple[Any, ...]]] = {}
    for number, name, x, s in rows:
        found.setdefault((number, name), Counter())[(None if x != x else x, s)] += 1
    return found


@given(ROWS, ROWS)
def test_rows_are_matched_by_key_as_one_would_by_hand(before: list[Any], after: list[Any]) -> None:
    old, new = by_key(before), by_key(after)
    both = old.keys() & new.keys()
    found = compared(table(before), table(after), KEYS).rows
    assert found is not None
    changed = sorted(key for key in both if old[key] != new[key])
    assert (found.added, found.removed) == (len(new.keys() - both), len(old.keys() - both))
    assert (found.changed, found.same) == (len(changed), len(both) - len(changed))
    told = [tuple(one["key"].values()) for one in found.examples.get("changed", ())]
    assert told == changed[:5]
    added = [tuple(one.values()) for one in found.examples.get("added", ())]
    assert added == sorted(new.keys() - both)[:5]


def test_a_changed_row_is_told_with_what_it_was() -> None:
    found = compared(
        table([(1, "a", 0.5, "u"), (2, "a", 0.5, "u")]), table([(1, "a", None, "u"), (2, "a", 0.5, "u")]), KEYS
    )
    assert found.rows is not None
    (one,) = found.rows.examples["changed"]
    assert one == {"key": {"id": 1, "name of key": "a"}, "moved": {"x": {"before": 0.5, "after": None}}}


def test_columns_that_came_went_or_changed_their_dtype_are_no_change_of_rows() -> None:
    before = table([(1, "a", 0.5, "u")]).with_columns(gone=1, retyped=pl.lit(1))
    after = table([(1, "a", 0.5, "u")]).with_columns(new=1, retyped=pl.lit("1"))
    found = compared(before, after, KEYS)
    assert found.rows is not None
    assert (found.rows.same, found.rows.changed) == (1, 0)
    sides = {one.name: (one.before is None, one.after is None, one.drift is None) for one in found.columns}
    assert sides["gone"] == (False, True, True)
    assert sides["new"] == (True, False, True)
    assert sides["retyped"] == (False, False, True)


@pytest.mark.parametrize(
    "after", [table([]).rename({"id": "other"}), table([]).with_columns(pl.col("id").cast(pl.String))]
)
def test_keys_that_are_not_in_both_are_told(after: pl.LazyFrame) -> None:
    found = compared(table([(1, "a", 0.5, "u")]), after, KEYS)
    assert found.rows is None
    assert "id is not in both of the same dtype" in found.unmatched


def test_a_table_of_keys_alone_has_rows_that_are_matched() -> None:
    found = compared(table([(1, "a", 0.5, "u")]).select("id"), table([(2, "a", 0.5, "u")]).select("id"), ["id"])
    assert found.columns == ()
    assert found.rows is not None
    assert (found.rows.added, found.rows.removed, found.rows.same) == (1, 1, 0)


def test_drift_is_large_where_values_moved_and_nothing_where_they_are_equal() -> None:
    rows = [(n, "a", n % 10 + 0.5, "u" if n % 2 else "") for n in range(1000)]
    moved = [(n, "a", n % 10 + 5.5, "u" if n % 5 else "new") for n in range(1000)]
    equal = {one.name: one for one in compared(table(rows), table(rows), KEYS).columns}
    other = {one.name: one for one in compared(table(rows), table(moved), KEYS).columns}
    assert [equal[name].drift for name in ("x", "s")] == [0.0, 0.0]
    for name in ("x", "s"):
        drift, chance = other[name].drift, other[name].chance
        assert drift is not None
        assert chance is not None
        assert drift > 0.2 > chance
    assert (other["s"].appeared, other["s"].vanished) == (("new",), ("",))


@pytest.mark.parametrize("value", [None, float("inf"), 3.0])
def test_constant_missing_and_infinite_values_are_compared(value: float | None) -> None:
    rows = [(n, "a", value, None) for n in range(20)]
    found = compared(table(rows), table(rows), KEYS)
    assert [one.drift for one in found.columns if one.drift is not None and one.drift > 0] == []
    assert found.rows is not None
    assert found.rows.same == 20
