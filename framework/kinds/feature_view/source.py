"""Where the rows of a FeatureView come from and what is made of them, as a user writes it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from framework.api.errors import FieldError
from framework.api.fields import DataPath, Entrypoint, exactly_one
from framework.api.meta import Name, Strict
from framework.api.sources import FILE_FORMATS
from framework.api.statements import mistake
from framework.api.written import Text
from framework.kinds.feature_view.dtypes import Dtype

_FORMATS = FILE_FORMATS.values()


def _query(value: str) -> str:
    if told := mistake(value):
        raise FieldError(told)
    return value


Query = Annotated[Text, AfterValidator(_query)]
"""SQL for a database."""


class Source(Strict):
    """Where rows come from. Exactly one of ``path`` (with ``format``), ``sql``, ``featureView`` and ``function``."""

    format: Literal[tuple(FILE_FORMATS)] | None = Field(  # type: ignore[valid-type]
        None, description="; ".join(["How the files at path are read", *(one.note for one in _FORMATS if one.note)])
    )
    path: DataPath | None = Field(
        None, description="Relative to the project's root, or any fsspec URL; globs such as data/*.parquet are allowed"
    )
    sql: Query | None = Field(None, description="A SELECT, or a WITH before one; the connection is the Environment's")
    versionSql: Query | None = Field(
        None,
        description="For sql: a quick query whose result changes when the rows do, e.g. SELECT max(updated_at) FROM t; "
        "default: it is not known before a run",
    )
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

    rename: dict[str, Text] = Field(
        default_factory=dict, description="Names of columns here by their names in the source"
    )
    columns: dict[Text, Dtype] = Field(
        default_factory=dict,
        description="Columns that the source must have, by their names here, with their dtypes; others may be there",
    )

    @model_validator(mode="after")
    def _names_apart(self) -> Self:
        repeated = sorted(name for name, count in Counter(self.rename.values()).items() if count > 1)
        if repeated:
            raise ValueError(f"rename gives several columns the name {', '.join(repeated)}")
        for old, new in self.rename.items():
            if old in self.columns and old not in self.rename.values():
                raise ValueError(f"columns names {old!r}, which rename calls {new!r} here")
        return self

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origin = exactly_one(self, "path", "sql", "featureView", "function")
        if origin == "path" and self.format is None:
            raise ValueError("path needs a format")
        for field, owner, given in (
            ("format", "path", self.format is not None),
            ("options", "path", bool(self.options)),
            ("connection", "sql", self.connection is not None),
            ("versionSql", "sql", self.versionSql is not None),
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
