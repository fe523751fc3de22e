"""The trainers. Adding one: a file here and a line below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.api.metrics import VALIDATION
from framework.api.trainers import TRAINER_FORMS
from framework.workloads.context import WorkloadError
from framework.workloads.training.function import Function
from framework.workloads.training.lightgbm import LightGBM
from framework.workloads.training.sklearn import Sklearn
from framework.workloads.training.torch import Torch
from framework.workloads.training.trainer import FitSettings, StopRule, TrainerAdapter
from framework.workloads.training.xgboost import XGBoost

TRAINERS: Mapping[str, TrainerAdapter] = {
    "sklearn": Sklearn(),
    "lightgbm": LightGBM(),
    "xgboost": XGBoost(),
    "torch": Torch(),
    "function": Function(),
}


def chosen(spec: Mapping[str, Any], seed: int, threads: int) -> tuple[str, FitSettings]:
    """The trainer's name and its settings before any search, from the spec's ``trainer`` (JSON by alias).

    Raises:
        WorkloadError: "UnknownTrainer", naming those that this version has.
    """
    ((name, form),) = ((key, value) for key, value in spec.items() if value is not None)
    if name not in TRAINERS:
        raise WorkloadError("UnknownTrainer", f"trainer {name} cannot run yet (allowed: {', '.join(TRAINERS)})")
    return name, FitSettings(
        params=form.get("params", {}),
        rounds=TRAINER_FORMS[name].rounds_of(form),
        seed=seed,
        threads=threads,
        entrypoint=form.get("estimator") or form.get("entrypoint") or "",
        stop=_stop(form.get("earlyStopping")),
        loop=TRAINER_FORMS[name].others_of(form),
    )


def _stop(form: Mapping[str, Any] | None) -> StopRule | None:
    if form is None:
        return None
    metric = (form.get("metric") or "").removeprefix(VALIDATION)
    return StopRule(metric, int(form["patience"]), float(form.get("minDelta") or 0.0))
