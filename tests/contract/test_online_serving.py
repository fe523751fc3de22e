"""A deployed model that is asked with keys only, on a real Serve."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from framework.api.layout import traffic_folder
from framework.backends.ray.rest import RayRest
from framework.backends.ray.serve import RayServe
from framework.backends.ray.tenancy import Tenant
from framework.online import open_store
from framework.ports import (
    AppArguments,
    AppPhase,
    AppSpec,
    OnlineLookup,
    OnlinePlace,
    OnlineRequest,
    OnlineTarget,
    OnlineView,
    ReadView,
    RouteSpec,
)
from framework.workloads.features import delta
from framework.workloads.online import sync
from tests.contract.test_serving_workload import wait_for
from tests.unit.serving.models import arguments

pytest_plugins = ["tests.ray_cluster"]
pytestmark = pytest.mark.ray

DEPLOYMENT = "keyed"
COLUMNS = (("station", "String"), ("hour", "Datetime"), ("temp", "Float64"))


@pytest.fixture
def online(tmp_path: Path) -> OnlinePlace:
    """Two stations whose temperature is online: one above and one below what is late."""
    place = OnlinePlace(store=f"sqlite:///{tmp_path}/online.db", space="local")
    hour = pl.Series([datetime.now(UTC) - timedelta(minutes=5)] * 2, dtype=pl.Datetime("us", "UTC"))
    frame = pl.DataFrame({"station": ["cold", "warm"], "hour": hour, "temp": [0.1, 0.9]})
    uri = str(tmp_path / "weather")
    version = delta.publish(uri, [frame], COLUMNS, {}).version
    table = ReadView(uri=uri, version=version, entities=("station",), timestamp="hour", columns=COLUMNS)
    asked = OnlineRequest(build="b", view="weather", table=table, target=OnlineTarget(place=place))
    assert sync.bring(asked, open_store(place), datetime.now(UTC), lambda told: None)["left"] == 0
    return place


@pytest.fixture
def ask(ray_rest: RayRest, tmp_path: Path, online: OnlinePlace) -> Iterator[Callable[..., tuple[int, Any]]]:
    backend, traffic = RayServe(ray_rest, lambda: Tenant("local", str(tmp_path))), traffic_folder(str(tmp_path), "x")
    app = f"{DEPLOYMENT}-0123456789"
    view = OnlineView("weather", (("station", "String"),), (("temp", "Float64"),))
    lookup = OnlineLookup(online.store, online.space, (view,))
    sent = AppArguments(**{**vars(AppArguments.from_json(arguments(tmp_path, app))), "online": lookup})
    backend.deploy(AppSpec(app, DEPLOYMENT, AppArguments.from_json(sent.to_json()), cpus=0.1), None)
    backend.set_route(RouteSpec(DEPLOYMENT, f"/{DEPLOYMENT}", {app: 100}, app, 1, traffic=traffic))

    def ready() -> bool:
        live, route = backend.apps(DEPLOYMENT)[app], backend.route(DEPLOYMENT, traffic)
        assert live.phase is not AppPhase.FAILED, live.message
        return live.phase is AppPhase.RUNNING and route is not None and route.phase is AppPhase.RUNNING

    wait_for(ready, 120)
    state = backend.route(DEPLOYMENT, traffic)
    assert state is not None

    def post(*rows: dict[str, Any]) -> tuple[int, Any]:
        answer = httpx.post(state.url, content=json.dumps({"instances": rows}), trust_env=False, timeout=20)
        return answer.status_code, answer.json()

    wait_for(lambda: post({"station": "cold", "month": 1})[0] == 200, 60)
    yield post
    backend.delete_route(DEPLOYMENT)
    backend.delete(app)


def test_a_deployed_model_is_asked_with_keys_only(ask: Callable[..., tuple[int, Any]], online: OnlinePlace) -> None:
    status, content = ask(*({"station": station, "month": 1} for station in ("warm", "cold", "nowhere")))
    assert (status, [value > 0.5 for value in content["predictions"][:2]]) == (200, [True, False])
    assert content["missing"] == {"weather": 1}

    status, content = ask({"month": 1})
    assert (status, content["error"]["problems"]) == (422, ["instances[0].station is missing; String is required"])
    status, content = ask({"station": "warm", "month": 1, "temp": 0.1})
    assert (status, content["error"]["problems"]) == (
        422, ["instances[0].temp is looked up in FeatureView/weather: leave it out"],
    )  # fmt: skip

    with sqlite3.connect(online.store.removeprefix("sqlite:///")) as connection:
        connection.execute("DELETE FROM views")
    connection.close()
    status, content = ask({"station": "warm", "month": 1})
    assert (status, content["error"]["message"]) == (503, "FeatureView/weather cannot be looked up now; try again")
