"""The aggregations of a FeatureView: from rows of events to the same rows with what came before them. Each aggregate is
a function of the rows of the same entity up to and with the row's event time, so that rows of one instant have the same
ones, and the newest row of an entity says what a join at that moment finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from framework.api.aggregates import AGGREGATES
from framework.api.fields import parse_duration
from framework.api.nearest import did_you_mean
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.features import aggregates, query, whole_table
from framework.workloads.features.windows import Places, Timeline
from framework.workloads.missing import nan_as_null

_WHERE = "__where_{}"
_MICROSECOND = timedelta(microseconds=1)


class Fault(NamedTuple):
    """What is wrong with an aggregation over rows of some columns, at ``field`` of the spec. ``allowed`` are the names
    that there are, where ``wanted`` is none of them."""

    field: str
    reason: str
    told: str
    allowed: Sequence[str] = ()
    wanted: str | None = None


def aggregated(spec: Mapping[str, Any], rows: pl.LazyFrame) -> pl.LazyFrame:
    """``rows`` with the aggregates of ``spec`` (a FeatureViewSpec as JSON by alias); as they are where it has none.
    Keys, times and what is aggregated are held in memory while they are.

    Raises:
        WorkloadError: "MissingColumn", "WrongType" and "TransformFailed" before anything is computed, for what
            ``faults`` tells; "WrongType" while it is, where whole numbers add up to more than Int64 holds.
    """
    asked: Sequence[Mapping[str, Any]] = spec.get("aggregations") or ()
    if not asked:
        return rows
    schema, names = rows.collect_schema(), {item["name"] for item in asked}
    own = [column["name"] for column in spec["columns"] if column["name"] not in names]
    if found := [*_of_rows(spec, own, schema), *faults(spec, schema)]:
        told = "; ".join(
            f"{fault.told}{did_you_mean(fault.wanted, fault.allowed)}" if fault.wanted else fault.told
            for fault in found
        )
        raise WorkloadError(found[0].reason, f"the rows of the transform cannot be aggregated: {told}")
    order = [*spec["entities"], spec["timestamp"]]
    used = list(dict.fromkeys([*order, *own, *(item["column"] for item in asked if item.get("column"))]))
    conditions = {place: item["where"] for place, item in enumerate(asked) if item.get("where")}
    wheres = [pl.sql_expr(text).fill_null(value=False).alias(_WHERE.format(at)) for at, text in conditions.items()]
    taken = nan_as_null(rows).select(*used, *wheres)
    results = {item["name"]: _result(item, schema) for item in asked}
    return taken.map_batches(
        partial(_with_aggregates, spec, [*order, *used], own),
        schema={**{name: schema[name] for name in own}, **results},
    )


def faults(spec: Mapping[str, Any], schema: Mapping[str, pl.DataType]) -> Iterator[Fault]:
    """What of its aggregations rows of ``schema`` cannot give."""
    for index, item in enumerate(spec.get("aggregations") or ()):
        path, column, function = f"aggregations[{index}]", item.get("column"), item["function"]
        if item["name"] in schema:
            told = f"{item['name']} is a column of the rows already, and cannot be an aggregate as well"
            yield Fault(f"{path}.name", "TransformFailed", told)
        if column is not None and column not in schema:
            yield Fault(f"{path}.column", "MissingColumn", f"no column {column!r}", tuple(schema), column)
        elif column is not None and not _takes(function, schema[column]):
            needs = {"number": "a number", "ordered": "a number or a time", "any": "values"}[AGGREGATES[function].takes]
            yield Fault(f"{path}.function", "WrongType", f"{column} is {schema[column]}; {function} needs {needs}")
        if item.get("where") and (told := mistake(item["where"], schema)):
            yield Fault(f"{path}.where", "TransformFailed", f"{item['where']!r} {told}")


def _of_rows(spec: Mapping[str, Any], own: Sequence[str], schema: Mapping[str, pl.DataType]) -> Iterator[Fault]:
    for name in own:
        if name not in schema:
            yield Fault("columns", "MissingColumn", f"no column {name!r}", tuple(schema), name)
    at = schema.get(spec["timestamp"])
    if at is not None and not isinstance(at, pl.Datetime | pl.Date):
        yield Fault("timestamp", "WrongType", f"{spec['timestamp']} is {at}; an event time is a Datetime or a Date")


def mistake(where: str, schema: Mapping[str, pl.DataType] | None) -> str:
    """Why ``where`` is no condition on single rows of ``schema`` (None: of whatever columns); empty where it is one."""
    try:
        query.refuse_files(where)
        condition = pl.sql_expr(where)
        if whole_table.looks_around(where):
            return "looks at other rows than the one that it is asked of"
        if schema is None:
            return ""
        dtype = pl.LazyFrame(schema=schema).select(condition.alias("holds")).collect_schema()["holds"]
    except WorkloadError as error:
        return f"is refused: {error}"
    except Exception as error:
        return f"is refused: {first_line(error)}"
    return "" if dtype == pl.Boolean else f"is {dtype}, no condition"


def _takes(function: str, dtype: pl.DataType) -> bool:
    takes = AGGREGATES[function].takes
    if takes == "any":
        return not dtype.is_nested()
    return dtype.is_numeric() or (takes == "ordered" and isinstance(dtype, pl.Datetime | pl.Date))


def _result(item: Mapping[str, Any], schema: pl.Schema) -> pl.DataType:
    return aggregates.result(item["function"], schema[item["column"]] if item.get("column") else pl.Boolean())


def _with_aggregates(
    spec: Mapping[str, Any], order: Sequence[str], own: Sequence[str], rows: pl.DataFrame
) -> pl.DataFrame:
    rows = rows.sort(list(dict.fromkeys(order)))
    line = _timeline(rows, spec)
    return rows.select(own).with_columns(
        _aggregate(item, rows, rows.get_column(_WHERE.format(place)) if item.get("where") else None, line)
        for place, item in enumerate(spec["aggregations"])
    )


def _timeline(rows: pl.DataFrame, spec: Mapping[str, Any]) -> Timeline:
    """Rows without entity or time are refused when all is computed, so anything will do for them here."""
    moves = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in spec["entities"])
    begins = rows.select(moves).to_series().to_numpy().copy()
    begins[:1] = True
    return Timeline.of(rows.get_column(spec["timestamp"]).dt.epoch("us").fill_null(0).to_numpy(), begins)


def _aggregate(item: Mapping[str, Any], rows: pl.DataFrame, counts: pl.Series | None, line: Timeline) -> pl.Series:
    values = rows.get_column(item["column"]) if item.get("column") else pl.repeat(True, rows.height, eager=True)
    there = values.is_not_null() if counts is None else values.is_not_null() & counts
    upto = np.concatenate([[0], np.cumsum(there.to_numpy())])
    function = aggregates.of(item["function"], item.get("lag"))
    try:
        found = function(values.filter(there), upto[_start(item, line)], upto[line.end])
    except WorkloadError as error:
        raise WorkloadError(error.reason, f"{item['name']}: {error}") from error
    return found.alias(item["name"])


def _start(item: Mapping[str, Any], line: Timeline) -> Places:
    if item.get("window"):
        return line.window(_microseconds(item["window"]))
    return line.session(_microseconds(item["session"])) if item.get("session") else line.first


def _microseconds(duration: str) -> int:
    return parse_duration(duration) // _MICROSECOND
