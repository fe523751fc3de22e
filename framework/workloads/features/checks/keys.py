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
        column=", ".join(names),
    )


def references(asked: AskedCheck) -> Measurement:
    """``value``: columns, and those of another view, in one of whose rows their values stand together. A row in which
    one of them is missing refers to nothing."""
    here, view = list(asked.value["columns"]), asked.value["view"]
    there = list(asked.value.get("to") or here)
    whole = [name for name in here if asked.table.schema[name].is_integer()]
    keys = asked.table.views[view].select(
        pl.col(column).cast(pl.Int64 if name in whole else asked.table.schema[name]).alias(f"__{place}")
        for place, (name, column) in enumerate(zip(here, there, strict=True))
    )

    def broken(rows: pl.LazyFrame) -> pl.LazyFrame:
        at = [pl.col(name).cast(pl.Int64, strict=False) if name in whole else pl.col(name) for name in here]
        return rows.drop_nulls(here).join(keys, left_on=at, right_on=keys.collect_schema().names(), how="anti")

    to = f"{view} ({', '.join(there)})"
    return Measurement(
        lambda numbers: share(asked, f"rows have ({', '.join(here)}) that is not in {to}", numbers),
        apart=lambda rows: broken(rows).select(failing=pl.len()),
        broken=broken,
        shown=tuple(here),
        column=", ".join(here),
    )
