"""RunBackend in memory: runs go no further than a test (or a demonstration) moves them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from framework.backends.memory.calls import Calls
from framework.ports import Capacity, FailureKind, Json, Log, RunPhase, RunSpec, RunState

Clock = Callable[[], datetime]

_ACTIVE = (RunPhase.PENDING, RunPhase.RUNNING)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class _Attempt:
    spec: RunSpec
    code_uri: str | None
    state: RunState
    log: list[str] = field(default_factory=list)


class MemoryRuns:
    """The verbs, and the hands of the cluster: :meth:`start`, :meth:`progress`, :meth:`write`, :meth:`succeed`,
    :meth:`fail`, :meth:`lose`, each for the newest attempt of a run by its name."""

    def __init__(self, calls: Calls | None = None, clock: Clock = utc_now) -> None:
        self._calls = Calls() if calls is None else calls
        self._clock = clock
        self._lock = threading.RLock()
        self._attempts: dict[str, _Attempt] = {}
        self._of_run: dict[str, list[_Attempt]] = {}
        self.cluster: Capacity | None = None

    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        self._calls.record("runs.submit", run.submission_id)
        json.dumps([dict(run.payload), dict(run.metadata)])  # what a request file could not hold must fail here too
        with self._lock:
            pending = RunState(RunPhase.PENDING, run.attempt, link=f"memory://{run.submission_id}")
            if run.submission_id not in self._attempts:
                self._attempts[run.submission_id] = attempt = _Attempt(run, code_uri, pending)
                self._of_run.setdefault(run.name, []).append(attempt)

    def observe(self, storage: str, run: str) -> RunState:
        with self._lock:
            found = self._newest(run, storage)
            return RunState(RunPhase.ABSENT) if found is None else found.state

    def stop(self, storage: str, run: str) -> None:
        self._calls.record("runs.stop", run)
        with self._lock:
            found = self._newest(run, storage)
            if found is not None and found.state.phase in _ACTIVE:
                self._end(found, failure=FailureKind.INFRASTRUCTURE, reason="Stopped", message="the run was stopped")

    def logs(self, storage: str, run: str, lines: int) -> Sequence[Log]:
        with self._lock:
            found = self._newest(run, storage)
            if found is None:
                return ()
            text = "\n".join(found.log[-lines:] if lines else ())
            return (Log(f"run {found.spec.submission_id}", text),)

    def runs(self) -> Sequence[str]:
        with self._lock:
            return tuple(self._attempts)

    def capacity(self) -> Capacity | None:
        """``cluster`` as it was set; what active attempts take is not counted."""
        return self.cluster

    def active(self) -> tuple[RunSpec, ...]:
        """Attempts that have not ended, in the order of submission."""
        with self._lock:
            return tuple(item.spec for item in self._attempts.values() if item.state.phase in _ACTIVE)

    def spec(self, run: str) -> RunSpec:
        """The newest attempt as it was asked for. Raises KeyError for a run that was never submitted."""
        with self._lock:
            return self._known(run).spec

    def code_uri(self, run: str) -> str | None:
        with self._lock:
            return self._known(run).code_uri

    def start(self, run: str) -> None:
        with self._lock:
            found = self._known(run)
            found.state = replace(found.state, phase=RunPhase.RUNNING, started=self._clock())

    def progress(self, run: str, fraction: float | None, message: str = "") -> None:
        with self._lock:
            found = self._known(run)
            started = found.state.started or self._clock()
            found.state = replace(
                found.state, phase=RunPhase.RUNNING, started=started, progress=fraction, message=message
            )

    def write(self, run: str, line: str) -> None:
        """The run says something."""
        with self._lock:
            self._known(run).log.append(line)

    def succeed(self, run: str, result: Mapping[str, Json] | None = None) -> None:
        with self._lock:
            written = json.loads(json.dumps(dict(result or {})))
            self._end(self._known(run), result=written)

    def fail(
        self,
        run: str,
        kind: FailureKind = FailureKind.USER,
        reason: str = "WorkloadFailed",
        message: str = "the workload failed",
        data: Mapping[str, Json] | None = None,
    ) -> None:
        with self._lock:
            self._end(self._known(run), failure=kind, reason=reason, message=message, data=data)

    def lose(self, run: str) -> None:
        """The job is gone without having written a result: a killed process, a head that was restarted."""
        self.fail(run, FailureKind.INFRASTRUCTURE, "RunLost", "the job ended without a result")

    def _end(
        self,
        found: _Attempt,
        *,
        result: Mapping[str, Json] | None = None,
        failure: FailureKind | None = None,
        reason: str = "",
        message: str = "",
        data: Mapping[str, Json] | None = None,
    ) -> None:
        now = self._clock()
        if failure is not None:
            found.log.append(f"{reason}: {message}")
        found.state = replace(
            found.state,
            phase=RunPhase.SUCCEEDED if failure is None else RunPhase.FAILED,
            result=result,
            failure=failure,
            reason=reason,
            message=message,
            data=data or {},
            started=found.state.started or now,
            finished=now,
        )

    def _newest(self, run: str, storage: str | None = None) -> _Attempt | None:
        matching = [item for item in self._of_run.get(run, ()) if storage is None or item.spec.storage == storage]
        return max(matching, key=lambda item: item.spec.attempt, default=None)

    def _known(self, run: str) -> _Attempt:
        found = self._newest(run)
        if found is None:
            raise KeyError(f"no run {run}; there are {', '.join(self._attempts) or 'none'}")
        return found
