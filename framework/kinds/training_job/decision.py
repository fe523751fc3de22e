"""How a probability becomes a decision, as a user writes it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import exactly_one
from framework.api.meta import Strict

Cost = Annotated[float, Field(ge=0.0)]
Portion = Annotated[float, Field(gt=0.0, le=1.0)]


class Costs(Strict):
    """What mistakes cost, in any unit."""

    falsePositive: Cost = Field(description="Of a row that was taken for a positive one")
    falseNegative: Cost = Field(description="Of a positive row that was missed")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.falsePositive == 0 and self.falseNegative == 0:
            raise ValueError("some mistake must cost something")
        return self


class DecisionRule(Strict):
    """From which probability on a row counts as positive: chosen on the validation part. Exactly one rule."""

    maximize: Literal["f1", "mcc", "balanced_accuracy", "accuracy"] | None = Field(
        None, description="The threshold that makes the metric the largest"
    )
    cost: Costs | None = Field(None, description="The one whose mistakes cost the least")
    recall: Portion | None = Field(None, description="The highest that finds this share of the positive rows")
    precision: Portion | None = Field(None, description="The lowest whose finds are positive to this share")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, *type(self).model_fields)
        return self
