"""Rows of a view between being computed and being published: in files of the run's own, so that no process holds them
all, in canonical order, and at their declared dtypes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import polars as pl

from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.features.dtypes import Columns, select_declared, yielded

BATCH = 1 << 19
"""Rows that are held at a time."""
_GROUP = 1 << 17
_SAMPLED = 64
"""Of so many rows one tells where slices of the time begin."""
_FULL = ("No space left on device", "os error 28")


@dataclass(frozen=True)
class Rows:
    """Rows at rest, which can be gone through any number of times; ``lazy`` in any order. ``cuts`` are where batches
    begin, ``order`` by what each is put in order; nothing where they lie so."""

    lazy: pl.LazyFrame
    height: int
    cuts: tuple[int, ...] = (0,)
    order: tuple[str, ...] = ()

    def batches(self) -> Iterator[pl.DataFrame]:
        """In canonical order (time, entities, everything else), about :data:`BATCH` rows each; one without rows where
        there are none."""
        for start, end in pairwise((*self.cuts, self.height)):
            batch = self.lazy.slice(start, end - start).collect()
            yield batch.sort(self.order) if self.order else batch


def stage(rows: pl.LazyFrame, columns: Columns, keys: Sequence[str], folder: Path) -> Rows:
    """Compute ``rows`` into files below ``folder``. ``keys``: event time first, then the entities.

    Raises:
        WorkloadError: what ``yielded`` and ``select_declared`` raise, "NullKey" for rows without key, "DiskFull".
    """
    computed = folder / "computed.parquet"
    with enough_room():
        yielded(rows, columns).sink_parquet(computed, compression="lz4", row_group_size=_GROUP, mkdir=True)
    found = select_declared(pl.scan_parquet(computed, glob=False), columns)
    height = _counted(found, keys)
    order = (*keys, *(name for name, _ in columns if name not in keys))
    if height <= BATCH:
        return Rows(found.collect().sort(order).lazy(), height)
    cuts = _cuts(found, height, keys[0])
    if cuts is not None:
        return Rows(found, height, cuts, order)
    parts = list(_sorted(found, height, order, folder))
    computed.unlink()
    files = [path for path, _ in parts]
    starts = tuple(accumulate((rows for _, rows in parts[:-1]), initial=0))
    return Rows(pl.scan_parquet(files, glob=False), height, starts)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder for as long as it is needed; what an attempt left that was killed is gone before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def enough_room() -> Iterator[None]:
    """What the engine and Delta say of a full disk, in our words.

    Raises:
        WorkloadError: "DiskFull" (Infrastructure).
    """
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        if any(sign in str(error) for sign in _FULL):
            told = f"there is no room left on the disk, nothing is published: {first_line(error)}"
            raise WorkloadError("DiskFull", told, kind=FailureKind.INFRASTRUCTURE) from error
        raise


def _counted(rows: pl.LazyFrame, keys: Sequence[str]) -> int:
    """How many there are, each with its keys."""
    counts = rows.select(pl.len().alias(""), pl.col(keys).null_count()).collect().row(0, named=True)
    height = int(counts.pop(""))
    found = {name: count for name, count in counts.items() if count}
    if found:
        told = ", ".join(f"{count:,} of {height:,} rows have no {name}" for name, count in found.items())
        raise WorkloadError("NullKey", f"{told}; a row without key or event time cannot be joined", data=found)
    return height


def _cuts(rows: pl.LazyFrame, height: int, time: str) -> tuple[int, ...] | None:
    """Where batches begin such that equal times are in one of them; None where rows are not in the order of time."""
    cuts, last = [0], None
    for start in range(0, height, BATCH):
        times = rows.select(time).slice(start, BATCH).collect()[time]
        if not times.is_sorted() or (last is not None and times[0] < last):
            return None
        if start and times[0] != last:
            cuts.append(start)
        elif (later := times.search_sorted(times[-1], "left")) and start:
            cuts.append(start + int(later))
        last = times[-1]
    return tuple(cuts)


def _sorted(rows: pl.LazyFrame, height: int, order: Sequence[str], folder: Path) -> Iterator[tuple[Path, int]]:
    """Files in order, slice by slice of the time, so that no more than a slice is held; and how many rows each has."""
    time = order[0]
    for number, (low, high) in enumerate(pairwise([None, *_edges(rows, height, time), None])):
        within = [pl.col(time) >= low] if low is not None else []
        within += [pl.col(time) < high] if high is not None else []
        path = folder / f"ordered-{number:05}.parquet"
        part = (rows.filter(*within) if within else rows).collect(engine="streaming").sort(order)
        with enough_room():
            part.write_parquet(path, compression="lz4", row_group_size=_GROUP)
        yield path, part.height


def _edges(rows: pl.LazyFrame, height: int, time: str) -> list[pl.Expr]:
    """Times between which there are about :data:`BATCH` rows."""
    parts = (rows.select(time).slice(start, BATCH).collect() for start in range(0, height, BATCH))
    times = pl.concat(part.gather_every(_SAMPLED) for part in parts)[time].sort()
    return [pl.lit(value, dtype=times.dtype) for value in times.gather_every(BATCH // _SAMPLED).unique().sort()[1:]]
