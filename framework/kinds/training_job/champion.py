"""The model that a new one is compared with: which deployment's it is, and what a run has to know to ask it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from framework.api.meta import Ref
from framework.kinds.training_job.recipe import kept_recipe, kept_spec
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.kind import CrossProblem
from framework.ports import ModelVersion, ReadView

_ASKED = {"version", "artifact", "sha256", "format", "signature"}


@dataclass(frozen=True)
class Champion:
    """The stable version of ``deployment``."""

    model: ModelVersion
    deployment: str

    def asked(self) -> dict[str, Any]:
        """What a run needs to ask it: also, where that is kept, what it was trained on, because inputs of it may be
        gone from what is learned from now."""
        recipe, views = kept_recipe(self.model), kept_views(self.model)
        spec = kept_spec(recipe) if recipe is not None else None
        own = None
        if spec is not None and views.keys() >= self.model.read.keys():
            own = {
                "dataset": spec.dataset.model_dump(mode="json", by_alias=True),
                "views": {name: view.model_dump(mode="json") for name, view in views.items()},
            }
        return {**self.model.model_dump(mode="json", include=_ASKED), "deployment": self.deployment, "own": own}


def kept_views(model: ModelVersion) -> dict[str, ReadView]:
    """Of the tables that a version was trained on, those of which it is kept what their columns mean."""
    found, meanings = {}, model.lineage.get("meanings") or {}
    for name, table in model.read.items():
        try:
            found[name] = ReadView.model_validate({**table.model_dump(), **meanings[name]})
        except (KeyError, TypeError, ValidationError):
            continue
    return found


def problems(spec: TrainingJobSpec, specs: Mapping[Ref, BaseModel]) -> Iterator[CrossProblem]:
    """Where several deployments serve models of this job, a gate has to say whose is meant."""
    gates = [(index, gate) for index, gate in enumerate(spec.evaluation.gates) if gate.comparedTo == "live"]
    if not gates:
        return
    serving = _serving(spec, specs)
    named = spec.evaluation.deployment
    for index, gate in gates:
        path = f"spec.evaluation.gates[{index}]"
        if named is None and len(serving) > 1:
            told = f"{len(serving)} deployments serve models of this job: say by deployment whose live model is meant"
            yield CrossProblem(path, told, allowed=serving)
        elif gate.deployment is not None and gate.deployment not in serving:
            told = f"ModelDeployment/{gate.deployment} serves no model of this job"
            yield CrossProblem(f"{path}.deployment", told, allowed=serving, wanted=gate.deployment)


def _serving(spec: TrainingJobSpec, specs: Mapping[Ref, BaseModel]) -> tuple[str, ...]:
    """Names of the deployments that name this job. They are of a kind above this one, which it cannot import."""
    own = next((ref.name for ref in specs if ref.kind == "TrainingJob" and specs[ref] is spec), None)
    above = [ref for ref in specs if ref.kind == "ModelDeployment"]
    return tuple(sorted(ref.name for ref in above if _trained_by(specs[ref]) == own))


def _trained_by(deployment: BaseModel) -> str:
    return str(getattr(getattr(deployment, "model", None), "training", ""))
