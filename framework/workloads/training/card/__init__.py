"""The model card: what a person wants to know before trusting a model. Its content is pure and can be made again from
what is on record; it is written as Markdown, and as one HTML page."""

from framework.workloads.training.card.assembly import model_card
from framework.workloads.training.card.content import CardSection, CardTable, ModelCard, plain
from framework.workloads.training.card.markdown import card_markdown
from framework.workloads.training.card.page import card_html

__all__ = ["CardSection", "CardTable", "ModelCard", "card_html", "card_markdown", "model_card", "plain"]
