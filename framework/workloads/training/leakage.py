"""Signs that a model was judged on what it knew, or is given what nobody has in time. They are told and stop nothing:
whether a column is known in time, only a person can say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from framework.answers import Matrix, ModelOutput
from framework.api.printing import number
from framework.api.tasks import Task
from framework.scores import Answered, score
from framework.workloads import models
from framework.workloads.missing import nan_as_null

NEARLY_ALL, STRONG = 0.95, 0.5
"""An input alone is worth a word where it has so much of what the model is better than chance by, and is so much
better than chance itself: an AUC of 0.75, an R2 of 0.5."""
EQUAL, COARSE = 0.01, 0.2
"""So are rows that are in both parts: from that share on, unless so few training rows are different that rows are equal
by their nature."""
ROWS, CELLS, FEWEST = 20_000, 2_000_000, 1_000
"""Rows that an input is looked at on: of many inputs fewer, but FEWEST at least."""
_MOST_BINS, _ROWS_OF_A_BIN, _TOLD = 64, 20, 3
_MEASURE = {Task.BINARY: "auc", Task.MULTICLASS: "auc", Task.REGRESSION: "r2", Task.QUANTILE: "r2"}
"""What says how much an input tells, whatever the label's unit is. A ranking has none."""


@dataclass(frozen=True)
class PartsLook:
    """What is seen of the parts of a training set without a model: see ``leakage``. ``learned`` is what rows are called
    that are learned from; ``judged`` are the test rows, by position, that ``inputs`` are looked at on; ``coarse``:
    hardly any learned row is different from others."""

    learned: str
    inputs: Sequence[Mapping[str, Any]]
    judged: NDArray[np.int64]
    rows: Mapping[str, int]
    coarse: bool
    shared: Mapping[str, Any]


def look_at(
    parts: Mapping[str, pl.DataFrame],
    learned: Sequence[str],
    signature: models.Signature,
    entities: Sequence[str],
    seed: int,
) -> PartsLook:
    """``learned`` are the parts that are learned from, ``entities`` the keys of the spine."""
    output, whole = ModelOutput.of(signature), pl.concat([parts[name] for name in learned])
    called = f"{' or '.join('training' if name == 'train' else name for name in learned)} rows"
    inputs, judged = _alone(whole, parts["test"], signature, output, np.random.default_rng(seed))
    train, test = nan_as_null(whole), nan_as_null(parts["test"])
    rows, coarse = _equal(train, test, [*(column["name"] for column in signature["inputs"]), output.name])
    return PartsLook(called, inputs, judged, rows, coarse, _shared(train, test, entities))


def leakage(seen: PartsLook, known: Answered, split: str) -> dict[str, Any]:
    """{learned, inputs, metric, model, rows, entities, hints}.

    ``learned`` is what rows are called that the model learned from. ``inputs`` are {input, value}: the metric on test
    rows of the best answer that goes by this input alone, the mean of the label of the learned rows that have the same
    value, or one like it; the largest first. ``model`` is the model's own. They are empty and None where that says
    nothing: of a ranking, of a single input, of answers that are no numbers. ``rows`` is {equal, of}: test rows that
    are equal to a learned row, label included. ``entities`` is {columns, shared, of}: test rows whose entity has
    learned rows, too. ``hints`` are sentences.

    Args:
        known: the model's answers to the test rows.
        split: what ``split.by`` says: by time, entities recur by their nature.
    """
    metric = _MEASURE.get(known.task, "")
    model = score(metric, _comparable(known.of(seen.judged))) if len(seen.judged) else np.nan
    found = float(f"{model:.6g}") if np.isfinite(model) else None
    inputs = [] if found is None else list(seen.inputs)
    hints = [
        *_alone_hints(inputs, found, metric),
        *_equal_hints(seen.rows, seen.learned, coarse=seen.coarse),
        *([] if split == "time" else _shared_hints(seen.shared, seen.learned)),
    ]
    told = {"rows": dict(seen.rows), "entities": dict(seen.shared), "hints": hints}
    return {"learned": seen.learned, "metric": metric, "model": found, "inputs": inputs, **told}


# -- an input that alone says nearly everything ------------------------------------------------------------------------


