"""What a version of a model is trained on, and named by. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from framework.api.meta import Ref
from framework.kinds.feature_view.observed import Published
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.build import build_name
from framework.planning.grammar.changes import Desired
from framework.ports import Json, ReadTable

RENEWS = "dataset.refresh"
"""The field of a spec that asks for another build of the same, on the data of its day."""


def consumes(spec: TrainingJobSpec) -> Mapping[Ref, frozenset[str] | None]:
    """The spine gives its label and the columns that are named; each view what is named, or all it has. Columns that
    parts are made by may come from any of them."""
    dataset, evaluation = spec.dataset, spec.evaluation
    parts = {*(item.by for item in evaluation.slices), *(item.attribute for item in evaluation.fairness)}
    parts |= {name for one in evaluation.metrics for name in one.columns}
    group = {name for name in (dataset.split.group, dataset.query, dataset.weight) if name}
    found: dict[Ref, frozenset[str] | None] = {
        Ref("FeatureView", dataset.spine): frozenset({*dataset.columns, dataset.label, *group, *parts})
    }
    for feature in dataset.features:
        ref = Ref("FeatureView", feature.view)
        before = found.get(ref, frozenset())
        found[ref] = None if feature.columns == "all" or before is None else before | frozenset(feature.columns)
    return found


def read_of(spec: TrainingJobSpec, views: Mapping[str, Published]) -> dict[str, ReadTable]:
    """The versions as this job reads them, by view: a column that it does not read makes no difference."""
    used = consumes(spec)
    return {name: view.read(used.get(Ref("FeatureView", name))) for name, view in views.items()}


def wanted(desired: Desired[TrainingJobSpec], views: Mapping[str, Published]) -> str:
    """The name of what would be trained now."""
    data: dict[str, Json] = {
        name: read.content or [read.uri, read.version] for name, read in read_of(desired.spec, views).items()
    }
    return build_name(desired.recipe, data)


def newer_data(spec: TrainingJobSpec, read: Mapping[str, ReadTable], views: Mapping[str, Published]) -> tuple[str, ...]:
    """The views that hold something else now than a version was trained on, where that can be told, sorted."""
    now = read_of(spec, {name: view for name, view in views.items() if name in read})
    return tuple(sorted(name for name, table in now.items() if _moved_on(read[name], table)))


def _moved_on(before: ReadTable, now: ReadTable) -> bool:
    if before.content and now.content:
        return before.content != now.content
    return before.uri == now.uri and before.version < now.version
