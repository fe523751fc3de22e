"""The workload that publishes a version of a FeatureView: compute, stage, check, profile, publish."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from framework.api.errors import TerminalError, TransientError
from framework.api.fields import parse_duration
from framework.ports import FailureKind, MaterializeRequest
from framework.sources.contents import Contents
from framework.sources.naming import source_digest
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.features import delta, expectations
from framework.workloads.features.ranges import Range, begin, inputs_of
from framework.workloads.features.sources import trouble
from framework.workloads.features.staging import scratch
from framework.workloads.features.transform import declared, times
from framework.workloads.features.versions import Computed, Version

_TOLD = {"view", "commit", "identity", "build", "cause", "source_digest", "upstream"}
"""What of the request the commit of the version repeats."""
_OF_ROWS = ("between", "notNull", "oneOf", "matches")
"""Expectations of single rows."""


def run(context: RunContext) -> Mapping[str, Any]:
    """Compute, check and publish; an attempt that finds its run's version already published only reports it.

    Returns:
        {uri, version, rows, columns, profile, expectations, source_digest, seconds}

    Raises:
        WorkloadError: "SourceChanged" where the sources did while they were read; see ``staged``,
            ``expectations.require`` and ``delta.publish``; whatever is raised, nothing was published.
    """
    started, asked = time.perf_counter(), MaterializeRequest.model_validate(context.payload)
    before = delta.current(asked.table)
    if before is not None and before.metadata.get("run") == context.name:
        return _result(before, started)
    context.progress(None, "computing the rows")
    with scratch(context.scratch) as folder:
        return _result(_publish(context, asked, before, folder), started)


def _publish(
    context: RunContext, asked: MaterializeRequest, before: delta.PublishedVersion | None, folder: Path
) -> delta.PublishedVersion:
    spec, now, contents = asked.spec, datetime.now(UTC), Contents()
    version = Version(asked, f"{asked.table}/_profiles/{context.name}", now)
    incremental = version.incremental
    inputs = inputs_of(asked, {}, contents) if incremental else {}
    found = begin(asked, before, inputs) if incremental else ""
    extends = found if isinstance(found, Range) else None
    computed = version.computed(folder) if extends is None else version.extended(extends, folder)
    _ensure_read(asked, contents)
    context.progress(None, f"checking {computed.rows.height:,} rows")
    findings = _checked(asked, computed, now)
    context.progress(None, "profiling")
    named = version.entered(computed, extends, inputs) if incremental else version.named(computed)
    context.progress(None, "publishing")
    return delta.publish(
        asked.table,
        computed.written(),
        declared(spec),
        {
            "run": context.name,
            **asked.model_dump(mode="json", include=_TOLD),
            **named,
            **computed.told,
            **({"why": found} if isinstance(found, str) and found else {}),
            "mode": "incremental" if incremental else "full",
            "newest": _newest(computed, spec, now),
            "watermark": None if computed.watermark is None else computed.watermark.isoformat(),
            "columns": declared(spec),
            "expectations": [finding.as_json() for finding in findings],
        },
        computed.replaced,
    )


def _checked(asked: MaterializeRequest, computed: Computed, now: datetime) -> list[expectations.ExpectationResult]:
    """What concerns single rows is asked of those that are new: the others were asked before."""
    expected = [*asked.spec.get("expectations", ()), *expectations.of_keys(asked.spec)]
    timestamp = asked.spec.get("timestamp")
    new = computed.kept is not None and computed.rows.height > 0
    alone = [new and _of_rows(asks, timestamp) for asks in expected]
    found = {
        own: iter(expectations.check(rows.collect(), asks, timestamp, now))
        for own, rows in ((True, computed.rows.lazy), (False, computed.whole))
        if (asks := [one for one, single in zip(expected, alone, strict=True) if single == own])
    }
    findings = [next(found[own]) for own in alone]
    some = computed.whole.head(1).collect()
    remarks = trouble(asked.spec["sources"], asked.root) if some.is_empty() else []
    expectations.require([*findings, *expectations.emptiness(some, expected, remarks)])
    return findings


def _of_rows(asks: Mapping[str, Any], timestamp: str | None) -> bool:
    """Whether what holds for some rows and for others holds for all of them."""
    return timestamp in (asks.get("unique") or ()) or any(asks.get(word) is not None for word in _OF_ROWS)


def _ensure_read(asked: MaterializeRequest, contents: Contents) -> None:
    """A version is found again by what it was made of, so that has to be what the sources held.

    Raises:
        WorkloadError: "SourceChanged" (Infrastructure: the next attempt may find them at rest).
    """
    if not asked.source_digest:
        return
    try:
        same = source_digest(asked.spec["sources"], asked.root, contents) == asked.source_digest
    except (TerminalError, TransientError):
        same = False
    if not same:
        told = "the sources have changed since it was decided to read them"
        raise WorkloadError("SourceChanged", told, kind=FailureKind.INFRASTRUCTURE)


def _newest(computed: Computed, spec: Mapping[str, Any], now: datetime) -> str | None:
    """The newest event time, of those that are not too far ahead of the clock to mean anything."""
    if not times(spec):
        return None
    ages = [parse_duration(asked["freshness"]) for asked in spec.get("expectations", ()) if asked.get("freshness")]
    at = pl.col(spec["timestamp"]).cast(pl.Datetime("us", "UTC"))
    for rows in (computed.rows.lazy, computed.whole):  # those that stay are older than any that are new
        newest = (rows.filter(at <= now + min(ages)) if ages else rows).select(at.max()).collect().item()
        if newest is not None:
            return str(newest.isoformat())
    return None


def _result(published: delta.PublishedVersion, started: float) -> dict[str, Any]:
    metadata = published.metadata
    kept = ("rows", "columns", "profile", "expectations", "source_digest")
    return {
        "uri": published.uri,
        "version": published.version,
        **{key: metadata[key] for key in kept},
        "seconds": round(time.perf_counter() - started, 3),
    }
