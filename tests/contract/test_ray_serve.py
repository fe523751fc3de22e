"""The serving port on a real Serve, with the real router and model server and a model of one tree."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from framework.api.layout import code_archive, prediction_folder, profile_folder, traffic_folder
from framework.backends.ray.daemon import EmbeddedRay
from framework.backends.ray.rest import RayRest
from framework.backends.ray.serve import PATH, RayServe
from framework.backends.ray.tenancy import Tenant
from framework.ports import AppArguments, AppPhase, AppSpec, CodeRef, RouteSpec
from framework.specs.tree import archive
from framework.storage import write_bytes
from framework.workloads import models
from tests.contract.suites.neighbours import Neighbours, ServingNeighbourContract
from tests.contract.suites.polling import Patience
from tests.contract.suites.serving import ServingContract, ServingWorld

pytest_plugins = ["tests.ray_cluster"]
pytestmark = pytest.mark.ray

_NUMBERS = itertools.count()
LONGEST = "an-environment-with-a-name-as-long-as-it-may-be"
SIGNATURE = {
    "inputs": [{"name": "hour", "dtype": "Float64", "nullable": False}],
    "output": {"name": "delayed", "kind": "probability"},
}
FOREIGN = {
    "name": "somebody-elses",
    "route_prefix": "/foreign",
    "import_path": "tests.contract.foreign_app:build",
    "args": {"answer": "untouched"},
    "deployments": [{"name": "Foreign", "ray_actor_options": {"num_cpus": 0.1}}],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The artefact part of AppSpec.arguments."""
    import lightgbm
    import numpy as np

    rows = np.arange(200, dtype=np.float64).reshape(-1, 1)
    data = lightgbm.Dataset(rows, label=(rows[:, 0] > 100).astype(float))
    parameters = {"objective": "binary", "num_leaves": 2, "verbosity": -1, "num_threads": 1}
    text = lightgbm.train(parameters, data, num_boost_round=1).model_to_string()
    artifact, sha256 = models.save(str(tmp_path_factory.mktemp("model")), text.encode(), "lightgbm-text")
    return {"artifact": artifact, "sha256": sha256, "format": "lightgbm-text", "signature": SIGNATURE}


@dataclass(frozen=True)
class OnRay:
    """Environments on the session's Ray, each with a deployment of the same name."""

    rest: RayRest
    model: dict[str, Any]
    deployment: str

    def world(self, tenant: Tenant, route: str) -> ServingWorld:
        backend, deployment = RayServe(self.rest, lambda: tenant), self.deployment
        traffic = traffic_folder(tenant.storage, deployment)

        def app(name: str) -> AppSpec:
            full = f"{deployment}-{name}"
            arguments = {
                **self.model,
                "profiles": profile_folder(tenant.storage, deployment, full),
                "predictions": prediction_folder(tenant.storage, deployment, full),
                "deployment": deployment,
                "app": full,
                "version": f"delay-classifier@{name}",
                "transformer": None,
                "flushSeconds": 600.0,
                "predictionKey": None,
            }
            return AppSpec(full, deployment, AppArguments.from_json(arguments), cpus=0.1)

        def broken(name: str) -> AppSpec:
            good = app(name)
            return replace(good, arguments=replace(good.arguments, sha256="0" * 64))

        def send(requests: int) -> int:
            failed = 0
            with httpx.Client(trust_env=False, timeout=10) as client:
                for number in range(requests):
                    body = {"instances": [{"hour": float(number)}]}
                    state = backend.route(deployment, traffic)
                    assert state is not None
                    failed += client.post(state.url, json=body).status_code != httpx.codes.OK
            return failed

        patience = Patience(seconds=60, interval=0.1)
        return ServingWorld(backend, deployment, route, traffic, patience, app, broken, send, "it is not loaded")


@pytest.fixture
def on_ray(ray_rest: RayRest, model: dict[str, Any]) -> OnRay:
    return OnRay(ray_rest, model, f"delay{next(_NUMBERS)}")


@pytest.fixture(scope="module")
def place(ray_rest: RayRest, model: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingWorld]:
    tenant = Tenant(LONGEST, str(tmp_path_factory.mktemp("storage")), "0123456789")
    place = OnRay(ray_rest, model, "delay").world(tenant, "/delay")
    yield place
    clear(place)


