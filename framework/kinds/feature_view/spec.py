"""The FeatureView as a user writes it."""

from __future__ import annotations

from collections import Counter
from typing import Literal, Self

from pydantic import Field, model_validator

from framework.api.categories import Category
from framework.api.meta import Strict
from framework.api.written import Text
from framework.kinds.feature_view.aggregation import Aggregation
from framework.kinds.feature_view.dtypes import Dtype
from framework.kinds.feature_view.expectation import Expectation
from framework.kinds.feature_view.materialization import Materialization, Online
from framework.kinds.feature_view.source import Source, Transform


class Column(Strict):
    """A column of the published table. The transform must yield it; what it yields besides is left out."""

    name: Text = Field(description="As the transform names it")
    dtype: Dtype = Field(description="Polars dtype; Datetime is microseconds in UTC")
    description: str | None = Field(None, description="For people, with the unit; a change of it rebuilds nothing")


class FeatureViewSpec(Strict):
    entities: tuple[str, ...] = Field(min_length=1, description="The key columns")
    timestamp: str | None = Field(
        None,
        description="Event time; point-in-time joins use it. Left out: a table that never had one, with one row for "
        "each key, by which it is joined",
    )
    available: str | None = Field(
        None,
        description="The column of when a row became known, for those that do later than they happened; never joined "
        "before",
    )
    sources: dict[str, Source] = Field(min_length=1, description="Where rows come from, each under a name of your own")
    transform: Transform | None = Field(
        None, description="Sources in, one table out; default: the only source as it is"
    )
    aggregations: tuple[Aggregation, ...] = Field(
        (), description="Columns that are computed over the rows of the transform with the same entities, up to each"
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
        missing = [name for name in (*self.entities, self.timestamp, self.available) if name and name not in known]
        if missing:
            where = [name for name in ("entities", "timestamp", "available") if getattr(self, name)]
            raise ValueError(f"columns lack {', '.join(missing)}, which {' and '.join(where)} name")
        if self.available is not None and self.timestamp is None:
            raise ValueError("available says when a row became known that has an event time: it needs timestamp")
        if self.transform is None and len(self.sources) > 1:
            raise ValueError("several sources need a transform")
        return self

    @property
    def named_by(self) -> tuple[str, ...]:
        """What names a row: event time, if there is one, and entities."""
        return (*([self.timestamp] if self.timestamp else []), *self.entities)

    @property
    def meant(self) -> frozenset[str]:
        """Columns that say which row is meant, and when it was: those that are no values."""
        return frozenset({*self.named_by, *([self.available] if self.available else [])})


CATEGORIES = {
    "": Category.MATERIALIZE,
    "materialization": Category.METADATA,
    "online": Category.METADATA,
    "deletion": Category.METADATA,
}
"""Column descriptions are taken out before the identity is computed."""
