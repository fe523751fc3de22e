from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from framework.api.errors import ConflictError, TransientError
from framework.api.layout import traffic_folder
from framework.backends.ray.serve import RayServe, router_replicas
from framework.backends.ray.serve_config import render_app, render_route
from framework.backends.ray.tenancy import Tenant
from framework.backends.ray.traffic import CounterFiles
from framework.ports import AppPhase, AppSpec, RouteSpec, VersionCounters
from framework.storage import list_files, read_json, write_json
from tests.builders import app_arguments
from tests.unit.ray.fake_ray import FakeRay, live_app

APP = AppSpec("delay-0123456789", "delay", app_arguments())
OTHER = AppSpec("delay-late-0123456789", "delay-late", app_arguments("delay-late-0123456789"))
ROUTE = RouteSpec("delay", "/delay", {APP.name: 100}, APP.name, 3, traffic="")
TENANT = Tenant("local", "memory://store", "0123456789")
LIVE, LIVE_ROUTER = "local_delay-0123456789", "local_delay-router"
FOREIGN = {
    "name": "foreign",
    "import_path": "theirs:app",
    "route_prefix": "/theirs",
    "runtime_env": {"env_vars": {"A": "1"}},
}


def slow() -> Callable[[], float]:
    """A clock of looks so far apart that each reads for itself."""
    return itertools.count(0.0, 60.0).__next__


@pytest.fixture
def ray() -> FakeRay:
    fake = FakeRay()
    fake.apps["foreign"] = live_app(FOREIGN)
    return fake


@pytest.fixture
def serve(ray: FakeRay) -> RayServe:
    return RayServe(ray.rest(), lambda: TENANT, sleep=lambda seconds: None, clock=slow())


def _app(app: AppSpec) -> dict[str, Any]:
    """The application as it is written."""
    return render_app(app, None, TENANT.wire(app.name), TENANT.mark)


def _put(ray: FakeRay) -> dict[str, Any]:
    body: dict[str, Any] = [body for body in ray.bodies if body][-1]
    return body


def test_ours_is_added_and_theirs_is_kept(ray: FakeRay, serve: RayServe) -> None:
    serve.deploy(APP, None)
    serve.set_route(ROUTE)
    body = _put(ray)
    router = render_route(ROUTE, LIVE_ROUTER, TENANT.mark, {APP.name: LIVE})
    assert body["applications"] == [FOREIGN, _app(APP), router]
    assert body["http_options"] == {"host": "127.0.0.1", "port": 8123}


def test_a_second_pass_puts_nothing(ray: FakeRay, serve: RayServe) -> None:
    serve.deploy(APP, None)
    serve.set_route(ROUTE)
    before = len(ray.changes())
    serve.deploy(APP, None)
    serve.deploy(replace(APP, metadata={"commit": "another"}), None)
    serve.set_route(ROUTE)
    serve.delete("delay-ffffffffff")
    serve.delete_route("other")
    assert len(ray.changes()) == before


def test_a_failed_app_is_tried_again(ray: FakeRay, serve: RayServe) -> None:
    serve.deploy(APP, None)
    ray.apps[LIVE]["status"] = "DEPLOY_FAILED"
    before = len(ray.changes())
    serve.deploy(APP, None)
    assert len(ray.changes()) == before + 1


def test_an_app_that_is_being_deleted_is_not_brought_back_by_another(ray: FakeRay, serve: RayServe) -> None:
    serve.deploy(APP, None)
    serve.delete(APP.name)
    assert ray.apps[LIVE]["status"] == "DELETING"
    serve.set_route(ROUTE)
    assert LIVE not in [app["name"] for app in _put(ray)["applications"]]
    state = serve.apps("delay")[APP.name]
    assert (state.phase, state.digest) == (AppPhase.DELETING, "")
    serve.deploy(APP, None)
    assert ray.apps[LIVE]["status"] == "RUNNING"


def test_what_was_started_imperatively_is_never_listed(ray: FakeRay, serve: RayServe) -> None:
    ray.apps["notebook"] = live_app({"name": "notebook"}, source="imperative", deployed_app_config=None)
    serve.deploy(APP, None)
    assert "notebook" not in [app["name"] for app in _put(ray)["applications"]]
    assert ray.apps["notebook"]["status"] == "RUNNING"


def test_options_of_a_running_serve_are_kept(ray: FakeRay, serve: RayServe) -> None:
    options = {"host": "127.0.0.1", "port": 9999, "request_timeout_s": 30}
    ray.details = {"http_options": options, "proxy_location": "HeadOnly", "target_capacity": 50.0}
    serve.deploy(APP, None)
    body = _put(ray)
    assert (body["http_options"], body["proxy_location"], body["target_capacity"]) == (options, "HeadOnly", 50.0)


