"""BatchInference: predictions for a whole table. Part of the language; this version does not execute it."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.batch_inference.spec import CATEGORIES, BatchInferenceSpec
from framework.kinds.feature_view.columns import columns_of
from framework.kinds.model_deployment.named_version import borrowed, misnamed
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.changes import Change, Desired, Status
from framework.planning.grammar.kind import Borrowed, Claim, CrossProblem, Kind, Needs, Reference
from framework.planning.plan.outcomes import removed, unsupported


def _plan(desired: Desired[BatchInferenceSpec] | None, observed: Ref, status: Status | None, now: datetime) -> Change:
    if desired is None:
        return removed(observed)
    return unsupported(desired, CATEGORIES, ("spec",), status, now)


def _references(spec: BatchInferenceSpec) -> tuple[Reference, ...]:
    return (
        Reference(Ref("TrainingJob", spec.model.training), "spec.model.training"),
        Reference(Ref("FeatureView", spec.input.view), "spec.input.view"),
    )


def _borrows(spec: BatchInferenceSpec) -> tuple[Borrowed, ...]:
    return borrowed(spec.model)


def _unsupported(spec: BatchInferenceSpec) -> tuple[str, ...]:
    return ("spec",)


def _check(spec: BatchInferenceSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    """The rows come with the columns of the spine; the other views are joined as in training."""
    training = specs.get(Ref("TrainingJob", spec.model.training))
    if not isinstance(training, TrainingJobSpec):
        return ()
    known, view, job = columns_of(specs, spec.input.view), spec.input.view, spec.model.training
    return (
        *misnamed(spec.model, training),
        *(
            CrossProblem(
                "spec.input.view", f"FeatureView/{view} has no column {column!r}, which TrainingJob/{job} learns from"
            )
            for column in training.dataset.columns
            if column not in known
        ),
    )


def _claims(spec: BatchInferenceSpec) -> tuple[Claim, ...]:
    """A folder holds the output of one job, and no other one's inside."""
    path = spec.output.path.rstrip("/")
    parts = path.split("/")
    above = tuple("/".join(parts[:depth]) for depth in range(1, len(parts)))
    return (Claim("spec.output.path", path, f"writes to {path} already", above),)


def needs(spec: BatchInferenceSpec) -> Needs:
    resources = spec.resources
    return Needs(resources.workers * resources.cpusPerWorker, resources.workers * resources.gpusPerWorker)


def _consumes(spec: BatchInferenceSpec) -> Mapping[Ref, frozenset[str] | None]:
    return {Ref("FeatureView", spec.input.view): None}


KIND = Kind(
    name="BatchInference",
    spec=BatchInferenceSpec,
    categories=CATEGORIES,
    plan=_plan,
    references=_references,
    borrows=_borrows,
    unsupported=_unsupported,
    check=_check,
    claims=_claims,
    workload_version="1",
    rebuild=Category.RELOAD,
    needs=needs,
    sized_by="spec.resources",
    consumes=_consumes,
)
