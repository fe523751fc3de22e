"""What an expectation of a FeatureView holds a number to, as a user writes it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import Fraction, ordered
from framework.api.meta import Name, Strict
from framework.api.written import Names


class CountBound(Strict):
    """Bounds on a number of things."""

    min: int | None = Field(None, ge=0, description="The least")
    max: int | None = Field(None, ge=0, description="The most")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        ordered(self, "min", "max")
        return self


class StatisticBound(Strict):
    """Bounds on a statistic of a column."""

    min: float | None = Field(None, description="The least, in the column's unit")
    max: float | None = Field(None, description="The most, in the column's unit")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        ordered(self, "min", "max")
        return self


class QuantileBound(StatisticBound):
    """Bounds on a quantile of a column."""

    q: Fraction = Field(description="Which quantile: 0.5 is the median")


class RowsChange(Strict):
    """Bounds on how the number of rows differs from that of the version that readers have."""

    maxDrop: Fraction | None = Field(None, description="The largest share of them that may be missing: 0.1 is a tenth")
    maxGrowth: float | None = Field(None, ge=0, description="The largest share of them that may be new")

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.maxDrop is None and self.maxGrowth is None:
            raise ValueError("maxDrop or maxGrowth is needed")
        return self


class ForeignKey(Strict):
    """Columns whose values together stand in a row of another view."""

    columns: Names = Field(description="Columns of this view")
    view: Name = Field(description="The FeatureView; its version at the time of the run is looked at")
    to: Names | None = Field(None, description="Its columns, in the same order; default: those of the same names")

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if len(self.there) != len(self.columns):
            raise ValueError(f"columns names {len(self.columns)} and to {len(self.there)}; each needs its counterpart")
        return self

    @property
    def there(self) -> Names:
        """The columns of the other view."""
        return self.to or self.columns


class DriftBound(Strict):
    """A bound on how far a column's distribution is from that in the version that readers have."""

    statistic: Literal["psi", "js", "hellinger", "ks"] = Field(
        "psi",
        description="Population stability index, Jensen-Shannon distance, Hellinger distance or Kolmogorov-Smirnov",
    )
    max: float = Field(gt=0, description="The most, in the statistic's unit; what chance alone makes is allowed, too")

    @model_validator(mode="after")
    def _in_reach(self) -> Self:
        if self.statistic != "psi" and self.max > 1:
            raise ValueError(f"{self.statistic} is 1 at most, so max: {self.max:g} checks nothing")
        return self
