"""The model asked for one request or several: which of them fail, and by whose fault."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from framework.workloads.serving.asking import ask, ask_together
from framework.workloads.serving.scoring import BadRequestError


class Model:
    """Doubles ``x``; cannot take what no Float32 holds, has no answer for 7, and fails where ``n`` is 13."""

    def __init__(self):
        self.calls = 0

    def predict(self, frame):
        self.calls += 1
        x = frame["x"].fill_null(0.0).to_numpy()
        if (np.abs(x) > 3.5e38).any():
            raise ValueError("Input X contains infinity or a value too large for dtype('float32').")
        if (frame["n"] == 13).any():
            raise RuntimeError("unlucky")
        return np.where(x == 7, np.nan, 2.0 * x)


def frame(*values, n=0):
    return pl.DataFrame({"x": values, "n": [n] * len(values)}, schema={"x": pl.Float64, "n": pl.Int64})


def test_a_row_without_a_finite_answer_is_refused():
    with pytest.raises(BadRequestError, match=r"instances\[1\]: the model has no finite answer"):
        ask(Model(), frame(1.0, 7.0))


def test_a_number_too_large_for_the_model_is_the_callers_mistake():
    with pytest.raises(BadRequestError, match=r"instances\[2\].x is too large for the model, found number '1e\+300'"):
        ask(Model(), frame(1.0, None, 1e300))


def test_a_model_that_fails_without_it_as_well_has_failed_itself():
    with pytest.raises(ValueError, match="too large"):
        ask(Model(), frame(1.0, 1e300, n=13))
    with pytest.raises(RuntimeError, match="unlucky"):
        ask(Model(), frame(1.0, n=13))


def test_in_one_call_nobody_fails_because_of_another():
    model = Model()
    parts = ask_together(model, [frame(1.0), frame(2.0, 3.0)])
    assert ([part.tolist() for part in parts], model.calls) == ([[2.0], [4.0, 6.0]], 1)
    good, extreme, unlucky, blank = ask_together(model, [frame(1.0), frame(1e300), frame(1.0, n=13), frame(7.0)])
    assert good.tolist() == [2.0]
    assert [type(item).__name__ for item in (extreme, unlucky, blank)] == [
        "BadRequestError",
        "RuntimeError",
        "BadRequestError",
    ]
