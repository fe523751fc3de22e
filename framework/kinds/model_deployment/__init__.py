"""ModelDeployment: a model version in service, and how the next one gets there."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.model_deployment import forms, online
from framework.kinds.model_deployment.blind import blind_spots
from framework.kinds.model_deployment.named_version import borrowed, follows_itself, misnamed
from framework.kinds.model_deployment.observed import DeploymentState
from framework.kinds.model_deployment.spec import CATEGORIES, ModelDeploymentSpec
from framework.kinds.model_deployment.target import WORKLOAD_VERSION, owns
from framework.kinds.model_deployment.versions import SERVING, VERSIONS
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.changes import Change, Desired, Status
from framework.planning.grammar.kind import Borrowed, Claim, CrossProblem, Kind, Needs, Reference
from framework.rollout.analysis.comparison import EVALUATED


def _references(spec: ModelDeploymentSpec) -> tuple[Reference, ...]:
    training = Reference(Ref("TrainingJob", spec.model.training), "spec.model.training")
    views = (
        Reference(Ref("FeatureView", name), f"spec.serving.onlineFeatures[{index}]")
        for index, name in enumerate(spec.serving.onlineFeatures)
    )
    return (training, *views)


def _borrows(spec: ModelDeploymentSpec) -> tuple[Borrowed, ...]:
    return borrowed(spec.model)


def _entrypoints(spec: ModelDeploymentSpec) -> Mapping[str, str]:
    transformer = spec.serving.transformer
    return {} if transformer is None else {"spec.serving.transformer": transformer}


def _unsupported(spec: ModelDeploymentSpec) -> tuple[str, ...]:
    strategy, canary = spec.strategy, spec.strategy.canary
    fields = {
        "spec.strategy.blueGreen": strategy.blueGreen is not None,
        "spec.strategy.shadow": strategy.shadow is not None,
        "spec.strategy.abTest": strategy.abTest is not None,
        "spec.strategy.recreate": strategy.recreate is not None,
    }
    for index, metric in enumerate(canary.analysis if canary else ()):
        fields[f"spec.strategy.canary.analysis[{index}].metric"] = metric.metric not in EVALUATED
    return tuple(path for path, used in fields.items() if used)


def _check(spec: ModelDeploymentSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    canary, job = spec.strategy.canary, specs.get(Ref("TrainingJob", spec.model.training))
    return (
        *follows_itself(spec.model),
        *(misnamed(spec.model, job) if isinstance(job, TrainingJobSpec) else ()),
        *(forms.problems(spec, job) if isinstance(job, TrainingJobSpec) else ()),
        *online.problems(spec, job if isinstance(job, TrainingJobSpec) else None, specs),
        *(blind_spots(canary) if canary else ()),
    )


def _claims(spec: ModelDeploymentSpec) -> tuple[Claim, ...]:
    """A route takes every request below it, so nobody else may have a part of it either."""
    route = spec.serving.route
    parts = route.split("/")[1:]
    above = tuple("/" + "/".join(parts[:depth]) for depth in range(1, len(parts)))
    return (Claim("spec.serving.route", route, f"serves {route} already", above, handed_over=True),)


def _consumes(spec: ModelDeploymentSpec) -> Mapping[Ref, frozenset[str] | None]:
    return {Ref("FeatureView", name): None for name in spec.serving.onlineFeatures}


def needs(spec: ModelDeploymentSpec) -> Needs:
    """All replicas that one version may grow to; a rollout takes as much again while it lasts."""
    replicas, cpus, gpus = spec.serving.replicas, spec.serving.resources.cpus, spec.serving.resources.gpus
    least = (replicas.min * cpus, replicas.min * gpus)
    return Needs(replicas.max * cpus, replicas.max * gpus, standing=True, least=least)


def _uses(state: DeploymentState) -> frozenset[Ref]:
    """The training jobs whose models it serves, or is about to."""
    return frozenset(Ref("TrainingJob", version.training) for version in state.members)


def _ensure(ref: Ref, found: DeploymentState) -> None:
    """Apps are deleted and deployed by the names that are remembered, so these must be the deployment's own."""
    for app in (*(version.app for version in found.members), *(item.app for item in found.retiring)):
        if not owns(ref.name, app):
            raise ValueError(f"{app!r} is no app of {ref}")


def _plan(desired: Desired[Any] | None, observed: Any, status: Status | None, now: datetime) -> Change:
    from framework.kinds.model_deployment.plan import plan  # whoever only reads specs does without

    return plan(desired, observed, status, now)


KIND = Kind(
    name="ModelDeployment",
    spec=ModelDeploymentSpec,
    categories=CATEGORIES,
    plan=_plan,
    ensure=_ensure,
    references=_references,
    entrypoints=_entrypoints,
    borrows=_borrows,
    unsupported=_unsupported,
    check=_check,
    state=DeploymentState,
    uses=_uses,
    claims=_claims,
    consumes=_consumes,
    workload_version=WORKLOAD_VERSION,
    rebuild=Category.REDEPLOY,
    needs=needs,
    sized_by="spec.serving",
    serving=SERVING,
    versions=VERSIONS,
    merge_keys={"strategy.canary.analysis": "metric"},
)
