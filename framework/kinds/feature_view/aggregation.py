"""What is computed over the rows of an entity up to each of them, as a user writes it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from framework.api.aggregates import AGGREGATES
from framework.api.fields import Duration
from framework.api.meta import Strict
from framework.api.written import Text


class Aggregation(Strict):
    """One column of the published table: a function of the rows of the same entity, up to the row's event time. With
    neither ``window`` nor ``session`` these are all that there are."""

    name: Text = Field(description="The column that it becomes; columns declares its dtype")
    function: Literal[tuple(AGGREGATES)] = Field(  # type: ignore[valid-type]
        description="; ".join(
            ["Of the values that are not missing", *(one.note for one in AGGREGATES.values() if one.note)]
        )
    )
    column: Text | None = Field(None, description="A column of the transform's rows, declared or not")
    window: Duration | None = Field(
        None,
        description="Rows younger than this count: 7d reaches from 7 days before, not included, to the row",
    )
    session: Duration | None = Field(
        None, description="Rows of the session count: one ends where no row comes for longer than this"
    )
    lag: int | None = Field(None, ge=1, description="For last: so many values before the last one")
    where: Text | None = Field(None, description="A condition in SQL on single rows; others do not count")

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.window is not None and self.session is not None:
            raise ValueError("window and session exclude each other")
        if self.lag is not None and self.function != "last":
            raise ValueError(f"lag belongs to last, and this is {self.function}")
        if self.column is None and self.function != "count":
            raise ValueError(f"{self.function} needs a column")
        return self
