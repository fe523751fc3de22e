"""ModelMonitor: drift, data quality and late-arriving performance of a deployment."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.credentials import plain_webhook
from framework.api.meta import Ref
from framework.api.places import Place, Use
from framework.kinds.model_monitor.observed import MonitorState
from framework.kinds.model_monitor.rules import problems
from framework.kinds.model_monitor.spec import CATEGORIES, ModelMonitorSpec, ReferenceWindow
from framework.planning.grammar.changes import Change, Desired, Status
from framework.planning.grammar.kind import CrossProblem, Kind, Reference


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


def _unsupported(spec: ModelMonitorSpec) -> tuple[str, ...]:
    fields = {
        "spec.segments": bool(spec.segments),
        "spec.reference.window": isinstance(spec.reference, ReferenceWindow),
        "spec.actions": bool(spec.actions),
    }
    return tuple(path for path, used in fields.items() if used)


def _places(spec: ModelMonitorSpec) -> tuple[Place, ...]:
    found = []
    for index, target in enumerate(spec.alerts):
        at = f"spec.alerts[{index}]"
        if target.file is not None:
            found.append(Place(f"{at}.file", target.file, Use.ALERTS))
        secret = target.webhook.urlFrom if target.webhook is not None else None
        if secret is not None and secret.file is not None:
            found.append(Place(f"{at}.webhook.urlFrom.file", secret.file, Use.SECRET))
    return tuple(found)


def _exposed(spec: ModelMonitorSpec) -> tuple[CrossProblem, ...]:
    return tuple(
        CrossProblem(f"spec.alerts[{index}].webhook.url", f"may be the key to itself; {_URL_FROM}")
        for index, target in enumerate(spec.alerts)
        if target.webhook is not None and target.webhook.url is not None and not plain_webhook(target.webhook.url)
    )


_URL_FROM = "an address with more than plain words in it is given by urlFrom: {env: NAME}, or {file: PATH}"


def _check(spec: ModelMonitorSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    return tuple(problems(spec, specs))


def _consumes(spec: ModelMonitorSpec) -> Mapping[Ref, frozenset[str] | None]:
    if spec.performance is None:
        return {}
    labels = spec.performance.labels
    return {Ref("FeatureView", labels.view): frozenset({labels.key, labels.column})}


def _plan(desired: Desired[Any] | None, observed: Any, status: Status | None, now: datetime) -> Change:
    from framework.kinds.model_monitor.plan import plan  # whoever only reads specs does without

    return plan(desired, observed, status, now)


KIND = Kind(
    name="ModelMonitor",
    spec=ModelMonitorSpec,
    categories=CATEGORIES,
    plan=_plan,
    references=_references,
    unsupported=_unsupported,
    check=_check,
    state=MonitorState,
    workload_version="1",
    places=_places,
    exposed=_exposed,
    secret_from={"spec.alerts": _URL_FROM},
    rebuild=Category.RELOAD,
    consumes=_consumes,
)
