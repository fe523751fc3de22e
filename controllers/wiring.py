"""The composition root: which backend stands behind which port. The only importer of framework.backends."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from controllers import batch_inference, feature_view, model_deployment, model_monitor, training_job
from controllers.acceptance import moved
from controllers.loaded import files_of
from controllers.opening import AcceptedEnvironment, Opener
from controllers.project import Project
from controllers.reconciler import Observe
from controllers.settings import Settings
from controllers.simulation import Clock, Imagine, Imagined
from controllers.source import Loaded, Read
from framework.api.errors import ConfigurationError, MlopsError, TransientError
from framework.api.meta import Ref
from framework.backends.code import CodeArchive
from framework.backends.files import FileReports
from framework.backends.git import GitSource
from framework.backends.git_remote import Credentials, is_remote, parse_remote
from framework.backends.git_writer import Author, GitWriter, LocalBranches, RemoteBranches, configured_author
from framework.backends.memory import MemoryRuns, MemoryServing
from framework.backends.memory.imagined import imagine
from framework.backends.memory.plane import DataPlane
from framework.backends.mirror import GitMirror
from framework.backends.notify import Notifications
from framework.backends.profiles import Profiles
from framework.backends.ray.daemon import EmbeddedRay
from framework.backends.ray.jobs import RayJobs
from framework.backends.ray.rest import Locate, RayAddress, RayRest
from framework.backends.ray.serve import RayServe
from framework.backends.ray.tenancy import OWNER_VARIABLE, PRIVATE, Tenant
from framework.backends.registry import SqlModelRegistry
from framework.backends.signatures import Signers
from framework.backends.state.database import open_database
from framework.backends.state.owners import is_owner
from framework.backends.state.store import SqlStateStore
from framework.backends.tables import DeltaTables
from framework.backends.uncommitted import uncommitted
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec, RayCluster
from framework.planning.asked import Uncommitted
from framework.planning.changes import Desired
from framework.planning.fingerprint import short_hash
from framework.planning.remembered import sound
from framework.ports import Ports, RunSpec, SpecWriter, StateStore
from framework.process import dead
from framework.specs.cache import ParseCache, kept_in
from framework.specs.read import read_snapshot
from framework.specs.snapshot import desired

log = logging.getLogger(__name__)

PING_SECONDS = 2.0

OBSERVERS: Mapping[str, Observe] = {
    "FeatureView": feature_view.observe,
    "TrainingJob": training_job.observe,
    "ModelDeployment": model_deployment.observe,
    "ModelMonitor": model_monitor.observe,
    "BatchInference": batch_inference.observe,
}


def open_project(settings: Settings, clock: Callable[[], datetime]) -> Project:
    """Open the project that ``settings`` name, in their environment. Starts nothing.

    Raises:
        SpecError: the Environment is wrong or missing in the newest commit, and none was ever in force.
        ConfigurationError: a state store that cannot be opened; no repository or commit, or an Environment that asks
            for something that this version does not execute, and none was ever in force.
    """
    followed = _followed(settings, clock)
    source = followed.source
    cache = kept_in(settings.folder / "cache", "framework.kinds:KINDS")
    kept = AcceptedEnvironment(settings.folder, settings.environment)
    opening = Opener(
        source,
        settings,
        cache,
        kept,
        led=partial(_led, settings=settings),
        inhabited=partial(_inhabited, settings=settings),
        refresh=followed.refresh,
        valid=partial(_valid, source=source, settings=settings, cache=cache),
    ).find()
    if opening.note:
        log.warning("%s", opening.note)
    environment = opening.environment
    storage = _absolute(environment.storage, settings.root)
    cluster = _cluster(settings, environment.ray)
    database = open_database(environment.state, str(settings.root))
    rest = RayRest(cluster.locate)
    state = SqlStateStore(database, settings.environment, sound(KINDS))

    @functools.cache
    def tenant() -> Tenant:
        return Tenant(settings.environment, storage, cluster.owner(state))

    ports = Ports(
        state=state,
        registry=SqlModelRegistry(database, settings.environment),
        source=source,
        code=CodeArchive(source, storage),
        runs=RayJobs(rest, tenant, clock),
        serving=RayServe(rest, tenant, alone=cluster.alone),
        tables=DeltaTables(),
        profiles=Profiles(),
        notifier=Notifications(str(settings.root), f"{storage}/alerts"),
        reports=FileReports(),
        storage=storage,
    )
    return Project(
        settings=settings,
        ports=ports,
        idle=replace(ports, runs=MemoryRuns(clock=clock), serving=MemoryServing(clock=clock)),
        cluster=cluster,
        kinds=KINDS,
        observers=OBSERVERS,
        read=_reader(source, settings, storage, cache),
        clock=clock,
        imagine=imagining,
        writer=followed.writer,
        hurry=followed.hurry,
        environment=environment,
        told=opening.note,
        accepted=_keeping(kept, environment),
        uncommitted=_uncommitted(settings),
    )


@contextmanager
def _state_of(environment: EnvironmentSpec, settings: Settings) -> Iterator[StateStore]:
    database = open_database(environment.state, str(settings.root))
    try:
        yield SqlStateStore(database, settings.environment)
    finally:
        database.close()


def _led(environment: EnvironmentSpec, settings: Settings) -> bool:
    """Whether a controller may be at work with it."""
    with _state_of(environment, settings) as state:
        lease = state.lease()
    return lease is not None and not dead(lease.note)


def _inhabited(environment: EnvironmentSpec, settings: Settings) -> bool:
    """Whether a commit ever took effect there."""
    with _state_of(environment, settings) as state:
        return any(revision.accepted for revision in state.revisions())


def _valid(commit: str, source: GitSource, settings: Settings, cache: ParseCache) -> bool:
    """Whether all of it can be read and is free of mistakes."""
    try:
        read_snapshot(source, commit, settings.specs, settings.environment, KINDS, cache=cache)
    except MlopsError:
        return False
    return True


def _keeping(kept: AcceptedEnvironment, opened: EnvironmentSpec) -> Callable[[Loaded], None]:
    """Notes the Environment of each commit that takes effect, unless it is about a place where nobody is yet."""

    def keep(loaded: Loaded) -> None:
        if not moved(opened, loaded.environment):
            kept.keep(loaded.commit, loaded.environment)

    return keep


def _uncommitted(settings: Settings) -> Callable[[Mapping[Ref, Desired[Any]]], Uncommitted | None]:
    def look(desired: Mapping[Ref, Desired[Any]]) -> Uncommitted | None:
        found = uncommitted(settings.root, files_of(desired, KINDS, settings.specs)) if settings.follows_here else None
        return Uncommitted(*found) if found else None

    return look


def imagining(live: Ports) -> Imagine:
    """Worlds in memory that stand where ``live`` does."""

    def world(now: datetime, seconds: Callable[[RunSpec], float]) -> Imagined:
        clock = Clock(now)
        ports = imagine(live, clock)
        return Imagined(ports, DataPlane(ports.runs, ports.serving, ports.tables, clock, seconds), clock)

    return world


@dataclass(frozen=True)
class _Followed:
    """Where specs come from, and where proposals go."""

    source: GitSource
    writer: SpecWriter
    hurry: Callable[[], None] = lambda: None
    refresh: Callable[[], None] = lambda: None
    """Ask the remote for what is new, if this command wants it. Raises TransientError, ConfigurationError."""


def _followed(settings: Settings, clock: Callable[[], datetime]) -> _Followed:
    """The repository that is followed: the project's own, another one on this machine, or a mirror of one elsewhere."""
    address, signers = settings.source, Signers(settings.allowed_signers)
    named = Author.parse(settings.git.author) if settings.git.author else None

    def author() -> Author:
        return named or configured_author(source.git)

    if address is None or not is_remote(address):
        root, folder = settings.root / (address or ""), settings.source_folder or None
        source = GitSource(root, folder=folder, signers=signers)
        return _Followed(source, GitWriter(source, LocalBranches(source), author, clock))
    access = settings.git
    remote = parse_remote(address, Credentials(access.username, access.token, access.ssh_key))
    source = mirror = GitMirror(
        settings.folder / f"mirror-{short_hash(address)}.git", remote, settings.revision,
        project=settings.source_folder, signers=signers, interval=settings.remote_poll,
    )  # fmt: skip

    def refresh() -> None:
        try:
            mirror.refresh()
        except TransientError as error:
            if not mirror.known():
                raise
            log.warning("going on with what was fetched before: %s", error)

    writer = GitWriter(source, RemoteBranches(mirror), author, clock)
    return _Followed(source, writer, mirror.hurry, refresh if settings.fresh else lambda: None)


