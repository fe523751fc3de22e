"""What the control plane asks of the world, and the plain values that cross that line.

Every verb is idempotent and does not block on long work: creating what exists and deleting what is missing succeed.
Vendor exceptions are mapped by the backend to TransientError, TerminalError or ConflictError.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import Field

from framework.api.meta import Ref, Stored

Json = Any
"""A value that ``json.dumps`` accepts."""


# --------------------------------------------------------------------------- git


@dataclass(frozen=True)
class Blob:
    """One file of a commit. ``sha`` names its bytes; ``data`` is read on demand through the source."""

    path: str
    sha: str


class SpecSource(Protocol):
    """A git repository, read from the object database without a checkout."""

    def resolve(self, revision: str) -> str:
        """The commit SHA of a branch, tag or SHA. Raises ConfigurationError for an unknown or unsafe name."""
        ...

    def blobs(self, commit: str, folder: str) -> Sequence[Blob]:
        """Regular files below ``folder``, sorted by path. Symlinks and submodules raise SpecError."""
        ...

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        """Bytes by blob SHA."""
        ...

    def tree_digest(self, commit: str, folder: str) -> str | None:
        """The git tree SHA of a folder (or blob SHA of a file), None where the commit has none."""
        ...

    def archive(self, commit: str, folder: str) -> bytes:
        """A zip of ``folder`` at ``commit``; equal trees give equal bytes."""
        ...


@dataclass(frozen=True)
class CodeRef:
    """User code that a workload imports: one folder at a commit. ``digest`` is its git tree SHA: it names the bytes."""

    commit: str
    folder: str
    digest: str


class CodeStore(Protocol):
    """Where workloads fetch user code from."""

    def ensure(self, code: CodeRef) -> str:
        """Publish the archive once; returns the URI that runs and replicas use."""
        ...


# --------------------------------------------------------------------------- state


class Record(Stored):
    """What we must remember about one resource because it cannot be observed again."""

    ref: Ref
    status: dict[str, Any]
    inventory: tuple[str, ...] = ()
    upstream: tuple[Ref, ...] = ()
    version: int = 0


class Event(Stored):
    """One thing that happened."""

    sequence: int = 0
    time: datetime
    commit: str
    ref: Ref | None
    reason: str
    message: str
    data: dict[str, Any] = Field(default_factory=dict)
    actor: str = ""


class Revision(Stored):
    """What we know of one commit: accepted or refused (with its problems)."""

    commit: str
    digest: str
    accepted: bool
    time: datetime
    problems: tuple[str, ...] = ()
    subject: str = ""


class Lease(Stored):
    """The right to change an environment. ``token`` grows with every new holder and fences off the old one."""

    holder: str
    token: int
    expires: datetime
    note: dict[str, Any] = Field(default_factory=dict)


class StateStore(Protocol):
    """The durable memory of one environment. Every write carries the lease token; a stale one raises ConflictError."""

    def load(self, ref: Ref) -> Record | None: ...

    def records(self) -> Sequence[Record]: ...

    def save(self, record: Record, token: int) -> Record:
        """Compare-and-set on ``record.version`` (0 = must not exist). Returns the record at its new version."""
        ...

    def delete(self, record: Record, token: int) -> None: ...

    def append_events(self, events: Sequence[Event], token: int) -> None: ...

    def events(self, ref: Ref | None = None, limit: int = 100) -> Sequence[Event]:
        """The newest ``limit`` events, oldest first."""
        ...

    def save_revision(self, revision: Revision, token: int) -> None: ...

    def revisions(self, limit: int = 50) -> Sequence[Revision]:
        """Newest first."""
        ...

    def acquire(
        self, holder: str, ttl_seconds: float, now: datetime, note: Mapping[str, Any] | None = None
    ) -> Lease | None:
        """Take or renew the lease; None while another holder's lease has not expired."""
        ...

    def release(self, lease: Lease) -> None: ...

    def lease(self) -> Lease | None: ...


class ModelVersion(Stored):
    """One trained model, named by the identity of its TrainingJob. Everything needed to serve it and to explain it."""

    training: str
    version: str
    commit: str
    created: datetime
    artifact: str
    sha256: str
    format: str
    signature: dict[str, Any]
    profile: str
    metrics: dict[str, float]
    parameters: dict[str, Any]
    lineage: dict[str, Any]
    gates: tuple[dict[str, Any], ...] = ()
    deployable: bool = False


