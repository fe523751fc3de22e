"""What a version of a view consists of before it is published: all rows anew, or those from some event time on beside
what the version before holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from framework import storage
from framework.api.fields import parse_duration
from framework.ports import MaterializeRequest
from framework.workloads import profiling
from framework.workloads.features import days, delta
from framework.workloads.features.days import BLOCK, MOMENT, Block, Days
from framework.workloads.features.delta import DataFile
from framework.workloads.features.digests import Digests, digests
from framework.workloads.features.dtypes import DTYPES
from framework.workloads.features.ranges import Inputs, Range, from_time, materialization_of, recent
from framework.workloads.features.staging import Rows, stage
from framework.workloads.features.transform import count, declared, keys_of, staged, times


@dataclass(frozen=True)
class Computed:
    """``rows`` are new; with ``kept``, the rows of the version before that stay, they make the table. ``replaced`` are
    files of that which hold others as well, and ``rest`` their rows that stay; None where all are new. ``told`` goes
    into the commit."""

    rows: Rows
    kept: pl.LazyFrame | None
    replaced: Sequence[DataFile] | None
    watermark: datetime | None
    told: Mapping[str, Any]
    rest: Iterable[pl.LazyFrame] = ()
    order: Sequence[str] = ()

    def written(self) -> Iterator[pl.DataFrame]:
        """What goes into files: where some will be replaced again, they are small."""
        if not self.order:
            yield from self.rows.batches()
            return
        for rows in self.rest:
            if (stays := rows.collect().sort(self.order)).height:
                yield stays
        for batch in self.rows.batches():
            yield from batch.iter_slices(BLOCK) if batch.height else (batch,)

    @property
    def whole(self) -> pl.LazyFrame:
        return self.rows.lazy if self.kept is None else pl.concat([self.kept, self.rows.lazy])


@dataclass(frozen=True)
class Version:
    """Names and profiles a version. ``place`` is where files of this run lie, without their endings."""

    asked: MaterializeRequest
    place: str
    now: datetime

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.asked.spec

    @property
    def upstream(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: dict(read) for name, read in self.asked.upstream.items()}

    def computed(self, folder: Path) -> Computed:
        """All rows, but for those that are older than the spec keeps them."""
        rows = staged(self.spec, self.asked.root, self.upstream, folder, files=self.asked.files)
        if not times(self.spec):
            return Computed(rows, None, None, None, {"since": None})
        mark = watermark(rows.lazy, self.time, self.now)
        low = oldest(self.spec, mark)
        rows = self._retained(rows, low, folder)
        return Computed(rows, None, None, mark, {"since": None}, order=self.order if self.incremental else ())

    def extended(self, found: Range, folder: Path) -> Computed:
        """Rows from an event time on, which take the place of those that the version before has there."""
        select = partial(from_time, column=self.time, since=found.since)
        narrow = partial(recent, spec=self.spec, since=found.since)
        rows = staged(self.spec, self.asked.root, self.upstream, folder, narrow, select, self.asked.files)
        at, before = _at(self.time), delta.read(found.before.uri, found.before.version, declared(self.spec))
        mark = max(watermark(rows.lazy, self.time, self.now) or found.since, _mark(found.before))
        low = oldest(self.spec, mark)
        rows, old = self._retained(rows, low, folder), before.filter(at < found.since)
        kept = old if low is None else old.filter(at.dt.date() >= low)
        told = {"since": found.since.isoformat(), "previous": found.before.version, "late": self._late(found, before)}
        files = delta.overlapping(found.before, self.time, found.since, low)
        stays = at < found.since if low is None else (at < found.since) & (at.dt.date() >= low)
        rest = [file.rows(found.before.uri, declared(self.spec)).filter(stays) for file in files]
        return Computed(rows, kept, files, mark, told, rest, self.order)

    def _retained(self, rows: Rows, low: date | None, folder: Path) -> Rows:
        """Without what is older than the spec keeps it."""
        day = _at(self.time).dt.date()
        if low is None or not rows.lazy.select((day < low).any()).collect().item():
            return rows
        return stage(rows.lazy.filter(day >= low), declared(self.spec), keys_of(self.spec), folder / "retained")

    def _late(self, found: Range, before: pl.LazyFrame) -> int | None:
        """How many rows there are now that would be older than what is computed, and are not in the table; None where
        nobody looked, because the sources are not read that far back."""
        if materialization_of(self.spec).get("lookback") is not None:
            return None
        low = oldest(self.spec, _mark(found.before))
        at = _at(self.time)

        def left_out(rows: pl.LazyFrame) -> pl.LazyFrame:
            older = from_time(rows, self.time, found.since, before=True)
            return older if low is None else from_time(older, self.time, datetime.combine(low, time(), UTC))

        there = count(self.spec, self.asked.root, self.upstream, left_out, self.asked.files)
        newer = before.filter(at >= found.since).select(pl.len()).collect().item()
        dropped = 0 if low is None else before.filter(at.dt.date() < low).select(pl.len()).collect().item()
        return max(0, there - (found.days.rows - int(newer) - int(dropped)))

    # -- what the rows are called -------------------------------------------------------------------------------------

    def named(self, computed: Computed) -> dict[str, Any]:
        """Digests of the columns, the number of rows, and the profile, which is written."""
        values = Digests()
        view = profiling.profile_batches(self._profiled(values, computed.rows), self.now)
        storage.write_bytes(f"{self.place}.bin", bytes(view.serialize()))
        return {
            "digests": values.values(),
            "rows": computed.rows.height,
            "profile": f"{self.place}.bin",
            "covered": self._covered(computed.rows.lazy) if times(self.spec) else None,
        }

    def _covered(self, rows: pl.LazyFrame) -> list[str] | None:
        """The oldest and the newest event time."""
        at = _at(self.time)
        first, last = rows.select(at.min().alias("first"), at.max().alias("last")).collect().row(0)
        return None if first is None else [first.isoformat(), last.isoformat()]

    def _profiled(self, values: Digests, rows: Rows) -> Iterator[pl.DataFrame]:
        """The batches, named in passing. Keys and event time are left out: a distribution of identifiers says nothing
        about the features."""
        for batch in rows.batches():
            values.update(batch)
            yield batch.drop(keys_of(self.spec))

    def entered(self, computed: Computed, found: Range | None, inputs: Inputs) -> dict[str, Any]:
        """The same by days: of those that the version before has as well, nothing is read."""
        low, keys = oldest(self.spec, computed.watermark), keys_of(self.spec)
        book = Days({}, []) if found is None else found.days.kept(found.since, low)
        gaps = [] if found is None else [block for block in found.days.blocks if block not in book.blocks]
        head = [block for block in gaps if book.blocks and block.last < book.blocks[0].first]
        tail = [block for block in gaps if block not in head]
        whole = book.joined(
            days.entered(self._kept(computed, head), self.time, keys, f"{self.place}-head", self.now)
        ).joined(
            days.entered(
                chain(self._kept(computed, tail), computed.rows.batches()),
                self.time,
                keys,
                f"{self.place}-days",
                self.now,
            )
        )
        storage.write_bytes(f"{self.place}.bin", whole.profile(self.now))
        storage.write_sealed(f"{self.place}.json", Days(whole.days, whole.blocks, inputs).as_json())
        return {
            "digests": whole.digests() or _no_rows(declared(self.spec)),
            "rows": whole.rows,
            "days": len(whole.days),
            "covered": [whole.blocks[0].first.isoformat(), whole.blocks[-1].last.isoformat()] if whole.blocks else None,
            "profile": f"{self.place}.bin",
            "days_at": f"{self.place}.json",
        }

    def _kept(self, computed: Computed, blocks: Sequence[Block]) -> Iterator[pl.DataFrame]:
        """Rows of the version before that stay, in canonical order."""
        if computed.kept is not None:
            for block in blocks:
                at = _at(self.time)
                yield computed.kept.filter(at >= block.first, at <= block.last).collect().sort(self.order)

    @property
    def order(self) -> list[str]:
        """The canonical one."""
        keys = keys_of(self.spec)
        return [*keys, *(name for name, _ in declared(self.spec) if name not in keys)]

    @property
    def incremental(self) -> bool:
        return materialization_of(self.spec).get("mode") == "incremental"

    @property
    def time(self) -> str:
        found: str = self.spec["timestamp"]
        return found


def _no_rows(columns: Sequence[tuple[str, str]]) -> dict[str, str]:
    return digests(pl.DataFrame(schema={name: DTYPES[word] for name, word in columns}))


def _at(column: str) -> pl.Expr:
    return pl.col(column).cast(MOMENT)


def _mark(version: delta.PublishedVersion) -> datetime:
    return datetime.fromisoformat(version.metadata["watermark"])


def watermark(rows: pl.LazyFrame, column: str, now: datetime) -> datetime | None:
    """The newest event time that is not ahead of the clock; the oldest where all are. A mistyped year would keep all
    that comes from being looked at."""
    at = _at(column)
    found = rows.select(past=at.filter(at <= now).max(), oldest=at.min()).collect().row(0, named=True)
    moment: datetime | None = found["past"] or found["oldest"]
    return moment


def oldest(spec: Mapping[str, Any], mark: datetime | None) -> date | None:
    """The first day in UTC whose rows are kept: whole days, counted from the newest event time and not from the clock,
    so that equal data gives equal rows."""
    retention = materialization_of(spec).get("retention")
    return None if retention is None or mark is None else (mark - parse_duration(retention)).date()
