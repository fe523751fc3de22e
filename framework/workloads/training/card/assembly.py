"""A model card from what a training run returns, or from what the registry and the files of a version still have of
that. Pure; what is not known is left out, or said to be unknown. Nothing goes by the order of keys: it is not kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.api.credentials import redacted_value
from framework.api.metrics import VALIDATION, bare, measure_of, measured
from framework.api.printing import number
from framework.api.tasks import TASKS, Task
from framework.cards.content import Card, CardSection, table
from framework.workloads.training.card.evidence import evidence
from framework.workloads.training.card.forms import forms
from framework.workloads.training.card.inside import importance, leakage
from framework.workloads.training.card.parts import fairness, robustness, slices
from framework.workloads.training.card.search import searched, value

_PREDICTS = {
    Task.BINARY: "Predicts the probability that {label} is 1",
    Task.MULTICLASS: "Predicts the probability of each value of {label} ({values})",
    Task.REGRESSION: "Predicts {label}, a number",
    Task.QUANTILE: "Predicts the quantiles {values} of {label}",
    Task.RANKING: "Ranks the rows of a list by a score: how relevant each is, which {label} says",
}
_MOST_VALUES = 20
_PARTS = (("train", "to learn from"), ("validation", "to choose on"), ("test", "to judge on"))


def model_card(training: str, version: str, result: Mapping[str, Any], gates: Sequence[Mapping[str, Any]] = ()) -> Card:
    """The card of one version.

    Args:
        result: what the training run returns, see ``train.run``; of a version from before there were some of its
            fields without them.
        gates: {gate, value, bar, passed, message} of each bar, where the version was judged already.
    """
    result = redacted_value(result)
    output, origin = result["signature"]["output"], result.get("origin") or {}
    task, label = Task(output.get("task", Task.BINARY)), origin.get("label") or output["name"]
    sections = [
        *_use(origin),
        _metrics(task, result),
        *_cross_validation((result.get("lineage") or {}).get("cross_validation")),
        *_gates(gates),
        *evidence(task, result.get("diagnosis"), label),
        *slices(result.get("slices") or ()),
        *fairness(result.get("fairness") or ()),
        *robustness(result.get("robustness") or ()),
        *importance(result.get("importance"), result.get("contributions")),
        *leakage(result.get("leakage")),
        *forms((result.get("lineage") or {}).get("forms") or {}),
        *searched(task, result.get("trials"), origin.get("search") or {}),
        _data(result, origin),
        _inputs(result["signature"]),
        _parameters(result.get("parameters") or {}),
        _lineage(result, origin),
        _limits(result),
    ]
    return Card(f"{training} {version}", tuple(_lead(task, label, output, origin, result)), tuple(sections))


def _lead(
    task: Task, label: str, output: Mapping[str, Any], origin: Mapping[str, Any], result: Mapping[str, Any]
) -> Iterator[str]:
    values = [str(value) for value in output.get("classes") or output.get("quantiles") or ()]
    told = ", ".join(values[:_MOST_VALUES]) + (
        f" and {len(values) - _MOST_VALUES} more" if values[_MOST_VALUES:] else ""
    )
    spine = f", for rows of the view {origin['spine']}" if origin.get("spine") else ""
    yield f"{_PREDICTS[task].format(label=label, values=told)}{spine}."
    name = TASKS[task].headline
    value = result["metrics"].get(name)
    known = (
        f" {name} {number(value)} on {result['rows']['test']:,} test rows."
        if value is not None and _has_test(result)
        else ""
    )
    yield f"Task {task.value}.{known}"


def _has_test(result: Mapping[str, Any]) -> bool:
    return "test" in (result.get("rows") or {})


def _use(origin: Mapping[str, Any]) -> Iterator[CardSection]:
    if origin.get("description"):
        yield CardSection("Intended use", (origin["description"],))


def _metrics(task: Task, result: Mapping[str, Any]) -> CardSection:
    """Test and validation, with the live model's on the same test rows."""
    found, live, lineage = result["metrics"], result.get("champion_metrics") or {}, result.get("lineage") or {}
    own, added = sorted({bare(name) for name in found}), lineage.get("own_metrics") or {}
    names = [name for name in dict.fromkeys((*measured(task), *own)) if name in own or name in live]
    drawn = result.get("intervals") or {}
    between = ["95 of 100 draws of the test rows"] if drawn else []
    head = ["metric", "better", "test", *between, "validation", *(["live model, same test rows"] if live else [])]
    rows = []
    for name in names:
        ends = drawn.get(name)
        spread = [f"{number(ends[0])} to {number(ends[1])}" if ends else ""] if drawn else []
        others = [found.get(f"{VALIDATION}{name}"), *([live.get(name)] if live else [])]
        rows.append((name, _better(name, added), number(found.get(name)), *spread, *map(number, others)))
    said = {"nothing is live": "No other model was live to be compared with."}
    problem, champion = lineage.get("champion_problem"), lineage.get("champion")
    sentences = [f"The live model is {champion}."] if live and champion else []
    if result.get("champion_told"):
        sentences.append(f"It was measured {result['champion_told']}.")
    if problem and not live:
        sentences.append(said.get(problem, f"The live model was not measured: {problem}."))
    return CardSection("How good it is", tuple(sentences), (table(head, rows),))