class ModelRegistry(Protocol):
    def get(self, training: str, version: str) -> ModelVersion | None: ...

    def versions(self, training: str) -> Sequence[ModelVersion]:
        """Newest first."""
        ...

    def register(self, version: ModelVersion, token: int) -> None:
        """Idempotent: a version that exists is left as it is."""
        ...


# --------------------------------------------------------------------------- runs (Ray jobs)


class RunPhase(StrEnum):
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
    timeout_seconds: float | None = None

    @property
    def submission_id(self) -> str:
        return f"{self.name}-{self.attempt}"


@dataclass(frozen=True)
class RunState:
    """What is known of the newest attempt of a run. ``result`` is set exactly when the phase is Succeeded."""

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


class RunBackend(Protocol):
    """Four verbs over Ray jobs (or Argo, KubeRay)."""

    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        """Start this attempt unless it exists already."""
        ...

    def observe(self, storage: str, run: str) -> RunState:
        """Result file first, then the job: storage is the truth."""
        ...

    def stop(self, storage: str, run: str) -> None: ...

    def runs(self) -> Sequence[str]:
        """Submission ids that exist, ended ones included."""
        ...


# --------------------------------------------------------------------------- serving


class AppPhase(StrEnum):
    DEPLOYING = "Deploying"
    RUNNING = "Running"
    UNHEALTHY = "Unhealthy"
    FAILED = "Failed"
    DELETING = "Deleting"


@dataclass(frozen=True)
class AppSpec:
    """One model version as a Serve application without a route of its own. ``name`` is ``<deployment>-<identity10>``.

    ``arguments`` go to framework.workloads.serving.model:build as plain values: {deployment, app, version, artifact,
    sha256, format, signature, transformer (entrypoint or None), profiles, predictions, flushSeconds, predictionKey}.
    The Serve backend adds batchSize, batchWaitSeconds and codeFolder from the fields below.
    """

    name: str
    deployment: str
    arguments: Mapping[str, Json]
    min_replicas: int = 1
    max_replicas: int = 1
    target_ongoing_requests: int = 8
    max_queued_requests: int = 200
    cpus: float = 0.5
    gpus: float = 0.0
    batch_size: int = 1
    batch_wait_seconds: float = 0.0
    metadata: Mapping[str, str] = field(default_factory=dict)
    code: CodeRef | None = None

    @property
    def digest(self) -> str:
        """10 hex characters over what makes replicas differ: neither ``metadata`` nor the commit the code came from."""
        parts = {**vars(self), "metadata": None, "code": self.code and [self.code.folder, self.code.digest]}
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=dict).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class AppState:
    """``digest`` is that of the AppSpec that was last accepted, so that a hand-made change shows up."""

    name: str
    phase: AppPhase
    digest: str
    message: str = ""
    replicas: int = 0


@dataclass(frozen=True)
class RouteSpec:
    """The traffic table of one deployment. Weights are percent by app and add up to 100. ``generation`` only grows.

    ``stable`` is the app that answers when another fails (``shield``); a shielded request is retried on no other.
    """

    deployment: str
    route: str
    weights: Mapping[str, int]
    stable: str
    generation: int
    shield: bool = True
    timeout_seconds: float = 2.0
    sticky_header: str | None = None
    match_header: tuple[str, str] | None = None
    """(header, value): such requests go to the candidate whatever its weight."""
    max_queued: int = 200
    traffic: str = ""
    """Folder for the counters (layout.traffic_folder)."""


@dataclass(frozen=True)
class VersionCounters:
    """Since the router replica started. ``latency_buckets`` counts answers by LATENCY_BOUNDS (the last: slower)."""

    requests: int = 0
    errors: int = 0
    """Failed by the version itself: raised, timed out or died, shielded ones included; never a 4xx."""
    shielded: int = 0
    """Errors that the caller never saw because stable answered."""
    latency_buckets: tuple[int, ...] = ()


