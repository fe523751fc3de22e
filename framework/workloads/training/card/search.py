"""What a card tells of the search that a model's parameters come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.api.metrics import VALIDATION, measure_of
from framework.api.printing import number
from framework.api.tasks import TASKS, Task
from framework.cards import plots
from framework.cards.content import CardSection, CardTable, share, table

MOST_ROWS, MOST_LINES = 50, 30
"""Trials of a table, and of the plot of their parameters: the best ones."""
_LATENCY = "latency_ms"


def searched(task: Task, trials: Sequence[Mapping[str, Any]] | None, told: Mapping[str, Any]) -> Iterator[CardSection]:
    """``told`` is what a run keeps of the search, see ``SearchResult.told``; empty of a version from before."""
    if not trials:
        return
    metric = told.get("metric") or f"{VALIDATION}{TASKS[task].headline}"
    loss = told["mode"] == "min" if "mode" in told else measure_of(metric.removeprefix(VALIDATION)).loss
    sign = 1 if loss else -1

    def rank(trial: Mapping[str, Any]) -> tuple[bool, bool, float, int]:
        at = trial["number"]
        return at != told.get("winner"), not _known(trial, metric), sign * (trial.get(metric) or 0), at

    ranked = sorted(trials, key=rank)
    names = sorted({name for trial in trials for name in trial["parameters"]})
    tables = [_table(ranked[:MOST_ROWS], names, metric, told)]
    drawn = [_history(trials, metric, loss)] if any(_known(trial, metric) for trial in trials) else []
    lines = [trial for trial in ranked if _known(trial, metric)][:MOST_LINES]
    if len(names) > 1 and len(lines) > 1:
        values = [[trial["parameters"].get(name) for name in names] for trial in lines]
        titles = [f"trial {trial['number']}: {number(trial[metric])}" for trial in lines]
        drawn.append(plots.parallel(names, values, titles, f"parameters of the {len(lines)} best trials"))
    if told.get("importance"):
        tables.append(table(("parameter", "importance"), [(n, share(part)) for n, part in told["importance"].items()]))
        drawn.append(plots.shares(told["importance"], "how much each parameter mattered", "importance"))
    yield CardSection("Search", tuple(_sentences(trials, metric, loss, told)), tuple(tables), tuple(drawn))


def _known(trial: Mapping[str, Any], metric: str) -> bool:
    return trial.get(metric) is not None


def _sentences(trials: Sequence[Mapping[str, Any]], metric: str, loss: bool, told: Mapping[str, Any]) -> Iterator[str]:
    by = f" by {told['algorithm']}" if told.get("algorithm") else ""
    stopped = told.get("scheduler") not in (None, "none")
    how = f", scheduler {told['scheduler']}" if stopped else ""
    yield f"{len(trials):,} trials{by}{how}, compared by {metric}, where {'less' if loss else 'more'} is better."
    if told.get("winner") is not None:
        yield f"Trial {told['winner']} was taken."
    bounds = [_bound(one) for one in told.get("constraints") or ()]
    if bounds:
        yield f"It had to keep {' and '.join(bounds)}."
    if told.get("stages"):
        yield f"Its parameters changed on the way, after {', '.join(f'{one:,}' for one in told['stages'])} rounds."
    if told.get("refit") == "trainAndValidation":
        yield (
            "With what was found the model learned once more from the train and the validation part. What is said of "
            "validation rows is of the same fit on the train part alone, and so is a threshold that was chosen on them."
        )
    if len(trials) > MOST_ROWS:
        yield f"The best {MOST_ROWS} of them are listed."


def _bound(form: Mapping[str, Any]) -> str:
    if form.get("latency"):
        return f"an answer to a single row within {form['latency']['max']}"
    sides = (("at least", form.get("min")), ("at most", form.get("max")))
    return f"{form['metric']} of {' and '.join(f'{word} {number(end)}' for word, end in sides if end is not None)}"


def _table(
    trials: Sequence[Mapping[str, Any]], names: Sequence[str], metric: str, told: Mapping[str, Any]
) -> CardTable:
    bounded = [one["metric"] for one in told.get("constraints") or () if one.get("metric")]
    measured = [name for name in dict.fromkeys((*bounded, _LATENCY)) if name != metric and _any(trials, name)]
    staged = _any(trials, "after")
    rows = [
        (
            trial["number"],
            *(["" if trial.get("after") is None else trial["after"]] if staged else []),
            *(value(trial["parameters"].get(name, "")) for name in names),
            f"{trial['rounds']:,}",
            number(trial.get(metric)),
            *(number(trial.get(name)) for name in measured),
            trial.get("error") or "",
        )
        for trial in trials
    ]
    return table(("trial", *(["after"] if staged else []), *names, "rounds", metric, *measured, "error"), rows)


def _any(trials: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(name in trial for trial in trials)


def value(given: Any) -> str:
    return f"{given:.6g}" if isinstance(given, float) else str(given)


def _history(trials: Sequence[Mapping[str, Any]], metric: str, loss: bool) -> plots.CardPlot:
    values = [
        (trial["number"], trial[metric], f"trial {trial['number']}: {number(trial[metric])}")
        for trial in trials
        if _known(trial, metric)
    ]
    best: list[tuple[int, float]] = []
    for at, found, _ in values:
        better = min if loss else max
        best.append((at, better(found, best[-1][1]) if best else found))
    return plots.progress(values, best, f"{metric} of each trial, and the best so far", metric)
