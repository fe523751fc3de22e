"""The composition root: which backend stands behind which port. The only importer of framework.backends."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controllers import batch_inference, feature_view, model_deployment, model_monitor, training_job
from controllers.examination import Examiner, Memory
from controllers.examination.trees import CommitTree
from controllers.project import Project
from controllers.reconciler import Observe
from controllers.settings import Settings
from controllers.simulation import Clock, Imagine, Imagined
from controllers.source import Examine, Loaded, Read
from framework import installed
from framework.api.errors import ConfigurationError, Problem, TransientError
from framework.api.places import Premises, Use, database_path, local_path
from framework.backends.code import CodeArchive
from framework.backends.contents import Contents
from framework.backends.files import FileReports
from framework.backends.git import GitSource
from framework.backends.git_remote import Credentials, is_remote, parse_remote
from framework.backends.git_writer import Author, GitWriter, LocalBranches, RemoteBranches, configured_author
from framework.backends.memory import MemoryRuns, MemoryServing
from framework.backends.memory.imagined import imagine
from framework.backends.memory.plane import DataPlane
from framework.backends.mirror import GitMirror
from framework.backends.notify import Notifications
from framework.backends.premises import entered, secret
from framework.backends.profiles import Profiles
from framework.backends.ray.daemon import EmbeddedRay
from framework.backends.ray.jobs import RayJobs
from framework.backends.ray.rest import RayAddress, RayRest
from framework.backends.ray.serve import RayServe
from framework.backends.registry import SqlModelRegistry
from framework.backends.signatures import Signers
from framework.backends.state.database import Database, open_database
from framework.backends.state.store import SqlStateStore
from framework.backends.tables import DeltaTables
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec, RayCluster
from framework.planning.fingerprint import short_hash
from framework.ports import Ports, RunSpec, SpecWriter
from framework.specs.cache import ParseCache, kept_in
from framework.specs.read import UnsafeError, read_environment, read_snapshot
from framework.specs.snapshot import Snapshot, desired

log = logging.getLogger(__name__)

_ALL_REVISIONS = 1_000_000
TRUSTED_WITHIN = 20
"""Commits back from the newest in which one has to be signed, where signatures are required."""

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
        SpecError: the Environment is wrong or missing in the newest commit.
        ConfigurationError: no repository or commit, a state store that cannot be opened, or an Environment that asks
            for something that this version does not execute.
    """
    followed = _followed(settings, clock)
    source = followed.source
    cache = kept_in(settings.folder / "cache", "framework.kinds:KINDS")
    environment = _environment(source, settings, cache)
    storage = _storage(environment, settings)
    cluster = _cluster(settings, environment.ray)
    database = _database(environment, settings)
    rest = RayRest(cluster.locate)
    ports = Ports(
        state=SqlStateStore(database, settings.environment),
        registry=SqlModelRegistry(database, settings.environment),
        source=source,
        code=CodeArchive(source, storage),
        runs=RayJobs(rest, clock),
        serving=RayServe(rest),
        tables=DeltaTables(Contents(settings.folder / "sources")),
        profiles=Profiles(),
        notifier=Notifications(settings.premises, f"{storage}/alerts"),
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
        read=_reader(source, ports, settings, cache),
        clock=clock,
        imagine=imagining,
        writer=followed.writer,
        hurry=followed.hurry,
        environment=environment,
        examine=_examiner(source, settings),
    )


def _examiner(source: GitSource, settings: Settings) -> Examine:
    examiner = Examiner(Memory(settings.folder / "cache"))

    def examine(before: Loaded | None, after: Loaded) -> tuple[Problem, ...]:
        found = examiner.changed(before, after, CommitTree(source, after.commit))
        for unseen in found.unseen:
            log.warning("commit %s: not looked at: %s", after.commit[:7], unseen)
        return found.errors

    return examine


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
    if settings.fresh:
        try:
            mirror.refresh()
        except TransientError as error:
            if not mirror.known():
                raise
            log.warning("going on with what was fetched before: %s", error)
    return _Followed(source, GitWriter(source, RemoteBranches(mirror), author, clock), mirror.hurry)


def _environment(source: GitSource, settings: Settings, cache: ParseCache) -> EnvironmentSpec:
    commit = _trusted(source, settings)
    spec = read_environment(
        source, commit, settings.specs, settings.environment, KINDS, cache, premises=settings.premises
    )
    assert isinstance(spec, EnvironmentSpec)
    missing = KINDS["Environment"].unsupported(spec)
    if missing:
        names = ", ".join(missing)
        raise ConfigurationError(f"Environment/{settings.environment}: not executed by this version: {names}")
    return spec


