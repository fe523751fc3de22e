"""How the train and validation rows are divided into folds: each row is measured at most once, by a fit that has not
seen it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from framework.api.fields import parse_duration
from framework.workloads.context import WorkloadError
from framework.workloads.training import labels
from framework.workloads.training.as_of import MOMENT
from framework.workloads.training.dataset import TrainingSet

Rows = NDArray[np.int64]
_MICROSECOND = timedelta(microseconds=1)


class Fold(NamedTuple):
    """Positions of the rows that are learned from, and of those that are measured on."""

    learn: Rows
    held: Rows


def folds(
    frame: pl.DataFrame, dataset: TrainingSet, split: Mapping[str, Any], asked: Mapping[str, Any], seed: int
) -> list[Fold]:
    """``asked`` is the spec's ``crossValidation``; ``split`` says how rows are divided:

    - time: rolling origin. ``frame``, in order of time, is cut into one block more than there are folds; each fold
      learns from the blocks before the one that it is measured on, but for the last ``gap`` of them. Rows of the same
      instant stay together.
    - random, stratified, group: as scikit-learn's ``KFold``, ``StratifiedKFold`` and ``GroupKFold``, with ``stratify``
      ``StratifiedGroupKFold``.

    Raises:
        WorkloadError: "EmptyFold"; what ``labels.check`` raises, with the fold.
    """
    number = int(asked["folds"])
    if split["by"] == "time":
        gap = asked.get("gap") or split.get("gap")
        found = list(_by_time(frame[str(dataset.time)], number, parse_duration(gap) if gap else None))
    else:
        found = list(_divided(frame, dataset, split, number, seed))
    for place, fold in enumerate(found, start=1):
        told = f"fold {place} of {number}"
        for rows, what in ((fold.learn, "to learn from"), (fold.held, "to measure on")):
            if not len(rows):
                raise WorkloadError("EmptyFold", f"{told} has no rows {what}, of {frame.height:,} in all")
        try:
            labels.check({"train": frame[fold.learn], "held-out": frame[fold.held]}, dataset.label, dataset.task)
        except WorkloadError as error:
            raise WorkloadError(error.reason, f"{told}: {error}") from error
    return found


def _by_time(times: pl.Series, number: int, gap: Any) -> Iterator[Fold]:
    at = times.cast(MOMENT).to_physical().to_numpy()
    starts = [int(np.searchsorted(at, at[len(at) * block // (number + 1)])) for block in range(1, number + 1)]
    for start, end in zip(starts, [*starts[1:], len(at)], strict=True):
        known = start
        if gap is not None and start < len(at):
            known = min(start, int(np.searchsorted(at, at[start] - gap // _MICROSECOND, side="right")))
        yield Fold(np.arange(known), np.arange(start, end))


def _divided(
    frame: pl.DataFrame, dataset: TrainingSet, split: Mapping[str, Any], number: int, seed: int
) -> Iterator[Fold]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    by = {"stratified": dataset.label, "group": split.get("group")}.get(split["by"])
    kinds = None if by is None else frame[by].rank("dense").fill_null(0).to_numpy()
    there = frame.height if kinds is None or split["by"] == "stratified" else len(np.unique(kinds))
    if there < number:
        of = "rows" if there == frame.height else f"values of {by}"
        raise WorkloadError("EmptyFold", f"{there:,} {of} cannot be divided into {number} folds")
    match split["by"]:
        case "group" if split.get("stratify"):
            label = frame[dataset.label].rank("dense").to_numpy()
            found = StratifiedGroupKFold(number, shuffle=True, random_state=seed).split(kinds, label, kinds)
        case "group":
            found = GroupKFold(number).split(kinds, groups=kinds)
        case "stratified":
            found = StratifiedKFold(number, shuffle=True, random_state=seed).split(kinds, kinds)
        case _:
            found = KFold(number, shuffle=True, random_state=seed).split(np.zeros(frame.height))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class with fewer rows than folds: what matters of it is checked
        try:
            yield from (Fold(np.sort(learn), np.sort(held)) for learn, held in found)
        except ValueError as error:
            told = f"{dataset.label} cannot be divided into {number} folds: {error}"
            raise WorkloadError("EmptyFold", told) from error
