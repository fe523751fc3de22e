"""How good models are that are fitted as the final one was, on parts of the train and validation rows: what of the
result is luck of the split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from framework.answers import ModelOutput
from framework.api.metrics import CV
from framework.workloads import formats
from framework.workloads.training import metrics
from framework.workloads.training.dataset import TrainingSet
from framework.workloads.training.folds import Fold
from framework.workloads.training.trainer import Fitted, TrainingData


@dataclass(frozen=True)
class CrossValidated:
    """``means`` by name with ``cv_``, of metrics that are defined in all folds; ``kept`` is what is on record:
    {by, folds: [{learned, held, since, until, metrics}], metrics: {name: {mean, std}}}; std is that of the sample."""

    means: dict[str, float]
    kept: dict[str, Any]


def cross_validate(
    by: str,
    frame: pl.DataFrame,
    folds: Sequence[Fold],
    dataset: TrainingSet,
    output: ModelOutput,
    wanted: Sequence[str],
    data_of: Callable[[pl.DataFrame, pl.DataFrame], TrainingData],
    fit: Callable[[TrainingData, int], Fitted],
) -> CrossValidated:
    """
    Args:
        output: of the final model, whose threshold counts.
        data_of: rows to learn from and rows to measure on, as a trainer is given them.
        fit: of the n-th fold, from 1 on. One that is finished already is not fitted again.
    """
    found: list[dict[str, Any]] = []
    for number, fold in enumerate(folds, start=1):
        learn, held = frame[fold.learn], frame[fold.held]
        data = data_of(learn, held)
        artifact = fit(data, number).artifact
        answers = formats.known(artifact.format).load(artifact.data, data.output)(data.validation.x)
        judged = replace(data, output=replace(data.output, threshold=output.threshold))
        times = held[dataset.time]
        found.append(
            {
                "learned": learn.height,
                "held": held.height,
                "since": str(times.min()),
                "until": str(times.max()),
                "metrics": metrics.measure(metrics.validated(judged, answers), also=wanted),
            }
        )
    names = [name for name in found[0]["metrics"] if all(name in fold["metrics"] for fold in found)]
    each = {name: [fold["metrics"][name] for fold in found] for name in names if name != metrics.NOT_FINITE}
    spread = {name: {"mean": float(np.mean(one)), "std": float(np.std(one, ddof=1))} for name, one in each.items()}
    means = {f"{CV}{name}": one["mean"] for name, one in spread.items()}
    return CrossValidated(means, {"by": by, "folds": found, "metrics": spread})
