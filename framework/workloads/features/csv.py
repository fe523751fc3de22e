"""CSV files as one lazy frame: what all of them hold decides the dtypes, and what cannot be read has a name."""

from __future__ import annotations

import codecs
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.features.dtypes import DTYPES
from framework.workloads.features.files import HEAD, File

OPTIONS = {
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

NATIVE = ("utf8", "utf8-lossy")
_CODECS = {"latin1": "latin-1", "windows-1252": "cp1252", "utf16": "utf-16"}
ENCODINGS = (*NATIVE, *_CODECS)
"""What ``encoding`` may say. Polars reads the first two; the others are turned into UTF-8 in memory."""

_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x78\x01", b"\x78\x9c", b"\x78\xda")
"""How gzip, zstd and zlib begin, which Polars opens itself."""

_GLANCE = 64
"""Rows in which most columns show a value, so that few have to be looked through."""


_EXAMPLES = 3

_LONGEST_EXAMPLE = 40


@dataclass(frozen=True)
class CsvFile:
    """One CSV file: ``label`` is how a user knows it, ``data`` its URI, or its bytes where Polars cannot open it."""

    label: str
    data: str | bytes

    def scan(self, options: Mapping[str, Any]) -> pl.LazyFrame:
        return pl.scan_csv(io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data, glob=False, **options)


@dataclass(frozen=True)
class Read:
    """A part, its columns as they are to be read, and those of them that have a value."""

    part: CsvFile
    schema: Mapping[str, pl.DataType]
    valued: frozenset[str]


def parts_of(name: str, files: Sequence[File], encoding: str) -> list[CsvFile]:
    """The CSV files that ``files`` are or hold: a zip may hold several.

    Raises:
        WorkloadError: "SourceUnreadable", naming the file, for what is no CSV file or has another encoding.
    """
    codec, found = _CODECS.get(encoding), list[CsvFile]()
    for file in files:
        if file.uri.endswith(".zip"):
            found += [_part(name, f"{file.label}:{member}", data, codec) for member, data in _members(name, file)]
        elif codec is None and file.native:
            head = file.head()
            file.recognise(name, head)
            _refuse_utf16(name, file.label, head)
            found.append(CsvFile(file.label, file.uri))
        else:
            found.append(_part(name, file.label, file.read(name), codec))
    return found


def scan(name: str, parts: Sequence[CsvFile], options: Mapping[str, Any], declared: Mapping[str, str]) -> pl.LazyFrame:
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
        merged[column] = _together(dtypes) if dtypes else DTYPES.get(declared.get(column, ""), pl.String())
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


def _together(dtypes: Sequence[pl.DataType]) -> pl.DataType:
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


# -- bytes -----------------------------------------------------------------------------------------------------------


def _members(name: str, file: File) -> list[tuple[str, bytes]]:
    """The CSV files inside a zip, in the order of their names."""
    try:
        with zipfile.ZipFile(io.BytesIO(file.read(name))) as archive:
            names = sorted(item for item in archive.namelist() if item.endswith(".csv") and "__MACOSX" not in item)
            if not names:
                raise WorkloadError("SourceUnreadable", f"source {name}: {file.label} holds no .csv file")
            return [(item, archive.read(item)) for item in names]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        told = f"source {name}: {file.label} is not a zip file that can be read: {first_line(error)}"
        raise WorkloadError("SourceUnreadable", told) from error


def _part(name: str, label: str, data: bytes, codec: str | None) -> CsvFile:
    if codec is None:
        _refuse_utf16(name, label, data[:HEAD])
        return CsvFile(label, data)
    try:
        return CsvFile(label, data.decode(codec).encode())
    except UnicodeDecodeError as error:
        raise WorkloadError("SourceUnreadable", f"source {name}: {label} is not {codec}: {error.reason}") from error


def _refuse_utf16(name: str, label: str, head: bytes) -> None:
    """Half of what UTF-16 makes of plain text is zeros; what is compressed has some as well, and says what it is."""
    if head.startswith(_COMPRESSED):
        return
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or head.count(0) * 3 > len(head):
        told = f"source {name}: {label} looks like UTF-16: say options: {{encoding: utf16}}"
        raise WorkloadError("SourceUnreadable", told)


def _hint(error: Exception) -> str:
    line = first_line(error)
    if "utf-8" not in line:
        return line
    return f"{line}: it is not UTF-8; say options: {{encoding: ...}} ({', '.join(ENCODINGS)})"
