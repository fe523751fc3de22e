"""What to do next about a run, given its newest attempt. Shared by every kind whose work is a Ray job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from framework.api.fields import LONGEST_DURATION
from framework.planning.grammar.changes import Desired, NewEvent
from framework.planning.grammar.reasons import RETRIES_EXHAUSTED, RUN_FAILED, RUN_STARTED, Reason
from framework.ports import FailureKind, Json, Request, RunPhase, RunSpec, RunState

POLL = timedelta(seconds=0.5)
"""How soon to look again at a run that is under way."""


@dataclass(frozen=True)
class Start:
    attempt: int


@dataclass(frozen=True)
class Await:
    requeue_after: timedelta
    message: str


@dataclass(frozen=True)
class Finished:
    result: Mapping[str, Json]


@dataclass(frozen=True)
class GaveUp:
    """``data`` are the numbers behind it."""

    reason: Reason
    message: str
    data: Mapping[str, Json] = field(default_factory=dict)


Next = Start | Await | Finished | GaveUp


def request(
    desired: Desired[Any],
    name: str,
    attempt: int,
    workload: str,
    asked: Request,
    timeout: timedelta | None = None,
) -> RunSpec:
    """A run on behalf of a resource, marked with what people look for in Ray's dashboard."""
    return RunSpec(
        name=name,
        attempt=attempt,
        workload=workload,
        payload=asked.model_dump(mode="json"),
        storage=desired.storage,
        title=f"{desired.ref} at {desired.commit[:7]}",
        code=desired.code,
        metadata={
            "commit": desired.commit,
            "spec": desired.file,
            "resource": str(desired.ref),
            "fingerprint": asked.build,
            "cause": asked.cause,
        },
        timeout_seconds=timeout.total_seconds() if timeout else None,
    )


def next_step(run: RunState, limit: int, backoff: timedelta, now: datetime) -> Next:
    """Decide between starting an attempt, waiting, taking the result and giving up.

    ``limit`` is the number of retries after the first attempt; the wait doubles with each. A failure that the user's
    code, spec or data caused is not retried, because the same bytes would fail again.
    """
    match run.phase:
        case RunPhase.ABSENT:
            return Start(run.attempt + 1)
        case RunPhase.PENDING | RunPhase.RUNNING:
            return Await(POLL, _progress(run))
        case RunPhase.SUCCEEDED:
            return Finished(run.result or {})
        case RunPhase.FAILED:
            return _after_failure(run, limit, backoff, now)


def started(run: RunSpec) -> NewEvent:
    """An attempt is under way."""
    data = {"run": run.submission_id, **({"cause": cause} if (cause := run.metadata.get("cause")) else {})}
    return NewEvent(RUN_STARTED, f"run {run.submission_id}", data)


def took(run: RunState) -> dict[str, Json]:
    """``{"seconds": ...}`` for the event that ends a run, where it is known how long it took."""
    if run.started is None or run.finished is None or run.finished <= run.started:
        return {}
    return {"seconds": (run.finished - run.started).total_seconds()}


def _after_failure(run: RunState, limit: int, backoff: timedelta, now: datetime) -> Next:
    if run.failure is FailureKind.USER:
        return GaveUp(Reason(run.reason) if run.reason else RUN_FAILED, run.message, run.data)
    if run.attempt > limit:
        return GaveUp(RETRIES_EXHAUSTED, f"{run.attempt} attempts failed; the last: {run.message}")
    wait = _doubled(backoff, run.attempt - 1)
    due = (run.finished or now) + wait
    if now < due <= now + 2 * wait:  # what ended further ahead of the clock ended before that was set
        return Await(due - now, f"attempt {run.attempt} failed ({run.message}); the next starts at {due:%H:%M:%S}")
    return Start(run.attempt + 1)


def _doubled(wait: timedelta, times: int) -> timedelta:
    """Never longer than what can be added to a time of our days."""
    seconds = wait.total_seconds() * 2.0 ** min(max(0, times), 100)
    return timedelta(seconds=min(seconds, LONGEST_DURATION.total_seconds()))


def _progress(run: RunState) -> str:
    share = f" {run.progress:.0%}" if run.progress is not None else ""
    return f"{run.phase.lower()}{share}{': ' + run.message if run.message else ''}"
