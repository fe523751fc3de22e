"""Two environments on one Ray, and what versions before left there: on a Ray that is not there."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from framework.api.errors import TerminalError, TransientError
from framework.api.layout import profile_folder, traffic_folder
from framework.backends.ray.jobs import RayJobs, job_of, request_of
from framework.backends.ray.serve import RayServe
from framework.backends.ray.serve_config import render_app, render_route
from framework.backends.ray.tenancy import Tenant
from framework.ports import AppSpec, RouteSpec, RunPhase, RunSpec
from framework.storage import write_json
from tests.builders import app_arguments
from tests.contract.suites.neighbours import (
    Neighbours,
    RunNeighbourContract,
    RunNeighbours,
    ServingNeighbourContract,
)
from tests.contract.suites.polling import Patience
from tests.contract.suites.runs import RunWorld
from tests.contract.suites.serving import ServingWorld
from tests.unit.ray.fake_ray import FakeRay, live_app

PROD = Tenant("prod", "/nowhere/prod", "aaaaaaaaaa")
STAGING = Tenant("staging", "/nowhere/staging", "bbbbbbbbbb")
TWIN = Tenant("prod", "/home/ann/store", "cccccccccc")


def serve_of(ray: FakeRay, tenant: Tenant) -> RayServe:
    """Each look reads for itself."""
    return RayServe(ray.rest(), lambda: tenant, sleep=lambda seconds: None, clock=itertools.count(0.0, 60.0).__next__)


def app_of(tenant: Tenant, short: str = "0123456789") -> AppSpec:
    name = f"delay-{short}"
    arguments = app_arguments(name, short, profiles=profile_folder(tenant.storage, "delay", name))
    return AppSpec(name, "delay", arguments)


def table_of(tenant: Tenant, app: AppSpec, generation: int = 1, route: str = "") -> RouteSpec:
    traffic = traffic_folder(tenant.storage, "delay")
    return RouteSpec("delay", route or f"/{tenant.environment}", {app.name: 100}, app.name, generation, traffic=traffic)


class TestServingOnOneFakeRay(ServingNeighbourContract):
    @pytest.fixture
    def neighbours(self, tmp_path: Path) -> Neighbours:
        ray = FakeRay()

        def world(tenant: Tenant) -> ServingWorld:
            def app(name: str) -> AppSpec:
                return app_of(tenant, name)

            backend, patience = serve_of(ray, tenant), Patience(1.0, 0.001)
            traffic = traffic_folder(tenant.storage, "delay")
            return ServingWorld(
                _Removing(ray, backend), "delay", f"/{tenant.environment}", traffic, patience, app, app, lambda n: 0, ""
            )

        first, second = (replace(tenant, storage=str(tmp_path / tenant.environment)) for tenant in (PROD, STAGING))
        return Neighbours(world(first), world(second), lambda: serve_of(ray, TWIN))


class _Removing:
    """The backend of a Serve that takes no time to delete."""

    def __init__(self, ray: FakeRay, backend: RayServe) -> None:
        self._ray, self._backend = ray, backend

    def __getattr__(self, verb: str) -> Any:
        for name in [name for name, live in self._ray.apps.items() if live["status"] == "DELETING"]:
            del self._ray.apps[name]
        return getattr(self._backend, verb)


class TestRunsOnOneFakeRay(RunNeighbourContract):
    @pytest.fixture
    def neighbours(self, tmp_path: Path) -> RunNeighbours:
        ray = FakeRay()
        ray.runs_at_once = True

        def world(tenant: Tenant) -> RunWorld:
            backend = RayJobs(ray.rest(), lambda: tenant)
            return RunWorld(backend, tenant.storage, Patience(1.0, 0.001), "m:echo", "m:refuse", "m:sleep")

        first, second = (replace(tenant, storage=str(tmp_path / tenant.environment)) for tenant in (PROD, STAGING))
        return RunNeighbours(world(first), world(second), lambda: RayJobs(ray.rest(), lambda: TWIN))


def test_names_in_the_dashboard_begin_with_the_environment() -> None:
    ray = FakeRay()
    app = app_of(PROD)
    serve_of(ray, PROD).deploy(app, None)
    serve_of(ray, PROD).set_route(table_of(PROD, app))
    assert sorted(ray.apps) == ["prod_delay-0123456789", "prod_delay-router"]
    assert ray.apps["prod_delay-0123456789"]["deployed_app_config"]["args"]["tenant"] == PROD.mark


def test_the_answer_tells_who_has_the_name() -> None:
    ray = FakeRay()
    serve_of(ray, PROD).deploy(app_of(PROD), None)
    with pytest.raises(TerminalError) as caught:
        serve_of(ray, TWIN).deploy(app_of(TWIN), None)
    told = str(caught.value)
    for word in (
        "prod_delay-0123456789",
        "owner aaaaaaaaaa",
        "/nowhere/prod",
        "another name",
        "MLOPS_RAY_OWNER=aaaaaaaaaa",
    ):
        assert word in told


@pytest.mark.parametrize(
    "theirs",
    [
        live_app({"name": "prod_delay-0123456789", "import_path": "theirs:app", "args": {"tenant": {"owner": "x"}}}),
        live_app({"name": "prod_delay-0123456789"}, source="imperative", deployed_app_config=None),
    ],
    ids=["declared", "by serve.run"],
)
def test_an_application_that_is_not_of_mlopsctl_is_no_less_foreign(theirs: dict[str, Any]) -> None:
    ray = FakeRay()
    ray.apps["prod_delay-0123456789"] = theirs
    serve = serve_of(ray, PROD)
    assert not serve.apps("delay")
    for change in (lambda: serve.deploy(app_of(PROD), None), lambda: serve.delete("delay-0123456789")):
        with pytest.raises(TerminalError) as caught:
            change()
        assert caught.value.reason == "NotOurs"
    assert ray.changes() == []


def test_what_was_changed_by_hand_beyond_recognition_is_still_ours_by_its_name() -> None:
    ray, app = FakeRay(), app_of(PROD)
    serve = serve_of(ray, PROD)
    serve.deploy(app, None)
    ray.apps["prod_delay-0123456789"]["deployed_app_config"] = {
        "name": "prod_delay-0123456789", "import_path": "framework.workloads.serving.model:build", "args": None,
    }  # fmt: skip
    assert serve.apps("delay")[app.name].digest != app.digest
    serve.deploy(app, None)
    assert serve.apps("delay")[app.name].digest == app.digest


@pytest.mark.parametrize("taken", ["/theirs", "/theirs/"])
def test_a_route_that_somebody_else_has_is_refused_with_who(taken: str) -> None:
    ray, app = FakeRay(), app_of(PROD)
    ray.apps["foreign"] = live_app({"name": "foreign", "route_prefix": taken, "import_path": "theirs:app"})
    serve = serve_of(ray, PROD)
    serve.deploy(app, None)
    with pytest.raises(TerminalError, match="somebody else than mlopsctl") as caught:
        serve.set_route(table_of(PROD, app, route="/theirs"))
    assert caught.value.reason == "RouteTaken"
    assert serve.route("delay", "") is None


@pytest.mark.parametrize(
    ("route", "status"), [("/", "RUNNING"), ("/deeper/theirs", "RUNNING"), ("/the", "RUNNING"), ("/theirs", "DELETING")]
)
def test_routes_that_are_not_ours_and_not_in_the_way_are_none(route: str, status: str) -> None:
    ray, app = FakeRay(), app_of(PROD)
    ray.apps["foreign"] = live_app({"name": "foreign", "route_prefix": route, "import_path": "theirs:app"}, status)
    serve = serve_of(ray, PROD)
    serve.deploy(app, None)
    serve.set_route(table_of(PROD, app, route="/theirs"))
    assert serve.route("delay", "") is not None


class Meddling:
    """Somebody else who writes the list, from what he read before."""

    def __init__(self, ray: FakeRay) -> None:
        self.ray = ray
        self.read = ray.listed()

    def __call__(self) -> None:
        self.ray.replace(self.read)


def test_a_change_that_another_writer_took_back_is_made_again() -> None:
    ray, app = FakeRay(), app_of(PROD)
    prod = serve_of(ray, PROD)
    ray.after_put = [Meddling(ray)]
    prod.deploy(app, None)
    assert set(prod.apps("delay")) == {app.name}
    prod.set_route(table_of(PROD, app))
    ray.after_put = [Meddling(ray)]
    prod.set_route(table_of(PROD, app, 2))
    state = prod.route("delay", "")
    assert state is not None
    assert state.spec.generation == 2
    prod.delete_route("delay")
    ray.after_put = [Meddling(ray)]
    prod.delete(app.name)
    assert ray.listed() == []


def test_what_our_list_took_back_is_found_missing_at_the_next_look_and_made_again() -> None:
    ray = FakeRay()
    prod, staging = serve_of(ray, PROD), serve_of(ray, STAGING)
    ray.before_put = [lambda: staging.deploy(app_of(STAGING), None)]
    prod.deploy(app_of(PROD), None)
    assert set(prod.apps("delay")) == {"delay-0123456789"}
    assert not any(state.digest for state in staging.apps("delay").values()), "nobody could have seen it in time"
    staging.deploy(app_of(STAGING), None)
    assert sorted(config["name"] for config in ray.listed()) == ["prod_delay-0123456789", "staging_delay-0123456789"]


def test_a_list_that_never_stands_still_is_left_for_later() -> None:
    ray = FakeRay()
    ray.after_put = [Meddling(ray)] * 99
    with pytest.raises(TransientError, match="at the same time"):
        serve_of(ray, PROD).deploy(app_of(PROD), None)


@pytest.fixture
def before_names() -> FakeRay:
    """A Ray on which a version without environments in names put an app and a router, and ran a job, for PROD."""
    ray, app = FakeRay(), app_of(PROD)
    plain = {app.name: app.name}
    ray.replace([render_app(app, None, app.name, None), render_route(table_of(PROD, app), "delay-router", None, plain)])
    return ray


def test_what_a_version_without_environments_in_names_left_is_ours_by_its_files(before_names: FakeRay) -> None:
    app = app_of(PROD)
    assert {name: state.digest for name, state in serve_of(before_names, PROD).apps("delay").items()} == {
        app.name: app.digest
    }
    state = serve_of(before_names, PROD).route("delay", "")
    assert state is not None
    assert state.spec == table_of(PROD, app)
    for stranger in (STAGING, TWIN):
        assert not serve_of(before_names, stranger).apps("delay")
        assert serve_of(before_names, stranger).route("delay", "") is None


def test_a_pass_over_it_writes_nothing_and_the_next_version_comes_under_the_new_names(before_names: FakeRay) -> None:
    prod, old, new = serve_of(before_names, PROD), app_of(PROD), app_of(PROD, "abcdefabcd")
    prod.deploy(old, None)
    prod.set_route(table_of(PROD, old))
    assert before_names.changes() == []
    prod.deploy(new, None)
    both = replace(table_of(PROD, old, 2), weights={old.name: 50, new.name: 50})
    prod.set_route(both)
    assert sorted(before_names.apps) == [old.name, "delay-router", "prod_delay-abcdefabcd"]
    table = before_names.apps["delay-router"]["deployed_app_config"]["deployments"][0]["user_config"]
    assert table["weights"] == {old.name: 50, "prod_delay-abcdefabcd": 50}
    state = prod.route("delay", "")
    assert state is not None
    assert state.spec == both
    prod.set_route(table_of(PROD, new, 3))
    prod.delete(old.name)
    assert before_names.apps[old.name]["status"] == "DELETING"
    serve_of(before_names, STAGING).deploy(app_of(STAGING), None)
    prod.delete_route("delay")
    assert before_names.apps["delay-router"]["status"] == "DELETING"


def test_what_scales_there_is_not_restarted_for_the_sake_of_a_mark(before_names: FakeRay) -> None:
    prod, app = serve_of(before_names, PROD), app_of(PROD)
    arguments = dict(before_names.apps[app.name]["deployed_app_config"]["args"])
    prod.deploy(replace(app, min_replicas=2, max_replicas=2), None)
    assert before_names.apps[app.name]["deployed_app_config"]["args"] == arguments


def test_an_app_that_its_table_names_without_an_environment_comes_back_under_that_name(before_names: FakeRay) -> None:
    app = app_of(PROD)
    del before_names.apps[app.name]
    prod = serve_of(before_names, PROD)
    assert not prod.apps("delay")
    prod.deploy(app, None)
    assert app.name in before_names.apps, "or the router would go on to look for what is not there"
    assert set(prod.apps("delay")) == {app.name}


@pytest.mark.parametrize("meant", ["staging_delay-0123456789", "delay-0123456789", "somewhere"])
def test_a_table_that_was_changed_by_hand_to_send_elsewhere_is_seen_and_set_again(meant: str) -> None:
    ray, app = FakeRay(), app_of(PROD)
    serve_of(ray, STAGING).deploy(app_of(STAGING), None)
    prod = serve_of(ray, PROD)
    prod.deploy(app, None)
    prod.set_route(table_of(PROD, app))
    table = ray.apps["prod_delay-router"]["deployed_app_config"]["deployments"][0]["user_config"]
    table.update(weights={meant: 100}, stable=meant)
    assert prod.route("delay", "") is None
    prod.set_route(table_of(PROD, app, 2))
    state = prod.route("delay", "")
    assert state is not None
    assert state.spec == table_of(PROD, app, 2)
    table = ray.apps["prod_delay-router"]["deployed_app_config"]["deployments"][0]["user_config"]
    assert table["stable"] == "prod_delay-0123456789"


def test_a_job_that_a_version_without_environments_in_names_started_is_found(tmp_path: Path) -> None:
    prod = replace(PROD, storage=str(tmp_path))
    run = RunSpec("train-a-0123456789", 1, "m:f", {}, prod.storage, "a title")
    job = {**job_of(run, None, prod), "submission_id": run.submission_id, "metadata": {"title": "a title"}}
    ray = FakeRay()
    ray.jobs[run.submission_id] = {"status": "RUNNING", "start_time": 1_700_000_000_000, **json.loads(json.dumps(job))}
    request = request_of(run, "")
    del request["job"]
    write_json(f"{tmp_path}/runs/{run.name}/request-1.json", request)
    jobs = RayJobs(ray.rest(), lambda: prod)
    assert jobs.observe(prod.storage, run.name).phase is not RunPhase.ABSENT
    assert list(jobs.runs()) == [run.submission_id]
    assert list(RayJobs(ray.rest(), lambda: STAGING).runs()) == []
    jobs.stop(prod.storage, run.name)
    assert ray.jobs[run.submission_id]["status"] == "STOPPED"


def test_environments_that_share_their_storage_share_a_run_of_one_name(tmp_path: Path) -> None:
    """Equal names are equal work, and both read its result; it stays the run of who started it."""
    ray, first, second = FakeRay(), *(replace(tenant, storage=str(tmp_path)) for tenant in (PROD, STAGING))
    ours, theirs = RayJobs(ray.rest(), lambda: first), RayJobs(ray.rest(), lambda: second)
    run = RunSpec("train-a-0123456789", 1, "m:f", {}, first.storage, "a title")
    ours.submit(run, None)
    folder = f"{tmp_path}/runs/{run.name}"
    assert theirs.observe(run.storage, run.name).phase is RunPhase.PENDING
    ray.jobs["prod_train-a-0123456789-1"]["status"] = "RUNNING"
    write_json(f"{folder}/heartbeat-1.json", {"time": datetime.now(UTC).isoformat(), "progress": 0.5, "message": "fit"})
    assert theirs.observe(run.storage, run.name).progress == 0.5
    theirs.submit(run, None)
    theirs.stop(run.storage, run.name)
    assert {name: job["status"] for name, job in ray.jobs.items()} == {"prod_train-a-0123456789-1": "RUNNING"}
    write_json(f"{folder}/result-1.json", {"status": "succeeded", "result": {"auc": 0.7}})
    assert theirs.observe(run.storage, run.name).result == {"auc": 0.7}


def test_a_request_of_a_job_that_never_came_about_is_taken_over(tmp_path: Path) -> None:
    ray, first, second = FakeRay(), *(replace(tenant, storage=str(tmp_path)) for tenant in (PROD, STAGING))
    run = RunSpec("train-a-0123456789", 1, "m:f", {}, first.storage, "a title")
    RayJobs(ray.rest(), lambda: first).submit(run, None)
    ray.jobs.clear()
    theirs = RayJobs(ray.rest(), lambda: second)
    assert theirs.observe(run.storage, run.name).phase is RunPhase.ABSENT
    theirs.submit(run, None)
    assert theirs.observe(run.storage, run.name).phase is RunPhase.PENDING
    assert list(ray.jobs) == ["staging_train-a-0123456789-1"]


def test_routers_of_environments_that_share_their_storage_count_for_their_own(tmp_path: Path) -> None:
    prod, staging = (replace(tenant, storage=str(tmp_path)) for tenant in (PROD, STAGING))
    ray, app, traffic = FakeRay(), app_of(prod), traffic_folder(str(tmp_path), "delay")
    serve = serve_of(ray, prod)
    serve.deploy(app, None)
    serve.set_route(replace(table_of(prod, app), traffic=traffic))
    for pid, tenant, requests in ((7, prod, 3), (8, staging, 40)):
        counts = {"requests": requests, "errors": 0, "shielded": 0, "latency_buckets": []}
        content = {
            "replica": f"{pid}-1000", "generation": 1, "written": "2026-01-01T00:00:00+00:00",
            "versions": {tenant.wire(app.name): counts},
        }  # fmt: skip
        write_json(f"{traffic}/{pid}-1000.json", content)
    state = serve.route("delay", traffic)
    assert state is not None
    counted = [replica.versions[app.name].requests for replica in state.replicas if app.name in replica.versions]
    assert counted == [3]


def test_a_job_by_hand_is_nobodys_run() -> None:
    ray = FakeRay()
    for name in ("prod_mine", "raysubmit_x"):
        ray.jobs[name] = {"submission_id": name, "status": "RUNNING", "entrypoint": "python train.py"}
    assert list(RayJobs(ray.rest(), lambda: PROD).runs()) == []


ROLES: list[Callable[[Tenant], str]] = [lambda tenant: tenant.wire("x"), lambda tenant: str(tenant.mark)]


@pytest.mark.parametrize("role", ROLES)
def test_the_longest_names_stay_apart(role: Callable[[Tenant], str]) -> None:
    tenants = [Tenant(name, "/s") for name in ("a" * 47, "a" * 46, f"{'a' * 45}-b")]
    assert len({role(tenant) for tenant in tenants}) == 3
