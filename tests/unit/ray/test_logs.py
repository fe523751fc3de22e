from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from framework.api.errors import TransientError
from framework.api.layout import run_folder
from framework.backends.ray.jobs import RayJobs
from framework.backends.ray.logs import MOST_BYTES, RayLogs
from framework.backends.ray.rest import RayAddress, RayRest
from framework.backends.ray.serve import RayServe
from framework.backends.ray.serve_config import render_app
from framework.backends.ray.tenancy import Tenant
from framework.ports import AppSpec, Log, RouteSpec, RunSpec
from framework.storage import write_json
from tests.builders import app_arguments
from tests.unit.ray.fake_ray import FakeRay, live_app

TENANT = Tenant("prod", "memory://store", "0123456789")
LINES = "INFO 2026-01-01 12:00:{0:02},000 x -- one\nINFO 2026-01-01 12:00:{0:02},500 x -- two\n"


@pytest.fixture
def ray() -> FakeRay:
    fake = FakeRay()
    fake.state["nodes"] = [{"node_id": "n1", "state": "ALIVE"}, {"node_id": "n2", "state": "ALIVE"}]
    return fake


def serve_of(ray: FakeRay, tenant: Tenant = TENANT) -> RayServe:
    return RayServe(ray.rest(), lambda: tenant, clock=itertools.count(0.0, 60.0).__next__)


def test_replicas_of_a_deployment_are_told_apart_the_last_that_wrote_comes_last(ray: FakeRay) -> None:
    ray.files = {
        ("n1", "serve/replica_prod_delay-0123456789_Model_aaaaaaaa.log"): LINES.format(30),
        ("n2", "serve/replica_prod_delay-0123456789_Model_bbbbbbbb.log"): LINES.format(10),
        ("n2", "serve/replica_prod_delay-router_Router_cccccccc.log"): LINES.format(20),
        ("n1", "serve/replica_prod_delay-abcdefabcd_Model_dddddddd.log"): "",
        ("n1", "serve/replica_prod_delay-late-0123456789_Model_eeeeeeee.log"): "another deployment",
        ("n1", "serve/replica_staging_delay-0123456789_Model_ffffffff.log"): "another environment",
        ("n1", "serve/replica_theirs-delay-x_Model_gggggggg.log"): "somebody else",
        ("n1", "serve/controller_1.log"): "Serve's own",
    }
    assert [(log.source, log.process) for log in serve_of(ray).logs("delay", 50)] == [
        ("delay-0123456789", "replica bbbbbbbb"),
        ("delay-router", "replica cccccccc"),
        ("delay-0123456789", "replica aaaaaaaa"),
    ]
    assert serve_of(ray).logs("delay", 1)[0].text == LINES.format(10).splitlines()[1] + "\n"
    assert serve_of(ray).logs("never", 50) == ()


def test_a_router_that_was_taken_over_speaks_for_who_has_it(ray: FakeRay) -> None:
    serve, app = serve_of(ray), AppSpec("late-0123456789", "late", app_arguments("late-0123456789"))
    table = RouteSpec("delay", "/delay", {"delay-0123456789": 100}, "delay-0123456789", 1)
    serve.set_route(table)
    serve.deploy(app, None)
    serve.set_route(replace(table, deployment="late", weights={app.name: 100}, stable=app.name, generation=2))
    ray.files = {
        ("n1", "serve/replica_prod_delay-router_Router_aaaaaaaa.log"): LINES.format(20),
        ("n1", "serve/replica_prod_late-0123456789_Model_bbbbbbbb.log"): LINES.format(10),
        ("n1", "serve/replica_prod_delay-0123456789_Model_cccccccc.log"): LINES.format(30),
    }
    assert [log.source for log in serve.logs("late", 5)] == [app.name, "delay-router"]
    assert [log.source for log in serve.logs("delay", 5)] == ["delay-router", "delay-0123456789"]


