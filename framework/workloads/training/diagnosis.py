"""What a model's answers to the test rows look like beyond its metrics: a few kilobytes of JSON that its card is made
of, long after the rows are gone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from framework.answers import Class, Matrix
from framework.api.tasks import Task
from framework.scores import Answered

BINS = 10
"""Of a calibration plot, as many as the calibration error has, and of predicted against true."""
MOST_SHOWN = 20
"""Classes that a confusion matrix tells apart: the most frequent ones. All others are one."""
RESIDUAL_BINS = 20
_LARGEST = 1e150
"""Beyond that no sum or square of numbers is sure to be finite."""
_DIGITS = 6
"""Significant ones of every number."""


def diagnose(known: Answered, classes: Sequence[Class] = ()) -> dict[str, Any]:
    """What a card shows of a model's answers to rows that it has never seen, by task.

    Rows with an answer that is not finite, or beyond all that can be reckoned with, or with a class that the model does
    not know, are left out; ``rows`` says how many are looked at, and where that is none, nothing else is said.

    Args:
        known: the truth and the answers; probabilities lie between 0 and 1.
        classes: the values of a label of several classes, in the order of the answers.

    Returns:
        {rows} and

        - a binary label: {confusion, calibration} at the threshold of ``known``;
        - several classes: the same of the most probable class;
        - a number: {agreement, residuals};
        - quantiles: {quantiles: [{quantile, share, rows}], width}, where ``share`` of the rows lie at or below the
          answer and ``width`` is the mean distance between the lowest and the highest quantile, in units of the label;
        - a ranking: {lists}, how many there are.

        confusion: {classes, counts, threshold (of a binary label)}, ``counts[true][predicted]`` in rows.
        calibration: {of, bins: [{from, to, rows, mean, share}]}, see ``calibration``.
        agreement: [{rows, from, to, predicted, true}], see ``agreement``; residuals: see ``residuals``.
    """
    given = np.abs(known.given)
    largest = np.maximum(np.abs(known.truth), given if given.ndim == 1 else given.max(axis=1))
    looked = known.of(np.flatnonzero(largest <= _LARGEST))  # NaN is not
    rows = len(looked.truth)
    if not rows:
        return {"rows": 0}
    return {"rows": rows, **_BY_TASK[known.task](looked, classes)}


def _binary(known: Answered, _: Sequence[Class]) -> dict[str, Any]:
    found = confusion(known.truth, known.predicted, ["0", "1"])
    return {
        "confusion": {**found, "threshold": known.threshold},
        "calibration": {"of": "1", "bins": calibration(known.truth, known.given)},
    }


def _multiclass(known: Answered, classes: Sequence[Class]) -> dict[str, Any]:
    sure, right = known.given.max(axis=1), (known.predicted == known.truth).astype(np.float64)
    return {
        "confusion": confusion(known.truth, known.predicted, [str(one) for one in classes]),
        "calibration": {"of": "", "bins": calibration(right, sure)},
    }


def confusion(truth: Matrix, predicted: Matrix, classes: Sequence[str]) -> dict[str, Any]:
    """{classes, counts}: in how many rows a class was true (first index) and another predicted. Of more classes than
    ``MOST_SHOWN`` the most frequent ones, by both, and one more, None, for all others; ``truth`` and ``predicted`` are
    positions in ``classes``."""
    size = len(classes)
    true, answered = truth.astype(np.int64), predicted.astype(np.int64)
    if size > MOST_SHOWN:
        frequent = np.bincount(true, minlength=size) + np.bincount(answered, minlength=size)
        kept = np.sort(np.argsort(-frequent, kind="stable")[: MOST_SHOWN - 1])
        place = np.full(size, len(kept), dtype=np.int64)
        place[kept] = np.arange(len(kept))
        true, answered = place[true], place[answered]
        shown: list[str | None] = [*(classes[index] for index in kept.tolist()), None]
    else:
        shown = list(classes)
    counts = np.bincount(true * len(shown) + answered, minlength=len(shown) ** 2).reshape(len(shown), len(shown))
    return {"classes": shown, "counts": counts.tolist()}


def calibration(happened: Matrix, given: Matrix) -> list[dict[str, Any]]:
    """``BINS`` bins of equal width between 0 and 1, those without rows left out: {from, to, rows, mean, share}, where
    ``mean`` is of the probabilities that were answered and ``share`` of the rows it was so (Niculescu-Mizil and
    Caruana, ICML 2005). ``happened`` is 0 or 1."""
    places = np.clip((given * BINS).astype(np.int64), 0, BINS - 1)
    rows, sums, hits = (np.bincount(places, weights, BINS) for weights in (None, given, happened))
    return [
        {
            "from": index / BINS,
            "to": (index + 1) / BINS,
            "rows": int(rows[index]),
            "mean": _short(sums[index] / rows[index]),
            "share": _short(hits[index] / rows[index]),
        }
        for index in np.flatnonzero(rows).tolist()
    ]


def _regression(known: Answered, _: Sequence[Class]) -> dict[str, Any]:
    return {
        "agreement": agreement(known.truth, known.given),
        "residuals": residuals(known.truth - known.given),
    }


def agreement(truth: Matrix, given: Matrix) -> list[dict[str, Any]]:
    """Rows sorted by what was predicted, in ``BINS`` parts of about as many rows: {rows, from, to, predicted, true}.
    ``from`` and ``to`` are the ends of the predictions, ``predicted`` and ``true`` the means, in units of the label."""
    order = np.argsort(given, kind="stable")
    return [
        {
            "rows": len(part),
            "from": _short(given[part[0]]),
            "to": _short(given[part[-1]]),
            "predicted": _short(given[part].mean()),
            "true": _short(truth[part].mean()),
        }
        for part in np.array_split(order, min(BINS, len(order)))
    ]


def residuals(left: Matrix) -> dict[str, Any]:
    """Of true less predicted, in units of the label: {mean, deviation, quantiles: {0.05, 0.25, 0.5, 0.75, 0.95}, edges,
    counts, below, above}. ``edges`` are those of bins of equal width between the 1st and the 99th percentile;
    ``below`` and ``above`` count the rows beyond them."""
    low, high = (float(end) for end in np.quantile(left, [0.01, 0.99]))
    if low == high:
        edges = np.array([low, high])
        counts = np.array([np.count_nonzero(left == low)])
    else:
        counts, edges = np.histogram(left, RESIDUAL_BINS, (low, high))
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    return {
        "mean": _short(left.mean()),
        "deviation": _short(left.std()),
        "quantiles": {
            f"{share:g}": _short(value) for share, value in zip(shares, np.quantile(left, shares), strict=True)
        },
        "edges": [_short(edge) for edge in edges],
        "counts": counts.astype(int).tolist(),
        "below": int(np.count_nonzero(left < low)),
        "above": int(np.count_nonzero(left > high)),
    }


def _quantile(known: Answered, _: Sequence[Class]) -> dict[str, Any]:
    below = known.truth[:, None] <= known.given
    return {
        "quantiles": [
            {"quantile": quantile, "share": _short(share), "rows": len(known.truth)}
            for quantile, share in zip(known.quantiles, below.mean(axis=0), strict=True)
        ],
        "width": _short((known.given[:, -1] - known.given[:, 0]).mean()),
    }


def _ranking(known: Answered, _: Sequence[Class]) -> dict[str, Any]:
    return {} if known.groups is None else {"lists": len(np.unique(known.groups))}


_BY_TASK = {
    Task.BINARY: _binary,
    Task.MULTICLASS: _multiclass,
    Task.REGRESSION: _regression,
    Task.QUANTILE: _quantile,
    Task.RANKING: _ranking,
}


def _short(value: Any) -> float:
    return float(f"{float(value):.{_DIGITS}g}")
