"""Sums and deviations of floats over ranges of rows, without any rounding but the last: what a range comes to
says nothing of the order in which it is added, nor of what lies before it.

A float is a whole number times a power of two, so it is cut into digits of 32 bits at fixed places, and of these the
sums up to each row are exact in int64 (of 2^29 rows and less). The idea is that of reproducible summation by bins: J.
Demmel and H. D. Nguyen, Parallel Reproducible Summation, IEEE Transactions on Computers 64 (2015).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from framework.workloads.features.windows import Places

Floats = npt.NDArray[np.float64]
_BITS = 32
_MANTISSA = 53
_HALF = 27
_ROWS = 1 << 16
"""So many ranges at a time are held as whole numbers of any length."""


def sums(values: Floats, start: Places, end: Places) -> Floats:
    """The sum of ``values[start:end]`` of each range, correctly rounded; 0 of none. Infinite ones add up as such, and
    to NaN where there are both."""
    digits = _Digits([_whole(values)])
    found, certain = digits.rounded(start, end)
    unsure = np.flatnonzero(~certain)
    totals = digits.totals(start[unsure], end[unsure])
    found[unsure] = [_float(total, 1, digits.scale) for total in totals]
    infinite = np.isinf(values)
    if not infinite.any():
        return found
    up, down = (_counted(infinite & (values * sign > 0), start, end) > 0 for sign in (1, -1))
    return np.select([up & down, up, down], [np.nan, np.inf, -np.inf], found)


def deviations(values: Floats, start: Places, end: Places) -> Floats:
    """The standard deviation of the sample ``values[start:end]`` of each range, with n - 1 for n values; NaN of less
    than two, and where one is infinite."""
    mantissas, exponents = _whole(values)
    high, low = mantissas >> _HALF, mantissas & ((1 << _HALF) - 1)
    squared = [
        (low * low, 2 * exponents),
        (2 * high * low, 2 * exponents + _HALF),
        (high * high, 2 * (exponents + _HALF)),
    ]
    plain, squares = _Digits([(mantissas, exponents)]), _Digits(squared)
    found = [
        _deviation(square, squares.scale, total, plain.scale, rows)
        for square, total, rows in zip(
            squares.totals(start, end), plain.totals(start, end), (end - start).tolist(), strict=True
        )
    ]
    return np.where(_counted(np.isinf(values), start, end) > 0, np.nan, np.array(found, dtype=np.float64))


class _Digits:
    """Sums up to each row of ``terms``: whole numbers below 2^54 and the powers of two that they are multiples of."""

    def __init__(self, terms: Iterable[tuple[Places, Places]]) -> None:
        parts = [part for mantissas, exponents in terms for part in _cut(mantissas, exponents)]
        places = sorted({int(place) for places, digits in parts for place in np.unique(places[digits != 0])})
        self.scale = _BITS * places[0] if places else 0
        """The power of two of which totals are multiples."""
        self._upto = [
            (_BITS * (place - places[0]), _upto(sum(np.where(at == place, digits, 0) for at, digits in parts)))
            for place in places
        ]

    def rounded(self, start: Places, end: Places) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Of each range the total as a float, and whether that is certain to be the nearest one: it is added in pairs
        of floats, the highest digits first, which leaves an error of less than 2^-100 of what was added."""
        high, low, added = (np.zeros(len(start)) for _ in range(3))
        with np.errstate(all="ignore"):
            for shift, upto in reversed(self._upto):
                total = upto[end] - upto[start]
                for part, more in ((total >> _BITS, _BITS), (total & ((1 << _BITS) - 1), 0)):
                    term = np.ldexp(part.astype(np.float64), self.scale + shift + more)
                    both = high + term
                    back = both - high
                    low += (high - (both - back)) + (term - back)  # what was rounded off, by D. E. Knuth's TwoSum
                    high, added = both, added + np.abs(term)
            error = np.ldexp(added, -100)
            found: Floats = high + (low - error)
            return found, found == high + (low + error)

    def totals(self, start: Places, end: Places) -> Iterator[int]:
        """Of each range, exactly: as multiples of 2**scale."""
        for first in range(0, len(start), _ROWS):
            begins, ends = start[first : first + _ROWS], end[first : first + _ROWS]
            total = np.zeros(len(begins), dtype=object)
            for shift, upto in self._upto:
                total += (upto[ends] - upto[begins]).astype(object) << shift
            yield from total.tolist()


def _whole(values: Floats) -> tuple[Places, Places]:
    """Floats as whole numbers times powers of two; infinite ones as 0."""
    fractions, exponents = np.frexp(np.where(np.isfinite(values), values, 0.0))
    return np.ldexp(fractions, _MANTISSA).astype(np.int64), exponents.astype(np.int64) - _MANTISSA


def _cut(mantissas: Places, exponents: Places) -> list[tuple[Places, Places]]:
    """The places of digits, and the digits; the highest has the sign."""
    place, shift = np.divmod(exponents, _BITS)
    rest = mantissas >> (_BITS - shift)
    lowest = (mantissas - (rest << (_BITS - shift))) << shift
    highest = rest >> _BITS
    return [(place, lowest), (place + 1, rest - (highest << _BITS)), (place + 2, highest)]


def _upto(values: Any) -> Places:
    return np.concatenate([[0], np.cumsum(values, dtype=np.int64)])


def _counted(flags: npt.NDArray[np.bool_], start: Places, end: Places) -> Places:
    upto = _upto(flags)
    return upto[end] - upto[start]


def _float(total: int, divisor: int, scale: int) -> float:
    """``total * 2**scale / divisor``, correctly rounded."""
    try:
        return (total << scale) / divisor if scale >= 0 else total / (divisor << -scale)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def _deviation(square: int, square_scale: int, total: int, scale: int, rows: int) -> float:
    if rows < 2:
        return math.nan
    lowest = min(square_scale, 2 * scale)
    spread = (rows * square << (square_scale - lowest)) - (total * total << (2 * scale - lowest))
    divisor = rows * (rows - 1)
    apart = (spread.bit_length() - divisor.bit_length()) & ~1  # of the quotient, so that its root stays a float
    root = math.sqrt(_float(spread, divisor, -apart))
    try:
        return math.ldexp(root, (apart + lowest) // 2)
    except OverflowError:
        return math.inf
