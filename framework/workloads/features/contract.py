"""What a source is held to besides its format: the names that its columns have here, and those that it must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from framework.api.nearest import did_you_mean
from framework.workloads.features.readers.reader import AskedSource


class Gap(NamedTuple):
    """A column that a source must have and has not, at the field of the spec that asks for it (``rename.NAME``)."""

    field: str
    column: str
    told: str


def renamed(source: AskedSource, rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows under the names that the spec gives their columns, held to the columns that it says there are.

    Raises:
        WorkloadError: "SchemaChanged" with every column that is gone or of another dtype, and those that came.
    """
    names, must = source.asked.get("rename") or {}, source.asked.get("columns") or {}
    if not names and not must:
        return rows
    schema = rows.collect_schema()
    gaps = gaps_of(source.asked, schema)
    if gaps:
        called = [names.get(name, name) for name in schema]
        added = [name for name in called if must and name not in must]
        told = [gap.told for gap in gaps] + ([f"added: {', '.join(added)}"] if added else [])
        raise source.error("SchemaChanged", f"its columns are not those that the spec names: {'; '.join(told)}")
    return rows.rename(names)


def gaps_of(asked: Mapping[str, Any], schema: Mapping[str, pl.DataType], *, sure: bool = True) -> Sequence[Gap]:
    """Where ``schema`` is not what a source's ``rename`` and ``columns`` say. ``sure``: its dtypes are certain."""
    names, must = asked.get("rename") or {}, asked.get("columns") or {}
    found = [
        Gap(f'rename["{old}"]', old, f"gone: {old!r}{did_you_mean(old, schema)}") for old in names if old not in schema
    ]
    kept = [name for name in schema if name not in names]
    found += [
        Gap(f'rename["{old}"]', new, f"{new} is the name of a column already, and {old} cannot have it")
        for old, new in names.items()
        if new in kept
    ]
    called = {names.get(name, name): dtype for name, dtype in schema.items()}
    lost = {names[gap.column] for gap in found if gap.column in names}
    for name, word in must.items():
        if name not in called:
            if name not in lost:
                found.append(Gap(f'columns["{name}"]', name, f"gone: {name!r}{did_you_mean(name, called)}"))
        elif sure and not _is(called[name], word):
            found.append(Gap(f'columns["{name}"]', name, f"{name} is {called[name]} and must be {word}"))
    return found


def told_dtypes(source: AskedSource) -> Mapping[str, str]:
    """Dtype words by the source's own names: what a column without any value is taken for."""
    names, must = source.asked.get("rename") or {}, source.asked.get("columns") or {}
    back = {new: old for old, new in names.items()}
    return {**source.declared, **{back.get(name, name): word for name, word in must.items()}}


def _is(dtype: pl.DataType, word: str) -> bool:
    """Whether values of ``dtype`` can be those of a column that is declared as ``word``. Whether each of them is, shows
    where the view's own columns are made."""
    if dtype == pl.Null:
        return True
    if word.startswith(("Int", "UInt")):
        return dtype.is_integer()
    if word.startswith("Float"):
        return dtype.is_numeric()
    if word == "Datetime":
        return isinstance(dtype, pl.Datetime | pl.Date)
    if word == "String":
        return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    return dtype.base_type() == {"Boolean": pl.Boolean, "Date": pl.Date}[word]
