"""What the library of its trainer is asked about a training job before it is run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.planning.grammar.kind import Question, SpecOf

_LOOK = "framework.workloads.training.look:look"


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
    params = (trainer.get("lightgbm") or {}).get("params")
    if trainer.get("lightgbm") and (params or search):
        asked = {
            "trainer": {"lightgbm": {"params": params}},
            "tune": {"search": search},
            "task": spec["dataset"].get("task"),
        }
        return Question("lightgbm", "the parameters of LightGBM in TrainingJobs", _LOOK, {"spec": asked})
    return None
