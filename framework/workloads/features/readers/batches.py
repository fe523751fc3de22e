"""Rows that come in batches, as a lazy frame that holds one of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl
from polars.io.plugins import register_io_source


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