def _reader(source: GitSource, settings: Settings, storage: str, cache: ParseCache) -> Read:
    """Reads a commit; files that did not change between commits are parsed once."""
    root = str(settings.root)

    def read(commit: str) -> Loaded:
        snapshot = read_snapshot(
            source, commit, settings.specs, settings.environment, KINDS, root=root, storage=storage, cache=cache
        )
        environment = snapshot.environment_spec
        assert isinstance(environment, EnvironmentSpec)
        return Loaded(commit, source.subject(commit), snapshot.digest, desired(snapshot, KINDS), environment)

    return read


def _absolute(location: str, root: Path) -> str:
    return location if "://" in location else str((root / location).resolve())


@dataclass(frozen=True)
class EmbeddedCluster:
    """A Ray of this project alone, on this machine."""

    ray: EmbeddedRay
    keeper: int | None = None

    @classmethod
    def of(cls, settings: Settings, spec: RayCluster) -> EmbeddedCluster:
        ray = EmbeddedRay(settings.folder / "ray", spec.cpus, spec.gpus, spec.dashboardPort, spec.servePort)
        return cls(ray, settings.keeper)

    def locate(self) -> RayAddress | None:
        return self.ray.running()

    def start(self) -> None:
        self.ray.start(self.keeper)

    def stop(self) -> None:
        self.ray.stop()

    def running(self) -> bool:
        return self.ray.running() is not None

    def lost(self) -> str:
        return self.ray.lost()

    def trouble(self) -> str:
        return _trouble(self.locate)

    def owner(self, state: StateStore) -> str:
        return PRIVATE

    def alone(self) -> AbstractContextManager[None]:
        return self.ray.alone()

    def links(self) -> Mapping[str, str]:
        address = self.ray.running()
        if address is None:
            return {}
        return {
            "Ray dashboard": f"{address.dashboard_url} (token: {self.ray.folder / 'token'})",
            "Endpoints": f"http://{address.serve_host}:{address.serve_port}",
        }


