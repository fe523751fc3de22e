"""A FeatureView before it is run: its SQL against the columns that its sources have, as far as they are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from framework import storage
from framework.api.nearest import nearest
from framework.workloads.context import WorkloadError
from framework.workloads.examining import Mistake
from framework.workloads.failures import first_line
from framework.workloads.features import aggregating, query, whole_table
from framework.workloads.features.checks.condition import condition
from framework.workloads.features.contract import gaps_of
from framework.workloads.features.dtypes import DTYPES
from framework.workloads.features.readers.reader import UNKNOWN, KnownSource
from framework.workloads.features.sources import asked_source, reader_of

_COLUMN = re.compile(r'unable to find column "(?P<name>.*?)"; valid columns: \[(?P<known>.*?)(?:\]|$)')
_COLUMN_OF = re.compile(r"no column named '(?P<name>.*?)' found in table '(?P<table>.*?)'")
_TABLE = re.compile(r"relation '(?P<name>.*?)' was not found")
_FUNCTION = re.compile(r"unsupported function '(?P<name>.*?)'")
_CERTAIN = re.compile(r"sql parser error: |relation |unsupported function |one \(and only one\) statement |datatype ")
"""What is wrong whatever columns there are."""


def look(question: Mapping[str, Any]) -> Iterator[Mistake]:
    """``question``: spec; views ({name: [[column, dtype], ...]} of each FeatureView that is read, as declared); root,
    where files are looked for (None: nowhere); whole, whether everything that is to be there is there."""
    spec, views = question["spec"], question["views"]
    known = dict[str, KnownSource]()
    for name, source in spec["sources"].items():
        known[name], mistakes = _known(name, source, views, question["root"], question["whole"])
        yield from mistakes
    files = tuple(file for source in known.values() for file in source.files)
    yield from (replace(mistake, files=files) for mistake in _rows(spec, known))
    yield from _later_rows(spec)
    yield from _expectations(spec)


# -- sources ---------------------------------------------------------------------------------------------------------


def _known(
    name: str, source: Mapping[str, Any], views: Mapping[str, Any], root: str | None, whole: bool
) -> tuple[KnownSource, Sequence[Mistake]]:
    """What is known of a source, and what is odd about it."""
    path = source.get("path")
    if path and (root is None or not storage.is_local(path)):
        return UNKNOWN, ()
    path_of = f'spec.sources["{name}"].path'
    try:
        asked = asked_source(name, source, root or "")
        reader = reader_of(asked)
        if root is not None and path:
            if _leaves(root, [asked.uri, f"{root}/{Path(path).parent}", *(file.uri for file in asked.files)]):
                return UNKNOWN, ()
            if reader.of_files and not asked.files:
                return UNKNOWN, _missing(path, root, path_of) if whole else ()
        return _called(name, source, reader.look(asked, views))
    except WorkloadError as error:
        told = Mistake(path_of, str(error), files=(path or "",), warning=True)
    except Exception as error:
        told = Mistake(path_of, f"cannot be read: {first_line(error)}", files=(path or "",), warning=True)
    return UNKNOWN, (told,) if whole else ()


def _called(name: str, asked: Mapping[str, Any], known: KnownSource) -> tuple[KnownSource, Sequence[Mistake]]:
    """A source as the spec calls its columns, and where they are not those that it must have."""
    if known.schema is None:
        return known, ()
    schema, names = known.schema, asked.get("rename") or {}
    mistakes = [
        Mistake(f'spec.sources["{name}"].{gap.field}', gap.told, files=known.files)
        for gap in gaps_of(asked, schema, sure=known.sure)
    ]
    if mistakes:
        return replace(known, schema=None), mistakes
    return replace(known, schema=pl.Schema({names.get(old, old): dtype for old, dtype in schema.items()})), ()


def _leaves(root: str, paths: Sequence[str]) -> bool:
    """Whether a link leads out of the project. Runs may read that; what is told here anybody may read."""
    return not all(Path(path).resolve().is_relative_to(Path(root).resolve()) for path in paths)


def _missing(path: str, root: str, path_of: str) -> Sequence[Mistake]:
    """A file that is not there may come by another way than the commit, unless its neighbours are there."""
    folder = Path(root) / Path(path).parent
    files = folder.iterdir() if folder.is_dir() else ()
    near = sorted(item.name for item in files if item.is_file() and not item.name.startswith("."))
    if not near:
        return ()
    likely = nearest(Path(path).name, near, cutoff=0.75)
    meant = (Path(path).parent / likely).as_posix() if likely else None
    allowed = (meant,) if meant else ()
    return (Mistake(path_of, storage.nothing_at(path), allowed, path, warning=True),)


# -- rows ------------------------------------------------------------------------------------------------------------


def _rows(spec: Mapping[str, Any], known: Mapping[str, KnownSource]) -> Iterator[Mistake]:
    """Mistakes of the transform, and columns that are declared and will not be there."""
    form = spec.get("transform")
    if form is None:
        (only,) = known.values()
        yield from _lacking(spec, only.schema, "the source has", only.sure)
    elif form.get("sql"):
        yield from _query(spec, form["sql"], known)
    else:
        yield from _lacking(spec, None, "", sure=False)


def _query(spec: Mapping[str, Any], sql: str, known: Mapping[str, KnownSource]) -> Iterator[Mistake]:
    path, sure = "spec.transform.sql", all(source.sure for source in known.values())
    frames = {name: pl.LazyFrame(schema=source.schema or {}) for name, source in known.items()}
    complete = all(source.schema is not None for source in known.values())
    try:
        query.refuse_files(sql)
        schema = _yielded(frames, sql)
    except WorkloadError as error:
        yield Mistake(path, str(error))
    except (pl.exceptions.SQLInterfaceError, pl.exceptions.SQLSyntaxError) as error:
        if complete or _CERTAIN.match(first_line(error)):
            yield _placed(path, sql, first_line(error), tuple(known), frames)
    except pl.exceptions.ColumnNotFoundError as error:
        if complete:
            yield _placed(path, sql, first_line(error), tuple(known), frames)
    except Exception as error:  # dtypes do not fit: certain only where none was guessed
        if sure:
            yield Mistake(path, first_line(error))
    else:
        yield from _lacking(spec, schema if complete else None, "the SQL yields", sure)


def _yielded(frames: Mapping[str, pl.LazyFrame], sql: str) -> pl.Schema:
    """The columns of a query over sources of which there is nothing but their columns. What is told of it anybody may
    read, an error of the engine too, so its plan may hold no file."""
    try:
        rows = pl.SQLContext(frames=dict(frames)).execute(sql, eager=False)
        query.refuse_scans(rows.explain(optimized=False))
        return rows.collect_schema()
    except pl.exceptions.PolarsError as error:
        query.refuse_scans(str(error))
        raise


def _placed(path: str, sql: str, line: str, tables: tuple[str, ...], frames: Mapping[str, pl.LazyFrame]) -> Mistake:
    """The engine's message in our words, where it is about a name, and at the place where that stands."""
    if found := _COLUMN.match(line):
        known = tuple(re.findall(r'"(.*?)"', found["known"]))
        together = tuple(dict.fromkeys(name for frame in frames.values() for name in frame.collect_schema().names()))
        # The engine names those that are left of a source once it has been narrowed to what is used.
        known = together if set(known) <= set(together) else known
        return _named(path, sql, f"no column {found['name']!r}", found["name"], known)
    if found := _COLUMN_OF.match(line):
        frame = frames.get(found["table"])
        columns = tuple(frame.collect_schema().names()) if frame is not None else ()
        return _named(path, sql, f"{found['table']} has no column {found['name']!r}", found["name"], columns)
    if found := _TABLE.match(line):
        return _named(path, sql, f"no source {found['name']!r}", found["name"], tables)
    if found := _FUNCTION.match(line):
        return _named(path, sql, line, found["name"], ())
    message, row, column = query.place_in(line.removeprefix("sql parser error: "))
    return Mistake(path, message, line=row, column=column)


