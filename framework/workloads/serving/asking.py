"""The model asked for one request or for several at once, and who answers for it where it has no answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import polars as pl

from framework.answers import Matrix
from framework.workloads.models import shown
from framework.workloads.serving.scoring import BadRequestError

_EXTREME = 2.0**128
"""No Float32 holds so large a number, and many a model computes with those, whatever it was trained on."""


class Predicts(Protocol):
    def predict(self, frame: pl.DataFrame) -> Matrix: ...


def ask(model: Predicts, frame: pl.DataFrame) -> Matrix:
    """What the model says of one request, all finite.

    Raises:
        BadRequestError: it has no finite answer for some row, or none at all because of numbers beyond 2**128.
        Exception: whatever else it raised; that is the version's failure.
    """
    try:
        predictions = model.predict(frame)
    except Exception as error:
        problems = _extremes(model, frame)
        if problems:
            raise BadRequestError(422, problems) from error
        raise
    return _finite(predictions)


def ask_together(model: Predicts, frames: Sequence[pl.DataFrame]) -> list[Matrix | Exception]:
    """``ask`` for several requests in one call. Where that fails each is asked for itself: nobody's request fails
    because of what another holds."""
    try:
        predictions = model.predict(pl.concat(frames))
    except Exception:
        return [_or_error(model, frame) for frame in frames]
    parts: list[Matrix | Exception] = []
    start = 0
    for frame in frames:
        part = predictions[start : start + frame.height]
        parts.append(part if np.isfinite(part).all() else _or_error(model, frame))
        start += frame.height
    return parts


def _or_error(model: Predicts, frame: pl.DataFrame) -> Matrix | Exception:
    try:
        return ask(model, frame)
    except Exception as error:
        return error


def _finite(predictions: Matrix) -> Matrix:
    finite = np.isfinite(predictions)
    wrong = np.flatnonzero(~(finite if finite.ndim == 1 else finite.all(axis=1)))
    if wrong.size:
        raise BadRequestError(
            422, [f"instances[{index}]: the model has no finite answer for this row" for index in wrong]
        )
    return predictions


def _extremes(model: Predicts, frame: pl.DataFrame) -> list[str]:
    """Numbers so large that the model fails on them, where it does not fail without them."""
    found = [
        (index, column.name, value)
        for column in frame
        if column.dtype.is_float()
        for index, value in enumerate(column)
        if value is not None and abs(value) >= _EXTREME
    ]
    if not found:
        return []
    try:
        model.predict(frame.with_columns(pl.selectors.float().clip(-1.0, 1.0)))
    except Exception:
        return []
    return [
        f"instances[{row}].{name} is too large for the model, found number {shown(value)}" for row, name, value in found
    ]