def test_deployments_do_not_see_each_others_apps(ray: FakeRay, serve: RayServe) -> None:
    serve.deploy(APP, None)
    serve.deploy(OTHER, None)
    serve.set_route(ROUTE)
    assert set(serve.apps("delay")) == {APP.name}
    assert set(serve.apps("delay-late")) == {OTHER.name}
    assert dict(serve.apps("foreign")) == {}


def test_the_state_of_an_app_is_serves(ray: FakeRay, serve: RayServe) -> None:
    replicas = [{"state": state, "replica_id": state} for state in ("RUNNING", "UPDATING", "STARTING", "STOPPING")]
    message = "The deployment failed to start 3 times: ArtifactMismatch"
    ray.apps[LIVE] = live_app(
        _app(APP), "DEPLOY_FAILED", deployments={"Model": {"message": message, "replicas": replicas}}
    )
    state = serve.apps("delay")[APP.name]
    assert (state.phase, state.digest, state.message, state.replicas) == (AppPhase.FAILED, APP.digest, message, 2)


def test_it_waits_until_untouched_apps_are_said_to_run_again(ray: FakeRay) -> None:
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            ray.apps[LIVE]["status"] = "RUNNING"

    serve = RayServe(ray.rest(), lambda: TENANT, sleep, slow())
    serve.deploy(APP, None)
    original = ray.replace

    def replace_all(configs: list[dict[str, Any]]) -> None:
        original(configs)
        ray.apps[LIVE]["status"] = "DEPLOYING"

    ray.replace = replace_all  # type: ignore[method-assign]
    serve.deploy(OTHER, None)
    assert len(looks) == 3
    assert serve.apps("delay")[APP.name].phase is AppPhase.RUNNING


def _readings(ray: FakeRay) -> int:
    return sum(method == "GET" for method, _ in ray.requests)


def test_looks_that_follow_closely_share_one_reading_and_our_own_writes_are_seen_at_once(ray: FakeRay) -> None:
    now = 100.0
    serve = RayServe(ray.rest(), lambda: TENANT, sleep=lambda seconds: None, clock=lambda: now)
    for number in range(50):
        assert serve.apps(f"delay-{number}") == {}
        assert serve.route(f"delay-{number}", "") is None
    assert _readings(ray) == 1
    serve.deploy(APP, None)
    assert set(serve.apps("delay")) == {APP.name}
    serve.set_route(ROUTE)
    assert serve.route("delay", "") is not None
    serve.delete_route("delay")
    assert serve.route("delay", "") is None
    ray.apps[LIVE]["status"] = "UNHEALTHY"
    before = _readings(ray)
    assert serve.apps("delay")[APP.name].phase is AppPhase.RUNNING
    assert _readings(ray) == before
    now += 0.2
    assert serve.apps("delay")[APP.name].phase is AppPhase.UNHEALTHY
    assert _readings(ray) == before + 1


@pytest.mark.parametrize(("took", "lasts"), [(0.0, 0.1), (0.05, 0.5), (0.5, 1.0)])
def test_a_reading_that_took_long_is_shared_for_longer_but_never_for_more_than_a_second(
    ray: FakeRay, took: float, lasts: float
) -> None:
    now = 0.0

    def answer(request: Any) -> Any:
        nonlocal now
        now += took
        return original(request)

    original, ray._answer = ray._answer, answer  # type: ignore[method-assign]
    serve = RayServe(ray.rest(), lambda: TENANT, clock=lambda: now)
    serve.apps("delay")
    now = lasts - 0.01
    serve.apps("delay")
    assert _readings(ray) == 1
    now = lasts + 0.01
    serve.apps("delay")
    assert _readings(ray) == 2


def test_what_a_look_led_to_is_decided_on_by_the_list_of_that_moment(ray: FakeRay) -> None:
    """Another controller has gone on since: nothing that was seen in an older reading lets an older table pass."""
    now = 0.0
    serve = RayServe(ray.rest(), lambda: TENANT, sleep=lambda seconds: None, clock=lambda: now)
    other = RayServe(ray.rest(), lambda: TENANT, sleep=lambda seconds: None, clock=slow())
    serve.deploy(APP, None)
    assert serve.route("delay", "") is None
    other.set_route(ROUTE)
    assert serve.route("delay", "") is None, "it is a moment old"
    with pytest.raises(ConflictError):
        serve.set_route(replace(ROUTE, generation=1))
    with pytest.raises(ConflictError):
        serve.delete(APP.name)


def test_an_answer_that_is_not_serves_is_transient(ray: FakeRay, serve: RayServe) -> None:
    ray.fail = [404]
    with pytest.raises(TransientError):
        serve.apps("delay")


