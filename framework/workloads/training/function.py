"""The user's own training function."""

from __future__ import annotations

import sys

from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.entrypoints import load_entrypoint
from framework.workloads.failures import first_line, raised
from framework.workloads.formats import known, skops, xgboost_ubj
from framework.workloads.training.trainer import Artifact, FitSettings, SeveralWorkers, TrainingData, Watch


class Function:
    """``entrypoint(data: TrainingData, params: dict, seed: int)`` returns a fitted scikit-learn estimator, or a Booster
    of LightGBM or XGBoost, over ``data``'s matrices, whose answers are those of ``data.output``. Whether equal inputs
    give equal bytes is up to the function."""

    several: SeveralWorkers | None = None

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Call the function once and save what it returns in a format that does not execute code."""
        import lightgbm

        done = watch.resume()
        if done is not None:
            return done[1]
        train = load_entrypoint(settings.entrypoint)
        try:
            model = train(data, dict(settings.params), settings.seed)
        except WorkloadError:
            raise
        except Exception as error:
            raise WorkloadError("TrainerFailed", f"{settings.entrypoint} raised {raised(error)}") from error
        if isinstance(model, lightgbm.Booster):
            artifact = Artifact(model.model_to_string().encode(), "lightgbm-text")
        elif isinstance(model, _boosters_of_xgboost()):
            artifact = Artifact(xgboost_ubj.dump(model), "xgboost-ubj")
        elif hasattr(model, _needed(data.output.task)):
            artifact = Artifact(skops.dump(model), "skops")
        else:
            raise WorkloadError(
                "WrongType",
                f"{settings.entrypoint} returned {type(model).__name__}; a scikit-learn estimator with "
                f"{_needed(data.output.task)}, or a Booster of LightGBM or XGBoost, is expected",
            )
        ask = known(artifact.format).load(artifact.data, data.output)
        try:
            answers = ask(data.validation.x)
        except Exception as error:  # one that was never fitted, or on other inputs
            told = f"{settings.entrypoint} returned a model that cannot answer: {first_line(error)}"
            raise WorkloadError("WrongAnswers", told) from error
        try:
            data.output.check_shape(answers, len(data.validation.y))
        except ValueError as error:
            told = f"{settings.entrypoint} returned a model that does not fit its task: {error}"
            raise WorkloadError("WrongAnswers", told) from error
        watch.report(1, answers, lambda: artifact)
        return artifact


def _boosters_of_xgboost() -> tuple[type, ...]:
    """None where nobody has loaded it: then no function has made one."""
    loaded = sys.modules.get("xgboost")
    return () if loaded is None else (loaded.Booster,)


def _needed(task: Task) -> str:
    return "predict_proba" if task in (Task.BINARY, Task.MULTICLASS) else "predict"
