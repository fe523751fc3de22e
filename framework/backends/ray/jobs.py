"""Runs as Ray jobs. Storage is the truth, Ray only the executor: its files tell what happened even on a lost head."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from framework.api.errors import TransientError
from framework.api.layout import names_below, rebased, run_folder
from framework.api.names import own_name
from framework.backends.ray.capacity import read_capacity
from framework.backends.ray.exceptions import in_one_line
from framework.backends.ray.logs import RayLogs
from framework.backends.ray.rest import RayRest
from framework.backends.ray.silence import Silence
from framework.backends.ray.tenancy import Tenant, Thing, foreign
from framework.ports import Capacity, FailureKind, Log, RunPhase, RunSpec, RunState
from framework.storage import list_files, readable_json, write_sealed

RUNNER = "framework.workloads.run"

FRESH_SECONDS = 1.0
"""How long what the cluster has free is taken to be so."""

_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


def utc_now() -> datetime:
    return datetime.now(UTC)


class RayJobs:
    """RunBackend over the Jobs REST interface, for one environment of those that may use the Ray (``tenant``).

    ``silence``: a job that Ray calls running but whose runner has not reported for so long is taken for lost. A cluster
    that keeps its records over a restart of the head goes on to call a job running whose driver is dead.
    """

    def __init__(
        self,
        rest: RayRest,
        tenant: Callable[[], Tenant],
        clock: Callable[[], datetime] = utc_now,
        silence: timedelta = timedelta(minutes=10),
    ):
        self._rest = rest
        self._tenant = tenant
        self._silence = Silence(silence, clock)
        self._log_files = RayLogs(rest)
        self._read: tuple[float, Capacity | None] | None = None

    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        """Write the request, then start the job. An attempt that has begun, if on a head since lost, stays as it is.

        Raises:
            TerminalError: another environment has a job of that name ("NotOurs").
        """
        folder = run_folder(run.storage, run.name)
        if any(readable_json(f"{folder}/{kind}-{run.attempt}.json") for kind in ("result", "heartbeat")):
            return
        tenant = self._tenant()
        job = job_of(run, code_uri, tenant)
        request_file = f"{folder}/request-{run.attempt}.json"
        if (readable_json(request_file) or {}).get("job") != job["submission_id"]:
            write_sealed(request_file, request_of(run, job["submission_id"]))
        if run.attempt > 1:
            self._stop_job(f"{run.name}-{run.attempt - 1}")
        try:
            self._rest.post("/api/jobs/", job)
        except TransientError:
            # A second submission is refused with the same untyped 500 as any other trouble.
            there = self._ask(job["submission_id"])
            if there is None:
                raise
            if not tenant.owns(thing(there)):
                raise foreign(thing(there), tenant) from None

    def observe(self, storage: str, run: str) -> RunState:
        folder = run_folder(storage, run)
        attempt = newest_attempt(list_files(folder))
        if attempt == 0:
            return RunState(RunPhase.ABSENT)
        if (result := read_result(storage, run, attempt)) is not None:
            return state_of_result(result, attempt, self._rest.job_link(self._tenant().wire(f"{run}-{attempt}")))
        name, job = self._job_of(storage, run, attempt)
        link = self._rest.job_link(name)
        heartbeat = readable_json(f"{folder}/heartbeat-{attempt}.json")
        if job is None or job["status"] in _ENDED:  # it may have written its result since we looked
            result = read_result(storage, run, attempt)
            if result is not None:
                return state_of_result(result, attempt, link)
        return state_of_job(job, heartbeat, attempt, link, self._silence.since(name, heartbeat))

    def stop(self, storage: str, run: str) -> None:
        folder = run_folder(storage, run)
        attempt = newest_attempt(list_files(folder))
        if attempt and readable_json(f"{folder}/result-{attempt}.json") is None:
            self._stop_job(f"{run}-{attempt}")

    def logs(self, storage: str, run: str, lines: int) -> Sequence[Log]:
        """The driver's; workers of Ray Train write into it, too. Where that cannot be had, what the result file has."""
        attempt = newest_attempt(list_files(run_folder(storage, run)))
        if attempt == 0:
            return ()
        source, note = f"run {run}-{attempt}", "Ray has no log of it any more"
        try:
            text = self._driver_log(*self._job_of(storage, run, attempt), lines)
        except TransientError as error:
            text, note = None, f"its log cannot be had: {error}"
        if text is not None:
            return (Log(source, text),)
        result = read_result(storage, run, attempt)
        if result is None:
            return (Log(source, "", note=f"{note}, and it has left no result"),)
        told = told_by(result).splitlines()
        return (Log(source, "\n".join(told[-lines:] if lines else ()), note=f"{note}; this is from its result"),)

    def _driver_log(self, name: str, job: Mapping[str, Any] | None, lines: int) -> str | None:
        node = job.get("driver_node_id") if job else None
        return self._log_files.tail(node, f"job-driver-{name}.log", lines) if node else None

    def runs(self) -> Sequence[str]:
        return tuple(own_name(job["submission_id"]) for job in self._own_jobs())

    def _own_jobs(self) -> Iterator[Mapping[str, Any]]:
        tenant = self._tenant()
        for job in self._rest.get("/api/jobs/") or ():
            if job.get("submission_id") and tenant.owns(thing(job)):
                yield job

    def capacity(self) -> Capacity | None:
        """As read within the last second: many that wait ask at a time."""
        now = time.monotonic()
        if self._read is None or now - self._read[0] >= FRESH_SECONDS:
            try:
                self._read = now, read_capacity(self._rest, self._tenant(), self._names)
            except TransientError:
                return None
        return self._read[1]

    def _names(self) -> dict[str, str]:
        """This environment's runs by the id that Ray gave their job, once it is under way."""
        return {
            job["job_id"]: job["metadata"]["run"]
            for job in self._own_jobs()
            if job.get("job_id") and "run" in (job.get("metadata") or {})
        }

    def _job_of(self, storage: str, run: str, attempt: int) -> tuple[str, Mapping[str, Any] | None]:
        """The job that has this attempt, by name, and what Ray tells of it, None where that is none. It is the one that
        the request names and that reads the same storage: an environment that shares ours may have asked for the same
        work. A request from before names carried environments names none."""
        request = readable_json(f"{run_folder(storage, run)}/request-{attempt}.json") or {}
        name = request.get("job")
        if name is None:
            return f"{run}-{attempt}", self._own_job(f"{run}-{attempt}")
        job = self._ask(name)
        return name, job if job is not None and thing(job).storage == request.get("storage") else None

    def _own_job(self, submission_id: str) -> Mapping[str, Any] | None:
        """This environment's job of that name; one that a version before the names with environments started
        included. Another environment's is as good as none."""
        tenant = self._tenant()
        for name in (tenant.wire(submission_id), submission_id):
            job = self._ask(name)
            if job is not None and tenant.owns(thing(job)):
                return job
        return None

    def _ask(self, name: str) -> Mapping[str, Any] | None:
        job: Mapping[str, Any] | None = self._rest.get(f"/api/jobs/{quote(name)}")
        return job

    def _stop_job(self, submission_id: str) -> None:
        job = self._own_job(submission_id)
        if job is not None and job["status"] not in _ENDED:
            self._rest.post(f"/api/jobs/{quote(job['submission_id'])}/stop")


