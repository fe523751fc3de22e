"""A plan from one commit to another, out of a checkout alone: no cluster, no state store, nothing heavy to load.

Beside controllers.host.wiring the only place that knows a backend: the repository.
"""

from __future__ import annotations

import logging
from datetime import datetime

from controllers.commands import plans
from controllers.examination import Examiner, Memory
from controllers.examination.trees import CommitTree, Tree, WorkTree
from controllers.revision import acceptance
from controllers.revision.acceptance import Terms
from controllers.revision.snapshot import Snapshot
from controllers.settings import Settings
from framework.api.errors import SpecError
from framework.api.places import Premises
from framework.backends.git.remote import is_remote
from framework.backends.git.signatures import Signers
from framework.backends.git.source import GitSource
from framework.backends.git.tracked import TrackedFiles
from framework.kinds import KINDS
from framework.planning.grammar.changes import Plan
from framework.planning.plan.planner import unread_plan
from framework.ports import SpecSource
from framework.sources.contents import Contents
from framework.sources.trees import CommittedData, DataOnDisk, DataTree
from framework.specs.cache.parse_cache import ParseCache, cache_for
from framework.specs.read import read_snapshot
from framework.specs.worktree import WORKTREE, WorktreeSource

log = logging.getLogger(__name__)


def plan_between(settings: Settings, base: str, head: str | None, now: datetime) -> Plan:
    """What changes from ``base`` to ``head`` (None: what is followed; ``worktree``: the files as they are on disk).

    Where ``base`` itself is wrong nothing can be compared with it: everything is new then, and a warning says why.

    Raises:
        SpecError: ``head`` is wrong.
        ConfigurationError: one of them is unknown.
    """
    source, followed = _checkout(settings)
    cache = cache_for(settings.root, "framework.kinds:KINDS")
    commit = source.resolve(base)
    planned = head if head == WORKTREE else source.resolve(head or followed)
    terms = Terms(settings.allow_prune, signed=settings.allowed_signers is not None and planned != WORKTREE)
    signature = source.signature(planned) if terms.signed else None
    unsigned = acceptance.distrust(settings.environment, planned, None, True, signature, terms)
    if unsigned:
        return unread_plan(settings.environment, planned, commit, unsigned, now, live=False)
    tree: Tree
    data = CommittedData(source)
    if planned == WORKTREE:
        worktree = WorktreeSource(settings.root)
        on_disk = DataOnDisk(str(settings.root), Contents(settings.folder / "sources"), TrackedFiles())
        after = _read(worktree, WORKTREE, settings, ParseCache(), settings.premises, on_disk)
        tree = WorkTree(settings.root)
    else:
        after = _read(source, planned, settings, cache, settings.premises, data)
        tree = CommitTree(source, after.commit)
    before = after if after.commit == commit else _base(source, commit, settings, cache, data)
    plan = plans.between(settings.environment, before, after, KINDS, now, terms)
    found = Examiner(Memory(settings.folder / "cache")).changed(before, after, tree)
    if found.errors:
        raise SpecError((*acceptance.problems(plan.refusals, planned, after), *found.errors))
    for unseen in found.unseen:
        log.warning("not looked at: %s", unseen)
    return plan


def snapshot_at(settings: Settings, head: str) -> Snapshot:
    """What a commit on this machine asks for, or ``worktree``: the files as they are on disk.

    Raises:
        SpecError: it is wrong.
        ConfigurationError: it is unknown.
    """
    if head == WORKTREE:
        return _read(WorktreeSource(settings.root), WORKTREE, settings, ParseCache(), settings.premises)
    source, _ = _checkout(settings)
    cache = cache_for(settings.root, "framework.kinds:KINDS")
    return _read(source, source.resolve(head), settings, cache, settings.premises)


def _checkout(settings: Settings) -> tuple[GitSource, str]:
    """The repository on this machine, and what of it is planned. A remote is not asked: its checkout is enough."""
    signers = Signers(settings.allowed_signers)
    if settings.source is None or is_remote(settings.source):
        return GitSource(settings.root, signers=signers), "HEAD" if settings.source else settings.revision
    folder = settings.source_folder or None
    return GitSource(settings.root / settings.source, folder=folder, signers=signers), settings.revision


def _base(source: SpecSource, commit: str, settings: Settings, cache: ParseCache, data: DataTree) -> Snapshot | None:
    try:
        return _read(source, commit, settings, cache, None, data)
    except SpecError as error:
        log.warning(
            "nothing can be compared with the base %s, so everything is shown as new: %s", commit[:7], error.problems[0]
        )
        return None


def _read(
    source: SpecSource,
    commit: str,
    settings: Settings,
    cache: ParseCache,
    premises: Premises | None,
    data: DataTree | None = None,
) -> Snapshot:
    return read_snapshot(
        source, commit, settings.specs, settings.environment, KINDS, cache=cache, premises=premises, tree=data
    )
