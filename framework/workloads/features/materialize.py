"""The workload that publishes a version of a FeatureView: compute, stage, check, profile, publish."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from framework import checked
from framework.ports import CheckedRun, MaterializeRequest, file_list
from framework.sources.contents import Contents
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.features import delta, expectations
from framework.workloads.features.compared import compared
from framework.workloads.features.ranges import Range, begin, inputs_of
from framework.workloads.features.sources import trouble
from framework.workloads.features.staging import scratch
from framework.workloads.features.transform import declared
from framework.workloads.features.unchanged import ensure_unchanged
from framework.workloads.features.versions import Computed, Version
from framework.workloads.online import sync

_TOLD = {"view", "commit", "identity", "build", "cause", "source_digest", "upstream", "committed"}
"""What of the request the commit of the version repeats."""
_MOST_FILES = 1000
"""Of a source, whose names are kept with a version."""
_OF_ROWS = ("between", "notNull", "oneOf", "matches")
"""Expectations of single rows."""


def run(context: RunContext) -> Mapping[str, Any]:
    """Compute, check and publish; an attempt that finds its run's version already published only reports it.

    Returns:
        {uri, version, rows, columns, profile, expectations, source_digest, seconds}, and under ``online`` what
        ``sync.after_publishing`` says

    Raises:
        WorkloadError: "SourceChanged" where the sources did while they were read; see ``staged``,
            ``expectations.require`` and ``delta.publish``; whatever is raised, nothing was published.
    """
    started, asked = time.perf_counter(), MaterializeRequest.model_validate(context.payload)
    before = delta.current(asked.table)
    if before is not None and before.metadata.get("run") == context.name:
        _keep(before)
        return _result(context, asked, before, started)
    context.progress(None, "computing the rows")
    with scratch(context.scratch) as folder:
        published = _publish(context, asked, before, folder)
    return _result(context, asked, published, started)


def _publish(
    context: RunContext, asked: MaterializeRequest, before: delta.PublishedVersion | None, folder: Path
) -> delta.PublishedVersion:
    spec, now, contents = asked.spec, datetime.now(UTC), Contents()
    version = Version(asked, f"{asked.table}/_profiles/{context.name}", now)
    incremental = version.incremental
    inputs = inputs_of(asked, {}, contents) if incremental else {}
    begun = begin(asked, before, inputs) if incremental else ""
    extends = begun if isinstance(begun, Range) else None
    try:
        computed = version.computed(folder) if extends is None else version.extended(extends, folder)
    except WorkloadError:
        ensure_unchanged(asked)  # what went wrong with files that did is no mistake of anybody's
        raise
    ensure_unchanged(asked)
    context.progress(None, f"checking {computed.rows.height:,} rows")
    found = _checked(asked, computed, now)
    remarks = [] if found.rows else trouble(spec["sources"], asked.root, asked.files)
    results = (*found.findings, *expectations.emptiness(found.rows, spec, remarks))
    try:
        expectations.require(results)
    except WorkloadError:
        checked.write(asked.table, CheckedRun(run=context.name, at=now, rows=found.rows, results=results))
        raise
    context.progress(None, "profiling")
    named = version.entered(computed, extends, inputs) if incremental else version.named(computed)
    context.progress(None, "publishing")
    published = delta.publish(
        asked.table,
        computed.written(),
        declared(spec),
        {
            "run": context.name,
            **asked.model_dump(mode="json", include=_TOLD),
            "files": {name: file_list(files, _MOST_FILES).model_dump() for name, files in asked.files.items()},
            **named,
            **computed.told,
            **({"why": begun} if isinstance(begun, str) and begun else {}),
            "mode": "incremental" if incremental else "full",
            "newest": found.newest and found.newest.isoformat(),
            "watermark": None if computed.watermark is None else computed.watermark.isoformat(),
            "columns": declared(spec),
            "expectations": [result.model_dump(mode="json") for result in results],
            "checked": now.isoformat(),
        },
        computed.replaced,
    )
    _keep(published)
    return published


def _checked(asked: MaterializeRequest, computed: Computed, now: datetime) -> expectations.CheckedRows:
    """What concerns single rows is asked of those that are new: the others were asked before."""
    spec, compares = asked.spec, compared(asked)
    expected = spec.get("expectations") or ()
    new = computed.kept is not None and computed.rows.height > 0
    alone = [new and _of_rows(asks, spec.get("timestamp")) for asks in expected]
    others = [asks for asks, single in zip(expected, alone, strict=True) if not single]
    whole = expectations.check(computed.whole, {**spec, "expectations": others}, now, *compares)
    if not any(alone):
        return whole
    single = [asks for asks, own in zip(expected, alone, strict=True) if own]
    rows = expectations.check(computed.rows.lazy, {**spec, "expectations": single}, now, *compares)
    found = {True: iter(rows.findings), False: iter(whole.findings)}
    return expectations.CheckedRows(whole.rows, whole.newest, tuple(next(found[own]) for own in alone))


def _of_rows(asks: Mapping[str, Any], timestamp: str | None) -> bool:
    """Whether what holds for some rows and for others holds for all of them. A share does not, nor does what was let
    pass with a warning."""
    single = timestamp in (asks.get("unique") or ()) or any(asks.get(word) is not None for word in _OF_ROWS)
    return single and expectations.is_strict(asks)


def _keep(published: delta.PublishedVersion) -> None:
    """What came of its expectations, as a table beside it. An attempt that was cut off before is made up for."""
    metadata = published.metadata
    if "checked" not in metadata:  # a version from before that was kept
        return
    run = {"run": metadata["run"], "at": metadata["checked"], "rows": metadata["rows"], "version": published.version}
    checked.write(published.uri, CheckedRun(**run, results=metadata["expectations"]))


def _result(
    context: RunContext, asked: MaterializeRequest, published: delta.PublishedVersion, started: float
) -> dict[str, Any]:
    metadata, online = published.metadata, sync.after_publishing(context, asked, published.version)
    kept = ("rows", "columns", "profile", "expectations", "source_digest")
    return {
        "uri": published.uri,
        "version": published.version,
        **{key: metadata[key] for key in kept},
        **({"online": online} if online is not None else {}),
        "seconds": round(time.perf_counter() - started, 3),
    }
