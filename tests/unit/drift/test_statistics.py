from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from framework.drift.statistics import (
    STATISTICS,
    Aligned,
    NotComparableError,
    align,
    hellinger,
    js,
    ks,
    psi,
    rows_of,
)
from framework.ports import ColumnSummary
from tests.unit.drift.columns import categorical, numeric

BINS = Aligned((100.0, 300.0, 400.0, 200.0), (400.0, 300.0, 200.0, 100.0))


def test_psi_is_the_textbook_sum() -> None:
    p, q = np.array([0.1, 0.3, 0.4, 0.2]), np.array([0.4, 0.3, 0.2, 0.1])
    assert psi(BINS) == pytest.approx(float(((q - p) * np.log(q / p)).sum()), rel=2e-3)


def test_js_is_scipys_to_base_two() -> None:
    assert js(BINS) == pytest.approx(jensenshannon(BINS.reference, BINS.window, base=2))


def test_hellinger_and_ks() -> None:
    p, q = np.array([0.1, 0.3, 0.4, 0.2]), np.array([0.4, 0.3, 0.2, 0.1])
    assert hellinger(BINS) == pytest.approx(math.sqrt(float(((np.sqrt(p) - np.sqrt(q)) ** 2).sum()) / 2))
    assert ks(BINS) == pytest.approx(0.3)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_equal_shares_are_no_distance_whatever_the_rows(name: str) -> None:
    bins = Aligned((10.0, 30.0, 60.0), (1e7, 3e7, 6e7))
    assert STATISTICS[name].distance(bins) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_a_threshold_means_the_same_at_a_thousand_and_at_a_hundred_million_rows(name: str) -> None:
    shares = [(0.2, 0.1), (0.5, 0.3), (0.3, 0.6), (0.0, 0.0)]

    def distance(rows: float) -> float:
        return STATISTICS[name].distance(
            Aligned(tuple(p * rows for p, _ in shares), tuple(q * rows for _, q in shares))
        )

    assert distance(1e3) == pytest.approx(distance(1e8), rel=1e-9)


@pytest.mark.parametrize("name", ["js", "hellinger", "ks"])
def test_nothing_in_common_is_the_distance_one(name: str) -> None:
    assert STATISTICS[name].distance(Aligned((5.0, 0.0), (0.0, 9.0))) == pytest.approx(1.0)


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_sampling_alone_exceeds_the_noise_as_rarely_as_it_says(name: str) -> None:
    chance, statistic, shares = np.random.default_rng(7), STATISTICS[name], np.full(10, 0.1)
    beyond = 0
    for _ in range(600):
        before, after = chance.multinomial(5_000, shares), chance.multinomial(1_000, shares)
        bins = Aligned(tuple(before.astype(float)), tuple(after.astype(float)))
        beyond += statistic.distance(bins) > statistic.noise(bins, 0.05)
    assert beyond <= 600 * 0.05 + 3 * math.sqrt(600 * 0.05 * 0.95)
    assert name == "ks" or beyond >= 10, "a noise that is never exceeded would hide real drift"


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
