"""What Serve told at one moment, as one environment sees it: what is its own, what is others', who has which name.
Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from framework.api.errors import TerminalError
from framework.api.names import own_name
from framework.backends.ray.serve_config import (
    MODEL,
    Config,
    Mark,
    deployment_of,
    mark_of,
    names_in_table,
    read_route,
    router_name,
    thing,
)
from framework.backends.ray.tenancy import Tenant, Thing, foreign
from framework.ports import RouteSpec

Live = Mapping[str, Any]
"""What Serve tells of one application."""


@dataclass(frozen=True)
class Listing:
    """``details`` is the answer of Serve's REST interface.

    Names that go in are those of the environment. Applications that a version before the names with environments made
    keep their names in Serve for as long as they live, and tables go on to name them so.
    """

    details: Mapping[str, Any]
    tenant: Tenant

    def models(self, deployment: str) -> Mapping[str, Live]:
        """This environment's model apps of ``deployment``, by their names in it."""
        return {own_name(live["name"]): live for live in self._models.get(deployment, ())}

    def router(self, deployment: str) -> Live | None:
        """This environment's router of ``deployment``, one that is being deleted included."""
        live = self._applications.get(self.router_in_serve(deployment))
        return live if live is not None and self._is_own(live) else None

    def table(self, deployment: str) -> RouteSpec | None:
        """The live table; None also for a router that was changed by hand beyond recognition, such as to send to what
        is not ours, or not there."""
        live = self.router(deployment)
        config = live and live.get("deployed_app_config")
        if not config or any(self.app_in_serve(own_name(name)) != name for name in names_in_table(config)):
            return None
        return read_route(config)

    def app_in_serve(self, app: str) -> str:
        """The name in Serve that ``app`` has, or is to get. Where it has none, it is the one that the live table names,
        because routers go on to send there."""
        new, router = self.tenant.wire(app), self.router(deployment_of(app))
        config = router and router.get("deployed_app_config")
        named = names_in_table(config) if config else frozenset[str]()
        if self._is_own_before_names(app):
            return new if new in named else app
        live = self._applications.get(new)
        return app if app in named and new not in named and not (live and self._is_own(live)) else new

    def router_in_serve(self, deployment: str) -> str:
        """The name in Serve that the router of ``deployment`` has, or is to get."""
        name = router_name(deployment)
        return name if self._is_own_before_names(name) else self.tenant.wire(name)

    def declared(self) -> list[Config]:
        """The declarative applications in force, without what is being deleted or was started by ``serve.run``."""
        kept = [app for app in self._applications.values() if app["status"] != "DELETING"]
        return [app["deployed_app_config"] for app in kept if app.get("deployed_app_config")]

    def own(self, name: str) -> Live | None:
        """What Serve tells of its application ``name``; None where there is none, or one that is being deleted.

        Raises:
            TerminalError: it is not this environment's ("NotOurs").
        """
        live = self._applications.get(name)
        if live is None or live["status"] == "DELETING":
            return None
        if not self._is_own(live):
            raise foreign(_thing(live), self.tenant)
        return live

    def may_be_of(self, deployment: str, name: str) -> bool:
        """Whether the application ``name`` is, or was while it lived, one of ``deployment`` in this environment."""
        app = own_name(name)
        live = self._applications.get(name)
        own = self._is_own(live) if live is not None else name == self.tenant.wire(app)
        return own and deployment_of(app) == deployment

    def mark_for(self, name: str) -> Mark:
        """The mark to write into the application ``name``: what runs without one would be restarted by it."""
        live = self._applications.get(name)
        config = live and live.get("deployed_app_config")
        return mark_of(config) if config else self.tenant.mark

    def require_free(self, route: str, router: str) -> None:
        """See that ``router``, as Serve knows it, takes callers away from nobody else.

        Raises:
            TerminalError: an application that is not this environment's has the route, or one above it.
        """
        for name, live in self._applications.items():
            taken = (live.get("route_prefix") or "").rstrip("/")  # nothing is left of the one that catches all
            if name == router or not taken or live["status"] == "DELETING" or self._is_own(live):
                continue
            if f"{route.rstrip('/')}/".startswith(f"{taken}/"):
                where = "" if route.rstrip("/") == taken else f", below {taken},"
                owner = _thing(live).owner
                raise TerminalError(
                    "RouteTaken",
                    f"the route {route}{where} is that of the Serve application {name} of {owner}: choose another one, "
                    "for this environment alone by a patch in its Environment",
                )

    @property
    def _applications(self) -> Mapping[str, Live]:
        applications: Mapping[str, Live] = self.details["applications"]
        return applications

    @cached_property
    def _models(self) -> Mapping[str, Sequence[Live]]:
        found: dict[str, list[Live]] = defaultdict(list)
        for name, live in self._applications.items():
            if _is_model(live) and self._is_own(live):
                found[deployment_of(own_name(name))].append(live)
        return found

    def _is_own(self, live: Live) -> bool:
        """Without a configuration it is being deleted, and its name has to do, or it was started by ``serve.run``."""
        declared = bool(live.get("deployed_app_config")) or live["status"] == "DELETING"
        return declared and self.tenant.owns(_thing(live))

    def _is_own_before_names(self, name: str) -> bool:
        """Whether ``name`` is that of one of our own applications although it carries no environment."""
        live = self._applications.get(name)
        return live is not None and self._is_own(live)


def _thing(live: Live) -> Thing:
    config = live.get("deployed_app_config")
    return thing(config) if config else Thing("the Serve application", live["name"])


def _is_model(live: Live) -> bool:
    config = live.get("deployed_app_config")
    return config["import_path"] == MODEL if config else not live["name"].endswith(router_name(""))


def told_by(live: Live) -> str:
    """Everything that Serve says of what is wrong with an application. The deployments' messages say more than the
    app's: a constructor's traceback is there."""
    found = [item["message"] for item in live["deployments"].values() if item["message"]] or [live["message"]]
    return "\n".join(found)
