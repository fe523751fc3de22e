"""Where a FeatureView's rows come from: every source as a lazy Polars frame."""

from __future__ import annotations

import importlib
import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from framework import storage
from framework.workloads.context import WorkloadError
from framework.workloads.failures import place_of, raised
from framework.workloads.features.closest import suggestion

_CSV_OPTIONS = {
    "nullValues": "null_values",
    "separator": "separator",
    "quoteChar": "quote_char",
    "hasHeader": "has_header",
    "skipRows": "skip_rows",
    "encoding": "encoding",
    "inferSchemaLength": "infer_schema_length",
    "parseDates": "try_parse_dates",
    "commentPrefix": "comment_prefix",
}
"""Spec word -> Polars word."""
_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "csv": _CSV_OPTIONS,
    "parquet": {"hivePartitioning": "hive_partitioning", "allowMissingColumns": "missing_columns"},
    "delta": {"version": "version"},
}


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
            "EntrypointMissing", f"{module_name} has no function {attribute!r}{suggestion(attribute, names)}"
        )
    return found  # type: ignore[no-any-return]


def read_sources(
    sources: Mapping[str, Mapping[str, Any]], root: str, upstream: Mapping[str, Mapping[str, Any]]
) -> dict[str, pl.LazyFrame]:
    """One LazyFrame per source of the spec (JSON by alias), in the order of the spec.

    ``upstream`` pins the published version {uri, version} of every FeatureView that is read.

    Raises:
        WorkloadError: "SourceMissing", "UnknownOption", "UnsupportedSource", "UpstreamMissing", "SourceUnreadable".
    """
    return {name: _read(name, source, root, upstream) for name, source in sources.items()}


def _read(name: str, source: Mapping[str, Any], root: str, upstream: Mapping[str, Mapping[str, Any]]) -> pl.LazyFrame:
    if source.get("path"):
        return _read_path(name, source, root)
    if source.get("featureView"):
        pinned = upstream.get(source["featureView"])
        if pinned is None:
            raise WorkloadError(
                "UpstreamMissing", f"source {name}: FeatureView/{source['featureView']} is not published"
            )
        return pl.scan_delta(pinned["uri"], version=int(pinned["version"]))
    if source.get("function"):
        return call(source["function"])
    raise WorkloadError(
        "UnsupportedSource", f"source {name}: sql sources need a connection, which no Environment has yet"
    )


def _read_path(name: str, source: Mapping[str, Any], root: str) -> pl.LazyFrame:
    try:
        uri = storage.resolve_path(source["path"], root)
    except ValueError as error:
        raise WorkloadError("PathOutsideRoot", f"source {name}: {error}") from error
    form = source["format"]
    options = _options(name, form, source.get("options") or {})
    if form == "delta":
        return pl.scan_delta(uri, **options)
    files = [item.uri for item in storage.match_files(uri)]
    if not files:
        raise WorkloadError("SourceMissing", f"source {name}: no file at {source['path']}", data={"path": uri})
    if form == "parquet":
        return pl.scan_parquet(files, **options)
    return _scan_csv(name, files, options)


def _scan_csv(name: str, files: list[str], options: Mapping[str, Any]) -> pl.LazyFrame:
    plain = [file for file in files if not file.endswith(".zip")]
    frames = [pl.scan_csv(plain, **options)] if plain else []
    for file in files:
        if file.endswith(".zip"):
            frames += [pl.scan_csv(io.BytesIO(member), **options) for member in _members(name, file)]
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed")


def _members(name: str, file: str) -> list[bytes]:
    """The CSV files inside a zip, in the order of their names."""
    data = storage.read_bytes(file)
    if data is None:
        raise WorkloadError("SourceMissing", f"source {name}: {file} vanished while it was read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = sorted(item for item in archive.namelist() if item.endswith(".csv") and "__MACOSX" not in item)
            if not names:
                raise WorkloadError("SourceUnreadable", f"source {name}: {file} holds no .csv file")
            return [archive.read(item) for item in names]
    except zipfile.BadZipFile as error:
        raise WorkloadError("SourceUnreadable", f"source {name}: {file} is not a zip file") from error


def _options(name: str, form: str, options: Mapping[str, Any]) -> dict[str, Any]:
    known = _OPTIONS[form]
    translated: dict[str, Any] = {}
    for key, value in options.items():
        if key not in known:
            raise WorkloadError(
                "UnknownOption",
                f"source {name}: {form} has no option {key!r}{suggestion(key, known)} (allowed: {', '.join(known)})",
            )
        translated[known[key]] = value
    if "missing_columns" in translated:
        translated["missing_columns"] = "insert" if translated["missing_columns"] else "raise"
    if form == "csv":
        # Guessing dtypes from the first rows alone would make the schema depend on the order of rows.
        translated.setdefault("infer_schema_length", None)
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
