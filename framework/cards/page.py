"""A card as one HTML file that needs neither network nor script, for a browser or as an attachment. Names of
columns and classes come from data: every text is escaped."""

from __future__ import annotations

from framework.api.credentials import redacted
from framework.api.printing import printable, shown
from framework.cards.content import Card


def card_html(card: Card) -> str:
    """The whole page; what looks like a credential is hidden."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("framework.cards"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"shown": shown, "lines": _lines, "px": _px}
    return pages.get_template("card.html.j2").render(card=card)


def _lines(text: str) -> str:
    """As it stands, line by line."""
    return "\n".join(printable(line) for line in redacted(text).expandtabs(4).splitlines())


def _px(value: float) -> str:
    """Of what is drawn: a tenth of a pixel, or of a per cent, is enough."""
    return f"{value:.1f}".removesuffix(".0")
