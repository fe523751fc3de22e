"""From sources to the rows of a FeatureView: one pure computation, the same in a job, in a test and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from framework.workloads.context import WorkloadError
from framework.workloads.entrypoints import call
from framework.workloads.failures import first_line, raised
from framework.workloads.features import query
from framework.workloads.features.aggregating import aggregated
from framework.workloads.features.readers.files import NO_FILES, Files
from framework.workloads.features.sources import Sources, places, read_sources, trouble
from framework.workloads.features.staging import Rows, stage


def compute(
    spec: Mapping[str, Any], root: str, upstream: Mapping[str, Mapping[str, Any]] | None = None
) -> pl.DataFrame:
    """What ``staged`` gives, at once: for tests, notebooks, and whatever is small."""
    with TemporaryDirectory() as folder:
        return pl.concat(staged(spec, root, upstream or {}, Path(folder)).batches())


Narrowing = Callable[[dict[str, pl.LazyFrame]], dict[str, pl.LazyFrame]]
Selecting = Callable[[pl.LazyFrame], pl.LazyFrame]


def staged(
    spec: Mapping[str, Any],
    root: str,
    upstream: Mapping[str, Mapping[str, Any]],
    folder: Path,
    narrow: Narrowing | None = None,
    select: Selecting | None = None,
    files: Files = NO_FILES,
) -> Rows:
    """All rows of a view at its declared columns and dtypes, in canonical order (time, entities, everything else), so
    that equal inputs give equal bytes whatever the engine's threads did. They lie in files below ``folder``.

    Args:
        spec: a FeatureViewSpec as JSON by alias.
        root: the project's folder; relative source paths start here.
        upstream: published version {uri, version} by name of each FeatureView that is a source.
        narrow: what of the sources the transform gets.
        select: what of the rows that it yields is wanted.
        files: by source those to read; of a source that is not among them those that are there.

    Raises:
        WorkloadError: what ``read_sources``, ``rows_of`` and ``stage`` raise, and "TransformFailed" where the query
            or the function does.
    """
    columns = declared(spec)
    sources = read_sources(spec["sources"], root, upstream, dict(columns), files)
    try:
        with _engine():
            rows = rows_of(spec, narrow(sources) if narrow else sources)
            return stage(select(rows) if select else rows, columns, keys_of(spec), folder)
    except WorkloadError as error:
        if not _of_files(error):
            raise
        raise _placed(error, spec["sources"], root, files) from error


def count(
    spec: Mapping[str, Any],
    root: str,
    upstream: Mapping[str, Mapping[str, Any]],
    select: Selecting,
    files: Files = NO_FILES,
) -> int:
    """How many rows of a view ``select`` leaves.

    Raises:
        WorkloadError: what ``read_sources`` raises, "TransformFailed".
    """
    sources = read_sources(spec["sources"], root, upstream, dict(declared(spec)), files)
    with _engine():
        return int(select(transform(spec.get("transform"), sources)).select(pl.len()).collect().item())


def keys_of(spec: Mapping[str, Any]) -> list[str]:
    """By what rows are ordered first."""
    return [*times(spec), *spec["entities"]]


def times(spec: Mapping[str, Any]) -> list[str]:
    """The column of the event time, of the views that have one."""
    return [spec["timestamp"]] if spec.get("timestamp") else []


def declared(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, dtype word) of the declared columns, in order."""
    return [(column["name"], column["dtype"]) for column in spec["columns"]]


def rows_of(spec: Mapping[str, Any], sources: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """What the transform makes of the sources, with the aggregates that the spec declares.

    Raises:
        WorkloadError: what ``transform`` and ``aggregated`` raise.
    """
    return aggregated(spec, transform(spec.get("transform"), sources))


def transform(form: Mapping[str, Any] | None, sources: Mapping[str, pl.LazyFrame]) -> pl.LazyFrame:
    """Apply the spec's transform. SQL sees each source as a table; a function gets them as keyword arguments."""
    if form is None:
        (only,) = sources.values()
        return only
    if form.get("sql"):
        query.refuse_files(form["sql"])
        try:
            return pl.SQLContext(frames=dict(sources)).execute(form["sql"], eager=False)
        except Exception as error:
            raise WorkloadError("TransformFailed", f"the SQL is refused: {first_line(error)}") from error
    return call(form["function"], **sources)


@contextmanager
def _engine() -> Iterator[None]:
    """What the engine says, and what a user's function raised once the engine came to it, in our words."""
    try:
        yield
    except WorkloadError:
        raise
    except OF_THE_ENGINE as error:
        raise WorkloadError("TransformFailed", f"computing the rows failed: {first_line(error)}") from error
    except Exception as error:
        raise WorkloadError("TransformFailed", f"computing the rows failed: {raised(error)}") from error


OF_THE_ENGINE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""A panic, as at a date outside the calendar, is no Exception and would pass by."""
_OF_THE_QUERY = (pl.exceptions.SQLSyntaxError, pl.exceptions.SQLInterfaceError)


def _of_files(error: WorkloadError) -> bool:
    """Whether it may come of what the files hold: neither a mistake in the SQL nor what a user's function did."""
    cause = error.__cause__
    if isinstance(cause, OF_THE_ENGINE):
        return not isinstance(cause, _OF_THE_QUERY)
    return cause is None and "found" in error.data


def _placed(error: WorkloadError, sources: Sources, root: str, files: Files) -> WorkloadError:
    """``error``, with what is wrong with the files; where nothing is, with which they are."""
    found = trouble(sources, root, files)
    found = found or ([f"read from {read}"] if (read := places(sources, root, files)) else [])
    return WorkloadError(error.reason, "; ".join([str(error), *found]), kind=error.kind, data=error.data)
