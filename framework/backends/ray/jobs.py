"""Runs as Ray jobs. Storage is the truth, Ray only the executor: its files tell what happened even on a lost head."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from framework.api.errors import TransientError
from framework.api.layout import run_folder
from framework.backends.ray.capacity import read_capacity
from framework.backends.ray.rest import RayRest
from framework.ports import Capacity, FailureKind, RunPhase, RunSpec, RunState
from framework.storage import list_files, readable_json, write_sealed

RUNNER = "framework.workloads.run"

_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_SHOWN = 1500


def utc_now() -> datetime:
    return datetime.now(UTC)


class RayJobs:
    """RunBackend over the Jobs REST interface.

    ``silence``: a job that Ray calls running but whose runner has not reported for so long is taken for lost. A cluster
    that keeps its records over a restart of the head goes on to call a job running whose driver is dead.
    """

    def __init__(
        self, rest: RayRest, clock: Callable[[], datetime] = utc_now, silence: timedelta = timedelta(minutes=10)
    ):
        self._rest = rest
        self._clock = clock
        self._silence = silence

    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        """Write the request, then start the job. An attempt that has begun, if on a head since lost, stays as it is."""
        folder = run_folder(run.storage, run.name)
        if any(readable_json(f"{folder}/{kind}-{run.attempt}.json") for kind in ("result", "heartbeat")):
            return
        request_file = f"{folder}/request-{run.attempt}.json"
        if readable_json(request_file) is None:
            write_sealed(request_file, request_of(run))
        if run.attempt > 1:
            self._stop_job(f"{run.name}-{run.attempt - 1}")
        try:
            self._rest.post("/api/jobs/", job_of(run, code_uri))
        except TransientError:
            # A second submission is refused with the same untyped 500 as any other trouble.
            if self._job(run.submission_id) is None:
                raise

    def observe(self, storage: str, run: str) -> RunState:
        folder = run_folder(storage, run)
        attempt = newest_attempt(list_files(folder))
        if attempt == 0:
            return RunState(RunPhase.ABSENT)
        submission_id = f"{run}-{attempt}"
        link = self._rest.job_link(submission_id)
        result_file = f"{folder}/result-{attempt}.json"
        if (result := readable_json(result_file)) is not None:
            return state_of_result(result, attempt, link)
        job = self._job(submission_id)
        heartbeat = readable_json(f"{folder}/heartbeat-{attempt}.json")
        if job is None or job["status"] in _ENDED:  # it may have written its result since we looked
            result = readable_json(result_file)
            if result is not None:
                return state_of_result(result, attempt, link)
        return state_of_job(job, heartbeat, attempt, link, self._clock() - self._silence)

    def stop(self, storage: str, run: str) -> None:
        folder = run_folder(storage, run)
        attempt = newest_attempt(list_files(folder))
        if attempt and readable_json(f"{folder}/result-{attempt}.json") is None:
            self._stop_job(f"{run}-{attempt}")

    def runs(self) -> Sequence[str]:
        return tuple(job["submission_id"] for job in self._rest.get("/api/jobs/") or () if job.get("submission_id"))

    def capacity(self) -> Capacity | None:
        try:
            return read_capacity(self._rest)
        except TransientError:
            return None

    def _job(self, submission_id: str) -> Mapping[str, Any] | None:
        job: Mapping[str, Any] | None = self._rest.get(f"/api/jobs/{quote(submission_id)}")
        return job

    def _stop_job(self, submission_id: str) -> None:
        job = self._job(submission_id)
        if job is not None and job["status"] not in _ENDED:
            self._rest.post(f"/api/jobs/{quote(submission_id)}/stop")


def request_of(run: RunSpec) -> dict[str, Any]:
    """What the runner on the cluster reads."""
    return {
        "name": run.name,
        "attempt": run.attempt,
        "workload": run.workload,
        "payload": dict(run.payload),
        "storage": run.storage,
        "metadata": dict(run.metadata),
        "title": run.title,
        "timeout_seconds": run.timeout_seconds,
    }


def job_of(run: RunSpec, code_uri: str | None) -> dict[str, Any]:
    """The job. Its entrypoint asks for no resources, because a job that waits for some cannot be stopped; the workload
    asks for its own. The metadata is for people: the dashboard shows it."""
    arguments = [RUNNER, run.storage, run.name, str(run.attempt)]
    job: dict[str, Any] = {
        "submission_id": run.submission_id,
        "entrypoint": f"python -m {shlex.join(arguments)}",
        "metadata": {**run.metadata, "title": run.title, "run": run.name, "attempt": str(run.attempt)},
        "entrypoint_num_cpus": 0,
        "entrypoint_num_gpus": 0,
    }
    if code_uri is not None:
        job["runtime_env"] = {"working_dir": working_dir(code_uri)}
    return job


def working_dir(code_uri: str) -> str:
    """Ray takes archives by URI only, so a local path becomes a ``file://`` one."""
    return code_uri if "://" in code_uri else Path(code_uri).absolute().as_uri()