def _better(name: str, own: Mapping[str, str]) -> str:
    if name in own:
        return "lower" if own[name] == "smaller" else "higher"
    try:
        return "lower" if measure_of(name).loss else "higher"
    except KeyError:
        return ""


def _cross_validation(crossed: Mapping[str, Any] | None) -> Iterator[CardSection]:
    if not crossed:
        return
    folds = crossed["folds"]
    head = ["metric", "mean", "standard deviation", *(f"fold {place}" for place in range(1, len(folds) + 1))]
    rows = [
        (name, number(one["mean"]), number(one["std"]), *(number(fold["metrics"][name]) for fold in folds))
        for name, one in crossed["metrics"].items()
    ]
    parts = [
        (place, f"{fold['learned']:,}", f"{fold['held']:,}", fold["since"][:19], fold["until"][:19])
        for place, fold in enumerate(folds, start=1)
    ]
    told = f"{len(folds)} fits with the same parameters and rounds on parts of the train and validation rows, divided"
    yield CardSection(
        "Cross-validation",
        (f"{told} by {crossed['by']}; each is measured on rows that it has not seen.",),
        (table(head, rows), table(("fold", "rows to learn from", "measured on", "from (UTC)", "to (UTC)"), parts)),
    )


def _gates(gates: Sequence[Mapping[str, Any]]) -> Iterator[CardSection]:
    if gates:
        rows = [
            (row["gate"], number(row["value"]), row["bar"], "passed" if row["passed"] else "failed") for row in gates
        ]
        yield CardSection("Gates", (), (table(("gate", "value", "bar", "verdict"), rows),))


def _data(result: Mapping[str, Any], origin: Mapping[str, Any]) -> CardSection:
    rows, lineage = result.get("rows") or {}, result.get("lineage") or {}
    parts = [f"{rows[part]:,} rows {what}" for part, what in _PARTS if part in rows]
    sentences = [f"{', '.join(parts)}."] if parts else []
    if rows.get("gap"):
        sentences.append(f"{rows['gap']:,} rows between two parts are in none of them.")
    if rows.get("dropped"):
        sentences.append(f"{rows['dropped']:,} rows without a label were left out.")
    if lineage.get("dataset"):
        sentences.append(f"SHA-256 of the training set: {lineage['dataset']}.")
    extents = origin.get("views") or {}
    read = [
        (name, view.get("version", ""), view.get("build") or view.get("identity") or "", *_extent(extents.get(name)))
        for name, view in sorted((lineage.get("views") or {}).items())
    ]
    head = ("view", "version", "build", "rows", "from (UTC)", "to (UTC)")
    return CardSection("Data that was read", tuple(sentences), (table(head, read),) if read else ())


def _extent(found: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if found is None:
        return "", "", ""
    since, until = ((found[end] or "")[:19].replace("T", " ") for end in ("since", "until"))
    return f"{found['rows']:,}", since, until


def _inputs(signature: Mapping[str, Any]) -> CardSection:
    rows = [
        (
            column["name"],
            f"{column['dtype']} ({column['encoding']} since 1970)" if "encoding" in column else column["dtype"],
            "yes" if column["nullable"] else "no",
            f"{len(column['categories']):,}" if "categories" in column else "",
        )
        for column in signature["inputs"]
    ]
    return CardSection("Inputs", (), (table(("name", "dtype", "may be missing", "categories"), rows),))


def _parameters(parameters: Mapping[str, Any]) -> CardSection:
    rows = [(name, value(given)) for name, given in sorted(parameters.items())]
    return CardSection("Parameters", (), (table(("name", "value"), rows),))


def _lineage(result: Mapping[str, Any], origin: Mapping[str, Any]) -> CardSection:
    lineage = result.get("lineage") or {}
    facts = [
        ("commit", lineage.get("commit")),
        ("cause", lineage.get("cause")),
        ("trainer", origin.get("trainer")),
        ("seed", lineage.get("seed")),
        ("format", result["format"]),
        ("SHA-256 of the model file", result["sha256"]),
        *sorted((lineage.get("libraries") or {}).items()),
    ]
    return CardSection("Lineage", (), (table(("what", "which"), [fact for fact in facts if fact[1] is not None]),))


_NOT_LOOKED_AT = {
    "slices": "No part of the test rows was judged by itself.",
    "fairness": "Fairness was not looked at: nothing here says how groups of people fare.",
    "robustness": "Robustness was not looked at: nothing here says how it answers noisy or incomplete rows.",
    "importance": "What the model goes by was not looked at.",
}
"""By what the result of a run has where it was asked for."""


def _limits(result: Mapping[str, Any]) -> CardSection:
    left = [told for name, told in _NOT_LOOKED_AT.items() if not result.get(name)]
    if not (result.get("lineage") or {}).get("cross_validation"):
        left.append("Everything was measured on one split; another one would give somewhat other numbers.")
    always = "Nothing says how it answers hostile inputs, or times beyond those of the data."
    return CardSection("Limits", (*left, always))
