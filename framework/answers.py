"""What a model answers, by its task: one place for its shape, for what callers are told, and for what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from framework.api.tasks import TASKS, Task, of_signature

Matrix = NDArray[np.float64]
Class = bool | int | str


@dataclass(frozen=True)
class ModelOutput:
    """The output of a signature. ``classes`` are the values of the label in the order of a model's answers, for several
    classes; ``quantiles`` those that are answered, rising; ``threshold`` is where a probability becomes a yes, if the
    spec asks for one."""

    name: str = ""
    task: Task = Task.BINARY
    classes: tuple[Class, ...] = ()
    quantiles: tuple[float, ...] = ()
    threshold: float | None = None

    @classmethod
    def of(cls, signature: Mapping[str, Any]) -> ModelOutput:
        """Of a signature, also one from before there were tasks."""
        found = signature["output"]
        return cls(
            found["name"],
            of_signature(signature),
            tuple(found.get("classes", ())),
            tuple(found.get("quantiles", ())),
            found.get("threshold"),
        )

    def to_json(self) -> dict[str, Any]:
        """As a signature has it: what says nothing is left out."""
        more = {"classes": list(self.classes), "quantiles": list(self.quantiles), "threshold": self.threshold}
        said = {name: value for name, value in more.items() if value not in (None, [])}
        return {"name": self.name, "kind": TASKS[self.task].answer, "task": self.task.value, **said}

    @property
    def width(self) -> int | None:
        """Numbers in one row's answer; None where it is one number and no list."""
        return {Task.MULTICLASS: len(self.classes), Task.QUANTILE: len(self.quantiles)}.get(self.task)

    # -- the truth ---------------------------------------------------------------------------------------------------

    def truth(self, frame: pl.DataFrame) -> Matrix:
        """The label as the metrics have it, float64: NaN for a class that the model does not know."""
        label = frame.get_column(self.name)
        if self.task is Task.MULTICLASS:
            places = dict(zip(self.classes, range(len(self.classes)), strict=True))
            return np.array([places.get(value, np.nan) for value in label.to_list()], dtype=np.float64)
        numbers: Matrix = label.cast(pl.Float64).to_numpy()
        return numbers

    # -- the answers -------------------------------------------------------------------------------------------------

    def empty(self) -> Matrix:
        """The answers for no row."""
        return np.empty(0 if self.width is None else (0, self.width), dtype=np.float64)

    def check(self, answers: Matrix, rows: int) -> None:
        """
        Raises:
            ValueError: these are no answers for so many rows.
        """
        self.check_shape(answers, rows)
        if not np.isfinite(answers).all():
            raise ValueError("the model predicts a value that is not finite")
        if self.task in (Task.BINARY, Task.MULTICLASS) and not ((answers >= 0) & (answers <= 1)).all():
            raise ValueError(f"the model predicts {answers.min():g} to {answers.max():g}, which is no probability")

    def check_shape(self, answers: Matrix, rows: int) -> None:
        """
        Raises:
            ValueError: these are no answers for so many rows, whatever their values are.
        """
        wanted = (rows,) if self.width is None else (rows, self.width)
        if answers.shape != wanted:
            several = "" if self.width is None else f" of {self.width} numbers each"
            raise ValueError(f"the model has {answers.size} answers for {rows} rows{several}")

    def told(self, answers: Matrix) -> dict[str, Any]:
        """What a caller is answered.

        - a binary label: the probability of 1, and ``labels`` where a threshold is declared;
        - several classes: the most probable one, with ``probabilities`` in the order of ``classes``;
        - quantiles: a list of numbers, in the order of ``quantiles``;
        - a number, or a score: itself.
        """
        match self.task:
            case Task.MULTICLASS:
                predicted = [self.classes[place] for place in answers.argmax(axis=1)]
                return {"predictions": predicted, "classes": list(self.classes), "probabilities": answers.tolist()}
            case Task.QUANTILE:
                return {"predictions": answers.tolist(), "quantiles": list(self.quantiles)}
            case Task.BINARY if self.threshold is not None:
                return {"predictions": answers.tolist(), "labels": (answers >= self.threshold).tolist()}
        return {"predictions": answers.tolist()}

    def profiled(self, answers: Matrix) -> pl.Series:
        """One value a row, under the output's name, as profiles of training and of serving have it: the class, or the
        number; of quantiles the middle one."""
        if self.task is Task.MULTICLASS:
            names = [str(one) for one in self.classes]
            return pl.Series(self.name, [names[place] for place in answers.argmax(axis=1)], dtype=pl.String)
        return pl.Series(self.name, self.number(answers))

    def number(self, answers: Matrix) -> Matrix:
        """One number a row, as the prediction log has it: of several classes the place of the most probable."""
        if self.task is Task.MULTICLASS:
            places: Matrix = answers.argmax(axis=1).astype(np.float64)
            return places
        return answers if answers.ndim == 1 else answers[:, answers.shape[1] // 2]
