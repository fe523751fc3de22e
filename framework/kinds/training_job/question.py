"""What the library of its trainer is asked about a training job before it is run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.planning.grammar.kind import Question, SpecOf

_LOOK = "framework.workloads.training.look:look"
_BOOSTING = {"lightgbm": "LightGBM", "xgboost": "XGBoost"}


def question(spec: Mapping[str, Any], spec_of: SpecOf) -> Question | None:
    """The estimator or the parameters, and what a search tries; None where that is no matter of a library's."""
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
