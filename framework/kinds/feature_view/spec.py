"""The FeatureView as a user writes it."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from framework.api.categories import Category
from framework.api.fields import CronExpression, DataPath, Duration, Entrypoint, Fraction, exactly_one, ordered
from framework.api.meta import Name, Strict
from framework.api.written import Names, Text

Dtype = Literal[
    "Boolean",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float32",
    "Float64",
    "String",
    "Date",
    "Datetime",
]
"""Polars dtypes that Delta stores. ``Datetime`` is microseconds in UTC."""


class Source(Strict):
    """Where rows come from. Exactly one of ``path`` (with ``format``), ``sql``, ``featureView`` and ``function``."""

    format: Literal["csv", "parquet", "delta"] | None = Field(
        None, description="How the files at path are read; csv may lie in a zip"
    )
    path: DataPath | None = Field(
        None, description="Relative to the project's root, or any fsspec URL; globs such as data/*.parquet are allowed"
    )
    sql: Text | None = Field(None, description="A query; the connection comes from the Environment")
    connection: Text | None = Field(
        None, description="For sql: the Environment's name of the connection; default: its only one"
    )
    featureView: Name | None = Field(None, description="Another FeatureView, at its published version")
    function: Entrypoint | None = Field(
        None, description="package.module:attribute; called without arguments, returns a LazyFrame"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="For path: options of the reader, e.g. nullValues or separator for csv"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origin = exactly_one(self, "path", "sql", "featureView", "function")
        if origin == "path" and self.format is None:
            raise ValueError("path needs a format")
        for field, owner, given in (
            ("format", "path", self.format is not None),
            ("options", "path", bool(self.options)),
            ("connection", "sql", self.connection is not None),
        ):
            if given and origin != owner:
                raise ValueError(f"{field} belongs to {owner}, and this source has {origin}")
        return self


class Transform(Strict):
    """Sources in, one table out. Exactly one form; without a transform the single source is taken as it is."""

    sql: Text | None = Field(None, description="A SELECT in Polars' SQL; every source is a table of its name")
    function: Entrypoint | None = Field(
        None, description="package.module:attribute; LazyFrames by source name in, LazyFrame out"
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        exactly_one(self, "sql", "function")
        return self


class Column(Strict):
    """A column of the published table. The transform must yield it; what it yields besides is left out."""

    name: Text = Field(description="As the transform names it")
    dtype: Dtype = Field(description="Polars dtype; Datetime is microseconds in UTC")
    description: str | None = Field(None, description="For people, with the unit; a change of it rebuilds nothing")


class RowCount(Strict):
    """Bounds on the number of rows."""

    min: int | None = Field(None, ge=0, description="The least, in rows")
    max: int | None = Field(None, ge=0, description="The most, in rows")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        ordered(self, "min", "max")
        return self


class QuantileBound(Strict):
    """Bounds on a quantile of a column."""

    q: Fraction = Field(description="Which quantile: 0.5 is the median")
    min: float | None = Field(None, description="The least, in the column's unit")
    max: float | None = Field(None, description="The most, in the column's unit")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        ordered(self, "min", "max")
        return self


_OF_COLUMN = ("between", "notNull", "oneOf", "matches", "quantile")
_OF_ROWS = ("between", "notNull", "oneOf", "matches", "unique", "sql")
"""Checks that single rows fail, so that a share of them may."""


class Expectation(Strict):
    """One check on the rows before they are published; one that fails publishes nothing."""

    column: str | None = Field(None, description="For between, notNull, oneOf, matches and quantile: what is checked")
    between: tuple[float, float] | None = Field(None, description="[lowest, highest], both allowed; nulls pass")
    notNull: bool | None = Field(None, description="true: no value may be missing")
    oneOf: tuple[str | int | float | bool, ...] | None = Field(
        None, min_length=1, description="The values allowed; nulls pass"
    )
    matches: str | None = Field(None, description="A regular expression that the whole value matches; nulls pass")
    quantile: QuantileBound | None = Field(None, description="Bounds on a quantile of the column")
    unique: Names | None = Field(None, description="Columns whose values together occur once at most")
    rows: RowCount | None = Field(None, description="Bounds on the number of rows")
    freshness: Duration | None = Field(None, description="The newest event time is at most this old")
    sql: Text | None = Field(None, description="A condition that holds for each row")
    tolerance: Fraction = Field(
        0.0, description="The share of rows that may fail a check on rows: 0.001 is one in 1,000"
    )

    @model_validator(mode="after")
    def _one_check(self) -> Self:
        check = exactly_one(
            self, "between", "notNull", "oneOf", "matches", "quantile", "unique", "rows", "freshness", "sql"
        )
        needs_column = check in _OF_COLUMN
        if needs_column != (self.column is not None):
            raise ValueError(f"{check} {'needs' if needs_column else 'takes no'} column")
        if self.notNull is False:
            raise ValueError("notNull: false checks nothing; leave the expectation out")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("between: the lower bound must not exceed the upper")
        if self.tolerance and check not in _OF_ROWS:
            raise ValueError(f"{check} is a check on the whole table and takes no tolerance")
        return self


class Materialization(Strict):
    """When rows are computed again besides a change of the spec. Without ``schedule`` and ``every``: never."""

    mode: Literal["full", "incremental"] = Field(
        "full", description="full: all rows anew; incremental: only those of event times since the last run"
    )
    schedule: CronExpression | None = Field(None, description="Cron of five fields, in UTC, e.g. 0 * * * *")
    every: Duration | None = Field(None, description="Look for new source data this often")
    retention: Duration | None = Field(
        None, description="Rows with an older event time are dropped; default: all are kept"
    )

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if self.schedule is not None and self.every is not None:
            raise ValueError("schedule and every exclude each other")
        return self


class Online(Strict):
    """The newest row of every entity in the Environment's online store, for lookups while serving."""

    enabled: bool = Field(True, description="Keep it there; the default where online is given")
    ttl: Duration | None = Field(None, description="Rows with an older event time are not found; default: all are")


class FeatureViewSpec(Strict):
    entities: tuple[str, ...] = Field(min_length=1, description="The key columns")
    timestamp: str = Field(description="Event time; point-in-time joins use it")
    sources: dict[str, Source] = Field(min_length=1, description="Where rows come from, each under a name of your own")
    transform: Transform | None = Field(
        None, description="Sources in, one table out; default: the only source as it is"
    )
    columns: tuple[Column, ...] = Field(min_length=1, description="What is published, keys and event time included")
    expectations: tuple[Expectation, ...] = Field((), description="Checks on the rows before they are published")
    materialization: Materialization = Field(
        Materialization(), description="When rows are computed again besides a change of the spec"
    )
    online: Online = Field(Online(enabled=False), description="Lookups while serving; off by default")
    deletion: Literal["keep", "delete"] = Field("keep", description="What happens to the data when the spec leaves git")

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        names = [column.name for column in self.columns]
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)
        if repeated:
            raise ValueError(f"columns repeat: {', '.join(repeated)}")
        if len(set(self.entities)) < len(self.entities):
            raise ValueError("entities repeat")
        known = set(names)
        missing = [name for name in (*self.entities, self.timestamp) if name not in known]
        if missing:
            raise ValueError(f"columns lack {', '.join(missing)}, which entities and timestamp name")
        if self.transform is None and len(self.sources) > 1:
            raise ValueError("several sources need a transform")
        return self


CATEGORIES = {
    "": Category.MATERIALIZE,
    "materialization": Category.METADATA,
    "online": Category.METADATA,
    "deletion": Category.METADATA,
}
"""Column descriptions are taken out before the identity is computed."""
