"""What a TrainingJob leaves behind: a model version of each identity, in the registry."""

from __future__ import annotations

from typing import Any

from controllers.kinds.observer import Specs
from framework.api.categories import Category
from framework.kinds.training_job.gates import judge
from framework.planning.admission.restore import Kept
from framework.planning.grammar.changes import Desired
from framework.ports import ModelVersion, Ports


def left(asked: Desired[Any], specs: Specs, ports: Ports) -> Kept:
    models = ports.registry.builds(asked.ref.name, asked.identity)
    if not models:
        message = f"no build of {asked.ref.name} {asked.identity} is in the registry: it is trained again"
        return Kept(False, message, Category.RETRAIN)
    passing = next((model for model in models if not _failed_gates(asked, model)), None)
    if passing is None:
        name, failed = f"{asked.ref.name}@{models[0].version}", _failed_gates(asked, models[0])
        return Kept(False, f"{name} failed its gates: {'; '.join(failed)}", blocked=True)
    return Kept(True, f"{asked.ref.name}@{passing.version}", version=passing.version)


def _failed_gates(asked: Desired[Any], model: ModelVersion) -> list[str]:
    known = model.lineage
    rows = judge(
        asked.spec.evaluation,
        model.metrics,
        known.get("champion_metrics"),
        known.get("slices", ()),
        known.get("champion_problem"),
    )
    return [row["message"] for row in rows if not row["passed"]]
