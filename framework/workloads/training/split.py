"""Which rows a model learns from, which it is chosen on, and which it is judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from framework.api.fields import parse_duration
from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.training import labels
from framework.workloads.training.as_of import MOMENT
from framework.workloads.training.dataset import TrainingSet, midnight

PARTS = ("train", "validation", "test")


def split(dataset: TrainingSet, spec: Mapping[str, Any], seed: int) -> dict[str, pl.DataFrame]:
    """The three parts, each in canonical order. No row is in two; equal inputs give equal parts.

    - time: earlier rows train, later ones test. ``at`` gives the first day (UTC) of validation and test;
      ``fractions`` cut by rows, and rows of the same instant stay together. Rows of the last ``gap`` before the next
      part are in none.
    - random: a seeded permutation. stratified: one per class, so that all parts have the same shares of them.
    - group: whole groups, in a seeded order, so that no group is in two parts; with ``stratify`` as
      ``stratified_groups`` deals them out.

    Raises:
        WorkloadError: "EmptySplit", naming the part and the numbers; "MissingColumn" for the group; "CannotStratify"
            for a label that is no class; what ``labels.check`` raises.
    """
    frame = dataset.frame
    match spec["by"]:
        case "time" if spec.get("at"):
            number = _by_dates(dataset, spec["at"])
        case "time":
            number = _by_time(dataset, spec["fractions"])
        case "random":
            number = _by_chance(frame.height, spec["fractions"], np.random.default_rng(seed))
        case "stratified":
            number = _stratified(dataset, spec["fractions"], seed)
        case _:
            number = _by_group(dataset, spec["group"], spec["fractions"], seed, stratify=bool(spec.get("stratify")))
    if spec.get("gap"):
        number = _without_gaps(number, frame[_moment(dataset)], parse_duration(spec["gap"]))
    parts = {name: frame.filter(pl.Series(number == index)) for index, name in enumerate(PARTS)}
    _usable(parts, dataset)
    return parts


def divided(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    """``split`` of a spec's ``dataset``. By time a part ends as long before the next begins as it takes until a label
    is known, or models would learn from what was still to come."""
    asked, delay = dataset["split"], dataset.get("labelDelay")
    return {**asked, "gap": delay} if asked["by"] == "time" and delay and not asked.get("gap") else asked


def _edges(rows: int, fractions: Mapping[str, float]) -> tuple[int, int]:
    first = round(rows * fractions["train"])
    return first, first + round(rows * fractions["validation"])


def _by_dates(dataset: TrainingSet, at: Mapping[str, str]) -> NDArray[np.int64]:
    moment = pl.col(_moment(dataset)).cast(pl.Datetime("us", "UTC"))
    later = (moment >= midnight(at["validation"])).cast(pl.Int64) + (moment >= midnight(at["test"])).cast(pl.Int64)
    return dataset.frame.select(later).to_series().to_numpy()


def _by_time(dataset: TrainingSet, fractions: Mapping[str, float]) -> NDArray[np.int64]:
    moments = dataset.frame[_moment(dataset)].to_physical().to_numpy()
    number = np.zeros(len(moments), dtype=np.int64)
    for edge in _edges(len(moments), fractions):
        # The frame is in time order: the boundary moves back to the first row of the instant it falls into.
        number += np.arange(len(moments)) >= (np.searchsorted(moments, moments[edge]) if edge < len(moments) else edge)
    return number


def _without_gaps(number: NDArray[np.int64], times: pl.Series, gap: timedelta) -> NDArray[np.int64]:
    """-1 for rows that are closer than ``gap`` to the first row of the part after theirs."""
    at = times.cast(MOMENT).to_physical().to_numpy()
    found = number.copy()
    for part in (0, 1):
        later = at[number > part]
        if len(later):
            found[(number == part) & (at > later.min() - gap // timedelta(microseconds=1))] = -1
    return found


def _by_chance(rows: int, fractions: Mapping[str, float], generator: np.random.Generator) -> NDArray[np.int64]:
    first, second = _edges(rows, fractions)
    number = np.empty(rows, dtype=np.int64)
    position = np.arange(rows)
    number[generator.permutation(rows)] = (position >= first).astype(np.int64) + (position >= second)
    return number


def _stratified(dataset: TrainingSet, fractions: Mapping[str, float], seed: int) -> NDArray[np.int64]:
    label = dataset.frame[dataset.label].to_numpy()
    number = np.empty(len(label), dtype=np.int64)
    generator = np.random.default_rng(seed)
    _of_classes(dataset, "by: stratified")
    for value in sorted(set(label.tolist())):
        rows = np.flatnonzero(label == value)
        number[rows] = _by_chance(len(rows), fractions, generator)
    return number


def _of_classes(dataset: TrainingSet, asked: str) -> None:
    if dataset.task not in (Task.BINARY, Task.MULTICLASS):
        raise WorkloadError("CannotStratify", f"{asked} keeps shares of classes, and the task is {dataset.task}")


def _by_group(
    dataset: TrainingSet, group: str, fractions: Mapping[str, float], seed: int, *, stratify: bool
) -> NDArray[np.int64]:
    frame = dataset.frame
    if group not in frame.columns:
        raise WorkloadError(
            "MissingColumn", f"split.group names {group!r}, the training set has {', '.join(frame.columns)}"
        )
    groups = frame.select(pl.col(group).alias("group"))
    sizes = groups.group_by("group").len().sort("group", nulls_last=True).with_row_index("place")
    place = groups.join(sizes, on="group", how="left", maintain_order="left", nulls_equal=True)["place"].to_numpy()
    order = np.random.default_rng(seed).permutation(sizes.height)
    if not stratify:
        parts = _by_middle(sizes["len"].to_numpy(), _edges(frame.height, fractions), order)
        return np.asarray(parts[place])
    _of_classes(dataset, "stratify")
    classes = frame[dataset.label].rank("dense").to_numpy().astype(np.int64) - 1
    counts = np.zeros((sizes.height, classes.max(initial=0) + 1), dtype=np.int64)
    np.add.at(counts, (place, classes), 1)
    return np.asarray(stratified_groups(counts, [fractions[part] for part in PARTS], order)[place])


def _by_middle(sizes: NDArray[Any], edges: tuple[int, int], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """A group goes where the row in its middle would, so that a large one does not empty its neighbour."""
    first, second = edges
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    number = np.empty(len(sizes), dtype=np.int64)
    number[order] = (middle >= first).astype(np.int64) + (middle >= second)
    return number


def stratified_groups(
    counts: NDArray[np.int64], fractions: Sequence[float], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The part of each group, so that every part has about its fraction of each class.

    Groups are dealt out one by one, the largest first and equal ones by ``order``, each to the part with which the sum
    over parts and classes of (share of the class - fraction) squared is expected to be smallest if all that follow were
    drawn by chance (Raghavan, Probabilistic construction of deterministic algorithms, JCSS 1988). So it is never more
    than on average over all ways of dealing out, each part drawn by its fraction.

    Args:
        counts: rows by group and class, (groups, classes).
    """
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    wanted = np.array(fractions)[:, None]
    over = np.zeros((len(fractions), counts.shape[1]))
    """What a part has of each class beyond its fraction of what was dealt out."""
    number = np.empty(len(counts), dtype=np.int64)
    for group in order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]:
        over -= wanted * shares[group]
        number[group] = np.argmin(over @ shares[group])
        over[number[group]] += shares[group]
    return number


def _moment(dataset: TrainingSet) -> str:
    """The column of the event time.

    Raises:
        WorkloadError: "NoEventTime".
    """
    if dataset.time is None:
        raise WorkloadError("NoEventTime", "by: time divides rows by event time, and the spine has none")
    return dataset.time


def _usable(parts: Mapping[str, pl.DataFrame], dataset: TrainingSet) -> None:
    told = ", ".join(f"{name} {part.height:,}" for name, part in parts.items())
    moments = None if dataset.time is None else dataset.frame[dataset.time]
    spanned = "" if moments is None else f"; event times span {moments.min()!s} to {moments.max()!s}"
    for name, part in parts.items():
        if part.is_empty():
            raise WorkloadError("EmptySplit", f"the {name} part is empty (rows: {told}){spanned}")
    labels.check(parts, dataset.label, dataset.task)
