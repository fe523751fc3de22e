"""Model apps and the router in front of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import TypeAdapter

from framework.api.errors import ConflictError
from framework.api.hashes import text_hash
from framework.ports.json import Json
from framework.ports.logs import Log
from framework.ports.source import CodeRef
from framework.ports.verbs import changes


class AppPhase(StrEnum):
    """How far an application is. Failed could not be brought to its spec; Unhealthy was, and passes its checks no
    more."""

    DEPLOYING = "Deploying"
    RUNNING = "Running"
    UNHEALTHY = "Unhealthy"
    FAILED = "Failed"
    DELETING = "Deleting"


ROUTER_CPUS = 0.1
"""That the router of a deployment takes."""


@dataclass(frozen=True)
class TrialRows:
    """``rows`` to try a version on before it answers anybody; None: those that were kept beside its artifact."""

    rows: tuple[Mapping[str, Json], ...] | None = None


@dataclass(frozen=True)
class OnlineView:
    """What a replica looks up in one view: ``columns`` (name, dtype), by ``entities``. As the training set was joined:
    ages in seconds, ``keys`` as requests call the entities where that is otherwise, and the ``prefix`` with which the
    columns are inputs of the model."""

    view: str
    entities: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    maxAge: float | None = None
    delay: float | None = None
    keys: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is looked up, as the model calls it."""
        return tuple(f"{self.prefix}{name}" for name, _ in self.columns)

    @property
    def asked_by(self) -> tuple[tuple[str, str], ...]:
        """What callers send instead: name and dtype."""
        names = self.keys or tuple(name for name, _ in self.entities)
        return tuple((name, word) for name, (_, word) in zip(names, self.entities, strict=True))


@dataclass(frozen=True)
class OnlineLookup:
    """Where a replica looks rows up, and which. ``refuses``: a request about what is not there is refused, not answered
    with nothing in its place. ``timeoutSeconds`` is what a look may take."""

    store: str
    space: str
    views: tuple[OnlineView, ...]
    refuses: bool = False
    timeoutSeconds: float = 1.0


@dataclass(frozen=True)
class AppArguments:
    """What a replica of a model is given. Fields are called as they are sent, and kept in records: one that is added
    needs a default that means "as before", which is left out, so that it restarts nothing.
    """

    deployment: str
    app: str
    version: str
    """``<training>@<version>``, as answers name it."""
    artifact: str
    sha256: str
    format: str
    signature: Mapping[str, Json]
    profiles: str
    """The folder that profiles of requests are written to."""
    predictions: str
    """The folder of the log of predictions."""
    flushSeconds: float
    transformer: str | None
    """The entrypoint of the user's code before the model."""
    predictionKey: str | None
    """The field of a request by which its prediction meets its label."""
    trial: TrialRows | None = None
    """None where there is nothing to try it on."""
    online: OnlineLookup | None = None
    """Inputs that no caller sends."""

    def to_json(self) -> dict[str, Json]:
        """As it is sent and kept."""
        sent = {item.name: value for item in fields(self) if (value := getattr(self, item.name)) != item.default}
        if self.trial:
            sent["trial"] = {"rows": self.trial.rows and list(self.trial.rows)}
        if self.online:
            sent["online"] = json.loads(json.dumps(asdict(self.online)))
        return sent

    @classmethod
    def from_json(cls, sent: Mapping[str, Json]) -> AppArguments:
        """Read what ``to_json`` wrote, or what an earlier or later version of it did. Raises ValueError for anything
        else."""
        return _ARGUMENTS.validate_python({"transformer": None, "predictionKey": None, **sent})


_ARGUMENTS = TypeAdapter(AppArguments)


@dataclass(frozen=True)
class AppSpec:
    """One model version as a Serve application without a route of its own. ``name`` is ``<deployment>-<identity10>``.

    The Serve backend adds to ``arguments`` batchSize, batchWaitSeconds and codeFolder, from the fields below.
    """

    name: str
    deployment: str
    arguments: AppArguments
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
        code = self.code and [self.code.folder, self.code.digest]
        parts = {**vars(self), "arguments": self.arguments.to_json(), "metadata": None, "code": code}
        return text_hash(json.dumps(parts, sort_keys=True, default=dict))


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

    @property
    def apps(self) -> frozenset[str]:
        """Every app that a router may send to by this table: one without weight may have stable's or a header's."""
        return frozenset({self.stable, *self.weights})


def require_newer(table: RouteSpec, live: RouteSpec | None) -> None:
    """Let ``table`` take the place of ``live``, whichever deployment's that is: what every serving backend asks before
    it sets one. Where a router counts is its own matter.

    Raises:
        ConflictError: a newer table is in force, or another one of the same generation.
    """
    if live is not None and table.generation <= live.generation and replace(table, traffic=live.traffic) != live:
        raise ConflictError(
            f"the table of {live.deployment} is at generation {live.generation}: another one of generation "
            f"{table.generation} comes too late"
        )


def require_unnamed(app: str, live: RouteSpec | None) -> None:
    """Let ``app`` be deleted: that is what every serving backend asks before it does.

    Raises:
        ConflictError: the live table names it.
    """
    if live is not None and app in live.apps:
        raise ConflictError(f"{app} is not deleted: the live table of {live.deployment} names it")


