"""NDJSON files: a JSON object on each line. A key that a line or a whole file lacks is a missing value there."""

from __future__ import annotations

import glob
import io
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from framework.workloads.failures import first_line
from framework.workloads.features.dtypes import DTYPES, widest
from framework.workloads.features.readers.files import File
from framework.workloads.features.readers.reader import AskedSource, FileReader, KnownSource

_INFERRED = 100
"""Lines by which dtypes are guessed before a run."""


class NdjsonReader(FileReader):
    def rows(self, source: AskedSource, files: Sequence[File]) -> pl.LazyFrame:
        """A column has the dtype of its values in all files together; where they are of different kinds, it is text."""
        held = [_held(source, file) for file in files]
        found = dict[str, list[pl.DataType]]()
        for file, data in zip(files, held, strict=True):
            for column, dtype in _schema(source, file, data, None).items():
                found.setdefault(column, []).extend([dtype] if dtype != pl.Null else [])
        merged = pl.Schema()
        for column, dtypes in found.items():
            merged[column] = widest(dtypes) if dtypes else DTYPES.get(source.declared.get(column, ""), pl.String())
        return pl.concat([pl.scan_ndjson(_fresh(data), schema=merged) for data in held])

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        """Later lines, and other files, may have more columns than those that are looked at."""
        first = source.files[0]
        _schema(source, first, _held(source, first), _INFERRED)
        return KnownSource(None, files=(first.label,))


def _held(source: AskedSource, file: File) -> str | bytes:
    """What the engine reads a file from. It takes every name for a pattern."""
    if file.native and not glob.has_magic(file.uri):
        file.recognise(source.name, file.head())
        return file.uri
    return file.read(source.name)


def _fresh(data: str | bytes) -> Any:
    return io.BytesIO(data) if isinstance(data, bytes) else data


def _schema(source: AskedSource, file: File, data: str | bytes, lines: int | None) -> pl.Schema:
    if not file.head().strip():
        return pl.Schema()
    try:
        return pl.scan_ndjson(_fresh(data), infer_schema_length=lines).collect_schema()
    except Exception as error:
        told = f"{file.label} is no NDJSON, which has a JSON object on each line: {first_line(error)}"
        raise source.error("SourceUnreadable", told) from error