def test_deleting_the_route_forgets_its_counters(ray: FakeRay, tmp_path: Path) -> None:
    serve = RayServe(
        ray.rest(), lambda: replace(TENANT, storage=str(tmp_path)), sleep=lambda seconds: None, clock=slow()
    )
    traffic = traffic_folder(str(tmp_path), "delay")
    route = replace(ROUTE, traffic=traffic)
    serve.set_route(route)
    write_json(f"{traffic}/7-1000.json", _file("7-1000", 3))
    ray.apps[LIVE_ROUTER]["deployments"] = {"Router": {"message": "", "replicas": [{"pid": 7, "replica_id": "x"}]}}
    state = serve.route("delay", traffic)
    assert state is not None
    assert (state.spec, state.url) == (route, "http://127.0.0.1:8123/delay")
    assert [item.replica for item in state.replicas] == ["7-1000"]
    serve.delete_route("delay")
    assert serve.route("delay", traffic) is None
    assert list_files(traffic) == []


def _file(replica: str, generation: int) -> dict[str, Any]:
    counts = {"requests": 5, "errors": 1, "shielded": 1, "latency_buckets": [4]}
    written = "2026-01-01T00:00:00+00:00"
    return {"replica": replica, "generation": generation, "written": written, "versions": {"a": counts}}


def _running(pid: int | None, name: str = "r") -> dict[str, Any]:
    return {"replica_id": name, "state": "RUNNING", **({} if pid is None else {"pid": pid})}


@pytest.mark.parametrize(
    ("written", "running", "expected"),
    [
        pytest.param([("7-1000", 2)], [_running(7)], {"7-1000": 2}, id="a live replica speaks for itself"),
        pytest.param([("7-1000", 2)], [], {"7-1000": 2}, id="while none is there, nobody has taken the table"),
        pytest.param(
            [("7-1000", 2), ("8-1500", 3)], [_running(8)], {"7-1000": 3, "8-1500": 3}, id="a dead one does not block"
        ),
        pytest.param(
            [("7-1000", 3)], [_running(7), _running(9, "new")], {"7-1000": 3, "starting-new": 0},
            id="a live one that has not spoken blocks",
        ),
        pytest.param([], [_running(None, "new")], {"starting-new": 0}, id="so does one without a process"),
        pytest.param(
            [("7-1000", 1), ("7-9000", 2)], [_running(7)], {"7-1000": 3, "7-9000": 2}, id="a pid that is used again"
        ),
        pytest.param(
            [("7-1000", 1), ("7-9000", 2)], [_running(7, "here"), _running(7, "there")], {"7-1000": 1, "7-9000": 2},
            id="the same pid on two nodes",
        ),
    ],
)  # fmt: skip
def test_who_has_acknowledged(
    written: list[tuple[str, int]], running: list[dict[str, Any]], expected: dict[str, int]
) -> None:
    found = router_replicas([_file(*item) for item in written], running, generation=3)
    assert {item.replica: item.generation for item in found} == expected


def test_counts_of_the_dead_stay() -> None:
    (found,) = router_replicas([_file("7-1000", 1)], [], generation=3)
    assert found.versions == {"a": VersionCounters(5, 1, 1, (4,))}
    assert found.written == datetime(2026, 1, 1, tzinfo=UTC)


def _write(folder: Path, replica: str, generation: int, requests: int = 5) -> None:
    counts = {"requests": requests, "errors": 0, "shielded": 0, "latency_buckets": [requests]}
    content = {**_file(replica, generation), "versions": {"local_a": counts}}
    write_json(f"{folder}/{replica}.json", content)


def test_counters_of_the_gone_are_read_until_they_are_sure_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def noted(file: str) -> Any:
        read.append(Path(file).stem)
        return read_json(file)

    monkeypatch.setattr("framework.backends.ray.traffic.read_json", noted)
    counters, folder = CounterFiles(), str(tmp_path)
    _write(tmp_path, "7-1000", 1)
    _write(tmp_path, "8-2000", 1)
    before = [_running(7)]
    for _ in range(3):
        assert len(counters.read(folder, before)) == 2
    _write(tmp_path, "8-2000", 1, requests=9)
    newest = {item["replica"]: item for item in counters.read(folder, before)}
    assert newest["8-2000"]["versions"]["local_a"]["requests"] == 9, "Serve's answer may be older than the replica"
    after = [_running(7), _running(8)]
    counters.read(folder, after)
    gone = [_running(9)]
    for running in (gone, list(gone), list(gone)):
        read.clear()
        assert len(counters.read(folder, running)) == 2
    assert read == []
    counters.forget(folder)
    counters.read(folder, gone)
    assert sorted(read) == ["7-1000", "8-2000"]


@pytest.mark.parametrize("damage", [b"", b"{", b"\x80\x81", b"[1]", b'{"replica": "7-1000"}'])
def test_damaged_counters_count_for_nothing(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "7-1000.json").write_bytes(damage)
    (tmp_path / "notes.json").write_bytes(b"{}")
    _write(tmp_path, "8-2000", 3)
    assert [item["replica"] for item in CounterFiles().read(str(tmp_path), [_running(7)])] == ["8-2000"]
