"""What a card shows of parts of the test rows: how a model fares on each, and how differently it treats groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.api.fairness import bar_name, group_name
from framework.api.metrics import measure_of
from framework.api.perturbations import check_name
from framework.api.printing import number
from framework.cards import plots
from framework.cards.content import CardSection, table


def slices(found: Sequence[Mapping[str, Any]]) -> Iterator[CardSection]:
    """The value on each part of the test rows, and by each bar the worst one."""
    if not found:
        return
    rows = [(_part(row), row["metric"], number(row["score"]), f"{row['rows']:,}") for row in found]
    worst = [
        f"Worst by {row['by']}: {row['value']}, with {row['metric']} {number(row['score'])}{_spread(row)} "
        f"on {row['rows']:,} rows."
        for row in _worst(found)
    ]
    yield CardSection("Slices", tuple(worst), (table(("part of the test rows", "metric", "value", "rows"), rows),))


def _spread(row: Mapping[str, Any]) -> str:
    ends = row.get("interval")
    return f" ({number(ends[0])} to {number(ends[1])} in 95 of 100 draws)" if ends else ""


def _part(row: Mapping[str, Any]) -> str:
    value = row["value"]
    return f"largest part by {row['by']}, too small" if value is None else f"{row['by']} = {value}"


def _worst(slices: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Of each bar the part that is furthest from good."""
    for by, metric in dict.fromkeys((row["by"], row["metric"]) for row in slices):
        known = [r for r in slices if (r["by"], r["metric"]) == (by, metric) and r["score"] is not None]
        if known:
            loss = known[0]["loss"] if "loss" in known[0] else measure_of(metric).loss
            sign = 1 if loss else -1
            yield max(known, key=lambda row: sign * row["score"])


def fairness(found: Sequence[Mapping[str, Any]]) -> Iterator[CardSection]:
    """Each group's values by each bar, and the largest difference between two."""
    if not found:
        return
    told = [number(row["value"]) or f"not measured, for {row['problem']}" for row in found]
    sentences = [f"{_bar(row)}: {value}." for row, value in zip(found, told, strict=True)]
    shown = [row for row in found if any(group["values"] for group in row["groups"])]
    tables, drawn = [], []
    for row in shown:
        names = list(row["groups"][0]["values"])
        cells = [
            (group_name(one["group"]), f"{one['rows']:,}", *(number(one["values"][name]) for name in names))
            for one in row["groups"]
        ]
        tables.append(table((f"{row['attribute']}, for {row['metric']}", "rows", *names), cells))
        for name in names:
            bars = [(group_name(one["group"]), one["values"][name]) for one in row["groups"]]
            known = [(group, value) for group, value in bars if value is not None]
            if known:
                drawn.append(plots.bars(known, f"{name} by {row['attribute']}", name))
    yield CardSection("Fairness", tuple(sentences), tuple(tables), tuple(drawn))


def _bar(row: Mapping[str, Any]) -> str:
    return bar_name(row["metric"], row["loss"], row["attribute"])


def robustness(found: Sequence[Mapping[str, Any]]) -> Iterator[CardSection]:
    """The value of each check on the rows as they are and on the disturbed ones."""
    if not found:
        return
    rows = [
        (
            check_name(row["metric"], row["perturb"], row["amount"]),
            f"{len(row['columns']):,}",
            number(row["clean"]),
            number(row["value"]) or f"not measured, for {row['problem']}",
        )
        for row in found
    ]
    told = "Noise is in standard deviations of each column; of values that are missing or were never seen, the share."
    yield CardSection("Robustness", (told,), (table(("test rows", "inputs", "as they are", "disturbed"), rows),))
