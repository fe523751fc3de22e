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
from framework.workloads.training.stopping import Stopping
from framework.workloads.training.trainer import (
    Artifact,
    BestRound,
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

_OBJECTIVE, _LINEAR = names("objective"), names("linear_tree")


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

    several: SeveralWorkers | None = SeveralWorkers(_trainer, _network)

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Boost for ``settings.rounds``, reporting every tenth of them and at the end. Where the fit stops early, the
        last report is of the best round."""
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
    if checkpoint is not None and before is not None and done >= settings.rounds:
        return _artifact(before, checkpoint[1].best)
    every, stopping = stride(settings.rounds), Stopping(data, settings, checkpoint and checkpoint[1].best)
    if stopping.asked:
        params = {**params, "metric": "None"}
    rows = _rows(data, params, settings)
    followed = _Followed(data, rows, params, settings)

    def begin(env: Any) -> None:
        if env.iteration == env.begin_iteration:
            followed.begin(env.model)

    def look(env: Any) -> None:
        rounds = done + env.iteration - env.begin_iteration + 1
        if stopping.asked:
            stopping.see(rounds, followed.answers(env.model))
            if stopping.over() or rounds == settings.rounds:
                raise lightgbm.callback.EarlyStopException(stopping.kept(rounds) - 1, env.evaluation_result_list)
        if rounds % every == 0 or rounds == settings.rounds:
            watch.report(rounds, followed.answers(env.model), lambda: _artifact(env.model, stopping.best))

    begin.before_iteration = True  # type: ignore[attr-defined]  # the mark by which LightGBM knows
    booster = lightgbm.train(params, rows, settings.rounds - done, init_model=before, callbacks=[begin, look])
    artifact = _artifact(booster, stopping.best)
    if stopping.asked:
        watch.report(stopping.kept(settings.rounds), _answers(booster, data, settings), lambda: artifact, last=True)
    return artifact


class _Followed:
    """The answers to the validation rows after each round. A booster that knows the rows keeps its answers to them,
    which costs it one tree a round. It is asked about all of its trees where it would keep others, as those of linear
    trees are, which see float32, and where a metric of its own cannot be measured on these rows, as that of a ranking
    cannot without lists."""

    def __init__(self, data: TrainingData, rows: Any, params: Mapping[str, Any], settings: FitSettings) -> None:
        self._data, self._rows, self._settings = data, rows, settings
        able = data.output.task is not Task.RANKING and not any(params.get(name) for name in _LINEAR)
        keeps = able or params.get("metric") == "None"
        self._validation = _validation(data, rows, params, settings) if keeps else None
        self._found: Matrix = np.empty(0)

    def begin(self, booster: Any) -> None:
        """Before the first round."""
        import lightgbm

        if self._validation is None:
            return
        try:
            booster.add_valid(self._validation.set_reference(self._rows), "validation")
        except lightgbm.basic.LightGBMError:
            self._validation = None

    def answers(self, booster: Any) -> Matrix:
        if self._validation is None:
            return _answers(booster, self._data, self._settings)
        booster.eval_valid(self._take)
        return self._found

    def _take(self, answers: Any, rows: Any) -> tuple[str, float, bool]:
        self._found = np.array(answers, dtype=np.float64, order="C")
        return "", 0.0, True


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
    rows, every, stopping = _rows(data, params, settings), stride(settings.rounds), Stopping(data, settings)
    params = {**params, **({"metric": "None"} if stopping.asked else {})}
    followed = _Followed(data, rows, params, settings)
    boosters = [lightgbm.Booster({**params, "alpha": alpha}, rows) for alpha in data.output.quantiles]
    for booster in boosters:
        followed.begin(booster)

    def artifact(rounds: int = -1) -> Artifact:
        texts = [booster.model_to_string(num_iteration=rounds) for booster in boosters]
        return Artifact(lightgbm_text.dump_several(texts), "lightgbm-quantiles", stopping.best)

    def so_far() -> Matrix:
        return lightgbm_text.rising([followed.answers(booster) for booster in boosters])

    def finished(rounds: int) -> Artifact:
        found = artifact(rounds)
        predicted = lightgbm_text.rising([_answers(booster, data, settings, rounds) for booster in boosters])
        watch.report(rounds, predicted, lambda: found, last=True)
        return found

    for number in range(1, settings.rounds + 1):
        for booster in boosters:
            booster.update()
        if stopping.asked:
            stopping.see(number, so_far())
            if stopping.over() or number == settings.rounds:
                return finished(stopping.kept(number))
        if number % every == 0 or number == settings.rounds:
            watch.report(number, so_far(), artifact)
    return artifact()


def _answers(booster: Any, data: TrainingData, settings: FitSettings, rounds: int | None = None) -> Matrix:
    """To the validation rows; of a model after so many rounds."""
    return answers_to(
        data.validation,
        lambda x: np.asarray(booster.predict(x, num_iteration=rounds, num_threads=settings.threads), dtype=np.float64),
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
    part = sorted_by_list(data.train.shard(settings.rank, settings.workers))
    return _dataset(
        part,
        settings,
        label=part.y,
        weight=part.weight,
        group=None if part.groups is None else sizes_of_lists(part.groups),
        feature_name=told_apart(data.names, _SPECIAL),
        categorical_feature=sorted(data.categories),
        params=dict(params),
        free_raw_data=False,
    )


def _validation(data: TrainingData, rows: Any, params: Mapping[str, Any], settings: FitSettings) -> Any:
    """The validation rows, cut up as ``rows`` are, for what a booster keeps of its answers to them."""
    part = data.validation
    return _dataset(part, settings, reference=rows, label=part.y, params=dict(params), free_raw_data=False)


def _dataset(part: Part, settings: FitSettings, **more: Any) -> Any:
    import lightgbm

    kind = _dataset_of_batches() if settings.stream else lightgbm.Dataset
    return kind(_sequences(part) if settings.stream else part.x, **more)


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


def _artifact(booster: Any, best: BestRound | None = None) -> Artifact:
    return Artifact(booster.model_to_string(num_iteration=-1).encode(), "lightgbm-text", best)
