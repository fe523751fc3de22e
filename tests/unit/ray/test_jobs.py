from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from framework.api.errors import TransientError
from framework.api.layout import run_folder
from framework.backends.ray.jobs import RayJobs, job_of, newest_attempt, state_of_job, working_dir
from framework.backends.ray.rest import RayRest
from framework.backends.ray.tenancy import Tenant
from framework.ports import FailureKind, RunPhase, RunSpec
from framework.storage import read_json, write_json
from tests.unit.ray.fake_ray import FakeRay

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LINK = "http://head/#/jobs/x"


@pytest.fixture
def ray() -> FakeRay:
    return FakeRay()


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    return Tenant("local", str(tmp_path), "0123456789")


@pytest.fixture
def jobs(ray: FakeRay, tenant: Tenant) -> RayJobs:
    return RayJobs(ray.rest(), lambda: tenant, clock=lambda: NOW)


def _on_ray(run: RunSpec) -> str:
    return f"local_{run.submission_id}"


@pytest.fixture
def run(tmp_path: Path) -> RunSpec:
    return RunSpec(
        "train-a-0123456789", 1, "m:f", {"x": 1}, str(tmp_path), "a title", {"commit": "abc"}, timeout_seconds=9
    )


def _write(run: RunSpec, kind: str, value: dict[str, Any]) -> None:
    write_json(f"{run_folder(run.storage, run.name)}/{kind}-{run.attempt}.json", value)


def test_the_request_is_written_and_the_job_started(ray: FakeRay, jobs: RayJobs, run: RunSpec) -> None:
    jobs.submit(run, "/store/code/abc.zip")
    request = read_json(f"{run_folder(run.storage, run.name)}/request-1.json")
    assert request == {
        "name": run.name, "attempt": 1, "workload": "m:f", "payload": {"x": 1}, "storage": run.storage,
        "metadata": {"commit": "abc"}, "title": "a title", "timeout_seconds": 9, "job": _on_ray(run),
    }  # fmt: skip
    job = ray.jobs[_on_ray(run)]
    assert shlex.split(job["entrypoint"])[1:] == ["-m", "framework.workloads.run", run.storage, run.name, "1"]
    assert job["entrypoint_num_cpus"] == job["entrypoint_num_gpus"] == 0
    assert job["runtime_env"] == {"working_dir": "file:///store/code/abc.zip"}
    told = {"commit": "abc", "title": "a title", "run": run.name, "attempt": "1"}
    assert job["metadata"] == {**told, "environment": "local", "owner": "0123456789"}


def test_nothing_of_a_name_reaches_the_shell(run: RunSpec, tenant: Tenant) -> None:
    entrypoint = job_of(replace(run, storage="/a b/$(reboot); 'x'"), None, tenant)["entrypoint"]
    assert shlex.split(entrypoint)[3] == "/a b/$(reboot); 'x'"


def test_a_duplicate_is_no_error(ray: FakeRay, jobs: RayJobs, run: RunSpec) -> None:
    jobs.submit(run, None)
    jobs.submit(run, None)
    assert list(ray.jobs) == [_on_ray(run)]


def test_another_500_is_an_error(ray: FakeRay, jobs: RayJobs, run: RunSpec) -> None:
    ray.fail = [500]
    with pytest.raises(TransientError):
        jobs.submit(run, None)
    jobs.submit(run, None)
    assert list(ray.jobs) == [_on_ray(run)]


@pytest.mark.parametrize("kind", ["result", "heartbeat"])
def test_an_attempt_that_began_on_a_lost_head_is_not_started_again(
    ray: FakeRay, jobs: RayJobs, run: RunSpec, kind: str
) -> None:
    _write(run, kind, {"time": NOW.isoformat()})
    jobs.submit(run, None)
    assert ray.changes() == []


def test_a_later_attempt_stops_the_earlier_one(ray: FakeRay, jobs: RayJobs, run: RunSpec) -> None:
    jobs.submit(run, None)
    jobs.submit(replace(run, attempt=2), None)
    assert ray.jobs[_on_ray(run)]["status"] == "STOPPED"
    assert jobs.observe(run.storage, run.name).attempt == 2
    assert list(jobs.runs()) == [run.submission_id, f"{run.name}-2"]


def test_the_result_file_comes_before_what_ray_says(ray: FakeRay, jobs: RayJobs, run: RunSpec) -> None:
    jobs.submit(run, None)
    ray.jobs[_on_ray(run)]["status"] = "FAILED"
    times = {"started": NOW.isoformat(), "finished": (NOW + timedelta(seconds=3)).isoformat()}
    _write(run, "result", {"status": "succeeded", "result": {"auc": 0.7}, **times})
    state = jobs.observe(run.storage, run.name)
    assert (state.phase, state.result, state.started) == (RunPhase.SUCCEEDED, {"auc": 0.7}, NOW)