@dataclass(frozen=True)
class Failure:
    """One way in which a version failed or refused requests. ``type`` is that of the exception, or ``Timeout``,
    ``Refused`` (what stable answers) or BAD_REQUEST; ``where`` file and line in the user's code. Nothing of a request
    is in it."""

    type: str
    message: str
    where: str
    count: int
    last: datetime

    @property
    def key(self) -> tuple[str, str]:
        """What makes two failures the same one, whatever the exception says of it."""
        return self.type, self.where or self.message

    @property
    def text(self) -> str:
        """``KeyError: 'plane_year' (serving.py:28, in enrich)``."""
        return f"{self.type}: {self.message}{f' ({self.where})' if self.where else ''}"


@dataclass(frozen=True)
class Recent:
    """What a version did in the last RECENT_SECONDS before its router replica wrote."""

    requests: int = 0
    errors: int = 0
    refused: int = 0


RECENT_SECONDS = 300
BAD_REQUEST = "BadRequest"
"""The type of a Failure that is the caller's."""


@dataclass(frozen=True)
class VersionCounters:
    """Since the router replica started. A request counts where the version answered it or failed it; one that it
    refused with 4xx is the caller's mistake and counts in ``refused`` alone. ``latency_buckets`` counts requests by
    LATENCY_BOUNDS (the last: slower), failed ones with the time that they took and timeouts with the whole timeout."""

    requests: int = 0
    errors: int = 0
    """Failed by the version itself: raised, timed out or died, or refused where stable answered the same request;
    shielded ones included."""
    shielded: int = 0
    """Errors that the caller never saw because stable answered."""
    latency_buckets: tuple[int, ...] = ()
    refused: int = 0
    recent: Recent = Recent()
    failures: tuple[Failure, ...] = ()
    """The last ways in which it failed or refused, with how often each was seen."""


LATENCY_BOUNDS: tuple[float, ...] = tuple(0.001 * 1.25**step for step in range(48))
"""Upper bounds in seconds, 1 ms to about 36 s, 25 % apart; one more bucket counts what is slower."""


@dataclass(frozen=True)
class ReplicaCounters:
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
    replicas: tuple[ReplicaCounters, ...]
    url: str = ""
    message: str = ""


class ServingBackend(Protocol):
    """Model apps and the router in front of them. One owner renders the whole list and keeps foreign apps.

    Who leads may have lost the lease since it last looked, and a call of his may arrive late. So what callers would
    notice is refused where it was decided on an older table than the live one.

    Each verb returns once the change is accepted, not once it is done, and raises TransientError while Serve does not
    answer; what changes something raises TerminalError ("NotOurs") for what another environment has.
    """

    def apps(self, deployment: str) -> Mapping[str, AppState]:
        """The apps of a deployment by name, those that start, fail or are on their way out included; empty where there
        are none. Its router is not among them."""
        ...

    @changes
    def deploy(self, app: AppSpec, code_uri: str | None) -> None:
        """Start ``app``, or bring the one of its name to this spec. One that is so already stays as it is, unless it
        failed: that is tried again. ``code_uri`` is what :meth:`CodeStore.ensure` gave."""
        ...

    @changes
    def delete(self, app: str) -> None:
        """A missing one is fine. Raises ConflictError for one that the live table of its deployment names."""
        ...

    def route(self, deployment: str, traffic: str) -> RouteState | None:
        """The table of ``deployment`` and the router that has it; None where no router does, or one that is changed
        beyond recognition. ``traffic`` is the folder where routers count."""
        ...

    def routed(self, path: str) -> RouteState | None:
        """The table of whoever is served at ``path``; None where nobody is."""
        ...

    @changes
    def set_route(self, route: RouteSpec) -> None:
        """Put a table in force at its path. A router that is there already is given it in place, whosever table it
        had, so that a path gets from one deployment to another without a request failing (see ``seats``).

        Raises ConflictError where a newer table is in force, or another of its generation, be it the deployment's own
        or that of whoever has the path.
        """
        ...

    @changes
    def delete_route(self, deployment: str) -> None:
        """Take the router of ``deployment`` away, with what it counted; a missing one is fine."""
        ...

    def logs(self, deployment: str, lines: int) -> Sequence[Log]:
        """The last ``lines`` of what each process of its apps and its router wrote, of those that are gone included
        while that is kept; the one that wrote last comes last."""
        ...


def seats(routers: Mapping[str, RouteSpec], route: RouteSpec, new: str) -> dict[str, RouteSpec | None]:
    """Which router gets which table so that ``route`` is in force; None: it goes. ``routers`` are the live tables by
    router, ``new`` is what a router would be called that is made for it.

    A router that serves the path already is taken over, whosever it was, and one that this deployment had elsewhere is
    then no longer needed. So a deployment has one router at most, and a path is never without one.
    """
    there = next((name for name, table in routers.items() if table.route == route.route), None)
    own = next((name for name, table in routers.items() if table.deployment == route.deployment), None)
    if there is None and own is None:
        while new in routers:  # another deployment took over the router of that name, and goes on with it
            new = f"{new}-2"
        return {new: route}
    if there is None or own is None or there == own:
        return {there or own or new: route}
    return {there: route, own: None}
