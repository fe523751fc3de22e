"""What a card shows of a model's answers to the test rows, by task: see ``diagnosis.diagnose``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.api.printing import number
from framework.api.tasks import Task
from framework.cards import plots
from framework.cards.content import CardSection, CardTable, share, table

OTHERS = "all others"
_NOT_KEPT = {
    Task.BINARY: "confusion matrix and calibration",
    Task.MULTICLASS: "confusion matrix and calibration",
    Task.REGRESSION: "predicted values beside true ones and residuals",
    Task.QUANTILE: "coverage of each quantile",
}


def evidence(task: Task, diagnosis: Mapping[str, Any] | None, label: str) -> Iterator[CardSection]:
    """The sections of one model. A version from before its answers were kept has one that says so, as has one without
    any finite answer; a ranking has none."""
    if task is Task.RANKING:
        return
    if not diagnosis or not diagnosis.get("rows"):
        why = "none of them was a finite number" if diagnosis else "this version is from before that was kept"
        yield CardSection("Answers to the test rows", (f"No {_NOT_KEPT[task]} on record: {why}.",))
        return
    match task:
        case Task.BINARY | Task.MULTICLASS:
            yield _confusion(diagnosis["confusion"], label)
            yield _calibration(diagnosis["calibration"], label)
        case Task.REGRESSION:
            yield _agreement(diagnosis["agreement"], label)
            yield _residuals(diagnosis["residuals"], label)
        case Task.QUANTILE:
            yield _coverage(diagnosis, label)


def _confusion(found: Mapping[str, Any], label: str) -> CardSection:
    names = [OTHERS if one is None else str(one) for one in found["classes"]]
    counts = found["counts"]
    totals = [sum(row) for row in counts]
    at = found.get("threshold")
    how = "the most probable class" if at is None else f"1 from a probability of {at:g} on"
    head = (f"true {label}", *(f"predicted {name}" for name in names), "right")
    rows = [
        (name, *(f"{rows:,}" for rows in row), share(row[index] / total) if total else "no rows")
        for index, (name, row, total) in enumerate(zip(names, counts, totals, strict=True))
    ]
    shades = tuple(
        (*(rows / total if total else 0.0 for rows in row), 0.0) for row, total in zip(counts, totals, strict=True)
    )
    whole = table(head, rows)
    return CardSection(
        "Confusion matrix",
        (f"Test rows by what was true and what was predicted, which is {how}.", *_rare(found["classes"])),
        (CardTable(whole.head, whole.rows, shades),),
    )


def _rare(classes: Sequence[str | None]) -> list[str]:
    return [f"The {len(classes) - 1} most frequent classes by themselves."] if None in classes else []


def _calibration(found: Mapping[str, Any], label: str) -> CardSection:
    what = f"{label} was {found['of']}" if found["of"] else "the class that was predicted was right"
    of = f"the probability that {label} is {found['of']}" if found["of"] else "the probability of that class"
    rows = [
        (f"{b['from']:.1f} to {b['to']:.1f}", f"{b['rows']:,}", number(b["mean"]), number(b["share"]))
        for b in found["bins"]
    ]
    points = [
        (b["mean"], b["share"], f"{b['mean']:.3f} answered, {b['share']:.3f} true, {b['rows']:,} rows")
        for b in found["bins"]
    ]
    return CardSection(
        "Calibration",
        (f"How often {what}, where {of} was so high. On the diagonal a probability is what it says.",),
        (table(("probability", "rows", "mean probability", "share"), rows),),
        (plots.against(points, "share against mean probability", "mean probability", "share", plots.UNIT),),
    )


def _agreement(found: Sequence[Mapping[str, Any]], label: str) -> CardSection:
    rows = [
        (
            f"{number(part['from'])} to {number(part['to'])}",
            f"{part['rows']:,}",
            number(part["predicted"]),
            number(part["true"]),
        )
        for part in found
    ]
    points = [
        (
            part["predicted"],
            part["true"],
            f"{part['predicted']:g} predicted, {part['true']:g} true, {part['rows']:,} rows",
        )
        for part in found
    ]
    return CardSection(
        "Predicted against true",
        (f"Test rows in parts of about as many rows, by the {label} that was predicted; means of each part.",),
        (table(("predicted", "rows", "mean predicted", "mean true"), rows),),
        (plots.against(points, "mean true against mean predicted", "mean predicted", "mean true"),),
    )


def _residuals(found: Mapping[str, Any], label: str) -> CardSection:
    edges, counts, beyond = found["edges"], found["counts"], found["below"] + found["above"]
    facts = [("mean", found["mean"]), ("standard deviation", found["deviation"])]
    facts += [
        (f"{share(float(name)).removesuffix('.0 %')} % quantile", value) for name, value in found["quantiles"].items()
    ]
    left_out = f" {beyond:,} rows lie beyond the plot, below the 1st or above the 99th percentile." if beyond else ""
    return CardSection(
        "Residuals",
        (f"True {label} less the predicted one, on the test rows.{left_out}",),
        (table(("residual", "value"), [(name, number(value)) for name, value in facts]),),
        (plots.histogram(edges, counts, "rows by residual", "true less predicted"),),
    )


def _coverage(found: Mapping[str, Any], label: str) -> CardSection:
    rows = [
        (f"{one['quantile']:g}", share(one["quantile"]), share(one["share"]), f"{one['rows']:,}")
        for one in found["quantiles"]
    ]
    points = [
        (one["quantile"], one["share"], f"quantile {one['quantile']:g}: {share(one['share'])} of {one['rows']:,} rows")
        for one in found["quantiles"]
    ]
    return CardSection(
        "Coverage of each quantile",
        (
            f"The share of test rows whose {label} is at or below the quantile that was answered. "
            f"The lowest and the highest are {number(found['width'])} apart on average.",
        ),
        (table(("quantile", "should be below", "are below", "rows"), rows),),
        (plots.against(points, "share of rows against quantile", "quantile", "share", plots.UNIT),),
    )