def request_of(run: RunSpec, job: str) -> dict[str, Any]:
    """What the runner on the cluster reads, and by which job on Ray it does."""
    return {
        "job": job,
        "name": run.name,
        "attempt": run.attempt,
        "workload": run.workload,
        "payload": dict(run.payload),
        "storage": run.storage,
        "metadata": dict(run.metadata),
        "title": run.title,
        "timeout_seconds": run.timeout_seconds,
    }


def job_of(run: RunSpec, code_uri: str | None, tenant: Tenant) -> dict[str, Any]:
    """The job. Its entrypoint asks for no resources, because a job that waits for some cannot be stopped; the workload
    asks for its own. The metadata is for people, because the dashboard shows it, and tells whose the job is."""
    arguments = [RUNNER, run.storage, run.name, str(run.attempt)]
    job: dict[str, Any] = {
        "submission_id": tenant.wire(run.submission_id),
        "entrypoint": f"python -m {shlex.join(arguments)}",
        "metadata": {**run.metadata, "title": run.title, "run": run.name, "attempt": str(run.attempt), **tenant.mark},
        "entrypoint_num_cpus": 0,
        "entrypoint_num_gpus": 0,
    }
    if code_uri is not None:
        job["runtime_env"] = {"working_dir": working_dir(code_uri)}
    return job


def thing(job: Mapping[str, Any]) -> Thing:
    """What a job, as Ray tells it, says of whose it is."""
    metadata = job.get("metadata") or {}
    storage = _storage_of(job.get("entrypoint") or "")
    mark = {key: metadata[key] for key in ("environment", "owner") if key in metadata}
    # Nobody changes a job by hand, so one that tells neither is somebody else's, whatever its name.
    return Thing("the Ray job", job.get("submission_id") or "", mark if mark or storage is None else None, storage)


def _storage_of(entrypoint: str) -> str | None:
    """The storage root that a run of ours was given; None for somebody else's entrypoint."""
    try:
        match shlex.split(entrypoint):
            case [_, "-m", module, storage, _, _] if module == RUNNER:
                return storage
    except ValueError:
        pass
    return None


def working_dir(code_uri: str) -> str:
    """Ray takes archives by URI only, so a local path becomes a ``file://`` one."""
    return code_uri if "://" in code_uri else Path(code_uri).absolute().as_uri()


def read_result(storage: str, run: str, attempt: int) -> Any:
    """What the runner wrote last, None where it has not. Where storage was moved since, it names what is there now."""
    folder = run_folder(storage, run)
    result = readable_json(f"{folder}/result-{attempt}.json")
    if result is None or names_below(result.get("result"), storage):
        return result
    request = readable_json(f"{folder}/request-{attempt}.json") or {}
    return rebased(result, request.get("storage", storage), storage)


def told_by(result: Mapping[str, Any]) -> str:
    """What a result says of how the run ended, in full."""
    failure = result.get("failure")
    if failure is None:
        return f"{result['status']} at {result.get('finished')}"
    return f"{failure.get('traceback') or ''}\n{failure['reason']}: {failure['message']}".strip()


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
        data=failure.get("data") or {},
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
    said = in_one_line(job.get("message") or "")
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
