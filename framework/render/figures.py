"""Figures of columns as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from framework.api.printing import number
from framework.figures import ColumnFigures
from framework.render.terminal import Line, Span, headings, one_line, shortened

_LONGEST_NAME = 40
_LONGEST_ITEM = 24
_SHOWN_ITEMS = 3
_RANKS = ("0", "0.25", "0.5", "0.75", "1")
HEADS = (
    "COLUMN",
    "DTYPE",
    "MISSING",
    "DISTINCT",
    "MEAN",
    "LEAST",
    "25 %",
    "MEDIAN",
    "75 %",
    "GREATEST",
    "MOST FREQUENT",
)
"""Of a table whose rows are those of ``figure_cells``."""


def figure_cells(one: ColumnFigures) -> list[str]:
    ranks = [figure(one.dtype, one.quantiles.get(rank)) for rank in _RANKS]
    return [
        shortened(one_line(one.name), _LONGEST_NAME), one.dtype, share(one.missing), distinct(one),
        moment_or_number(one.dtype, one.mean), *ranks, items(one.items),
    ]  # fmt: skip


def figure_lines(figures: Sequence[ColumnFigures], indent: str = "  ") -> list[Line]:
    """A table with its heads."""
    heads = headings(f"{indent}{HEADS[0]}", *HEADS[1:])
    return [heads, *(_line(figure_cells(one), indent) for one in figures)]


def _line(cells: Sequence[str], indent: str) -> Line:
    first, *others = cells
    return (Span(f"{indent}{first}"), *(Span(one_line(cell) or "-") for cell in others))


def distinct(one: ColumnFigures) -> str:
    return "-" if one.distinct is None else f"{one.distinct:,.0f}"


def share(part: float | None) -> str:
    """
    >>> share(0.0512), share(0.0), share(0.00001), share(None)
    ('5.1 %', '0 %', '<0.1 %', '-')
    """
    if part is None:
        return "-"
    if 0 < part < 0.001:
        return "<0.1 %"
    return f"{100 * part:.1f} %".replace(".0 %", " %")


def figure(dtype: str, value: float | None) -> str:
    """A value of a column of that dtype: a time for seconds since the epoch, a whole number without a fraction."""
    if value is not None and dtype.startswith(("Int", "UInt")) and value == value // 1:
        return f"{value:,.0f}"
    return moment_or_number(dtype, value)


def moment_or_number(dtype: str, value: float | None) -> str:
    if value is None:
        return "-"
    if dtype not in {"Datetime", "Date"}:
        return number(value)
    try:
        moment = datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError, ValueError):
        return number(value)
    return f"{moment:%Y-%m-%d}" if dtype == "Date" else f"{moment:%Y-%m-%d %H:%M}"


def items(found: Iterable[tuple[str, int]]) -> str:
    """``AA (12), UA (9)``."""
    few = list(found)[:_SHOWN_ITEMS]
    return ", ".join(f"{shortened(one_line(value), _LONGEST_ITEM) or repr(value)} ({count:,})" for value, count in few)
