"""Model apps and their router on Ray Serve, over its declarative REST interface.

A PUT replaces the list of all declarative applications. So this backend reads the list, changes its own entry, writes
the whole, keeps what others put there, and looks whether the change stands. Where nothing would change nothing is
written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from framework.api import layout
from framework.api.errors import TransientError
from framework.api.names import own_name
from framework.backends.ray.exceptions import in_one_line
from framework.backends.ray.jobs import working_dir
from framework.backends.ray.logs import RayLogs
from framework.backends.ray.rest import RayRest
from framework.backends.ray.serve_config import (
    ROUTER_DEPLOYMENT,
    Config,
    counted_in,
    deployment_of,
    live_digest,
    render_app,
    render_route,
    with_app,
    without_app,
)
from framework.backends.ray.serve_list import Listing, Live, told_by
from framework.backends.ray.serve_logs import serving_logs
from framework.backends.ray.tenancy import Tenant
from framework.backends.ray.traffic import CounterFiles, Replicas, router_replicas
from framework.ports import (
    AppPhase,
    AppSpec,
    AppState,
    Log,
    RouteSpec,
    RouteState,
    seats,
)
from framework.ports.serving import require_newer, require_unnamed
from framework.storage import delete_folder

log = logging.getLogger(__name__)

PATH = "/api/serve/applications/"
FIRST_PUT_SECONDS = 120.0
"""The first PUT starts Serve itself."""
SETTLE_SECONDS = 0.05
SETTLE_LOOKS = 60
SHARE_OF_READING = 0.1
"""The most of the time that is spent on reading the list for looks."""
SHORTEST_SHARED, LONGEST_SHARED = 0.1, 1.0
"""Seconds that one reading of the list serves all looks."""
WRITES = 5
"""Attempts to write a list while others write theirs."""

_PHASES = {
    "NOT_STARTED": AppPhase.DEPLOYING,
    "DEPLOYING": AppPhase.DEPLOYING,
    "RUNNING": AppPhase.RUNNING,
    "UNHEALTHY": AppPhase.UNHEALTHY,
    "DEPLOY_FAILED": AppPhase.FAILED,
    "DELETING": AppPhase.DELETING,
}
_SERVING = ("RUNNING", "UPDATING")


class RayServe:
    """ServingBackend over Serve's REST interface.

    Several environments may use one Ray: each sees what is its own (``tenant``), and keeps what is not. ``alone`` holds
    off other processes of this machine that may write the list.
    """

    def __init__(
        self,
        rest: RayRest,
        tenant: Callable[[], Tenant],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        alone: Callable[[], AbstractContextManager[object]] = nullcontext,
    ):
        self._rest = rest
        self._tenant = tenant
        self._sleep = sleep
        self._alone = alone
        self._clock = clock
        self._turn = threading.Lock()
        self._told: Listing | None = None
        self._told_until = 0.0
        self._counters = CounterFiles()
        self._log_files = RayLogs(rest)

    def apps(self, deployment: str) -> Mapping[str, AppState]:
        return {name: app_state(name, live) for name, live in self._seen().models(deployment).items()}

    def deploy(self, app: AppSpec, code_uri: str | None) -> None:
        """Start the app, or bring it to this spec; one that failed is tried again.

        Raises:
            TerminalError: another environment has an application of that name ("NotOurs").
        """
        archive = working_dir(code_uri) if code_uri is not None else None
        render_app(app, archive, app.name, None)  # what cannot be rendered is refused before Serve is asked anything

        def wanted(listing: Listing) -> Sequence[Edit]:
            name = listing.app_in_serve(app.name)
            live = listing.own(name)
            declared = live["deployed_app_config"] if live else None
            if declared is not None and live_digest(declared) == app.digest:
                return _edits(declared, live)
            # Arguments are part of Serve's code version: new metadata would restart what only scales.
            kept = declared["args"].get("metadata") if declared is not None and declared.get("args") else None
            spec = app if kept is None else replace(app, metadata=kept)
            return _edits(render_app(spec, archive, name, listing.mark_for(name)), live)

        self._write(wanted)

    def delete(self, app: str) -> None:
        """Delete the app, if it is there.

        Raises:
            ConflictError: the live table names it.
            TerminalError: it is another environment's ("NotOurs").
        """

        def wanted(listing: Listing) -> Sequence[Edit]:
            name = listing.app_in_serve(app)
            if listing.own(name) is None:
                return ()
            require_unnamed(app, listing.table(deployment_of(app)))
            return (Edit(name, None),)

        self._write(wanted)

    def route(self, deployment: str, traffic: str) -> RouteState | None:
        """None also for a router that was changed by hand beyond recognition: setting the route repairs it."""
        return self._route_state(self._seen(), deployment)

    def routed(self, path: str) -> RouteState | None:
        listing = self._seen()
        deployment = listing.routed(path)
        return self._route_state(listing, deployment) if deployment is not None else None

    def set_route(self, route: RouteSpec) -> None:
        """Put the table in force, with a router where there is none yet.

        Raises:
            ConflictError: a newer table is in force, or another one of this generation, there or where the deployment
                had its route.
            TerminalError: another environment has a router of that name ("NotOurs"), or the route ("RouteTaken").
        """

        def wanted(listing: Listing) -> Sequence[Edit]:
            new = listing.untold_at(route.route) or listing.router_in_serve(route.deployment)
            seated = seats(listing.tables, route, new)
            edits: list[Edit] = []
            for name, table in seated.items():
                live = listing.own(name)
                require_newer(route, listing.table_of(name))
                if table is None:
                    edits.append(Edit(name, None))
                    continue
                listing.require_free(table.route, name)
                names = {app: listing.app_in_serve(app) for app in table.apps}
                edits += _edits(render_route(table, name, listing.mark_for(name), names), live)
            return edits

        self._write(wanted)

    def delete_route(self, deployment: str) -> None:
        """Delete the router that has its table, if there is one, and its counters.

        Raises:
            TerminalError: the router of that name is another environment's ("NotOurs").
        """
        router = ""

        def wanted(listing: Listing) -> Sequence[Edit]:
            nonlocal router
            name = listing.router_in_serve(deployment)
            if listing.own(name) is None or listing.router(deployment) is None:
                return ()
            router = own_name(name)
            return (Edit(name, None),)

        if self._write(wanted):
            folder = counted_in(router, deployment, layout.traffic_folder(self._tenant().storage, deployment))
            delete_folder(folder)
            self._counters.forget(folder)

    def logs(self, deployment: str, lines: int) -> Sequence[Log]:
        return serving_logs(self._log_files, self._seen(), deployment, lines)

    def _route_state(self, listing: Listing, deployment: str) -> RouteState | None:
        live, spec = listing.router(deployment), listing.table(deployment)
        if live is None or spec is None:
            return None
        address = self._rest.address()
        port = (listing.details.get("http_options") or {}).get("port", address.serve_port)
        running = live["deployments"].get(ROUTER_DEPLOYMENT, {}).get("replicas", ())
        return RouteState(
            spec=spec,
            phase=_phase(live),
            replicas=router_replicas(self._counted(spec.traffic, running), running, spec.generation),
            url=f"http://{address.serve_host}:{port}{spec.route}",
            message=_message(live),
        )

    def _write(self, wanted: Callable[[Listing], Sequence[Edit]]) -> bool:
        """Bring the list to what is wanted, and see that it stands: Serve takes whole lists, so whoever read before our
        PUT and writes after it takes our change back without knowing. False where there was nothing to write.

        Raises:
            TransientError: others write so often that it does not stand.
        """
        with self._turn, self._alone():
            self._told = None
            for attempt in range(WRITES):
                listing = self._listing()
                edits = wanted(listing)
                if not edits:
                    return attempt > 0
                if attempt:
                    names = ", ".join(edit.name for edit in edits)
                    log.info("somebody else wrote the list of applications; %s once more", names)
                applications = listing.declared()
                for edit in edits:
                    applications = edit.made_in(applications)
                stands = self._put(listing, applications)
                if all(edit.holds_in(stands) for edit in edits):
                    return True
        raise TransientError("others write the list of Ray Serve's applications at the same time")

    def _counted(self, traffic: str, running: Replicas) -> list[Mapping[str, Any]]:
        """Routers' files, with apps by their names in the environment. Environments that share their storage find each
        other's files there."""
        tenant, written = self._tenant(), self._counters.read(traffic, running)
        return [
            {
                **item,
                "versions": {
                    own_name(app): counts for app, counts in item["versions"].items() if tenant.may_have_named(app)
                },
            }
            for item in written
        ]

    def _listing(self) -> Listing:
        details = self._rest.get(PATH)
        if not isinstance(details, dict) or "applications" not in details:
            raise TransientError("Ray Serve does not say what it runs")
        return Listing(details, self._tenant())

    def _put(self, before: Listing, applications: Sequence[Config]) -> Listing:
        """Write the list; what Serve tells once that has settled."""
        address, details = self._rest.address(), before.details
        body: dict[str, Any] = {
            # Fixed once Serve runs; repeated so that it does not warn of a difference.
            "http_options": details.get("http_options") or {"host": address.serve_host, "port": address.serve_port},
            "applications": list(applications),
        }
        kept = {name: details[name] for name in ("proxy_location", "target_capacity") if details.get(name) is not None}
        self._rest.put(PATH, {**body, **kept}, timeout=FIRST_PUT_SECONDS)
        return self._settle(_untouched(details, applications))

    def _settle(self, untouched: Collection[str]) -> Listing:
        """Wait until what the PUT left as it was is said to run again: Serve looks at every app anew after a PUT, and
        calls all of them deploying until it has, a tenth of a second later."""
        for _ in range(SETTLE_LOOKS):
            listing = self._listing()
            live = listing.details["applications"]
            if all(live[name]["status"] != "DEPLOYING" for name in untouched if name in live):
                break
            self._sleep(SETTLE_SECONDS)
        return listing

    def _seen(self) -> Listing:
        """What runs, read while no write of ours is settling. Looks that follow each other closely share one reading,
        because it holds every application of the Ray; the larger it is, the longer it is shared. So a look may be late
        by as much, never by a write of ours, and what it leads to is checked against the list of that moment."""
        with self._turn:
            now = self._clock()
            if self._told is None or now >= self._told_until:
                self._told = self._listing()
                took = self._clock() - now
                self._told_until = now + min(LONGEST_SHARED, max(SHORTEST_SHARED, took / SHARE_OF_READING))
            return self._told