def test_what_serve_says_of_an_app_that_cannot_start_comes_with_them(ray: FakeRay) -> None:
    app = AppSpec("delay-0123456789", "delay", app_arguments())
    failed = {"Model": {"message": "Traceback ...\nValueError: no", "replicas": []}}
    config = render_app(app, None, TENANT.wire(app.name), TENANT.mark)
    ray.apps[TENANT.wire(app.name)] = live_app(config, "DEPLOY_FAILED", deployments=failed)
    assert serve_of(ray).logs("delay", 50) == (Log(app.name, "Traceback ...\nValueError: no", "as Ray Serve tells"),)
    assert serve_of(ray).logs("delay", 1)[0].text == "ValueError: no"
    assert serve_of(ray, replace(TENANT, owner="9999999999")).logs("delay", 50) == ()


def test_of_many_replicas_the_newest_are_shown(ray: FakeRay) -> None:
    for number in range(50):
        ray.files[("n1", f"serve/replica_prod_delay-0123456789_Model_r{number:02}.log")] = LINES.format(number)
    found = serve_of(ray).logs("delay", 1)
    assert [log.process for log in found] == [f"replica r{number}" for number in range(30, 50)]


@pytest.fixture
def run(tmp_path: Path) -> RunSpec:
    return RunSpec("train-a-0123456789", 1, "m:f", {}, str(tmp_path), "a title")


def jobs_of(ray: FakeRay, run: RunSpec) -> RayJobs:
    return RayJobs(ray.rest(), lambda: Tenant("prod", run.storage))


def test_the_log_of_a_run_is_that_of_its_newest_attempts_driver(ray: FakeRay, run: RunSpec) -> None:
    jobs = jobs_of(ray, run)
    for attempt in (1, 2):
        jobs.submit(replace(run, attempt=attempt), None)
        ray.jobs[f"prod_{run.name}-{attempt}"]["driver_node_id"] = "n1"
        ray.files[("n1", f"job-driver-prod_{run.name}-{attempt}.log")] = f"attempt {attempt}\ndone\n"
    (log,) = jobs.logs(run.storage, run.name, 50)
    assert (log.source, log.text.splitlines(), log.note) == (f"run {run.name}-2", ["attempt 2", "done"], "")
    assert [item.text for item in jobs.logs(run.storage, run.name, 0)] == [""]
    assert jobs.logs(run.storage, "never", 50) == ()


@pytest.mark.parametrize("gone", ["job", "node", "file", "not started", "ray"])
def test_where_ray_has_it_no_more_the_result_says_what_is_left(ray: FakeRay, run: RunSpec, gone: str) -> None:
    jobs = jobs_of(ray, run)
    jobs.submit(run, None)
    name = f"prod_{run.submission_id}"
    if gone != "not started":
        ray.jobs[name]["driver_node_id"] = "n9" if gone == "node" else "n1"
    ray.files[("n1", "another.log")] = ""
    if gone == "job":
        del ray.jobs[name]
    if gone == "ray":
        jobs = RayJobs(RayRest(lambda: None), lambda: Tenant("prod", run.storage))
    (log,) = jobs.logs(run.storage, run.name, 50)
    assert log.text == ""
    assert "left no result" in log.note
    failure = {"kind": "User", "reason": "KeyError", "message": "'x' (p/a.py:3)", "traceback": "File p/a.py\nKeyError"}
    write_json(f"{run_folder(run.storage, run.name)}/result-1.json", {"status": "failed", "failure": failure})
    (log,) = jobs.logs(run.storage, run.name, 50)
    assert log.text.splitlines() == ["File p/a.py", "KeyError", "KeyError: 'x' (p/a.py:3)"]
    assert "from its result" in log.note
    assert ("not running" in log.note) == (gone == "ray")


def test_a_cluster_that_does_not_answer_is_no_lost_log(ray: FakeRay) -> None:
    ray.files[("n1", "x.log")] = "text"
    for failure in (500, httpx.ConnectError("refused")):
        ray.fail = [failure]
        with pytest.raises(TransientError):
            RayLogs(ray.rest()).tail("n1", "x.log", 5)
    assert RayLogs(ray.rest()).tail("n1", "x.log", 5) == "text"


def test_of_a_log_that_is_too_long_the_end_is_read() -> None:
    parts = [b"x" * 100_000] * 30 + [b"the end\xff"]
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=iter(parts)))
    rest = RayRest(lambda: RayAddress("http://127.0.0.1:1"), transport=transport)
    text = RayLogs(rest).tail("n1", "x.log", 5)
    assert text is not None
    assert len(text) == MOST_BYTES
    assert text.endswith("the end\N{REPLACEMENT CHARACTER}")
