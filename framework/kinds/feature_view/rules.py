"""What a FeatureView's columns, expectations and readers demand of each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from framework.api.dtypes import FLOATS, INTEGERS, TIMES
from framework.api.meta import Ref
from framework.api.sources import FILE_FORMATS
from framework.kinds.feature_view import aggregation_rules, expectation
from framework.kinds.feature_view.bounds import ForeignKey
from framework.kinds.feature_view.columns import columns_of, no_column
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.planning.grammar.kind import CrossProblem


def problems(spec: FeatureViewSpec, specs: Mapping[Ref, BaseModel]) -> Iterator[CrossProblem]:
    dtypes = {column.name: column.dtype for column in spec.columns}
    yield from _times(spec, dtypes)
    yield from aggregation_rules.problems(spec, dtypes)
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
        yield from expectation.problems(f"spec.expectations[{index}]", item, dtypes)
        if item.references is not None:
            yield from _counterparts(f"spec.expectations[{index}].references", item.references, dtypes, specs)


def _counterparts(
    path: str, key: ForeignKey, dtypes: Mapping[str, str], specs: Mapping[Ref, BaseModel]
) -> Iterator[CrossProblem]:
    """Columns of the other view that are not there, or cannot hold the same values."""
    there = columns_of(specs, key.view)
    at = f"{path}.columns" if key.to is None else f"{path}.to"
    for place, (here, column) in enumerate(zip(key.columns, key.there, strict=True)):
        if not there or here not in dtypes:
            continue
        if column not in there:
            yield no_column(f"{at}[{place}]", column, f"FeatureView/{key.view}", there)
        elif dtypes[here] in FLOATS:
            yield CrossProblem(
                f"{path}.columns[{place}]", f"{here} is {dtypes[here]}, and two that look alike may differ"
            )
        elif dtypes[here] != there[column] and not {dtypes[here], there[column]} <= INTEGERS:
            told = f"{key.view}.{column} is {there[column]} and {here} is {dtypes[here]}"
            yield CrossProblem(f"{at}[{place}]", f"{told}; they cannot hold the same values")


def _times(spec: FeatureViewSpec, dtypes: Mapping[str, str]) -> Iterator[CrossProblem]:
    for field, column in (("timestamp", spec.timestamp), ("available", spec.available)):
        if column is not None and dtypes.get(column) not in TIMES:
            told = f"{column} is {dtypes.get(column)}; an event time is a Datetime or a Date"
            yield CrossProblem(f"spec.{field}", told)
    if spec.available is not None and spec.online.delay is not None:
        yield CrossProblem("spec.online.delay", f"{spec.available} says when a row became known")
    if spec.timestamp is not None:
        return
    fresh = [f"expectations[{index}].freshness" for index, item in enumerate(spec.expectations) if item.freshness]
    parts = (("materialization.mode", spec.materialization.mode == "incremental"),
             ("materialization.retention", spec.materialization.retention is not None),
             ("online.ttl", spec.online.ttl is not None),
        ("online.delay", spec.online.delay is not None))  # fmt: skip
    for path in (*fresh, *(path for path, asked in parts if asked)):
        yield CrossProblem(f"spec.{path}", "goes by event times, and the view has no timestamp")
