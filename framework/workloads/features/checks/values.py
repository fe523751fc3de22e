"""Checks on the value that a row has in a column. A missing one passes all of them but ``notNull``."""

from __future__ import annotations

import polars as pl

from framework.workloads.features.checks.measure import AskedCheck, Measurement, Numbers, of_rows


def not_null(asked: AskedCheck) -> Measurement:
    """``value``: false checks nothing."""
    missing = asked.cell.is_null()
    return of_rows(asked, lambda _: "values are null or NaN", missing if asked.value else missing & False)


def between(asked: AskedCheck) -> Measurement:
    """``value``: the lowest and the highest that are allowed."""
    low, high = asked.value

    def told(numbers: Numbers) -> str:
        span = f", which span {numbers['least']!s} to {numbers['most']!s}" if numbers["least"] is not None else ""
        return f"values lie outside [{low:g}, {high:g}]{span}"

    outside = (asked.cell < low) | (asked.cell > high)
    return of_rows(asked, told, outside.fill_null(False), least=asked.cell.min(), most=asked.cell.max())


def one_of(asked: AskedCheck) -> Measurement:
    """``value``: those that are allowed."""
    allowed = pl.Series(list(asked.value), dtype=asked.table.schema.get(asked.column)).implode()
    told = f"values are not among {', '.join(map(str, asked.value))}"
    return of_rows(asked, lambda _: told, ~asked.cell.is_in(allowed).fill_null(True))


def matches(asked: AskedCheck) -> Measurement:
    """``value``: a pattern of the whole text."""
    fits = asked.cell.str.contains(f"^(?:{asked.value})$")
    return of_rows(asked, lambda _: f"values do not match {asked.value}", ~fits.fill_null(True))
