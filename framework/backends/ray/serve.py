"""Model apps and their router on Ray Serve, over its declarative REST interface.

A PUT replaces the list of all declarative applications, so this backend is the only one to write it: it reads the
list, changes its own entry and writes the whole, and keeps what others put there. Where nothing would change nothing is
written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from framework.api.errors import TransientError
from framework.backends.ray.jobs import working_dir
from framework.backends.ray.rest import RayRest
from framework.backends.ray.serve_config import (
    MODEL,
    ROUTER_DEPLOYMENT,
    Config,
    deployment_of,
    live_digest,
    read_route,
    render_app,
    render_route,
    router_name,
    with_app,
    without_app,
)
from framework.ports import (
    AppPhase,
    AppSpec,
    AppState,
    RouterReplica,
    RouteSpec,
    RouteState,
    VersionCounters,
)
from framework.storage import DamagedError, delete_folder, list_files, read_json

log = logging.getLogger(__name__)

PATH = "/api/serve/applications/"
FIRST_PUT_SECONDS = 120.0
"""The first PUT starts Serve itself."""
SETTLE_SECONDS = 0.05
SETTLE_LOOKS = 60

_PHASES = {
    "NOT_STARTED": AppPhase.DEPLOYING,
    "DEPLOYING": AppPhase.DEPLOYING,
    "RUNNING": AppPhase.RUNNING,
    "UNHEALTHY": AppPhase.UNHEALTHY,
    "DEPLOY_FAILED": AppPhase.FAILED,
    "DELETING": AppPhase.DELETING,
}
_SERVING = ("RUNNING", "UPDATING")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_SHOWN = 2000


class RayServe:
    """ServingBackend over Serve's REST interface."""

    def __init__(self, rest: RayRest, sleep: Callable[[float], None] = time.sleep):
        self._rest = rest
        self._sleep = sleep
        self._writing = threading.Lock()

    def apps(self, deployment: str) -> Mapping[str, AppState]:
        live = self._settled()["applications"]
        return {name: app_state(app) for name, app in live.items() if _is_model_of(app, deployment)}

    def deploy(self, app: AppSpec, code_uri: str | None) -> None:
        """Start the app, or bring it to this spec; one that failed is tried again."""
        archive = working_dir(code_uri) if code_uri is not None else None
        render_app(app, archive)  # what cannot be rendered is refused before Serve is asked anything

        def wanted(live: Config | None) -> Config:
            if live is not None and live_digest(live) == app.digest:
                return live
            # Arguments are part of Serve's code version: new metadata would restart what only scales.
            kept = live["args"].get("metadata") if live is not None and live.get("args") else None
            return render_app(app if kept is None else replace(app, metadata=kept), archive)

        self._apply(app.name, wanted)

    def delete(self, app: str) -> None:
        self._remove(app)

    def route(self, deployment: str, traffic: str) -> RouteState | None:
        """None also for a router that was changed by hand beyond recognition: setting the route repairs it."""
        details = self._settled()
        live = details["applications"].get(router_name(deployment))
        config = live and live.get("deployed_app_config")
        spec = read_route(config) if config else None
        if spec is None:
            return None
        address = self._rest.address()
        port = (details.get("http_options") or {}).get("port", address.serve_port)
        running = live["deployments"].get(ROUTER_DEPLOYMENT, {}).get("replicas", ())
        return RouteState(
            spec=spec,
            phase=_phase(live),
            replicas=router_replicas(_written(traffic), running, spec.generation),
            url=f"http://{address.serve_host}:{port}{spec.route}",
            message=_message(live),
        )

    def set_route(self, route: RouteSpec) -> None:
        self._apply(router_name(route.deployment), lambda live: render_route(route))

    def delete_route(self, deployment: str) -> None:
        config = self._remove(router_name(deployment))
        if config is not None:
            delete_folder(config["args"]["traffic"])

    def _apply(self, name: str, wanted: Callable[[Config | None], Config]) -> None:
        with self._writing:
            details = self._details()
            current = _declared(details)
            live = details["applications"].get(name)
            declared = next((app for app in current if app["name"] == name), None)
            config = wanted(declared)
            if config == declared and live is not None and _phase(live) is not AppPhase.FAILED:
                return
            self._put(details, with_app(current, config))

    def _remove(self, name: str) -> Config | None:
        with self._writing:
            details = self._details()
            current = _declared(details)
            found = next((app for app in current if app["name"] == name), None)
            if found is not None:
                self._put(details, without_app(current, name))
            return found

    def _details(self) -> dict[str, Any]:
        details = self._rest.get(PATH)
        if not isinstance(details, dict) or "applications" not in details:
            raise TransientError("Ray Serve does not say what it runs")
        return details

    def _put(self, details: Mapping[str, Any], applications: Sequence[Config]) -> None:
        address = self._rest.address()
        body: dict[str, Any] = {
            # Fixed once Serve runs; repeated so that it does not warn of a difference.
            "http_options": details.get("http_options") or {"host": address.serve_host, "port": address.serve_port},
            "applications": list(applications),
        }
        kept = {name: details[name] for name in ("proxy_location", "target_capacity") if details.get(name) is not None}
        self._rest.put(PATH, {**body, **kept}, timeout=FIRST_PUT_SECONDS)
        self._settle(_untouched(details, applications))

    def _settle(self, untouched: Collection[str]) -> None:
        """Wait until what the PUT left as it was is said to run again: Serve looks at every app anew after a PUT, and
        calls all of them deploying until it has, a tenth of a second later."""
        for _ in range(SETTLE_LOOKS):
            live = self._details()["applications"]
            if all(live[name]["status"] != "DEPLOYING" for name in untouched if name in live):
                return
            self._sleep(SETTLE_SECONDS)

    def _settled(self) -> dict[str, Any]:
        """What runs, read while no PUT of ours is settling."""
        with self._writing:
            return self._details()


