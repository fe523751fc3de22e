"""Any scikit-learn classifier or regressor, behind the preparation that most of them need."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.failures import raised
from framework.workloads.formats import skops
from framework.workloads.training.estimators import build
from framework.workloads.training.trainer import Artifact, FitSettings, SeveralWorkers, TrainingData, Watch


class Sklearn:
    """Strings become one column per category (an unseen or missing one is all zeros); numbers have their gaps filled
    with the median and are scaled to mean 0 and variance 1. Fitted at once, so there is one report and no
    checkpoint."""

    several: SeveralWorkers | None = None

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Fit ``settings.entrypoint`` (a class below sklearn) with ``settings.params``."""
        done = watch.resume()
        if done is not None:
            return done[1]
        _finite(data)
        pipeline = _pipeline(data, build(settings.entrypoint, settings.params, settings.seed, data.output.task))
        try:
            pipeline.fit(data.train.x, _target(data), **_weights(data, pipeline))
            answers = skops.ask(pipeline, data.validation.x, data.output)
        except Exception as error:
            raise WorkloadError("TrainerFailed", f"{settings.entrypoint} raised {raised(error)}") from error
        artifact = Artifact(skops.dump(pipeline), "skops")
        watch.report(1, answers, lambda: artifact)
        return artifact


def _finite(data: TrainingData) -> None:
    """
    Raises:
        WorkloadError: "InfiniteInput", with the column and how many: scikit-learn takes none.
    """
    for index, name in enumerate(data.names):
        infinite = sum(int(np.isinf(part.column(index)).sum()) for part in (data.train, data.validation))
        if infinite:
            told = f"{name} is infinite in {infinite:,} rows, which scikit-learn cannot learn from"
            raise WorkloadError("InfiniteInput", f"{told}: make it null in the view, or take another trainer")


def _target(data: TrainingData) -> Any:
    return data.train.y if data.output.task is Task.REGRESSION else data.train.y.astype(np.int64)


def _weights(data: TrainingData, pipeline: Any) -> dict[str, Any]:
    """
    Raises:
        WorkloadError: "UnsupportedWeight": the estimator takes none.
    """
    if data.train.weight is None:
        return {}
    estimator = pipeline.named_steps["model"]
    if "sample_weight" not in inspect.signature(estimator.fit).parameters:
        told = f"{type(estimator).__name__} cannot weigh rows, which dataset.weight or dataset.classWeights asks for"
        raise WorkloadError("UnsupportedWeight", told)
    return {"model__sample_weight": data.train.weight}


def _pipeline(data: TrainingData, estimator: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    # A String column without any value has no category to make a column of; it is kept as a number that is missing.
    strings = sorted(index for index, count in data.categories.items() if count)
    numbers = [index for index in range(len(data.names)) if index not in strings]
    categories = [np.arange(data.categories[index], dtype=np.float64) for index in strings]
    one_hot = Pipeline(
        [
            ("missing", SimpleImputer(strategy="constant", fill_value=-1.0)),
            ("encode", OneHotEncoder(categories=categories, handle_unknown="ignore", sparse_output=False)),
        ]
    )
    scale = Pipeline(
        [("missing", SimpleImputer(strategy="median", keep_empty_features=True)), ("scale", StandardScaler())]
    )
    prepare = ColumnTransformer(
        [*([("strings", one_hot, strings)] if strings else []), *([("numbers", scale, numbers)] if numbers else [])]
    )
    return Pipeline([("prepare", prepare), ("model", estimator)])
