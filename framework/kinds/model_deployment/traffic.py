"""The traffic table: what it should say, whether it says so, and who has taken it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from framework.api import layout
from framework.api.hashes import text_hash
from framework.kinds.model_deployment.observed import DeploymentObserved, DeploymentState, Retiring
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import SetRoute
from framework.planning.grammar.changes import Desired, NewEvent
from framework.ports import AppPhase, AppState, RouteSpec, RouteState
from framework.rollout.state import CanaryPhase
from framework.rollout.strategies import Canary

SILENCE = timedelta(seconds=30)
"""A router replica writes at once when it gets a table. One that has written nothing for this long after is dead."""
RETRY = timedelta(seconds=30)
"""Between attempts to bring back what failed by itself."""


def serves(app: AppState | None) -> bool:
    """Whether requests sent to the app are answered: it runs, or some of its replicas do while others come up."""
    return app is not None and (
        app.phase is AppPhase.RUNNING or (app.phase in (AppPhase.UNHEALTHY, AppPhase.DEPLOYING) and app.replicas > 0)
    )


def wanted_table(desired: Desired[ModelDeploymentSpec], canary: Canary, state: DeploymentState) -> RouteSpec | None:
    """The table that ``state`` stands for, at the generation last used; None before anything serves."""
    if state.stable is None:
        return None
    serving, rollout = desired.spec.serving, state.rollout
    weights = {state.stable.app: 100}
    if rollout is not None and rollout.canary.phase is CanaryPhase.STEPPING:
        share = min(100, max(0, rollout.canary.weight))
        weights = {state.stable.app: 100 - share, rollout.version.app: share}
    match = next(iter(canary.match.header.items()), None) if canary.match else None
    return RouteSpec(
        deployment=desired.ref.name,
        route=serving.route,
        weights=weights,
        stable=state.stable.app,
        generation=state.generation,
        shield=canary.shield,
        timeout_seconds=serving.timeout.total_seconds(),
        sticky_header=canary.sticky.header if canary.sticky else None,
        match_header=match,
        max_queued=serving.maxQueued,
        traffic=layout.traffic_folder(desired.storage, desired.ref.name),
    )


def table_digest(table: RouteSpec) -> str:
    """Names a table whatever its generation, and whichever deployment's router it was given to."""
    counters = table.traffic.rpartition("/")[0]
    content = {**vars(replace(table, generation=0, traffic=counters)), "weights": dict(table.weights)}
    return text_hash(json.dumps(content, sort_keys=True))


def acknowledged(route: RouteState | None, generation: int, since: datetime, now: datetime) -> bool:
    """Whether every router replica took ``generation``, asked for at ``since``, and has drained older ones. One that
    wrote nothing since then, or last wrote at a time that is yet to come, has ended."""
    if route is None or route.spec.generation < generation:
        return False
    behind = [replica for replica in route.replicas if replica.generation < generation]
    alive = [item for item in behind if since <= item.written <= now + SILENCE or now - since <= SILENCE]
    return not alive and len(behind) < len(route.replicas)


def applied(table: RouteSpec | None, state: DeploymentState, route: RouteState | None, now: datetime) -> bool:
    """Whether ``table`` is the live one and every router has taken it."""
    if table is None or route is None or table_digest(route.spec) != table_digest(table):
        return False
    return acknowledged(route, route.spec.generation, state.table_since or now, now)


@dataclass(frozen=True)
class Shift:
    """What became of the table in one pass."""

    state: DeploymentState
    action: SetRoute | None = None
    events: tuple[NewEvent, ...] = ()


def direct(table: RouteSpec, state: DeploymentState, observed: DeploymentObserved, now: datetime) -> Shift:
    """Bring the live table to ``table``. It is set only once every app that it relies on answers."""
    route = observed.route
    digest, live = table_digest(table), table_digest(route.spec) if route else ""
    stuck = route is not None and route.phase is AppPhase.FAILED and now - (state.table_since or now) > RETRY
    if route is not None and live == digest and route.spec.generation >= state.generation and not stuck:
        same = state.generation == route.spec.generation and state.table == digest
        since = state.table_since if same else now
        update = {"generation": route.spec.generation, "table": digest, "table_since": since}
        return Shift(_excluded(state.model_copy(update=update), table, route.spec.generation))
    needed = {table.stable, *(app for app, weight in table.weights.items() if weight)}
    if not all(serves(observed.apps.get(app)) for app in needed):
        return Shift(state)
    generation = max([state.generation, *_generations(route), *_generations(observed.held)]) + 1
    shifted = state.model_copy(update={"generation": generation, "table": digest, "table_since": now})
    action = SetRoute(replace(table, generation=generation))
    told = _handed_over(table.deployment, observed.held) or _drift(table.deployment, state, route, live)
    return Shift(_excluded(shifted, table, generation), action, told)


def _generations(route: RouteState | None) -> list[int]:
    return [] if route is None else [route.spec.generation, *(replica.generation for replica in route.replicas)]


def _excluded(state: DeploymentState, table: RouteSpec, generation: int) -> DeploymentState:
    """From ``generation`` on no router sends to the apps that left the table."""
    retiring = tuple(
        item.model_copy(update={"generation": generation})
        if item.generation is None and item.app not in table.weights
        else item
        for item in state.retiring
    )
    return state.model_copy(update={"retiring": retiring})


def unrouted(state: DeploymentState, route: RouteState | None) -> DeploymentState:
    """Where nothing serves yet, an app retires at once unless a table from an earlier life still names it."""

    def excluded(item: Retiring) -> int | None:
        if item.generation is not None or route is None:
            return item.generation or 0
        named = item.app == route.spec.stable or item.app in route.spec.weights
        return None if named else route.spec.generation

    retiring = tuple(item.model_copy(update={"generation": excluded(item)}) for item in state.retiring)
    return state.model_copy(update={"retiring": retiring})


def _handed_over(deployment: str, held: RouteState | None) -> tuple[NewEvent, ...]:
    if held is None:
        return ()
    before = f"ModelDeployment/{held.spec.deployment}"
    data = {"item": f"route:{deployment}", "before": before}
    return (NewEvent(reasons.ROUTE_HANDED_OVER, f"{held.spec.route} is handed over from {before}", data),)


def _drift(deployment: str, state: DeploymentState, route: RouteState | None, live: str) -> tuple[NewEvent, ...]:
    """A table that differs from the one we asked for last was changed by somebody else."""
    if state.generation == 0 or live == state.table:
        return ()
    item = f"route:{deployment}"
    if route is None:
        return (NewEvent(reasons.DRIFT_REPAIRED, "the route was gone and is set again", {"item": item}),)
    message = f"the traffic table was changed to {dict(route.spec.weights)} and is set again"
    return (NewEvent(reasons.DRIFT_REPAIRED, message, {"item": item, "found": dict(route.spec.weights)}),)
