"""The workload that publishes a version of a FeatureView.

``mode: incremental`` gives the same table as ``full`` and costs the same: every version is computed from all rows of
its sources, because a transform over past rows (a rolling mean) cannot be trusted to be computable from new rows alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from framework import checked, storage
from framework.api.errors import TerminalError, TransientError
from framework.ports import CheckedRun, FailureKind, MaterializeRequest
from framework.sources.contents import Contents
from framework.sources.naming import source_digest
from framework.workloads import profiling
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.features import delta, expectations
from framework.workloads.features.compared import compared
from framework.workloads.features.digests import digests
from framework.workloads.features.sources import trouble
from framework.workloads.features.transform import compute, declared, times


def run(context: RunContext) -> Mapping[str, Any]:
    """Compute, check and publish; an attempt that finds its run's version already published only reports it.

    Returns:
        {uri, version, rows, columns, profile, expectations, source_digest, seconds}

    Raises:
        WorkloadError: "SourceChanged" where the sources did while they were read; see ``compute`` and
            ``expectations.require``; whatever is raised, nothing was published.
    """
    started, asked = time.perf_counter(), MaterializeRequest.model_validate(context.payload)
    spec, table, upstream = asked.spec, asked.table, {name: dict(read) for name, read in asked.upstream.items()}
    before = delta.current(table)
    if before is not None and before.metadata.get("run") == context.name:
        _keep(before)
        return _result(before, started)
    context.progress(None, "reading the sources")
    frame = compute(spec, asked.root, upstream)
    _ensure_read(asked)
    context.progress(None, f"checking {frame.height:,} rows")
    now = datetime.now(UTC)
    found = expectations.check(frame.lazy(), spec, now, *compared(asked))
    remarks = trouble(spec["sources"], asked.root) if not found.rows else []
    results = (*found.findings, *expectations.emptiness(found.rows, spec, remarks))
    try:
        expectations.require(results)
    except WorkloadError:
        checked.write(table, CheckedRun(run=context.name, at=now, rows=found.rows, results=results))
        raise
    context.progress(None, "profiling")
    profile = f"{table}/_profiles/{context.name}.bin"
    storage.write_bytes(profile, profiling.profile_bytes(_profiled(frame, spec), now))
    context.progress(None, "publishing")
    published = delta.publish(
        table,
        frame,
        declared(spec),
        {
            "run": context.name,
            **asked.model_dump(mode="json", include={"view", "commit", "identity", "build", "cause", "source_digest"}),
            "upstream": upstream,
            "digests": digests(frame),
            "rows": found.rows,
            "newest": found.newest and found.newest.isoformat(),
            "columns": declared(spec),
            "profile": profile,
            "expectations": [result.model_dump(mode="json") for result in results],
            "checked": now.isoformat(),
        },
    )
    _keep(published)
    return _result(published, started)


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


def _keep(published: delta.PublishedVersion) -> None:
    """What came of its expectations, as a table beside it. An attempt that was cut off before is made up for."""
    metadata = published.metadata
    if "checked" not in metadata:  # a version from before that was kept
        return
    run = {"run": metadata["run"], "at": metadata["checked"], "rows": metadata["rows"], "version": published.version}
    checked.write(published.uri, CheckedRun(**run, results=metadata["expectations"]))


def _profiled(frame: pl.DataFrame, spec: Mapping[str, Any]) -> pl.DataFrame:
    """Keys and event time are left out: a distribution of identifiers says nothing about the features."""
    keys = {*times(spec), *spec["entities"]}
    return frame.select(name for name in frame.columns if name not in keys)


def _result(published: delta.PublishedVersion, started: float) -> dict[str, Any]:
    metadata = published.metadata
    kept = ("rows", "columns", "profile", "expectations", "source_digest")
    return {
        "uri": published.uri,
        "version": published.version,
        **{key: metadata[key] for key in kept},
        "seconds": round(time.perf_counter() - started, 3),
    }
