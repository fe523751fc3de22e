"""What a card shows of what a model goes by, and of what it may have known too much: see ``training.importance`` and
``training.leakage``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from framework.api.printing import number
from framework.cards import plots
from framework.cards.content import CardSection, table

_DRAWN = 20
"""Inputs that a plot has room for: the first ones."""


def importance(permuted: Mapping[str, Any] | None, moved: Mapping[str, Any] | None) -> Iterator[CardSection]:
    """By input: how much worse the model is without the sense of it, and how far it moves an answer. A version from
    before that was looked at has no such sections, nor has one whose spec says never."""
    if permuted is not None:
        yield _permuted(permuted)
    if moved is not None:
        yield _moved(moved)


def leakage(found: Mapping[str, Any] | None) -> Iterator[CardSection]:
    """What may have told the model more than it will know. A version from before has no such section."""
    if not found:
        return
    equal, shared = found["rows"], found["entities"]
    learned = found.get("learned", "training rows")
    facts = [f"{equal['equal']:,} of {equal['of']:,} test rows are equal to {learned}, label included."]
    if shared["columns"]:
        told = f"{shared['shared']:,} of {shared['of']:,} test rows are of an entity ({', '.join(shared['columns'])})"
        facts.append(f"{told} that {learned} are of, too.")
    rows = [(row["input"], number(row["value"])) for row in found["inputs"][:_DRAWN]]
    if rows:
        metric = found["metric"]
        facts.append(
            f"The model's {metric} is {number(found['model'])}; below it, that of the best answer by one input."
        )
    warnings = [f"Warning: {hint}{'' if hint.endswith('?') else '.'}" for hint in found["hints"]]
    sentences = (*warnings, *facts) if warnings else ("No sign of leakage was found.", *facts)
    tables = (table(("input alone", found["metric"]), rows),) if rows else ()
    yield CardSection("Signs of leakage", sentences, tables)


def _permuted(found: Mapping[str, Any]) -> CardSection:
    title, metric = "What it goes by", found["metric"]
    if not found["inputs"]:
        return CardSection(title, (f"Not looked at: {found['problem']}.",))
    told = (
        f"How much worse {metric} gets, from {number(found['value'])}, when the values of an input change places "
        f"between rows: the mean of {found['repeats']} times on {found['rows']:,} test rows.",
        "Where two inputs tell the same, either seems to matter little.",
    )
    head = ("input", f"{metric} gets worse by", "standard deviation")
    rows = [(row["input"], number(row["drop"]), number(row["spread"])) for row in found["inputs"]]
    values = [(row["input"], row["drop"]) for row in found["inputs"]]
    return CardSection(title, told, (table(head, rows),), (plots.bars(values[:_DRAWN], head[1], head[1]),))


def _moved(found: Mapping[str, Any]) -> CardSection:
    title = "What moves its answers"
    if not found["inputs"]:
        return CardSection(title, (f"Not looked at: {found['problem']}.",))
    told = f"How far an input moves an answer from the mean one, on average over {found['rows']:,} test rows"
    head = ("input", "mean size of its Shapley value")
    rows = [(row["input"], number(row["mean"])) for row in found["inputs"]]
    values = [(row["input"], row["mean"]) for row in found["inputs"]]
    return CardSection(
        title,
        (f"{told}: in the label's unit, of classes in log odds.",),
        (table(head, rows),),
        (plots.bars(values[:_DRAWN], head[1], head[1]),),
    )
