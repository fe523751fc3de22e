"""How a path gets from one deployment to another on a Ray that others use, too: on a Ray that is not there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from framework.api.errors import ConflictError, TerminalError
from framework.api.layout import profile_folder, traffic_folder
from framework.backends.ray.serve import RayServe
from framework.backends.ray.serve_config import render_app, render_route
from framework.backends.ray.tenancy import Tenant
from framework.ports import AppSpec, RouteSpec
from framework.storage import list_files, write_json
from tests.builders import app_arguments
from tests.unit.ray.fake_ray import FakeRay

PROD = Tenant("prod", "/nowhere/prod", "aaaaaaaaaa")
STAGING = Tenant("staging", "/nowhere/staging", "bbbbbbbbbb")
TWIN = Tenant("prod", "/home/ann/store", "cccccccccc")


class World:
    """One environment on a Ray, with an app for each deployment that is named."""

    def __init__(self, ray: FakeRay, tenant: Tenant = PROD) -> None:
        self.ray, self.tenant = ray, tenant
        clock = itertools.count(0.0, 60.0).__next__
        self.serve = RayServe(ray.rest(), lambda: tenant, sleep=lambda seconds: None, clock=clock)

    def app(self, deployment: str) -> AppSpec:
        name = f"{deployment}-0123456789"
        return AppSpec(
            name, deployment, app_arguments(name, profiles=profile_folder(self.tenant.storage, deployment, name))
        )

    def table(self, deployment: str, path: str, generation: int) -> RouteSpec:
        app, traffic = self.app(deployment).name, traffic_folder(self.tenant.storage, deployment)
        return RouteSpec(deployment, path, {app: 100}, app, generation, traffic=traffic)

    def serves(self, deployment: str, path: str, generation: int = 1) -> None:
        self.serve.deploy(self.app(deployment), None)
        self.serve.set_route(self.table(deployment, path, generation))

    def generation(self, deployment: str) -> int | None:
        state = self.serve.route(deployment, "")
        return state.spec.generation if state is not None else None

    def at(self, path: str) -> str | None:
        state = self.serve.routed(path)
        return state.spec.deployment if state is not None else None

    def routers(self) -> Mapping[str, Any]:
        return {
            name: live for name, live in self.ray.apps.items() if live["route_prefix"] and live["status"] == "RUNNING"
        }


def arguments(ray: FakeRay, router: str) -> Any:
    return ray.apps[router]["deployed_app_config"]["args"]


def test_a_path_is_handed_over_in_place_and_other_environments_are_left_alone() -> None:
    ray = FakeRay()
    prod, staging = World(ray), World(ray, STAGING)
    staging.serves("delay", "/staging")
    prod.serves("delay", "/delay", 5)
    theirs, before = ray.apps["staging_delay-router"], arguments(ray, "prod_delay-router")
    prod.serves("late", "/delay", 6)
    assert prod.at("/delay") == "late"
    assert (prod.generation("delay"), prod.generation("late")) == (None, 6)
    assert sorted(prod.routers()) == ["prod_delay-router", "staging_delay-router"]
    assert arguments(ray, "prod_delay-router") == before, "another argument restarts the router"
    assert ray.apps["staging_delay-router"]["deployed_app_config"] == theirs["deployed_app_config"]
    assert (staging.at("/delay"), staging.generation("delay")) == (None, 1)


def test_nobody_takes_over_what_is_another_environments() -> None:
    ray = FakeRay()
    prod = World(ray)
    prod.serves("delay", "/delay")
    for stranger in (World(ray, STAGING), World(ray, TWIN)):
        assert stranger.at("/delay") is None
        with pytest.raises(TerminalError, match="/delay") as caught:
            stranger.serves("late", "/delay", 9)
        assert caught.value.reason == "RouteTaken"
        stranger.serve.delete_route("late")
        assert prod.at("/delay") == "delay"


def test_what_was_decided_on_before_a_path_changed_hands_is_refused() -> None:
    prod = World(FakeRay())
    prod.serves("delay", "/delay", 5)
    prod.serves("late", "/delay", 6)
    for late in (prod.table("delay", "/delay", 5), prod.table("delay", "/delay", 6), prod.table("late", "/late", 6)):
        with pytest.raises(ConflictError, match="generation 6"):
            prod.serve.set_route(late)
    prod.serve.delete_route("delay")
    with pytest.raises(ConflictError, match="late-0123456789"):
        prod.serve.delete("late-0123456789")
    prod.serve.delete("delay-0123456789")
    changes = len(prod.ray.changes())
    prod.serve.set_route(prod.table("late", "/delay", 6))
    assert prod.at("/delay") == "late"
    assert len(prod.ray.changes()) == changes


def test_who_comes_into_a_path_gives_up_the_router_that_it_had_in_one_step() -> None:
    prod = World(FakeRay())
    prod.serves("delay", "/delay", 5)
    prod.serves("late", "/late", 2)
    changes = len(prod.ray.changes())
    prod.serve.set_route(prod.table("late", "/delay", 6))
    assert len(prod.ray.changes()) == changes + 1
    assert sorted(prod.routers()) == ["prod_delay-router"]
    assert (prod.at("/delay"), prod.at("/late")) == ("late", None)


def test_a_deployment_whose_router_another_one_has_gets_one_that_counts_elsewhere(tmp_path: Path) -> None:
    prod = World(FakeRay(), replace(PROD, storage=str(tmp_path)))
    prod.serves("delay", "/delay", 5)
    prod.serves("late", "/delay", 6)
    prod.serves("delay", "/again", 7)
    assert sorted(prod.routers()) == ["prod_delay-router", "prod_delay-router-2"]
    folders = [arguments(prod.ray, name)["traffic"] for name in prod.routers()]
    assert len(set(folders)) == 2
    for folder in folders:
        write_json(f"{folder}/7-1000.json", {"replica": "7-1000"})
    assert (prod.at("/again"), prod.at("/delay")) == ("delay", "late")
    prod.serve.delete_route("late")
    assert sorted(prod.routers()) == ["prod_delay-router-2"]
    assert [bool(list_files(folder)) for folder in folders] == [False, True]
    assert not prod.serve.apps("delay-router"), "a router that goes is nobody's model"
    prod.serve.delete_route("delay")
    assert not prod.routers()
    assert not any(list_files(folder) for folder in folders)
    assert not prod.serve.apps("delay-router")


def unreadable(table: dict[str, Any]) -> None:
    del table["weights"]


def astray(table: dict[str, Any]) -> None:
    table.update(weights={"staging_delay-0123456789": 100}, stable="staging_delay-0123456789")


@pytest.mark.parametrize("meddle", [unreadable, astray])
def test_a_table_that_was_handed_over_is_repaired_in_place(meddle: Callable[[dict[str, Any]], None]) -> None:
    prod = World(FakeRay())
    prod.serves("delay", "/delay", 5)
    prod.serves("late", "/delay", 6)
    meddle(prod.ray.apps["prod_delay-router"]["deployed_app_config"]["deployments"][0]["user_config"])
    assert prod.generation("late") is None
    prod.serve.set_route(prod.table("late", "/delay", 7))
    assert sorted(prod.routers()) == ["prod_delay-router"]
    assert (prod.at("/delay"), prod.generation("late")) == ("late", 7)


def test_a_router_from_before_names_had_environments_is_handed_over_under_its_name() -> None:
    ray = FakeRay()
    prod = World(ray)
    app = prod.app("delay")
    old = render_route(prod.table("delay", "/delay", 5), "delay-router", None, {app.name: app.name})
    ray.replace([render_app(app, None, app.name, None), old])
    prod.serves("late", "/delay", 6)
    assert prod.at("/delay") == "late"
    assert sorted(prod.routers()) == ["delay-router"]
    assert arguments(ray, "delay-router") == old["args"]
    assert World(ray, TWIN).at("/delay") is None
    prod.serves("delay", "/again", 7)
    assert sorted(prod.routers()) == ["delay-router", "prod_delay-router"]
    assert (prod.at("/delay"), prod.at("/again")) == ("late", "delay")
