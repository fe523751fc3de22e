"""What must hold of the rows of a FeatureView, as a user writes it, and what is to be known of each check without its
workload. Adding one: a line in ``Expectation``, and how it is measured in ``framework/workloads/features/checks/``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from framework.api.dtypes import FLOATS, NUMBERS, TIMES
from framework.api.fields import Duration, Fraction, exactly_one
from framework.api.meta import Strict
from framework.api.written import Names, Text
from framework.kinds.feature_view.bounds import (
    CountBound,
    DriftBound,
    ForeignKey,
    QuantileBound,
    RowsChange,
    StatisticBound,
)
from framework.planning.grammar.kind import CrossProblem

Columns = Mapping[str, str]
"""Dtype by column."""


@dataclass(frozen=True)
class Check:
    """``column``: it is one on the ``column`` of its expectation, which has one of ``dtypes`` (``needs`` in words; any
    where it is None). ``rows``: single rows break it, so a share of them may. ``problems``: what else may be wrong, by
    the path and the value of its field, its expectation's column and all columns of the view."""

    column: bool = False
    rows: bool = False
    dtypes: frozenset[str] | None = None
    needs: str = ""
    problems: Callable[[str, Any, str, Columns], Iterator[CrossProblem]] | None = None


def undeclared(path: str, column: str, dtypes: Columns) -> CrossProblem:
    """The view declares no such column."""
    return CrossProblem(path, f"no column {column!r} is declared", allowed=tuple(dtypes), wanted=column)


def _all_declared(path: str, names: Names, column: str, dtypes: Columns) -> Iterator[CrossProblem]:
    for place, name in enumerate(names):
        if name not in dtypes:
            yield undeclared(f"{path}[{place}]", name, dtypes)


def _all_fit(path: str, values: tuple[Any, ...], column: str, dtypes: Columns) -> Iterator[CrossProblem]:
    for place, value in enumerate(values):
        if not _fits(value, dtypes[column]):
            yield CrossProblem(f"{path}[{place}]", f"{column} is {dtypes[column]} and cannot be {value!r}")


def _fits(value: str | int | float | bool, dtype: str) -> bool:
    if isinstance(value, bool):
        return dtype == "Boolean"
    if isinstance(value, int):
        return dtype in NUMBERS
    return dtype in (FLOATS if isinstance(value, float) else {"String"})


def _keys_declared(path: str, key: ForeignKey, column: str, dtypes: Columns) -> Iterator[CrossProblem]:
    return _all_declared(f"{path}.columns", key.columns, column, dtypes)


def _has_order(path: str, asked: DriftBound, column: str, dtypes: Columns) -> Iterator[CrossProblem]:
    if asked.statistic == "ks" and dtypes[column] not in NUMBERS | TIMES:
        told = f"{column} is {dtypes[column]}, which has no order"
        yield CrossProblem(f"{path}.statistic", told, allowed=("psi", "js", "hellinger"))


_VALUES = Check(column=True, rows=True)
_NUMBERS = Check(column=True, rows=True, dtypes=NUMBERS, needs="a number")
_TEXTS = Check(column=True, rows=True, dtypes=frozenset({"String"}), needs="a String")
_STATISTIC = Check(column=True, dtypes=NUMBERS, needs="a number")
_LISTED = Check(column=True, rows=True, problems=_all_fit)


class Expectation(Strict):
    """One check on the rows before they are published. One that fails publishes nothing, unless it only warns."""

    column: str | None = Field(None, description="What is checked, for what is a check on one column")
    between: Annotated[tuple[float, float] | None, _NUMBERS] = Field(
        None, description="[lowest, highest], both allowed; nulls pass"
    )
    notNull: Annotated[bool | None, _VALUES] = Field(
        None, description="true: no value may be missing, or, with a tolerance, a share of them"
    )
    oneOf: Annotated[tuple[str | int | float | bool, ...] | None, _LISTED] = Field(
        None, min_length=1, description="The values allowed; nulls pass"
    )
    matches: Annotated[str | None, _TEXTS] = Field(
        None, description="A regular expression that the whole value matches; nulls pass"
    )
    quantile: Annotated[QuantileBound | None, _STATISTIC] = Field(
        None, description="Bounds on a quantile of the column"
    )
    mean: Annotated[StatisticBound | None, _STATISTIC] = Field(None, description="Bounds on the mean of the column")
    std: Annotated[StatisticBound | None, _STATISTIC] = Field(
        None, description="Bounds on the column's standard deviation, of a sample (n - 1)"
    )
    distinct: Annotated[CountBound | None, Check(column=True)] = Field(
        None, description="Bounds on the number of different values; null is none"
    )
    drift: Annotated[DriftBound | None, Check(column=True, problems=_has_order)] = Field(
        None, description="A bound on how far the column has moved since the version that readers have"
    )
    unique: Annotated[Names | None, Check(rows=True, problems=_all_declared)] = Field(
        None, description="Columns whose values together occur once at most"
    )
    references: Annotated[ForeignKey | None, Check(rows=True, problems=_keys_declared)] = Field(
        None, description="Columns whose values stand in another view; what is null passes"
    )
    rows: Annotated[CountBound | None, Check()] = Field(None, description="Bounds on the number of rows")
    rowsChange: Annotated[RowsChange | None, Check()] = Field(
        None, description="Bounds on how many more or fewer rows there are than in the version that readers have"
    )
    freshness: Annotated[Duration | None, Check()] = Field(
        None, description="The newest event time is at most this old"
    )
    sql: Annotated[Text | None, Check(rows=True)] = Field(
        None, description="A condition that holds for each row, or for the table where it aggregates"
    )
    tolerance: Fraction = Field(
        0.0, description="The share of rows that may fail a check on rows: 0.001 is one in 1,000"
    )
    severity: Literal["error", "warn"] = Field(
        "error", description="What a failure does: error publishes nothing; warn publishes, and says so"
    )

    @property
    def check(self) -> str:
        """The name of the one that it asks for."""
        return exactly_one(self, *CHECKS)

    @model_validator(mode="after")
    def _one_check(self) -> Self:
        name = self.check
        check = CHECKS[name]
        if check.column != (self.column is not None):
            raise ValueError(f"{name} {'needs' if check.column else 'takes no'} column")
        if self.notNull is False:
            raise ValueError("notNull: false checks nothing; leave the expectation out")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("between: the lower bound must not exceed the upper")
        if self.tolerance and not check.rows:
            raise ValueError(f"{name} is a check on the whole table and takes no tolerance")
        return self


CHECKS: Mapping[str, Check] = {
    name: item for name, field in Expectation.model_fields.items() for item in field.metadata if isinstance(item, Check)
}
"""Every check there is, by the field that asks for it."""


def problems(path: str, asked: Expectation, dtypes: Columns) -> Iterator[CrossProblem]:
    """What is wrong with an expectation at ``path`` of a view with these columns."""
    name, column = asked.check, asked.column
    check = CHECKS[name]
    if column is not None and column not in dtypes:
        yield undeclared(f"{path}.column", column, dtypes)
        return
    if column is not None and check.dtypes is not None and dtypes[column] not in check.dtypes:
        yield CrossProblem(f"{path}.{name}", f"{column} is {dtypes[column]}; {name} needs {check.needs}")
        return
    if check.problems is not None:
        yield from check.problems(f"{path}.{name}", getattr(asked, name), column or "", dtypes)
