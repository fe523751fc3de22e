"""A model card as Markdown. Names of columns and classes come from data: nothing in them is read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from framework.api.printing import shown
from framework.cards.content import Card, CardSection, CardTable

_MARKUP = re.compile(r"([\\`*_{}\[\]|~])")
_AT_THE_START = re.compile(r"^(\s*|\s*\d+(?=[.)]))([-+#=:.)])")
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


def card_markdown(card: Card) -> str:
    """The card for people and for whoever shows Markdown; what looks like a credential is hidden."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: Card) -> Iterator[str]:
    yield f"# {_inline(card.title)}"
    for sentence in card.lead:
        yield from ("", _paragraph(sentence))
    for section in card.sections:
        yield from _section(section)


def _section(section: CardSection) -> Iterator[str]:
    yield from ("", f"## {_inline(section.title)}")
    for sentence in section.sentences:
        yield from ("", _paragraph(sentence))
    for table in section.tables:
        yield from ("", *_table(table))


def _table(table: CardTable) -> Iterator[str]:
    yield _row(table.head)
    yield _row(["---"] * len(table.head), escape=False)
    yield from (_row(row) for row in table.rows)


def _row(cells: Iterable[str], *, escape: bool = True) -> str:
    return "| " + " | ".join(_inline(cell) if escape else cell for cell in cells) + " |"


def _paragraph(text: str) -> str:
    """At the start of a line more signs mean something than inside of it."""
    return _AT_THE_START.sub(r"\1\\\2", _inline(text))


def _inline(text: str) -> str:
    """On one line: a line break would end a row of a table, and is spelled out."""
    text = shown(text)
    for sign, entity in _ENTITIES:
        text = text.replace(sign, entity)
    return _MARKUP.sub(r"\\\1", text)
