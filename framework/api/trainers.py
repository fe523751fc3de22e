"""What fits the model, as a user writes it, and what is to be known of each trainer without its library. Pure, because
the rules of specs and the workload that fits have to mean the same. Adding one: a form in a file of its own, and a line
in ``Trainer``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from framework.api.errors import FieldError
from framework.api.fields import Entrypoint, exactly_one
from framework.api.meta import Strict
from framework.api.tasks import Task
from framework.api.trainer_form import EarlyStopping, TrainerForm

_ESTIMATOR = re.compile(r"sklearn(\.\w+)+")
_ESTIMATOR_SCHEMA: dict[str, Any] = {"type": "string", "pattern": f"^{_ESTIMATOR.pattern}$"}


def _estimator(value: str) -> str:
    if _ESTIMATOR.fullmatch(value):
        return value
    below = value.removeprefix("scikit-learn.").replace(":", ".")
    likely = below if _ESTIMATOR.fullmatch(below) else f"sklearn.{below}"
    message = f"{value!r} is no class below sklearn, such as sklearn.linear_model.LogisticRegression"
    raise FieldError(message, likely if _ESTIMATOR.fullmatch(likely) and "." in below else None)


_PLAIN = frozenset({Task.BINARY, Task.MULTICLASS, Task.REGRESSION})


class SklearnTrainer(TrainerForm):
    """A scikit-learn estimator behind one-hot encoding, imputing and scaling."""

    tasks: ClassVar[frozenset[Task]] = _PLAIN
    package: ClassVar[str | None] = "sklearn"
    stops_otherwise: ClassVar[str] = (
        "estimators that can stop early do so by parameters of their own; write params: {early_stopping: true}"
    )

    estimator: Annotated[str, AfterValidator(_estimator), WithJsonSchema(_ESTIMATOR_SCHEMA)] = Field(
        description="A class below sklearn, e.g. sklearn.linear_model.LogisticRegression"
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Arguments of the class; default: its own")


class BoostedTrainer(TrainerForm):
    """What trainers of boosted trees have in common."""

    counted_by: ClassVar[str | None] = "rounds"
    together: ClassVar[bool] = True
    streams: ClassVar[bool] = True

    params: dict[str, Any] = Field(default_factory=dict, description="The library's own parameters; default: its own")
    rounds: int = Field(100, ge=1, description="Boosting rounds: how many trees")
    earlyStopping: EarlyStopping | None = Field(None, description="When to stop before; default: all rounds")


class TorchTrainer(TrainerForm):
    """A network of PyTorch, fitted by a loop that is not yours to write; a run that was interrupted goes on from its
    checkpoint."""

    tasks: ClassVar[frozenset[Task]] = _PLAIN
    counted_by: ClassVar[str | None] = "epochs"
    together: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    called_with: ClassVar[tuple[str, ...]] = ("data", "params")

    entrypoint: Entrypoint = Field(
        description="package.module:attribute, called with (data, params); returns the torch.nn.Module"
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Handed to the function as they are")
    epochs: int = Field(10, ge=1, description="How often the network sees all rows")
    earlyStopping: EarlyStopping | None = Field(None, description="When to stop before; default: all epochs")
    batchSize: int = Field(256, ge=1, description="Rows of a step at most, those of all workers together")
    learningRate: float = Field(0.001, gt=0, description="How far a step goes; a search may vary it")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="What turns gradients into steps")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: what gains by it is computed in half the bits while it learns (autocast)"
    )


class XGBoostTrainer(BoostedTrainer):
    """Boosted trees of XGBoost; a run that was interrupted goes on from its checkpoint."""

    package: ClassVar[str | None] = "xgboost"


class LightGBMTrainer(BoostedTrainer):
    """Boosted trees of LightGBM; a run that was interrupted goes on from its checkpoint."""

    package: ClassVar[str | None] = "lightgbm"


class FunctionTrainer(TrainerForm):
    """Code of your own that returns a fitted scikit-learn estimator, or a Booster of LightGBM or XGBoost."""

    called_with: ClassVar[tuple[str, ...]] = ("data", "params", "seed")
    stops_otherwise: ClassVar[str] = "the function says itself when it stops"

    entrypoint: Entrypoint = Field(description="package.module:attribute, called with (data, params, seed)")
    params: dict[str, Any] = Field(default_factory=dict, description="Handed to the function as they are")


class Trainer(Strict):
    """What fits the model. Exactly one."""

    sklearn: SklearnTrainer | None = Field(None, description="Any scikit-learn classifier or regressor")
    xgboost: XGBoostTrainer | None = Field(None, description="Boosted trees of XGBoost")
    lightgbm: LightGBMTrainer | None = Field(None, description="Boosted trees of LightGBM")
    torch: TorchTrainer | None = Field(None, description="A network of PyTorch")
    function: FunctionTrainer | None = Field(None, description="A function of your own")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, *type(self).model_fields)
        return self

    @property
    def name(self) -> str:
        return exactly_one(self, *type(self).model_fields)

    @property
    def form(self) -> TrainerForm:
        found: TrainerForm = getattr(self, self.name)
        return found


TRAINER_FORMS: Mapping[str, type[TrainerForm]] = {
    name: next(part for part in get_args(field.annotation) if part is not type(None))
    for name, field in Trainer.model_fields.items()
}
"""By name: what ``Trainer`` has a field for."""
