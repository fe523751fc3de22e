from __future__ import annotations

import pytest

from framework.drift.bins import NotComparableError, align, rows_of
from framework.drift.statistics import ks, psi
from framework.ports import ColumnSummary
from tests.unit.drift.columns import categorical, numeric


def test_missing_values_are_a_bin_of_their_own() -> None:
    bins = align(numeric([100] * 5), numeric([50] * 5, nulls=250), ordered=False)
    assert bins.window[-1] == 250
    assert psi(bins) > 1.0


def test_missing_values_have_no_place_in_an_order() -> None:
    bins = align(numeric([100] * 5), numeric([50] * 5, nulls=250), ordered=True)
    assert ks(bins) == 0.0


def test_sparse_bins_are_pooled_with_their_neighbours() -> None:
    bins = align(numeric([1, 1, 996, 1, 1]), numeric([2, 0, 97, 1, 0]), ordered=False)
    assert sum(bins.window) == 100
    assert bins.bins == 1


def test_rare_and_unseen_categories_are_pooled_together() -> None:
    bins = align(categorical(AA=500, UA=498, XX=2), categorical(AA=50, UA=40, NEW=10), ordered=False)
    assert sorted(bins.window) == [0.0, 10.0, 40.0, 50.0]
    assert psi(bins) > 0.2


@pytest.mark.parametrize(
    ("before", "after", "ordered", "why"),
    [
        (numeric([0] * 5), numeric([1] * 5), False, "no rows"),
        (numeric([9] * 5), numeric([1] * 3), False, "other bins"),
        (categorical(A=9), categorical(A=9), True, "no order"),
        (numeric([9] * 5), numeric([0] * 5, nulls=9), True, "no values"),
    ],
)
def test_what_cannot_be_compared_says_why(before: ColumnSummary, after: ColumnSummary, ordered: bool, why: str) -> None:
    with pytest.raises(NotComparableError, match=why):
        align(before, after, ordered=ordered)


def test_a_column_that_is_all_missing_now_has_moved() -> None:
    assert psi(align(numeric([100] * 5), numeric([0] * 5, nulls=500), ordered=False)) > 5.0


def test_rows_include_missing_values() -> None:
    assert rows_of(numeric([1, 2, 3, 4, 5], nulls=5)) == 20
    assert rows_of(categorical(A=3, nulls=2)) == 5
