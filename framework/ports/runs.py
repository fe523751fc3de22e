"""Long work: Ray jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from framework.ports.json import Json
from framework.ports.logs import Log
from framework.ports.source import CodeRef
from framework.ports.sources import SourceFile
from framework.ports.verbs import changes


class RunPhase(StrEnum):
    """How far the newest attempt of a run is."""

    ABSENT = "Absent"
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class FailureKind(StrEnum):
    """Whether another attempt can help."""

    USER = "User"
    """The spec, the data or the user's code: the same attempt would fail again."""
    INFRASTRUCTURE = "Infrastructure"
    """A lost node, a full disk, a killed process."""


@dataclass(frozen=True)
class RunSpec:
    """A request for long work. ``name`` carries the fingerprint; ``attempt`` counts from 1.

    ``workload`` is the import path of a function ``(RunContext) -> Mapping[str, Json]`` under framework.workloads.
    """

    name: str
    attempt: int
    workload: str
    payload: Mapping[str, Json]
    storage: str
    title: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    code: CodeRef | None = None
    exported: tuple[SourceFile, ...] = ()
    """Files of a commit that have to be in the environment's storage before it starts."""
    timeout_seconds: float | None = None

    @property
    def submission_id(self) -> str:
        return f"{self.name}-{self.attempt}"


@dataclass(frozen=True)
class RunState:
    """What is known of the newest attempt of a run. ``result`` is set exactly when the phase is Succeeded. ``progress``
    goes from 0 to 1. ``data`` are the numbers behind a failure."""

    phase: RunPhase
    attempt: int = 0
    result: Mapping[str, Json] | None = None
    failure: FailureKind | None = None
    reason: str = ""
    message: str = ""
    progress: float | None = None
    started: datetime | None = None
    finished: datetime | None = None
    link: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)


ACCELERATOR = "accelerator_type:"
"""Before the type, in the name of a resource of Ray's that every node with such an accelerator has one of."""


@dataclass(frozen=True)
class Capacity:
    """What the cluster has and what of it is free, by Ray's resource name (``CPU``, ``GPU``). ``held`` is what of the
    rest this environment's own holds, by item of an inventory (``app:x``, ``route:d``, ``run:r``); None where nobody
    tells whose it is. ``accelerators`` are the types that some node has, ``labels`` what nodes are labelled
    with beside their names, those of equal ones once; None where nobody tells."""

    total: Mapping[str, float]
    free: Mapping[str, float]
    held: Mapping[str, Mapping[str, float]] | None = None
    accelerators: tuple[str, ...] | None = None
    labels: tuple[Mapping[str, str], ...] | None = None


class RunBackend(Protocol):
    """A few verbs over Ray jobs (or Argo, KubeRay). Each returns at once, and raises TransientError while the cluster
    does not answer, OSError while the storage does not. A run is called by its name, without the attempt."""

    @changes
    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        """Start this attempt, unless it exists already; the one before it is stopped. ``code_uri`` is what
        :meth:`CodeStore.ensure` gave. Raises TerminalError ("NotOurs") where another environment has a run of that
        name."""
        ...

    def observe(self, storage: str, run: str) -> RunState:
        """Of the newest attempt; Absent where there never was one. Result file first, then the job: storage is the
        truth."""
        ...

    @changes
    def stop(self, storage: str, run: str) -> None:
        """Stop the newest attempt. One that has ended, or never was, is fine."""
        ...

    def logs(self, storage: str, run: str, lines: int) -> Sequence[Log]:
        """The last ``lines`` of what the newest attempt wrote, or what is known of it where that is gone; nothing for a
        run that never was."""
        ...

    def runs(self) -> Sequence[str]:
        """Submission ids of this environment that the cluster knows, ended ones included."""
        ...

    def capacity(self) -> Capacity | None:
        """None while the cluster does not run or does not tell: nothing is raised for that."""
        ...
