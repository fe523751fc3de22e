"""Which rows of a table an online store needs: those that a request may be about from now on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from framework.workloads.missing import nan_as_null
from framework.workloads.training.as_of import AT, KNOWN, MOMENT, ROW, SLICE_ROWS, known, offset, slice_of

_EVER_SINCE = pl.lit(datetime(1, 1, 1, tzinfo=UTC), dtype=MOMENT)


def slices_of(table: pl.LazyFrame, slice_rows: int = SLICE_ROWS) -> int:
    """In how many parts ``table`` is looked at, so that no more than about ``slice_rows`` rows are held."""
    rows: int = table.select(pl.len()).collect().item()
    return max(1, -(-rows // slice_rows))


def kept(
    table: pl.LazyFrame,
    by: Sequence[str],
    time: str | None,
    *,
    now: datetime,
    available: str | None = None,
    delay: timedelta | None = None,
    ttl: timedelta | None = None,
    slices: int = 1,
) -> Iterator[pl.DataFrame]:
    """Of every entity the newest row that counts at ``now``, and all that do later, unless they are older than ``ttl``;
    in KNOWN since when they are known, in AT when they happened. Without ``time`` every row was known ever since. In as
    many frames as there are ``slices``, each in the order of ``by``, the newest first.

    What is available and which of several rows of one instant counts is as for ``as_of.join_as_of``.
    """
    keys, rows = list(by), table.with_row_index(ROW)
    number = slice_of(keys, slices)
    there = pl.col(KNOWN) <= pl.lit(now - offset(available, delay), dtype=MOMENT)
    newest = pl.when(there).then(pl.col(KNOWN)).max().over(keys)
    for chosen in range(slices):
        part = rows if slices == 1 else rows.filter(number == chosen)
        times = _times(part, keys, time, available)
        wanted = times.filter((~there) | (pl.col(KNOWN) == newest).fill_null(value=False))
        if ttl is not None:
            wanted = wanted.filter(pl.col(AT) >= pl.lit(now - ttl, dtype=MOMENT))
        found = part.join(wanted.select(ROW, KNOWN, AT).lazy(), on=ROW, how="inner").collect()
        yield nan_as_null(found).sort([*keys, KNOWN], descending=[*(False for _ in keys), True])


def _times(rows: pl.LazyFrame, keys: list[str], time: str | None, available: str | None) -> pl.DataFrame:
    if time is None:
        named = nan_as_null(rows.select(*keys, ROW)).drop_nulls()
        return named.with_columns(_EVER_SINCE.alias(KNOWN), _EVER_SINCE.alias(AT)).collect()
    times = known(rows, keys, time, available)
    return times if AT in times.columns else times.with_columns(pl.col(KNOWN).alias(AT))