def _alone(
    learned: pl.DataFrame,
    test: pl.DataFrame,
    signature: models.Signature,
    output: ModelOutput,
    generator: np.random.Generator,
) -> tuple[list[dict[str, Any]], NDArray[np.int64]]:
    """What each input says, and on which test rows: none where nothing is looked at."""
    columns = signature["inputs"]
    if output.task not in _MEASURE or len(columns) < 2:
        return [], np.empty(0, dtype=np.int64)
    most = max(FEWEST, min(ROWS, CELLS // len(columns)))
    seen, judged = (_some(frame.height, most, generator) for frame in (learned, test))
    metric, encoder = _MEASURE[output.task], models.Encoder(signature)
    told, asked = encoder.matrix(learned[seen]), encoder.matrix(test[judged])
    target, truth = _target(output.truth(learned[seen]), output), output.truth(test[judged])
    task = Task.REGRESSION if output.task is Task.QUANTILE else output.task
    found = []
    for place, column in enumerate(columns):
        categories = len(column["categories"]) if "categories" in column else None
        answer = _by_value(told[:, place], asked[:, place], target, categories)
        value = score(metric, Answered(truth, answer if task is Task.MULTICLASS else answer[:, 0], task))
        if np.isfinite(value):
            found.append({"input": column["name"], "value": float(f"{value:.6g}")})
    return sorted(found, key=lambda row: -row["value"]), judged


def _some(rows: int, most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(rows) if rows <= most else np.sort(generator.choice(rows, most, replace=False))


def _comparable(known: Answered) -> Answered:
    """Quantiles by the middle one, as a number."""
    if known.task is not Task.QUANTILE:
        return known
    middle = known.given[:, known.given.shape[1] // 2]
    return replace(known, task=Task.REGRESSION, given=middle, quantiles=())


def _target(truth: Matrix, output: ModelOutput) -> Matrix:
    """(rows, numbers of an answer)."""
    return np.eye(len(output.classes))[truth.astype(np.int64)] if output.task is Task.MULTICLASS else truth[:, None]


def _by_value(train: Matrix, test: Matrix, target: Matrix, categories: int | None) -> Matrix:
    """For each test row the mean target of the training rows with such a value: of the same category, or of numbers in
    one of up to 64 bins of about as many rows; of all training rows where there is none."""
    if categories is None:
        seen = train[~np.isnan(train)]
        bins = max(2, min(_MOST_BINS, len(seen) // _ROWS_OF_A_BIN))
        # An edge between two infinite values would be NaN: an edge is a value that there is.
        edges = np.unique(np.quantile(seen, np.linspace(0, 1, bins + 1)[1:-1], method="lower")) if len(seen) else seen
        size, places = len(edges) + 2, (_bins(train, edges), _bins(test, edges))
    else:
        size, places = categories + 1, (_codes(train, categories), _codes(test, categories))
    rows = np.bincount(places[0], minlength=size)
    means = np.stack([np.bincount(places[0], column, size) for column in target.T], axis=1)
    means = np.where(rows[:, None] > 0, means / np.maximum(rows, 1)[:, None], target.mean(axis=0))
    return np.asarray(means[places[1]])


def _bins(column: Matrix, edges: Matrix) -> NDArray[np.int64]:
    """Missing values are a bin of their own."""
    return np.where(np.isnan(column), len(edges) + 1, np.searchsorted(edges, column, side="right"))


def _codes(column: Matrix, categories: int) -> NDArray[np.int64]:
    return np.where(np.isnan(column), categories, column).astype(np.int64)


def _alone_hints(inputs: Sequence[Mapping[str, Any]], model: float | None, metric: str) -> Iterator[str]:
    if model is None:
        return
    chance = 0.5 if metric == "auc" else 0.0
    strong = chance + STRONG * (1 - chance)
    nearly = chance + NEARLY_ALL * (model - chance)
    found = [row for row in inputs if row["value"] >= max(strong, nearly)]
    for row in found[:_TOLD]:
        told = f"{row['input']} alone reaches {metric} {number(row['value'])} on the test rows, the model"
        yield f"{told} {number(model)}: is it known before the label is?"
    if len(found) > _TOLD:
        yield f"so do {len(found) - _TOLD} more inputs"


# -- rows and entities in both parts -----------------------------------------------------------------------------------


def _equal(train: pl.DataFrame, test: pl.DataFrame, columns: Sequence[str]) -> tuple[dict[str, int], bool]:
    """Test rows that are equal to a training row, and whether hardly any training row is different from others."""
    known, asked = train.select(columns).hash_rows(), test.select(columns).hash_rows()
    equal = int(asked.is_in(known.unique().implode()).sum())
    return {"equal": equal, "of": test.height}, known.n_unique() < COARSE * train.height


def _equal_hints(rows: Mapping[str, int], learned: str, *, coarse: bool) -> Iterator[str]:
    if rows["equal"] >= EQUAL * rows["of"] and rows["equal"] and not coarse:
        yield f"{rows['equal']:,} of {rows['of']:,} test rows are equal to {learned}, label included"


def _shared(train: pl.DataFrame, test: pl.DataFrame, entities: Sequence[str]) -> dict[str, Any]:
    columns = list(entities)
    shared = (
        test.join(train.select(columns).unique(), on=columns, how="semi", nulls_equal=True).height if columns else 0
    )
    return {"columns": columns, "shared": shared, "of": test.height}


def _shared_hints(shared: Mapping[str, Any], learned: str) -> Iterator[str]:
    if shared["shared"]:
        told = f"{shared['shared']:,} of {shared['of']:,} test rows are of an entity ({', '.join(shared['columns'])})"
        yield f"{told} that {learned} are of, too: split by: group keeps them apart"
