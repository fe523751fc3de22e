"""What would come of training jobs at a commit, without doing any of it. Reads only, and asks no Ray."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controllers.kinds.tables import published, published_view
from controllers.kinds.training_job import code_files
from controllers.revision.snapshot import Snapshot
from framework.api.errors import ConfigurationError, MlopsError
from framework.api.meta import Ref
from framework.api.nearest import did_you_mean
from framework.kinds.feature_view.observed import Published
from framework.kinds.training_job.build import newer_data, read_of, wanted
from framework.kinds.training_job.gates import best, failed, judged
from framework.kinds.training_job.observed import TrainingJobState
from framework.kinds.training_job.plan import run_name
from framework.kinds.training_job.recipe import KeptRecipe, kept_recipe, recipe_of
from framework.kinds.training_job.spec import CATEGORIES
from framework.planning.grammar.changes import Desired, FieldDiff
from framework.planning.grammar.diff import diff
from framework.planning.grammar.remembered import state_of, status_of
from framework.planning.reports.training import (
    CodeMoved,
    Nearness,
    Training,
    TrainingOutlook,
    ViewNow,
    files_moved,
    nearest,
    views_moved,
)
from framework.ports import ModelVersion, Ports, ReadTable, ReadView, TableState

JOB = "TrainingJob"


def outlooks(loaded: Snapshot, ports: Ports, name: str | None = None) -> tuple[TrainingOutlook, ...]:
    """Of each training job of a commit, or of that of ``name``, in the order of their names.

    Raises:
        ConfigurationError: the commit has no such training job.
        MlopsError: what is on record cannot be read.
    """
    jobs = jobs_of(loaded)
    if name is not None:
        jobs = {name: job_named(jobs, name)}
    tables = _Tables(ports)
    return tuple(_outlook(jobs[one], ports, tables) for one in sorted(jobs))


def jobs_of(loaded: Snapshot) -> dict[str, Desired[Any]]:
    """The training jobs of a commit, by name."""
    return {ref.name: asked for ref, asked in loaded.desired.items() if ref.kind == JOB}


def job_named(jobs: Mapping[str, Desired[Any]], name: str) -> Desired[Any]:
    """Raises ConfigurationError where there is none of that name."""
    if name not in jobs:
        known = f"it has {', '.join(sorted(jobs))}" if jobs else "it has none"
        told = f"the commit has no training job {name!r}{did_you_mean(name, sorted(jobs))}; {known}"
        raise ConfigurationError(told)
    return jobs[name]


def views_to_read(asked: Desired[Any], ports: Ports) -> dict[str, ReadView]:
    """The versions of its views that a training job would read now, with what their columns mean.

    Raises:
        ConfigurationError: one is not published as the commit asks for it.
    """
    views = {item.name: published_view(item, identity, ports) for item, identity in asked.upstream.items()}
    ready = {name: view for name, view in views.items() if view is not None}
    missing = sorted(name for name in views if name not in ready)
    if missing:
        told = f"{asked.ref} reads {', '.join(f'FeatureView/{name}' for name in missing)}, not published as commit"
        raise ConfigurationError(f"{told} {asked.commit[:7]} asks for: run mlopsctl reconcile")
    reads = read_of(asked.spec, ready)
    return {name: ReadView(**dict(reads[name]), **view.meaning, columns=view.columns) for name, view in ready.items()}


def published_table(view: str, version: int | None, ports: Ports) -> ReadView:
    """A FeatureView as it is published now (None), or an earlier version of the same table.

    Raises:
        ConfigurationError: it is not published, or that version is not on record any more.
        TransientError: the table cannot be read now.
    """
    ref = Ref("FeatureView", view)
    now = published(ref, ports)
    if now is None:
        raise ConfigurationError(f"{ref} is not published: nothing is on record of it in this environment")
    if version is None or version == now.version:
        return ReadView(**dict(now.read()), **now.meaning, columns=now.columns)
    known = {item.version: item for item in ports.tables.versions(now.uri)}
    if version not in known:
        told = ", ".join(map(str, sorted(known))) or "none"
        raise ConfigurationError(f"{ref} has no version {version} on record at {now.uri}; it has {told}")
    then = known[version]
    return ReadView(
        uri=now.uri, version=version, identity=then.identity, build=then.build, **now.meaning,
        columns=then.columns or now.columns,
    )  # fmt: skip


@dataclass
class _Tables:
    """The logs of tables, each read once."""

    ports: Ports
    known: dict[str, Mapping[int, TableState]] = field(default_factory=dict)

    def rows(self, read: ReadTable) -> int | None:
        """None where that version is not on record any more, or the table cannot be read now."""
        if read.uri not in self.known:
            try:
                self.known[read.uri] = {item.version: item for item in self.ports.tables.versions(read.uri)}
            except MlopsError:
                self.known[read.uri] = {}
        found = self.known[read.uri].get(read.version)
        return None if found is None else found.rows

    def views(self, reads: Mapping[str, ReadTable]) -> dict[str, ViewNow]:
        return {name: ViewNow(read, self.rows(read)) for name, read in reads.items()}


def _outlook(asked: Desired[Any], ports: Ports, tables: _Tables) -> TrainingOutlook:
    ref, registry = asked.ref, ports.registry
    views = {item.name: published_view(item, identity, ports) for item, identity in asked.upstream.items()}
    ready = {name: view for name, view in views.items() if view is not None}
    version = best(asked.spec.evaluation, tuple(registry.builds(ref.name, asked.identity)))
    if version is not None:
        newer = newer_data(asked.spec, version.read, ready)
        return TrainingOutlook(ref, Training.HIT, version.version, version, _failed(asked, version), newer)
    missing = tuple(Ref("FeatureView", name) for name in sorted(views) if name not in ready)
    build = "" if missing else wanted(asked, ready)
    equal = registry.get(ref.name, build) if build else None
    if equal is not None:
        return TrainingOutlook(ref, Training.HIT, build, equal, _failed(asked, equal))
    word = Training.WAITS if missing else Training.RUNNING if _begun(asked, build, ports) else Training.MISS
    near = nearest(_compared(asked, ready, missing, ports, tables))
    return TrainingOutlook(ref, word, build, waits_for=missing, nearest=near)


def _failed(asked: Desired[Any], version: ModelVersion) -> tuple[str, ...]:
    return tuple(failed(judged(asked.spec.evaluation, version)))


def _begun(asked: Desired[Any], build: str, ports: Ports) -> bool:
    status = status_of(ports.state.load(asked.ref))
    return state_of(status, TrainingJobState).run == run_name(asked.ref.name, build)


def _compared(
    asked: Desired[Any], ready: Mapping[str, Published], missing: tuple[Ref, ...], ports: Ports, tables: _Tables
) -> Iterator[Nearness]:
    """What git asks for beside each version, newest first."""
    versions = ports.registry.versions(asked.ref.name)
    if not versions:
        return
    recipe = KeptRecipe.model_validate(recipe_of(asked, code_files(asked.code, ports)))
    now = tables.views(read_of(asked.spec, ready))
    for model in versions:
        kept = kept_recipe(model)
        fields, code = (None, None) if kept is None else (_fields(kept, recipe), _code(kept, recipe))
        data = None if missing or not model.read else views_moved(tables.views(model.read), now)
        same = kept is not None and not fields and not code
        yield Nearness(
            model, fields, code, data,
            parameters=_parameters(model, recipe.spec) if kept is None else (),
            workload=same and kept is not None and kept.name != recipe.name,
        )  # fmt: skip


def _parameters(model: ModelVersion, spec: Mapping[str, Any]) -> tuple[FieldDiff, ...]:
    """Of a version that keeps no spec: the trainer's parameters that both know and no search chose, and the seed."""
    ((trainer, chosen),) = spec["trainer"].items()
    searched = (spec.get("tune") or {}).get("search", {})
    asked = {name: value for name, value in (chosen.get("params") or {}).items() if name not in searched}
    before = {name: model.parameters[name] for name in asked if name in model.parameters}
    old: dict[str, Any] = {"trainer": {trainer: {"params": before}}}
    new: dict[str, Any] = {"trainer": {trainer: {"params": {name: asked[name] for name in before}}}}
    if "seed" in model.lineage:
        old["seed"], new["seed"] = model.lineage["seed"], spec.get("seed", 0)
    return diff(old, new, CATEGORIES)


def _fields(before: KeptRecipe, after: KeptRecipe) -> tuple[FieldDiff, ...]:
    found = diff(before.spec, after.spec, CATEGORIES)
    return tuple(item for item in found if item.category.rebuilds)


def _code(before: KeptRecipe, after: KeptRecipe) -> tuple[CodeMoved, ...]:
    old, new = before.code, after.code
    if (old and old.digest) == (new and new.digest):
        return ()
    known = (old is None or bool(old.files)) and (new is None or bool(new.files))
    files = files_moved(old.files if old else {}, new.files if new else {}) if known else None
    return (CodeMoved(old.digest if old else "", new.digest if new else "", files),)
