"""TrainingJob: a point-in-time training set, a search, a trained and judged model version."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import FeatureViewState
from framework.kinds.training_job.aliases import meanings
from framework.kinds.training_job.build import RENEWS, consumes, newer_data
from framework.kinds.training_job.observed import TrainingJobState
from framework.kinds.training_job.question import question
from framework.kinds.training_job.rules import problems
from framework.kinds.training_job.spec import CATEGORIES, TrainingJobSpec
from framework.kinds.training_job.versions import RUNS, VERSIONS
from framework.planning.grammar.changes import Change, Desired, Status
from framework.planning.grammar.kind import CrossProblem, Kind, Needs, Reference


def _references(spec: TrainingJobSpec) -> tuple[Reference, ...]:
    spine = Reference(Ref("FeatureView", spec.dataset.spine), "spec.dataset.spine")
    return (
        spine,
        *(
            Reference(Ref("FeatureView", feature.view), f"spec.dataset.features[{index}].view")
            for index, feature in enumerate(spec.dataset.features)
        ),
        *(
            Reference(Ref("ModelMonitor", name), f"spec.retrain.onDrift[{index}]", informs=True)
            for index, name in enumerate(spec.retrain.onDrift if spec.retrain else ())
        ),
    )


def _entrypoints(spec: TrainingJobSpec) -> Mapping[str, str]:
    fits: str | None = getattr(spec.trainer.form, "entrypoint", None)
    named = {} if fits is None else {f"spec.trainer.{spec.trainer.name}.entrypoint": fits}
    measures = enumerate(spec.evaluation.metrics)
    return {**named, **{f"spec.evaluation.metrics[{index}].entrypoint": one.entrypoint for index, one in measures}}


def _check(spec: TrainingJobSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    return tuple(problems(spec, specs))


def _remarks(spec: TrainingJobSpec) -> tuple[CrossProblem, ...]:
    window = spec.dataset.window
    if spec.retrain is None or window is None or window.to is None:
        return ()
    told = f"newer rows are not learned from: the window ends at {window.to}; window: {{last: 90d}} moves along"
    return (CrossProblem("spec.retrain", told),)


def needs(spec: TrainingJobSpec) -> Needs:
    """Of one run: the workers of its fit, or the trials that go on at a time before it, which have one worker each.
    Trials can go one after the other."""
    resources, trials = spec.resources, min(spec.tune.concurrency, spec.tune.trials) if spec.tune else 1
    fewest, most = resources.fewest, resources.most
    peak, cpus, gpus = max(most, trials), resources.cpusPerWorker, resources.gpusPerWorker
    return Needs(
        peak * cpus,
        peak * gpus,
        least=(fewest * cpus, fewest * gpus),
        accelerator=resources.accelerator,
        labels=resources.labels,
    )


def _plan(desired: Desired[Any] | None, observed: Any, status: Status | None, now: datetime) -> Change:
    from framework.kinds.training_job.plan import plan  # whoever only reads specs does without

    return plan(desired, observed, status, now)


def _behind(
    desired: Desired[Any], state: Mapping[str, Any], upstreams: Mapping[Ref, Mapping[str, Any]]
) -> tuple[Ref, ...]:
    known = TrainingJobState.model_validate(state)
    if known.build_of(desired.identity) is None:
        return ()
    views = {ref.name: FeatureViewState.model_validate(above).published for ref, above in upstreams.items()}
    ready = {name: view for name, view in views.items() if view is not None}
    return tuple(Ref("FeatureView", name) for name in newer_data(desired.spec, known.read, ready))


KIND = Kind(
    name="TrainingJob",
    spec=TrainingJobSpec,
    categories=CATEGORIES,
    plan=_plan,
    references=_references,
    entrypoints=_entrypoints,
    meanings=meanings,
    check=_check,
    remarks=_remarks,
    state=TrainingJobState,
    workload_version="1",
    rebuild=Category.RETRAIN,
    renews=RENEWS,
    unless_equal="retrains only if rows differ",
    runs=RUNS,
    versions=VERSIONS,
    question=question,
    needs=needs,
    sized_by="spec.resources",
    consumes=consumes,
    behind=_behind,
    merge_keys={"dataset.features": "view", "evaluation.gates": "metric", "evaluation.metrics": "name"},
)
