"""whylogs profiles of Polars frames, at the cost of a few aggregates.

The sketches are whylogs' own and are fed in bulk; Polars does counts, types and moments. What comes out is a standard
profile: ``whylogs.read`` opens it and it merges with profiles that whylogs made itself (both held by tests).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import polars as pl

from framework.sketches import load_whylogs
from framework.storage import write_bytes

MIN_PERIOD_ROWS = 200
"""A reference period with fewer rows says little about natural movement: it joins its neighbour."""

MIN_PERIOD_SHARE = 0.25
"""So does one with less than this share of the median period's rows: the stub of a week is no week."""

_NARROW_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
"""What whylogs' 64-bit signed integers can hold; wider ones are profiled as floats."""

_ITEM_CHARACTERS = 128
"""whylogs' own cap on a frequent item."""


class _Whylogs(NamedTuple):
    """The parts of whylogs that a profile is built from."""

    column: Any
    dataset: Any
    metrics: Any
    column_metrics: Any
    config: Any


@cache
def _whylogs() -> _Whylogs:
    load_whylogs()
    from whylogs.core.metrics import column_metrics, metrics
    from whylogs.core.view.column_profile_view import ColumnProfileView
    from whylogs.core.view.dataset_profile_view import DatasetProfileView

    return _Whylogs(ColumnProfileView, DatasetProfileView, metrics, column_metrics, metrics.MetricConfig())


def warm() -> None:
    """Load whylogs now (0.4 CPU seconds), so that no request and no flush pays for it."""
    _whylogs()


def profile_frame(frame: pl.DataFrame, when: datetime, metadata: Mapping[str, str] | None = None) -> Any:
    """A ``whylogs.DatasetProfileView`` of ``frame`` whose dataset timestamp is ``when`` (with a time zone).

    Numbers and booleans get the metrics that whylogs gives them (booleans count as 0 and 1), strings theirs, and any
    other type its counts only. As in whylogs, NaN counts as null. Beyond about 768 distinct strings the frequent items
    are estimates.
    """
    columns = {name: _column(frame[name]) for name in frame.columns}
    return _whylogs().dataset(
        columns=columns, dataset_timestamp=when, creation_timestamp=when, metadata=dict(metadata or {})
    )


def profile_bytes(frame: pl.DataFrame, when: datetime, metadata: Mapping[str, str] | None = None) -> bytes:
    """The profile as the bytes of a whylogs file."""
    return bytes(profile_frame(frame, when, metadata).serialize())


def write_reference(folder: str, frame: pl.DataFrame, time: str, columns: Sequence[str], period: timedelta) -> None:
    """Profile what a model was trained on: ``<folder>/whole.bin``, and ``<folder>/period-<k>.bin`` per period in order.

    Periods are half-open, ``period`` long and start at the earliest ``time`` (a Date or Datetime column; UTC where it
    has no zone). ``whole.bin`` is written last, so a folder that has it is complete.

    Raises:
        ValueError: no row has a time.
    """
    start = frame[time].min()
    if start is None:
        raise ValueError(f"no row has a {time}")
    for index, rows in enumerate(split_periods(frame, time, period)):
        when = _utc(rows[time].min())
        write_bytes(f"{folder}/period-{index}.bin", profile_bytes(rows.select(columns), when))
    write_bytes(f"{folder}/whole.bin", profile_bytes(frame.select(columns), _utc(start)))


