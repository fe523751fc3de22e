"""What a TrainingJob leaves behind: model versions in the registry, and what these were made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controllers.kinds import tables
from controllers.kinds.observer import Specs
from controllers.kinds.trail import LineagePart, Trail, code
from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.training_job.gates import best, failed, judged
from framework.kinds.training_job.observed import TrainingJobState
from framework.planning.admission.restore import Kept
from framework.planning.grammar.changes import Desired
from framework.planning.reports.lineage import Node, Sort
from framework.ports import Ports, Record


def left(asked: Desired[Any], specs: Specs, ports: Ports) -> Kept:
    model = best(asked.spec.evaluation, ports.registry.builds(asked.ref.name, asked.identity))
    if model is None:
        message = f"no build of {asked.ref.name} {asked.identity} is in the registry: it is trained again"
        return Kept(False, message, Category.RETRAIN)
    name, wrong = f"{asked.ref.name}@{model.version}", failed(judged(asked.spec.evaluation, model))
    if wrong:
        return Kept(False, f"{name} failed its gates: {'; '.join(wrong)}", blocked=True)
    return Kept(True, name, version=model.version)


def job(training: str) -> Ref:
    """Whose versions the registry has under that name."""
    return Ref("TrainingJob", training)


def traces(record: Record, trail: Trail) -> Iterator[LineagePart]:
    """The model that git asked for last and that was trained."""
    version = trail.state(record.ref, TrainingJobState).version
    if version is not None:
        yield from of_version(record.ref.name, version, trail)


def of_version(training: str, version: str, trail: Trail) -> Iterator[LineagePart]:
    """A model version and what it was trained on, down to the sources as far as they are known."""
    found, ref = trail.model(training, version), job(training)
    if found is None:
        yield Node(Sort.MODEL, f"{training}@{version}", {"registered": False}, ref)
        return
    known = found.lineage
    facts: dict[str, Any] = {
        "deployable": found.deployable,
        "metrics": dict(sorted(found.metrics.items())),
        "sha256": found.sha256,
        "run": known.get("run"),
        "dataset": known.get("dataset"),
        "seed": known.get("seed"),
        "rows": known.get("rows"),
        "created": found.created.isoformat(),
        "commit": found.commit,
        "artifact": found.artifact,
    }
    told = {key: value for key, value in facts.items() if value not in (None, {})}
    model = Node(Sort.MODEL, f"{training}@{version}", told, ref)
    yield model
    yield from trail.commit(found.commit, model.id, "code and spec at")
    asked = trail.asked.get(ref)
    if asked is not None and trail.state(ref, TrainingJobState).build_of(asked.identity) == version:
        yield from code(asked.code, model.id)
    yield from tables.read(found.read, model.id, trail)
