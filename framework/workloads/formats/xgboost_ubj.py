"""XGBoost's own binary form, in Universal Binary JSON."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task
from framework.workloads.formats.form import Score

_LARGEST = float(np.finfo(np.float32).max)


def load(data: bytes, output: ModelOutput) -> Score:
    """
    Raises:
        ValueError: these are no bytes of a model.
    """
    import xgboost

    try:
        booster = xgboost.Booster(model_file=bytearray(data))
    except xgboost.core.XGBoostError as error:
        raise ValueError(said(error)) from error
    # One thread: a request has few rows, and replicas share the machine's cores.
    booster.set_param({"nthread": 1})
    booster.save_config()  # has it take that up now, and not in the first answer, which several threads may ask for
    return lambda matrix: answers(booster, matrix, output)


def contributions(data: bytes, output: ModelOutput) -> Score:
    """Exact ones, by TreeSHAP; the last column of each number of an answer is the mean one."""
    import xgboost

    booster = xgboost.Booster(model_file=bytearray(data))
    booster.set_param({"nthread": 1})

    def explain(matrix: Matrix) -> Matrix:
        rows = xgboost.DMatrix(narrowed(matrix), nthread=1)
        found = booster.predict(rows, pred_contribs=True, strict_shape=True, validate_features=False)
        shares: Matrix = np.abs(found[:, :, :-1]).sum(axis=1).astype(np.float64)
        return shares

    return explain


def dump(booster: Any) -> bytes:
    """Equal models give equal bytes."""
    return bytes(booster.save_raw("ubj"))


def answers(booster: Any, matrix: Matrix, output: ModelOutput) -> Matrix:
    """What a model says of a matrix as the signature encodes it, as its task has it: float64 (rows,) or (rows, numbers
    of an answer). Where quantiles cross they change places, as in ``lightgbm_text.load_several``."""
    if not len(matrix):
        return output.empty()
    # Of what there is to ask it by, this alone may be called by several threads.
    return shaped(booster.inplace_predict(narrowed(matrix), strict_shape=True), output)


def shaped(found: NDArray[np.float32], output: ModelOutput) -> Matrix:
    """What XGBoost answers with strict shapes, as the task has it."""
    found = found.astype(np.float64)
    if output.task is Task.QUANTILE:
        return np.asarray(np.sort(found, axis=1))
    return np.asarray(found[:, 0] if output.width is None and found.shape[1] == 1 else found)


def narrowed(matrix: Matrix) -> NDArray[np.float32]:
    """A matrix in the precision that XGBoost has, the same for training and answers. It refuses to learn from what
    is beyond that; here it is the largest number that there is."""
    return np.clip(matrix, -_LARGEST, _LARGEST).astype(np.float32)


def said(error: Exception) -> str:
    """An error of XGBoost's in one line, without its stack and the place in its source.

    >>> said(ValueError("[13:15:14] /src/data.cc:7: Check failed: valid: Input has `inf` \\nStack trace:\\n [bt]"))
    'Input has `inf`'
    """
    text = _CHECK.sub(lambda found: found[2] or f"it demands {found[1]}", str(error).partition("Stack trace:")[0])
    lines = [line for part in text.splitlines() if (line := _SOURCE.sub("", part).strip(" -:"))]
    return "; ".join(lines) or type(error).__name__


_CHECK = re.compile(r"Check failed: (.*?) ?: (.*)$", re.MULTILINE)
_SOURCE = re.compile(r"^\[\d\d:\d\d:\d\d\] \S+:\d+: |\[[\w./]+:\d+\|[\d:]+\]")
