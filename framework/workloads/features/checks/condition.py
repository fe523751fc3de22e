"""Conditions in SQL, on single rows or on the table as a whole."""

from __future__ import annotations

import polars as pl

from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.features import query
from framework.workloads.features.checks.measure import AskedCheck, CheckVerdict, Measurement, Numbers, of_rows


def condition(schema: pl.Schema, text: str) -> tuple[pl.Expr, bool]:
    """A condition in SQL over columns, and whether it is one on the table as a whole, because it aggregates or names no
    column: ``COUNT(x) > 9`` says nothing about single rows.

    Raises:
        WorkloadError: "TransformFailed" for what is no SQL, names no column of these, or is neither true nor false.
    """
    query.refuse_files(text)
    try:
        holds = pl.sql_expr(text).alias("holds")
        probe = schema.to_frame().clear(2).select(holds)
    except Exception as error:
        raise WorkloadError("TransformFailed", f"expectation sql {text!r} is refused: {first_line(error)}") from error
    if probe.schema["holds"] != pl.Boolean:
        raise WorkloadError("TransformFailed", f"expectation sql {text!r} is {probe.schema['holds']}, no condition")
    return holds, probe.height == 1


def sql(asked: AskedCheck) -> Measurement:
    """``value``: what holds. What is unknown for want of a value does not."""
    holds, whole = condition(asked.table.schema, asked.value)
    if not whole:
        shown = tuple(dict.fromkeys(holds.meta.root_names()))
        return of_rows(asked, lambda _: f"rows do not satisfy {asked.value}", ~holds.fill_null(False), shown=shown)
    return Measurement(lambda numbers: _of_table(asked, numbers), {"holds": holds.fill_null(False)})


def _of_table(asked: AskedCheck, numbers: Numbers) -> CheckVerdict:
    passed = bool(numbers["holds"])
    ignored = "; a tolerance is a share of rows and does not count here" if asked.tolerance and not passed else ""
    told = f"the table {'satisfies' if passed else 'does not satisfy'} {asked.value}{ignored}"
    return CheckVerdict.of_table(passed, told)
