"""The training set: rows of a spine, and for each what other views knew at that moment and not a second later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any

import polars as pl

from framework.api.fields import parse_duration
from framework.workloads.context import WorkloadError
from framework.workloads.features import delta
from framework.workloads.features.closest import suggestion

_MOMENT = pl.Datetime("us", "UTC")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Dataset:
    """``frame`` holds every column of the spine and the joined features, in canonical order; ``label`` is 0 or 1
    (Int8).

    ``nullable`` are inputs that may be missing for any row because they were joined. ``dropped`` counts spine rows of
    the window without a label. ``digest`` is the SHA-256 of the frame's Arrow bytes.
    """

    frame: pl.DataFrame
    inputs: tuple[str, ...]
    nullable: tuple[str, ...]
    label: str
    time: str
    dropped: int
    digest: str


def build(spec: Mapping[str, Any], views: Mapping[str, Mapping[str, Any]]) -> Dataset:
    """Assemble the training set from pinned table versions.

    Args:
        spec: the TrainingJob's ``dataset`` as JSON by alias.
        views: {uri, version, entities, timestamp, columns} by view name.

    Raises:
        WorkloadError: "MissingColumn", "WrongType", "AmbiguousColumn", "EmptyWindow", "NotBinary", "NoInputs",
            "MaxAgeBelowDelay".
    """
    spine = views[spec["spine"]]
    moment = spine["timestamp"]
    rows = _in_window(_read(spine), moment, spec["window"]).collect()
    _need([spec["label"], *spec.get("columns", ())], rows.columns, f"FeatureView/{spec['spine']}")
    labelled = _binary(rows, spec["label"])
    if labelled.is_empty():
        raise WorkloadError(
            "EmptyWindow", f"FeatureView/{spec['spine']} has no labelled row in {_told(spec['window'])}"
        )
    keys = [moment, *spine["entities"]]
    frame = labelled.sort([*keys, *(name for name in labelled.columns if name not in keys)])
    inputs, joined = list(spec.get("columns", ())), []
    for feature in spec.get("features", ()):
        names = _feature_columns(feature, views[feature["view"]])
        frame = _join(frame, moment, feature, views[feature["view"]], names)
        joined += names
    inputs += joined
    if not inputs:
        raise WorkloadError(
            "NoInputs", "dataset.columns and dataset.features name no column, so there is nothing to learn from"
        )
    if spec["label"] in inputs:
        raise WorkloadError("LabelIsInput", f"the label {spec['label']!r} is also an input")
    frame = frame.rechunk()
    return Dataset(
        frame, tuple(inputs), tuple(joined), spec["label"], moment, rows.height - labelled.height, _digest(frame)
    )


def join_as_of(
    spine: pl.DataFrame,
    features: pl.DataFrame,
    *,
    by: Sequence[str],
    spine_time: str,
    feature_time: str,
    columns: Sequence[str],
    max_age: timedelta | None = None,
    delay: timedelta | None = None,
) -> pl.DataFrame:
    """For each spine row the newest feature row of the same entity that was available at its event time; every spine
    row stays, in its order, with nulls where there is none.

    Which rows are available at event time ``t``:

    - without ``delay``: those with ``time < t``. A row of the very same instant may describe what is to be predicted,
      so it does not count.
    - with ``delay``: those with ``time + delay <= t``. The author has said when a row becomes available, so a row that
      becomes available at ``t`` counts; ``delay: 0s`` therefore admits the same instant.
    - a Date stands for its whole day as a feature (it is available when the day is over) and for its first instant as
      an event time.

    Rows older than ``max_age`` (``t - time > max_age``) do not count. Of several rows of one entity and instant, the
    one that is last when sorted by all columns wins (null sorts first), whatever order the table has.
    """
    right = _moments(features, feature_time, "__right", end_of_day=True).drop_nulls(["__right", *by])
    right = (
        right.select([*by, "__right", *columns])
        .sort([*by, "__right", *columns], nulls_last=False)
        .unique(subset=[*by, "__right"], keep="last", maintain_order=True)
        .sort("__right")
    )
    # Strictly before t, in microseconds, is at most t - 1us: one rule for both cases.
    offset = _MICROSECOND if delay is None else delay
    left = _moments(spine.with_row_index("__row"), spine_time, "__event", end_of_day=False)
    left = left.with_columns((pl.col("__event") - offset).alias("__left")).sort("__left")
    joined = left.join_asof(
        right,
        left_on="__left",
        right_on="__right",
        by=list(by),
        strategy="backward",
        tolerance=None if max_age is None else max(max_age - offset, timedelta(0)),
        check_sortedness=False,
        coalesce=False,
    )
    return joined.sort("__row").select([*spine.columns, *columns])


def _join(
    frame: pl.DataFrame, moment: str, feature: Mapping[str, Any], view: Mapping[str, Any], names: Sequence[str]
) -> pl.DataFrame:
    place = f"FeatureView/{feature['view']}"
    _need(view["entities"], frame.columns, "the spine", f", which {place} is joined by")
    taken = [name for name in names if name in frame.columns]
    if taken:
        raise WorkloadError(
            "AmbiguousColumn",
            f"{place} brings {', '.join(taken)}, which the training set has already; rename one of them",
        )
    for name in view["entities"]:
        here, there = frame.schema[name], dict(view["columns"])[name]
        if str(here.base_type()) != there:
            raise WorkloadError("WrongType", f"{name} is {here} in the spine and {there} in {place}")
    max_age = parse_duration(feature["maxAge"]) if feature.get("maxAge") else None
    delay = parse_duration(feature["delay"]) if feature.get("delay") else None
    if max_age is not None and delay is not None and max_age < delay:
        raise WorkloadError(
            "MaxAgeBelowDelay",
            f"{place}: rows become available after {feature['delay']} and expire after {feature['maxAge']}",
        )
    rows = _read(view).select([*view["entities"], view["timestamp"], *names]).collect()
    return join_as_of(
        frame,
        rows,
        by=view["entities"],
        spine_time=moment,
        feature_time=view["timestamp"],
        columns=names,
        max_age=max_age,
        delay=delay,
    )


def _feature_columns(feature: Mapping[str, Any], view: Mapping[str, Any]) -> list[str]:
    keys = {*view["entities"], view["timestamp"]}
    names = [name for name, _ in view["columns"]]
    if feature.get("columns", "all") == "all":
        return [name for name in names if name not in keys]
    _need(feature["columns"], names, f"FeatureView/{feature['view']}")
    return list(feature["columns"])


def _read(view: Mapping[str, Any]) -> pl.LazyFrame:
    return delta.read(view["uri"], int(view["version"]), [(name, word) for name, word in view["columns"]])


def _in_window(rows: pl.LazyFrame, moment: str, window: Mapping[str, Any]) -> pl.LazyFrame:
    at = pl.col(moment).cast(_MOMENT) if rows.collect_schema()[moment] == pl.Date else pl.col(moment)
    if window.get("last"):
        return rows.filter(at >= at.max() - parse_duration(window["last"]))
    return rows.filter(at >= midnight(window["from"]), at < midnight(window["to"]))


def midnight(day: str | date) -> pl.Expr:
    """The first instant of a day in UTC."""
    value = date.fromisoformat(day) if isinstance(day, str) else day
    return pl.lit(datetime.combine(value, time())).dt.replace_time_zone("UTC").cast(_MOMENT)


def _told(window: Mapping[str, Any]) -> str:
    return f"the last {window['last']}" if window.get("last") else f"[{window['from']}, {window['to']})"


def _moments(frame: pl.DataFrame, column: str, name: str, *, end_of_day: bool) -> pl.DataFrame:
    dtype = frame.schema[column]
    if dtype == pl.Date:
        shift = timedelta(days=1) - _MICROSECOND if end_of_day else timedelta(0)
        value = pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + shift
    elif isinstance(dtype, pl.Datetime):
        value = pl.col(column).cast(_MOMENT)
    else:
        raise WorkloadError("WrongType", f"the event time {column} is {dtype}; it must be Datetime or Date")
    return frame.with_columns(value.alias(name))


def _binary(rows: pl.DataFrame, label: str) -> pl.DataFrame:
    known = rows.drop_nulls([label])
    dtype = known.schema[label]
    if dtype != pl.Boolean and not (dtype.is_numeric() and ((known[label] == 0) | (known[label] == 1)).all()):
        raise WorkloadError(
            "NotBinary", f"the label {label} is {dtype}; it must be Boolean, or a number that is 0 or 1"
        )
    return known.with_columns(pl.col(label).cast(pl.Int8))


def _need(wanted: Sequence[str], there: Sequence[str], owner: str, reason: str = "") -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        told = ", ".join(f"{name!r}{suggestion(name, there)}" for name in missing)
        raise WorkloadError("MissingColumn", f"{owner} has no column {told}{reason} (it has {', '.join(there)})")


def _digest(frame: pl.DataFrame) -> str:
    buffer = BytesIO()
    frame.write_ipc(buffer, compression="uncompressed")
    return hashlib.sha256(buffer.getbuffer()).hexdigest()
