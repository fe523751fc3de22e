"""The composition root: which backend stands behind which port. The only importer of framework.backends."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from controllers.commands.project import Project
from controllers.commands.rehearsal import MakeAside
from controllers.commands.simulation import Clock, DryRun, MakeDryRun
from controllers.examination import Examiner, Memory
from controllers.examination.trees import CommitTree, Tree, WorkTree
from controllers.host.clusters import cluster_of
from controllers.host.opening import AcceptedEnvironment, Opener
from controllers.kinds import batch_inference, feature_view, model_deployment, model_monitor, training_job
from controllers.kinds.observer import Observer
from controllers.revision.acceptance import moved
from controllers.revision.in_force import in_force, revisions
from controllers.revision.snapshot import Examine, Read, Snapshot, files_of
from controllers.settings import Settings
from framework.api.errors import ConfigurationError, MlopsError, Problem, TerminalError, TransientError
from framework.api.meta import Ref
from framework.api.places import Premises, Use, database_path, local_path
from framework.backends.delta.tables import DeltaTables
from framework.backends.git.mirror import GitMirror
from framework.backends.git.remote import Credentials, is_remote, parse_remote
from framework.backends.git.signatures import Signers
from framework.backends.git.source import GitSource
from framework.backends.git.tracked import TrackedFiles
from framework.backends.git.uncommitted import uncommitted
from framework.backends.git.writer import Author, GitWriter, LocalBranches, RemoteBranches, configured_author
from framework.backends.memory import MemoryRuns, MemoryServing
from framework.backends.memory.aside import aside
from framework.backends.memory.dry_run import dry_run
from framework.backends.memory.plane import DataPlane
from framework.backends.notify import Notifications
from framework.backends.profiles.store import Profiles
from framework.backends.ray.jobs import RayJobs
from framework.backends.ray.rest import RayRest
from framework.backends.ray.serve import RayServe
from framework.backends.ray.tenancy import Tenant
from framework.backends.state.database import StateDatabase, open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from framework.backends.storage.code import CodeArchive
from framework.backends.storage.files import FileReports
from framework.backends.tracking import MlflowMirror, sqlite_url
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.online import open_store
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.grammar.remembered import sound
from framework.planning.reports.asked import Uncommitted, uncommitted_of
from framework.ports import OnlineCatalog, OnlinePlace, Ports, Record, RunSpec, SpecWriter, StateStore, TrackingMirror
from framework.premises import entered, secret
from framework.process import dead
from framework.sources.catalog import GitSources
from framework.sources.contents import Contents
from framework.sources.listing import fits, parts_of
from framework.specs.cache.parse_cache import ParseCache, cache_for
from framework.specs.read import UnsafeError, read_snapshot
from framework.specs.worktree import WORKTREE, WorktreeSource

log = logging.getLogger(__name__)

OBSERVERS: Mapping[str, Observer] = {
    "FeatureView": feature_view.OBSERVER,
    "TrainingJob": training_job.OBSERVER,
    "ModelDeployment": model_deployment.OBSERVER,
    "ModelMonitor": model_monitor.OBSERVER,
    "BatchInference": batch_inference.OBSERVER,
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
    cache = cache_for(settings.root, "framework.kinds:KINDS")
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
    storage = _storage(environment, settings)
    cluster = cluster_of(settings, environment.ray)
    database = _database(environment, settings)
    rest = RayRest(cluster.locate)
    state = SqlStateStore(database, settings.environment, sound(KINDS))

    @functools.cache
    def tenant() -> Tenant:
        return Tenant(settings.environment, storage, cluster.owner(state))

    sources = GitSources(source, Contents(settings.folder / "sources"), TrackedFiles(), storage, WORKTREE)
    ports = Ports(
        state=state,
        registry=SqlModelRegistry(database, settings.environment),
        source=source,
        writer=followed.writer,
        code=CodeArchive(source, storage),
        runs=RayJobs(rest, tenant, clock),
        serving=RayServe(rest, tenant, alone=cluster.alone),
        online=_online(environment, settings, storage),
        tables=DeltaTables(),
        sources=sources,
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
        read=_reader(source, ports, sources, settings, cache),
        clock=clock,
        dry_runs=dry_runs,
        hurry=followed.hurry,
        environment=environment,
        told=opening.note,
        accepted=_keeping(kept, environment),
        uncommitted=_uncommitted(settings),
        examine=_examiner(source, settings),
        aside=asides(settings, clock),
        mirror=mirrors(settings),
    )


@contextmanager
def _state_of(environment: EnvironmentSpec, settings: Settings) -> Iterator[StateStore]:
    database = _database(environment, replace(settings, creates=False))
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
        return in_force(state) is not None


def _valid(commit: str, source: GitSource, settings: Settings, cache: ParseCache) -> bool:
    """Whether all of it can be read and is free of mistakes."""
    try:
        read_snapshot(
            source, commit, settings.specs, settings.environment, KINDS, cache=cache, premises=settings.premises
        )
    except MlopsError:
        return False
    return True


def _keeping(kept: AcceptedEnvironment, opened: EnvironmentSpec) -> Callable[[Snapshot], None]:
    """Notes the Environment of each commit that takes effect, unless it is about a place where nobody is yet."""

    def keep(loaded: Snapshot) -> None:
        if not moved(opened, loaded.environment):
            kept.keep(loaded.commit, loaded.environment)

    return keep


def _uncommitted(settings: Settings) -> Callable[[Mapping[Ref, Desired[Any]]], Uncommitted | None]:
    def look(desired: Mapping[Ref, Desired[Any]]) -> Uncommitted | None:
        data, rest = files_of(desired, KINDS, settings.specs)
        found = uncommitted(settings.root, data | rest) if settings.follows_here else None
        patterns = [parts_of(path) for path in data]
        return uncommitted_of(*found, lambda file: any(fits(file, path) for path in patterns)) if found else None

    return look


def _examiner(source: GitSource, settings: Settings) -> Examine:
    examiner, root = Examiner(Memory(settings.folder / "cache")), settings.root

    def examine(before: Snapshot | None, after: Snapshot) -> tuple[Problem, ...]:
        tree: Tree = WorkTree(root) if after.commit == WORKTREE else CommitTree(source, after.commit)
        found = examiner.changed(before, after, tree)
        for unseen in found.unseen:
            log.warning("commit %s: not looked at: %s", after.commit[:7], unseen)
        return found.errors

    return examine


def dry_runs(live: Ports) -> MakeDryRun:
    """Worlds in memory that stand where ``live`` does."""

    def world(now: datetime, seconds: Callable[[RunSpec], float]) -> DryRun:
        clock = Clock(now)
        ports = dry_run(live, clock)
        return DryRun(ports, DataPlane(ports.runs, ports.serving, ports.tables, ports.online, clock, seconds), clock)

    return world


def mirrors(settings: Settings) -> Callable[[str], TrackingMirror]:
    """Mirrors of the environment's registry by their addresses. The files of a SQLite database lie beside it."""

    def make(address: str) -> TrackingMirror:
        path = database_path(address)
        if path is None:
            return MlflowMirror(address, settings.environment)
        file = entered(path, Use.DATABASE, settings.premises)
        return MlflowMirror(sqlite_url(file), settings.environment, file.with_name(f"{file.stem}-artifacts"))

    return make


