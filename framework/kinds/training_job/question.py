"""What the library of its trainer is asked about a training job before it is run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from framework.planning.grammar.kind import Question, SpecOf

_LOOK = "framework.workloads.training.look:look"
_BOOSTING = {"lightgbm": "LightGBM", "xgboost": "XGBoost"}


def question(spec: Mapping[str, Any], spec_of: SpecOf) -> Question | None:
    """The estimator or the parameters, what a search tries, and metrics of the spec's own; None where that is no matter
    of a library's."""
    own = {
        f"spec.evaluation.metrics[{index}].entrypoint": one["entrypoint"]
        for index, one in enumerate((spec.get("evaluation") or {}).get("metrics") or ())
    }
    found = _of_library(spec)
    if not own:
        return found
    modules = [entrypoint.partition(":")[0].replace(".", "/") for entrypoint in own.values()]
    files = tuple(dict.fromkeys(f"{module}{end}" for module in modules for end in (".py", "/__init__.py")))
    if found is None:
        asked = {"trainer": {}, "tune": None, "task": None, "metrics": own}
        return Question("polars", "the metrics of their own of TrainingJobs", _LOOK, {"spec": asked}, files=files)
    return replace(found, asked={"spec": {**found.asked["spec"], "metrics": own}}, files=files)


def _of_library(spec: Mapping[str, Any]) -> Question | None:
    trainer, search = spec["trainer"], (spec.get("tune") or {}).get("search")
    if trainer.get("sklearn"):
        asked = {
            "trainer": {"sklearn": trainer["sklearn"]},
            "tune": {"search": search},
            "task": spec["dataset"].get("task"),
        }
        return Question("sklearn", "the estimators of TrainingJobs", _LOOK, {"spec": asked})
    for library, title in _BOOSTING.items():
        params = (trainer.get(library) or {}).get("params")
        if trainer.get(library) and (params or search):
            asked = {
                "trainer": {library: {"params": params}},
                "tune": {"search": search},
                "task": spec["dataset"].get("task"),
            }
            return Question(library, f"the parameters of {title} in TrainingJobs", _LOOK, {"spec": asked})
    return None
