"""whylogs profiles of Polars frames, at the cost of a few aggregates.

The sketches are whylogs' own and are fed in bulk; Polars does counts, types and moments. What comes out is a standard
profile: ``whylogs.read`` opens it and it merges with profiles that whylogs made itself (both held by tests).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, reduce
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from framework.drift.calibration import MIN_PERIOD_ROWS
from framework.ports import ITEM_CHARACTERS
from framework.sketches import load_whylogs
from framework.storage import write_bytes

MIN_PERIOD_SHARE = 0.25
"""A reference period with less than this share of the median period's rows joins a neighbour, as one with fewer than
MIN_PERIOD_ROWS does: the stub of a week is no week."""

_NARROW_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
"""What whylogs' 64-bit signed integers can hold; wider ones are profiled as floats."""

_LOG_ITEMS = 13
_ITEMS = 2**_LOG_ITEMS * 3 // 4
"""Distinct strings that a profile counts, exactly; beyond, the most frequent ones. More would make the sketch forget,
all of them where they are equally frequent."""


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

    return _Whylogs(
        ColumnProfileView,
        DatasetProfileView,
        metrics,
        column_metrics,
        metrics.MetricConfig(fi_lg_max_k=_LOG_ITEMS, max_frequent_item_size=ITEM_CHARACTERS),
    )


def warm() -> None:
    """Load whylogs now (0.4 CPU seconds), so that no request and no flush pays for it."""
    _whylogs()


def profile_frame(frame: pl.DataFrame, when: datetime, metadata: Mapping[str, str] | None = None) -> Any:
    """A ``whylogs.DatasetProfileView`` of ``frame`` whose dataset timestamp is ``when`` (with a time zone).

    Numbers and booleans get the metrics that whylogs gives them (booleans count as 0 and 1), strings theirs, times
    those of numbers (seconds, since the epoch for a date), and any other type its counts only. As in whylogs, NaN
    counts as null. Of more than 6,144 distinct strings only the most frequent ones are counted.
    """
    return _dataset({name: _column(frame[name]) for name in frame.columns}, when, metadata or {})


def _dataset(columns: dict[str, Any], when: datetime, metadata: Mapping[str, str]) -> Any:
    return _whylogs().dataset(columns=columns, dataset_timestamp=when, creation_timestamp=when, metadata=dict(metadata))


def profile_batches(batches: Iterable[pl.DataFrame], when: datetime) -> Any:
    """The same of rows that come in batches: each is profiled and forgotten. At least one is needed."""
    return reduce(lambda one, other: one.merge(other), (profile_frame(batch, when) for batch in batches))


def merged_bytes(profiles: Iterable[bytes], when: datetime) -> bytes:
    """Profiles as one, as the bytes of a whylogs file."""
    dataset = _whylogs().dataset
    empty = dataset(columns={}, dataset_timestamp=when, creation_timestamp=when, metadata={})
    return bytes(reduce(lambda one, other: one.merge(dataset.deserialize(other)), profiles, empty).serialize())


def profile_bytes(frame: pl.DataFrame, when: datetime, metadata: Mapping[str, str] | None = None) -> bytes:
    """The profile as the bytes of a whylogs file."""
    return bytes(profile_frame(frame, when, metadata).serialize())


class ColumnProfiles(NamedTuple):
    """Profiles of columns of what a model was trained on, by name: of each period in order, and last of all rows.
    ``times`` are the first ones of each."""

    times: Sequence[datetime]
    columns: Sequence[Mapping[str, Any]]


def reference_of(frame: pl.DataFrame, time: str | None, columns: Sequence[str], period: timedelta) -> ColumnProfiles:
    """Periods are half-open, ``period`` long and start at the earliest ``time`` (a Date or Datetime column; UTC where
    it has no zone). Rows without any time (None) are one period.

    Raises:
        ValueError: no row has a time.
    """
    if time is None:
        every = {name: _column(frame[name]) for name in columns}
        return ColumnProfiles([_NEVER, _NEVER], [every, every])
    if frame[time].min() is None:
        raise ValueError(f"no row has a {time}")
    parts = [*split_periods(frame.select(list(dict.fromkeys([time, *columns]))), time, period), frame]
    times = [_utc(part[time].min()) for part in parts]
    return ColumnProfiles(times, [{name: _column(part[name]) for name in columns} for part in parts])


