"""Parquet files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from framework.workloads.features.readers.files import File
from framework.workloads.features.readers.reader import UNKNOWN, AskedSource, FileReader, KnownSource, options_of

_MARKS = (b"PAR1", b"PARE")
"""How one begins; the second where its footer is encrypted."""


class ParquetReader(FileReader):
    def rows(self, source: AskedSource, files: Sequence[File]) -> pl.LazyFrame:
        options = _options(source)
        for file in files:
            head = file.head()
            file.recognise(source.name, head)
            if not head.startswith(_MARKS):
                raise source.error("SourceUnreadable", f"{file.label} is no Parquet file")
        if not all(file.native for file in files):
            held: Any = [io.BytesIO(file.read(source.name)) for file in files]
            return pl.scan_parquet(held, **options)
        return pl.scan_parquet([file.uri for file in files], glob=False, **options)

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        if _options(source).get("missing_columns") == "insert":
            return UNKNOWN  # another file may have more
        first = source.files[0]
        return KnownSource(self.rows(source, [first]).collect_schema(), True, (first.label,))


def _options(source: AskedSource) -> dict[str, Any]:
    options = options_of(source)
    if "missing_columns" in options:
        options["missing_columns"] = "insert" if options["missing_columns"] else "raise"
    return options
