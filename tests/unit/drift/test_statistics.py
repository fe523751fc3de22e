from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from framework.drift.bins import Aligned
from framework.drift.statistics import STATISTICS, hellinger, js, ks, psi

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
