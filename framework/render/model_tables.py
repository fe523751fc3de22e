"""Cells of what is told of a model version, and the tables of how it was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from framework.api.fairness import bar_name, group_name
from framework.api.perturbations import check_name
from framework.api.printing import number
from framework.render.diffs import ADDED, REMOVED
from framework.render.terminal import Line, Span, one_line, shortened

_LONGEST_NAME = 48
"""Columns of a name in a table; JSON has it in full."""
_CHECK = ("metric", "perturb", "amount")
_OF_FORMS: Mapping[str, Callable[[Any], str]] = {"bytes": "{:,}".format, "milliseconds": number, "metric": number}
"""What is told of another form of a model, of the model itself and of the form."""
_TOP = 5
"""Inputs that are told of what a model goes by; JSON and the card have all."""


def heads(*titles: str) -> Line:
    return tuple(Span(title, "bold") for title in titles)


def cells(first: str, *others: str) -> Line:
    return (Span(named(first)), *(Span(one_line(text) or "-") for text in others))


def named(text: str) -> str:
    return f"  {shortened(one_line(text), _LONGEST_NAME)}"


def evaluation_tables(lineage: Mapping[str, Any], kept: Mapping[str, Any]) -> Iterator[tuple[str, list[Line]]]:
    """By title; each begins with its heads. ``kept`` is what the run left beside the model."""
    parts = [
        cells(f"{row['by']} = {_part(row)}", row["metric"], number(row["score"]), f"{row['rows']:,}")
        for row in lineage.get("slices") or ()
    ]
    yield "Slices", [heads("  PART OF THE TEST ROWS", "METRIC", "VALUE", "ROWS"), *parts]
    titles = heads("  FORM", "MAY SERVE", "BYTES", "MS A ROW", "DEVIATION", "METRIC", "WHY NOT")
    yield "Other forms", [titles, *(_form(name, form) for name, form in sorted((lineage.get("forms") or {}).items()))]
    yield "Fairness", [heads("  GROUP OF THE TEST ROWS", "METRIC", "ROWS", "VALUE"), *_fairness(lineage)]
    checks = [
        cells(check_name(*map(row.get, _CHECK)), number(row["clean"]), number(row["value"]) or row["problem"])
        for row in lineage.get("robustness") or ()
    ]
    yield "Robustness", [heads("  DISTURBED TEST ROWS", "AS THEY ARE", "DISTURBED"), *checks]
    permuted, moved = kept.get("importance") or {}, kept.get("contributions") or {}
    worse = [cells(row["input"], permuted["metric"], number(row["drop"])) for row in _top(permuted)]
    yield "What it goes by", [heads("  INPUT", "METRIC", "WORSE WITHOUT"), *worse]
    means = [cells(row["input"], number(row["mean"])) for row in _top(moved)]
    yield "What moves its answers", [heads("  INPUT", "MEAN SHAPLEY VALUE"), *means]


def _part(row: Mapping[str, Any]) -> str:
    return "largest part, too small" if row["value"] is None else str(row["value"])


def _form(name: str, form: Mapping[str, Any]) -> Line:
    """Sizes, times and the metric as before -> after."""
    both = [(form.get(what) or {}, shown) for what, shown in _OF_FORMS.items()]
    told = [f"{shown(one['native'])} -> {shown(one['form'])}" if one else "-" for one, shown in both]
    may = Span("yes", ADDED) if form["passed"] else Span("no", REMOVED)
    cells = [*told[:2], number(form.get("deviation")) or "-", told[2], one_line(form["reason"]) or "-"]
    return (Span(f"  {one_line(name)}"), may, *map(Span, cells))


def _fairness(lineage: Mapping[str, Any]) -> Iterator[Line]:
    """By bar the largest difference, and below it what each group has."""
    for row in lineage.get("fairness") or ():
        name = bar_name(row["metric"], row["loss"], row["attribute"])
        yield cells(name, "largest difference", "", number(row["value"]) or row["problem"])
        for group in row["groups"]:
            for rate, value in group["values"].items():
                part = f"{row['attribute']} = {group_name(group['group'])}"
                yield cells(part, rate, f"{group['rows']:,}", number(value))


def _top(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(found.get("inputs") or ())[:_TOP]
