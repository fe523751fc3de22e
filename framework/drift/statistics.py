"""How far apart two distributions are, on neutral column summaries.

Every statistic works on the same aligned bins, so that one column can be judged by another statistic without being
profiled again. Each comes with the value that sampling alone reaches, and with the scale on which independent movements
add up (``length``): distances for which the triangle inequality holds, exactly or, for PSI, to second order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from framework.drift.bins import Aligned
from framework.drift.chance import beyond_chance
from framework.probability import kolmogorov_quantile

FLOOR = 1e-4
"""PSI needs every bin filled. This share is mixed into each bin, whatever the number of rows: a pseudo-count per row
would make the same empty bin weigh 0.5 at 1e3 rows and 1.7 at 1e8."""


def psi(bins: Aligned) -> float:
    """Population stability index: the sum of (q - p) ln(q / p), which is Jeffreys' divergence."""
    p, q = (_filled(shares) for shares in bins.shares())
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def _filled(shares: Sequence[float]) -> list[float]:
    whole = 1.0 + FLOOR * len(shares)
    return [(share + FLOOR) / whole for share in shares]


def js(bins: Aligned) -> float:
    """Jensen-Shannon distance to base 2: the root of the divergence, from 0 (equal) to 1 (nothing in common)."""
    p, q = bins.shares()
    divergence = 0.0
    for a, b in zip(p, q, strict=True):
        middle = (a + b) / 2.0
        divergence += sum(0.5 * share * math.log2(share / middle) for share in (a, b) if share > 0.0)
    return math.sqrt(max(0.0, divergence))


def hellinger(bins: Aligned) -> float:
    """Hellinger distance, from 0 to 1."""
    p, q = bins.shares()
    return math.sqrt(sum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in zip(p, q, strict=True)) / 2.0)


def ks(bins: Aligned) -> float:
    """Kolmogorov-Smirnov: the largest difference of the cumulative shares, at the bins' edges."""
    p, q = bins.shares()
    gap = largest = 0.0
    for a, b in zip(p, q, strict=True):
        gap += b - a
        largest = max(largest, abs(gap))
    return largest


def _kolmogorov_noise(bins: Aligned, alpha: float) -> float:
    n, m = bins.rows
    return kolmogorov_quantile(1.0 - alpha) * math.sqrt(1.0 / n + 1.0 / m)


_KOLMOGOROV_SQUARED = math.pi**2 / 12.0
"""The mean of the square of a variable with Kolmogorov's distribution (Marsaglia, Tsang and Wang, Journal of
Statistical Software 8, 2003)."""


@dataclass(frozen=True)
class Statistic:
    """A distance of the two sides of ``Aligned``.

    ``scale``: near each other, the square of a length is ``scale`` times X-square times 1/N + 1/n, where X-square is
    Pearson's. None for a statistic on the order of values.
    """

    distance: Callable[[Aligned], float]
    scale: float | None = 1.0
    squared: bool = False
    """The value is the square of a length."""

    @property
    def ordered(self) -> bool:
        return self.scale is None

    def length(self, value: float) -> float:
        return math.sqrt(max(0.0, value)) if self.squared else value

    def value(self, length: float) -> float:
        return length**2 if self.squared else length

    def sampling(self, bins: Aligned) -> float:
        """What sampling alone makes of the square of a length, on the average."""
        n, m = bins.rows
        mean = _KOLMOGOROV_SQUARED if self.scale is None else self.scale * (bins.filled - 1)
        return mean * (1.0 / n + 1.0 / m)

    def noise(self, bins: Aligned, alpha: float) -> float:
        """The distance that sampling alone exceeds with probability ``alpha``, for a window that differs as this one.

        Distances with a logarithm in them have no null distribution of their own at a few rows per bin: one empty bin
        where seven rows were expected would be enough. So the window is scaled back, along its own direction, to where
        chance ends.
        """
        if self.scale is None:
            return _kolmogorov_noise(bins, alpha)
        evidence, critical = beyond_chance(bins, alpha)
        if evidence:
            return self.value(self.length(self.distance(bins)) / math.sqrt(evidence))
        n, m = bins.rows
        return self.value(math.sqrt(self.scale * critical * (1.0 / n + 1.0 / m)))


STATISTICS: Mapping[str, Statistic] = {
    "psi": Statistic(psi, squared=True),
    # Near each other, p and q have JS divergence (in nats) and squared Hellinger distance of PSI / 8.
    "js": Statistic(js, 1.0 / (8.0 * math.log(2.0))),
    "hellinger": Statistic(hellinger, 1.0 / 8.0),
    "ks": Statistic(ks, None),
}
