"""What the branch's models are worth, before it is merged: its views and training jobs, built beside the environment.

The real loop on the real runs, tables and files, with a store and a registry of its own in memory. What is built is
named by what it is, so the controller finds it once the branch is merged, and the next preview does before that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from controllers.commands import plans
from controllers.commands.project import Project
from controllers.commands.rehearsal import AsideReconciler, AsideRuns, AsideSource, AsideTables, OthersHold
from controllers.kinds.served import uses
from controllers.kinds.training_job import champion
from controllers.loop.manager import Manager
from controllers.loop.reconciler import Result
from controllers.revision import acceptance
from controllers.revision.snapshot import Snapshot
from controllers.runtime.backoff import Backoff
from framework import storage
from framework.api import layout
from framework.api.errors import ConfigurationError, MlopsError, SpecError
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import FeatureViewState
from framework.kinds.feature_view.plan import run_name
from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.gates import best
from framework.kinds.training_job.observed import TrainingJobState
from framework.kinds.training_job.plan import WORKLOAD
from framework.planning.grammar.changes import Change, Desired, Status
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.grammar.reasons import PUBLISHED
from framework.planning.grammar.remembered import state_of, status_of
from framework.planning.grammar.snapshot import same_meaning
from framework.planning.reports.convergence import EnvironmentHealth
from framework.planning.reports.models import ModelRow, model_row
from framework.planning.reports.preview import (
    PreviewCost,
    PreviewedJob,
    PreviewedView,
    PreviewOutcome,
    PreviewReport,
    beside,
    differences,
    worst_first,
)
from framework.ports import ModelVersion, Ports, RunSpec, TrainRequest
from framework.specs.worktree import WORKTREE

log = logging.getLogger(__name__)

VIEW, JOB = "FeatureView", "TrainingJob"
HOLDER = "preview"
_FOREVER = timedelta(days=365)
_PACE = timedelta(seconds=0.2)
_CARDS = ("README.md", "card.html")


@dataclass(frozen=True)
class Branch:
    """``asked`` is what is built, by reference, in dependency order: of ``changed`` what the environment has not
    published, and what that reads. ``apart`` are views that get a folder of their own."""

    before: Snapshot
    after: Snapshot
    changed: tuple[Ref, ...]
    asked: Mapping[Ref, Desired[Any]]
    apart: frozenset[Ref]
    changes: Mapping[Ref, Change]


def branch(project: Project, base: str, head: str) -> Branch:
    """What ``head`` (a revision, or ``worktree``) would build that ``base`` does not.

    Raises:
        SpecError: one of them is wrong, or ``head`` would be refused.
        ConfigurationError: one of them is unknown; ``head`` is signed by nobody trusted.
    """
    source, settings = project.ports.source, project.settings
    if head == WORKTREE and not settings.follows_here:
        raise ConfigurationError("the files on disk are not those of the repository that is followed: name a commit")
    commit = head if head == WORKTREE else source.resolve(head)
    _ensure_trusted(project, commit)
    before = project.read(source.resolve(base))
    after = project.read(commit)
    compared = plans.compared(settings.environment, before, after, project.kinds)
    refused = acceptance.refusals(
        settings.environment, before, after, compared.changes, (), project.kinds, project.environment, project.terms
    )
    problems = (*acceptance.problems(refused, commit, after), *project.examine(before, after))
    if problems:
        raise SpecError(problems)
    changed = tuple(
        ref
        for ref, asked in after.desired.items()
        if ref.kind in (VIEW, JOB) and not same_meaning(before.desired.get(ref), asked)
    )
    wanted, apart = _wanted(project, after, changed)
    return Branch(before, after, changed, wanted, apart, {change.ref: change for change in compared.changes})


def _ensure_trusted(project: Project, commit: str) -> None:
    """Code of the branch runs on the cluster. Raises ConfigurationError where no trusted signer vouches for it."""
    if not project.terms.signed:
        return
    if commit == WORKTREE:
        raise ConfigurationError("only signed commits may run here, and nobody has signed the files on disk")
    signature = project.ports.source.signature(commit)
    doubts = acceptance.distrust(project.settings.environment, commit, None, True, signature, project.terms)
    if doubts:
        raise ConfigurationError("; ".join(doubt.message for doubt in doubts))


def _wanted(
    project: Project, after: Snapshot, changed: tuple[Ref, ...]
) -> tuple[Mapping[Ref, Desired[Any]], frozenset[Ref]]:
    """What has to be looked at, and which views of it lie in a folder of their own: where readers of the environment
    have the folder, its newest version must stay theirs."""
    recorded = project.ports.state.recorded()
    published = {
        record.ref: state_of(status_of(record), FeatureViewState).published
        for record in recorded.readable
        if record.ref.kind == VIEW
    }
    needed, pending = set(changed), list(changed)
    while pending:
        above = [ref for ref in after.desired[pending.pop()].upstream if ref not in needed]
        needed.update(above)
        pending += above
    wanted: dict[Ref, Desired[Any]] = {}
    apart = set[Ref]()
    for ref, asked in after.desired.items():
        there = published.get(ref)
        if ref not in needed or (there is not None and there.identity == asked.identity):
            continue
        folder = layout.feature_table(asked.storage, ref.name, asked.recipe)
        if ref.kind == VIEW and (ref in recorded.unreadable or (there is not None and there.uri == folder)):
            asked = replace(asked, recipe=short_hash([HOLDER, asked.recipe, asked.identity]))
            apart.add(ref)
        wanted[ref] = asked
    return wanted, frozenset(apart)


def preview(
    project: Project,
    asked: Branch,
    *,
    timeout: timedelta,
    listen: Callable[[Result], None] = lambda result: None,
    prepare: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
    steady: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> PreviewReport:
    """Build it and wait, ``timeout`` at most. Nothing of the environment changes but that runs, tables and models of it
    are there. ``prepare`` is called before the first run; ``pause`` waits for so many seconds of ``steady``."""
    started = steady()
    live = project.ports
    records = [record for record in live.state.records() if record.ref not in asked.asked]
    ports = project.aside(live, records, asked.after.commit)
    runs = AsideRuns(live.runs, prepare, lambda run: _beside_live(run, ports))
    ports = replace(ports, runs=runs, tables=AsideTables(live.tables))
    lease = ports.state.acquire(HOLDER, _FOREVER.total_seconds(), project.clock())
    assert lease is not None  # a store of our own
    loaded = replace(asked.after, desired=asked.asked)
    # What the branch says of quotas and of rest holds once it is merged; until then the base's word does.
    rules = acceptance.rules(loaded, asked.before.environment, asked.after)
    reconciler = AsideReconciler(
        ports, project.kinds, project.observers, project.clock, lambda: lease.token, HOLDER, lambda: rules
    )
    held = OthersHold(live.state, reconciler.ledger, asked.asked.keys(), rules, steady)
    manager = Manager(
        reconciler, AsideSource(loaded, rules), Backoff(lambda: 1.0), workers=0, poll=_FOREVER, resync=None,
        listen=listen, first=held.look, steady=steady,
    )  # fmt: skip
    while True:
        soonest = manager.step()
        health = manager.environment_health()
        over = health.settled and (not health.held or rules.suspend)
        if over or steady() - started >= timeout.total_seconds() or (stop is not None and stop.is_set()):
            break
        pause(min(max(soonest or _PACE, timedelta(seconds=0.05)), _PACE).total_seconds())
    told = _Told(project, asked, ports, runs, health, rules.suspend)
    return told.report(steady() - started)


def _beside_live(run: RunSpec, ports: Ports) -> RunSpec:
    """A training run that asks what serves now the same test rows, also where no gate wants that."""
    if run.workload != WORKLOAD:
        return run
    asked = TrainRequest.model_validate(run.payload)
    live = champion(asked.training, ports, Evaluation.model_validate(asked.spec["evaluation"]).deployment)
    if live is None:
        return run
    told = {"champion": live.asked(), "compare": True}
    return replace(run, payload={**run.payload, **told})


@dataclass(frozen=True)
class _Told:
    """What came of it, by the store beside the environment."""

    project: Project
    asked: Branch
    ports: Ports
    runs: AsideRuns
    health: EnvironmentHealth
    suspended: bool

    def report(self, seconds: float) -> PreviewReport:
        refs = dict.fromkeys((*self.asked.asked, *self.asked.changed))
        after, order = self.asked.after, self.asked.after.order
        shown = sorted(refs, key=lambda ref: order[ref])
        return PreviewReport(
            self.project.settings.environment,
            self.asked.before.commit,
            after.commit,
            tuple(self._view(after.desired[ref]) for ref in shown if ref.kind == VIEW),
            tuple(self._job(after.desired[ref]) for ref in shown if ref.kind == JOB),
            seconds,
        )

    def _view(self, desired: Desired[Any]) -> PreviewedView:
        ref, status = desired.ref, status_of(self.ports.state.load(desired.ref))
        found = state_of(status, FeatureViewState).published
        there = found is not None and found.identity == desired.identity
        run = run_name(ref.name, found.name) if found is not None and there else ""
        reason, message = self._why(ref, status) if not there else ("", "")
        told = self.ports.state.events(ref, 1, reasons=(PUBLISHED,))
        seconds = told[-1].data.get("seconds") if told else None
        outcome = self._outcome(ref, run if there else None)
        return PreviewedView(
            ref, outcome, desired.file, reason, message,
            build=found.name if found is not None and there else "",
            rows=found.rows if found is not None and there else None,
            version=found.version if found is not None and there else None,
            cost=self._cost(desired, seconds) if outcome is PreviewOutcome.BUILT else None,
            apart=ref in self.asked.apart,
        )  # fmt: skip

    def _job(self, desired: Desired[Any]) -> PreviewedJob:
        ref, status = desired.ref, status_of(self.ports.state.load(desired.ref))
        state, change = state_of(status, TrainingJobState), self.asked.changes.get(desired.ref)
        version = state.build_of(desired.identity)
        model = self.ports.registry.get(ref.name, version) if version is not None else None
        run = None if model is None else str(model.lineage.get("run", ""))
        shown = PreviewedJob(ref, self._outcome(ref, run), change.diffs if change else (), desired.file)
        if model is None:
            reason, message = self._why(ref, status)
            return replace(shown, reason=reason, message=message)
        other, role = self._other(desired)
        found, figures = beside(model, other, role, same_split=self._same_split(desired, other))
        served = uses(self.ports.state, ref.name)
        row = model_row(model, served.get(f"{ref.name}@{model.version}", ()))
        return replace(
            shown, model=row, beside=found, figures=figures, gates=state.gates,
            slices=worst_first(model.lineage.get("slices") or ()),
            fairness=tuple(model.lineage.get("fairness") or ()),
            differences=differences(row, found.row if found is not None else None),
            cost=self._cost(desired, model.lineage.get("seconds")), cards=_cards(model),
        )  # fmt: skip

    def _outcome(self, ref: Ref, run: str | None) -> PreviewOutcome:
        """``run`` is the name of the one that made what is there, None where nothing is."""
        if run is not None:
            return PreviewOutcome.BUILT if run in self.runs.waited else PreviewOutcome.THERE
        stuck = (*self.health.stalled, *self.health.blocked, *(self.health.held if self.suspended else ()))
        return PreviewOutcome.FAILED if ref in stuck else PreviewOutcome.UNDER_WAY

    def _why(self, ref: Ref, status: Status | None) -> tuple[str, str]:
        """Why nothing is there, or not yet."""
        if status is None:
            return "", "nobody has come by yet"
        conditions = status.conditions
        told = next((one for one in (conditions.stalled, conditions.reconciling) if one.status), conditions.ready)
        return told.reason, told.message

    def _other(self, desired: Desired[Any]) -> tuple[ModelRow | None, str]:
        """What the new model is compared with, and what that is: what serves, else what the base asks for."""
        name, ports = desired.ref.name, self.ports
        live = champion(name, ports, desired.spec.evaluation.deployment)
        if live is not None:
            model = live.model
            return model_row(model, uses(ports.state, name).get(f"{name}@{model.version}", ())), "live"
        before = self.asked.before.desired.get(desired.ref)
        if before is None:
            return None, ""
        made = best(before.spec.evaluation, ports.registry.builds(name, before.identity))
        return (model_row(made), "base") if made is not None else (None, "")

    def _same_split(self, desired: Desired[Any], other: ModelRow | None) -> bool:
        """Whether ``other`` was made as the base says, and the base splits rows as the branch does."""
        before = self.asked.before.desired.get(desired.ref)
        if before is None or other is None:
            return False
        old, new = before.spec, desired.spec
        builds = {model.version for model in self.ports.registry.builds(desired.ref.name, before.identity)}
        return other.model.version in builds and (old.dataset, old.seed) == (new.dataset, new.seed)

    def _cost(self, desired: Desired[Any], seconds: Any) -> PreviewCost:
        needs = self.project.kinds[desired.ref.kind].needs(desired.spec)
        return PreviewCost(float(seconds) if seconds is not None else None, needs.cpus, needs.gpus)


def _cards(model: ModelVersion) -> tuple[str, ...]:
    """Where its card lies, as text and as a page; nothing for one that has none."""
    folder = model.artifact.rpartition("/")[0]
    try:
        files = storage.list_files(folder)
    except (OSError, MlopsError) as error:
        log.warning("left out: %s", error)
        return ()
    return tuple(file for name in _CARDS for file in files if file.rpartition("/")[2] == name)
