"""The functions of aggregations, over ranges of values: ``values[start:end]`` of each row, none of them missing, in the
order of time. Each says something of the values in the range alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from framework.workloads.context import WorkloadError
from framework.workloads.features.exact import deviations, sums
from framework.workloads.features.windows import Places

_Function = Callable[[pl.Series, Places, Places], pl.Series]


def of(function: str, lag: int | None = None) -> _Function:
    """Takes values, and start and end of each range (int64 of shape (rows,)); gives a value for each range, null where
    there is none.

    Raises:
        WorkloadError: "WrongType" where whole numbers add up to what is none in Int64.
    """
    if lag is not None:
        return lambda values, start, end: _taken(values, end - 1 - lag, start, end)
    return _FUNCTIONS[function]


def result(function: str, dtype: pl.DataType) -> pl.DataType:
    """The dtype of what comes of values of ``dtype``."""
    if function in ("count", "count_distinct") or (function == "sum" and dtype.is_integer()):
        return pl.Int64()
    return pl.Float64() if function in ("sum", "mean", "std") else dtype


def _count(values: pl.Series, start: Places, end: Places) -> pl.Series:
    return pl.Series(end - start, dtype=pl.Int64)


def _count_distinct(values: pl.Series, start: Places, end: Places) -> pl.Series:
    """What occurs again within a range counts once: of a value at ``again`` that stood ``before`` as well, this is so
    in the ranges that have both, which follow each other because starts and ends only ever grow."""
    places = pl.DataFrame({"value": values}).with_row_index("place")
    known = places.select(pl.col("place").cast(pl.Int64).shift().over("value")).to_series()
    again = np.flatnonzero(known.is_not_null().to_numpy())
    before = known.drop_nulls().to_numpy()
    begins, ends = np.searchsorted(end, again, side="right"), np.searchsorted(start, before, side="right")
    both = begins < ends
    change = np.zeros(len(start) + 1, dtype=np.int64)
    np.add.at(change, begins[both], 1)
    np.add.at(change, ends[both], -1)
    return pl.Series(end - start - np.cumsum(change)[:-1], dtype=pl.Int64)


def _sum(values: pl.Series, start: Places, end: Places) -> pl.Series:
    if not values.dtype.is_integer():
        return pl.Series(sums(_floats(values), start, end))
    found = _whole_sums(values, start, end)
    fits = found.cast(pl.Int64, strict=False)
    if fits.null_count():
        raise WorkloadError("WrongType", f"whole numbers add up to {found.filter(fits.is_null())[0]}: none in Int64")
    return fits


def _mean(values: pl.Series, start: Places, end: Places) -> pl.Series:
    whole = values.dtype.is_integer()
    total = _whole_sums(values, start, end).cast(pl.Float64) if whole else pl.Series(sums(_floats(values), start, end))
    return _unless_few(total / pl.Series(end - start), 1, start, end)


def _std(values: pl.Series, start: Places, end: Places) -> pl.Series:
    return _unless_few(pl.Series(deviations(_floats(values), start, end)), 2, start, end)


def _first(values: pl.Series, start: Places, end: Places) -> pl.Series:
    return _taken(values, start, start, end)


def _last(values: pl.Series, start: Places, end: Places) -> pl.Series:
    return _taken(values, end - 1, start, end)


def _least(values: pl.Series, start: Places, end: Places) -> pl.Series:
    return _extreme(values, start, end, pl.min_horizontal)


def _most(values: pl.Series, start: Places, end: Places) -> pl.Series:
    return _extreme(values, start, end, pl.max_horizontal)


_FUNCTIONS: Mapping[str, _Function] = {
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "min": _least,
    "max": _most,
    "count": _count,
    "count_distinct": _count_distinct,
    "first": _first,
    "last": _last,
}


def _whole_sums(values: pl.Series, start: Places, end: Places) -> pl.Series:
    upto = pl.concat([pl.Series([0], dtype=pl.Int128), values.cast(pl.Int128).cum_sum()])
    return upto.gather(end) - upto.gather(start)


def _extreme(values: pl.Series, start: Places, end: Places, better: Callable[..., Any]) -> pl.Series:
    """The better one of two stretches that together are the range, each of a power of two of values; that of all
    stretches of twice as many comes of two that follow each other."""
    length, stretches, width = end - start, values, 1
    none = np.flatnonzero(length == 0)
    places, found = [none], [pl.repeat(None, len(none), dtype=values.dtype, eager=True)]
    while (length >= width).any():
        chosen = np.flatnonzero((length >= width) & (length < 2 * width))
        left, right = stretches.gather(start[chosen]), stretches.gather(end[chosen] - width)
        places.append(chosen)
        found.append(_better(left, right, better))
        after = stretches.slice(width)
        stretches = _better(stretches.head(after.len()), after, better)
        width *= 2
    return pl.concat(found).gather(np.argsort(np.concatenate(places)))


def _better(left: pl.Series, right: pl.Series, better: Callable[..., Any]) -> pl.Series:
    return pl.DataFrame({"left": left, "right": right}).select(better("left", "right")).to_series()


def _taken(values: pl.Series, places: Places, start: Places, end: Places) -> pl.Series:
    """The values at ``places``, null where these lie outside of the range."""
    within = pl.Series((places >= start) & (places < end))
    return values.gather(pl.select(pl.when(within).then(pl.Series(places))).to_series())


def _unless_few(found: pl.Series, least: int, start: Places, end: Places) -> pl.Series:
    return pl.select(pl.when(pl.Series(end - start >= least)).then(found)).to_series()


def _floats(values: pl.Series) -> Any:
    return values.cast(pl.Float64).to_numpy()
