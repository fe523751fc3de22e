"""Checks on what columns hold together."""

from __future__ import annotations

import polars as pl

from framework.workloads.features.checks.measure import AskedCheck, Measurement, share


def unique(asked: AskedCheck) -> Measurement:
    """``value``: columns whose values together occur once at most; those that are missing are alike."""
    names = list(asked.value)

    def several(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.group_by(names).agg(__rows=pl.len()).filter(pl.col("__rows") > 1)

    def broken(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.join(several(rows), on=names, how="semi", nulls_equal=True).sort(names, maintain_order=True)

    return Measurement(
        lambda numbers: share(asked, f"rows share ({', '.join(names)}) with another row", numbers),
        apart=lambda rows: several(rows).select(failing=pl.col("__rows").sum()),
        broken=broken,
        shown=tuple(names),
    )