def test_a_result_written_while_we_looked_counts(ray: FakeRay, jobs: RayJobs, run: RunSpec, tenant: Tenant) -> None:
    jobs.submit(run, None)
    ray.jobs[_on_ray(run)]["status"] = "SUCCEEDED"
    original = ray._answer

    def answer(request: Any) -> Any:
        _write(run, "result", {"status": "succeeded", "result": {}})
        return original(request)

    ray._answer = answer  # type: ignore[method-assign]
    state = RayJobs(ray.rest(), lambda: tenant, clock=lambda: NOW).observe(run.storage, run.name)
    assert state.phase is RunPhase.SUCCEEDED


def test_a_result_is_read_without_a_cluster(jobs: RayJobs, run: RunSpec, tenant: Tenant) -> None:
    jobs.submit(run, None)
    _write(run, "result", {"status": "succeeded", "result": {"auc": 0.7}})
    state = RayJobs(RayRest(lambda: None), lambda: tenant).observe(run.storage, run.name)
    assert (state.phase, state.result, state.link) == (RunPhase.SUCCEEDED, {"auc": 0.7}, "")


def test_a_named_failure_is_passed_on(jobs: RayJobs, run: RunSpec) -> None:
    jobs.submit(run, None)
    failure = {"kind": "User", "reason": "ExpectationFailed", "message": "3 of 9", "data": {}}
    _write(run, "result", {"status": "failed", "failure": failure})
    state = jobs.observe(run.storage, run.name)
    assert (state.phase, state.failure, state.reason) == (RunPhase.FAILED, FailureKind.USER, "ExpectationFailed")


def test_a_lost_head_is_transient_not_a_failed_run(ray: FakeRay, jobs: RayJobs, run: RunSpec) -> None:
    jobs.submit(run, None)
    ray.fail = [503]
    with pytest.raises(TransientError):
        jobs.observe(run.storage, run.name)


def test_stopping_touches_only_what_is_under_way(ray: FakeRay, jobs: RayJobs, run: RunSpec) -> None:
    jobs.stop(run.storage, run.name)
    assert ray.changes() == []
    jobs.submit(run, None)
    jobs.stop(run.storage, run.name)
    assert ray.changes()[-1] == ("POST", f"/api/jobs/{_on_ray(run)}/stop")
    state = jobs.observe(run.storage, run.name)
    assert (state.phase, state.reason, state.failure) == (RunPhase.FAILED, "Stopped", FailureKind.INFRASTRUCTURE)
    before = len(ray.changes())
    jobs.stop(run.storage, run.name)
    assert len(ray.changes()) == before


HEARTBEAT = {"time": NOW.isoformat(), "progress": 0.5, "message": "fitting"}


@pytest.mark.parametrize(
    ("job", "heartbeat", "phase", "reason", "attempt"),
    [
        (None, None, RunPhase.ABSENT, "", 1),
        (None, HEARTBEAT, RunPhase.FAILED, "RunLost", 2),
        ({"status": "PENDING"}, None, RunPhase.PENDING, "", 2),
        ({"status": "RUNNING"}, None, RunPhase.RUNNING, "", 2),
        ({"status": "RUNNING"}, HEARTBEAT, RunPhase.RUNNING, "", 2),
        ({"status": "STOPPED"}, HEARTBEAT, RunPhase.FAILED, "Stopped", 2),
        ({"status": "FAILED", "message": "no such zip"}, None, RunPhase.FAILED, "RunLost", 2),
        ({"status": "SUCCEEDED"}, HEARTBEAT, RunPhase.FAILED, "RunLost", 2),
    ],
)
def test_what_a_job_without_a_result_means(
    job: dict[str, Any] | None, heartbeat: dict[str, Any] | None, phase: RunPhase, reason: str, attempt: int
) -> None:
    state = state_of_job(job, heartbeat, 2, LINK, NOW - timedelta(minutes=10))
    assert (state.phase, state.reason, state.attempt) == (phase, reason, attempt)
    assert state.failure is (FailureKind.INFRASTRUCTURE if phase is RunPhase.FAILED else None)
    if job and heartbeat and phase is RunPhase.RUNNING:
        assert (state.progress, state.message) == (0.5, "fitting")


@pytest.mark.parametrize(("minutes", "phase"), [(9, RunPhase.RUNNING), (11, RunPhase.FAILED)])
def test_a_job_that_went_silent_is_lost(minutes: int, phase: RunPhase) -> None:
    silent_since = NOW + timedelta(minutes=minutes) - timedelta(minutes=10)
    assert state_of_job({"status": "RUNNING"}, HEARTBEAT, 1, LINK, silent_since).phase is phase
    started = {"status": "RUNNING", "start_time": int(NOW.timestamp() * 1000)}
    assert state_of_job(started, None, 1, LINK, silent_since).phase is phase


def test_the_newest_attempt_is_a_number_not_a_text() -> None:
    files = ["/s/run/request-2.json", "/s/run/request-10.json", "/s/run/result-11.json", "/s/run/request-x.json"]
    assert newest_attempt(files) == 10
    assert newest_attempt([]) == 0


def test_ray_takes_archives_by_uri() -> None:
    assert working_dir("/a b/c.zip") == "file:///a%20b/c.zip"
    assert working_dir("s3://bucket/c.zip") == "s3://bucket/c.zip"
