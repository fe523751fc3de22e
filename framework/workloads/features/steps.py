"""A view's computation step by step: what is there after each source, each table that its SQL names, and at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from framework.figures import TransformStep, TransformSteps
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line, raised
from framework.workloads.features import query
from framework.workloads.features.figures import figures_of
from framework.workloads.features.sources import Sources, read_sources
from framework.workloads.features.transform import OF_THE_ENGINE, compute, declared, transform

_WITH = re.compile(r"\s*WITH\b(?!\s+RECURSIVE\b)", re.IGNORECASE)
_TABLE = re.compile(r"\s*(\w+)\s*AS\s*(?:(?:NOT\s+)?MATERIALIZED\s*)?\(", re.IGNORECASE)
_NEXT = re.compile(r"\s*,")
_BRACKET = re.compile(r"[()]")


def steps(spec: Mapping[str, Any], root: str, upstream: Sources) -> TransformSteps:
    """What there is after every step, up to the first one that fails. Arguments are those of ``compute``. Nothing is
    written, and what comes before a step is computed again for it."""
    found: list[TransformStep] = []
    name = next(iter(spec["sources"]))
    try:
        for name, what, reads, rows in _lazily(spec, root, upstream):
            found.append(_looked_at(name, what, reads, rows))
        reads, name = (name,), "the columns of the view"
        found.append(_looked_at(name, "as published", reads, compute(spec, root, upstream).lazy()))
    except WorkloadError as error:
        return TransformSteps(tuple(found), f"{error.reason}: {error}")
    except OF_THE_ENGINE as error:
        return TransformSteps(tuple(found), f"TransformFailed: {name}: {first_line(error)}")
    except Exception as error:  # what a user's function raised, once the engine came to it
        return TransformSteps(tuple(found), f"TransformFailed: {name}: {raised(error)}")
    return TransformSteps(tuple(found))


def _looked_at(name: str, what: str, reads: tuple[str, ...], rows: pl.LazyFrame) -> TransformStep:
    columns = figures_of(rows)
    return TransformStep(name, what, columns[0].rows if columns else 0, columns, reads)


_Step = tuple[str, str, tuple[str, ...], pl.LazyFrame]
"""Name, what it is, names of the steps that it reads, rows."""


def _lazily(spec: Mapping[str, Any], root: str, upstream: Sources) -> Iterator[_Step]:
    """Each step but the last one."""
    words = dict(declared(spec))
    sources: dict[str, pl.LazyFrame] = {}
    for name, source in spec["sources"].items():
        sources |= read_sources({name: source}, root, upstream, words)
        yield name, "source", (), sources[name]
    form = spec.get("transform")
    if form is None:
        return
    if not form.get("sql"):
        yield form["function"], "transform", tuple(sources), transform(form, sources)
        return
    known = list(sources)
    for table in tables_of(form["sql"]):
        reads = _named_in(table.text, known)
        yield (
            table.name or "the SQL",
            "table of the SQL" if table.name else "transform",
            reads,
            transform({"sql": table.sql}, sources),
        )
        known.append(table.name)


def _named_in(text: str, names: Sequence[str]) -> tuple[str, ...]:
    places = {name: query.place_of(text, name) for name in names}
    return tuple(sorted((name for name in names if places[name] != (0, 0)), key=lambda name: places[name]))


class SqlTable(NamedTuple):
    """A table that a WITH names, the ``text`` that says what it is, and the ``sql`` that yields its rows. What comes of
    the whole has no name."""

    name: str
    text: str
    sql: str


def tables_of(sql: str) -> Iterator[SqlTable]:
    """The tables that a WITH before a SELECT names, in order, and last what comes of the whole. Where there is no WITH,
    or it is not certain where something in it ends, that one is all.

    >>> next(tables_of("WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT x FROM b")).sql
    'WITH a AS (SELECT 1 AS x) SELECT * FROM a'
    """
    plain = query.without_quotes(sql)
    begun = _WITH.match(plain)
    end = begun.end() if begun else len(plain)
    while found := _TABLE.match(plain, end):
        closed = _closing(plain, found.end())
        if closed is None:
            break
        name = sql[slice(*found.span(1))]
        whole = f"{sql[:closed]} SELECT * FROM {name}"  # noqa: S608 (all of it is the view's own SQL)
        yield SqlTable(name.strip('"`'), sql[found.end() : closed], whole)
        further = _NEXT.match(plain, closed)
        end = closed if further is None else further.end()
        if further is None:
            break
    yield SqlTable("", sql[end:] if begun else sql, sql)


def _closing(plain: str, start: int) -> int | None:
    """Behind the bracket that closes the one before ``start``; None where none does."""
    depth = 1
    for found in _BRACKET.finditer(plain, start):
        depth += 1 if found[0] == "(" else -1
        if not depth:
            return found.end()
    return None
