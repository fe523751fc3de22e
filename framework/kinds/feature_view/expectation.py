"""What must hold of the rows of a FeatureView, as a user writes it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from framework.api.fields import Duration, Fraction, exactly_one, ordered
from framework.api.meta import Strict
from framework.api.written import Names, Text


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