def app_state(live: Mapping[str, Any]) -> AppState:
    """What Serve tells of one application."""
    config = live.get("deployed_app_config")
    replicas = [replica for item in live["deployments"].values() for replica in item["replicas"]]
    return AppState(
        name=live["name"],
        phase=_phase(live),
        digest=live_digest(config) if config else "",
        message=_message(live),
        replicas=sum(replica["state"] in _SERVING for replica in replicas),
    )


def router_replicas(
    written: Iterable[Mapping[str, Any]], running: Iterable[Mapping[str, Any]], generation: int
) -> tuple[RouterReplica, ...]:
    """Every router replica that counts: those that Serve lists, and the counts that replicas now gone left behind.

    ``written`` are the replicas' files, ``running`` Serve's list, ``generation`` that of the table in force.
    A listed replica without a file has acknowledged nothing: it may be sending by an older table. One that is being
    stopped counts too, as it may still wait for answers. A file without a listed replica is that of a dead one, which
    sends nothing any more and so has acknowledged every table; its counts stay. Files are matched to replicas by the
    pid that a replica's name begins with; of several files with that pid, the one that was started last.
    """
    files = sorted(written, key=lambda item: _started(item["replica"]), reverse=True)
    alive: list[Mapping[str, Any]] = []
    silent: list[RouterReplica] = []
    for replica in running:
        pid = replica.get("pid")
        own = next((item for item in files if _pid(item["replica"]) == pid and item not in alive), None)
        if own is None:
            silent.append(RouterReplica(f"starting-{replica['replica_id']}", 0, _NEVER, {}))
        else:
            alive.append(own)
    spoken = [_router_replica(item, item["generation"] if item in alive else generation) for item in files]
    return (*sorted(spoken, key=lambda item: item.replica), *silent)


def _router_replica(item: Mapping[str, Any], generation: int) -> RouterReplica:
    versions = {
        app: VersionCounters(counts["requests"], counts["errors"], counts["shielded"], tuple(counts["latency_buckets"]))
        for app, counts in item["versions"].items()
    }
    return RouterReplica(item["replica"], generation, datetime.fromisoformat(item["written"]), versions)


def _written(traffic: str) -> list[Mapping[str, Any]]:
    found = []
    for file in list_files(traffic):
        try:
            item = read_json(file) if file.endswith(".json") else None
            if item is not None:
                _router_replica(item, item["generation"])
                _pid(item["replica"]), _started(item["replica"])
                found.append(item)
        except (DamagedError, LookupError, ValueError, TypeError, AttributeError) as error:
            # Its router writes the whole of it again within a second.
            log.warning("left out of what routers counted: %s: %s", file, error)
    return found


def _pid(replica: str) -> int:
    return int(replica.partition("-")[0])


def _started(replica: str) -> int:
    return int(replica.partition("-")[2])


def _declared(details: Mapping[str, Any]) -> list[Config]:
    """The declarative applications in force, without what is being deleted or was started by ``serve.run``."""
    kept = [app for app in details["applications"].values() if app["status"] != "DELETING"]
    return [app["deployed_app_config"] for app in kept if app.get("deployed_app_config")]


def _untouched(details: Mapping[str, Any], applications: Iterable[Config]) -> list[str]:
    """Apps that run and that ``applications`` leave as they are."""
    live = details["applications"]
    running = (app for app in applications if app["name"] in live and live[app["name"]]["status"] == "RUNNING")
    return [app["name"] for app in running if live[app["name"]].get("deployed_app_config") == app]


def _is_model_of(live: Mapping[str, Any], deployment: str) -> bool:
    config = live.get("deployed_app_config")
    # An app that is being deleted has lost its configuration; then its name has to do.
    ours = config["import_path"] == MODEL if config else live["name"] != router_name(deployment)
    return ours and deployment_of(live["name"]) == deployment


def _phase(live: Mapping[str, Any]) -> AppPhase:
    return _PHASES[live["status"]]


def _message(live: Mapping[str, Any]) -> str:
    """The deployments' messages say more than the app's: a constructor's traceback is there."""
    found = [item["message"] for item in live["deployments"].values() if item["message"]] or [live["message"]]
    return "\n".join(found)[-_SHOWN:]
