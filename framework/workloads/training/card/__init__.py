"""The model card: what a person wants to know before trusting a model. Its content is pure and can be made again from
what is on record; it is written as Markdown, and as one HTML page."""

from framework.cards.content import Card, CardSection, CardTable, plain
from framework.cards.page import card_html
from framework.workloads.training.card.assembly import model_card
from framework.workloads.training.card.markdown import card_markdown

__all__ = ["Card", "CardSection", "CardTable", "card_html", "card_markdown", "model_card", "plain"]
