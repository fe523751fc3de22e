"""The user's own training function."""

from __future__ import annotations

import numpy as np

from framework.workloads.context import WorkloadError
from framework.workloads.failures import raised
from framework.workloads.features.sources import load_entrypoint
from framework.workloads.models import dump_skops
from framework.workloads.training.trainer import Artifact, FitSettings, TrainingData, Watch


class Function:
    """``entrypoint(data: TrainingData, params: dict, seed: int)`` returns a fitted scikit-learn classifier or a
    LightGBM Booster over ``data``'s matrices. Whether equal inputs give equal bytes is up to the function."""

    boosts = False
    distributed = False

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
            scores = model.predict(data.validation.x, num_threads=settings.threads)
        elif hasattr(model, "predict_proba"):
            artifact = Artifact(dump_skops(model), "skops")
            scores = model.predict_proba(data.validation.x)[:, 1]
        else:
            raise WorkloadError(
                "WrongType",
                f"{settings.entrypoint} returned {type(model).__name__}; "
                "a scikit-learn classifier or a LightGBM Booster is expected",
            )
        watch.report(1, np.asarray(scores, dtype=np.float64), lambda: artifact)
        return artifact
