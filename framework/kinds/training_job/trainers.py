"""What fits the model, as a user writes it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from framework.api.errors import FieldError
from framework.api.fields import Entrypoint, exactly_one
from framework.api.meta import Strict

_ESTIMATOR = re.compile(r"sklearn(\.\w+)+")
_ESTIMATOR_SCHEMA: dict[str, Any] = {"type": "string", "pattern": f"^{_ESTIMATOR.pattern}$"}


def _estimator(value: str) -> str:
    if _ESTIMATOR.fullmatch(value):
        return value
    below = value.removeprefix("scikit-learn.").replace(":", ".")
    likely = below if _ESTIMATOR.fullmatch(below) else f"sklearn.{below}"
    message = f"{value!r} is no class below sklearn, such as sklearn.linear_model.LogisticRegression"
    raise FieldError(message, likely if _ESTIMATOR.fullmatch(likely) and "." in below else None)


class SklearnTrainer(Strict):
    """A scikit-learn estimator behind one-hot encoding, imputing and scaling."""

    estimator: Annotated[str, AfterValidator(_estimator), WithJsonSchema(_ESTIMATOR_SCHEMA)] = Field(
        description="A class below sklearn, e.g. sklearn.linear_model.LogisticRegression"
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Arguments of the class; default: its own")


class BoostedTrainer(Strict):
    """Boosted trees; a run that was interrupted goes on from its checkpoint."""

    params: dict[str, Any] = Field(default_factory=dict, description="The library's own parameters; default: its own")
    rounds: int = Field(100, ge=1, description="Boosting rounds: how many trees")


class TorchTrainer(Strict):
    """A network of PyTorch, fitted by a loop that is not yours to write; a run that was interrupted goes on from its
    checkpoint."""

    entrypoint: Entrypoint = Field(
        description="package.module:attribute, called with (data, params); returns the torch.nn.Module"
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Handed to the function as they are")
    epochs: int = Field(10, ge=1, description="How often the network sees all rows")
    batchSize: int = Field(256, ge=1, description="Rows of a step at most, those of all workers together")
    learningRate: float = Field(0.001, gt=0, description="How far a step goes; a search may vary it")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="What turns gradients into steps")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: what gains by it is computed in half the bits while it learns (autocast)"
    )


class FunctionTrainer(Strict):
    """Code of your own that returns a fitted scikit-learn estimator, or a Booster of LightGBM or XGBoost."""

    entrypoint: Entrypoint = Field(description="package.module:attribute, called with (data, params, seed)")
    params: dict[str, Any] = Field(default_factory=dict, description="Handed to the function as they are")


class Trainer(Strict):
    """What fits the model. Exactly one."""

    sklearn: SklearnTrainer | None = Field(None, description="Any scikit-learn classifier or regressor")
    xgboost: BoostedTrainer | None = Field(None, description="Boosted trees of XGBoost")
    lightgbm: BoostedTrainer | None = Field(None, description="Boosted trees of LightGBM")
    torch: TorchTrainer | None = Field(None, description="A network of PyTorch")
    function: FunctionTrainer | None = Field(None, description="A function of your own")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, *type(self).model_fields)
        return self

    @property
    def name(self) -> str:
        return exactly_one(self, *type(self).model_fields)
