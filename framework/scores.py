"""How well answers agree with what was true: scikit-learn's measures where it has them, one of each for whoever trains
a model, gates it or watches it serve. What each metric is for and the values it can have:
``framework/api/metrics.py``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from types import ModuleType
from typing import Any

from framework.api.metrics import LEAST_PROBABILITY, parted
from framework.api.tasks import Task
from framework.sketches import LOADING

NAN = float("nan")
_BINS = 10
"""Of probabilities, for the calibration error."""


@dataclass(frozen=True)
class Answered:
    """Answers beside the truth, both float64 and of at least one row.

    ``truth``: 0 and 1; the position of the class; a number; how relevant a row is. ``given``: (rows,), or (rows,
    classes) probabilities, or (rows, quantiles). ``threshold``: the probability from which on a row counts as positive.
    ``groups``: for a ranking, which list each row is part of. ``own`` are metrics of a spec's own by name, ``rows`` a
    frame of the columns that they look at besides."""

    truth: Any
    given: Any
    task: Task = Task.BINARY
    threshold: float = 0.5
    quantiles: tuple[float, ...] = ()
    groups: Any = None
    own: Mapping[str, Callable[[Answered], float]] = field(default_factory=dict)
    rows: Any = None

    def of(self, rows: Any) -> Answered:
        """The same of some rows, given by a mask or by position."""
        groups = None if self.groups is None else self.groups[rows]
        frame = None if self.rows is None else self.rows[_positions(rows, len(self.truth))]
        return replace(self, truth=self.truth[rows], given=self.given[rows], groups=groups, rows=frame)

    @property
    def predicted(self) -> Any:
        """The class of each row: 0 and 1, or its position."""
        return (self.given >= self.threshold).astype(float) if self.given.ndim == 1 else self.given.argmax(axis=1)


def _positions(rows: Any, height: int) -> Any:
    import numpy as np

    return np.arange(height)[rows]


Metric = Callable[[Answered], float]
"""NaN where it is not defined, e.g. because a class is missing."""


@cache
def _library() -> ModuleType:
    """Loaded when something is measured: it takes more than a second. Raises ImportError without it."""
    with LOADING:
        return importlib.import_module("sklearn.metrics")


def warm() -> None:
    """Load the library now. Raises ImportError without it."""
    _library()


def score(name: str, answered: Answered) -> float:
    """A metric by its name in specs, e.g. ``ndcg@5``. NaN also where an answer is not finite: NaN sorts and compares
    somehow, and a model could look good for having none.

    Raises:
        KeyError: there is no such metric.
    """
    import numpy as np

    if not np.isfinite(answered.given).all():
        return NAN
    if name in answered.own:
        return answered.own[name](answered)
    base, places = parted(name)
    metric = METRICS[base]
    return metric(answered) if places is None else metric(answered, places)


def auc(truth: Any, scores: Any) -> float:
    """Area under the ROC curve of a binary label."""
    return score("auc", Answered(truth, scores))


# -- classes ---------------------------------------------------------------------------------------------------------


def _auc(answered: Answered) -> float:
    """The chance that a positive scores above a negative, a tie counting half. Of several classes: the mean over each
    against all others, of those that there are rows of (Provost and Domingos, CeDER working paper 00-04, 2000, without
    weights)."""
    return _mean(_one_against_others(answered, _library().roc_auc_score))


def _average_precision(answered: Answered) -> float:
    return _mean(_one_against_others(answered, _library().average_precision_score))


def _one_against_others(answered: Answered, metric: Callable[[Any, Any], float]) -> Iterator[float]:
    if answered.given.ndim == 1:
        pairs = [(answered.truth, answered.given)]
    else:
        pairs = [(answered.truth == place, answered.given[:, place]) for place in range(answered.given.shape[1])]
    for truth, given in pairs:
        if truth.min() != truth.max():
            yield float(metric(truth, given))


def _log_loss(answered: Answered) -> float:
    """Mean negative log likelihood in nats; probabilities are kept ``LEAST_PROBABILITY`` away from 0 and 1."""
    import numpy as np

    kept = answered.given.clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    if kept.ndim == 1:
        return float(_library().log_loss(answered.truth, kept, labels=[0.0, 1.0]))
    rows = np.arange(len(kept))
    return float(-np.log(kept[rows, answered.truth.astype(np.int64)]).mean())


def _of_predicted(name: str, answered: Answered, **more: Any) -> float:
    return float(getattr(_library(), name)(answered.truth, answered.predicted, **more))


def _per_class(name: str, answered: Answered) -> float:
    """Of the positives, or the mean over the classes that there are rows of."""
    if answered.given.ndim == 1:
        return _of_predicted(name, answered, zero_division=0.0)
    there = sorted(set(answered.truth.tolist()))
    return _of_predicted(name, answered, labels=there, average="macro", zero_division=0.0)


def _balanced_accuracy(answered: Answered) -> float:
    """Mean recall over the classes that there are rows of."""
    recall = _library().recall_score
    there = sorted(set(answered.truth.tolist()))
    return float(recall(answered.truth, answered.predicted, labels=there, average="macro", zero_division=0.0))


def _brier(answered: Answered) -> float:
    """Mean squared error of the probabilities, also where a model's answers are none; of several classes half the sum
    over them (Brier, Monthly Weather Review 78, 1950), so that both lie between 0 and 1."""
    import numpy as np

    if answered.given.ndim == 1:
        return float(_library().mean_squared_error(answered.truth, answered.given))
    true = np.eye(answered.given.shape[1])[answered.truth.astype(np.int64)]
    return float(((answered.given - true) ** 2).sum(axis=1).mean() / 2)


def _calibration_error(answered: Answered) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al., AAAI 2015): of the positive class, or of
    the class that was predicted where there are several (Guo et al., ICML 2017)."""
    import numpy as np

    several = answered.given.ndim == 2
    sure = answered.given.max(axis=1) if several else answered.given
    right = (answered.predicted == answered.truth) if several else answered.truth
    bins = np.clip((sure * _BINS).astype(np.int64), 0, _BINS - 1)
    rows, sums, hits = (np.bincount(bins, weights, _BINS) for weights in (None, sure, right))
    return float(np.abs(sums - hits).sum() / rows.sum())


