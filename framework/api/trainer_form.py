"""What a spec says of one trainer, and what rules and workload have to know of it before they load it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from framework.api.meta import Strict
from framework.api.metrics import ValidationMetric
from framework.api.tasks import Task


class EarlyStopping(Strict):
    """When to stop because the validation part has nothing more to gain. The model is that of the best round."""

    metric: ValidationMetric | None = Field(
        None, description="What is looked at after each round: validation_ and a metric of the task; default: its own"
    )
    patience: int = Field(ge=1, description="Rounds, or epochs, without an improvement after which the fit stops")
    minDelta: float = Field(0.0, ge=0, description="What is no more than that better is no improvement")


class TrainerForm(Strict):
    """Fields are the trainer's own; those of a few names mean the same everywhere: ``params`` are the parameters that a
    search may vary, ``entrypoint`` names code of the repository. What else there is, an adapter finds in
    ``FitSettings.loop``."""

    tasks: ClassVar[frozenset[Task]] = frozenset(Task)
    """Those that it can learn."""
    counted_by: ClassVar[str | None] = None
    """The field that says for how many rounds or epochs it learns, so that progress, early stops and checkpoints make
    sense; None where a model is fitted at once."""
    together: ClassVar[bool] = False
    """Whether several workers can fit one model."""
    streams: ClassVar[bool] = False
    """Whether it can learn from batches, so that not all rows have to be in memory."""
    package: ClassVar[str | None] = None
    """What its models are opened with wherever they are asked, as Python imports it, if that is one package."""
    called_with: ClassVar[tuple[str, ...]] = ()
    """What ``entrypoint`` is called with, by position, where there is one."""
    stops_otherwise: ClassVar[str] = "the trainer fits at once"
    """Why there is no ``earlyStopping``, where ``counted_by`` is None."""

    @model_validator(mode="before")
    @classmethod
    def _stops(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "earlyStopping" in given and "earlyStopping" not in cls.model_fields:
            raise ValueError(f"no earlyStopping here: {cls.stops_otherwise}")
        return given

    @classmethod
    def rounds_of(cls, form: Mapping[str, Any]) -> int:
        """Of a form as JSON; 1 where a model is fitted at once."""
        return int(form[cls.counted_by]) if cls.counted_by else 1

    @classmethod
    def others_of(cls, form: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that mean something to the trainer alone."""
        return {name: value for name, value in form.items() if name not in (*_SHARED, cls.counted_by)}


_SHARED = frozenset({"params", "entrypoint", "estimator", "earlyStopping"})
