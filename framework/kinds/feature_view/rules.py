"""What a FeatureView's columns, expectations and readers demand of each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from framework.kinds.feature_view.columns import FLOATS, NUMBERS, TIMES
from framework.kinds.feature_view.spec import Expectation, FeatureViewSpec
from framework.planning.kind import CrossProblem

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "csv": (
        "nullValues", "separator", "quoteChar", "hasHeader", "skipRows", "encoding", "inferSchemaLength", "parseDates",
        "commentPrefix",
    ),
    "parquet": ("hivePartitioning", "allowMissingColumns"),
    "delta": ("version",),
}  # fmt: skip
"""What each reader can be told."""


def problems(spec: FeatureViewSpec) -> Iterator[CrossProblem]:
    dtypes = {column.name: column.dtype for column in spec.columns}
    event = dtypes.get(spec.timestamp)
    if event not in TIMES:
        yield CrossProblem("spec.timestamp", f"{spec.timestamp} is {event}; an event time is a Datetime or a Date")
    for name, source in spec.sources.items():
        known = OPTIONS.get(source.format or "", ())
        for option in source.options:
            if option not in known:
                path = f'spec.sources["{name}"].options["{option}"]'
                yield CrossProblem(path, f"{source.format} has no option {option!r}", allowed=known, wanted=option)
    for index, item in enumerate(spec.expectations):
        yield from _expectation(f"spec.expectations[{index}]", item, dtypes)


def _expectation(path: str, item: Expectation, dtypes: Mapping[str, str]) -> Iterator[CrossProblem]:
    for place, column in enumerate(item.unique or ()):
        if column not in dtypes:
            yield _undeclared(f"{path}.unique[{place}]", column, dtypes)
    if item.column is None:
        return
    dtype = dtypes.get(item.column)
    if dtype is None:
        yield _undeclared(f"{path}.column", item.column, dtypes)
        return
    if (item.between is not None or item.quantile is not None) and dtype not in NUMBERS:
        check = "between" if item.between is not None else "quantile"
        yield CrossProblem(f"{path}.{check}", f"{item.column} is {dtype}; {check} needs a number")
    if item.matches is not None and dtype != "String":
        yield CrossProblem(f"{path}.matches", f"{item.column} is {dtype}; matches needs a String")
    for place, value in enumerate(item.oneOf or ()):
        if not _fits(value, dtype):
            yield CrossProblem(f"{path}.oneOf[{place}]", f"{item.column} is {dtype} and cannot be {value!r}")


def _undeclared(path: str, column: str, dtypes: Mapping[str, str]) -> CrossProblem:
    return CrossProblem(path, f"no column {column!r} is declared", allowed=tuple(dtypes), wanted=column)


def _fits(value: str | int | float | bool, dtype: str) -> bool:
    if isinstance(value, bool):
        return dtype == "Boolean"
    if isinstance(value, int):
        return dtype in NUMBERS
    return dtype in (FLOATS if isinstance(value, float) else {"String"})