# -- numbers ---------------------------------------------------------------------------------------------------------


def _of_number(name: str, answered: Answered) -> float:
    return float(getattr(_library(), name)(answered.truth, answered.given))


def _r2(answered: Answered) -> float:
    """NaN where all truths are the same: there is nothing to explain."""
    return NAN if answered.truth.min() == answered.truth.max() else _of_number("r2_score", answered)


def _pinball(answered: Answered) -> float:
    """Mean over the quantiles (Koenker and Bassett, Econometrica 46, 1978)."""
    loss = _library().mean_pinball_loss
    parts = [
        loss(answered.truth, answered.given[:, place], alpha=alpha) for place, alpha in enumerate(answered.quantiles)
    ]
    return float(sum(parts) / len(parts))


def _coverage(answered: Answered) -> float:
    """Share of rows between the lowest and the highest quantile, both included."""
    low, high = answered.given[:, 0], answered.given[:, -1]
    return float(((low <= answered.truth) & (answered.truth <= high)).mean())


# -- lists -----------------------------------------------------------------------------------------------------------


def each_list(name: str, answered: Answered) -> Any:
    """The metric of each list by itself, in order of ``groups``, NaN where nothing is relevant: (lists,)."""
    import numpy as np

    base, places = parted(name)
    metric = METRICS[base]
    found = []
    for rows in rows_of_lists(answered.groups):
        alone = replace(answered.of(rows), groups=np.zeros(len(rows)))
        found.append(metric(alone, places))
    return np.array(found)


def rows_of_lists(groups: Any) -> list[Any]:
    """Positions of the rows of each list, in order of ``groups``."""
    import numpy as np

    _, place = np.unique(groups, return_inverse=True)
    ends = np.cumsum(np.bincount(place))[:-1]
    return np.split(np.argsort(place, kind="stable"), ends)


def _lists(answered: Answered) -> Iterator[tuple[Any, Any]]:
    """Truth and scores of each list that has something to find and something else."""
    for rows in rows_of_lists(answered.groups):
        truth = answered.truth[rows]
        if len(rows) > 1 and truth.max() > 0:
            yield truth, answered.given[rows]


def _ndcg(answered: Answered, places: int) -> float:
    """Mean over the lists with anything relevant (Jarvelin and Kekalainen, ACM TOIS 20, 2002); ties share their
    places. Shorter lists are filled up with what is irrelevant and comes last, and all are measured in one call."""
    import numpy as np

    lists = list(_lists(answered))
    if not lists:
        return NAN
    longest = max(len(truth) for truth, _ in lists)
    truths, scores = np.zeros((len(lists), longest)), np.empty((len(lists), longest))
    for row, (truth, given) in enumerate(lists):
        truths[row, : len(truth)] = truth
        scores[row] = given.min() - 1.0
        scores[row, : len(given)] = given
    return float(_library().ndcg_score(truths, scores, k=places))


def _map(answered: Answered, places: int) -> float:
    """Mean average precision at k: whatever is more than 0 is relevant; ties keep the order of the rows."""
    return _mean(_precision_of_list(truth, given, places) for truth, given in _lists(answered))


def _precision_of_list(truth: Any, given: Any, places: int) -> float:
    import numpy as np

    relevant = truth[np.argsort(-given, kind="stable")] > 0
    first = relevant[:places]
    precision = np.cumsum(first) / np.arange(1, len(first) + 1)
    return float((precision * first).sum() / min(int(relevant.sum()), places))


def _mean(values: Iterator[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else NAN


METRICS: Mapping[str, Callable[..., float]] = {
    "auc": _auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
    "accuracy": partial(_of_predicted, "accuracy_score"),
    "balanced_accuracy": _balanced_accuracy,
    "f1": partial(_per_class, "f1_score"),
    "precision": partial(_per_class, "precision_score"),
    "recall": partial(_per_class, "recall_score"),
    "mcc": partial(_of_predicted, "matthews_corrcoef"),
    "brier": _brier,
    "calibration_error": _calibration_error,
    "rmse": partial(_of_number, "root_mean_squared_error"),
    "mae": partial(_of_number, "mean_absolute_error"),
    "mape": partial(_of_number, "mean_absolute_percentage_error"),
    "r2": _r2,
    "pinball": _pinball,
    "coverage": _coverage,
    "ndcg": _ndcg,
    "map": _map,
}
"""Those of the first k places also take k."""