def write_reference(folder: str, *parts: ColumnProfiles) -> None:
    """``<folder>/whole.bin``, and ``<folder>/period-<k>.bin`` per period in order, of ``parts`` that are of other
    columns of the same rows. ``whole.bin`` is written last, so a folder that has it is complete."""
    *periods, whole = [_together(place, parts) for place in range(len(parts[0].times))]
    for index, profile in enumerate(periods):
        write_bytes(f"{folder}/period-{index}.bin", profile)
    write_bytes(f"{folder}/whole.bin", whole)


def _together(place: int, parts: Sequence[ColumnProfiles]) -> bytes:
    columns = {name: view for part in parts for name, view in part.columns[place].items()}
    return bytes(_dataset(columns, parts[0].times[place], {}).serialize())


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""What stands for a time where there is none: the bytes of a profile are to be the same each time."""


def split_periods(frame: pl.DataFrame, time: str, period: timedelta) -> Iterator[pl.DataFrame]:
    """``frame`` cut into periods, in order; one too small is joined with those after it, the last with the one before.

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
    whole: list[list[pl.DataFrame]] = [[]]
    for part in ordered:
        if sum(item.height for item in whole[-1]) >= smallest:
            whole.append([])
        whole[-1].append(part)
    if len(whole) > 1 and sum(item.height for item in whole[-1]) < smallest:
        stub = whole.pop()
        whole[-1] += stub
    yield from (pl.concat(items) for items in whole)


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
    if dtype.is_temporal():
        return _floats(_seconds(series))
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return _strings(series.cast(pl.String))
    return _view(_counts(series.len(), series.null_count()), _types(object=series.len() - series.null_count()))


def _floats(series: pl.Series) -> Any:
    nan = int(series.is_nan().sum() or 0)
    values = _valued(series).drop_nans() if nan else _valued(series)
    infinite = int(values.is_infinite().sum())
    counts = _counts(series.len(), series.null_count() + nan, nan=nan, inf=infinite)
    return _view(counts, _types(fractional=values.len()), _distribution(values), _cardinality(values))


def _valued(series: pl.Series) -> pl.Series:
    """Without a copy where no value is missing."""
    return series.drop_nulls() if series.null_count() else series


def _seconds(series: pl.Series) -> pl.Series:
    """Seconds since the epoch, since midnight for a time of day; a duration's own."""
    if series.dtype == pl.Date:
        return series.cast(pl.Float64) * 86_400.0
    units = {"ms": 1e3, "us": 1e6, "ns": 1e9}
    return series.to_physical().cast(pl.Float64) / units[getattr(series.dtype, "time_unit", "ns")]


def _integers(series: pl.Series) -> Any:
    values = _valued(series).cast(pl.Int64)
    return _view(
        _counts(series.len(), series.null_count()),
        _types(integral=values.len()),
        _distribution(values.cast(pl.Float64)),
        _ints(values),
        _cardinality(values),
        _frequent(values),
    )


def _boolean(series: pl.Series) -> Any:
    values = _valued(series)
    true = int(values.sum())
    return _view(
        _counts(series.len(), series.null_count(), true=true),
        _types(boolean=values.len()),
        _distribution(values.cast(pl.Float64)),
        _ints(values.head(0).cast(pl.Int64)),
        _cardinality(values.cast(pl.Int64)),
        _frequent(values.replace_strict({True: "True", False: "False"}, return_dtype=pl.String)),
    )


def _strings(series: pl.Series) -> Any:
    values = _valued(series)
    metrics = _whylogs().metrics
    return _view(
        _counts(series.len(), series.null_count()),
        _types(string=values.len()),
        metrics.DistributionMetric.zero(_whylogs().config),
        _cardinality(values),
        _frequent(values),
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
    array = values.to_numpy()
    metric.kll.value.update(array)
    finite = np.isfinite(array)
    array = array if finite.all() else array[finite]
    if len(array):
        with np.errstate(over="ignore"):
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


def _frequent(values: pl.Series) -> Any:
    metric = _whylogs().metrics.FrequentItemsMetric.zero(_whylogs().config)
    sketch = metric.frequent_strings.value
    shown = values.str.slice(0, ITEM_CHARACTERS) if values.dtype == pl.String else values
    items = shown.rename("item").value_counts()
    for item, count in items.sort("count", "item", descending=[True, False]).head(_ITEMS).iter_rows():
        sketch.update(str(item), count)
    return metric
