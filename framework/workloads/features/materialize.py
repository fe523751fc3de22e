"""The workload that publishes a version of a FeatureView: compute, stage, check, profile, publish."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from framework import storage
from framework.api.errors import TerminalError, TransientError
from framework.api.fields import parse_duration
from framework.ports import FailureKind, MaterializeRequest
from framework.sources.contents import Contents
from framework.sources.naming import source_digest
from framework.workloads import profiling
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.features import delta, expectations
from framework.workloads.features.digests import Digests
from framework.workloads.features.sources import trouble
from framework.workloads.features.staging import Rows, scratch
from framework.workloads.features.transform import declared, keys_of, staged, times

_TOLD = {"view", "commit", "identity", "build", "cause", "source_digest", "upstream"}
"""What of the request the commit of the version repeats."""


def run(context: RunContext) -> Mapping[str, Any]:
    """Compute, check and publish; an attempt that finds its run's version already published only reports it.

    Returns:
        {uri, version, rows, columns, profile, expectations, source_digest, seconds}

    Raises:
        WorkloadError: "SourceChanged" where the sources did while they were read; see ``staged``,
            ``expectations.require`` and ``delta.publish``; whatever is raised, nothing was published.
    """
    started, asked = time.perf_counter(), MaterializeRequest.model_validate(context.payload)
    spec, table, upstream = asked.spec, asked.table, {name: dict(read) for name, read in asked.upstream.items()}
    before = delta.current(table)
    if before is not None and before.metadata.get("run") == context.name:
        return _result(before, started)
    context.progress(None, "computing the rows")
    with scratch(context.scratch) as folder:
        return _result(_publish(context, asked, staged(spec, asked.root, upstream, folder)), started)


def _publish(context: RunContext, asked: MaterializeRequest, rows: Rows) -> delta.PublishedVersion:
    spec, table = asked.spec, asked.table
    _ensure_read(asked)
    context.progress(None, f"checking {rows.height:,} rows")
    now = datetime.now(UTC)
    findings = _checked(asked, rows, now)
    context.progress(None, "profiling")
    values, profile = Digests(), f"{table}/_profiles/{context.name}.bin"
    view = profiling.profile_batches(_profiled(values, rows, spec), now)
    storage.write_bytes(profile, bytes(view.serialize()))
    context.progress(None, "publishing")
    return delta.publish(
        table,
        rows.batches(),
        declared(spec),
        {
            "run": context.name,
            **asked.model_dump(mode="json", include=_TOLD),
            "digests": values.values(),
            "rows": rows.height,
            "newest": _newest(rows, spec, now),
            "columns": declared(spec),
            "profile": profile,
            "expectations": [finding.as_json() for finding in findings],
        },
    )


def _checked(asked: MaterializeRequest, rows: Rows, now: datetime) -> list[expectations.ExpectationResult]:
    expected = [*asked.spec.get("expectations", ()), *expectations.of_keys(asked.spec)]
    timestamp = asked.spec.get("timestamp")
    frame = rows.lazy.collect() if expected else rows.lazy.head(1).collect()
    findings = expectations.check(frame, expected, timestamp, now)
    remarks = [] if rows.height else trouble(asked.spec["sources"], asked.root)
    expectations.require([*findings, *expectations.emptiness(frame, expected, remarks)])
    return findings


def _ensure_read(asked: MaterializeRequest) -> None:
    """A version is found again by what it was made of, so that has to be what the sources held.

    Raises:
        WorkloadError: "SourceChanged" (Infrastructure: the next attempt may find them at rest).
    """
    if not asked.source_digest:
        return
    try:
        same = source_digest(asked.spec["sources"], asked.root, Contents()) == asked.source_digest
    except (TerminalError, TransientError):
        same = False
    if not same:
        told = "the sources have changed since it was decided to read them"
        raise WorkloadError("SourceChanged", told, kind=FailureKind.INFRASTRUCTURE)


def _newest(rows: Rows, spec: Mapping[str, Any], now: datetime) -> str | None:
    """The newest event time, of those that are not too far ahead of the clock to mean anything."""
    if not times(spec):
        return None
    ages = [parse_duration(asked["freshness"]) for asked in spec.get("expectations", ()) if asked.get("freshness")]
    at = pl.col(spec["timestamp"]).cast(pl.Datetime("us", "UTC"))
    counted = rows.lazy.filter(at <= now + min(ages)) if ages else rows.lazy
    newest = counted.select(at.max()).collect().item()
    return None if newest is None else newest.isoformat()


def _profiled(values: Digests, rows: Rows, spec: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
    """The batches, named in passing. Keys and event time are left out: a distribution of identifiers says nothing about
    the features."""
    for batch in rows.batches():
        values.update(batch)
        yield batch.drop(keys_of(spec))


def _result(published: delta.PublishedVersion, started: float) -> dict[str, Any]:
    metadata = published.metadata
    kept = ("rows", "columns", "profile", "expectations", "source_digest")
    return {
        "uri": published.uri,
        "version": published.version,
        **{key: metadata[key] for key in kept},
        "seconds": round(time.perf_counter() - started, 3),
    }
