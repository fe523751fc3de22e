"""What is looked at before a ModelMonitor is planned."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from controllers.upstream import published
from framework.api import layout
from framework.api.meta import Ref
from framework.kinds.model_deployment.observed import DeploymentState
from framework.kinds.model_monitor.observed import (
    MonitorObserved,
    MonitorState,
    ObservedWindow,
    due,
    performance_since,
)
from framework.kinds.model_monitor.spec import ModelMonitorSpec, Performance
from framework.planning.changes import Desired, Status
from framework.ports import LabelledWindow, Ports


def observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> MonitorObserved:
    """What serves, and the window that is due. Profiles and labels are read only when one is."""
    if desired is None:
        return MonitorObserved(ref)
    spec: ModelMonitorSpec = desired.spec
    record = ports.state.load(Ref("ModelDeployment", spec.deployment))
    deployment = DeploymentState.model_validate(Status.model_validate(record.status).state if record else {})
    stable, live_since = deployment.stable, deployment.stable_since
    live = ports.registry.get(stable.training, stable.version) if stable else None
    if stable is None or live is None or live_since is None:
        return MonitorObserved(ref)
    flush = timedelta(seconds=float(stable.arguments["flushSeconds"]))
    state = MonitorState.model_validate(status.state if status else {})
    found = due(spec.window, state, stable.app, live_since, flush, now)
    if found is None:
        return MonitorObserved(ref, live, stable.app, live_since, flush=flush)
    since, until = found
    reference = ports.profiles.reference(live.profile)
    profiles = layout.profile_folder(ports.storage, spec.deployment, stable.app)
    columns = ports.profiles.window(profiles, since, until, reference) if reference else {}
    performance = (
        _performance(spec.performance, spec.deployment, stable.app, live_since, until, ports)
        if spec.performance
        else None
    )
    window = ObservedWindow(since, until, columns)
    return MonitorObserved(ref, live, stable.app, live_since, reference, window, performance, flush)


def _performance(
    spec: Performance, deployment: str, app: str, live_since: datetime, until: datetime, ports: Ports
) -> LabelledWindow | None:
    """None while the labels' view has published nothing."""
    labels = published(Ref("FeatureView", spec.labels.view), ports)
    table = ports.tables.describe(labels.uri) if labels else None
    if table is None:
        return None
    folder = layout.prediction_folder(ports.storage, deployment, app)
    since = performance_since(spec.window, live_since, until)
    return ports.profiles.performance(folder, table, spec.labels.key, spec.labels.column, spec.metric, since, until)
