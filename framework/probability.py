"""Distribution functions in plain Python, for verdicts that must be exact at small counts and far out in the tails.

Everything here is a function of its arguments alone. Quantiles are found by bisection on the distribution function, so
that their accuracy is that of the function itself (about 1e-10) also where closed approximations fail.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

_TINY = 1e-300
_PRECISION = 1e-15


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0.

    Continued fraction 8.17.22 of the NIST Digital Library of Mathematical Functions, evaluated by Lentz's method as in
    Press et al., Numerical Recipes, section 6.4; the symmetry 1 - I_{1-x}(b, a) keeps it in the half that converges.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = a * math.log(x) + b * math.log1p(-x) - (math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(front) * _beta_fraction(x, a, b) / a
    return 1.0 - math.exp(front) * _beta_fraction(1.0 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _away_from_zero(1.0 + even * d)
        c = _away_from_zero(1.0 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _away_from_zero(1.0 + odd * d)
        c = _away_from_zero(1.0 + odd / c)
        step = d * c
        value *= step
        if abs(step - 1.0) < _PRECISION:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def gamma_cdf(x: float, a: float) -> float:
    """The regularised lower incomplete gamma function P(a, x), for a > 0: series below a + 1, continued fraction above
    (NIST DLMF 8.11.4 and 8.9.2; Numerical Recipes, section 6.2)."""
    if x <= 0.0:
        return 0.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:
        term = total = 1.0 / a
        n = a
        while abs(term) > abs(total) * _PRECISION:
            n += 1.0
            term *= x / n
            total += term
        return front * total
    b = x + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    value = d
    for i in range(1, 100_000):
        factor = -i * (i - a)
        b += 2.0
        d = 1.0 / _away_from_zero(factor * d + b)
        c = _away_from_zero(b + factor / c)
        value *= d * c
        if abs(d * c - 1.0) < _PRECISION:
            break
    return 1.0 - front * value


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p)."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return beta_cdf(1.0 - p, n - k, k + 1)


def proportion_lower(k: int, n: int, alpha: float) -> float:
    """The exact one-sided lower limit for a proportion with ``k`` of ``n`` seen: covers with probability >= 1 - alpha.

    Clopper and Pearson, Biometrika 26 (1934).
    """
    if k <= 0 or n <= 0:
        return 0.0
    return _increasing_root(lambda p: beta_cdf(p, k, n - k + 1), alpha, 0.0, 1.0)


def proportion_upper(k: int, n: int, alpha: float) -> float:
    """The exact one-sided upper limit for a proportion with ``k`` of ``n`` seen (1 where nothing was seen)."""
    return 1.0 - proportion_lower(n - k, n, alpha) if n > 0 else 1.0


def binomial_quantile(n: int, p: float, probability: float) -> int:
    """The smallest k with P(X <= k) >= probability for X ~ Binomial(n, p)."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if binomial_cdf(middle, n, p) >= probability:
            high = middle
        else:
            low = middle + 1
    return low


@lru_cache(maxsize=256)
def chi_square_quantile(probability: float, degrees: float) -> float:
    """x with P(X <= x) = probability for a chi-square variable."""
    return 2.0 * _quantile(lambda x: gamma_cdf(x, degrees / 2.0), probability)


@lru_cache(maxsize=256)
def student_quantile(probability: float, degrees: float) -> float:
    """t with P(T <= t) = probability for Student's distribution; probability at least one half."""

    def cdf(t: float) -> float:
        return 1.0 - 0.5 * beta_cdf(degrees / (degrees + t * t), degrees / 2.0, 0.5)

    return _quantile(cdf, probability)


@lru_cache(maxsize=256)
def kolmogorov_quantile(probability: float) -> float:
    """x with P(K <= x) = probability for Kolmogorov's limiting distribution of sqrt(n) D_n (Smirnov, Annals of
    Mathematical Statistics 19, 1948)."""

    def cdf(x: float) -> float:
        if x < 0.2:
            return 0.0
        return 1.0 - 2.0 * sum((-1.0) ** (k - 1) * math.exp(-2.0 * (k * x) ** 2) for k in range(1, 101))

    return _quantile(cdf, probability)


def _quantile(cdf: Callable[[float], float], probability: float) -> float:
    high = 1.0
    while cdf(high) < probability:
        high *= 2.0
    return _increasing_root(cdf, probability, 0.0, high)


def _increasing_root(function: Callable[[float], float], target: float, low: float, high: float) -> float:
    """The last point below which ``function`` stays under ``target``, to double precision or 200 halvings."""
    for _ in range(200):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if function(middle) < target:
            low = middle
        else:
            high = middle
    return low
