"""ModelDeployment: a model version in service, and how the next one gets there."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.kinds.model_deployment.exposure import exposure
from framework.kinds.model_deployment.plan import plan
from framework.kinds.model_deployment.spec import CATEGORIES, ModelDeploymentSpec
from framework.kinds.model_deployment.target import WORKLOAD_VERSION
from framework.planning.kind import Claim, CrossProblem, Kind, Needs, Reference
from framework.rollout.analysis.comparison import EVALUATED
from framework.rollout.strategies import Canary


def _references(spec: ModelDeploymentSpec) -> tuple[Reference, ...]:
    training = Reference(Ref("TrainingJob", spec.model.training), "spec.model.training")
    online = (
        Reference(Ref("FeatureView", name), f"spec.serving.onlineFeatures[{index}]")
        for index, name in enumerate(spec.serving.onlineFeatures)
    )
    return (training, *online)


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
        "spec.serving.onlineFeatures": bool(spec.serving.onlineFeatures),
    }
    for index, metric in enumerate(canary.analysis if canary else ()):
        fields[f"spec.strategy.canary.analysis[{index}].metric"] = metric.metric not in EVALUATED
    return tuple(path for path, used in fields.items() if used)


def _check(spec: ModelDeploymentSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    canary = spec.strategy.canary
    return (*_offline_features(spec, specs), *(_blind_steps(canary) if canary else ()))


def _offline_features(spec: ModelDeploymentSpec, specs: Mapping[Ref, BaseModel]) -> Iterator[CrossProblem]:
    for index, name in enumerate(spec.serving.onlineFeatures):
        view = specs.get(Ref("FeatureView", name))
        if isinstance(view, FeatureViewSpec) and not view.online.enabled:
            message = f"FeatureView/{name} keeps no rows online, and this version looks none up: leave it out"
            yield CrossProblem(f"spec.serving.onlineFeatures[{index}]", message)


def _claims(spec: ModelDeploymentSpec) -> tuple[Claim, ...]:
    """A route takes every request below it, so nobody else may have a part of it either."""
    route = spec.serving.route
    parts = route.split("/")[1:]
    above = tuple("/" + "/".join(parts[:depth]) for depth in range(1, len(parts)))
    return (Claim("spec.serving.route", route, f"serves {route} already", above),)


def _consumes(spec: ModelDeploymentSpec) -> Mapping[Ref, frozenset[str] | None]:
    return {Ref("FeatureView", name): None for name in spec.serving.onlineFeatures}


def _blind_steps(canary: Canary) -> Iterator[CrossProblem]:
    """An analysis needs something to measure, and traffic on both versions to measure it on."""
    weight = 0
    for index, step in enumerate(canary.steps):
        path = f"spec.strategy.canary.steps[{index}].analyze"
        if step.setWeight is not None:
            weight = step.setWeight
        elif step.analyze is not None and not canary.analysis:
            yield CrossProblem(path, "nothing to analyze: spec.strategy.canary.analysis is empty")
        elif step.analyze is not None and weight == 0 and canary.match is None:
            yield CrossProblem(path, "the candidate has no traffic here: put a setWeight before it")
        elif step.analyze is not None and weight == 100 and any(metric.max is None for metric in canary.analysis):
            yield CrossProblem(path, "stable has no traffic at 100 % to compare with: put the analysis before it")


def needs(spec: ModelDeploymentSpec) -> Needs:
    """All replicas that one version may grow to; a rollout takes as much again while it lasts."""
    replicas, resources = spec.serving.replicas.max, spec.serving.resources
    return Needs(replicas * resources.cpus, replicas * resources.gpus, standing=True)


KIND = Kind(
    name="ModelDeployment",
    spec=ModelDeploymentSpec,
    categories=CATEGORIES,
    plan=plan,
    references=_references,
    entrypoints=_entrypoints,
    unsupported=_unsupported,
    check=_check,
    claims=_claims,
    consumes=_consumes,
    workload_version=WORKLOAD_VERSION,
    rebuild=Category.REDEPLOY,
    needs=needs,
    exposure=exposure,
    merge_keys={"strategy.canary.analysis": "metric"},
)
