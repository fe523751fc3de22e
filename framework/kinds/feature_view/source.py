"""Where the rows of a FeatureView come from and what is made of them, as a user writes it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import DataPath, Entrypoint, exactly_one
from framework.api.meta import Name, Strict
from framework.api.written import Text


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
    timestamp: Text | None = Field(
        None, description="For incremental: its column of event times; default: one of the name of the view's"
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
