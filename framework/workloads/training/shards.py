"""A training set as files, for workers that are not to hold all of it: written once by the run, in canonical order,
read by each worker as far as it needs, and taken away when the run has succeeded.

A part is a few files of inputs, as the set has them, and one of labels, weights and lists. What a worker holds of it is
the latter, 8 bytes a row each, and what it asks for of the former, a file at a time.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from framework import storage
from framework.answers import Matrix, ModelOutput
from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.models import Encoder
from framework.workloads.training.own_metrics import NO_OWN_METRICS, OwnMetrics
from framework.workloads.training.trainer import Part, TrainingData

log = logging.getLogger(__name__)

FILE_BYTES = 32 * 2**20
"""Of a file's rows once they are a matrix."""
_Y, _WEIGHT, _GROUPS = "y", "weight", "groups"


@dataclass(frozen=True)
class Shards:
    """Where the files are, by part how many rows each has, and what a ``TrainingData`` has besides rows. ``learn`` is
    the part that is learned from; ``rows`` are what ``own`` metrics look at of the validation part."""

    folder: str
    sizes: Mapping[str, tuple[int, ...]]
    signature: Mapping[str, Any]
    categories: Mapping[int, int]
    output: ModelOutput
    learn: str = "train"
    own: OwnMetrics = NO_OWN_METRICS
    rows: pl.DataFrame | None = None

    def open(self, *, held: bool) -> TrainingData:
        """``held``: everything is read now."""
        parts = [StreamedPart(self, name) for name in (self.learn, "validation")]
        object.__setattr__(parts[1], "rows", self.rows)
        train, validation = ([part.loaded() for part in parts]) if held else parts
        names = tuple(column["name"] for column in self.signature["inputs"])
        return TrainingData(train, validation, names, self.categories, self.output, self.own)

    def file(self, part: str, number: int) -> str:
        return f"{self.folder}/{part}-{number:05d}.arrow"

    def labels(self, part: str) -> str:
        return f"{self.folder}/{part}-labels.arrow"


class StreamedPart(Part):
    """A part that lies in files, or some rows of it: ``x`` and each batch are read when they are asked for."""

    def __init__(self, shards: Shards, name: str, rows: NDArray[np.int64] | None = None) -> None:
        known = _read(shards.labels(name))
        taken = known if rows is None else known[rows]
        for field in (_Y, _WEIGHT, _GROUPS):
            found = taken[field].to_numpy() if field in taken.columns else None
            object.__setattr__(self, field, found)
        object.__setattr__(self, "_shards", shards)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_rows", rows)

    _shards: Shards
    _name: str
    _rows: NDArray[np.int64] | None
    """Which rows these are of the whole part, rising; None for all."""

    @property
    def x(self) -> Matrix:
        found = np.empty((len(self.y), len(self._shards.signature["inputs"])))
        for number in range(self.batches):
            first, last = self._places(number)
            found[first:last] = self._matrix(number, self._shards.signature)
        return found

    @property
    def sizes(self) -> tuple[int, ...]:
        places = map(self._places, range(len(self._shards.sizes[self._name])))
        return tuple(last - first for first, last in places)

    def batch(self, number: int) -> Part:
        first, last = self._places(number)
        weight, groups = (None if one is None else one[first:last] for one in (self.weight, self.groups))
        return Part(self._matrix(number, self._shards.signature), self.y[first:last], weight, groups)

    def column(self, index: int) -> Matrix:
        alone = {"inputs": [self._shards.signature["inputs"][index]]}
        return np.concatenate([self._matrix(number, alone)[:, 0] for number in range(self.batches)])

    def of(self, rows: NDArray[np.int64]) -> Part:
        if (np.diff(rows) <= 0).any():  # in another order, they are wanted all at once
            return self.loaded().of(rows)
        return StreamedPart(self._shards, self._name, rows if self._rows is None else self._rows[rows])

    def loaded(self) -> Part:
        return Part(self.x, self.y, self.weight, self.groups, self.rows)

    def _edges(self, number: int) -> tuple[int, int]:
        """Of a file, among all rows of the part."""
        sizes = self._shards.sizes[self._name]
        return sum(sizes[:number]), sum(sizes[: number + 1])

    def _places(self, number: int) -> tuple[int, int]:
        """Of what is taken of a file, among the rows that these are."""
        begin, end = self._edges(number)
        if self._rows is None:
            return begin, end
        first, last = np.searchsorted(self._rows, (begin, end))
        return int(first), int(last)

    def _matrix(self, number: int, signature: Mapping[str, Any]) -> Matrix:
        frame = _read(self._shards.file(self._name, number), [column["name"] for column in signature["inputs"]])
        if self._rows is not None:
            first, last = self._places(number)
            frame = frame[self._rows[first:last] - self._edges(number)[0]]
        return Encoder(signature).matrix(frame)


def write(
    folder: str, digest: str, name: str, frame: pl.DataFrame, part: Part, signature: Mapping[str, Any]
) -> tuple[int, ...]:
    """Write a part; how many rows each of its files has.

    Args:
        folder: of the set's files. What an earlier attempt wrote there for the same ``digest`` is taken.
        frame: with the inputs of ``signature``.
        part: labels, weights and lists of the same rows; its matrix is not looked at.
    """
    names = [column["name"] for column in signature["inputs"]]
    rows = max(1, FILE_BYTES // (8 * len(names)))
    sizes = tuple(min(rows, frame.height - start) for start in range(0, frame.height, rows))
    place, complete = f"{folder}/{name}", {"digest": digest, "sizes": list(sizes)}
    found = storage.readable_json(f"{place}.json")
    if found is not None and complete.items() <= found.items():
        return sizes
    for number, size in enumerate(sizes):
        _write(f"{place}-{number:05d}.arrow", frame.select(names).slice(number * rows, size))
    known = {_Y: part.y, _WEIGHT: part.weight, _GROUPS: part.groups}
    _write(f"{place}-labels.arrow", pl.DataFrame({key: value for key, value in known.items() if value is not None}))
    storage.write_sealed(f"{place}.json", complete)
    return sizes


def remove(folder: str) -> None:
    """Those of a run that needs them no more. What cannot be removed now stays."""
    try:
        storage.delete_folder(f"{folder}/shards")
    except OSError as error:
        log.warning("the shards of the training set stay: %s", error)


def _write(uri: str, frame: pl.DataFrame) -> None:
    stream = io.BytesIO()
    frame.write_ipc(stream, compression="uncompressed")
    storage.write_bytes(uri, stream.getvalue())


def _read(uri: str, columns: list[str] | None = None) -> pl.DataFrame:
    """
    Raises:
        WorkloadError: "ShardMissing" (Infrastructure).
    """
    if storage.is_local(uri):
        return pl.read_ipc(uri.removeprefix("file://"), columns=columns)
    data = storage.read_bytes(uri)
    if data is None:
        told = f"{uri} of the training set is gone"
        raise WorkloadError("ShardMissing", told, kind=FailureKind.INFRASTRUCTURE)
    return pl.read_ipc(data, columns=columns)
