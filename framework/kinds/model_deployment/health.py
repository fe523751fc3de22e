"""Whether the version in service does its work, by what the routers counted lately. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from framework.api.fields import format_duration
from framework.kinds.model_deployment.observed import Degraded, DeploymentState, ServedVersion
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import NewEvent
from framework.ports import BAD_REQUEST, RECENT_SECONDS, Failure, Recent, RouteState, VersionCounters

ERRING_SHARE = 0.05
"""A version that fails so large a part of its requests does not do its work."""
FEWEST = 20
"""With fewer requests lately nothing is said of a share."""
REFRESH = timedelta(minutes=1)
"""How old numbers in a message may be. They move at every look, and not every look is worth a write."""
_FRESH = timedelta(minutes=1)
"""A router that has written nothing for longer knows nothing of lately."""
_LATELY = timedelta(seconds=RECENT_SECONDS)


@dataclass(frozen=True)
class Watched:
    state: DeploymentState
    events: tuple[NewEvent, ...] = ()


def watch(state: DeploymentState, route: RouteState | None, now: datetime) -> Watched:
    """Begin an episode in which the stable version fails its callers, or end it. An episode outlasts silence: that
    nobody asks any more does not mean that it would answer."""
    stable, known = state.stable, state.degraded
    if known is not None and (stable is None or stable.app != known.app):
        state, known = state.model_copy(update={"degraded": None}), None
    if stable is None or route is None:
        return Watched(state)
    recent, failures = _lately(stable.app, route, now)
    problem = _problem(stable, recent, failures)
    if known is None:
        if problem is None:
            return Watched(state)
        begun = Degraded(app=stable.app, since=now, told=now, message=problem)
        data = {"app": stable.app, "requests": recent.requests, "errors": recent.errors, "refused": recent.refused}
        return Watched(state.model_copy(update={"degraded": begun}), (NewEvent(reasons.DEGRADED, problem, data),))
    if problem is not None:
        if now - known.told < REFRESH or problem == known.message:
            return Watched(state)
        fresh = known.model_copy(update={"told": now, "message": problem})
        return Watched(state.model_copy(update={"degraded": fresh}))
    if not recent.requests or _share(recent) >= ERRING_SHARE:
        return Watched(state)
    told = f"{stable.label} failed {recent.errors:,} of {recent.requests:,} requests of the last {_span()}"
    over = NewEvent(reasons.RECOVERED, told, {"app": stable.app, "since": known.since.isoformat()})
    return Watched(state.model_copy(update={"degraded": None}), (over,))


def _lately(app: str, route: RouteState, now: datetime) -> tuple[Recent, tuple[Failure, ...]]:
    """What all routers that are alive counted of ``app``, and how it failed meanwhile."""
    alive = [replica for replica in route.replicas if now - replica.written <= _FRESH]
    counters = [replica.versions.get(app, VersionCounters()) for replica in alive]
    recent = Recent(
        requests=sum(item.recent.requests for item in counters),
        errors=sum(item.recent.errors for item in counters),
        refused=sum(item.recent.refused for item in counters),
    )
    seen = (failure for item in counters for failure in item.failures if now - failure.last <= _LATELY)
    return recent, tuple(seen)


def _problem(stable: ServedVersion, recent: Recent, failures: tuple[Failure, ...]) -> str | None:
    if recent.requests >= FEWEST and _share(recent) >= ERRING_SHARE:
        newest = _newest(failures, refusals=False)
        return (
            f"{stable.label} fails {_share(recent):.1%} of {recent.requests:,} requests of the last {_span()}{newest}"
        )
    if not recent.requests and recent.refused >= FEWEST:
        newest = _newest(failures, refusals=True)
        return f"{stable.label} refuses every request, {recent.refused:,} in the last {_span()}{newest}"
    return None


def _newest(failures: tuple[Failure, ...], *, refusals: bool) -> str:
    found = [failure for failure in failures if (failure.type == BAD_REQUEST) is refusals]
    return f"; the last time {max(found, key=lambda failure: failure.last).text}" if found else ""


def _share(recent: Recent) -> float:
    return recent.errors / recent.requests if recent.requests else 0.0


def _span() -> str:
    return format_duration(_LATELY)
