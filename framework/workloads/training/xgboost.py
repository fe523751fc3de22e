"""Gradient boosting with XGBoost. Equal arguments give equal bytes, also where a fit goes on from a checkpoint.

Several workers talk over ports of XGBoost's own, which know no authentication: a matter for a private network. One
worker opens none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task
from framework.api.xgboost import DERIVED, OBJECTIVES, PARAMETERS, WORDS
from framework.workloads.context import WorkloadError
from framework.workloads.formats import xgboost_ubj
from framework.workloads.training.stopping import Stopping
from framework.workloads.training.trainer import (
    Artifact,
    FitSettings,
    Part,
    SeveralWorkers,
    TrainingData,
    Watch,
    answers_to,
    sizes_of_lists,
    sorted_by_list,
    stride,
    told_apart,
)


def _trainer() -> Any:
    from ray.train.xgboost import XGBoostTrainer

    return XGBoostTrainer


class XGBoost:
    """The objective follows from the task: see ``framework.api.xgboost.OBJECTIVES``. Quantiles are learned by one
    model. Of a ranking XGBoost weighs lists and not rows: each weighs what its rows do on average.

    A fit that draws goes on from the stored model after each report, as it would after a crash: XGBoost does not store
    its random state, so that this alone makes both the same to the bit. It costs an answer to the training rows each
    time."""

    several: SeveralWorkers | None = SeveralWorkers(_trainer)
    """What a worker has to know of the others, that trainer sets up around it."""

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Boost for ``settings.rounds``, reporting every tenth of them and at the end. Where the fit stops early, the
        last report is of the best round.

        Raises:
            WorkloadError: "UnknownParameter"; "TrainerFailed"; "NoDevice" for a GPU that is not there.
            xgboost.core.XGBoostError: another worker is gone, which another try may get over.
        """
        import xgboost

        params = _params(settings, data.output)
        try:
            return _boosted(data, params, settings, watch)
        except xgboost.core.XGBoostError as error:
            if settings.workers > 1 and _OF_OTHERS in str(error):
                raise
            raise WorkloadError("TrainerFailed", f"XGBoost refused: {xgboost_ubj.said(error)}") from error


_OF_OTHERS = "/src/collective/"
"""In an error that begins between workers."""


def _boosted(data: TrainingData, params: dict[str, Any], settings: FitSettings, watch: Watch) -> Artifact:
    import xgboost

    done, model = watch.resume() or (0, None)
    stopping = Stopping(data, settings, None if model is None else model.best)
    if model is not None and done >= settings.rounds:
        return model
    if _UNSTORED in params:
        done, model, stopping = 0, None, Stopping(data, settings)
    anew = _UNSTORED not in params and not _DRAWN.isdisjoint(params)
    rows, booster, over = _rows(data, params, settings), None, False
    validation = _validation(data, rows, params, settings) if stopping.asked else None
    while model is None or done < settings.rounds:
        if booster is None or anew:
            known = [rows] if validation is None else [rows, validation]
            booster = xgboost.Booster(params, known, model_file=None if model is None else bytearray(model.data))
            _check_device(booster, params)
        first, done = done, min(done + stride(settings.rounds), settings.rounds)
        for number in range(first, done):
            booster.update(rows, number)
            if validation is not None:
                # It keeps the answers to what it was made with, so that each round costs it one tree.
                said = booster.predict(validation, strict_shape=True)
                stopping.see(number + 1, xgboost_ubj.shaped(said, data.output))
                over = stopping.over()
                if over:
                    break
        ended = stopping.asked and (over or done == settings.rounds)
        if ended:
            done = stopping.kept(done)
            booster = booster[:done]
        model = Artifact(xgboost_ubj.dump(booster), "xgboost-ubj", stopping.best)
        answers = answers_to(data.validation, partial(xgboost_ubj.answers, booster, output=data.output))
        watch.report(done, answers, partial(Artifact, model.data, model.format, model.best), last=ended)
        if ended:
            break
    return model


_DRAWN = frozenset({"colsample_bylevel", "colsample_bynode", "colsample_bytree", "lambdarank_pair_method", "subsample"})
"""What makes a fit draw rows, columns or pairs. What ``dart`` draws, it draws anew each round."""
_UNSTORED = "lambdarank_unbiased"
"""What XGBoost learns of positions it does not store, and goes on from no model without it: such a fit starts over."""


