"""What is told of the values of tables: of one column, of a step of a computation, and of what moved between two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from framework.ports import Json

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Those that are told; the first and the last are the least and the greatest value."""


@dataclass(frozen=True)
class ColumnFigures:
    """One column over ``rows``, of which ``nulls`` are missing (NaN is). ``mean``, ``deviation`` (the standard one) and
    ``quantiles``, by their rank as text (``0.5``), are of numbers: true is 1, a time is seconds since the epoch. They
    are None and empty where there are none. ``items`` are the most frequent values with their counts, of texts and of
    true and false; ``edges`` and ``counts`` a histogram, empty where nobody asked for one."""

    name: str
    dtype: str
    rows: int
    nulls: int
    distinct: float | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: Mapping[str, float] = field(default_factory=dict)
    items: tuple[tuple[str, int], ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def missing(self) -> float | None:
        """The share of rows without a value; None where there are no rows."""
        return self.nulls / self.rows if self.rows else None


@dataclass(frozen=True)
class TransformStep:
    """What there was after a step: ``what`` it was (a source, a table of the SQL, ...), how many rows, and what is in
    each column. ``reads`` names steps before it, in the order in which it names them."""

    name: str
    what: str
    rows: int
    columns: tuple[ColumnFigures, ...]
    reads: tuple[str, ...] = ()


@dataclass(frozen=True)
class TransformSteps:
    """``trouble`` is why there are no more of them; empty where the last one is what would be published."""

    steps: tuple[TransformStep, ...]
    trouble: str = ""

    def before(self, step: TransformStep) -> TransformStep | None:
        """The step that ``step`` names first; None of a source."""
        return next((one for one in self.steps if one.name in step.reads[:1]), None)


@dataclass(frozen=True)
class RowsMoved:
    """Rows of two versions by their ``keys``. A key that occurs several times counts as one row, which is another one
    where its values are, or how often it occurs. ``examples`` are a few keys of each (``added``, ``removed``,
    ``changed``), those of changed rows with the values before and after of what differs."""

    keys: tuple[str, ...]
    added: int
    removed: int
    changed: int
    same: int
    examples: Mapping[str, tuple[Mapping[str, Json], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnMoved:
    """A column of two versions; None on the side that has it not. ``drift`` is the population stability index, and
    ``chance`` what sampling alone makes of it once in a hundred times; None where the two cannot be compared.
    ``appeared`` and ``vanished`` are categories that only one of them has, the most frequent ones."""

    name: str
    before: ColumnFigures | None
    after: ColumnFigures | None
    drift: float | None = None
    chance: float | None = None
    appeared: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableMoved:
    """``rows`` is None where rows cannot be matched, and ``unmatched`` says why."""

    columns: tuple[ColumnMoved, ...]
    rows: RowsMoved | None = None
    unmatched: str = ""
