from __future__ import annotations

import math

import pytest

from framework.drift.bins import Aligned, NotComparableError, align
from framework.drift.statistics import STATISTICS, ks, psi
from framework.ports import ColumnSummary
from tests.unit.drift.columns import categorical, numeric

UNKNOWN = ColumnSummary("temp", 500, 500)
"""Everything is missing, so nobody knows where values lie."""


def pairs(bins: Aligned) -> list[tuple[float, float]]:
    return list(zip(bins.reference, bins.window, strict=True))


def test_missing_values_are_the_last_bin_whatever_the_statistic() -> None:
    for ordered in (False, True):
        bins = align(numeric([100] * 5), numeric([50] * 5, nulls=250), ordered=ordered)
        assert pairs(bins)[-1] == (0.0, 250.0)
    assert psi(bins) > 1.0
    assert ks(bins) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("before", "after", "ordered"),
    [
        (UNKNOWN, ColumnSummary("temp", 300, 0), False),
        (UNKNOWN, ColumnSummary("temp", 300, 0), True),
        (UNKNOWN, ColumnSummary("temp", 300, 0, categories={"a": 300.0}), False),
        (numeric([100] * 5), numeric([0] * 5, nulls=300), False),
        (numeric([100] * 5), numeric([0] * 5, nulls=300), True),
        (categorical(A=200, B=300, name="temp"), ColumnSummary("temp", 300, 300), False),
    ],
)
def test_from_all_missing_to_none_and_back_nothing_is_in_common(
    before: ColumnSummary, after: ColumnSummary, ordered: bool
) -> None:
    bins = align(before, after, ordered=ordered)
    assert sum(bins.reference) == 500
    assert sum(bins.window) == 300
    assert all(not (a and b) for a, b in pairs(bins))


def test_what_lies_outside_of_the_reference_keeps_a_bin_of_its_own() -> None:
    """A column that is (nearly) always one value, and what is above and below it."""
    for shape in ([0, 0, 1_000, 0, 0], [1, 1, 996, 1, 1]):
        before = numeric(shape)
        assert psi(align(before, numeric([0, 100, 0, 0, 0]), ordered=False)) > 5.0
        assert psi(align(before, numeric([0, 0, 90, 0, 10]), ordered=False)) > 0.2
        assert psi(align(before, numeric([value / 10 for value in shape]), ordered=False)) < 0.01


def test_sparse_bins_are_pooled_among_each_other_and_never_with_a_full_one() -> None:
    bins = align(numeric([1, 1, 996, 1, 1]), numeric([2, 0, 97, 1, 0]), ordered=False)
    assert pairs(bins) == [(2.0, 2.0), (996.0, 97.0), (2.0, 1.0), (0.0, 0.0)]


def test_where_all_bins_are_sparse_several_are_left() -> None:
    bins = align(numeric([100] * 20), numeric([1] * 20), ordered=False)
    assert pairs(bins)[:-1] == [(500.0, 5.0)] * 4
    assert pairs(align(numeric([100] * 20), numeric([1] * 20), ordered=True))[:-1] == [(100.0, 1.0)] * 20


def test_unseen_categories_have_a_bin_of_their_own() -> None:
    bins = align(categorical(AA=500, UA=490, XX=10), categorical(AA=50, UA=40, NEW=10), ordered=False)
    assert pairs(bins) == [(0.0, 10.0), (500.0, 50.0), (490.0, 40.0), (10.0, 0.0), (0.0, 0.0)]
    assert psi(bins) > 0.2


def test_many_rare_categories_make_several_groups() -> None:
    names = [f"c{number:04}" for number in range(2_000)]
    before, after = dict.fromkeys(names, 10.0), dict.fromkeys(names, 1.0)
    moved = dict.fromkeys(names[:1000], 2.0)
    same = align(
        ColumnSummary("c", 20_000, 0, categories=before), ColumnSummary("c", 2_000, 0, categories=after), ordered=False
    )
    assert 5 <= same.filled <= 12
    assert psi(same) < 0.01
    half = align(
        ColumnSummary("c", 20_000, 0, categories=before), ColumnSummary("c", 2_000, 0, categories=moved), ordered=False
    )
    assert psi(half) > 1.0


def test_a_tail_of_which_every_window_brings_something_new_is_no_difference() -> None:
    """Identifiers: each is there once, in the reference as in the window."""
    before = ColumnSummary("c", 20_000, 0, categories={f"a{number}": 1.0 for number in range(20_000)})
    after = ColumnSummary("c", 2_000, 0, categories={f"b{number}": 1.0 for number in range(2_000)})
    assert psi(align(before, after, ordered=False)) == pytest.approx(0.0)
    twice = ColumnSummary("c", 20_000, 0, categories={f"a{number}": 2.0 for number in range(10_000)})
    assert psi(align(twice, after, ordered=False)) > 5.0, "there each came back, and none of these does"


def test_a_new_category_is_seen_among_those_that_are_not_named() -> None:
    before = ColumnSummary("c", 60_000, 0, categories={f"a{number}": 4.0 for number in range(6_000)})
    after = ColumnSummary("c", 2_000, 0, categories={"new": 600.0, **{f"a{number}": 1.0 for number in range(900)}})
    bins = align(before, after, ordered=False)
    assert pairs(bins) == [(0.0, 600.0), (60_000.0, 1_400.0), (0.0, 0.0)]
    assert psi(bins) > 1.0
    assert STATISTICS["psi"].noise(bins, 0.005) < 0.2


def test_categories_that_are_not_named_are_one_bin_with_the_rare_ones() -> None:
    before = ColumnSummary("c", 20_000, 0, categories={"often": 8_000.0, "rare": 100.0})
    after = ColumnSummary("c", 2_000, 0, categories={"often": 800.0, "other": 10.0})
    assert pairs(align(before, after, ordered=False)) == [(8_000.0, 800.0), (12_000.0, 1_200.0), (0.0, 0.0)]
    gone = ColumnSummary("c", 2_000, 0, categories={"other": 1_000.0})
    assert psi(align(before, gone, ordered=False)) > 2.0


@pytest.mark.parametrize(
    ("before", "after", "ordered", "why"),
    [
        (numeric([0] * 5), numeric([1] * 5), False, "no rows"),
        (numeric([9] * 5), numeric([1] * 3), False, "other bins"),
        (categorical(A=9), categorical(A=9), True, "no order"),
        (ColumnSummary("tags", 9, 0), ColumnSummary("tags", 9, 0), False, "this type are not profiled"),
    ],
)
def test_what_cannot_be_compared_says_why(before: ColumnSummary, after: ColumnSummary, ordered: bool, why: str) -> None:
    with pytest.raises(NotComparableError, match=why):
        align(before, after, ordered=ordered)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_nothing_changed_is_no_distance_for_any_kind_of_column(name: str) -> None:
    statistic = STATISTICS[name]
    columns = [numeric([10, 20, 30, 20, 10], nulls=10), numeric([0, 0, 100, 0, 0]), UNKNOWN]
    columns += [] if statistic.ordered else [categorical(A=90, B=9, C=1)]
    for column in columns:
        distance = statistic.distance(align(column, column, ordered=statistic.ordered))
        assert distance == pytest.approx(0.0, abs=1e-9)
        assert not math.isnan(statistic.noise(align(column, column, ordered=statistic.ordered), 0.01))
