"""Resources that could never run within an Environment's quotas, found before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from framework.api.meta import Ref
from framework.kinds.environment.neighbours import NEIGHBOURS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.planning.grammar.kind import CrossProblem, Needs

SIZED_BY = {
    "TrainingJob": "spec.resources",
    "ModelDeployment": "spec.serving",
    "BatchInference": "spec.resources",
}
"""The kinds that take something, and where they say how much."""

_EPSILON = 1e-9


def problems(name: str, spec: EnvironmentSpec, specs: Mapping[Ref, BaseModel]) -> Iterator[CrossProblem]:
    """What alone needs more than a quota, and standing needs that exceed it together with the fewest replicas.
    ``name`` is the Environment's."""
    for unit, quota in (("gpus", spec.quotas.gpus), ("cpus", spec.quotas.cpus)):
        if quota is None:
            continue
        what = f"{unit[:-1].upper()}s"
        fits: dict[Ref, float] = {}
        for ref in sorted(ref for ref in specs if ref.kind in SIZED_BY):
            peak = _amount(needs(ref, specs[ref]), unit)
            if peak > quota + _EPSILON:
                message = f"needs {peak:g} {what} at its peak; the quota of Environment/{name} is {quota:g}"
                yield CrossProblem(SIZED_BY[ref.kind], message, ref=ref)
            else:
                fits[ref] = _amount(_standing(ref, specs[ref]), unit)
        together = sum(fits.values())
        if together > quota + _EPSILON:
            parts = ", ".join(f"{ref} {amount:g}" for ref, amount in fits.items() if amount)
            message = f"all replicas together need {together:g} {what} even at their fewest ({parts})"
            yield CrossProblem(f"spec.quotas.{unit}", f"{message}; the quota is {quota:g}")


def needs(ref: Ref, spec: BaseModel) -> Needs:
    """What a resource takes at its peak."""
    return NEIGHBOURS[ref.kind].needs(spec)


def _standing(ref: Ref, spec: BaseModel) -> Needs:
    """What it takes for as long as it is there, with the fewest replicas that it asks for."""
    if isinstance(spec, ModelDeploymentSpec):
        replicas = spec.serving.replicas
        fewest = replicas.model_copy(update={"max": replicas.min})
        spec = spec.model_copy(update={"serving": spec.serving.model_copy(update={"replicas": fewest})})
    found = needs(ref, spec)
    return found if found.standing else Needs()


def _amount(found: Needs, unit: str) -> float:
    return found.gpus if unit == "gpus" else found.cpus
