"""What expectations compare the rows of a view with: the version that readers have, and other views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from deltalake.exceptions import DeltaError, TableNotFoundError

from framework.ports import FailureKind, MaterializeRequest, ReadView
from framework.workloads.context import WorkloadError
from framework.workloads.features import delta
from framework.workloads.features.checks.measure import PreviousVersion

_WITH_BEFORE = ("rowsChange", "drift")
"""Checks that compare with the version that readers have."""


def compared(asked: MaterializeRequest) -> tuple[PreviousVersion | None, Mapping[str, pl.LazyFrame]]:
    """The version that readers have, None where there is none or none is asked for, and the rows of each view that an
    expectation names, at the versions that the request pins.

    Raises:
        WorkloadError: "UpstreamMissing" for a view that is not published; "UpstreamUnreadable" (Infrastructure).
    """
    expectations = asked.spec.get("expectations") or ()
    named = {item["references"]["view"] for item in expectations if item.get("references")}
    return _previous(asked.previous, expectations), {view: _view(asked, view) for view in sorted(named)}


def _previous(before: ReadView | None, expectations: Sequence[Mapping[str, Any]]) -> PreviousVersion | None:
    if before is None or not any(item.get(word) for item in expectations for word in _WITH_BEFORE):
        return None
    try:
        rows = delta.read(before.uri, before.version, before.columns)
        rows.collect_schema()
        count = before.rows if before.rows is not None else rows.select(pl.len()).collect().item()
    except (TableNotFoundError, FileNotFoundError):  # somebody dropped it, so readers have nothing
        return None
    except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(f"version {before.version}, with which expectations compare,", error) from error
    return PreviousVersion(before.version, count, rows)


def _view(asked: MaterializeRequest, view: str) -> pl.LazyFrame:
    pinned = asked.upstream.get(view)
    if pinned is None:
        raise WorkloadError("UpstreamMissing", f"expectations name FeatureView/{view}, which is not published")
    try:
        return pl.scan_delta(pinned.uri, version=pinned.version)
    except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(f"version {pinned.version} of FeatureView/{view}", error) from error


def _unreadable(what: str, error: Exception) -> WorkloadError:
    return WorkloadError("UpstreamUnreadable", f"{what} cannot be read: {error}", kind=FailureKind.INFRASTRUCTURE)
