"""CSV files as one lazy frame: what all of them hold decides the dtypes, and what cannot be read has a name."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from framework.api.sources import ENCODINGS
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.features.dtypes import DTYPES
from framework.workloads.features.readers.csv_parts import CsvFile, parts_of
from framework.workloads.features.readers.files import File
from framework.workloads.features.readers.reader import AskedSource, FileReader, KnownSource, options_of

_GLANCE = 64
"""Rows in which most columns show a value, so that few have to be looked through."""
_INFERRED = 100
"""Rows by which dtypes are guessed before a run: names are what matters there."""
_EXAMPLES = 3
_LONGEST_EXAMPLE = 40


@dataclass(frozen=True)
class Read:
    """A part, its columns as they are to be read, and those of them that have a value."""

    part: CsvFile
    schema: Mapping[str, pl.DataType]
    valued: frozenset[str]


class Csv(FileReader):
    def rows(self, source: AskedSource, files: Sequence[File]) -> pl.LazyFrame:
        return _together(source.name, _parts(source, files), _options(source), source.declared)

    def look(self, source: AskedSource, views: Mapping[str, Any]) -> KnownSource:
        first = source.files[0]
        (part, *_) = _parts(source, [first])
        schema = part.scan({**_options(source), "infer_schema_length": _INFERRED}).collect_schema()
        return KnownSource(schema, False, (first.label,))


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
        merged[column] = _widest(dtypes) if dtypes else DTYPES.get(declared.get(column, ""), pl.String())
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
        rows = part.scan({**_reading(options), "schema": schema})
        _refuse_unreachable(name, part, options, schema)
        return Read(part, schema, frozenset(schema) - _without_value(rows, schema))
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


def _without_value(rows: pl.LazyFrame, schema: Mapping[str, pl.DataType]) -> frozenset[str]:
    """Columns without any value, which are read as text. Most text shows at a glance that it is some."""
    texts = [column for column, dtype in schema.items() if dtype == pl.String]
    glance = rows.select(texts).head(_GLANCE).collect()
    silent = [column for column in texts if glance[column].null_count() == glance.height]
    if silent and glance.height == _GLANCE:
        counts = rows.select(pl.col(silent).count()).collect().row(0, named=True)
        silent = [column for column in silent if not counts[column]]
    return frozenset(silent)


def _refuse_unreachable(
    name: str, part: CsvFile, options: Mapping[str, Any], schema: Mapping[str, pl.DataType]
) -> None:
    """Refuse numbers that no float is near to: 1e400 would be read as infinity and 1e-400 as nothing. Infinity that is
    written as such is what it says.

    Raises:
        WorkloadError: "WrongType" with column, count and examples.
    """
    floats = [column for column, dtype in schema.items() if dtype.is_float()]
    if not floats:
        return
    texts = {column: pl.String() if column in floats else dtype for column, dtype in schema.items()}
    written = part.scan({**_reading(options), "schema": texts})
    counts, examples = pl.col(floats).count().name.prefix("of "), [_unreachable(column) for column in floats]
    found = written.select(counts, *(some.implode() for some in examples)).collect().row(0, named=True)
    told = [
        f"{column}: {len(lost):,} of {found[f'of {column}']:,} values {'is' if len(lost) == 1 else 'are'} not to be "
        f"had as {schema[column]} unchanged, e.g. {_shown(lost)}"
        for column in floats
        if (lost := found[column])
    ]
    if told:
        raise WorkloadError("WrongType", f"source {name}: {part.label}: {'; '.join(told)}")


def _unreachable(column: str) -> pl.Expr:
    """The values of a column of text that a float makes infinity or nothing of. Only an exponent, or hundreds of
    digits, lead there."""
    text = pl.col(column).str.strip_chars()
    likely = pl.col(column).filter(text.str.contains(r"[eE]|.{300}"))
    value, bare = likely.str.strip_chars().cast(pl.Float64, strict=False), likely.str.replace(r"[eE].*", "")
    vanishes = (value == 0) & bare.str.contains("[1-9]")
    return likely.filter(((value.is_infinite() & bare.str.contains("[0-9]")) | vanishes).fill_null(False))


def _shown(some: Sequence[str]) -> str:
    """A few different ones."""
    few = [text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE]}…" for text in dict.fromkeys(some)]
    return ", ".join(map(repr, few[:_EXAMPLES]))


def _same_columns(name: str, reads: Sequence[Read]) -> None:
    first = reads[0]
    for read in reads[1:]:
        odd = sorted(first.schema.keys() ^ read.schema.keys())
        if odd:
            has = [f"{'no' if column in first.schema else 'a'} column {column!r}" for column in odd]
            told = f"source {name}: {read.part.label} has {' and '.join(has)}, other than {first.part.label}"
            raise WorkloadError("MissingColumn", told)


def _widest(dtypes: Sequence[pl.DataType]) -> pl.DataType:
    """The dtype that has room for all of ``dtypes``; text where they are different kinds of things."""
    first, *others = dict.fromkeys(dtypes)
    if not others:
        return first
    if all(dtype.is_numeric() for dtype in dtypes):
        floats = any(dtype.is_float() for dtype in dtypes)
        return pl.Float64() if floats else pl.Int128()
    naive = pl.Datetime("us")
    return naive if all(dtype in (pl.Date(), naive) for dtype in dtypes) else pl.String()


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
