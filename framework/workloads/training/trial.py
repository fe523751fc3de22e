"""Rows of the training set that are kept beside a model: whoever serves it tries it on them before callers do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

ROWS = 20
"""Kept in all, at most half of them because something is missing there."""


def trial_document(frame: pl.DataFrame, signature: Mapping[str, Any], label: str) -> dict[str, Any]:
    """``{"inputs", "rows"}``: whole rows of ``frame`` but for the label, as JSON, and which of their fields the model
    takes. Where an input has gaps that callers may leave, too, one of the rows has that gap."""
    inputs = [column["name"] for column in signature["inputs"]]
    gaps = frame.select(_is_gap(frame, name) for name in inputs)
    required = [pl.col(column["name"]) for column in signature["inputs"] if not column["nullable"]]
    complete = gaps.select(~pl.any_horizontal(pl.lit(False), *required)).to_series()
    rows = frame.drop(label).filter(complete)
    chosen = rows[_chosen(gaps.filter(complete))].to_dicts()
    return {"inputs": inputs, "rows": [{name: _json(value) for name, value in row.items()} for row in chosen]}


def _chosen(gaps: pl.DataFrame) -> list[int]:
    """Which rows: for each column the first that has a gap there, and others spread evenly over all."""
    if gaps.height <= ROWS:
        return list(range(gaps.height))
    chosen: set[int] = set()
    for column in gaps:
        if len(chosen) < ROWS // 2 and column.any() and not column.gather(sorted(chosen)).any():
            chosen.add(column.arg_max() or 0)
    spread = ROWS - len(chosen)
    return sorted(chosen | {index * (gaps.height - 1) // (spread - 1) for index in range(spread)})


def _is_gap(frame: pl.DataFrame, name: str) -> pl.Expr:
    missing = pl.col(name).is_null()
    return missing | pl.col(name).is_nan().fill_null(False) if frame.schema[name].is_float() else missing


def _json(value: Any) -> Any:
    """As a caller would write it."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int() | str():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(name): _json(item) for name, item in value.items()}
        case list() | tuple() | pl.Series():
            return [_json(item) for item in value]
        case _:
            return str(value)
