"""The FeatureView as a user writes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from framework.api.categories import Category
from framework.api.fields import CronExpression, Duration, Entrypoint, Fraction, exactly_one
from framework.api.meta import Name, Strict

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

    format: Literal["csv", "parquet", "delta"] | None = None
    path: str | None = Field(None, description="Relative to the project's root, or any fsspec URL; globs are allowed")
    sql: str | None = Field(None, description="A query; the connection comes from the Environment")
    connection: str | None = None
    featureView: Name | None = None
    function: Entrypoint | None = Field(None, description="Returns a LazyFrame")
    options: dict[str, Any] = Field(default_factory=dict, description="Reader options, e.g. nullValues for csv")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if exactly_one(self, "path", "sql", "featureView", "function") == "path" and self.format is None:
            raise ValueError("path needs a format")
        return self


class Transform(Strict):
    """Sources in, one table out. Exactly one form; without a transform the single source is taken as it is."""

    sql: str | None = None
    function: Entrypoint | None = Field(None, description="LazyFrames by source name in, LazyFrame out")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        exactly_one(self, "sql", "function")
        return self


class Column(Strict):
    name: Annotated[str, Field(min_length=1)]
    dtype: Dtype
    description: str | None = None


class RowCount(Strict):
    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)


class QuantileBound(Strict):
    q: Fraction
    min: float | None = None
    max: float | None = None


class Expectation(Strict):
    """One check on the rows before they are published. ``tolerance`` is the share of rows that may fail it."""

    column: str | None = None
    between: tuple[float, float] | None = None
    notNull: bool | None = None
    oneOf: tuple[str | int | float | bool, ...] | None = None
    matches: str | None = Field(None, description="A regular expression that the whole value matches")
    quantile: QuantileBound | None = None
    unique: tuple[str, ...] | None = None
    rows: RowCount | None = None
    freshness: Duration | None = Field(None, description="The newest event time is at most this old")
    sql: str | None = Field(None, description="A condition that holds for each row")
    tolerance: Fraction = 0.0

    @model_validator(mode="after")
    def _one_check(self) -> Self:
        check = exactly_one(
            self, "between", "notNull", "oneOf", "matches", "quantile", "unique", "rows", "freshness", "sql"
        )
        needs_column = check in {"between", "notNull", "oneOf", "matches", "quantile"}
        if needs_column != (self.column is not None):
            raise ValueError(f"{check} {'needs' if needs_column else 'takes no'} column")
        return self


class Materialization(Strict):
    """When rows are computed again besides a change of the spec. Without ``schedule`` and ``every``: never."""

    mode: Literal["full", "incremental"] = "full"
    schedule: CronExpression | None = None
    every: Duration | None = Field(None, description="Look for new source data this often")
    retention: Duration | None = None

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if self.schedule is not None and self.every is not None:
            raise ValueError("schedule and every exclude each other")
        return self


class Online(Strict):
    enabled: bool = True
    ttl: Duration | None = None


class FeatureViewSpec(Strict):
    entities: tuple[str, ...] = Field(min_length=1, description="The key columns")
    timestamp: str = Field(description="Event time; point-in-time joins use it")
    sources: dict[str, Source] = Field(min_length=1)
    transform: Transform | None = None
    columns: tuple[Column, ...] = Field(min_length=1)
    expectations: tuple[Expectation, ...] = ()
    materialization: Materialization = Materialization()
    online: Online = Online(enabled=False)
    deletion: Literal["keep", "delete"] = Field("keep", description="What happens to the data when the spec leaves git")

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"columns repeat: {', '.join(repeated)}")
        missing = [name for name in (*self.entities, self.timestamp) if name not in names]
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
