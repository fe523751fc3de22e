"""Held against scipy, which the framework itself does not import."""

from __future__ import annotations

import pytest
from scipy import stats

from framework import probability


@pytest.mark.parametrize("x", [1e-9, 0.01, 0.3, 0.5, 0.77, 0.999])
@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1, 1), (3, 200), (200, 3), (0.5, 40), (5_000, 120_000)])
def test_beta_cdf(x: float, a: float, b: float) -> None:
    assert probability.beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-10)


def test_beta_cdf_outside_its_support() -> None:
    assert probability.beta_cdf(-0.1, 2, 3) == 0.0
    assert probability.beta_cdf(1.5, 2, 3) == 1.0


@pytest.mark.parametrize("x", [0.0, 0.01, 1.0, 4.9, 30.0, 250.0])
@pytest.mark.parametrize("a", [0.5, 1.0, 4.5, 60.0])
def test_gamma_cdf(x: float, a: float) -> None:
    assert probability.gamma_cdf(x, a) == pytest.approx(stats.gamma.cdf(x, a), abs=1e-10)


@pytest.mark.parametrize(
    ("k", "n", "p"), [(0, 10, 0.1), (3, 10, 0.1), (9, 10, 0.9), (40, 1_000, 0.05), (-1, 5, 0.5), (5, 5, 0.5)]
)
def test_binomial_cdf(k: int, n: int, p: float) -> None:
    assert probability.binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), abs=1e-10)


@pytest.mark.parametrize(("k", "n"), [(1, 10), (5, 10), (10, 10), (2, 1_000), (31, 40_000)])
@pytest.mark.parametrize("alpha", [0.05, 1e-3, 1e-7])
def test_limits_of_a_proportion(k: int, n: int, alpha: float) -> None:
    assert probability.proportion_lower(k, n, alpha) == pytest.approx(stats.beta.ppf(alpha, k, n - k + 1), rel=1e-6)
    upper = stats.beta.ppf(1 - alpha, k + 1, n - k) if k < n else 1.0
    assert probability.proportion_upper(k, n, alpha) == pytest.approx(upper, rel=1e-6)


def test_limits_where_nothing_or_everything_was_seen() -> None:
    assert probability.proportion_lower(0, 50, 0.01) == 0.0
    assert probability.proportion_upper(50, 50, 0.01) == 1.0
    assert (probability.proportion_lower(0, 0, 0.01), probability.proportion_upper(0, 0, 0.01)) == (0.0, 1.0)
    assert probability.proportion_upper(0, 50, 0.01) == pytest.approx(1 - 0.01 ** (1 / 50))


@pytest.mark.parametrize("p", [0.01, 0.5, 0.95])
@pytest.mark.parametrize("n", [0, 1, 20, 3_000])
@pytest.mark.parametrize("q", [1e-5, 0.05, 0.5, 0.999])
def test_binomial_quantile(n: int, p: float, q: float) -> None:
    assert probability.binomial_quantile(n, p, q) == (int(stats.binom.ppf(q, n, p)) if n else 0)


@pytest.mark.parametrize("q", [0.5, 0.95, 0.9995, 1 - 1e-8])
@pytest.mark.parametrize("degrees", [1, 4, 9, 99])
def test_quantiles_that_limits_are_made_of(q: float, degrees: int) -> None:
    assert probability.chi_square_quantile(q, degrees) == pytest.approx(stats.chi2.ppf(q, degrees), rel=1e-6)
    assert probability.student_quantile(q, degrees) == pytest.approx(stats.t.ppf(q, degrees), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("q", [0.05, 0.5, 0.99, 0.99999])
def test_kolmogorov_quantile(q: float) -> None:
    assert probability.kolmogorov_quantile(q) == pytest.approx(stats.kstwobign.ppf(q), rel=1e-6)
