from __future__ import annotations

import math
import statistics as samples
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from framework.drift.bins import Aligned, align
from framework.drift.calibration import Movement, limit, movements, reach
from framework.drift.statistics import STATISTICS
from framework.ports import ColumnSummary
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


def test_natural_movement_is_a_prediction_bound_on_lengths_less_what_sampling_makes_of_them() -> None:
    lengths = (0.7, 0.9, 0.8, 0.6, 0.9, 0.75)
    periods = [Movement(length, 0.1) for length in lengths]
    mean = math.sqrt(samples.fmean(length**2 for length in lengths) - 0.1)
    bound = mean + stats.t.ppf(0.995, 5) * samples.stdev(lengths) * math.sqrt(1 + 1 / 6)
    found = limit(PSI, BINS, periods, 0.2, 0.01)
    assert found.natural == pytest.approx(bound**2)
    assert found.value == pytest.approx((bound + math.sqrt(found.noise)) ** 2)


def test_few_periods_are_taken_as_they_are() -> None:
    periods = [Movement(length, 0.01) for length in (0.1, 0.3, 0.2)]
    assert limit(KS, BINS, periods, 0.05, 0.01).natural == pytest.approx(0.3)


def test_a_calm_column_keeps_the_spec_s_threshold() -> None:
    assert limit(PSI, BINS, [Movement(0.01, 0.0)] * 8, 0.2, 0.01).value == 0.2


def periods_of(*shapes: Sequence[float]) -> list[dict[str, ColumnSummary]]:
    return [{"temp": numeric(shape)} for shape in shapes]


def test_a_period_is_compared_with_the_others() -> None:
    calm, moved = [100.0] * 5, [300.0, 50.0, 50.0, 50.0, 50.0]
    found = movements(PSI, "temp", periods_of(calm, calm, calm, moved))
    assert len(found) == 4
    expected = PSI.distance(align(numeric([300.0] * 5), numeric(moved), ordered=False))
    assert found[3].length == pytest.approx(math.sqrt(expected))
    assert found[3].sampling == pytest.approx(4 * (1 / 1_500 + 1 / 500))
    assert found[3].length > 2 * max(item.length for item in found[:3])


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_what_sampling_makes_of_a_movement_is_right_on_average(name: str) -> None:
    chance, statistic, found = np.random.default_rng(7), STATISTICS[name], []
    for _ in range(300):
        parts = periods_of(*(chance.multinomial(1_000, [0.1] * 10).astype(float) for _ in range(4)))
        found += movements(statistic, "temp", parts)
    squares = samples.fmean(item.length**2 for item in found)
    # The binned statistic sees fewer places to differ in than the continuous one that its distribution is that of.
    assert squares == pytest.approx(found[0].sampling, rel=0.35 if statistic.ordered else 0.1)
    assert squares < 1.1 * found[0].sampling


def test_one_period_has_nothing_to_be_compared_with() -> None:
    assert movements(PSI, "temp", periods_of([100] * 5)) == ()
    assert limit(PSI, BINS, (), 0.2, 0.01).natural is None


def test_periods_too_small_or_without_the_column_say_nothing() -> None:
    empty: list[dict[str, ColumnSummary]] = [{}]
    assert movements(PSI, "temp", [*empty, *periods_of([0] * 5, [100] * 5)]) == ()
    assert movements(PSI, "temp", periods_of([39] * 5, [1_000] * 5)) == (), "195 rows"
    assert len(movements(PSI, "temp", [*empty, *periods_of([40] * 5, [100] * 5, [1] * 5)])) == 2


@pytest.mark.parametrize("name", sorted(STATISTICS))
def test_no_window_is_farther_than_the_reach(name: str) -> None:
    statistic, reference = STATISTICS[name], (500.0, 300.0, 150.0, 50.0)
    bins = Aligned(reference, (100.0,) * 4)
    farthest = reach(statistic, bins)
    for window in ((400.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 400.0), (0.0, 200.0, 0.0, 200.0), (1.0, 1.0, 397.0, 1.0)):
        assert statistic.distance(Aligned(reference, window)) <= farthest + 1e-12
    assert farthest == pytest.approx(statistic.distance(Aligned(reference, (0.0, 0.0, 0.0, 400.0))))
