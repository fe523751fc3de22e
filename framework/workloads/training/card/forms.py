"""What a card tells of other forms of a model, that may serve in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from framework.api.printing import number
from framework.cards.content import CardSection, table


def forms(made: Mapping[str, Mapping[str, Any]]) -> Iterator[CardSection]:
    """``made`` is as ``serving_forms.made`` has it."""
    if not made:
        return
    sentences: list[str] = []
    rows: list[tuple[str, ...]] = []
    for name, form in sorted(made.items()):
        sentences.append(f"The form {name} {'may serve' if form['passed'] else 'may not serve: ' + form['reason']}.")
        if "deviation" not in form:
            continue
        told = f"{number(form['deviation']) or 'not finite'}, at most {form['bound']:g} is allowed"
        rows.append((name, f"largest deviation on {form['rows']:,} rows, {form['unit']}", "", told))
        rows.append((name, "bytes", *(f"{value:,}" for value in _sides(form["bytes"]))))
        rows.append((name, "milliseconds for one row", *map(number, _sides(form["milliseconds"]))))
        rows.append((name, f"{form['metric']['name']} on the test rows", *map(number, _sides(form["metric"]))))
    head = ("form", "what", "of the model itself", "of the form")
    yield CardSection("Other forms", tuple(sentences), (table(head, rows),) if rows else ())


def _sides(measured: Mapping[str, Any]) -> tuple[Any, Any]:
    return measured["native"], measured["form"]