@pytest.fixture
def world(place: ServingWorld, tmp_path: Path) -> Iterator[ServingWorld]:
    """Nothing is there but version one, in whatever form the test before left it running: a replica takes seconds to
    start. Counters begin anew."""
    yield replace(place, traffic=f"{tmp_path}/{place.deployment}")
    clear(place, but=place.app("one").name)
    place.patience.until(lambda: place.backend.routed(place.route), lambda state: state is None)


def clear(world: ServingWorld, but: str = "") -> None:
    routed = world.backend.routed(world.route)
    if routed is not None:
        world.backend.delete_route(routed.spec.deployment)
    for name, state in world.backend.apps(world.deployment).items():
        if name != but or state.phase is not AppPhase.RUNNING:
            world.backend.delete(name)


class TestEnvironmentsOnOneRay(ServingNeighbourContract):
    @pytest.fixture
    def neighbours(self, on_ray: OnRay, tmp_path: Path) -> Iterator[Neighbours]:
        first, second, twin = (
            Tenant(name, str(tmp_path / owner), owner * 10)
            for name, owner in (("prod", "a"), ("staging", "b"), ("prod", "c"))
        )
        name = on_ray.deployment
        worlds = on_ray.world(first, f"/{name}"), on_ray.world(second, f"/{name}-staging")
        yield Neighbours(*worlds, lambda: RayServe(on_ray.rest, lambda: twin))
        for world in worlds:
            clear(world)


class TestRayServe(ServingContract):
    pass


def test_a_second_pass_writes_nothing(world: ServingWorld, ray_rest: RayRest) -> None:
    app = world.running("one")
    table = world.table({app.name: 100}, app.name, 1)
    world.backend.set_route(table)
    world.acknowledged(1)
    before = _deployed_at(ray_rest)
    time.sleep(0.01)
    world.backend.deploy(app, None)
    world.backend.set_route(table)
    world.backend.delete(f"{world.deployment}-gone")
    world.backend.delete_route("never-was")
    assert _deployed_at(ray_rest) == before


def test_foreign_applications_are_kept_and_hand_made_changes_show(world: ServingWorld, ray_rest: RayRest) -> None:
    app = world.running("one")
    _put(ray_rest, [*_listed(ray_rest), FOREIGN])
    world.backend.set_route(world.table({app.name: 100}, app.name, 1))
    world.acknowledged(1)

    def foreign() -> Any:
        return ray_rest.get(PATH)["applications"]["somebody-elses"]

    live = world.patience.until(foreign, lambda found: found["status"] == "RUNNING")
    assert live["deployed_app_config"] == FOREIGN

    changed = []
    for item in _listed(ray_rest):
        by_hand = {"args": {**item["args"], "version": "by hand"}} if item["name"] == f"{LONGEST}_{app.name}" else {}
        changed.append(item | by_hand)
    _put(ray_rest, changed)
    world.patience.until(
        lambda: world.backend.apps(world.deployment)[app.name].digest, lambda found: found != app.digest
    )
    world.backend.deploy(app, None)
    assert world.in_phase(app, AppPhase.RUNNING).digest == app.digest
    _put(ray_rest, [item for item in _listed(ray_rest) if item["name"] != "somebody-elses"])


def test_scaling_keeps_the_replica_that_runs(world: ServingWorld, ray_rest: RayRest) -> None:
    app = world.running("one")
    (before,) = _replicas(ray_rest, app.name)
    more = replace(app, min_replicas=2, max_replicas=2)
    world.backend.deploy(more, None)
    state = world.patience.until(
        lambda: world.backend.apps(world.deployment)[app.name],
        lambda found: found.phase is AppPhase.RUNNING and found.replicas == 2,
    )
    assert state.digest == more.digest != app.digest
    assert before in _replicas(ray_rest, app.name)


def test_a_failed_app_tells_the_constructors_error_and_is_tried_again(world: ServingWorld) -> None:
    bad = world.broken("bad")
    world.backend.deploy(bad, None)
    failed = world.in_phase(bad, AppPhase.FAILED)
    assert " it is not loaded" in failed.message
    good = world.app("bad")
    world.backend.deploy(good, None)
    assert world.in_phase(good, AppPhase.RUNNING).digest == good.digest


