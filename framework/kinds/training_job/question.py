"""What the library of its trainer is asked about a training job before it is run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from framework.api.metrics import CALLED_WITH
from framework.api.trainers import TRAINER_FORMS
from framework.planning.grammar.kind import Question, SpecOf

_LOOK = "framework.workloads.training.look:look"
_BOOSTING = {"lightgbm": "LightGBM", "xgboost": "XGBoost"}


def question(spec: Mapping[str, Any], spec_of: SpecOf) -> Question | None:
    """The estimator or the parameters, what a search tries, and the functions of the repository that a run calls; None
    where that is no matter of a library's."""
    calls = dict(_calls(spec))
    found = _of_library(spec)
    if not calls:
        return found
    modules = [entrypoint.partition(":")[0].replace(".", "/") for entrypoint, _ in calls.values()]
    files = tuple(dict.fromkeys(f"{module}{end}" for module in modules for end in (".py", "/__init__.py")))
    if found is None:
        asked = {"trainer": {}, "tune": None, "task": None, "calls": calls}
        return Question("polars", "the functions that TrainingJobs call", _LOOK, {"spec": asked}, files=files)
    return replace(found, asked={"spec": {**found.asked["spec"], "calls": calls}}, files=files)


def _calls(spec: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
    """By the path of the spec an entrypoint and what it is called with."""
    for name, form in TRAINER_FORMS.items():
        if form.called_with and spec["trainer"].get(name):
            path = f"spec.trainer.{name}.entrypoint"
            yield path, (spec["trainer"][name]["entrypoint"], form.called_with)
    for index, one in enumerate((spec.get("evaluation") or {}).get("metrics") or ()):
        yield f"spec.evaluation.metrics[{index}].entrypoint", (one["entrypoint"], CALLED_WITH)


def _of_library(spec: Mapping[str, Any]) -> Question | None:
    trainer, search = spec["trainer"], (spec.get("tune") or {}).get("search")
    task = spec["dataset"].get("task")
    if any(trainer.get(name) and task not in (None, *form.tasks) for name, form in TRAINER_FORMS.items()):
        return None  # of which rules tell: what else is wrong with a trainer that cannot learn the task is no help
    if trainer.get("sklearn"):
        asked = {
            "trainer": {"sklearn": trainer["sklearn"]},
            "tune": {"search": search},
            "task": task,
        }
        return Question("sklearn", "the estimators of TrainingJobs", _LOOK, {"spec": asked})
    for library, title in _BOOSTING.items():
        params = (trainer.get(library) or {}).get("params")
        if trainer.get(library) and (params or search):
            asked = {
                "trainer": {library: {"params": params}},
                "tune": {"search": search},
                "task": task,
            }
            return Question(library, f"the parameters of {title} in TrainingJobs", _LOOK, {"spec": asked})
    return None