@dataclass(frozen=True)
class Edit:
    """One application of the list as it is to be; ``config`` is None where it is to go."""

    name: str
    config: Config | None

    def made_in(self, applications: Sequence[Config]) -> list[Config]:
        if self.config is None:
            return without_app(applications, self.name)
        return with_app(applications, self.config)

    def holds_in(self, listing: Listing) -> bool:
        return next((app for app in listing.declared() if app["name"] == self.name), None) == self.config


def _edits(config: Config, live: Live | None) -> Sequence[Edit]:
    """What to write so that ``config`` runs; nothing where it does."""
    same = live is not None and live["deployed_app_config"] == config
    return () if same and live is not None and _phase(live) is not AppPhase.FAILED else (Edit(config["name"], config),)


def app_state(name: str, live: Live) -> AppState:
    """What Serve tells of one application, which is called ``name`` in its environment."""
    config = live.get("deployed_app_config")
    replicas = [replica for item in live["deployments"].values() for replica in item["replicas"]]
    return AppState(
        name=name,
        phase=_phase(live),
        digest=live_digest(config) if config else "",
        message=_message(live),
        replicas=sum(replica["state"] in _SERVING for replica in replicas),
    )


def _untouched(details: Mapping[str, Any], applications: Iterable[Config]) -> list[str]:
    """Apps that run and that ``applications`` leave as they are."""
    live = details["applications"]
    running = (app for app in applications if app["name"] in live and live[app["name"]]["status"] == "RUNNING")
    return [app["name"] for app in running if live[app["name"]].get("deployed_app_config") == app]


def _phase(live: Mapping[str, Any]) -> AppPhase:
    return _PHASES[live["status"]]


def _message(live: Live) -> str:
    return in_one_line(told_by(live))
