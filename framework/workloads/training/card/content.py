"""What a model card is made of: sentences, tables and plots. Texts are as they are: whoever writes them escapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from framework.workloads.training.card.plots import CardPlot


@dataclass(frozen=True)
class CardTable:
    """``rows`` are as wide as ``head``. ``shades`` say how dark a cell is, 0 to 1, by row and column, the first one
    left out; empty where no cell is."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shades: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class CardSection:
    """Sentences, then tables, then plots; a plot shows what one of the tables has."""

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[CardTable, ...] = ()
    plots: tuple[CardPlot, ...] = ()


@dataclass(frozen=True)
class ModelCard:
    title: str
    lead: tuple[str, ...]
    sections: tuple[CardSection, ...]


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> CardTable:
    """Every cell as text."""
    return CardTable(tuple(head), tuple(tuple(str(cell) for cell in row) for row in rows))


def number(value: float | None) -> str:
    """A measured value as people read it; nothing where there is none.

    >>> number(0.95716), number(12345.678), number(0.0000123), number(None)
    ('0.9572', '12,345.7', '1.23e-05', '')
    """
    if value is None:
        return ""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.1f}"
    return f"{value:.3g}" if 0 < size < 0.001 else f"{value:.4f}"


def share(value: float) -> str:
    """
    >>> share(0.0512)
    '5.1 %'
    """
    return f"{100 * value:.1f} %"
