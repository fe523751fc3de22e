"""From sources to the rows of a FeatureView: one pure computation, the same in a job, in a test and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line, raised
from framework.workloads.features.dtypes import select_declared
from framework.workloads.features.sources import call, read_sources


def compute(
    spec: Mapping[str, Any], root: str, upstream: Mapping[str, Mapping[str, Any]] | None = None
) -> pl.DataFrame:
    """All rows of a view at its declared columns and dtypes, in canonical order (time, entities, everything else), so
    that equal inputs give equal bytes whatever the engine's threads did.

    Args:
        spec: a FeatureViewSpec as JSON by alias.
        root: the project's folder; relative source paths start here.
        upstream: published version {uri, version} by name of each FeatureView that is a source.

    Raises:
        WorkloadError: what ``read_sources`` and ``select_declared`` raise, "TransformFailed" where the query or the
            function does, and "NullKey" for rows without entity or event time.
    """
    lazy = transform(spec.get("transform"), read_sources(spec["sources"], root, upstream or {}))
    columns = declared(spec)
    try:
        frame = lazy.collect()
    except WorkloadError:
        raise
    except Exception as error:
        raise WorkloadError("TransformFailed", f"computing the rows failed: {_computing(error)}") from error
    frame = select_declared(frame, columns)
    keys = [spec["timestamp"], *spec["entities"]]
    nulls = {name: frame[name].null_count() for name in keys if frame[name].null_count()}
    if nulls:
        told = ", ".join(f"{count:,} of {frame.height:,} rows have no {name}" for name, count in nulls.items())
        raise WorkloadError("NullKey", f"{told}; a row without key or event time cannot be joined", data=nulls)
    return frame.sort([*keys, *(name for name, _ in columns if name not in keys)])


def declared(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, dtype word) of the declared columns, in order."""
    return [(column["name"], column["dtype"]) for column in spec["columns"]]


def transform(form: Mapping[str, Any] | None, sources: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Apply the spec's transform. SQL sees each source as a table; a function gets them as keyword arguments."""
    if form is None:
        (only,) = sources.values()
        return only
    if form.get("sql"):
        try:
            return pl.SQLContext(frames=dict(sources)).execute(form["sql"], eager=False)
        except Exception as error:
            raise WorkloadError("TransformFailed", f"the SQL is refused: {first_line(error)}") from error
    return call(form["function"], **sources)


def _computing(error: Exception) -> str:
    """What the engine says for itself; what it passes on from a user's function has a place there."""
    return first_line(error) if isinstance(error, pl.exceptions.PolarsError) else raised(error)
