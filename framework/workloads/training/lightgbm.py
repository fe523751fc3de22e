"""Gradient boosting with LightGBM. One worker: the same bytes every time. Several: the same trees up to float sums.

Several workers talk over ports of LightGBM's own, which listen on every interface and know no authentication: a matter
for a private network. One worker opens none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from framework.api.lightgbm import DERIVED, OBJECTIVES, names
from framework.workloads.context import WorkloadError
from framework.workloads.models import Matrix
from framework.workloads.training.trainer import Artifact, FitSettings, TrainingData, Watch, stride

_OBJECTIVE = names("objective")


class LightGBM:
    """Binary log loss, or another objective that gives probabilities. A fit that goes on from a checkpoint adds the
    missing rounds to it: a good model, but not to the bit the one of an undisturbed run, because LightGBM does not keep
    its random state and its float32 scores."""

    boosts = True
    distributed = True

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Boost for ``settings.rounds``, reporting every tenth of them and at the end."""
        import lightgbm

        params = _params(settings)
        done, before = 0, None
        checkpoint = watch.resume()
        if checkpoint is not None:
            done, before = checkpoint[0], lightgbm.Booster(model_str=checkpoint[1].data.decode())
        if before is not None and done >= settings.rounds:
            return _artifact(before)
        x, y = _shard(data.train.x, settings), _shard(data.train.y, settings)
        rows = lightgbm.Dataset(
            x,
            y,
            feature_name=_names(data.names),
            categorical_feature=sorted(data.categories),
            params=params,
            free_raw_data=False,
        )
        every = stride(settings.rounds)

        def look(env: Any) -> None:
            rounds = done + env.iteration - env.begin_iteration + 1
            if rounds % every == 0 or rounds == settings.rounds:
                scores = np.asarray(
                    env.model.predict(data.validation.x, num_threads=settings.threads), dtype=np.float64
                )
                watch.report(rounds, scores, lambda: _artifact(env.model))

        try:
            booster = lightgbm.train(params, rows, settings.rounds - done, init_model=before, callbacks=[look])
        except lightgbm.basic.LightGBMError as error:
            raise WorkloadError("TrainerFailed", f"LightGBM refused: {error}") from error
        return _artifact(booster)


def _params(settings: FitSettings) -> dict[str, Any]:
    clash = [f"{name} cannot be set: {DERIVED[name]}" for name in sorted(settings.params) if name in DERIVED]
    if clash:
        raise WorkloadError("UnknownParameter", "; ".join(clash))
    other = [settings.params[name] for name in _OBJECTIVE if settings.params.get(name, "binary") not in OBJECTIVES]
    if other:
        told = f"objective {other[0]!r} gives no probability of a label that is 0 or 1"
        raise WorkloadError("UnknownParameter", f"{told} (allowed: {', '.join(OBJECTIVES)})")
    return {
        "objective": "binary",
        "verbosity": -1,
        **settings.params,
        "seed": settings.seed,
        "num_threads": settings.threads,
        # With the histogram layout fixed as well, sums are made in one order on every machine.
        "deterministic": True,
        "force_row_wise": True,
        **(settings.network or {}),
    }


_SPECIAL = re.compile(r'[\s",:\[\]{}]')
"""Characters that LightGBM refuses in a name, or turns into an underscore before it compares names."""


def _names(names: Sequence[str]) -> list[str]:
    """Names that LightGBM takes: it is asked by position, so they only have to be told apart by a person."""
    found: list[str] = []
    for index, name in enumerate(names):
        plain = _SPECIAL.sub("_", name)
        found.append(plain if plain not in found else f"{plain}_{index}")
    return found


def _shard(rows: Matrix, settings: FitSettings) -> Matrix:
    return np.ascontiguousarray(rows[settings.rank :: settings.workers]) if settings.workers > 1 else rows


def _artifact(booster: Any) -> Artifact:
    return Artifact(booster.model_to_string(num_iteration=-1).encode(), "lightgbm-text")