def _trusted(source: GitSource, settings: Settings) -> str:
    """The newest commit. Where signatures are required, the newest that has one: nobody else says where state is kept,
    or which cluster gets our credentials.

    Raises:
        ConfigurationError: none of the newest commits has a signature that the operator allows.
    """
    commit = source.resolve(settings.revision)
    if settings.allowed_signers is None:
        return commit
    candidate = commit
    for back in range(TRUSTED_WITHIN):
        try:
            candidate = source.resolve(f"{commit}~{back}") if back else commit
        except ConfigurationError:
            break  # there are no more
        if source.signature(candidate).trusted:
            return candidate
    raise ConfigurationError(
        f"MLOPS_ALLOWED_SIGNERS is set, and of the newest commits down to {candidate[:7]} none has a signature that "
        f"it allows; the newest {source.signature(commit).problem}"
    )


def _reader(source: GitSource, ports: Ports, settings: Settings, cache: ParseCache) -> Read:
    """Reads a commit; files that did not change between commits are parsed once. What was accepted by an earlier
    version is read all the same, though it would not be any more."""
    root, storage = str(settings.root), ports.storage

    def snapshot_of(commit: str, premises: Premises | None) -> Snapshot:
        return read_snapshot(
            source, commit, settings.specs, settings.environment, KINDS, root=root, storage=storage, cache=cache,
            premises=premises,
        )  # fmt: skip

    def read(commit: str) -> Loaded:
        try:
            snapshot = snapshot_of(commit, settings.premises)
        except UnsafeError:
            if not any(one.accepted and one.commit == commit for one in ports.state.revisions(_ALL_REVISIONS)):
                raise
            snapshot = snapshot_of(commit, None)
        environment = snapshot.environment_spec
        assert isinstance(environment, EnvironmentSpec)
        return Loaded(commit, source.subject(commit), snapshot.digest, desired(snapshot, KINDS), environment)

    return read


def _storage(environment: EnvironmentSpec, settings: Settings) -> str:
    """Where files lie, as a path or a URL. Raises ConfigurationError where a link leads elsewhere."""
    path = local_path(environment.storage)
    if path is None:
        return environment.storage
    file = entered(path, Use.STORAGE, settings.premises)
    return environment.storage if "://" in environment.storage else str(file)


def _database(environment: EnvironmentSpec, settings: Settings) -> Database:
    """Raises ConfigurationError where it cannot be opened, its password is missing, or a link leads elsewhere."""
    asked = environment.database
    path, reference = database_path(asked.url), asked.passwordFrom
    if path is not None:
        entered(path, Use.DATABASE, settings.premises)
    password = secret(reference.env, reference.file, settings.premises) if reference is not None else None
    return open_database(asked.url, str(settings.root), password=password, create=settings.creates)


@dataclass(frozen=True)
class EmbeddedCluster:
    """A Ray of our own on this machine."""

    ray: EmbeddedRay
    keeper: int | None = None

    @classmethod
    def of(cls, settings: Settings, spec: RayCluster) -> EmbeddedCluster:
        ray = EmbeddedRay(settings.folder / "ray", spec.cpus, spec.gpus, spec.dashboardPort, spec.servePort)
        return cls(ray, settings.keeper)

    def locate(self) -> RayAddress | None:
        return self.ray.running()

    def start(self) -> None:
        """Raises ConfigurationError where packages are missing: what runs on it runs in this environment."""
        lacking = () if self.running() else installed.missing(installed.WHOLE)
        if lacking:
            raise ConfigurationError(installed.advice(lacking))
        self.ray.start(self.keeper)

    def stop(self) -> None:
        self.ray.stop()

    def running(self) -> bool:
        return self.ray.running() is not None

    def links(self) -> Mapping[str, str]:
        address = self.ray.running()
        if address is None:
            return {}
        return {
            "Ray dashboard": f"{address.dashboard_url} (token: {self.ray.folder / 'token'})",
            "Endpoints": f"http://{address.serve_host}:{address.serve_port}",
        }


@dataclass(frozen=True)
class RemoteCluster:
    """A Ray that others run. Its token, where it wants one, comes from ``MLOPS_RAY_TOKEN``."""

    spec: RayCluster

    def locate(self) -> RayAddress:
        return RayAddress(self.spec.address.rstrip("/"), os.environ.get("MLOPS_RAY_TOKEN"))

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It is not ours to stop."""

    def running(self) -> bool:
        return True

    def links(self) -> Mapping[str, str]:
        return {"Ray dashboard": self.spec.address}


def _cluster(settings: Settings, spec: RayCluster) -> EmbeddedCluster | RemoteCluster:
    return EmbeddedCluster.of(settings, spec) if spec.address == "embedded" else RemoteCluster(spec)
