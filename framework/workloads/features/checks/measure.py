"""What a check is made of: numbers to be had in one pass over the rows, and a judgement of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

Numbers = Mapping[str, Any]
"""What was measured, by name, and ``rows``, how many there are."""

Query = Callable[[pl.LazyFrame], pl.LazyFrame]

NO_ROW = "there is no row"


@dataclass(frozen=True)
class PreviousVersion:
    """The version that readers have, with which the next one is compared."""

    version: int
    count: int
    rows: pl.LazyFrame


@dataclass(frozen=True)
class CheckedTable:
    """The table that is checked, apart from its rows. ``may_be_empty``: checks on rows hold where there are none.
    ``previous`` is None where nothing was published yet; ``views`` are the others that expectations name."""

    schema: pl.Schema
    entities: tuple[str, ...]
    timestamp: str | None
    now: datetime
    may_be_empty: bool = False
    previous: PreviousVersion | None = None
    views: Mapping[str, pl.LazyFrame] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that name a row."""
        return self.entities if self.timestamp is None else (*self.entities, self.timestamp)


@dataclass(frozen=True)
class AskedCheck:
    """One expectation: the ``value`` of the field of its check, and the ``column`` that it is on."""

    check: str
    value: Any
    column: str
    tolerance: float
    table: CheckedTable

    @property
    def cell(self) -> pl.Expr:
        """The value of the column in a row."""
        return pl.col(self.column)


@dataclass(frozen=True)
class CheckVerdict:
    """``failing`` is the share of rows that break a check on rows; 0 or 1 for one on the whole table, which judges
    ``value``."""

    passed: bool
    observed: str
    failing: float
    value: float | None = None

    @classmethod
    def of_table(cls, passed: bool, observed: str, value: float | None = None) -> CheckVerdict:
        """It holds, or it does not."""
        return cls(passed, observed, 0.0 if passed else 1.0, value)


@dataclass(frozen=True)
class Measurement:
    """How one expectation is measured and judged.

    ``aggregates`` are taken in one pass together with those of all others; ``apart`` gives one row of more numbers,
    where no aggregate tells. ``broken`` gives the rows that break a check on rows, of which ``shown`` are the columns
    that say how. ``column`` is what it is on, where the expectation names none.
    """

    judge: Callable[[Numbers], CheckVerdict]
    aggregates: Mapping[str, pl.Expr] = field(default_factory=dict)
    apart: Query | None = None
    broken: Query | None = None
    shown: tuple[str, ...] = ()
    column: str | None = None


def of_rows(
    asked: AskedCheck,
    told: Callable[[Numbers], str],
    broken: pl.Expr,
    shown: tuple[str, ...] | None = None,
    **more: pl.Expr,
) -> Measurement:
    """A check that a row breaks where ``broken`` is true; it is never null. ``told``: in words what such rows do."""
    return Measurement(
        lambda numbers: share(asked, told(numbers), numbers),
        {"failing": broken.sum(), **more},
        broken=lambda rows: rows.filter(broken),
        shown=(asked.column,) if shown is None else shown,
    )


def nothing_before(why: str = "nothing was published before") -> Measurement:
    """Of a comparison with the version that readers have, where there is none to compare with: it holds."""
    return Measurement(lambda _: CheckVerdict.of_table(True, f"{why}, so there is nothing to compare with"))


def share(asked: AskedCheck, told: str, numbers: Numbers) -> CheckVerdict:
    """The judgement of a check on rows, of which ``failing`` break it. A share of no rows is unknown."""
    rows, failing, tolerance = numbers["rows"], numbers["failing"], asked.tolerance
    if not rows and not asked.table.may_be_empty:
        return CheckVerdict(False, NO_ROW, 1.0)
    found = failing / rows if rows else 0.0
    allowed = f"; {tolerance:.3%} may" if tolerance else ""
    return CheckVerdict(found <= tolerance, f"{failing:,} of {rows:,} {told} ({found:.3%}{allowed})", found)
