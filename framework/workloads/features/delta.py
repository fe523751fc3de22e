"""A version of a feature table: published whole in one Delta commit, or not at all."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import polars.selectors as cs
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from framework import storage
from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.features.dtypes import Columns, from_stored, to_stored
from framework.workloads.features.staging import enough_room

METADATA_KEY = "mlops"
"""One key of the commit's metadata holds everything of ours, as JSON text, so that no name can clash with Delta's."""

_LOOKED_THROUGH = 100
"""Commits, among which those are that published something."""
_GROUP = 1 << 17
"""Rows that are written together."""


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
    table = _table(uri)
    for commit in table.history(_LOOKED_THROUGH) if table is not None else ():
        if commit.get(METADATA_KEY):
            metadata = storage.unsealed(json.loads(commit[METADATA_KEY]), f"the log of {uri}")
            yield PublishedVersion(uri, int(commit["version"]), metadata)


def publish(
    uri: str,
    batches: Iterable[pl.DataFrame],
    columns: Columns,
    metadata: Mapping[str, Any],
    replaced: Sequence[DataFile] | None = None,
) -> PublishedVersion:
    """Replace rows and schema in one commit, with rows that come in batches: a file each, in their order. Readers see
    the old version until it is there, and can still pin it later.

    Delta's own writer hands batches that come as a stream to several threads, and files would then lie in any order.

    Args:
        replaced: files of the newest version, which alone are taken out, and the schema stays; None: all, and both.

    Raises:
        WorkloadError: "PublishConflict" (Infrastructure) when another run committed to the same table meanwhile; what
            ``to_stored`` raises; "DiskFull".
    """
    text = json.dumps(storage.sealed(metadata), sort_keys=True)
    table = _table(uri)  # as it is now: what is committed to it meanwhile is a conflict
    with enough_room():
        written, schema = _written(uri, batches, columns)
        try:
            _commit(uri, table, written, schema, replaced, CommitProperties(custom_metadata={METADATA_KEY: text}))
        except (CommitFailedError, _BegunError) as error:
            told = f"another run wrote {uri}: {error}"
            raise WorkloadError("PublishConflict", told, kind=FailureKind.INFRASTRUCTURE) from error
    made = current(uri)
    assert made is not None
    return made


class _BegunError(Exception):
    """Somebody else has begun the table meanwhile."""


def _table(uri: str) -> DeltaTable | None:
    try:
        return DeltaTable(uri)
    except TableNotFoundError:
        return None


def _commit(
    uri: str,
    table: DeltaTable | None,
    written: Sequence[AddAction],
    schema: Schema,
    replaced: Sequence[DataFile] | None,
    properties: CommitProperties,
) -> None:
    if table is None:
        try:
            create_table_with_add_actions(uri, schema, list(written), commit_properties=properties)
        except DeltaError as error:
            if _table(uri) is None:
                raise
            raise _BegunError(str(error)) from error
        return
    out = [RemoveAction(file.path, True, _milliseconds(), file.size, {}) for file in replaced or ()]
    table.create_write_transaction(
        [*written, *out],
        "overwrite" if replaced is None else "append",
        schema,
        commit_properties=properties,
        post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
    )


def _written(uri: str, batches: Iterable[pl.DataFrame], columns: Columns) -> tuple[list[AddAction], Schema]:
    """A file for each batch that has rows."""
    found: list[AddAction] = []
    for batch in batches:
        stored, data = to_stored(batch, columns), io.BytesIO()
        schema = Schema.from_arrow(stored.clear().to_arrow(compat_level=pl.CompatLevel.oldest()).schema)
        if not stored.height:
            continue
        stored.write_parquet(data, compression="snappy", row_group_size=_GROUP)
        path = f"part-{len(found):05}-{uuid.uuid4()}.parquet"
        storage.write_bytes(f"{uri}/{path}", data.getvalue())
        stats = json.dumps(_stats(stored))
        found.append(AddAction(path, data.tell(), {}, _milliseconds(), True, stats))
    return found, schema


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


def _stats(rows: pl.DataFrame) -> dict[str, Any]:
    """What lets a reader pass over a file, in the words of Delta's protocol."""
    known = rows.select(cs.integer() | cs.temporal())
    lowest, highest = ({name: _stat(one) for name, one in some.row(0, named=True).items() if one is not None}
                       for some in (known.min(), known.max()))  # fmt: skip
    nulls = rows.null_count().row(0, named=True)
    return {"numRecords": rows.height, "minValues": lowest, "maxValues": highest, "nullCount": nulls}


def _stat(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value


@dataclass(frozen=True)
class DataFile:
    """A file of a version, by its path below the table, with its size in bytes."""

    path: str
    size: int

    def rows(self, uri: str, columns: Columns) -> pl.LazyFrame:
        """At their declared dtypes."""
        return from_stored(pl.scan_parquet(f"{uri}/{self.path}", glob=False), columns)


def overlapping(version: PublishedVersion, column: str, since: datetime, low: date | None) -> list[DataFile]:
    """Files that may hold event times from ``since`` on, or of days before ``low``, in the order of time."""
    actions = pl.DataFrame(DeltaTable(version.uri, version=version.version).get_add_actions(flatten=True))
    first, last = (
        pl.col(name).cast(pl.Datetime("us", "UTC"))
        if name in actions.columns
        else pl.lit(None, pl.Datetime("us", "UTC"))
        for name in (f"min.{column}", f"max.{column}")
    )
    inside = (last >= since) | last.is_null()
    if low is not None:
        inside |= (first.dt.date() < low) | first.is_null()
    found = (
        actions.select("path", "size_bytes", first.alias("first"), inside.alias("inside"))
        .filter("inside")
        .sort("first")
    )
    return [DataFile(path, size) for path, size in found.select("path", "size_bytes").iter_rows()]


def read(uri: str, version: int, columns: Columns) -> pl.LazyFrame:
    """The rows of one pinned version at their declared dtypes."""
    return from_stored(pl.scan_delta(uri, version=version), columns)
