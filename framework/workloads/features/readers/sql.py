"""What a query yields of a database: asked once, in one transaction, and kept on disk while rows are computed from it,
so that it is the same however often they are gone through, and memory holds no more than a batch."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl

from framework.sources import databases
from framework.workloads.features.readers.reader import AskedSource, Reader
from framework.workloads.features.staging import enough_room

_WIDEST = 38
"""Digits that a decimal of Arrow has at most."""


class SqlReader(Reader):
    def scan(self, source: AskedSource) -> pl.LazyFrame:
        import pyarrow

        connection = source.asked.get("connection")
        if not isinstance(connection, dict):
            raise source.error("ConnectionMissing", databases.UNKNOWN)
        path = str(Path(_folder().name) / f"{uuid4().hex}.arrow")
        with databases.asked(connection, source.asked["sql"], source.root) as reader:
            schema = _schema(source, reader.schema)
            with pyarrow.ipc.new_file(path, schema) as kept:
                for batch in reader:
                    converted = _converted(source, batch, schema)
                    with enough_room():
                        kept.write_batch(converted)
        return pl.scan_ipc(path)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Gone with the process."""
    return tempfile.TemporaryDirectory(prefix="mlops-rows-")


def _schema(source: AskedSource, found: Any) -> Any:
    """As columns are kept that arrive as ``found``. Decimals of a known width are numbers; those without are text, as
    they would lose digits in a float.

    Raises:
        WorkloadError: "UnsupportedColumn", "DuplicateColumn".
    """
    import pyarrow

    repeated = sorted(name for name, count in Counter(found.names).items() if count > 1)
    if repeated:
        told = f"the query yields several columns named {', '.join(repeated)}: give them others by AS"
        raise source.error("DuplicateColumn", told)
    kept = []
    for field in found:
        dtype, storage = field.type, getattr(field.type, "storage_type", None)
        if storage is not None:
            dtype = _decimal(field.metadata or {}) or storage
        if storage is not None and not (pyarrow.types.is_decimal(dtype) or pyarrow.types.is_string(dtype)):
            raise _unsupported(source, field)
        if pyarrow.types.is_interval(dtype):
            raise _unsupported(source, field)
        kept.append(pyarrow.field(field.name, dtype))
    return pyarrow.schema(kept)


def _unsupported(source: AskedSource, field: Any) -> Exception:
    named = re.sub(rb"[^\w ]", b"", (field.metadata or {}).get(b"POSTGRESQL:type", str(field.type).encode())).decode()
    return source.error("UnsupportedColumn", f"{field.name} is {named}, which no table holds: CAST it in the query")


def _decimal(metadata: dict[bytes, bytes]) -> Any:
    """The decimal that PostgreSQL's ``numeric(precision, scale)`` is; None for any other column."""
    import pyarrow

    modifier = int(metadata.get(b"POSTGRESQL:typmod", b"-1")) - 4
    if metadata.get(b"POSTGRESQL:type") != b"numeric" or modifier < 0:
        return None
    precision, scale = modifier >> 16 & 0xFFFF, modifier & 0x7FF
    return pyarrow.decimal128(precision, scale) if precision <= _WIDEST and scale <= precision else None


def _converted(source: AskedSource, batch: Any, schema: Any) -> Any:
    import pyarrow

    columns = []
    for column, field in zip(batch.columns, schema, strict=True):
        values = getattr(column, "storage", column)
        try:
            columns.append(values if values.type == field.type else values.cast(field.type))
        except pyarrow.ArrowInvalid as error:  # NaN is no decimal
            told = f"{field.name} holds a value that is no {field.type}: CAST it in the query: {error}"
            raise source.error("UnsupportedColumn", told) from error
    return pyarrow.RecordBatch.from_arrays(columns, schema=schema)
