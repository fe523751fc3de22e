from __future__ import annotations

import math
import statistics as samples

import pytest
from scipy import stats

from framework.drift.bins import Aligned, align
from framework.drift.calibration import limit, movements, reach
from framework.drift.statistics import STATISTICS
from tests.unit.drift.columns import numeric

PSI, KS = STATISTICS["psi"], STATISTICS["ks"]
BINS = Aligned((2_000.0,) * 5, (200.0,) * 5)


def test_without_periods_the_limit_is_the_threshold_or_the_noise() -> None:
    found = limit(PSI, BINS, (), 0.2, 0.01)
    assert (found.value, found.natural) == (0.2, None)
    tight = limit(PSI, BINS, (), 1e-6, 0.01)
    assert tight.value == pytest.approx(tight.noise)


def test_noise_is_chi_square_at_half_the_level() -> None:
    expected = stats.chi2.ppf(1 - 0.005, 4) * (1 / 10_000 + 1 / 1_000)
    assert limit(PSI, BINS, (), 0.2, 0.01).noise == pytest.approx(expected)


def test_natural_movement_is_a_prediction_bound_on_lengths() -> None:
    periods = (0.5, 0.9, 0.7, 0.4, 0.8, 0.6)
    lengths = [math.sqrt(value) for value in periods]
    bound = samples.fmean(lengths) + stats.t.ppf(0.995, 5) * samples.stdev(lengths) * math.sqrt(1 + 1 / 6)
    found = limit(PSI, BINS, periods, 0.2, 0.01)
    assert found.natural == pytest.approx(bound**2)
    assert found.value == pytest.approx((bound + math.sqrt(found.noise)) ** 2)


def test_few_periods_are_taken_as_they_are() -> None:
    assert limit(KS, BINS, (0.1, 0.3, 0.2), 0.05, 0.01).natural == pytest.approx(0.3)


def test_a_calm_column_keeps_the_spec_s_threshold() -> None:
    assert limit(PSI, BINS, (1e-4,) * 8, 0.2, 0.01).value == 0.2


def test_a_period_is_compared_with_the_rest_of_the_reference() -> None:
    calm, moved = [100.0] * 5, [300.0, 50.0, 50.0, 50.0, 50.0]
    whole = numeric([sum(pair) for pair in zip([300.0] * 5, moved, strict=True)])
    periods = [{"temp": numeric(calm)}, {"temp": numeric(calm)}, {"temp": numeric(calm)}, {"temp": numeric(moved)}]
    found = movements(PSI, whole, periods)
    assert len(found) == 4
    assert found[3] == pytest.approx(PSI.distance(align(numeric([300.0] * 5), numeric(moved), ordered=False)))
    assert found[3] > 5 * max(found[:3])


def test_periods_without_the_column_or_without_rows_are_left_out() -> None:
    periods = [{}, {"temp": numeric([0] * 5)}, {"temp": numeric([10] * 5)}]
    assert len(movements(PSI, numeric([100] * 5), periods)) == 1


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_no_window_is_farther_than_the_reach(name: str) -> None:
    statistic, reference = STATISTICS[name], (500.0, 300.0, 150.0, 50.0)
    bins = Aligned(reference, (100.0,) * 4)
    farthest = reach(statistic, bins)
    for window in ((400.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 400.0), (0.0, 200.0, 0.0, 200.0), (1.0, 1.0, 397.0, 1.0)):
        assert statistic.distance(Aligned(reference, window)) <= farthest + 1e-12
    assert farthest == pytest.approx(statistic.distance(Aligned(reference, (0.0, 0.0, 0.0, 400.0))))
