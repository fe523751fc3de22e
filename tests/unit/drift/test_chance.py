"""Two samples of one distribution: how often they are said to differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from framework.drift.bins import Aligned, Novel, align
from framework.drift.chance import SINGLY, beyond_chance
from framework.drift.statistics import STATISTICS
from framework.ports import ColumnSummary
from framework.probability import binomial_quantile

RATE = 0.02


def test_full_bins_are_tested_by_pearsons_chi_square() -> None:
    table = np.array([[2_000.0, 1_900.0, 2_100.0], [220.0, 180.0, 200.0]])
    evidence, critical = beyond_chance(Aligned(*map(tuple, table)), 0.01)
    assert critical == pytest.approx(stats.chi2.ppf(0.99, 2))
    assert evidence * critical == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)


@pytest.mark.parametrize(
    ("n", "seen", "beyond"), [(2_000, 3, False), (2_000, 4, True), (200, 1, False), (200, 2, True)]
)
def test_what_the_reference_never_had_is_tested_exactly(n: int, seen: int, beyond: bool) -> None:
    """All of so many rows in the window by chance: (n / (N + n)) ** seen."""
    evidence, _ = beyond_chance(Aligned((20_000.0, 0.0), (n - seen, float(seen))), 0.01)
    assert (evidence > 1.0) is beyond
    assert beyond is ((n / (20_000 + n)) ** seen < SINGLY * 0.01 / 2)


def test_new_categories_are_counted_and_not_their_rows() -> None:
    """Seven rows of one that the reference happens not to have are one accident; seven of one each are seven."""
    rows = (20_000.0, 0.0), (9_993.0, 7.0)
    one = Aligned(rows[0][::-1], rows[1][::-1], Novel(1_000, 1, 0.3))
    seven = Aligned(rows[0][::-1], rows[1][::-1], Novel(1_000, 7, 0.3))
    assert beyond_chance(one, 0.01)[0] < 1.0 < beyond_chance(seven, 0.01)[0]


def test_equal_shares_are_no_evidence() -> None:
    assert beyond_chance(Aligned((100.0, 300.0), (10.0, 30.0)), 0.01)[0] == 0.0
    assert beyond_chance(Aligned((100.0,), (10.0,)), 0.01) == (0.0, 0.0)


def column(counts: NDArray[Any], names: int = 10_000) -> ColumnSummary:
    """With only so many categories named, the most frequent ones."""
    most = np.argsort(-counts, kind="stable")[:names]
    named = {f"c{index:04}": float(counts[index]) for index in most if counts[index]}
    return ColumnSummary("c", int(counts.sum()), 0, categories=named)


SKEWED = np.array([0.9, 0.05, 0.03, 0.01, 0.005, 0.005])
ONE_OFTEN = np.array([0.99, 0.008, 0.001, 0.001])
ZIPF = 1.0 / np.arange(1, 601)


@pytest.mark.parametrize(
    ("shares", "trained", "rows", "rounds"),
    [
        (SKEWED, 20_000, 200, 1_500),
        (SKEWED, 500, 2_000, 1_500),
        (ONE_OFTEN, 20_000, 300, 1_500),
        (np.full(20, 0.05), 20_000, 200, 800),
        (np.full(300, 1.0 / 300), 20_000, 1_500, 200),
        (ZIPF / ZIPF.sum(), 3_000, 1_000, 200),
    ],
    ids=["skewed", "small reference", "one often", "uniform", "many", "long tail"],
)
def test_false_alarms_stay_at_the_rate_for_categories_of_any_shape(
    shares: NDArray[np.float64], trained: int, rows: int, rounds: int
) -> None:
    chance, alarms, trials = np.random.default_rng(5), dict.fromkeys(("psi", "js", "hellinger"), 0), 0
    for _ in range(rounds):
        before, after = (column(chance.multinomial(size, shares)) for size in (trained, rows))
        bins = align(before, after, ordered=False)
        trials += 1
        for name in alarms:
            alarms[name] += STATISTICS[name].distance(bins) > STATISTICS[name].noise(bins, RATE)
    assert max(alarms.values()) <= binomial_quantile(trials, RATE, 0.999)


def test_which_categories_are_named_makes_no_alarm() -> None:
    """Ninety of them are just below what counts as frequent, so that chance decides which are."""
    shares = np.concatenate([np.full(90, 0.0095), np.full(1_000, 0.145 / 1_000)])
    chance, alarms, rounds = np.random.default_rng(5), 0, 250
    for _ in range(rounds):
        before, after = column(chance.multinomial(5_000, shares), 600), column(chance.multinomial(5_000, shares), 150)
        bins = align(before, after, ordered=False)
        alarms += STATISTICS["psi"].distance(bins) > STATISTICS["psi"].noise(bins, RATE)
    assert alarms <= binomial_quantile(rounds, RATE, 0.999)
