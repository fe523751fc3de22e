"""How good models are that are fitted as the final one was, on parts of the train and validation rows: what of the
result is luck of the split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from framework.answers import ModelOutput
from framework.api.metrics import CV
from framework.workloads import formats, models
from framework.workloads.training import cluster, labels, metrics
from framework.workloads.training.dataset import TrainingSet
from framework.workloads.training.folds import Fold
from framework.workloads.training.loading import placed
from framework.workloads.training.progress import of_fit
from framework.workloads.training.trainer import FitSettings, Fitted, answers_to

Fit = Callable[..., Fitted]
"""As ``fit.fit``."""


@dataclass(frozen=True)
class CrossValidated:
    """``means`` by name with ``cv_``, of metrics that are defined in all folds; ``kept`` is what is on record:
    {by, folds: [{learned, held, since, until, metrics}], metrics: {name: {mean, std}}}; std is that of the sample."""

    means: dict[str, float]
    kept: dict[str, Any]


@dataclass(frozen=True)
class FoldFits:
    """What the fits of all folds have in common. ``rows`` are those that ``folds`` count; ``settings`` those of the
    final model, but for early stopping; ``folder`` is the run's; ``tell`` hears how far they are."""

    spec: Mapping[str, Any]
    trainer: str
    settings: FitSettings
    rows: pl.DataFrame
    folds: Sequence[Fold]
    dataset: TrainingSet
    folder: str
    fit: Fit
    tell: Callable[[float | None, str], None]

    def measured(self, output: ModelOutput, wanted: Sequence[str]) -> CrossValidated:
        """Fit one after the other; those that are finished already are not fitted again. ``output`` is that of the
        final model, whose threshold counts."""
        found = [self._fold(number, fold, output, wanted) for number, fold in enumerate(self.folds, start=1)]
        names = [name for name in found[0]["metrics"] if all(name in fold["metrics"] for fold in found)]
        each = {name: [fold["metrics"][name] for fold in found] for name in names if name != metrics.NOT_FINITE}
        spread = {name: {"mean": float(np.mean(one)), "std": float(np.std(one, ddof=1))} for name, one in each.items()}
        means = {f"{CV}{name}": one["mean"] for name, one in spread.items()}
        return CrossValidated(means, {"by": self.spec["dataset"]["split"]["by"], "folds": found, "metrics": spread})

    def _fold(self, number: int, fold: Fold, output: ModelOutput, wanted: Sequence[str]) -> dict[str, Any]:
        spec, dataset = self.spec, self.dataset
        learn, held = self.rows[fold.learn], self.rows[fold.held]
        own = labels.output_of(learn, dataset.label, dataset.task, spec["dataset"].get("quantiles") or [])
        signature = models.signature_of(learn, dataset.inputs, dataset.nullable, own)
        parts, place = {"train": learn, "validation": held}, f"{self.folder}/shards/fold-{number}"
        sent, data, streamed = placed(parts, dataset, signature, own, spec, self.trainer, place)
        settings = replace(self.settings, stream=streamed)
        workers, fewest = cluster.workers_of(spec["resources"])
        needs = cluster.WorkerNeeds.of(spec["resources"])

        def tell(done: int | None, measured: str) -> None:
            part, told = of_fit(self.trainer, workers, settings.rounds, done, str(needs), measured)
            self.tell((number - 1 + (part or 0.0)) / len(self.folds), f"fold {number} of {len(self.folds)}: {told}")

        name, checkpoint = f"fold-{number}", spec["checkpoint"]
        fitted = self.fit(sent, self.trainer, settings, workers, needs, checkpoint, self.folder, name, tell, fewest)
        answers = answers_to(
            data.validation, formats.known(fitted.artifact.format).load(fitted.artifact.data, data.output)
        )
        judged = replace(data, output=replace(data.output, threshold=output.threshold))
        times = None if dataset.time is None else held[dataset.time]
        return {
            "learned": learn.height,
            "held": held.height,
            "since": "" if times is None else str(times.min()),
            "until": "" if times is None else str(times.max()),
            "metrics": metrics.measure(metrics.validated(judged, answers), also=wanted),
        }
