"""What looking at ModelDeployments on Ray takes from the controller, by how many there are on one Ray.

Serve's answer is made up, as long as the real one is for as many deployments (one app and one router each), and comes
from memory. So what is measured is ours: asking, reading, understanding, comparing, and the routers' counters on disk.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from framework.api.layout import prediction_folder, profile_folder, traffic_folder
from framework.backends.ray.rest import RayAddress, RayRest
from framework.backends.ray.serve import RayServe
from framework.backends.ray.serve_config import render_app, render_route
from framework.backends.ray.tenancy import Tenant
from framework.ports import LATENCY_BOUNDS, AppArguments, AppPhase, AppSpec, CodeRef, RouteSpec
from framework.storage import write_json

_CODE = CodeRef("c" * 40, "project", "d" * 40)
_IDENTITY = "0123456789"


@dataclass(frozen=True)
class Round:
    """One look at each deployment. ``cpu`` in seconds; ``answer`` is how long Serve's answer is, in bytes."""

    deployments: int
    cpu: float
    readings: int
    answer: int


def look_round(deployments: int, seconds: float = 10.0) -> Round:
    """Look once at each, spread over ``seconds`` as the controller does it in a resync interval; nobody waits for it,
    the time between looks is made up."""
    with TemporaryDirectory() as folder:
        tenant = Tenant("local", folder)
        body = json.dumps(_answer(deployments, tenant)).encode()
        readings = 0

        def answer(request: httpx.Request) -> httpx.Response:
            nonlocal readings
            readings += 1
            return httpx.Response(200, content=body, headers={"content-type": "application/json"})

        rest = RayRest(lambda: RayAddress("http://127.0.0.1:8265"), transport=httpx.MockTransport(answer))
        passed = 0.0
        serve = RayServe(rest, lambda: tenant, clock=lambda: time.monotonic() + passed)
        started = time.process_time()
        for number in range(deployments):
            name = _name(number)
            apps = serve.apps(name)
            state = serve.route(name, traffic_folder(folder, name))
            assert [app.phase for app in apps.values()] == [AppPhase.RUNNING]
            assert state is not None
            assert len(state.replicas) == 1
            passed += seconds / deployments
        return Round(deployments, time.process_time() - started, readings, len(body))


def _answer(deployments: int, tenant: Tenant) -> dict[str, Any]:
    applications: dict[str, Any] = {}
    for number in range(deployments):
        name = _name(number)
        app = f"{name}-{_IDENTITY}"
        replica = f"{1000 + number}-1700000000000"
        spec = AppSpec(app, name, _arguments(app, name, tenant.storage), metadata=_metadata(name), code=_CODE)
        model = render_app(spec, f"file:///store/code/{_CODE.digest}.zip", tenant.wire(app), tenant.mark)
        table = RouteSpec(name, f"/{name}", {app: 100}, app, 1, traffic=traffic_folder(tenant.storage, name))
        router = render_route(table, tenant.wire(f"{name}-router"), tenant.mark, {app: tenant.wire(app)})
        applications[tenant.wire(app)] = _live(model, "Model", 0)
        applications[tenant.wire(f"{name}-router")] = _live(router, "Router", 1000 + number)
        write_json(f"{table.traffic}/{replica}.json", _counters(replica, tenant.wire(app)))
    return {"applications": applications, "http_options": {"host": "127.0.0.1", "port": 8000}, "proxies": {}}


def _name(number: int) -> str:
    return f"endpoint-{number:05}"


def _arguments(app: str, deployment: str, storage: str) -> AppArguments:
    columns = [{"name": f"column_{index}", "dtype": "Float64", "nullable": True} for index in range(12)]
    return AppArguments(
        deployment=deployment,
        app=app,
        version=f"classifier@{_IDENTITY}",
        artifact=f"{storage}/models/classifier/{_IDENTITY}/model.txt",
        sha256="e" * 64,
        format="lightgbm-text",
        signature={"inputs": columns, "output": {"name": "label", "kind": "probability"}},
        transformer="project.serving:tidy",
        profiles=profile_folder(storage, deployment, app),
        predictions=prediction_folder(storage, deployment, app),
        flushSeconds=10.0,
        predictionKey="id",
    )


def _metadata(deployment: str) -> dict[str, str]:
    return {
        "commit": "c" * 40,
        "fingerprint": _IDENTITY,
        "model": f"classifier@{_IDENTITY}",
        "resource": f"ModelDeployment/{deployment}",
        "spec": f"mlops_specs/deployments/{deployment}.yaml",
    }


def _live(config: dict[str, Any], deployment: str, pid: int) -> dict[str, Any]:
    """What Serve tells of one application: beside its configuration what became of it."""
    replica = {
        "node_id": "f" * 56, "node_ip": "127.0.0.1", "node_instance_id": "", "actor_id": "a" * 32,
        "actor_name": f"SERVE_REPLICA::{config['name']}#{deployment}#abcdefgh", "worker_id": "b" * 56,
        "log_file_path": f"/serve/replica_{config['name']}_{deployment}_abcdefgh.log", "replica_id": "abcdefgh",
        "state": "RUNNING", "pid": pid, "start_time_s": 1700000000.0,
    }  # fmt: skip
    (written,) = config["deployments"]
    return {
        "name": config["name"],
        "route_prefix": config["route_prefix"],
        "docs_path": None,
        "status": "RUNNING",
        "message": "",
        "last_deployed_time_s": 1700000000.0,
        "deployed_app_config": config,
        "source": "declarative",
        "deployments": {
            deployment: {
                "name": deployment,
                "status": "HEALTHY",
                "status_trigger": "CONFIG_UPDATE_COMPLETED",
                "message": "",
                "deployment_config": {**written, "graceful_shutdown_timeout_s": 20.0, "logging_config": {}},
                "target_num_replicas": 1,
                "required_resources": {"CPU": 0.1},
                "replicas": [replica],
            }
        },
        "external_scaler_enabled": False,
        "deployment_topology": {"app_name": config["name"], "ingress_deployment": deployment, "nodes": {}},
    }


def _counters(replica: str, app: str) -> dict[str, Any]:
    counts = {"requests": 100, "errors": 0, "shielded": 0, "latency_buckets": [2] * (len(LATENCY_BOUNDS) + 1)}
    written = "2026-01-01T00:00:00+00:00"
    return {"replica": replica, "generation": 1, "written": written, "versions": {app: counts}}
