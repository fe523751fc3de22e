"""From which probability on a row counts as positive: chosen on the validation rows by the rule that the spec
declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from framework.answers import Matrix
from framework.workloads.context import WorkloadError


def threshold(rule: Mapping[str, Any], truth: Matrix, answers: Matrix) -> float:
    """One of the ``answers`` (rows,), which are probabilities of ``truth`` being 1. Of several that are equally good
    the highest.

    - ``maximize``: f1, mcc, balanced_accuracy or accuracy;
    - ``cost``: the least of falsePositive and falseNegative, per row of each;
    - ``recall``: the highest that finds at least this share of the positives;
    - ``precision``: the lowest from which on at least this share of what is found is positive.

    Raises:
        WorkloadError: "NoThreshold" where no threshold is precise enough, with the most precise.
    """
    order = np.argsort(-answers, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(answers[order])), len(order) - 1)
    found = np.cumsum(truth[order])[ends]
    said = ends + 1.0
    positives, rows = float(truth.sum()), float(len(truth))
    counts = _Counts(found, said - found, positives - found, rows - positives - (said - found))
    given = {name: value for name, value in rule.items() if value is not None}
    ((name, asked),) = given.items()
    match name:
        case "maximize":
            best = int(np.argmax(getattr(counts, asked)()))
        case "cost":
            best = int(np.argmin(asked["falsePositive"] * counts.fp + asked["falseNegative"] * counts.fn))
        case "recall":
            best = int(np.argmax(counts.recall() >= asked - 1e-12))
        case _:
            precise = np.flatnonzero(counts.precision() >= asked - 1e-12)
            if not precise.size:
                most = float(counts.precision().max())
                told = f"no threshold reaches a precision of {asked:g} on the validation rows; the most is {most:.4f}"
                raise WorkloadError("NoThreshold", told)
            best = int(precise[-1])
    return float(answers[order][ends[best]])


class _Counts:
    """Of each threshold, from the highest on: true and false positives, false and true negatives."""

    def __init__(self, tp: Matrix, fp: Matrix, fn: Matrix, tn: Matrix) -> None:
        self.tp, self.fp, self.fn, self.tn = tp, fp, fn, tn

    def recall(self) -> Matrix:
        return _share(self.tp, self.tp + self.fn)

    def precision(self) -> Matrix:
        return _share(self.tp, self.tp + self.fp)

    def f1(self) -> Matrix:
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    def accuracy(self) -> Matrix:
        return _share(self.tp + self.tn, self.tp + self.tn + self.fp + self.fn)

    def balanced_accuracy(self) -> Matrix:
        return (self.recall() + _share(self.tn, self.tn + self.fp)) / 2

    def mcc(self) -> Matrix:
        product = (self.tp + self.fp) * (self.tp + self.fn) * (self.tn + self.fp) * (self.tn + self.fn)
        return _share(self.tp * self.tn - self.fp * self.fn, np.sqrt(product))


def _share(part: Matrix, whole: Matrix) -> Matrix:
    """0 where there is nothing."""
    found: Matrix = np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
    return found
