"""How well a model answers the test rows once they are disturbed: as data is that comes from the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from framework.answers import Matrix, ModelOutput
from framework.api.metrics import NO_OWN, Measures
from framework.api.perturbations import PERTURBATIONS, Perturbation, amount_of
from framework.api.tasks import Task
from framework.scores import score
from framework.workloads import models
from framework.workloads.missing import nan_as_null
from framework.workloads.training import metrics
from framework.workloads.training.own_metrics import NO_OWN_METRICS, OwnMetrics

_NEVER_SEEN = "\N{REPLACEMENT CHARACTER} never seen"


def check(bars: Sequence[Mapping[str, Any]], task: Task, own: Measures = NO_OWN) -> None:
    """
    Raises:
        WorkloadError: "UnknownMetric" where a bar's metric says nothing of the task.
    """
    for bar in bars:
        metrics.checked(bar["metric"], task, own)


def robustness(
    bars: Sequence[Mapping[str, Any]],
    predictor: models.Predictor,
    output: ModelOutput,
    test: pl.DataFrame,
    lists: Matrix | None,
    seed: int,
    own: OwnMetrics = NO_OWN_METRICS,
) -> list[dict[str, Any]]:
    """One row per bar: {perturb, amount, metric, columns, clean, value, problem}. ``clean`` is the metric on the rows
    as they are, ``value`` on the disturbed ones, None where ``problem`` says why there is none.

    - noise: normal noise of ``amount`` standard deviations of the column is added to numbers, whole ones stay whole;
    - missing: so many values, drawn by chance, of each input that may be missing are;
    - unseen: so many values of each String are ones that training never saw.

    ``columns`` are those that it is done to: as the bar says, or all that it can be done to. ``own`` metrics are given
    the rows as they are. Equal arguments give equal results.
    """
    truth, looked = output.truth(test), own.rows(test)

    def measured(metric: str, rows: pl.DataFrame) -> float | None:
        value = score(metric, metrics.answered(output, truth, predictor.predict(rows), lists, own, looked))
        return value if np.isfinite(value) else None

    found = []
    for place, bar in enumerate(bars):
        metric, perturb = metrics.checked(bar["metric"], output.task, own.measures), Perturbation(bar["perturb"])
        amount = amount_of(perturb, bar.get("amount"))
        columns, problem = _columns(perturb, bar.get("columns", "all"), predictor.signature)
        clean, value = measured(metric, test), None
        if not problem:
            disturbed = _disturbed(test, columns, perturb, amount, np.random.default_rng([seed, place]))
            value = measured(metric, disturbed)
            problem = "" if None not in (clean, value) else f"{metric} is not defined on these rows"
        told = {"perturb": perturb.value, "amount": amount, "metric": bar["metric"], "columns": columns}
        found.append({**told, "clean": clean, "value": value if clean is not None else None, "problem": problem})
    return found


def _columns(perturb: Perturbation, asked: str | Sequence[str], signature: models.Signature) -> tuple[list[str], str]:
    """What it is done to; and why that cannot be."""
    form = PERTURBATIONS[perturb]
    able = [
        column["name"]
        for column in signature["inputs"]
        if (form.dtypes is None or column["dtype"] in form.dtypes)
        and (perturb is not Perturbation.MISSING or column["nullable"])
    ]
    if asked == "all":
        return able, "" if able else f"{perturb} needs {form.needs}, and there is none"
    unfit = [name for name in asked if name not in able]
    return list(asked), f"{perturb} needs {form.needs}, which {', '.join(unfit)} is not" if unfit else ""


def _disturbed(
    rows: pl.DataFrame, columns: Sequence[str], perturb: Perturbation, amount: float, generator: np.random.Generator
) -> pl.DataFrame:
    if perturb is Perturbation.NOISE:
        return rows.with_columns(_noisy(rows[name], amount, generator) for name in columns)
    instead = _NEVER_SEEN if perturb is Perturbation.UNSEEN else None
    hit = {name: pl.Series(generator.random(rows.height) < amount) for name in columns}
    return rows.with_columns(
        pl.when(pl.lit(hit[name])).then(pl.lit(instead)).otherwise(pl.col(name)).alias(name) for name in columns
    )


def _noisy(column: pl.Series, amount: float, generator: np.random.Generator) -> pl.Series:
    """As Float64: a model sees nothing else. What is missing or infinite stays what it is."""
    known = nan_as_null(column.cast(pl.Float64).to_frame()).to_series()
    spread = known.filter(known.is_finite()).std() or 0.0
    noise = pl.Series(generator.normal(size=len(column)) * (amount * float(spread)))  # type: ignore[arg-type]
    found = known + noise
    return (found.round() if column.dtype.is_integer() else found).alias(column.name)
