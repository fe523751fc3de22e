"""ServingBackend in memory: apps that take a while to start, routers that acknowledge and count, meddling hands."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from framework.backends.memory.calls import Calls
from framework.backends.memory.runs import Clock, utc_now
from framework.ports import (
    LATENCY_BOUNDS,
    RECENT_SECONDS,
    AppArguments,
    AppPhase,
    AppSpec,
    AppState,
    Failure,
    Log,
    Recent,
    ReplicaCounters,
    RouteSpec,
    RouteState,
    VersionCounters,
    seats,
)
from framework.ports.serving import require_newer, require_unnamed

_UNTOLD = AppArguments("", "", "", "", "", "", {}, "", "", 0.0, transformer=None, predictionKey=None)
"""What an app was given that runs elsewhere: nobody says."""


@dataclass(frozen=True)
class Served:
    """Traffic that one app got: ``errors`` of the ``requests`` failed, ``latencies`` (seconds) repeat over them;
    ``refused`` came on top, and ``failure`` is how it failed."""

    requests: int
    errors: int = 0
    latencies: Sequence[float] = (0.02,)
    refused: int = 0
    failure: Failure | None = None


@dataclass
class _App:
    spec: AppSpec
    digest: str
    phase: AppPhase = AppPhase.DEPLOYING
    message: str = ""
    looks: int = 0
    answering: bool = False
    """Replicas answer requests: those of this spec, or, while it is deployed in place, those of the one before."""


@dataclass
class _Router:
    replica: str
    generation: int
    versions: dict[str, VersionCounters] = field(default_factory=dict)
    lately: list[tuple[datetime, str, Recent]] = field(default_factory=list)

    def counted(self, now: datetime) -> dict[str, VersionCounters]:
        """With what was counted lately, which passes as time does."""
        self.lately = [item for item in self.lately if (now - item[0]).total_seconds() <= RECENT_SECONDS]
        return {app: replace(counters, recent=self._recent(app)) for app, counters in self.versions.items()}

    def _recent(self, app: str) -> Recent:
        own = [recent for _, name, recent in self.lately if name == app]
        return Recent(*(sum(getattr(item, name) for item in own) for name in ("requests", "errors", "refused")))


@dataclass
class _Route:
    spec: RouteSpec
    routers: list[_Router]
    tables: list[RouteSpec]
    """Tables that a router may still be using, oldest first; the last is the live one."""
    looks: int = 0


class MemoryServing:
    """Apps run, and routers acknowledge their table, once they were looked at ``observations`` times or at
    :meth:`tick`, whichever is first; ``observations=None`` leaves it to :meth:`tick` and :meth:`acknowledge`.

    ``harm`` lists every call that would have made requests fail: traffic to an app that does not answer, or an app
    deleted while a router may still send to it. A rollout is safe when it stays empty.
    """

    def __init__(
        self,
        calls: Calls | None = None,
        clock: Clock = utc_now,
        *,
        observations: int | None = 1,
        routers: int = 1,
    ) -> None:
        self._calls = Calls() if calls is None else calls
        self._clock = clock
        self._observations = observations
        self._router_count = routers
        self._lock = threading.RLock()
        self._apps: dict[str, _App] = {}
        self._named: dict[str, dict[str, None]] = {}
        """What apps of a deployment were ever called: nobody goes through all that run for a few of them."""
        self._routes: dict[str, _Route] = {}
        self._broken: dict[str, str] = {}
        self._logs: dict[str, list[str]] = {}
        self._started_routers = 0
        self.harm: list[str] = []

    def apps(self, deployment: str) -> Mapping[str, AppState]:
        with self._lock:
            names = self._named.get(deployment, ())
            found = {name: app for name in names if (app := self._apps.get(name)) is not None}
            states = {name: self._state(app) for name, app in found.items()}
            for app in found.values():
                app.looks += 1
                if self._seen_enough(app.looks):
                    self._settle(app)
            return states

    def deploy(self, app: AppSpec, code_uri: str | None) -> None:
        self._calls.record("serving.deploy", app.name)
        with self._lock:
            found = self._apps.get(app.name)
            if found is None or found.digest != app.digest or found.phase is AppPhase.FAILED:
                self._put(_App(app, app.digest, answering=found is not None and found.answering))

    def _put(self, app: _App) -> None:
        self._apps[app.spec.name] = app
        self._named.setdefault(app.spec.deployment, {})[app.spec.name] = None

    def delete(self, app: str) -> None:
        self._calls.record("serving.delete", app)
        with self._lock:
            for route in self._routes.values():
                require_unnamed(app, route.spec)
            users = [
                item.spec.deployment for item in self._routes.values() if any(_uses(one, app) for one in item.tables)
            ]
            self.harm += [f"{app} was deleted while the router of {name} may send to it" for name in users]
            self._apps.pop(app, None)

    def route(self, deployment: str, traffic: str) -> RouteState | None:
        with self._lock:
            return self._told(self._route_of(deployment))

    def routed(self, path: str) -> RouteState | None:
        with self._lock:
            return self._told(next((item for item in self._routes.values() if item.spec.route == path), None))

    def set_route(self, route: RouteSpec) -> None:
        self._calls.record("serving.set_route", f"{route.deployment}/{route.generation}")
        with self._lock:
            live = {name: item.spec for name, item in self._routes.items()}
            seated = seats(live, route, route.deployment)
            for name in seated:
                require_newer(route, live.get(name))
            for name, table in seated.items():
                if table is None:
                    del self._routes[name]
                else:
                    self._seat(name, table)

    def delete_route(self, deployment: str) -> None:
        self._calls.record("serving.delete_route", deployment)
        with self._lock:
            self._routes = {name: item for name, item in self._routes.items() if item.spec.deployment != deployment}

    def logs(self, deployment: str, lines: int) -> Sequence[Log]:
        with self._lock:
            return tuple(
                Log(name, "\n".join(log[-lines:] if lines else ()), "replica 0")
                for name, log in self._logs.items()
                if name.rpartition("-")[0] == deployment
            )

    def routes(self) -> tuple[str, ...]:
        """Deployments that have a route."""
        with self._lock:
            return tuple(item.spec.deployment for item in self._routes.values())

    def adopt(self, deployment: str, apps: Mapping[str, AppState], route: RouteState | None) -> None:
        """Take over what runs elsewhere, as it is there."""
        with self._lock:
            for name, state in apps.items():
                answering = state.phase is AppPhase.RUNNING
                spec = AppSpec(name, deployment, _UNTOLD, min_replicas=max(1, state.replicas))
                self._put(_App(spec, state.digest, state.phase, state.message, answering=answering))
            if route is not None:
                routers = [_Router(item.replica, item.generation, dict(item.versions)) for item in route.replicas]
                self._routes[deployment] = _Route(route.spec, routers or self._fresh_routers(), [route.spec])

    def tick(self) -> None:
        """Time passes: what was deploying runs (or has failed), and every router has acknowledged its table."""
        with self._lock:
            for app in self._apps.values():
                self._settle(app)
            for deployment in self.routes():
                self.acknowledge(deployment)

    def acknowledge(self, deployment: str) -> None:
        """Every router of the deployment has applied the live table and finished what it sent under older ones."""
        with self._lock:
            found = self._live_route(deployment)
            found.tables = [found.spec]
            for router in found.routers:
                router.generation = found.spec.generation

    def serve(self, deployment: str, traffic: Mapping[str, Served]) -> None:
        """Count traffic, spread evenly over the routers. Errors of apps other than stable are shielded if set so."""
        with self._lock:
            found = self._live_route(deployment)
            for app, served in traffic.items():
                shielded = served.errors if found.spec.shield and app != found.spec.stable else 0
                for index, router in enumerate(found.routers):
                    old, count = router.versions.get(app, VersionCounters()), len(found.routers)
                    new = Recent(
                        _share(served.requests, index, count),
                        _share(served.errors, index, count),
                        _share(served.refused, index, count),
                    )
                    router.lately.append((self._clock(), app, new))
                    router.versions[app] = replace(
                        old,
                        requests=old.requests + new.requests,
                        errors=old.errors + new.errors,
                        shielded=old.shielded + _share(shielded, index, count),
                        latency_buckets=_with_latencies(old.latency_buckets, served, index, count),
                        refused=old.refused + new.refused,
                        failures=(served.failure,) if served.failure else old.failures,
                    )

    def send(
        self, deployment: str, requests: int, *, error_rate: Mapping[str, float] | None = None,
        latency: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        """Split ``requests`` by the live weights; each app fails its share of ``error_rate``, in whole requests."""
        with self._lock:
            spec = self._live_route(deployment).spec
            sent = {app: requests * weight // 100 for app, weight in spec.weights.items()}
            sent[spec.stable] = sent.get(spec.stable, 0) + requests - sum(sent.values())
            self.serve(
                deployment,
                {
                    app: Served(
                        count, round(count * (error_rate or {}).get(app, 0.0)), [(latency or {}).get(app, 0.02)]
                    )
                    for app, count in sent.items()
                    if count
                },
            )

    def restart_routers(self, deployment: str) -> None:
        """The router's replicas died and came back: new ids, counters from zero, the live table."""
        with self._lock:
            self._live_route(deployment).routers = self._fresh_routers()
            self.acknowledge(deployment)

    def write(self, app: str, line: str) -> None:
        """A replica of ``app`` says something; it comes last now."""
        with self._lock:
            self._logs[app] = [*self._logs.pop(app, []), line]

    def break_on_start(self, app: str, message: str = "RuntimeError in the constructor") -> None:
        """From now on ``app`` fails when it is started."""
        self._broken[app] = message

    def mend(self, app: str) -> None:
        """What :meth:`break_on_start` broke is whole again; it takes effect when the app is next deployed."""
        self._broken.pop(app, None)

    def fail(self, app: str, message: str = "the replica died", *, answering: bool = False) -> None:
        """A running app becomes unhealthy; ``answering``: some of its replicas are left."""
        with self._lock:
            found = self._apps[app]
            found.phase, found.message, found.answering = AppPhase.UNHEALTHY, message, answering

    def recover(self, app: str) -> None:
        """What :meth:`fail` did to it has passed."""
        with self._lock:
            found = self._apps[app]
            found.phase, found.message, found.answering = AppPhase.RUNNING, "", True

    def change_by_hand(self, app: str) -> None:
        """Somebody redeployed ``app`` with another configuration."""
        with self._lock:
            self._apps[app].digest = "by-hand"

    def remove_by_hand(self, app: str) -> None:
        with self._lock:
            self._apps.pop(app, None)

    def change_route_by_hand(self, deployment: str, **changes: Any) -> None:
        """Somebody set other weights (or any other field of the RouteSpec)."""
        with self._lock:
            found = self._live_route(deployment)
            found.spec = replace(found.spec, **changes)
            self.acknowledge(deployment)

    def remove_route_by_hand(self, deployment: str) -> None:
        with self._lock:
            self._routes = {name: item for name, item in self._routes.items() if item.spec.deployment != deployment}

    def _route_of(self, deployment: str) -> _Route | None:
        own = self._routes.get(deployment)
        if own is not None and own.spec.deployment == deployment:
            return own
        return next((item for item in self._routes.values() if item.spec.deployment == deployment), None)

    def _live_route(self, deployment: str) -> _Route:
        found = self._route_of(deployment)
        if found is None:
            raise KeyError(deployment)
        return found

    def _told(self, found: _Route | None) -> RouteState | None:
        if found is None:
            return None
        now, spec = self._clock(), found.spec
        replicas = tuple(
            ReplicaCounters(item.replica, item.generation, now, item.counted(now)) for item in found.routers
        )
        state = RouteState(spec, AppPhase.RUNNING, replicas, url=f"memory://{spec.deployment}{spec.route}")
        found.looks += 1
        if self._seen_enough(found.looks):
            self.acknowledge(spec.deployment)
        return state

    def _seat(self, name: str, table: RouteSpec) -> None:
        """Give a router its table."""
        for app in sorted({table.stable, *table.weights}):
            target = self._apps.get(app)
            if _uses(table, app) and (target is None or not target.answering):
                why = "missing" if target is None else target.phase
                self.harm.append(f"{table.deployment} sends to {app}, which is {why}")
        found = self._routes.get(name)
        if found is None:
            self._routes[name] = _Route(table, self._fresh_routers(), [table])
        elif found.spec != table:
            found.spec, found.looks = table, 0
            found.tables.append(table)

    def _seen_enough(self, looks: int) -> bool:
        return self._observations is not None and looks >= self._observations

    def _settle(self, app: _App) -> None:
        if app.phase is AppPhase.DEPLOYING:
            message = self._broken.get(app.spec.name)
            app.phase = AppPhase.RUNNING if message is None else AppPhase.FAILED
            app.message = message or ""
            self.write(app.spec.name, message or "ready")
            app.answering = app.answering or message is None

    def _state(self, app: _App) -> AppState:
        replicas = app.spec.min_replicas if app.answering else 0
        return AppState(app.spec.name, app.phase, app.digest, app.message, replicas)

    def _fresh_routers(self) -> list[_Router]:
        self._started_routers += self._router_count
        first = self._started_routers - self._router_count
        return [_Router(f"router-{first + index}", 0) for index in range(self._router_count)]


def _uses(table: RouteSpec, app: str) -> bool:
    return table.stable == app or table.weights.get(app, 0) > 0


def _share(total: int, index: int, count: int) -> int:
    """Part ``index`` of ``total`` in ``count`` nearly equal whole parts."""
    return total * (index + 1) // count - total * index // count


def _with_latencies(old: tuple[int, ...], served: Served, index: int, count: int) -> tuple[int, ...]:
    buckets = list(old) or [0] * (len(LATENCY_BOUNDS) + 1)
    first = served.requests * index // count
    for number in range(first, first + _share(served.requests, index, count)):
        buckets[bisect_left(LATENCY_BOUNDS, served.latencies[number % len(served.latencies)])] += 1
    return tuple(buckets)
