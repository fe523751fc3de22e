"""The functions that aggregations of FeatureViews know, and what each takes and gives. Pure, because the rules of specs
and the workload that computes have to mean the same. Adding one: an entry below, and a function beside its like in
``framework/workloads/features/aggregates.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Aggregate:
    """``takes``: what the values are: numbers, what has an order and no text (numbers and times), or any. ``gives``: a
    number of its kind (``count``, ``real``, ``sum``) or one of the values (``value``)."""

    takes: Literal["number", "ordered", "any"]
    gives: Literal["count", "real", "sum", "value"]
    note: str = ""


AGGREGATES: Mapping[str, Aggregate] = {
    "sum": Aggregate("number", "sum", "sum of no value is 0"),
    "mean": Aggregate("number", "real"),
    "std": Aggregate("number", "real", "std is that of a sample, and of less than two values missing"),
    "min": Aggregate("ordered", "value"),
    "max": Aggregate("ordered", "value"),
    "count": Aggregate("any", "count", "count without a column counts rows"),
    "count_distinct": Aggregate("any", "count"),
    "first": Aggregate("any", "value"),
    "last": Aggregate("any", "value", "last with lag: 1 is the value before the last"),
}
