"""What a model goes by: how much worse it gets without the sense of an input, and how far each input moves its answers.

Both look at few rows of the test part, so that a small run takes hardly longer for them; where even these would take
long, nothing is looked at unless the spec says ``always``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from framework.answers import Matrix, ModelOutput
from framework.api.metrics import measure_of
from framework.api.tasks import TASKS
from framework.scores import score
from framework.workloads import models
from framework.workloads.failures import first_line
from framework.workloads.formats import known as form_of
from framework.workloads.training import metrics
from framework.workloads.training.trainer import Artifact

ROWS, CELLS, FEWEST, REPEATS = 1_000, 20_000, 100, 3
"""Rows that are looked at: fewer where inputs times rows are more than CELLS, but FEWEST at least. An input changes
places so many times."""
EXPLAINED = 200
"""Rows whose answers are taken apart: that takes a hundred times as long as to ask."""
SECONDS = 5.0
"""Longer than that is not cheap."""
Clock = Callable[[], float]


def permutation(
    predictor: models.Predictor,
    output: ModelOutput,
    test: pl.DataFrame,
    lists: Matrix | None,
    seed: int,
    *,
    always: bool = False,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """How much the metric that the task is told by gets worse when an input's values change places between rows
    (Breiman, Random forests, Machine Learning 45, 2001; Fisher, Rudin and Dominici, JMLR 20, 2019): {metric, value,
    rows, repeats, inputs: [{input, drop, spread}], problem}. ``drop`` is the mean, ``spread`` the standard deviation
    over the repeats, both in the metric's unit; the most important first. Inputs that tell the same share what they
    are worth. ``problem`` says why there are none. Equal arguments give equal results, where they are given.
    """
    metric, names = TASKS[output.task].headline, [column["name"] for column in predictor.signature["inputs"]]
    generator = np.random.default_rng(seed)
    rows = _sample(test.height, max(FEWEST, min(ROWS, CELLS // len(names))), lists, generator)
    frame, groups = test[rows], None if lists is None else lists[rows]
    truth, matrix = output.truth(frame), predictor.encode(frame)

    def measured(asked: Matrix) -> float:
        return score(metric, metrics.answered(output, truth, predictor.answer(asked), groups))

    started = clock()
    value = measured(matrix)
    seconds = (clock() - started) * len(names) * REPEATS
    found = {"metric": metric, "rows": frame.height, "repeats": REPEATS, "inputs": []}
    if not np.isfinite(value):
        return {**found, "value": None, "problem": f"{metric} is not defined on {frame.height:,} test rows"}
    if seconds > SECONDS and not always:
        return {**found, "value": value, "problem": _long(seconds)}
    sign = -1 if measure_of(metric).loss else 1
    inputs = []
    for place, name in enumerate(names):
        drops = []
        for _ in range(REPEATS):
            moved = matrix.copy()
            moved[:, place] = generator.permutation(matrix[:, place])
            drops.append(sign * (value - measured(moved)))
        known = [drop for drop in drops if np.isfinite(drop)] or [0.0]
        inputs.append({"input": name, "drop": _short(np.mean(known)), "spread": _short(np.std(known))})
    inputs.sort(key=lambda row: -row["drop"])
    return {**found, "value": _short(value), "inputs": inputs, "problem": ""}


def contributions(
    artifact: Artifact,
    signature: Mapping[str, Any],
    test: pl.DataFrame,
    seed: int,
    *,
    always: bool = False,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """How far each input moves an answer from the mean one: the mean size of its Shapley value (Lundberg et al., From
    local explanations to global understanding with explainable AI for trees, Nature Machine Intelligence 2, 2020),
    which libraries of trees give exactly: {rows, inputs: [{input, mean}], problem}. In the unit that trees add up in:
    log odds of a binary label and, added up over the classes, of several; else that of the label. The largest first.
    """
    names = [column["name"] for column in signature["inputs"]]
    form, output = form_of(artifact.format), ModelOutput.of(signature)
    rows = _sample(test.height, EXPLAINED, None, np.random.default_rng(seed))
    found: dict[str, Any] = {"rows": len(rows), "inputs": []}
    if form.contributions is None:
        return {**found, "problem": f"a model in the form {artifact.format} does not say"}
    try:
        explain = form.contributions(artifact.data, output)
        matrix = models.Encoder(signature).matrix(test[rows])
        started = clock()
        first = explain(matrix[:10])
        seconds = (clock() - started) * len(rows) / 10
        if seconds > SECONDS and not always:
            return {**found, "problem": _long(seconds)}
        moved = np.concatenate([first, explain(matrix[10:])]) if len(rows) > 10 else first
    except Exception as error:  # a library that cannot take its own model apart, such as LightGBM linear trees
        return {**found, "problem": f"the library cannot say: {first_line(error)}"}
    means = moved.mean(axis=0)
    inputs = [{"input": name, "mean": _short(mean)} for name, mean in zip(names, means, strict=True)]
    return {**found, "inputs": sorted(inputs, key=lambda row: -row["mean"]), "problem": ""}


def _sample(height: int, most: int, lists: Matrix | None, generator: np.random.Generator) -> NDArray[np.int64]:
    """Positions of ``most`` rows, in order; of a ranking whole lists, up to the first that is one too many."""
    if height <= most:
        return np.arange(height)
    if lists is None:
        return np.sort(generator.choice(height, most, replace=False))
    place = np.unique(lists, return_inverse=True)[1]
    order = generator.permutation(int(place.max()) + 1)
    sizes = np.bincount(place)[order].cumsum()
    taken = order[: max(1, int(np.searchsorted(sizes, most, side="right")))]
    return np.flatnonzero(np.isin(place, taken))


def _long(seconds: float) -> str:
    return f"it would take about {seconds:.0f} s; evaluation.importance: always has it looked at"


def _short(value: Any) -> float:
    return float(f"{float(value):.6g}")
