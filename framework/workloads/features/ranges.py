"""Which rows of an incremental view are computed anew: those from some event time on, where nothing is known to have
changed that is older."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from framework import storage
from framework.api.fields import parse_duration
from framework.ports import MaterializeRequest
from framework.sources.contents import Contents
from framework.storage import DamagedFileError
from framework.workloads.features import days, delta
from framework.workloads.features.days import Days
from framework.workloads.features.sources import asked_source, newest_of, reader_of

Inputs = Mapping[str, Mapping[str, Sequence[Any]]]
"""By source and file: its digest, and its newest event time in ISO 8601, None where it has none."""


@dataclass(frozen=True)
class Range:
    """Event times from ``since`` on are computed anew; older rows are kept as ``before`` has them."""

    since: datetime
    before: delta.PublishedVersion
    days: Days


def begin(asked: MaterializeRequest, before: delta.PublishedVersion | None, inputs: Inputs) -> Range | str:
    """The range, or why everything is computed: that is always right, and dear.

    Rows older than the watermark of the version before less ``lateness`` are kept. That is sound only where git asks
    for the same, where no file has changed that held nothing newer, and where views that are read have told from when
    on they changed.
    """
    if before is None:
        return "there is no version before"
    metadata = before.metadata
    if metadata.get("mode") != "incremental" or not metadata.get("watermark"):
        return f"version {before.version} is none that can be continued"
    if asked.previous is not None and asked.previous.uri == before.uri and asked.previous.version != before.version:
        return f"readers went back to version {asked.previous.version}"
    if metadata["identity"] != asked.identity:
        return "git asks for something else than in the version before"
    try:
        kept = storage.read_json(metadata["days_at"])
    except DamagedFileError:
        kept = None
    if kept is None:
        return f"what was noted of version {before.version} cannot be read"
    book = days.parse(kept)
    lateness = parse_duration(materialization_of(asked.spec).get("lateness") or "0s")
    since = datetime.fromisoformat(metadata["watermark"]) - lateness
    if changed := _old_data(book.inputs, inputs, since):
        return changed
    for view, read in asked.upstream.items():
        moved = _moved(view, metadata["upstream"].get(view), read.uri, read.version)
        if isinstance(moved, str):
            return moved
        since = min(since, moved - lateness if moved is not None else since)
    return Range(since, before, book)


def materialization_of(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """That part of a FeatureViewSpec as JSON by alias."""
    return spec.get("materialization") or {}


def inputs_of(asked: MaterializeRequest, before: Inputs, contents: Contents) -> dict[str, dict[str, list[Any]]]:
    """What the files of each source are now. Those that are as in ``before`` are not opened."""
    found: dict[str, dict[str, list[Any]]] = {}
    for name, source in asked.spec["sources"].items():
        one, files = asked_source(name, source, asked.root, named=asked.files), asked.files.get(name)
        if not reader_of(one).of_files:
            continue
        there = () if files is not None else contents.of(one.uri, storage.match_files(one.uri))
        digests = [file.digest for file in files] if files is not None else there
        column, found[name] = source.get("timestamp") or asked.spec["timestamp"], {}
        for file, digest in zip(one.files, digests, strict=True):
            known = before.get(name, {}).get(file.label)
            same = known is not None and known[0] == digest
            newest = known[1] if same and known is not None else newest_of(one, file, column)
            found[name][file.label] = [digest, newest]
    return found


def _old_data(before: Inputs, now: Inputs, since: datetime) -> str:
    """Which file has changed that held nothing from ``since`` on, or has no event time by which that could be told.
    One that is gone takes nothing away: what was made of it is kept."""
    for name in now:
        for label, (digest, newest) in now[name].items():
            known = before.get(name, {}).get(label)
            if known is None and (newest is not None or not before.get(name)):
                continue
            if known is None or (known[0] != digest and (known[1] is None or newest is None)):
                return (
                    f"{label} is new and has no event time"
                    if known is None
                    else f"{label} has changed and has no event time"
                )
            if known[0] != digest and datetime.fromisoformat(known[1]) < since:
                return f"{label} has changed, which held rows up to {known[1]} alone"
    return ""


def _moved(view: str, before: Mapping[str, Any] | None, uri: str, version: int) -> datetime | str | None:
    """From when on a view that is read has changed since: None where it has not; why that cannot be told."""
    if before is None or before["uri"] != uri:
        return f"the view {view} is another table than before"
    if before["version"] == version:
        return None
    between = [item for item in delta.published(uri) if before["version"] < item.version <= version]
    told = [item.metadata.get("since") for item in between]
    reaches = bool(between) and between[-1].metadata.get("previous") == before["version"]  # the log is looked through
    if before["version"] > version or not reaches or not all(told):
        return f"the view {view} was computed anew since"
    return min(datetime.fromisoformat(str(since)) for since in told)


# -- rows from some time on ------------------------------------------------------------------------------------------


def recent(sources: Mapping[str, pl.LazyFrame], spec: Mapping[str, Any], since: datetime) -> dict[str, pl.LazyFrame]:
    """The sources as far as the transform looks back; as a whole where nobody says how far that is."""
    lookback = materialization_of(spec).get("lookback")
    if lookback is None:
        return dict(sources)
    floor = since - parse_duration(lookback)
    return {
        name: from_time(rows, spec["sources"][name].get("timestamp") or spec["timestamp"], floor)
        for name, rows in sources.items()
    }


def from_time(rows: pl.LazyFrame, column: str, since: datetime, *, before: bool = False) -> pl.LazyFrame:
    """Rows of event times from ``since`` on, or ``before`` it; those without one are for others to refuse. All of them
    where there is no such column. The time is compared as it is stored, so that files are passed over by what they say
    of themselves."""
    dtype = rows.collect_schema().get(column)
    at = pl.col(column)
    if isinstance(dtype, pl.Datetime):
        unit, zone = dtype.time_unit, dtype.time_zone
        bound = pl.lit(since.replace(tzinfo=None), dtype=pl.Datetime("us"))
        bound = (bound.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else bound).dt.cast_time_unit(
            unit
        )
    elif dtype == pl.Date:
        bound = pl.lit((since + timedelta(days=1) - timedelta(microseconds=1)).date())
    else:
        return rows
    return rows.filter(at < bound if before else (at >= bound) | at.is_null())
