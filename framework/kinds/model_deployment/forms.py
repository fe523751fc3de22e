"""In which form a version serves. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.kinds.training_job.export import missing
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.kind import CrossProblem
from framework.ports import ModelVersion

NATIVE = "native"


def problems(spec: ModelDeploymentSpec, job: TrainingJobSpec) -> Iterator[CrossProblem]:
    told = missing(spec.model.training, job, spec.serving.form)
    if told:
        yield CrossProblem("spec.serving.form", told)


def in_form(model: ModelVersion, form: str) -> tuple[ModelVersion | None, str]:
    """The version with the file of that form in the place of its own; None, and why, where it may not serve so."""
    if form == NATIVE:
        return model, ""
    made: Mapping[str, Any] = (model.lineage.get("forms") or {}).get(form) or {}
    if not made.get("passed"):
        reason = made.get("reason") or "none was made of it"
        return None, f"version {model.version} cannot serve as {form}: {reason}"
    return model.model_copy(update={name: made[name] for name in ("artifact", "sha256", "format")}), ""
