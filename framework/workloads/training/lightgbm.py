"""Gradient boosting with LightGBM. One worker: the same bytes every time. Several: the same trees up to float sums.

Several workers talk over ports of LightGBM's own, which listen on every interface and know no authentication: a matter
for a private network. One worker opens none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from framework.answers import Matrix, ModelOutput
from framework.api.lightgbm import DERIVED, OBJECTIVES, names
from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.formats import lightgbm_text
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

_OBJECTIVE = names("objective")


def _trainer() -> Any:
    from ray.train.lightgbm import LightGBMTrainer

    return LightGBMTrainer


def _network() -> Mapping[str, Any]:
    from ray.train.lightgbm import get_network_params

    return {"tree_learner": "data", "pre_partition": True, **get_network_params()}


class LightGBM:
    """The objective follows from the task: see ``framework.api.lightgbm.OBJECTIVES``. A fit that goes on from a
    checkpoint adds the missing rounds to it: a good model, but not to the bit the one of an undisturbed run, because
    LightGBM does not keep its random state and its float32 scores. Quantiles are boosted side by side, one model each,
    on one worker, and start over."""

    tasks = frozenset(Task)
    boosts = True
    several: SeveralWorkers | None = SeveralWorkers(_trainer, _network)
    streams = True

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Boost for ``settings.rounds``, reporting every tenth of them and at the end."""
        import lightgbm

        params = _params(settings, data.output)
        try:
            if data.output.task is Task.QUANTILE:
                return _quantiles(data, params, settings, watch)
            return _one(data, params, settings, watch)
        except lightgbm.basic.LightGBMError as error:
            raise WorkloadError("TrainerFailed", f"LightGBM refused: {error}") from error


def _one(data: TrainingData, params: dict[str, Any], settings: FitSettings, watch: Watch) -> Artifact:
    import lightgbm

    done, before = 0, None
    checkpoint = watch.resume()
    if checkpoint is not None:
        done, before = checkpoint[0], lightgbm.Booster(model_str=checkpoint[1].data.decode())
    if before is not None and done >= settings.rounds:
        return _artifact(before)
    every = stride(settings.rounds)

    def look(env: Any) -> None:
        rounds = done + env.iteration - env.begin_iteration + 1
        if rounds % every == 0 or rounds == settings.rounds:
            watch.report(rounds, _answers(env.model, data, settings), lambda: _artifact(env.model))

    rows = _rows(data, params, settings)
    return _artifact(lightgbm.train(params, rows, settings.rounds - done, init_model=before, callbacks=[look]))


def _quantiles(data: TrainingData, params: dict[str, Any], settings: FitSettings, watch: Watch) -> Artifact:
    """
    Raises:
        WorkloadError: "UnsupportedWorkers".
    """
    import lightgbm

    if settings.workers > 1:
        raise WorkloadError("UnsupportedWorkers", "LightGBM learns quantiles on one worker; say resources.workers: 1")
    done = watch.resume()
    if done is not None and done[0] >= settings.rounds:
        return done[1]
    rows, every = _rows(data, params, settings), stride(settings.rounds)
    boosters = [lightgbm.Booster({**params, "alpha": alpha}, rows) for alpha in data.output.quantiles]

    def artifact() -> Artifact:
        texts = [booster.model_to_string(num_iteration=-1) for booster in boosters]
        return Artifact(lightgbm_text.dump_several(texts), "lightgbm-quantiles")

    for number in range(1, settings.rounds + 1):
        for booster in boosters:
            booster.update()
        if number % every == 0 or number == settings.rounds:
            each = [_answers(booster, data, settings) for booster in boosters]
            watch.report(number, lightgbm_text.rising(each), artifact)
    return artifact()


def _answers(booster: Any, data: TrainingData, settings: FitSettings) -> Matrix:
    """To the validation rows."""
    return answers_to(
        data.validation, lambda x: np.asarray(booster.predict(x, num_threads=settings.threads), dtype=np.float64)
    )


def _params(settings: FitSettings, output: ModelOutput) -> dict[str, Any]:
    clash = [f"{name} cannot be set: {DERIVED[name]}" for name in sorted(settings.params) if name in DERIVED]
    if clash:
        raise WorkloadError("UnknownParameter", "; ".join(clash))
    able = OBJECTIVES[output.task]
    other = [settings.params[name] for name in _OBJECTIVE if settings.params.get(name, able[0]) not in able]
    if other:
        told = f"objective {other[0]!r} does not give what task {output.task.value} asks for"
        raise WorkloadError("UnknownParameter", f"{told} (allowed: {', '.join(able)})")
    classes = {"num_class": len(output.classes)} if output.task is Task.MULTICLASS else {}
    return {
        "objective": able[0],
        "verbosity": -1,
        **settings.params,
        **classes,
        "seed": settings.seed,
        "num_threads": settings.threads,
        # With the histogram layout fixed as well, sums are made in one order on every machine.
        "deterministic": True,
        "force_row_wise": True,
        **(settings.network or {}),
    }


def _rows(data: TrainingData, params: Mapping[str, Any], settings: FitSettings) -> Any:
    """A worker's share of the training rows."""
    import lightgbm

    part = sorted_by_list(data.train.shard(settings.rank, settings.workers))
    kind = _dataset_of_batches() if settings.stream else lightgbm.Dataset
    return kind(
        _sequences(part) if settings.stream else part.x,
        part.y,
        weight=part.weight,
        group=None if part.groups is None else sizes_of_lists(part.groups),
        feature_name=told_apart(data.names, _SPECIAL),
        categorical_feature=sorted(data.categories),
        params=dict(params),
        free_raw_data=False,
    )


def _dataset_of_batches() -> Any:
    """Where a fit goes on from a model, that one is asked about all rows; LightGBM does not know how to ask it about
    batches."""
    import lightgbm

    class BatchedDataset(lightgbm.Dataset):  # type: ignore[misc]
        def _set_init_score_by_predictor(self, predictor: Any, data: Any, used_indices: Any) -> Any:
            def predict(data: Any, **how: Any) -> Any:
                return np.concatenate([predictor.predict(data=batch[0 : len(batch)], **how) for batch in data])

            asked = None if predictor is None else SimpleNamespace(num_class=predictor.num_class, predict=predict)
            return super()._set_init_score_by_predictor(asked, data, used_indices)

    return BatchedDataset


def _sequences(part: Part) -> list[Any]:
    """Each batch as LightGBM asks for rows: some of each first, then all. One batch is in memory at a time."""
    import lightgbm

    held: dict[int, Matrix] = {}

    class Batch(lightgbm.Sequence):  # type: ignore[misc]
        def __init__(self, number: int, rows: int) -> None:
            self.number, self.rows = number, rows
            self.batch_size = max(1, rows)

        def __len__(self) -> int:
            return self.rows

        def __getitem__(self, asked: Any) -> Any:
            if self.number not in held:
                held.clear()
                held[self.number] = part.batch(self.number).x
            return held[self.number][asked]

    return [Batch(number, rows) for number, rows in enumerate(part.sizes) if rows]


_SPECIAL = re.compile(r'[\s",:\[\]{}]')
"""Characters that LightGBM refuses in a name, or turns into an underscore before it compares names."""


def _artifact(booster: Any) -> Artifact:
    return Artifact(booster.model_to_string(num_iteration=-1).encode(), "lightgbm-text")
