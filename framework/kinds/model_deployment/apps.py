"""Which apps to deploy and which to delete. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from framework.kinds.model_deployment.observed import DeploymentObserved, DeploymentState, Retiring
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.kinds.model_deployment.target import app_spec, owns
from framework.kinds.model_deployment.traffic import RETRY, acknowledged, serves
from framework.kinds.model_deployment.transitions import retire
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import DeleteApp, DeployApp
from framework.planning.grammar.changes import Desired, NewEvent
from framework.ports import AppPhase
from framework.rollout.state import CanaryPhase


@dataclass(frozen=True)
class Deploys:
    state: DeploymentState
    actions: tuple[DeployApp, ...] = ()
    events: tuple[NewEvent, ...] = ()
    fresh: bool = False
    """Whether an app is deployed that was not there."""
    takes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """CPUs and GPUs at their peak, by item of the inventory, of apps that are as they should be."""


def deploys(
    desired: Desired[ModelDeploymentSpec],
    state: DeploymentState,
    observed: DeploymentObserved,
    previous: DeploymentState,
    now: datetime,
) -> Deploys:
    """Every version in service or on its way there runs, as the spec sizes it."""
    actions: list[DeployApp] = []
    events: list[NewEvent] = []
    digests: dict[str, str] = {}
    takes: dict[str, tuple[float, float]] = {}
    fresh, repaired = False, state.repaired
    for version in state.members:
        app, live = app_spec(desired, version, observed.online), observed.apps.get(version.app)
        item = f"app:{version.app}"
        digest = digests[version.app] = app.digest
        asked = previous.digests.get(version.app)
        if live is None:
            actions.append(DeployApp(app))
            fresh = True
            if asked is not None and not _starting(previous, version.app):
                message = f"{version.app} was gone and is deployed again"
                events.append(NewEvent(reasons.DRIFT_REPAIRED, message, {"item": item}))
        elif live.phase is AppPhase.DELETING:
            continue  # it can be deployed again once it is gone
        elif live.digest != digest:
            actions.append(DeployApp(app))
            if asked is not None and live.digest != asked:
                message = f"{version.app} was changed and is deployed again"
                events.append(NewEvent(reasons.DRIFT_REPAIRED, message, {"item": item}))
        elif _given_up(state, version.app, live.phase) and not serves(live) and _due(repaired, now):
            actions.append(DeployApp(app))
            repaired = now
            message = f"{version.app} failed and is deployed again: {live.message}"
            events.append(NewEvent(reasons.STABLE_RESTARTED, message, {"item": item}))
        else:
            takes[item] = (app.max_replicas * app.cpus, app.max_replicas * app.gpus)
    updated = state.model_copy(update={"digests": digests, "repaired": repaired})
    return Deploys(updated, tuple(actions), tuple(events), fresh, takes)


def _starting(state: DeploymentState, app: str) -> bool:
    rollout = state.rollout
    return rollout is not None and rollout.version.app == app and rollout.canary.phase is CanaryPhase.STARTING


def _given_up(state: DeploymentState, app: str, phase: AppPhase) -> bool:
    """Ray Serve stops trying at some point; for the stable version we do not."""
    return phase is AppPhase.FAILED and state.stable is not None and state.stable.app == app


def _due(last: datetime | None, now: datetime) -> bool:
    return last is None or now - last >= RETRY


def adopt_orphans(state: DeploymentState, observed: DeploymentObserved, now: datetime) -> DeploymentState:
    """Apps of this deployment that nobody remembers, after a crash or a lost record, retire like any other."""
    known = {version.app for version in state.members} | {item.app for item in state.retiring}
    for app in sorted(observed.apps):
        if app not in known and owns(observed.ref.name, app):
            state = retire(state, app, timedelta(0), now)
    return state


@dataclass(frozen=True)
class Deletes:
    state: DeploymentState
    actions: tuple[DeleteApp, ...] = ()


def deletes(state: DeploymentState, observed: DeploymentObserved, previous: DeploymentState, now: datetime) -> Deletes:
    """Delete what retired, once it may go.

    Only retirements that an earlier pass has recorded count: had the decision been lost in a crash, the pass after it
    could still want the app.
    """
    recorded = {item.app: item for item in previous.retiring}
    kept = tuple(item for item in state.retiring if item.app in observed.apps)
    going = tuple(
        DeleteApp(item.app)
        for item in kept
        if recorded.get(item.app) == item
        and observed.apps[item.app].phase is not AppPhase.DELETING
        and _free(item, state, observed, now)
    )
    return Deletes(state.model_copy(update={"retiring": kept}), going)


def _free(item: Retiring, state: DeploymentState, observed: DeploymentObserved, now: datetime) -> bool:
    if item.generation is None or now - item.since < item.delay:
        return False
    route = observed.route
    if route is None:
        return item.generation == 0
    named = item.app == route.spec.stable or item.app in route.spec.weights
    return not named and acknowledged(route, item.generation, state.table_since or now, now)
