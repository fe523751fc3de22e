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
    is_router_name,
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
        """This environment's router with the table of ``deployment``: the one of its name, or one that it took over
        from another deployment. One that tells no table, such as while it is being deleted, is known by its name."""
        found = self._routers.get(deployment)
        if found is not None:
            return found
        live = self._applications.get(self._made_for(deployment))
        return live if live is not None and self._is_own(live) and live["name"] not in self.tables else None

    def routed(self, path: str) -> str | None:
        """The deployment that this environment serves at ``path``."""
        return next((table.deployment for table in self.tables.values() if table.route == path), None)

    @cached_property
    def tables(self) -> Mapping[str, RouteSpec]:
        """The live tables of this environment, by the name that the router with it has in Serve."""
        return {
            name: table
            for name, live in self._applications.items()
            if (config := live.get("deployed_app_config"))
            and (table := read_route(config)) is not None
            and self._is_own(live)
        }

    def table(self, deployment: str) -> RouteSpec | None:
        """The live table; None also for a router that was changed by hand beyond recognition, such as to send to what
        is not ours, or not there."""
        live = self.router(deployment)
        return self.table_of(live["name"]) if live is not None else None

    def table_of(self, router: str) -> RouteSpec | None:
        """The live table of a router, by its name in Serve; None where :meth:`table` is."""
        live = self._applications.get(router)
        config = live and live.get("deployed_app_config")
        if not config or any(self.app_in_serve(own_name(name)) != name for name in names_in_table(config)):
            return None
        return self.tables.get(router)

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
        """The name in Serve of the router that ``deployment`` has, or that is to be made for it."""
        live = self.router(deployment)
        return live["name"] if live is not None else self._made_for(deployment)

    def untold_at(self, path: str) -> str | None:
        """The name in Serve of what this environment has at ``path`` without a table that can be read, as it was
        changed by hand."""
        return next(
            (
                name
                for name, live in self._applications.items()
                if live.get("route_prefix") == path
                and live.get("deployed_app_config")
                and self._is_own(live)
                and name not in self.tables
            ),
            None,
        )

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
        """Whether the application ``name`` is, or was while it lived, one of ``deployment`` in this environment, or a
        router that it took over."""
        app = own_name(name)
        live = self._applications.get(name)
        if name in self.tables:
            return deployment in (self.tables[name].deployment, deployment_of(app))
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

    @cached_property
    def _routers(self) -> Mapping[str, Live]:
        found: dict[str, Live] = {}
        for name, table in self.tables.items():
            if table.deployment not in found or own_name(name) == router_name(table.deployment):
                found[table.deployment] = self._applications[name]
        return found

    def _made_for(self, deployment: str) -> str:
        """The name in Serve of a router that is made for ``deployment``."""
        name = router_name(deployment)
        table = self.tables.get(name)
        gone_over = table is not None and table.deployment != deployment
        return name if self._is_own_before_names(name) and not gone_over else self.tenant.wire(name)

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
    return config["import_path"] == MODEL if config else not is_router_name(own_name(live["name"]))


def told_by(live: Live) -> str:
    """Everything that Serve says of what is wrong with an application. The deployments' messages say more than the
    app's: a constructor's traceback is there."""
    found = [item["message"] for item in live["deployments"].values() if item["message"]] or [live["message"]]
    return "\n".join(found)
