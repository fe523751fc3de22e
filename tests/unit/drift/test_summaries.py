from __future__ import annotations

from dataclasses import replace

import pytest

from framework.drift.summaries import rows_of, total, unnamed_of, values_of, without
from framework.ports import ColumnSummary
from tests.unit.drift.columns import categorical, numeric

LEFT = ColumnSummary("x", 4, 1, (0.0, 1.0, 2.0), (1.0, 2.0), {"a": 1.0, "b": 2.0})
RIGHT = ColumnSummary("x", 5, 0, (0.0, 1.0, 2.0), (4.0, 1.0), {"b": 3.0, "c": 1.0})


def test_adding_is_the_same_in_any_order_and_refuses_other_bins() -> None:
    both = total([LEFT, RIGHT])
    assert both == total([RIGHT, LEFT])
    assert both == ColumnSummary("x", 9, 1, (0.0, 1.0, 2.0), (5.0, 3.0), {"a": 1.0, "b": 5.0, "c": 1.0})
    with pytest.raises(ValueError, match="bins of x differ"):
        total([LEFT, replace(RIGHT, edges=(0.0, 1.0, 3.0))])


def test_what_was_added_can_be_taken_out_again() -> None:
    assert without(total([LEFT, RIGHT]), LEFT) == RIGHT


def test_rows_include_missing_values_and_categories_that_nobody_named() -> None:
    assert rows_of(numeric([1, 2, 3, 4, 5], nulls=5)) == 20
    assert rows_of(categorical(A=3, nulls=2)) == 5
    many = ColumnSummary("id", 100, 10, categories={"a": 20.0})
    assert (rows_of(many), values_of(many), unnamed_of(many)) == (100, 90, 70)