def newest_attempt(files: Sequence[str]) -> int:
    """The highest number of a ``request-N.json`` among ``files``, 0 where there is none."""
    found = [re.search(r"(?:^|/)request-(\d+)\.json$", file) for file in files]
    return max((int(match[1]) for match in found if match), default=0)


def state_of_result(result: Mapping[str, Any], attempt: int, link: str) -> RunState:
    """What the runner wrote last."""
    started, finished = _time(result.get("started")), _time(result.get("finished"))
    if result["status"] == "succeeded":
        return RunState(
            RunPhase.SUCCEEDED,
            attempt,
            result=result["result"],
            progress=1.0,
            started=started,
            finished=finished,
            link=link,
        )
    failure = result["failure"]
    return RunState(
        RunPhase.FAILED,
        attempt,
        failure=FailureKind(failure["kind"]),
        reason=failure["reason"],
        message=failure["message"],
        started=started,
        finished=finished,
        link=link,
    )


def state_of_job(
    job: Mapping[str, Any] | None, heartbeat: Mapping[str, Any] | None, attempt: int, link: str, silent_since: datetime
) -> RunState:
    """What to make of an attempt without a result file. A request that Ray knows nothing of and that never reported was
    never started: the attempt before it is then the newest."""
    if job is None and heartbeat is None:
        return RunState(RunPhase.ABSENT, attempt - 1)
    heard = _time(heartbeat.get("time")) if heartbeat else None
    started = _milliseconds(job.get("start_time")) if job else None

    def lost(reason: str, message: str) -> RunState:
        ended = (_milliseconds(job.get("end_time")) if job else None) or heard
        return RunState(
            RunPhase.FAILED, attempt, failure=FailureKind.INFRASTRUCTURE, reason=reason, message=message,
            started=started, finished=ended, link=link,
        )  # fmt: skip

    if job is None:
        return lost("RunLost", "Ray no longer knows the job, and it left no result")
    said = (job.get("message") or "").strip()[-_SHOWN:]
    match job["status"]:
        case "PENDING":
            return RunState(RunPhase.PENDING, attempt, message=said, started=started, link=link)
        case "RUNNING" if (heard or started or silent_since) < silent_since:
            return lost("RunLost", f"the run has not reported since {heard or started}")
        case "RUNNING":
            return RunState(
                RunPhase.RUNNING,
                attempt,
                progress=heartbeat.get("progress") if heartbeat else None,
                message=heartbeat.get("message", "") if heartbeat else "",
                started=started,
                link=link,
            )
        case "STOPPED":
            return lost("Stopped", "the run was stopped")
        case _:
            return lost("RunLost", f"the job ended without a result: {said}")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _milliseconds(value: int | None) -> datetime | None:
    return datetime.fromtimestamp(value / 1000, UTC) if value else None
