"""How far a column has moved since the version that readers have."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import polars as pl

from framework.drift.bins import NotComparableError, align
from framework.drift.statistics import STATISTICS
from framework.drift.summaries import DECILES, decile_edges
from framework.ports import ITEM_CHARACTERS, ColumnSummary
from framework.workloads.features.checks.measure import (
    AskedCheck,
    CheckVerdict,
    Measurement,
    Numbers,
    PreviousVersion,
    nothing_before,
)

CHANCE = 0.001
"""How often two versions of one distribution may lie further apart than is taken for chance."""
_ITEMS = 6_144
"""Different texts that are told apart, the most frequent ones."""


def drift(asked: AskedCheck) -> Measurement:
    """``value``: the statistic, and its bound. Both versions are counted on the deciles of the previous one, or by
    value."""
    before, dtype = asked.table.previous, asked.table.schema[asked.column]
    if before is None:
        return nothing_before()
    found = before.rows.collect_schema().get(asked.column)
    if found is None or _kind(found) != _kind(dtype):
        return nothing_before(f"version {before.version} has no {asked.column} of this kind")
    named = dtype in (pl.String, pl.Boolean)
    edges = () if named else _edges(before.rows, asked.column)

    def apart(rows: pl.LazyFrame) -> pl.LazyFrame:
        sides = {"before": before.rows, "now": rows}
        counts = [
            (_by_value(side, asked.column) if named else _by_bin(side, asked.column, edges)).select(
                pl.struct(pl.all()).alias(name)
            )
            for name, side in sides.items()
        ]
        return pl.concat(counts, how="horizontal")

    return Measurement(lambda numbers: _judged(asked, before, edges, numbers), apart=apart)


def _kind(dtype: pl.DataType) -> Any:
    return "number" if dtype.is_numeric() else dtype


def _number(column: str) -> pl.Expr:
    return pl.col(column).to_physical().cast(pl.Float64)


def _edges(rows: pl.LazyFrame, column: str) -> tuple[float, ...]:
    """None at all where it has no value."""
    number = _number(column)
    deciles = {str(share): number.quantile(share) for share in DECILES}
    found = rows.select(number.min().alias("least"), number.max().alias("most"), **deciles)
    least, most, *inner = found.collect(engine="streaming").row(0)
    return () if least is None else decile_edges(least, most, inner)


def _by_bin(rows: pl.LazyFrame, column: str, edges: tuple[float, ...]) -> pl.LazyFrame:
    below = [(_number(column) <= edge).sum() for edge in edges[1:-1]]
    return rows.select(
        count=pl.len(), nulls=pl.col(column).null_count(), below=pl.concat_list(below) if below else pl.lit([])
    )


def _by_value(rows: pl.LazyFrame, column: str) -> pl.LazyFrame:
    item = pl.col(column).cast(pl.String).str.slice(0, ITEM_CHARACTERS)
    each = rows.group_by(item=item).agg(rows=pl.len())
    ordered = pl.struct("item", "rows").sort_by("rows", "item", descending=[True, False])
    return each.select(
        count=pl.col("rows").sum(),
        nulls=pl.col("rows").filter(pl.col("item").is_null()).sum(),
        items=ordered.filter(ordered.struct.field("item").is_not_null()).head(_ITEMS).implode(),
    )


def _summary(column: str, edges: tuple[float, ...], found: Numbers) -> ColumnSummary:
    if "items" in found:
        items = {row["item"]: float(row["rows"]) for row in found["items"]}
        return ColumnSummary(column, found["count"], found["nulls"], categories=dict(sorted(items.items())))
    below = [0, *found["below"], found["count"] - found["nulls"]]
    counts = tuple(float(high - low) for low, high in pairwise(below)) if edges else ()
    return ColumnSummary(column, found["count"], found["nulls"], edges, counts)


def _judged(asked: AskedCheck, before: PreviousVersion, edges: tuple[float, ...], numbers: Numbers) -> CheckVerdict:
    name, most = asked.value.get("statistic", "psi"), asked.value["max"]
    statistic = STATISTICS[name]
    try:
        bins = align(
            _summary(asked.column, edges, numbers["before"]),
            _summary(asked.column, edges, numbers["now"]),
            ordered=statistic.ordered,
        )
    except NotComparableError as error:
        told = f"cannot be compared with version {before.version}: {error}"
        return CheckVerdict.of_table(True, told)
    value, chance = statistic.distance(bins), statistic.noise(bins, CHANCE)
    by_chance = f", or {chance:.3g}, which chance may make of so many rows" if chance > most else ""
    told = f"{name} is {value:.3g} from version {before.version}, expected at most {most:g}{by_chance}"
    return CheckVerdict.of_table(value <= max(most, chance), told, value)
