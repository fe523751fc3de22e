"""Where a FeatureView's rows come from: every source as a lazy Polars frame."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from framework import storage
from framework.api.nearest import did_you_mean
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line, place_of, raised
from framework.workloads.features import csv
from framework.workloads.features.files import File, find
from framework.workloads.missing import nan_as_null

_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "csv": csv.OPTIONS,
    "parquet": {"hivePartitioning": "hive_partitioning", "allowMissingColumns": "missing_columns"},
    "delta": {"version": "version"},
}
"""Spec word -> Polars word."""

_SHOWN = 3
"""Files that one message names."""

Sources = Mapping[str, Mapping[str, Any]]
"""The ``sources`` of a spec (JSON by alias)."""


def load_entrypoint(entrypoint: str) -> Callable[..., Any]:
    """The attribute that ``package.module:attribute`` names.

    Raises:
        WorkloadError: "EntrypointMissing" when the module or the attribute is not in the code of this commit,
            "EntrypointFailed" when importing it raised.
    """
    module_name, _, attribute = entrypoint.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        told = f"{entrypoint}: there is no module {error.name!r}{place_of(error)}"
        raise WorkloadError("EntrypointMissing", told) from error
    except Exception as error:
        raise WorkloadError("EntrypointFailed", f"importing {module_name} raised {raised(error)}") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise WorkloadError(
            "EntrypointMissing", f"{module_name} has no function {attribute!r}{did_you_mean(attribute, names)}"
        )
    return found  # type: ignore[no-any-return]


def read_sources(
    sources: Sources, root: str, upstream: Sources, declared: Mapping[str, str] | None = None
) -> dict[str, pl.LazyFrame]:
    """One LazyFrame per source of the spec, in the order of the spec.

    ``upstream`` pins the published version {uri, version} of every FeatureView that is read. ``declared`` are the
    dtypes of the view's own columns: a column of that name without any value in a CSV file takes it.

    Raises:
        WorkloadError: "SourceMissing", "UnknownOption", "UnsupportedSource", "UpstreamMissing", "SourceUnreadable",
            "MissingColumn", "PathOutsideRoot"; what ``call`` raises.
    """
    return {name: _read(name, source, root, upstream, declared or {}) for name, source in sources.items()}


def _read(
    name: str, source: Mapping[str, Any], root: str, upstream: Sources, declared: Mapping[str, str]
) -> pl.LazyFrame:
    if source.get("path"):
        uri, files = find(name, source["path"], root)
        if source["format"] == "delta":
            return pl.scan_delta(uri, **options_of(name, "delta", source))
        if not files:
            told = storage.nothing_at(source["path"])
            raise WorkloadError("SourceMissing", f"source {name}: {told}", data={"path": uri})
        return _scan(name, source, files, declared)
    if source.get("featureView"):
        pinned = upstream.get(source["featureView"])
        if pinned is None:
            raise WorkloadError(
                "UpstreamMissing", f"source {name}: FeatureView/{source['featureView']} is not published"
            )
        return nan_as_null(pl.scan_delta(pinned["uri"], version=int(pinned["version"])))
    if source.get("function"):
        return call(source["function"])
    raise WorkloadError(
        "UnsupportedSource", f"source {name}: sql sources need a connection, which no Environment has yet"
    )


def _scan(name: str, source: Mapping[str, Any], files: Sequence[File], declared: Mapping[str, str]) -> pl.LazyFrame:
    options = options_of(name, source["format"], source)
    if source["format"] == "csv":
        encoding = (source.get("options") or {}).get("encoding", "utf8")
        return csv.scan(name, csv.parts_of(name, files, encoding), options, declared)
    if not all(file.native for file in files):
        held: Any = [io.BytesIO(file.read(name)) for file in files]
        return pl.scan_parquet(held, **options)
    for file in files:
        file.recognise(name, file.head())
    return pl.scan_parquet([file.uri for file in files], glob=False, **options)


def newest_of(name: str, source: Mapping[str, Any], file: File, column: str) -> str | None:
    """The newest event time in a file, in ISO 8601; None where it has no such column, or nothing in it."""
    rows = _scan(name, source, [file], {})
    if not isinstance(rows.collect_schema().get(column), pl.Date | pl.Datetime):
        return None
    newest = rows.select(pl.col(column).max()).collect()[column]
    utc = newest.cast(pl.Datetime("us", newest.dtype.time_zone if isinstance(newest.dtype, pl.Datetime) else None))
    moment = (utc if utc.dtype.time_zone else utc.dt.replace_time_zone("UTC")).dt.convert_time_zone("UTC").item()  # type: ignore[attr-defined]
    return None if moment is None else str(moment.isoformat())


def trouble(sources: Sources, root: str) -> list[str]:
    """What is wrong with files, by name, for when their rows could not be computed or are none: engines say what they
    choked on, but not where it was. Reads every file by itself."""
    found = []
    for name, source in sources.items():
        if source.get("path") and source["format"] != "delta":
            found += _trouble(name, source, find(name, source["path"], root)[1])
    return found


def places(sources: Sources, root: str) -> str:
    """Where rows are read from: ``data/2013.csv, data/2014.csv``; empty where that is no file."""
    files = [
        file.label
        for name, source in sources.items()
        if source.get("path") and source["format"] != "delta"
        for file in find(name, source["path"], root)[1]
    ]
    return f"{', '.join(files[:_SHOWN])}{f' and {len(files) - _SHOWN} more' if len(files) > _SHOWN else ''}"


def _trouble(name: str, source: Mapping[str, Any], files: Sequence[File]) -> list[str]:
    found, known, rows = [], dict[str, tuple[pl.DataType, File]](), 0
    for file in files:
        try:
            frame = _scan(name, source, [file], {})
            counts = frame.select(pl.len().alias(""), pl.all().count().name.prefix("of ")).collect().row(0, named=True)
        except WorkloadError as error:
            found.append(str(error))
            continue
        except Exception as error:
            found.append(f"source {name}: {file.label}: {first_line(error)}")
            continue
        rows += counts[""]
        for column, dtype in frame.collect_schema().items():
            other, where = known.setdefault(column, (dtype, file)) if counts[f"of {column}"] else (dtype, file)
            if other != dtype and not (other.is_numeric() and dtype.is_numeric()):
                found.append(f"source {name}: {column} is {dtype} in {file.label} and {other} in {where.label}")
    if not found and not rows:
        found.append(f"source {name}: there are no rows in {', '.join(file.label for file in files[:_SHOWN])}")
    return found


def options_of(name: str, form: str, source: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a source in Polars' words.

    Raises:
        WorkloadError: "UnknownOption".
    """
    known = _OPTIONS[form]
    translated: dict[str, Any] = {}
    for key, value in (source.get("options") or {}).items():
        if key not in known:
            raise WorkloadError(
                "UnknownOption",
                f"source {name}: {form} has no option {key!r}{did_you_mean(key, known)} (allowed: {', '.join(known)})",
            )
        translated[known[key]] = value
    if "missing_columns" in translated:
        translated["missing_columns"] = "insert" if translated["missing_columns"] else "raise"
    if form == "csv":
        # Guessing dtypes from the first rows alone would make the schema depend on the order of rows.
        translated.setdefault("infer_schema_length", None)
        if translated.get("encoding") not in (None, *csv.NATIVE):
            translated["encoding"] = "utf8"  # that is what it is turned into
    return translated


def call(entrypoint: str, /, **sources: pl.LazyFrame) -> pl.LazyFrame:
    """What a user's function returns, as a LazyFrame.

    Raises:
        WorkloadError: what ``load_entrypoint`` raises; "TransformFailed" with what the function raised, and where;
            "WrongType" for anything but a LazyFrame or DataFrame.
    """
    function = load_entrypoint(entrypoint)
    try:
        value = function(**sources)
    except WorkloadError:
        raise
    except Exception as error:
        raise WorkloadError("TransformFailed", f"{entrypoint} raised {raised(error)}") from error
    if isinstance(value, pl.DataFrame):
        return value.lazy()
    if not isinstance(value, pl.LazyFrame):
        raise WorkloadError(
            "WrongType", f"{entrypoint} returned {type(value).__name__}; a polars LazyFrame is expected"
        )
    return value
