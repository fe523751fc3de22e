"""ModelMonitor: drift, data quality and late-arriving performance of a deployment."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.kinds.model_monitor.plan import plan
from framework.kinds.model_monitor.spec import CATEGORIES, ModelMonitorSpec, ReferenceWindow
from framework.planning.kind import CrossProblem, Kind, Reference


def _references(spec: ModelMonitorSpec) -> tuple[Reference, ...]:
    deployment = Reference(Ref("ModelDeployment", spec.deployment), "spec.deployment")
    if spec.performance is None:
        return (deployment,)
    view = Ref("FeatureView", spec.performance.labels.view)
    return (deployment, Reference(view, "spec.performance.labels.view"))


def _entrypoints(spec: ModelMonitorSpec) -> Mapping[str, str]:
    return {}


def _unsupported(spec: ModelMonitorSpec) -> tuple[str, ...]:
    fields = {
        "spec.segments": bool(spec.segments),
        "spec.reference.window": isinstance(spec.reference, ReferenceWindow),
        "spec.actions": bool(spec.actions),
    }
    return tuple(path for path, used in fields.items() if used)


def _check(spec: ModelMonitorSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    return tuple(_problems(spec, specs))


def _problems(spec: ModelMonitorSpec, specs: Mapping[Ref, BaseModel]) -> Iterator[CrossProblem]:
    if spec.drift is None and spec.performance is None and spec.quality is None:
        yield CrossProblem("spec", "watches nothing", allowed=("drift", "performance", "quality"))
    if spec.performance is None:
        return
    labels = spec.performance.labels
    view = specs.get(Ref("FeatureView", labels.view))
    if isinstance(view, FeatureViewSpec):
        names = tuple(column.name for column in view.columns)
        for field in ("key", "column"):
            if getattr(labels, field) not in names:
                message = f"FeatureView/{labels.view} has no column {getattr(labels, field)!r}"
                yield CrossProblem(f"spec.performance.labels.{field}", message, allowed=names)
    deployment = specs.get(Ref("ModelDeployment", spec.deployment))
    if isinstance(deployment, ModelDeploymentSpec) and deployment.serving.profiling.key is None:
        message = (
            f"ModelDeployment/{spec.deployment} logs no key that labels could be joined by: set serving.profiling.key"
        )
        yield CrossProblem("spec.performance.labels.key", message)


def _consumes(spec: ModelMonitorSpec) -> Mapping[Ref, frozenset[str] | None]:
    if spec.performance is None:
        return {}
    labels = spec.performance.labels
    return {Ref("FeatureView", labels.view): frozenset({labels.key, labels.column})}


KIND = Kind(
    name="ModelMonitor",
    spec=ModelMonitorSpec,
    categories=CATEGORIES,
    plan=plan,
    references=_references,
    entrypoints=_entrypoints,
    unsupported=_unsupported,
    check=_check,
    workload_version="1",
    rebuild=Category.RELOAD,
    consumes=_consumes,
)