def _named(path: str, sql: str, message: str, name: str, allowed: tuple[str, ...]) -> Mistake:
    row, column = query.place_of(sql, name)
    return Mistake(path, message, allowed, name, row, column)


def _lacking(spec: Mapping[str, Any], schema: pl.Schema | None, has: str, sure: bool) -> Iterator[Mistake]:
    """Columns that are declared and that neither the rows have, as far as they are known, nor the aggregations make,
    and what is wrong with these. ``sure``: the dtypes of the rows are certain."""
    asked = spec.get("aggregations") or ()
    made = {item["name"] for item in asked}
    if schema is None:
        for index, item in enumerate(asked):
            if item.get("where") and (told := aggregating.mistake(item["where"], None)):
                yield Mistake(f"spec.aggregations[{index}].where", f"{item['where']!r} {told}")
        return
    for index, column in enumerate(spec["columns"]):
        name = column["name"]
        if name not in schema and name not in made:
            yield Mistake(f"spec.columns[{index}].name", f"{has} no column {name!r}", tuple(schema), name)
    for fault in aggregating.faults(spec, schema):
        message = f"{has} {fault.told}" if fault.wanted else fault.told
        unsure = not sure and fault.wanted is None
        yield Mistake(f"spec.{fault.field}", message, fault.allowed, fault.wanted, warning=unsure)


def _later_rows(spec: Mapping[str, Any]) -> Iterator[Mistake]:
    """A table without event times is taken to have been known always."""
    sql = (spec.get("transform") or {}).get("sql")
    for found in whole_table.looks(sql, spec["timestamp"]) if sql and spec.get("timestamp") else ():
        message = (
            f"{found.told}: no row could know that at its time. What is fitted to data (a scaler, an encoder, what "
            "stands in for missing values) belongs to the model; what goes up to each row, under aggregations"
        )
        yield Mistake("spec.transform.sql", message, line=found.line, column=found.column, warning=True)


# -- expectations ----------------------------------------------------------------------------------------------------


def _expectations(spec: Mapping[str, Any]) -> Iterator[Mistake]:
    rows = pl.Schema({column["name"]: DTYPES[column["dtype"]] for column in spec["columns"]})
    for index, asked in enumerate(spec.get("expectations") or ()):
        path = f"spec.expectations[{index}]"
        if asked.get("sql"):
            yield from _condition(path, asked, rows)
        if asked.get("matches"):
            try:
                pl.select(pl.lit("").str.contains(f"^(?:{asked['matches']})$"))
            except Exception as error:
                yield Mistake(f"{path}.matches", f"no regular expression: {_of_regex(error)}")


def _condition(path: str, asked: Mapping[str, Any], rows: pl.Schema) -> Iterator[Mistake]:
    sql = asked["sql"]
    try:
        _, whole = condition(rows, sql)
    except WorkloadError as error:
        line = first_line(error.__cause__) if error.__cause__ else str(error)
        yield _placed(f"{path}.sql", sql, line, (), {})
        return
    if whole and asked.get("tolerance"):
        message = "a condition on the whole table takes no tolerance, which is a share of rows"
        yield Mistake(f"{path}.tolerance", message)


def _of_regex(error: Exception) -> str:
    """The engine draws the pattern and points at it; the last line says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("error: ")]
    return said[0].removeprefix("error: ") if said else lines[0]