LATENCY_BOUNDS: tuple[float, ...] = tuple(0.001 * 1.25**step for step in range(48))
"""Upper bounds in seconds, 1 ms to about 36 s, 25 % apart; one more bucket counts what is slower."""


@dataclass(frozen=True)
class RouterReplica:
    """What one router replica last wrote. A replica id that is new starts from zero."""

    replica: str
    generation: int
    written: datetime
    versions: Mapping[str, VersionCounters]


@dataclass(frozen=True)
class RouteState:
    """The live table and what the routers have acknowledged and counted."""

    spec: RouteSpec
    phase: AppPhase
    replicas: tuple[RouterReplica, ...]
    url: str = ""
    message: str = ""


class ServingBackend(Protocol):
    """Model apps and the router in front of them. One owner renders the whole list and keeps foreign apps."""

    def apps(self, deployment: str) -> Mapping[str, AppState]: ...

    def deploy(self, app: AppSpec, code_uri: str | None) -> None: ...

    def delete(self, app: str) -> None: ...

    def route(self, deployment: str, traffic: str) -> RouteState | None: ...

    def set_route(self, route: RouteSpec) -> None: ...

    def delete_route(self, deployment: str) -> None: ...


# --------------------------------------------------------------------------- data


@dataclass(frozen=True)
class TableState:
    """A published version of a feature table."""

    uri: str
    version: int
    rows: int
    source_digest: str
    identity: str
    commit: str
    published: datetime
    columns: tuple[tuple[str, str], ...] = ()


class TableCatalog(Protocol):
    """Reads metadata only; never rows."""

    def describe(self, uri: str) -> TableState | None: ...

    def source_digest(self, sources: Mapping[str, Mapping[str, Json]], root: str) -> str:
        """Names the bytes the sources hold now. Raises TerminalError("SourceMissing") where one is missing."""
        ...

    def delete(self, uri: str) -> None: ...


# --------------------------------------------------------------------------- monitoring


@dataclass(frozen=True)
class ColumnSummary:
    """A neutral summary of one column. Numeric: ``edges`` (k+1 bin edges, the outer ones may be
    infinite) with ``counts`` (k). Categorical: ``categories`` -> count."""

    name: str
    count: int
    nulls: int
    edges: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    categories: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """The profile of the training data: whole, and in equal periods (weeks) so that natural movement can be learned."""

    whole: Mapping[str, ColumnSummary]
    periods: tuple[Mapping[str, ColumnSummary], ...]


@dataclass(frozen=True)
class LabelledWindow:
    """Performance of one version over rows whose labels have arrived."""

    app: str
    predictions: int
    labelled: int
    metric: str
    value: float | None
    """None while one class is missing or nothing is labelled."""
    low: float | None = None
    high: float | None = None


class ProfileStore(Protocol):
    """whylogs profiles and prediction logs, as neutral values."""

    def reference(self, profile: str) -> Reference | None: ...

    def window(
        self, folder: str, since: datetime, until: datetime, reference: Reference
    ) -> Mapping[str, ColumnSummary]:
        """Profiles merged over replicas for [since, until), numeric columns on the reference's own bin edges."""
        ...

    def performance(
        self, folder: str, labels: TableState, key: str, column: str, metric: str, since: datetime, until: datetime
    ) -> LabelledWindow: ...


@dataclass(frozen=True)
class Alert:
    """``episode`` dedups: one alert when it begins, one when it is over."""

    monitor: str
    episode: str
    state: str
    title: str
    evidence: Mapping[str, Json]
    report: str
    time: datetime


class Notifier(Protocol):
    def send(self, alert: Alert, target: Mapping[str, Json]) -> None:
        """Deliver once per (target, episode, state)."""
        ...


class ReportStore(Protocol):
    def write(self, uri: str, html: str) -> None: ...


@dataclass(frozen=True)
class Ports:
    """Everything the controllers may touch, wired once."""

    state: StateStore
    registry: ModelRegistry
    source: SpecSource
    code: CodeStore
    runs: RunBackend
    serving: ServingBackend
    tables: TableCatalog
    profiles: ProfileStore
    notifier: Notifier
    reports: ReportStore
    storage: str = ""
    """Root of the environment's storage; an absolute path or an fsspec URL."""
