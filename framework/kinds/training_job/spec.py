"""The TrainingJob as a user writes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from framework.api.categories import Category
from framework.api.errors import FieldError
from framework.api.fields import Duration
from framework.api.meta import Name, Strict
from framework.api.trainers import Trainer
from framework.kinds.training_job.dataset import Dataset
from framework.kinds.training_job.decision import DecisionRule
from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.export import Export
from framework.kinds.training_job.resources import Checkpoint, Resources, Retries
from framework.kinds.training_job.retrain import Retrain
from framework.kinds.training_job.tuning import Tune

_LARGEST_SEED = 2**32 - 1
"""Of numpy and scikit-learn."""


def _seed(value: int) -> int:
    if not 0 <= value <= _LARGEST_SEED:
        raise FieldError(f"a seed is a whole number from 0 to {_LARGEST_SEED}, found {value}")
    return value


Seed = Annotated[
    int, AfterValidator(_seed), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _LARGEST_SEED})
]


class TrainingJobSpec(Strict):
    dataset: Dataset = Field(description="What is learned from")
    trainer: Trainer = Field(description="What fits the model; exactly one")
    tune: Tune | None = Field(None, description="A search for good parameters before the final fit; default: none")
    resources: Resources = Field(Resources(), description="What one run takes from the cluster")
    seed: Seed = Field(0, description="Of everything random: splits, searches and fits")
    decision: DecisionRule | None = Field(
        None, description="For a binary label: from which probability on a row counts as positive; default: 0.5, unsaid"
    )
    evaluation: Evaluation = Field(Evaluation(), description="What a model must achieve to be deployable")
    export: Export = Field(Export(), description="Other forms of the model that may serve in its place")
    checkpoint: Checkpoint = Field(Checkpoint(), description="What a run goes on from where a worker dies")
    retries: Retries = Field(Retries(), description="What happens when a run's process is lost")
    timeout: Duration | None = Field(None, description="A run that takes longer is stopped and fails; default: none")
    retrain: Retrain | None = Field(
        None, description="When to train again though nothing in git changed; default: never"
    )
    aliases: dict[Name, str] = Field(
        {},
        max_length=50,
        description="Names of your own for versions, which deployments may ask for: each stands for a version, latest, "
        "or another alias",
    )
    deletion: Literal["keep", "delete"] = Field(
        "keep", description="What happens to the model versions when the spec leaves git"
    )


CATEGORIES = {
    "": Category.RETRAIN,
    "retries": Category.METADATA,
    "timeout": Category.METADATA,
    "retrain": Category.METADATA,
    "deletion": Category.METADATA,
    "aliases": Category.METADATA,
    "resources.labels": Category.METADATA,
    "evaluation": Category.METADATA,
}
"""Gates judge a model that exists already; what else is measured is measured in the run."""
CATEGORIES |= {
    f"evaluation.{name}": Category.RETRAIN
    for name in ("slices", "fairness", "robustness", "metrics", "costs", "crossValidation")
}
