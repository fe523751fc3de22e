"""Rows that come in batches, as a lazy frame that holds one of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source


def of_arrow(table: Any) -> pl.DataFrame:
    """A table or a batch of Arrow, under the names that its columns have there: Polars gives one to those without."""
    frame = pl.DataFrame(table)
    frame.columns = table.schema.names
    return frame


def lazily(schema: pl.Schema, batches: Callable[[], Iterator[pl.DataFrame]]) -> pl.LazyFrame:
    """``batches`` is called for each reading of the rows, which have ``schema``."""

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        left = rows
        for batch in batches():
            some = batch if left is None else batch.head(left)
            left = None if left is None else left - some.height
            chosen = some if predicate is None else some.filter(predicate)
            yield chosen if columns is None else chosen.select(columns)
            if left == 0:
                return

    return register_io_source(read, schema=schema)