def test_weights_set_by_hand_are_seen_and_repaired(world: ServingWorld, ray_rest: RayRest) -> None:
    app = world.running("one")
    table = world.table({app.name: 100}, app.name, 1)
    world.backend.set_route(table)
    world.acknowledged(1)
    meddled = _listed(ray_rest)
    for item in meddled:
        if item["name"] == f"{LONGEST}_{world.deployment}-router":
            item["deployments"][0]["user_config"]["timeout_seconds"] = 9.0
    _put(ray_rest, meddled)
    changed = replace(table, timeout_seconds=9.0)
    world.patience.until(world.state, lambda state: state is not None and state.spec == changed)
    world.backend.set_route(replace(table, generation=2))
    assert world.acknowledged(2).spec == replace(table, generation=2)


def test_the_code_archive_and_batching_reach_the_model(
    world: ServingWorld, tmp_path: Path, send_row: Callable[[RouteSpec, dict[str, Any]], Any]
) -> None:
    code = CodeRef("c" * 40, "project", "d" * 40)
    source = b"def double(rows):\n    return [{'hour': 1 / (0.5 / row['half'])} for row in rows]\n"
    uri = code_archive(str(tmp_path), code.digest)
    write_bytes(uri, archive({"project/__init__.py": (b"", False), "project/shape.py": (source, False)}))
    plain = world.app("code")
    app = replace(
        plain,
        arguments=replace(plain.arguments, transformer="project.shape:double"),
        code=code,
        batch_size=4,
        batch_wait_seconds=0.01,
        min_replicas=1,
        max_replicas=2,
    )
    world.backend.deploy(app, uri)
    assert world.in_phase(app, AppPhase.RUNNING).digest == app.digest
    table = world.table({app.name: 100}, app.name, 1)
    world.backend.set_route(table)
    world.acknowledged(1)
    low, high = (send_row(table, {"half": half})["predictions"][0] for half in (1.0, 99.0))
    assert low < high
    assert world.backend.apps(world.deployment)[app.name].digest == app.digest
    with pytest.raises(httpx.HTTPStatusError):
        send_row(table, {"half": 0.0})  # a number as good as any other: the version's own failure
    world.patience.until(
        lambda: {log.source: log.text for log in world.backend.logs(world.deployment, 100)},
        lambda found: "ZeroDivisionError: " in found[app.name] and "project/shape.py" in found[app.name],
    )
    assert f"{world.deployment}-router" in {log.source for log in world.backend.logs(world.deployment, 100)}


def test_an_idle_router_still_gives_a_sign_of_life(world: ServingWorld) -> None:
    app = world.running("one")
    world.backend.set_route(world.table({app.name: 100}, app.name, 1))
    first = world.acknowledged(1)
    assert abs((first.replicas[0].written - datetime.now(UTC)).total_seconds()) < 10
    again = world.patience.until(
        world.state, lambda found: found is not None and found.replicas[0].written > first.replicas[0].written
    )
    assert again is not None
    assert again.replicas[0].replica == first.replicas[0].replica


@pytest.fixture
def send_row(embedded_ray: EmbeddedRay) -> Callable[[RouteSpec, dict[str, Any]], Any]:
    def send(table: RouteSpec, row: dict[str, Any]) -> Any:
        address = embedded_ray.running()
        assert address is not None
        url = f"http://{address.serve_host}:{address.serve_port}{table.route}"
        answer = httpx.post(url, json={"instances": [row]}, trust_env=False, timeout=10)
        answer.raise_for_status()
        return answer.json()

    return send


def _put(rest: RayRest, applications: list[dict[str, Any]]) -> None:
    rest.put(PATH, {"http_options": rest.get(PATH)["http_options"], "applications": applications})


def _listed(rest: RayRest) -> list[dict[str, Any]]:
    live = rest.get(PATH)["applications"].values()
    return [item["deployed_app_config"] for item in live if item.get("deployed_app_config")]


def _deployed_at(rest: RayRest) -> dict[str, float]:
    return {name: item["last_deployed_time_s"] for name, item in rest.get(PATH)["applications"].items()}


def _replicas(rest: RayRest, app: str) -> list[str]:
    deployments = rest.get(PATH)["applications"][f"{LONGEST}_{app}"]["deployments"].values()
    return [replica["replica_id"] for item in deployments for replica in item["replicas"]]