def own_ray(settings: Settings) -> EmbeddedCluster:
    """The Ray that mlopsctl runs for this project, if any: known from its folder alone."""
    return EmbeddedCluster.of(settings, RayCluster())


@dataclass(frozen=True)
class RemoteCluster:
    """A Ray that others run, and may share. Its token, where it wants one, comes from ``MLOPS_RAY_TOKEN``; the owner of
    an environment that lost its state from ``MLOPS_RAY_OWNER``."""

    spec: RayCluster

    def locate(self) -> RayAddress:
        return RayAddress(self.spec.address.rstrip("/"), os.environ.get("MLOPS_RAY_TOKEN"))

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It is not ours to stop."""

    def running(self) -> bool:
        return True

    def lost(self) -> str:
        """Whoever runs it sees to it that it does."""
        return ""

    def trouble(self) -> str:
        return _trouble(self.locate)

    def owner(self, state: StateStore) -> str:
        claim = os.environ.get(OWNER_VARIABLE) or None
        if claim is not None and not is_owner(claim):
            raise ConfigurationError(
                f"{OWNER_VARIABLE} is {claim!r}; an owner is ten hexadecimal digits, as 3f9a04bb17"
            )
        return state.owner(claim)

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def links(self) -> Mapping[str, str]:
        return {"Ray dashboard": self.spec.address}


def _trouble(locate: Locate) -> str:
    rest = RayRest(locate)
    try:
        rest.ping(PING_SECONDS)
    except MlopsError as error:
        return str(error)
    finally:
        rest.close()
    return ""


def _cluster(settings: Settings, spec: RayCluster) -> EmbeddedCluster | RemoteCluster:
    return EmbeddedCluster.of(settings, spec) if spec.address == "embedded" else RemoteCluster(spec)