def asides(settings: Settings, clock: Callable[[], datetime]) -> MakeAside:
    """Ports for work beside an environment. What is to run of files on disk is published like that of a commit."""

    def make(live: Ports, records: Iterable[Record], commit: str) -> Ports:
        here = commit == WORKTREE
        code = CodeArchive(WorktreeSource(settings.root), live.storage) if here else live.code
        return aside(live, records, code, clock)

    return make


_SIGNED_ONLY = "only commits that are signed take effect (MLOPS_ALLOWED_SIGNERS), and the controller signs none"


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
    doubt = "" if settings.allowed_signers is None else _SIGNED_ONLY

    def author() -> Author:
        return named or configured_author(source.git)

    writes = partial(GitWriter, author=author, clock=clock, revision=settings.revision, doubt=doubt)
    if address is None or not is_remote(address):
        root, folder = settings.root / (address or ""), settings.source_folder or None
        source = GitSource(root, folder=folder, signers=signers)
        return _Followed(source, writes(source, LocalBranches(source)))
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

    writer = writes(source, RemoteBranches(mirror))
    return _Followed(source, writer, mirror.hurry, refresh if settings.fresh else lambda: None)


def _reader(source: GitSource, ports: Ports, sources: GitSources, settings: Settings, cache: ParseCache) -> Read:
    """Reads a commit, or the files on disk; files that did not change between commits are parsed once. What was
    accepted by an earlier version is read all the same, though it would not be any more."""
    root, storage = str(settings.root), ports.storage

    def snapshot_of(commit: str, premises: Premises | None) -> Snapshot:
        here = commit == WORKTREE
        return read_snapshot(
            WorktreeSource(root) if here else source, commit, settings.specs, settings.environment, KINDS, root=root,
            storage=storage, cache=ParseCache() if here else cache, premises=premises, tree=sources.tree(root, commit),
        )  # fmt: skip

    def read(commit: str) -> Snapshot:
        if commit == WORKTREE:
            return snapshot_of(commit, settings.premises)
        try:
            snapshot = snapshot_of(commit, settings.premises)
        except UnsafeError:
            if not any(one.accepted and one.commit == commit for one in revisions(ports.state)):
                raise
            snapshot = snapshot_of(commit, None)
        return replace(snapshot, subject=source.subject(commit))

    return read


def _storage(environment: EnvironmentSpec, settings: Settings) -> str:
    """Where files lie, as a path or a URL. Raises ConfigurationError where a link leads elsewhere."""
    path = local_path(environment.storage)
    if path is None:
        return environment.storage
    file = entered(path, Use.STORAGE, settings.premises)
    return environment.storage if "://" in environment.storage else str(file)


def _online(environment: EnvironmentSpec, settings: Settings, storage: str) -> OnlineCatalog:
    """Nothing is connected to before it is asked. Environments that share a store each have a space of their own.
    Raises ConfigurationError where a link leads elsewhere, or nothing is installed that could speak to it."""
    address = environment.onlineStore
    path = database_path(address)
    if path is not None:
        address = f"sqlite:///{entered(path, Use.DATABASE, settings.premises)}"
    space = f"{settings.environment}-{short_hash([storage, settings.environment])}"
    try:
        return open_store(OnlinePlace(store=address, space=space))
    except TerminalError as error:
        raise ConfigurationError(str(error)) from error


def _database(environment: EnvironmentSpec, settings: Settings) -> StateDatabase:
    """Raises ConfigurationError where it cannot be opened, its password is missing, or a link leads elsewhere."""
    asked = environment.database
    path, reference = database_path(asked.url), asked.passwordFrom
    if path is not None:
        entered(path, Use.DATABASE, settings.premises)
    password = secret(reference.env, reference.file, settings.premises) if reference is not None else None
    return open_database(asked.url, str(settings.root), password=password, create=settings.creates)
