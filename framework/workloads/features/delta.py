"""A version of a feature table: published whole in one Delta commit, or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from framework import storage
from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.features.dtypes import Columns, from_stored, to_stored

METADATA_KEY = "mlops"
"""One key of the commit's metadata holds everything of ours, as JSON text, so that no name can clash with Delta's."""


@dataclass(frozen=True)
class PublishedVersion:
    """One version of a table and what its commit says about it."""

    uri: str
    version: int
    metadata: Mapping[str, Any]


def current(uri: str) -> PublishedVersion | None:
    """The newest version at ``uri``, None where no table is."""
    try:
        table = DeltaTable(uri)
    except TableNotFoundError:
        return None
    (last,) = table.history(1)
    metadata = storage.unsealed(json.loads(last.get(METADATA_KEY) or "{}"), f"the log of {uri}")
    return PublishedVersion(uri, table.version(), metadata)


def publish(uri: str, frame: pl.DataFrame, columns: Columns, metadata: Mapping[str, Any]) -> PublishedVersion:
    """Replace rows and schema in one commit. Readers see the old version until it is there, and can still pin it later.

    Raises:
        WorkloadError: "PublishConflict" (Infrastructure) when another run committed to the same table meanwhile.
    """
    properties = CommitProperties(custom_metadata={METADATA_KEY: json.dumps(storage.sealed(metadata), sort_keys=True)})
    try:
        write_deltalake(
            uri,
            to_stored(frame, columns),
            mode="overwrite",
            schema_mode="overwrite",
            commit_properties=properties,
        )
    except CommitFailedError as error:
        raise WorkloadError(
            "PublishConflict", f"another run wrote {uri}: {error}", kind=FailureKind.INFRASTRUCTURE
        ) from error
    published = current(uri)
    assert published is not None
    return published


def read(uri: str, version: int, columns: Columns) -> pl.LazyFrame:
    """The rows of one pinned version at their declared dtypes."""
    return from_stored(pl.scan_delta(uri, version=version), columns)
