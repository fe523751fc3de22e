"""What is measured of a model's answers, ties and degenerate cases included."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.metrics import MEASURES, measured
from framework.api.tasks import Task
from framework.scores import METRICS, Answered, auc, each_list, score
from framework.workloads.context import WorkloadError
from framework.workloads.training.metrics import checked, measure

probabilities = st.sampled_from([0.0, 1e-18, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1)
rows = st.lists(st.tuples(st.booleans(), probabilities), min_size=1, max_size=60)


@given(rows)
def test_each_metric_is_its_definition(pairs: list[tuple[bool, float]]) -> None:
    truth = np.array([float(positive) for positive, _ in pairs])
    scores = np.array([score for _, score in pairs])
    close = lambda value: pytest.approx(value, rel=1e-12, abs=1e-12)  # noqa: E731
    answered = Answered(truth, scores)
    assert score("accuracy", answered) == close(np.mean([(score >= 0.5) == positive for positive, score in pairs]))
    assert score("brier", answered) == close(np.mean([(score - positive) ** 2 for positive, score in pairs]))
    kept = [(positive, min(max(score, 1e-15), 1 - 1e-15)) for positive, score in pairs]
    assert score("log_loss", answered) == close(-np.mean([math.log(p if positive else 1 - p) for positive, p in kept]))
    order = [(high > low) + (high == low) / 2 for one, high in pairs if one for zero, low in pairs if not zero]
    assert auc(truth, scores) == pytest.approx(np.mean(order) if order else math.nan, abs=1e-12, nan_ok=True)


def test_answers_that_are_no_probabilities_are_measured_all_the_same() -> None:
    """A Booster of the user's own may be fitted to another objective."""
    truth, scores = np.array([0.0, 1.0, 1.0]), np.array([-0.5, 0.25, 1.5])
    answered = Answered(truth, scores)
    assert score("brier", answered) == pytest.approx((0.25 + 0.5625 + 0.25) / 3)
    assert set(measure(answered)) == set(measured(Task.BINARY))


def test_an_undefined_metric_is_left_out() -> None:
    found = measure(Answered(np.ones(3), np.array([0.2, 0.6, 0.9])), "validation_")
    undefined = {"validation_auc", "validation_average_precision"}
    assert set(found) == {f"validation_{name}" for name in measured(Task.BINARY)} - undefined
    assert found["validation_accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("count", [1, 99, 100])
def test_scores_that_are_no_numbers_measure_nothing_and_are_counted(bad: float, count: int) -> None:
    """However they are ordered: those of the positives might be the missing ones."""
    truth = np.array([1.0, 0.0] * 50)
    for order in (1, -1):
        scores = np.array([bad] * count + [0.5] * (100 - count))[np.argsort(truth, kind="stable")[::order]]
        assert measure(Answered(truth, scores)) == {"not_finite": count}
        assert measure(Answered(truth, scores), "validation_") == {"validation_not_finite": count}
        assert all(math.isnan(score(name, Answered(truth, scores))) for name in measured(Task.BINARY))


MEANWHILE = """
import sys, threading
import numpy as np
from framework import scores
from framework.sketches import LOADING
found = []
asks = threading.Thread(target=lambda: found.append(scores.auc(np.array([0.0, 1.0]), np.array([0.1, 0.2]))))
with LOADING:
    sys.modules["sklearn"] = None  # as while whylogs is loaded
    asks.start()
    asks.join(0.5)
    del sys.modules["sklearn"]
asks.join()
assert found == [1.0], found
"""


@pytest.mark.slow
def test_what_is_measured_while_whylogs_is_loaded_finds_its_library() -> None:
    done = subprocess.run([sys.executable, "-c", MEANWHILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(WorkloadError, match="did you mean 'auc'"):
        checked("aucc", Task.BINARY)


BINARY = np.array([0.0, 1.0])
CLASSES = np.array([0.0, 1.0, 2.0])
LISTS = np.array([1.0, 1.0])
BEST_AND_WORST: dict[str, tuple[Answered, Answered]] = {
    "pinball": (
        Answered(BINARY, np.stack([BINARY, BINARY], axis=1), Task.QUANTILE, quantiles=(0.1, 0.9)),
        Answered(BINARY, np.full((2, 2), 1e9), Task.QUANTILE, quantiles=(0.1, 0.9)),
    ),
    "coverage": (
        Answered(BINARY, np.array([[0.0, 0.0], [0.0, 2.0]]), Task.QUANTILE, quantiles=(0.1, 0.9)),
        Answered(BINARY, np.array([[1.0, 2.0], [2.0, 3.0]]), Task.QUANTILE, quantiles=(0.1, 0.9)),
    ),
    "ndcg": (
        Answered(BINARY, BINARY, Task.RANKING, groups=LISTS),
        Answered(np.array([0.0] * 9 + [1.0]), -np.arange(10.0), Task.RANKING, groups=np.ones(10)),
    ),
    "map": (
        Answered(BINARY, BINARY, Task.RANKING, groups=LISTS),
        Answered(np.array([0.0] * 10 + [1.0]), -np.arange(11.0), Task.RANKING, groups=np.ones(11)),
    ),
}


@pytest.mark.parametrize("name", MEASURES)
def test_every_metric_reaches_the_ends_of_its_range_and_no_further(name: str) -> None:
    """The specs that bound a metric, and the table that says what it can be, know the same ones as this does."""
    assert set(METRICS) == set(MEASURES)
    known = MEASURES[name]
    number = Task.REGRESSION in known.tasks
    task = Task.REGRESSION if number else Task.BINARY
    wrong = BINARY + 1e9 if number else 1 - BINARY
    pairs = [BEST_AND_WORST.get(name, (Answered(BINARY, BINARY, task), Answered(BINARY, wrong, task)))]
    if Task.MULTICLASS in known.tasks:
        sure = np.eye(3)
        pairs.append((Answered(CLASSES, sure, Task.MULTICLASS), Answered(CLASSES, sure[[1, 2, 0]], Task.MULTICLASS)))
    for right, bad in pairs:
        best, worst = (known.least, known.most) if known.loss else (known.most, known.least)
        assert score(name, right) == pytest.approx(best, abs=1e-12)
        found = score(name, bad)
        if math.isinf(worst):
            assert abs(found) > 1e7
        elif name == "ndcg":
            assert worst <= found < 0.3  # never 0 while something relevant is among the places
        elif name in ("mcc", "auc") and bad.task is Task.MULTICLASS:
            assert worst <= found < best / 2
        else:
            assert found == pytest.approx(worst, rel=1e-2, abs=0.5 if name == "average_precision" else 1e-12)


@given(st.integers(0, 2**32 - 1))
def test_lists_of_any_length_are_measured_as_each_by_itself(seed: int) -> None:
    from sklearn.metrics import ndcg_score

    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 9, 6)
    groups = np.repeat(generator.permutation(6).astype(float), sizes)
    truth = generator.integers(0, 3, len(groups)).astype(float)
    given = np.round(generator.normal(size=len(groups)), 1)
    answered = Answered(truth, given, Task.RANKING, groups=groups)
    alone = [
        float(ndcg_score([truth[groups == one]], [given[groups == one]], k=3))
        for one in sorted(set(groups))
        if (groups == one).sum() > 1 and truth[groups == one].max() > 0
    ]
    assert score("ndcg@3", answered) == pytest.approx(np.mean(alone) if alone else math.nan, nan_ok=True)
    each = each_list("ndcg@3", answered)
    assert each[np.isfinite(each)].tolist() == pytest.approx(alone)
