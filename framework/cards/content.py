"""What a card is made of: sentences, tables and plots. Texts are as they are: whoever writes them escapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from framework.cards.plots import CardPlot


@dataclass(frozen=True)
class CardTable:
    """``rows`` are as wide as ``head``. ``shades`` say how dark a cell is, 0 to 1, by row and column, the first one
    left out; empty where no cell is."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    shades: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class CardSection:
    """Sentences, then tables, then plots; a plot shows what one of the tables has. Only pages show ``code``, which
    keeps its lines."""

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[CardTable, ...] = ()
    plots: tuple[CardPlot, ...] = ()
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class CardLink:
    """To a page in the same folder."""

    text: str
    page: str


@dataclass(frozen=True)
class Card:
    title: str
    lead: tuple[str, ...]
    sections: tuple[CardSection, ...]
    links: tuple[CardLink, ...] = ()


def plain(card: Card) -> dict[str, Any]:
    """What a card says as plain data, without its plots: they show what its tables have."""
    sections = [
        {
            "title": section.title,
            "sentences": list(section.sentences),
            "tables": [{"head": list(one.head), "rows": [list(row) for row in one.rows]} for one in section.tables],
        }
        for section in card.sections
    ]
    return {"title": card.title, "lead": list(card.lead), "sections": sections}


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> CardTable:
    """Every cell as text."""
    return CardTable(tuple(head), tuple(tuple(str(cell) for cell in row) for row in rows))


def share(value: float) -> str:
    """
    >>> share(0.0512)
    '5.1 %'
    """
    return f"{100 * value:.1f} %"
