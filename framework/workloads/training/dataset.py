"""The training set: rows of a spine, and for each what other views knew at that moment and not a second later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from io import RawIOBase
from typing import Any

import polars as pl

from framework.api.fields import parse_duration
from framework.api.nearest import did_you_mean
from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.features import delta
from framework.workloads.training import labels
from framework.workloads.training.as_of import MOMENT, in_canonical_order, join_as_of, join_by_key


@dataclass(frozen=True)
class TrainingSet:
    """``frame`` holds every column of the spine and the joined features, in canonical order; the label as it stands
    there, but 0 or 1 (Int8) where it is binary.

    ``nullable`` are inputs that may be missing for any row because they were joined. ``dropped`` counts spine rows of
    the window without a label, or without one that is final. ``time`` is the spine's event time, if it has one.
    ``digest`` is the SHA-256 of the frame's Arrow bytes.
    """

    frame: pl.DataFrame
    inputs: tuple[str, ...]
    nullable: tuple[str, ...]
    label: str
    time: str | None
    dropped: int
    digest: str
    task: Task = Task.BINARY


def build(spec: Mapping[str, Any], views: Mapping[str, Mapping[str, Any]]) -> TrainingSet:
    """Assemble the training set from pinned table versions.

    Args:
        spec: the TrainingJob's ``dataset`` as JSON by alias.
        views: {uri, version, entities, timestamp, columns} by view name.

    Raises:
        WorkloadError: "MissingColumn", "WrongType", "AmbiguousColumn", "EmptyWindow", "WrongLabel", "NoInputs",
            "MaxAgeBelowDelay".
    """
    spine, label = views[spec["spine"]], spec["label"]
    moment = spine.get("timestamp")
    _need([label, *spec.get("columns", ())], [name for name, _ in spine["columns"]], f"FeatureView/{spec['spine']}")
    rows = _in_window(_read(spine), moment, label, spec.get("window")).collect()
    final = _final(rows, _read(spine), moment, spec.get("labelDelay"))
    labelled, task = labels.labelled(final, label, spec.get("task"))
    if labelled.is_empty():
        early = (
            f", of which {rows.height:,} are younger than {spec['labelDelay']}" if rows.height > final.height else ""
        )
        told = f"has no labelled row {_told(spec.get('window'))}{early}"
        raise WorkloadError("EmptyWindow", f"FeatureView/{spec['spine']} {told}")
    frame = in_canonical_order(labelled, keys_of(spine))
    inputs, joined = list(spec.get("columns", ())), []
    for feature in spec.get("features", ()):
        names = _feature_columns(feature, views[feature["view"]])
        frame = _join(frame, moment, feature, views[feature["view"]], names)
        joined += [_prefixed(feature, name) for name in names]
    inputs += joined
    if not inputs:
        raise WorkloadError(
            "NoInputs", "dataset.columns and dataset.features name no column, so there is nothing to learn from"
        )
    for role, name in (("label", label), ("query", spec.get("query"))):
        if name is not None and name in inputs:
            raise WorkloadError("LabelIsInput", f"the {role} {name!r} is also an input")
    _need([name for name in (spec.get("query"), spec.get("weight")) if name], frame.columns, "the training set")
    return TrainingSet(
        frame, tuple(inputs), tuple(joined), label, moment, rows.height - labelled.height, _digest(frame), task
    )


def _join(
    frame: pl.DataFrame, moment: str | None, feature: Mapping[str, Any], view: Mapping[str, Any], names: Sequence[str]
) -> pl.DataFrame:
    place = f"FeatureView/{feature['view']}"
    called = feature.get("keys") or {}
    keys = [called.get(name, name) for name in view["entities"]]
    _need(keys, frame.columns, "the spine", f", which {place} is joined by")
    taken = [name for name in (_prefixed(feature, name) for name in names) if name in frame.columns]
    if taken:
        raise WorkloadError(
            "AmbiguousColumn",
            f"{place} brings {', '.join(taken)}, which the training set has already; rename one of them",
        )
    for name, key in zip(view["entities"], keys, strict=True):
        here, there = frame.schema[key], dict(view["columns"])[name]
        if str(here.base_type()) != there:
            raise WorkloadError("WrongType", f"{key} is {here} in the spine and {there} in {place}")
    max_age = parse_duration(feature["maxAge"]) if feature.get("maxAge") else None
    delay = parse_duration(feature["delay"]) if feature.get("delay") else None
    if max_age is not None and delay is not None and max_age < delay:
        raise WorkloadError(
            "MaxAgeBelowDelay",
            f"{place}: rows become available after {feature['delay']} and expire after {feature['maxAge']}",
        )
    rows = _read(view)
    prefix = feature.get("prefix") or ""
    if not view.get("timestamp"):
        return join_by_key(frame, rows, by=view["entities"], keys=keys, columns=names, prefix=prefix)
    if moment is None:
        told = "has event times and the spine has none, so nobody can tell what was known"
        raise WorkloadError("NoEventTime", f"{place} {told}")
    return join_as_of(
        frame,
        rows,
        by=view["entities"],
        keys=keys,
        prefix=prefix,
        spine_time=moment,
        feature_time=view["timestamp"],
        columns=names,
        max_age=max_age,
        delay=delay,
        available=view.get("available"),
    )


def _feature_columns(feature: Mapping[str, Any], view: Mapping[str, Any]) -> list[str]:
    keys = _meant(view)
    names = [name for name, _ in view["columns"]]
    if feature.get("columns", "all") == "all":
        return [name for name in names if name not in keys]
    _need(feature["columns"], names, f"FeatureView/{feature['view']}")
    return list(feature["columns"])


def keys_of(view: Mapping[str, Any]) -> list[str]:
    """What names a row of a view: its event time, if it has one, and its entities."""
    return [*([view["timestamp"]] if view.get("timestamp") else []), *view["entities"]]


def _meant(view: Mapping[str, Any]) -> list[str]:
    """Columns that say which row is meant, and when it was: no values to learn from."""
    return [*keys_of(view), *([view["available"]] if view.get("available") else [])]


def _prefixed(feature: Mapping[str, Any], name: str) -> str:
    return f"{feature.get('prefix') or ''}{name}"


def _read(view: Mapping[str, Any]) -> pl.LazyFrame:
    return delta.read(view["uri"], int(view["version"]), [(name, word) for name, word in view["columns"]])


def _in_window(rows: pl.LazyFrame, moment: str | None, label: str, window: Mapping[str, Any] | None) -> pl.LazyFrame:
    if not window or moment is None:
        return rows
    at = pl.col(moment).cast(MOMENT)
    if window.get("last"):
        # The newest rows are those whose outcome is not known yet: counted from them, a window might hold nothing else.
        newest = rows.filter(pl.col(label).is_not_null()).select(at.max()).collect().item()
        until = pl.lit(newest, dtype=MOMENT)
        return rows.filter(at >= until - parse_duration(window["last"]), at <= until)
    return rows.filter(at >= midnight(window["from"]), at < midnight(window["to"]))


def _final(rows: pl.DataFrame, spine: pl.LazyFrame, moment: str | None, delay: str | None) -> pl.DataFrame:
    """Without rows so young, beside the newest of the spine, that their label may still change."""
    if not delay or moment is None:
        return rows
    at = pl.col(moment).cast(MOMENT)
    newest = pl.lit(spine.select(at.max()).collect().item(), dtype=MOMENT)
    return rows.filter(at <= newest - parse_duration(delay))


def extents(views: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was there to be read of each view: {rows, since, until}, the first and the last event time in ISO 8601; None
    of a view without any."""
    found = {}
    for name, view in views.items():
        at = pl.col(view["timestamp"]).cast(MOMENT) if view.get("timestamp") else pl.lit(None, dtype=MOMENT)
        told = _read(view).select(pl.len().alias("rows"), at.min().alias("since"), at.max().alias("until")).collect()
        row = told.row(0, named=True)
        found[name] = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}
    return found


def midnight(day: str | date) -> pl.Expr:
    """The first instant of a day in UTC."""
    value = date.fromisoformat(day) if isinstance(day, str) else day
    return pl.lit(datetime.combine(value, time())).dt.replace_time_zone("UTC").cast(MOMENT)


def _told(window: Mapping[str, Any] | None) -> str:
    if not window:
        return "at all"
    return f"in the last {window['last']}" if window.get("last") else f"in [{window['from']}, {window['to']})"


def _need(wanted: Sequence[str], there: Sequence[str], owner: str, reason: str = "") -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        told = ", ".join(f"{name!r}{did_you_mean(name, there)}" for name in missing)
        raise WorkloadError("MissingColumn", f"{owner} has no column {told}{reason} (it has {', '.join(there)})")


class _Digesting(RawIOBase):
    """A file that keeps nothing of what is written to it but its SHA-256."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return len(data)


def _digest(frame: pl.DataFrame) -> str:
    file: Any = _Digesting()
    frame.write_ipc(file, compression="uncompressed")
    found: str = file.sha256.hexdigest()
    return found
