"""Metrics of users' own, for tests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def profit(truth: Any, answers: Any, rows: Any) -> float:
    """Each row that is taken for late costs its price, and brings 30 where it is."""
    taken = answers >= 0.5
    return float(np.where(taken, 30 * truth - rows["price"].to_numpy(), 0.0).mean())


def shape(truth: Any, answers: Any, rows: Any) -> float:
    return float(rows.height * 1000 + rows.width * 100 + answers.ndim)


def nothing(truth: Any, answers: Any, rows: Any) -> float:
    return math.nan


def endless(truth: Any, answers: Any, rows: Any) -> float:
    return math.inf


def breaks(truth: Any, answers: Any, rows: Any) -> float:
    return 1.0 / (rows.height - rows.height)


def spoils(truth: Any, answers: Any, rows: Any) -> float:
    truth[:] = 0
    return 0.0


def words(truth: Any, answers: Any, rows: Any) -> str:
    return "good"


def yes(truth: Any, answers: Any, rows: Any) -> bool:
    return True


def lacks(truth: Any, answers: Any) -> float:
    return 0.0


def error(truth: Any, answers: Any, rows: Any) -> Any:
    """As numpy has numbers."""
    return np.abs(truth - answers).mean().astype(np.float32)


def weighed(truth: Any, answers: Any, rows: Any) -> float:
    """How far off, by a column of the rows."""
    return float(np.average(np.abs(truth - answers), weights=rows["fee"].to_numpy()))


def gain(truth: Any, answers: Any, rows: Any) -> float:
    """What is answered for late and is brings its price."""
    return float(np.where(answers >= 0.5, truth * rows["price"].to_numpy(), 0.0).mean())
