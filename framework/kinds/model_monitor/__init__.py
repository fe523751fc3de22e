"""ModelMonitor: drift, data quality and late-arriving performance of a deployment."""

from collections.abc import Mapping

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.model_monitor.observed import MonitorState
from framework.kinds.model_monitor.plan import plan
from framework.kinds.model_monitor.rules import problems
from framework.kinds.model_monitor.spec import CATEGORIES, ModelMonitorSpec, ReferenceWindow
from framework.planning.kind import CrossProblem, Kind, Reference


def _references(spec: ModelMonitorSpec) -> tuple[Reference, ...]:
    found = [Reference(Ref("ModelDeployment", spec.deployment), "spec.deployment")]
    if spec.performance is not None:
        view = Ref("FeatureView", spec.performance.labels.view)
        found.append(Reference(view, "spec.performance.labels.view"))
    found += (
        Reference(Ref("TrainingJob", action.retrain), f"spec.actions[{index}].retrain", informs=True)
        for index, action in enumerate(spec.actions)
        if action.retrain is not None
    )
    return tuple(found)


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
    return tuple(problems(spec, specs))


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
    state=MonitorState,
    workload_version="1",
    rebuild=Category.RELOAD,
    consumes=_consumes,
)
