"""How good a model is, on rows it has never seen: as a whole, in slices, and next to the model that serves now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from framework.answers import Matrix, ModelOutput
from framework.api.metrics import measure_of
from framework.api.tasks import TASKS, Task
from framework.scores import Answered, score
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.missing import nan_as_null
from framework.workloads.training import metrics
from framework.workloads.training.comparison import compare, interval


def champion_answers(
    champion: Mapping[str, Any], test: pl.DataFrame, task: Task = Task.BINARY, groups: Matrix | None = None
) -> tuple[Answered | None, str]:
    """The live model's answers to the challenger's test rows. None where it cannot be asked, and why, e.g. because it
    needs a column that this training set does not have, or has as something else: a bar against it then counts as
    failed rather than as passed unseen, and the version is on record with the reason.
    """
    name, signature = f"the live model {champion['version']}", champion["signature"]
    output = ModelOutput.of(signature)
    if output.task is not task:
        return None, f"{name} is a model of {output.task.value}, this one of {task.value}"
    missing = [column["name"] for column in signature["inputs"] if column["name"] not in test.columns]
    if missing:
        return None, f"{name} needs {', '.join(missing)}, which this training set does not have"
    retyped = list(_retyped(signature, test))
    if retyped:
        return None, f"{name} knows {' and '.join(retyped)}"
    try:
        answers = models.load(champion["artifact"], champion["sha256"], champion["format"], signature).predict(test)
        truth = output.truth(test)
    except WorkloadError as error:
        return None, f"{name} cannot be loaded: {error}"
    except Exception as error:
        return None, f"{name} cannot be asked: {type(error).__name__}: {first_line(error)}"
    unscored = metrics.not_finite(answers)
    if unscored:
        return None, f"{name} answers {unscored:,} of {test.height:,} rows with no finite number"
    unknown = int(np.count_nonzero(np.isnan(truth)))
    if unknown:
        return None, f"{name} does not know the classes of {unknown:,} of {test.height:,} rows"
    return metrics.answered(output, truth, answers, groups), ""


def _retyped(signature: models.Signature, test: pl.DataFrame) -> Iterator[str]:
    """Inputs that are something else now. One number is as good as another: the model sees floats."""
    for column in signature["inputs"]:
        known, now = column["dtype"], str(test.schema[column["name"]].base_type())
        if known != now and not {known, now} <= models.NUMBERS:
            yield f"{column['name']} as {known}, this training set has {now}"


def comparisons(
    gates: Sequence[Mapping[str, Any]], ours: Answered, theirs: Answered | None, seed: int, *, also: bool = False
) -> dict[str, dict[str, Any]]:
    """How much better ours is by each metric that is gated against the live model (see ``comparison.compare``), by
    name; empty where there is nothing to compare with. ``also``: by what its task is told by and by every gated metric,
    too."""
    if theirs is None:
        return {}
    asked = [gate["metric"] for gate in gates if also or gate.get("comparedTo")]
    headline = [TASKS[ours.task].headline] if also else []
    named = dict.fromkeys(metrics.checked(one, ours.task) for one in [*asked, *headline])
    found = {name: compare(name, ours, theirs, seed) for name in named}
    return {name: one for name, one in found.items() if one is not None}


def intervals(named: Iterable[str], known: Answered, seed: int) -> dict[str, list[float]]:
    """Where each metric may lie, and the one that the task is told by: [low, high] by name, see
    ``comparison.interval``. What is neither asked for nor told is not drawn: a metric takes as long as all others."""
    names = dict.fromkeys((TASKS[known.task].headline, *named))
    found = {name: interval(name, known, seed) for name in names}
    return {name: ends for name, ends in found.items() if ends is not None}


def slices(
    bars: Sequence[Mapping[str, Any]], test: pl.DataFrame, known: Answered, seed: int = 0
) -> list[dict[str, Any]]:
    """One row per bar and value of its column: {by, value, metric, rows, score}. ``score`` is None where the metric
    is not defined, e.g. an AUC where one class is missing. Slices below ``minRows`` are left out; where that leaves
    none, one row with the value None has the size of the largest. The row of the worst one also has ``of``, how many
    there are, and ``interval``, see ``comparison.interval``.

    Raises:
        WorkloadError: "MissingColumn", "UnknownMetric".
    """
    return [row for bar in bars for row in _slices(bar, test, known, seed)]


def _slices(bar: Mapping[str, Any], test: pl.DataFrame, known: Answered, seed: int) -> list[dict[str, Any]]:
    metric = metrics.checked(bar["metric"], known.task)
    if bar["by"] not in test.columns:
        raise WorkloadError(
            "MissingColumn", f"a slice is by {bar['by']!r}, the training set has {', '.join(test.columns)}"
        )
    column, least = nan_as_null(test.select(bar["by"])).to_series(), bar.get("minRows", 1)
    sizes = column.value_counts().sort(bar["by"], nulls_last=True)
    large = sizes.filter(pl.col("count") >= least)
    if large.is_empty():
        return [_slice(bar, None, max(sizes["count"].to_list()), float("nan"))]
    values = large[bar["by"]].to_list()
    parts = [known.of(np.flatnonzero(_equal(column, value))) for value in values]
    found = [
        _slice(bar, str(value), len(part.truth), score(metric, part)) for value, part in zip(values, parts, strict=True)
    ]
    sign = -1 if measure_of(metric).loss else 1
    measured = [place for place, row in enumerate(found) if row["score"] is not None]
    if measured:
        worst = min(measured, key=lambda place: sign * found[place]["score"])
        found[worst] |= {"of": len(found), "interval": interval(metric, parts[worst], seed)}
    return found


def _slice(bar: Mapping[str, Any], value: str | None, rows: int, found: float) -> dict[str, Any]:
    shown = found if np.isfinite(found) else None
    return {"by": bar["by"], "value": value, "metric": bar["metric"], "rows": rows, "score": shown}


def _equal(column: pl.Series, value: Any) -> Matrix:
    return (column.is_null() if value is None else (column == value).fill_null(False)).to_numpy()
