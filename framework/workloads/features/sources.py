"""Where a FeatureView's rows come from: every source as a lazy Polars frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from framework.workloads.features.contract import renamed, told_dtypes
from framework.workloads.features.readers.arrow import ArrowReader
from framework.workloads.features.readers.csv import CsvReader
from framework.workloads.features.readers.delta import DeltaReader
from framework.workloads.features.readers.files import NO_FILES, File, Files, find
from framework.workloads.features.readers.function import FunctionReader
from framework.workloads.features.readers.ndjson import NdjsonReader
from framework.workloads.features.readers.parquet import ParquetReader
from framework.workloads.features.readers.reader import AskedSource, Reader, shown
from framework.workloads.features.readers.sql import SqlReader
from framework.workloads.features.readers.view import ViewReader

READERS: Mapping[str, Reader] = {
    "csv": CsvReader(),
    "parquet": ParquetReader(),
    "ndjson": NdjsonReader(),
    "arrow": ArrowReader(),
    "delta": DeltaReader(),
    "featureView": ViewReader(),
    "function": FunctionReader(),
    "sql": SqlReader(),
}
"""By the format of a path, or by the field that says where else rows come from. Adding one: a file in ``readers/`` and
a line here; what a spec may say of a format of files stands in ``framework/api/sources.py``."""

Sources = Mapping[str, Mapping[str, Any]]
"""The ``sources`` of a spec (JSON by alias)."""


def reader_of(source: AskedSource) -> Reader:
    asked = source.asked
    word: str = asked["format"] if asked.get("path") else next(word for word in READERS if asked.get(word))
    return READERS[word]


def read_sources(
    sources: Sources, root: str, upstream: Sources, declared: Mapping[str, str] | None = None, files: Files = NO_FILES
) -> dict[str, pl.LazyFrame]:
    """One LazyFrame per source of the spec, in the order of the spec: of the ``files`` that are named, or of those that
    are there where nobody named them.

    ``upstream`` pins the published version {uri, version} of every FeatureView that is read. ``declared`` are the
    dtypes of the view's own columns: a column of that name without any value in a CSV file takes it.

    Raises:
        WorkloadError: "SourceMissing", "UnknownOption", "UpstreamMissing", "SourceUnreadable",
            "MissingColumn", "SchemaChanged", "PathOutsideRoot"; what ``call`` raises.
        TerminalError, TransientError: of a database, as ``databases.asked`` does.
    """
    asked = {name: asked_source(name, source, root, upstream, declared, files) for name, source in sources.items()}
    return {name: renamed(source, reader_of(source).scan(source)) for name, source in asked.items()}


def asked_source(
    name: str,
    source: Mapping[str, Any],
    root: str,
    upstream: Sources | None = None,
    declared: Mapping[str, str] | None = None,
    named: Files = NO_FILES,
) -> AskedSource:
    """A source of a spec with the files that are ``named`` for it, or those that its path stands for.

    Raises:
        WorkloadError: "PathOutsideRoot".
    """
    uri, files, version = "", list[File](), None
    if source.get("path") and name not in named:
        uri, files = find(name, source["path"], root)
    elif source.get("path") and source["format"] == "delta":
        (table,) = named[name]
        uri, version = table.uri, int(table.digest.split(":")[1])
    elif source.get("path"):
        files = [File(item.label, item.uri) for item in named[name]]
    asked = AskedSource(name, source, root, uri, files, declared or {}, upstream or {}, version)
    return replace(asked, declared=told_dtypes(asked))


def newest_of(source: AskedSource, file: File, column: str) -> str | None:
    """The newest event time in one of its files, in ISO 8601; None where it has no such column, or nothing in it."""
    rows = renamed(source, reader_of(source).scan(replace(source, files=[file])))
    dtype = rows.collect_schema().get(column)
    if not isinstance(dtype, pl.Date | pl.Datetime):
        return None
    at = pl.col(column).max()
    naive = getattr(dtype, "time_zone", None) is None
    utc = at.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") if naive else at.cast(pl.Datetime("us", "UTC"))
    moment: datetime | None = rows.select(utc).collect().item()
    return None if moment is None else moment.isoformat()


def trouble(sources: Sources, root: str, files: Files = NO_FILES) -> list[str]:
    """What is wrong with files, by name, for when their rows could not be computed or are none."""
    return [
        told
        for name, source in sources.items()
        for asked in [asked_source(name, source, root, named=files)]
        for told in reader_of(asked).trouble(asked)
    ]


def places(sources: Sources, root: str, files: Files = NO_FILES) -> str:
    """Where rows are read from: ``data/2013.csv and data/2014.csv``; empty where that is no file."""
    asked = [asked_source(name, source, root, named=files) for name, source in sources.items()]
    return shown([file for source in asked if reader_of(source).of_files for file in source.files])
