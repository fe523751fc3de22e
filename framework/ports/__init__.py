"""What the control plane asks of the world, and the plain values that cross that line.

Every verb is idempotent and does not block on long work: creating what exists and deleting what is missing succeed.
Vendor exceptions are mapped by the backend to TransientError, TerminalError or ConflictError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from framework.api.meta import Ref
from framework.ports.data import CheckedRun, ExpectationResult, ReadTable, TableCatalog, TableState, content
from framework.ports.heartbeat import Heartbeat, Outage
from framework.ports.json import Json
from framework.ports.logs import Log
from framework.ports.monitoring import (
    ITEM_CHARACTERS,
    Alert,
    ColumnSummary,
    LabelledWindow,
    LabelTable,
    Notifier,
    ProfileStore,
    ProfileWindow,
    ReferenceProfile,
    ReportStore,
    Unusable,
)
from framework.ports.online import OnlineCatalog, OnlinePlace, OnlineVersion
from framework.ports.registry import ModelRegistry, ModelVersion
from framework.ports.requests import (
    MEANING,
    Cause,
    MaterializeRequest,
    OnlineRequest,
    OnlineTarget,
    ReadView,
    Request,
    TrainRequest,
    online_version,
)
from framework.ports.runs import ACCELERATOR, Capacity, FailureKind, RunBackend, RunPhase, RunSpec, RunState
from framework.ports.serving import (
    BAD_REQUEST,
    LATENCY_BOUNDS,
    RECENT_SECONDS,
    ROUTER_CPUS,
    AppArguments,
    AppPhase,
    AppSpec,
    AppState,
    Failure,
    OnlineLookup,
    OnlineView,
    Recent,
    ReplicaCounters,
    RouteSpec,
    RouteState,
    ServingBackend,
    TrialRows,
    VersionCounters,
    seats,
)
from framework.ports.source import (
    SUBMODULE,
    SYMLINK,
    Blob,
    CodeRef,
    CodeStore,
    CommitInfo,
    DataSource,
    Followed,
    Held,
    Proposal,
    Proposed,
    Repository,
    Signature,
    Sink,
    SpecSource,
    SpecWriter,
)
from framework.ports.sources import (
    FileList,
    SourceCatalog,
    SourceData,
    SourceFile,
    SourcePath,
    Sources,
    file_list,
    names_are_data,
    source_data,
)
from framework.ports.state import (
    MOST_NAMED,
    UNREADABLE_EVENT,
    ClockMark,
    Event,
    Intent,
    Lease,
    Pin,
    Record,
    Recorded,
    Revision,
    Seal,
    StateStore,
    Word,
    is_asked_for,
)
from framework.ports.tracking import MirrorMark, TrackedVersion, TrackingMirror

__all__ = [
    "ACCELERATOR",
    "BAD_REQUEST",
    "ITEM_CHARACTERS",
    "LATENCY_BOUNDS",
    "MEANING",
    "MOST_NAMED",
    "RECENT_SECONDS",
    "ROUTER_CPUS",
    "SUBMODULE",
    "SYMLINK",
    "UNREADABLE_EVENT",
    "Alert",
    "AppArguments",
    "AppPhase",
    "AppSpec",
    "AppState",
    "Blob",
    "Capacity",
    "Cause",
    "CheckedRun",
    "ClockMark",
    "CodeRef",
    "CodeStore",
    "ColumnSummary",
    "CommitInfo",
    "DataSource",
    "Event",
    "ExpectationResult",
    "Failure",
    "FailureKind",
    "FileList",
    "Followed",
    "Heartbeat",
    "Held",
    "Intent",
    "Json",
    "LabelTable",
    "LabelledWindow",
    "Lease",
    "Log",
    "MaterializeRequest",
    "MirrorMark",
    "ModelRegistry",
    "ModelVersion",
    "Notifier",
    "OnlineCatalog",
    "OnlineLookup",
    "OnlinePlace",
    "OnlineRequest",
    "OnlineTarget",
    "OnlineVersion",
    "OnlineView",
    "Outage",
    "Pin",
    "Ports",
    "ProfileStore",
    "ProfileWindow",
    "Proposal",
    "Proposed",
    "ReadTable",
    "ReadView",
    "Recent",
    "Record",
    "Recorded",
    "ReferenceProfile",
    "ReplicaCounters",
    "ReportStore",
    "Repository",
    "Request",
    "Revision",
    "RouteSpec",
    "RouteState",
    "RunBackend",
    "RunPhase",
    "RunSpec",
    "RunState",
    "Seal",
    "ServingBackend",
    "Signature",
    "Sink",
    "SourceCatalog",
    "SourceData",
    "SourceFile",
    "SourcePath",
    "Sources",
    "SpecSource",
    "SpecWriter",
    "StateStore",
    "TableCatalog",
    "TableState",
    "TrackedVersion",
    "TrackingMirror",
    "TrainRequest",
    "TrialRows",
    "Unusable",
    "VersionCounters",
    "Word",
    "content",
    "file_list",
    "is_asked_for",
    "names_are_data",
    "online_version",
    "seats",
    "source_data",
]


@dataclass(frozen=True)
class Ports:
    """Everything the controllers may touch, wired once."""

    state: StateStore
    registry: ModelRegistry
    source: Repository
    writer: SpecWriter
    code: CodeStore
    runs: RunBackend
    serving: ServingBackend
    tables: TableCatalog
    online: OnlineCatalog
    sources: SourceCatalog
    profiles: ProfileStore
    notifier: Notifier
    reports: ReportStore
    storage: str = ""
    """Root of the environment's storage; an absolute path or an fsspec URL."""
    users: Callable[[Ref], Sequence[Ref]] | None = None
    """Who makes use of a resource, sorted, with everybody of whom nobody knows: from whoever keeps that. None: the
    records have to be read."""
