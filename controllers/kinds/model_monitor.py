"""What is looked at before a ModelMonitor is planned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from controllers.kinds.model_deployment import model_then
from controllers.kinds.observer import Observer, Specs
from controllers.kinds.tables import published
from controllers.kinds.trail import LineagePart, Trail
from framework.api.errors import ConfigurationError, TerminalError, TransientError
from framework.api.meta import Ref
from framework.kinds.model_deployment.observed import DeploymentState, ServedVersion
from framework.kinds.model_monitor.judgement import metric_of
from framework.kinds.model_monitor.observed import (
    MonitorObserved,
    MonitorState,
    ObservedWindow,
    due,
    performance_since,
)
from framework.kinds.model_monitor.spec import ModelMonitorSpec
from framework.planning.admission.restore import Kept
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.remembered import state_of, status_of
from framework.planning.reports.lineage import Edge, Node, Sort
from framework.ports import LabelledWindow, LabelTable, Log, ModelVersion, Ports, Record, ReferenceProfile


def observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> MonitorObserved:
    """What serves, and the window that is due. Profiles and labels are read only when one is."""
    if desired is None:
        return MonitorObserved(ref)
    spec: ModelMonitorSpec = desired.spec
    deployment = state_of(status_of(ports.state.load(Ref("ModelDeployment", spec.deployment))), DeploymentState)
    stable, live_since = deployment.stable, deployment.stable_since
    live = ports.registry.get(stable.training, stable.version) if stable else None
    if stable is None or live is None or live_since is None:
        return MonitorObserved(ref)
    flush = timedelta(seconds=stable.arguments.flushSeconds)
    state = state_of(status, MonitorState)
    found = due(spec.window, state, stable.app, live_since, flush, now)
    if found is None:
        return MonitorObserved(ref, live, stable.app, live_since, flush=flush)
    since, until = found
    reference, damage = _reference(live.profile, ports)
    profiles = ports.profiles.window(stable.arguments.profiles, since, until, reference or ReferenceProfile({}, ()))
    performance = _performance(spec, live, stable, live_since, until, ports)
    return MonitorObserved(
        ref=ref,
        live=live,
        app=stable.app,
        live_since=live_since,
        reference=reference,
        window=ObservedWindow(since, until, profiles.columns, profiles.damaged),
        performance=performance,
        flush=flush,
        damage=damage,
    )


def _reference(profile: str, ports: Ports) -> tuple[ReferenceProfile | None, str]:
    """A training profile, None where it is missing or damaged, and what the damage is."""
    try:
        return ports.profiles.reference(profile), ""
    except TerminalError as error:
        return None, str(error)


def _performance(
    spec: ModelMonitorSpec,
    live: ModelVersion,
    stable: ServedVersion,
    live_since: datetime,
    until: datetime,
    ports: Ports,
) -> LabelledWindow | None:
    """None while the labels' view has published nothing. Labels come from elsewhere: whatever is wrong with them is
    told with the window, and keeps nothing else from being judged."""
    asked = spec.performance
    if asked is None:
        return None
    since, metric = performance_since(asked.window, live_since, until), metric_of(asked, live)
    try:
        labels = published(Ref("FeatureView", asked.labels.view), ports)
        table = ports.tables.describe(labels.uri) if labels else None
        if table is None:
            return None
        known = LabelTable(table, asked.labels.key, asked.labels.column)
        return ports.profiles.performance(
            stable.arguments.predictions, known, metric, live.signature["output"], since, until
        )
    except (TerminalError, TransientError) as error:
        return LabelledWindow(stable.app, 0, 0, metric, None, problem=str(error))


def _left(asked: Desired[Any], specs: Specs, ports: Ports) -> Kept:
    """Its baseline: the training profile of what the deployment would serve."""
    deployment = specs[Ref("ModelDeployment", asked.spec.deployment)]
    model, _ = model_then(deployment, specs, ports)
    if model is None:
        return Kept(False, f"waits for {deployment.ref}")
    name = f"{model.training}@{model.version}"
    if asked.spec.drift is not None and ports.profiles.reference(model.profile) is None:
        return Kept(False, f"the training profile of {name} is gone: drift cannot be judged", blocked=True)
    return Kept(True, f"baseline: the training profile of {name}")


def _logs(ref: Ref, ports: Ports, lines: int) -> Sequence[Log]:
    raise ConfigurationError(
        f"{ref} has no process of its own: the controller judges its windows, and mlopsctl logs controller shows what "
        "that wrote"
    )


def _traces(record: Record, trail: Trail) -> Iterator[LineagePart]:
    """What it watches, and the model whose training profile it holds that against."""
    asked = trail.asked.get(record.ref)
    watched = next((ref for ref in record.upstream if ref.kind == "ModelDeployment"), None)
    stable = trail.state(watched, DeploymentState).stable if watched else None
    facts = {"summary": status_of(record).summary}
    monitor = Node(Sort.MONITOR, record.ref.name, facts, record.ref)
    yield monitor
    if stable is not None:
        yield Edge(f"{Sort.SERVICE}:{stable.app}", monitor.id, "watched by")
        yield Edge(f"{Sort.MODEL}:{stable.label}", monitor.id, "baseline: its training profile")
    if asked is not None:
        yield from trail.commit(asked.commit, monitor.id, "at")


OBSERVER = Observer(observe, left=_left, logs=_logs, traces=_traces)