def split_periods(frame: pl.DataFrame, time: str, period: timedelta) -> Iterator[pl.DataFrame]:
    """``frame`` cut into periods, in order; a period too small joins the one before it, the first ones the one after.

    Rows without a time belong to no period.
    """
    timed = frame.filter(pl.col(time).is_not_null())
    if timed.is_empty():
        return
    elapsed = (pl.col(time) - pl.col(time).min()).dt.total_microseconds()
    number = (elapsed // (period // timedelta(microseconds=1))).alias("__period")
    parts = timed.with_columns(number).partition_by("__period", as_dict=True, include_key=False)
    ordered = [parts[key] for key in sorted(parts)]
    median = sorted(part.height for part in ordered)[len(ordered) // 2]
    smallest = max(MIN_PERIOD_ROWS, median * MIN_PERIOD_SHARE)
    held = ordered[0]
    for part in ordered[1:]:
        if part.height >= smallest and held.height >= smallest:
            yield held
            held = part
        else:
            held = pl.concat([held, part])
    yield held


def _utc(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.combine(value, datetime.min.time())
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _column(series: pl.Series) -> Any:
    dtype = series.dtype
    if dtype == pl.Boolean:
        return _boolean(series)
    if dtype in _NARROW_INTEGERS:
        return _integers(series)
    if dtype.is_numeric():
        return _floats(series.cast(pl.Float64))
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return _strings(series.cast(pl.String))
    return _view(_counts(series.len(), series.null_count()), _types(object=series.len() - series.null_count()))


def _floats(series: pl.Series) -> Any:
    nan = int(series.is_nan().sum() or 0)
    values = series.drop_nulls().drop_nans()
    infinite = int(values.is_infinite().sum())
    counts = _counts(series.len(), series.null_count() + nan, nan=nan, inf=infinite)
    return _view(counts, _types(fractional=values.len()), _distribution(values), _cardinality(values))


def _integers(series: pl.Series) -> Any:
    values = series.drop_nulls().cast(pl.Int64)
    return _view(
        _counts(series.len(), series.null_count()),
        _types(integral=values.len()),
        _distribution(values.cast(pl.Float64)),
        _ints(values),
        _cardinality(values),
        _frequent(numbers=values),
    )


def _boolean(series: pl.Series) -> Any:
    values = series.drop_nulls()
    true = int(values.sum())
    return _view(
        _counts(series.len(), series.null_count(), true=true),
        _types(boolean=values.len()),
        _distribution(values.cast(pl.Float64)),
        _ints(values.head(0).cast(pl.Int64)),
        _cardinality(values.cast(pl.Int64)),
        _frequent(strings=values.replace_strict({True: "True", False: "False"}, return_dtype=pl.String)),
    )


def _strings(series: pl.Series) -> Any:
    values = series.drop_nulls()
    metrics = _whylogs().metrics
    return _view(
        _counts(series.len(), series.null_count()),
        _types(string=values.len()),
        metrics.DistributionMetric.zero(_whylogs().config),
        _cardinality(values),
        _frequent(strings=values),
    )


def _view(*metrics: Any) -> Any:
    return _whylogs().column({metric.namespace: metric for metric in metrics})


def _counts(n: int, null: int, *, nan: int = 0, inf: int = 0, true: int = 0) -> Any:
    metric = _whylogs().column_metrics.ColumnCountsMetric.zero()
    for name, value in (("n", n), ("null", null), ("nan", nan), ("inf", inf), ("true", true)):
        getattr(metric, name).set(value)
    return metric


def _types(**counts: int) -> Any:
    metric = _whylogs().column_metrics.TypeCountersMetric.zero()
    for name, value in counts.items():
        getattr(metric, name).set(value)
    return metric


def _distribution(values: pl.Series) -> Any:
    """KLL over every value; mean and squared deviations over the finite ones, since one infinity would void both."""
    metric = _whylogs().metrics.DistributionMetric.zero(_whylogs().config)
    if values.is_empty():
        return metric
    metric.kll.value.update(values.to_numpy())
    finite = values.filter(values.is_finite())
    if not finite.is_empty():
        array = finite.to_numpy()
        metric.mean.set(float(array.mean()))
        metric.m2.set(float(array.var() * len(array)))
    return metric


def _ints(values: pl.Series) -> Any:
    metric = _whylogs().metrics.IntsMetric.zero()
    if not values.is_empty():
        array = values.to_numpy()
        metric.max.set(int(array.max()))
        metric.min.set(int(array.min()))
    return metric


def _cardinality(values: pl.Series) -> Any:
    metric = _whylogs().metrics.CardinalityMetric.zero(_whylogs().config)
    if values.dtype == pl.String:
        metric.hll.value.update_str_list(values.unique().to_list())
    elif not values.is_empty():
        metric.hll.value.update_np(values.to_numpy())
    return metric


def _frequent(*, numbers: pl.Series | None = None, strings: pl.Series | None = None) -> Any:
    metric = _whylogs().metrics.FrequentItemsMetric.zero(_whylogs().config)
    sketch = metric.frequent_strings.value
    if numbers is not None and not numbers.is_empty():
        sketch.update_np(numbers.to_numpy())
    if strings is not None:
        items = strings.str.slice(0, _ITEM_CHARACTERS).value_counts(sort=True)
        for item, count in items.iter_rows():  # heaviest first, so that they are in before the sketch must forget
            sketch.update(item, count)
    return metric
