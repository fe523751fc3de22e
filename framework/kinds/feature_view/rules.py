"""What a FeatureView's columns, expectations and readers demand of each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from framework.api.sources import FILE_FORMATS
from framework.kinds.feature_view.columns import FLOATS, NUMBERS, TIMES
from framework.kinds.feature_view.expectation import Expectation
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.planning.grammar.kind import CrossProblem


def problems(spec: FeatureViewSpec) -> Iterator[CrossProblem]:
    dtypes = {column.name: column.dtype for column in spec.columns}
    yield from _times(spec, dtypes)
    for name, source in spec.sources.items():
        known = FILE_FORMATS[source.format].options if source.format else {}
        for option, value in source.options.items():
            path = f'spec.sources["{name}"].options["{option}"]'
            if option not in known:
                message = f"{source.format} has no option {option!r}"
                yield CrossProblem(path, message, allowed=tuple(known), wanted=option)
            elif not known[option].fits(value):
                yield CrossProblem(path, f"expected {known[option].expects}, found {value!r}")
        if source.format and (told := FILE_FORMATS[source.format].together(source.options)):
            yield CrossProblem(f'spec.sources["{name}"].options', told)
    for index, item in enumerate(spec.expectations):
        yield from _expectation(f"spec.expectations[{index}]", item, dtypes)


def _times(spec: FeatureViewSpec, dtypes: Mapping[str, str]) -> Iterator[CrossProblem]:
    for field, column in (("timestamp", spec.timestamp), ("available", spec.available)):
        if column is not None and dtypes.get(column) not in TIMES:
            told = f"{column} is {dtypes.get(column)}; an event time is a Datetime or a Date"
            yield CrossProblem(f"spec.{field}", told)
    if spec.timestamp is not None:
        return
    fresh = [f"expectations[{index}].freshness" for index, item in enumerate(spec.expectations) if item.freshness]
    parts = (("materialization.mode", spec.materialization.mode == "incremental"),
             ("materialization.retention", spec.materialization.retention is not None),
             ("online.ttl", spec.online.ttl is not None))  # fmt: skip
    for path in (*fresh, *(path for path, asked in parts if asked)):
        yield CrossProblem(f"spec.{path}", "goes by event times, and the view has no timestamp")


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
