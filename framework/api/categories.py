"""What a change of a field costs, in rising order. A resource's change has the highest category of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Category(IntEnum):
    NOOP = 0
    METADATA = 1
    REROUTE = 2
    RELOAD = 3
    REDEPLOY = 4
    MATERIALIZE = 5
    RETRAIN = 6
    BREAKING = 7

    @property
    def label(self) -> str:
        """The word shown to people: ``Retrain`` rather than ``RETRAIN``."""
        return "NoOp" if self is Category.NOOP else self.name.capitalize()

    @property
    def rebuilds(self) -> bool:
        """Whether a field of this category is part of the resource's identity."""
        return self >= Category.REDEPLOY


def category_of(path: str, table: Mapping[str, Category]) -> Category:
    """The category of a field by the longest matching prefix; ``""`` is the kind's default.

    >>> category_of("tune.trials", {"": Category.RETRAIN, "retrain": Category.METADATA}).label
    'Retrain'
    """
    candidate = path
    while candidate:
        if candidate in table:
            return table[candidate]
        candidate = candidate.rpartition(".")[0]
    return table[""]
