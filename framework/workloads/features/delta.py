"""A version of a feature table: published whole in one Delta commit, or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from framework import storage
from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.features.dtypes import Columns, from_stored, to_stored
from framework.workloads.features.staging import BATCH, enough_room

METADATA_KEY = "mlops"
"""One key of the commit's metadata holds everything of ours, as JSON text, so that no name can clash with Delta's."""

_LOOKED_THROUGH = 100
"""Commits, among which those are that published something."""
_GROUP = 1 << 17
"""Rows that are written together where files are small."""
_RECORDS = 1 << 16
"""Rows that Delta is handed at a time."""


@dataclass(frozen=True)
class PublishedVersion:
    """One version of a table and what its commit says about it."""

    uri: str
    version: int
    metadata: Mapping[str, Any]


def current(uri: str) -> PublishedVersion | None:
    """The newest version at ``uri`` that was published, None where none was. What others do to a table, such as to
    compact it, is no version of ours."""
    return next(published(uri), None)


def published(uri: str) -> Iterator[PublishedVersion]:
    """The versions among the newest commits, newest first."""
    try:
        table = DeltaTable(uri)
    except TableNotFoundError:
        return
    for back, commit in enumerate(table.history(_LOOKED_THROUGH)):
        if commit.get(METADATA_KEY):
            metadata = storage.unsealed(json.loads(commit[METADATA_KEY]), f"the log of {uri}")
            yield PublishedVersion(uri, table.version() - back, metadata)


def publish(
    uri: str,
    batches: Iterable[pl.DataFrame],
    columns: Columns,
    metadata: Mapping[str, Any],
    replaced: str | None = None,
    file_size: int | None = None,
) -> PublishedVersion:
    """Replace rows and schema in one commit, with rows that come in batches. Readers see the old version until it is
    there, and can still pin it later.

    Args:
        replaced: a condition in Delta's SQL: only rows that meet it are replaced, and the schema stays.
        file_size: in bytes, about; None: as Delta does.

    Raises:
        WorkloadError: "PublishConflict" (Infrastructure) when another run committed to the same table meanwhile; what
            ``to_stored`` raises; "DiskFull".
    """
    text = json.dumps(storage.sealed(metadata), sort_keys=True)
    stream = _Stream(iter(batches), columns)
    with enough_room():
        try:
            write_deltalake(
                uri,
                stream.reader(),
                mode="overwrite",
                schema_mode="overwrite" if replaced is None else None,
                predicate=replaced,
                writer_properties=WriterProperties(max_row_group_size=BATCH if file_size is None else _GROUP),
                target_file_size=file_size,
                commit_properties=CommitProperties(custom_metadata={METADATA_KEY: text}),
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )
        except CommitFailedError as error:
            told = f"another run wrote {uri}: {error}"
            raise WorkloadError("PublishConflict", told, kind=FailureKind.INFRASTRUCTURE) from error
        except Exception:
            if stream.failure is not None:
                raise stream.failure from None
            raise
    made = current(uri)
    assert made is not None
    return made


class _Stream:
    """Batches as Arrow has them. What goes wrong with one comes back from Delta as text, so it is kept."""

    def __init__(self, batches: Iterator[pl.DataFrame], columns: Columns) -> None:
        self._batches, self._columns = batches, columns
        self.failure: Exception | None = None

    def reader(self) -> pa.RecordBatchReader:
        first = self._arrow(next(self._batches))
        return pa.RecordBatchReader.from_batches(first.schema, self._records(first))

    def _records(self, first: pa.Table) -> Iterator[pa.RecordBatch]:
        try:
            yield from first.to_batches(max_chunksize=_RECORDS)
            for batch in self._batches:
                yield from self._arrow(batch).to_batches(max_chunksize=_RECORDS)
        except Exception as error:
            self.failure = error
            raise

    def _arrow(self, batch: pl.DataFrame) -> pa.Table:
        return to_stored(batch, self._columns).to_arrow(compat_level=pl.CompatLevel.oldest())


def read(uri: str, version: int, columns: Columns) -> pl.LazyFrame:
    """The rows of one pinned version at their declared dtypes."""
    return from_stored(pl.scan_delta(uri, version=version), columns)
