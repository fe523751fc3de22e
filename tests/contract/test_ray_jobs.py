from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest

from framework.api.layout import run_folder
from framework.backends.ray.daemon import EmbeddedRay
from framework.backends.ray.jobs import RayJobs, request_of
from framework.backends.ray.rest import RayRest
from framework.backends.ray.tenancy import Tenant
from framework.ports import FailureKind, RunPhase
from framework.specs.tree import archive
from framework.storage import read_json, write_json
from tests.contract.suites.neighbours import RunNeighbourContract, RunNeighbours
from tests.contract.suites.polling import Patience
from tests.contract.suites.runs import RunContract, RunWorld

pytest_plugins = ["tests.ray_cluster"]
pytestmark = pytest.mark.ray

_NUMBERS = itertools.count()
WORKLOADS = "tests.contract.ray_workloads"


def world_of(rest: RayRest, tenant: Tenant) -> RunWorld:
    return RunWorld(
        backend=RayJobs(rest, lambda: tenant),
        storage=tenant.storage,
        patience=Patience(seconds=40, interval=0.05),
        echo=f"{WORKLOADS}:echo",
        refuse=f"{WORKLOADS}:refuse",
        sleep=f"{WORKLOADS}:sleep",
        unique=f"-{next(_NUMBERS)}",
    )


@pytest.fixture
def world(ray_rest: RayRest, tmp_path: Path) -> RunWorld:
    return world_of(ray_rest, Tenant("local", str(tmp_path), "0123456789"))


class TestEnvironmentsOnOneRay(RunNeighbourContract):
    @pytest.fixture
    def neighbours(self, ray_rest: RayRest, tmp_path: Path) -> RunNeighbours:
        first = world_of(ray_rest, Tenant("prod", str(tmp_path / "prod"), "a" * 10))
        staging = Tenant("staging", str(tmp_path / "staging"), "b" * 10)
        second = replace(world_of(ray_rest, staging), unique=first.unique)
        twin = Tenant("prod", str(tmp_path / "twin"), "c" * 10)
        return RunNeighbours(first, second, lambda: RayJobs(ray_rest, lambda: twin))


class TestRayJobs(RunContract):
    pass


def test_a_running_job_tells_its_progress_and_the_dashboard_its_commit(
    world: RunWorld, ray_rest: RayRest, embedded_ray: EmbeddedRay
) -> None:
    run = replace(world.spec(world.sleep, "progress"), metadata={"commit": "0123abc", "fingerprint": "f1"})
    world.submit(run)
    state = world.patience.until(lambda: world.observe(run), lambda found: found.progress is not None)
    assert (state.phase, state.progress, state.message) == (RunPhase.RUNNING, 0.25, "asleep")
    address = embedded_ray.running()
    assert address is not None
    assert state.link == f"{address.dashboard_url}/#/jobs/local_{run.submission_id}"
    job = ray_rest.get(f"/api/jobs/local_{run.submission_id}")
    assert job["metadata"] | {"commit": "0123abc", "fingerprint": "f1", "title": run.title} == job["metadata"]
    world.backend.stop(world.storage, run.name)
    assert world.ended(run).reason == "Stopped"


def test_the_log_of_a_run_has_what_its_workers_print_and_how_far_it_is(world: RunWorld) -> None:
    run = world.spec(f"{WORKLOADS}:worker_that_prints", "prints")
    world.submit(run)
    assert world.ended(run).reason == "Refused"
    (log,) = world.patience.until(
        lambda: world.backend.logs(world.storage, run.name, 50), lambda found: "said by a worker" in found[0].text
    )
    assert re.search(r"^\(.*pid=\d+\) said by a worker$", log.text, re.MULTILINE), log.text
    assert re.search(r"^\d\d:\d\d:\d\d halfway$", log.text, re.MULTILINE), log.text


def test_a_run_in_native_code_is_stopped_and_says_so_itself(world: RunWorld) -> None:
    run = world.spec(f"{WORKLOADS}:compute", "native")
    world.submit(run)
    world.patience.until(lambda: world.observe(run), lambda found: found.message == "computing")
    world.backend.stop(world.storage, run.name)
    state = world.ended(run)
    assert (state.reason, state.failure) == ("Stopped", FailureKind.INFRASTRUCTURE)
    assert read_json(f"{run_folder(world.storage, run.name)}/result-1.json")["failure"]["reason"] == "Stopped"


def test_a_process_that_vanished_is_an_infrastructure_failure(world: RunWorld) -> None:
    run = world.spec(f"{WORKLOADS}:vanish", "vanish")
    world.submit(run)
    state = world.ended(run)
    assert (state.failure, state.reason) == (FailureKind.INFRASTRUCTURE, "RunLost")
    assert state.finished is not None


def test_a_request_that_never_became_a_job_is_submitted_after_all(world: RunWorld) -> None:
    run = world.spec(world.echo, "crashed", value=7)
    write_json(f"{run_folder(run.storage, run.name)}/request-1.json", request_of(run, f"local_{run.submission_id}"))
    state = world.observe(run)
    assert (state.phase, state.attempt) == (RunPhase.ABSENT, 0)
    world.submit(run)
    assert world.ended(run).result == {"value": 7, "attempt": 1}


def test_a_new_attempt_stops_the_one_before(world: RunWorld) -> None:
    first = world.spec(world.sleep, "superseded")
    world.submit(first)
    world.patience.until(lambda: world.observe(first), lambda found: found.message == "asleep")
    second = world.spec(world.echo, "superseded", attempt=2, value=2)
    world.submit(second)
    assert world.ended(second).result == {"value": 2, "attempt": 2}
    result = f"{run_folder(world.storage, first.name)}/result-1.json"
    assert world.patience.until(lambda: read_json(result), lambda found: found is not None)["status"] == "failed"


def test_user_code_comes_from_the_archive_under_its_full_name(world: RunWorld, tmp_path: Path) -> None:
    for value in (1, 2):
        content = f"VALUE = {value}\n".encode()
        uri = tmp_path / f"{hashlib.sha256(content).hexdigest()[:10]}.zip"
        uri.write_bytes(archive({"project/__init__.py": (b"", False), "project/shape.py": (content, False)}))
        run = world.spec(f"{WORKLOADS}:user_code", f"code-{value}", module="project.shape")
        world.backend.submit(run, str(uri))
        state = world.ended(run)
        assert state.result == {"value": value}, state.message


def test_the_cluster_tells_what_it_has_and_what_is_taken(ray_rest: RayRest, world: RunWorld) -> None:
    before = world.backend.capacity()
    assert before is not None
    assert before.total == {"CPU": 16.0, "GPU": 0.0}
    run = world.spec(f"{WORKLOADS}:hold", "hold")
    world.submit(run)
    world.patience.until(lambda: world.observe(run), lambda found: found.message == "holding")
    during = world.backend.capacity()
    assert during is not None
    assert during.free["CPU"] == before.free["CPU"] - 3.5  # an actor of 2, and a placement group of 1.5 with one in it
    assert during.held == {**(before.held or {}), f"run:{run.name}": {"CPU": 3.5, "GPU": 0.0}}
    world.backend.stop(world.storage, run.name)
    world.ended(run)