def _params(settings: FitSettings, output: ModelOutput) -> dict[str, Any]:
    able = OBJECTIVES[output.task]
    given = {name: value for name, value in settings.params.items() if value is not None}
    refused = [f"{name} cannot be set: {DERIVED[name]}" for name in sorted(given) if name in DERIVED]
    refused += [f"XGBoost has no parameter {name!r}" for name in sorted(given) if name not in PARAMETERS]
    refused += [
        f"{name} {given[name]!r} is none of {', '.join(words)}"
        for name, words in {**WORDS, "objective": able}.items()
        if given.get(name, words[0]) not in words
    ]
    if refused:
        raise WorkloadError("UnknownParameter", "; ".join(refused))
    if "monotone_constraints" in given:
        given["monotone_constraints"] = tuple(given["monotone_constraints"])
    if "interaction_constraints" in given:  # as a list it would be one of names
        given["interaction_constraints"] = json.dumps(given["interaction_constraints"])
    more: Mapping[Task, Mapping[str, Any]] = {
        Task.MULTICLASS: {"num_class": len(output.classes)},
        Task.QUANTILE: {"quantile_alpha": list(output.quantiles)},
    }
    return {
        "objective": able[0],
        **given,
        **more.get(output.task, {}),
        "seed": settings.seed,
        # Each round draws by its own number, so that those after a checkpoint draw as they would have without it.
        "seed_per_iteration": True,
        "nthread": settings.threads,
        "verbosity": 0,
        "disable_default_eval_metric": True,
    }


def _rows(data: TrainingData, params: Mapping[str, Any], settings: FitSettings) -> Any:
    """A worker's share of the training rows."""
    part = sorted_by_list(data.train.shard(settings.rank, settings.workers))
    more = {"weight": _weight(part), "group": None if part.groups is None else sizes_of_lists(part.groups)}
    return _matrix(data, part, params, settings, None, more)


def _validation(data: TrainingData, rows: Any, params: Mapping[str, Any], settings: FitSettings) -> Any:
    """The validation rows, for what a booster keeps of its answers to them."""
    return _matrix(data, data.validation, params, settings, rows, {})


def _matrix(
    data: TrainingData, part: Part, params: Mapping[str, Any], settings: FitSettings, cut_as: Any, more: dict[str, Any]
) -> Any:
    """``cut_as``: rows that stream are cut up as those of that matrix are."""
    import xgboost

    columns = {
        "feature_names": told_apart(data.names, _SPECIAL),
        "feature_types": ["c" if index in data.categories else "float" for index in range(len(data.names))],
    }
    how: dict[str, Any] = {"enable_categorical": True, "nthread": settings.threads}
    if settings.stream:
        most = int(params.get("max_bin", 256))
        return xgboost.QuantileDMatrix(_batches(part, columns), max_bin=most, ref=cut_as, **how)
    return xgboost.DMatrix(xgboost_ubj.narrowed(part.x), part.y, **more, **columns, **how)


def _batches(part: Part, columns: Mapping[str, list[str]]) -> Any:
    """One after the other, as XGBoost asks for them; it keeps a byte or two of each value."""
    import xgboost

    class Batches(xgboost.DataIter):  # type: ignore[misc]
        left: Iterator[Part] = iter(())

        def reset(self) -> None:
            self.left = part.each_batch()

        def next(self, input_data: Callable[..., None]) -> bool:
            batch = next((one for one in self.left if len(one.y)), None)
            if batch is None:
                return False
            input_data(data=xgboost_ubj.narrowed(batch.x), label=batch.y, weight=batch.weight, **columns)
            return True

    batches = Batches()
    batches.reset()
    return batches


def _weight(part: Part) -> Matrix | None:
    """One for each row; of rows that are sorted by list one for each list."""
    if part.groups is None or part.weight is None:
        return part.weight
    sizes = sizes_of_lists(part.groups)
    return np.asarray(np.add.reduceat(part.weight, np.cumsum(sizes) - sizes) / sizes)


def _check_device(booster: Any, params: Mapping[str, Any]) -> None:
    """Where XGBoost finds no GPU it goes on without one, and says so to nobody."""
    found = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    if params.get("device", "cpu") != "cpu" and found == "cpu":
        told = f"device is {params['device']}, and XGBoost finds no GPU: give resources.gpusPerWorker"
        raise WorkloadError("NoDevice", f"{told}, and install xgboost in place of xgboost-cpu; or leave device out")


_SPECIAL = re.compile(r"[\[\]<]")
"""Characters that XGBoost refuses in a name."""
