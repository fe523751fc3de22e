"""CSV files as one lazy frame: what all of them hold decides the dtypes, and what cannot be read has a name."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from framework.api.sources import ENCODINGS
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.features.dtypes import DTYPES, widest
from framework.workloads.features.readers.csv_faults import examples, no_numbers, ragged, unreachable
from framework.workloads.features.readers.csv_parts import CsvFile, parts_of
from framework.workloads.features.readers.files import File
from framework.workloads.features.readers.reader import AskedSource, FileReader, KnownSource, options_of

_INFERRED = 100
"""Rows by which dtypes are guessed before a run: names are what matters there."""


@dataclass(frozen=True)
class Read:
    """A part, its columns as they are to be read, and those of them that have a value."""

    part: CsvFile
    schema: Mapping[str, pl.DataType]
    valued: frozenset[str]


class CsvReader(FileReader):
    def rows(self, source: AskedSource, files: Sequence[File]) -> pl.LazyFrame:
        return _together(source.name, _parts(source, files), _options(source), source.declared)

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        first = source.files[0]
        (part, *_) = _parts(source, [first])
        schema = part.scan({**_options(source), "infer_schema_length": _INFERRED}).collect_schema()
        return KnownSource(schema, False, (first.label,))

    def trouble(self, source: AskedSource) -> Iterator[str]:
        yield from super().trouble(source)
        options = _options(source)
        for file in source.files:
            with suppress(WorkloadError, pl.exceptions.PolarsError):  # which is told already
                for part in _parts(source, [file]):
                    rows = part.scan({**options, "infer_schema_length": None})
                    yield from (f"source {source.name}: {told}" for told in no_numbers(part, options, rows))


def _parts(source: AskedSource, files: Sequence[File]) -> list[CsvFile]:
    return parts_of(source.name, files, source.options.get("encoding", "utf8"))


def _options(source: AskedSource) -> dict[str, Any]:
    options = options_of(source)
    # Guessing dtypes from the first rows alone would make the schema depend on the order of rows.
    options.setdefault("infer_schema_length", None)
    if ENCODINGS.get(options.get("encoding", "utf8")) is not None:
        options["encoding"] = "utf8"  # that is what it is turned into
    return options


def _together(
    name: str, parts: Sequence[CsvFile], options: Mapping[str, Any], declared: Mapping[str, str]
) -> pl.LazyFrame:
    """The rows of all ``parts``. ``options`` are in Polars' words; ``declared`` gives the dtype (in a spec's words) of
    columns that have no value anywhere and so cannot tell.

    A column has the dtype of its values in all files together, whichever come first and however many have none.

    Raises:
        WorkloadError: "SourceUnreadable", "MissingColumn" or "WrongType", naming the file.
    """
    reads = [_read(name, part, options) for part in parts]
    _same_columns(name, reads)
    merged = pl.Schema()
    for column in reads[0].schema:
        dtypes = [read.schema[column] for read in reads if column in read.valued]
        merged[column] = widest(dtypes) if dtypes else DTYPES.get(declared.get(column, ""), pl.String())
    given, frames = _reading(options), []
    for schema, some in _alike(reads, merged):
        sources = [[data for data in some if isinstance(data, kind)] for kind in (str, bytes)]
        for data in filter(None, sources):
            held: Any = [io.BytesIO(item) if isinstance(item, bytes) else item for item in data]
            frames.append(pl.scan_csv(held, glob=False, **given, schema=schema).select(list(merged)).cast(merged))
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _read(name: str, part: CsvFile, options: Mapping[str, Any]) -> Read:
    try:
        schema = dict(part.scan(options).collect_schema())
        return Read(part, schema, _valued(name, part, options, schema))
    except WorkloadError:
        raise
    except pl.exceptions.NoDataError as error:
        told = f"source {name}: {part.label} has no header: it is empty, or skipRows leaves nothing of it"
        raise WorkloadError("SourceUnreadable", told) from error
    except Exception as error:
        raise WorkloadError("SourceUnreadable", f"source {name}: {part.label}: {_hint(error)}") from error


def _reading(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options once the schema is known."""
    return {key: value for key, value in options.items() if key != "infer_schema_length"}


def _valued(name: str, part: CsvFile, options: Mapping[str, Any], schema: Mapping[str, pl.DataType]) -> frozenset[str]:
    """The columns that have a value, from a look at all rows. Numbers that no float is near to are refused: 1e400 would
    be read as infinity and 1e-400 as nothing. Infinity that is written as such is what it says.

    Raises:
        WorkloadError: "SourceUnreadable" for a row that has more or fewer fields than the header, with its line;
            "WrongType" with column, count and examples.
    """
    floats = [column for column, dtype in schema.items() if dtype.is_float()]
    texts = {column: pl.String() if column in floats else dtype for column, dtype in schema.items()}
    written = part.scan({**_reading(options), "schema": texts})
    if options.get("decimal_comma"):
        written = written.with_columns(pl.col(floats).str.replace(",", ".", literal=True))
    asked = [
        pl.len().alias("rows"),
        pl.all().count().name.prefix("of "),
        *(unreachable(column).implode().alias(f"lost {column}") for column in floats),
    ]
    try:
        found = written.select(asked).collect().row(0, named=True)
    except pl.exceptions.ComputeError as error:
        if told := ragged(part, options):
            raise WorkloadError("SourceUnreadable", f"source {name}: {told}") from error
        raise
    counts = {column: found[f"of {column}"] for column in schema}
    *others, last = schema
    # A row that ends too early reads as one whose last values are missing.
    if others and counts[last] < found["rows"] and (told := ragged(part, options)):
        raise WorkloadError("SourceUnreadable", f"source {name}: {told}")
    told = "; ".join(
        f"{column}: {len(some):,} of {counts[column]:,} values {'is' if len(some) == 1 else 'are'} not to be had as "
        f"{schema[column]} unchanged, e.g. {examples(some)}"
        for column in floats
        if (some := found[f"lost {column}"])
    )
    if told:
        raise WorkloadError("WrongType", f"source {name}: {part.label}: {told}")
    return frozenset(column for column, count in counts.items() if count)


def _same_columns(name: str, reads: Sequence[Read]) -> None:
    first = reads[0]
    for read in reads[1:]:
        odd = sorted(first.schema.keys() ^ read.schema.keys())
        if odd:
            has = [f"{'no' if column in first.schema else 'a'} column {column!r}" for column in odd]
            told = f"source {name}: {read.part.label} has {' and '.join(has)}, other than {first.part.label}"
            raise WorkloadError("MissingColumn", told)


def _alike(
    reads: Iterable[Read], merged: Mapping[str, pl.DataType]
) -> Iterator[tuple[dict[str, pl.DataType], list[str | bytes]]]:
    """Parts in their order, those next to each other that are read alike together. What is text in one of them is read
    as text in all: 007 must not have become 7 before."""
    for key, group in groupby(reads, lambda read: tuple(_schema(read, merged).items())):
        yield dict(key), [read.part.data for read in group]


def _schema(read: Read, merged: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    return {
        column: merged[column] if merged[column] == pl.String or column not in read.valued else dtype
        for column, dtype in read.schema.items()
    }


def _hint(error: Exception) -> str:
    line = first_line(error)
    if "utf-8" not in line:
        return line
    return f"{line}: it is not UTF-8; say options: {{encoding: ...}} ({', '.join(ENCODINGS)})"
