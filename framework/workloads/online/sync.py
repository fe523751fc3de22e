"""The workload that brings a published version of a view online, and compares what is there with the table.

It looks first, so running it twice is harmless, and whatever ended before it was done is made up for by running it
again: a write counts as a whole or not at all. Where the version before is still to be read only what differs is
written. What is there is compared with what training would join at this moment, for some keys that are drawn the same
way each time; where they differ all of it is written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Any

import polars as pl

from framework.online import open_store
from framework.online.store import STAMP, Batch, OnlineStore
from framework.ports import MaterializeRequest, OnlineRequest, OnlineVersion, ReadView
from framework.workloads.context import RunContext
from framework.workloads.features import delta
from framework.workloads.features.dtypes import Columns
from framework.workloads.missing import nan_as_null
from framework.workloads.online.kept import kept, slices_of
from framework.workloads.online.lookup import payload, rows_as_of
from framework.workloads.online.rows import RowCodec, keys_of, values_of
from framework.workloads.training.as_of import join_as_of, join_by_key

SAMPLE = 1000
"""Keys that are compared."""
EXAMPLES = 5
"""Keys that are named."""
BATCH = 10_000
"""Keys that are written at a time."""
_FEW = 0.2
"""Share of the keys up to which what differs is written, and not all."""
_HELD = 1_000_000
"""Keys up to which that is looked into: what was there is held in memory for it."""
_NOW = "__now"

Tell = Callable[[str], None]


def run(context: RunContext) -> Mapping[str, Any]:
    """As :func:`bring`, on its own. Raises what that raises."""
    asked = OnlineRequest.model_validate(context.payload)
    return bring(asked, open_store(asked.target.place), datetime.now(UTC), lambda told: context.progress(None, told))


def after_publishing(context: RunContext, asked: MaterializeRequest, version: int) -> dict[str, Any] | None:
    """Bring the version online that ``asked`` came to; None where that is not asked. What goes wrong is told and left
    to the next run: the table is published whatever becomes of this."""
    if asked.online is None:
        return None
    spec = asked.spec
    table = ReadView(
        uri=asked.table,
        version=version,
        entities=tuple(spec["entities"]),
        timestamp=spec.get("timestamp"),
        available=spec.get("available"),
        columns=tuple((column["name"], column["dtype"]) for column in spec["columns"]),
    )
    request = OnlineRequest(build=asked.build, view=asked.view, table=table, target=asked.online)
    try:
        store = open_store(asked.online.place)
        return bring(request, store, datetime.now(UTC), lambda told: context.progress(None, told))
    except Exception as error:
        message = str(error) or type(error).__name__
        context.progress(None, f"version {version} is published and not online: {message}")
        return {"problem": message}


def bring(asked: OnlineRequest, store: OnlineStore, now: datetime, tell: Tell) -> dict[str, Any]:
    """See that ``asked.table`` is what is found online.

    Returns:
        {version, rows, written: rows that were sent, checked: keys compared, differing: how many of them were found to
        be otherwise than in the table, examples: some of these, left: how many still are after all was written anew}

    Raises:
        TransientError: the store does not answer, or another write came between.
    """
    work = _Work(asked, store, now)
    held = store.describe(asked.view)
    written = 0
    if held is None or not held.same(work.version):
        tell(f"writing version {asked.table.version} online")
        held, written = work.write(held)
    tell("comparing what is online with the table")
    sample = work.sample
    differing = left = work.differing()
    if differing:
        tell(f"writing all of version {asked.table.version} online again")
        held, more = work.write(None)
        written, left = written + more, work.differing()
    return {
        "version": asked.table.version,
        "rows": held.rows,
        "written": written,
        "checked": sample.height,
        "differing": len(differing),
        "examples": differing[:EXAMPLES],
        "left": len(left),
    }


@dataclass(frozen=True)
class _Work:
    asked: OnlineRequest
    store: OnlineStore
    now: datetime

    @cached_property
    def version(self) -> OnlineVersion:
        return self.asked.version

    @cached_property
    def codec(self) -> RowCodec:
        return RowCodec(payload(self.version))

    @cached_property
    def keys(self) -> Columns:
        have = dict(self.version.columns)
        return tuple((name, have[name]) for name in self.version.entities)

    @cached_property
    def table(self) -> pl.LazyFrame:
        return self._read(self.version.version)

    def _read(self, version: int) -> pl.LazyFrame:
        return delta.read(self.version.uri, version, self.version.columns)

    def write(self, held: OnlineVersion | None) -> tuple[OnlineVersion, int]:
        """The version as it is described then, and how many keys were sent."""
        changed = self._changed(held) if held is not None else None
        count = 0

        def counted(rows: Iterable[tuple[bytes, bytes]]) -> Iterator[Batch]:
            nonlocal count
            waiting = iter(rows)
            while batch := list(islice(waiting, BATCH)):
                count += len(batch)
                yield batch

        rows = self._values(self.table, slices_of(self.table)) if changed is None else iter(changed.items())
        onto = held if changed is not None else None
        return self.store.write(self.asked.view, self.version, counted(rows), onto), count

    def _changed(self, held: OnlineVersion) -> Mapping[bytes, bytes] | None:
        """What of this version differs from the one that is there; None where that is not to be added: it is too much,
        an entity is gone or went back in time, rules or columns are others, or the table before is not there."""
        alike = held.model_copy(update={"version": self.version.version}).same(self.version)
        if not alike or held.rows > _HELD:
            return None
        try:
            before = self._read(held.version)
            slices = max(slices_of(before), slices_of(self.table))
            old = dict(self._values(before, slices))
        except Exception:  # whatever the table's library raises of a version that was vacuumed
            return None
        changed: dict[bytes, bytes] = {}
        for key, value in self._values(self.table, slices):
            there = old.pop(key, b"")
            if there[:STAMP] > value[:STAMP]:
                return None
            if there != value:
                changed[key] = value
        return None if old or len(changed) > _FEW * held.rows else changed

    def _values(self, table: pl.LazyFrame, slices: int) -> Iterator[tuple[bytes, bytes]]:
        for frame in kept(
            table,
            self.version.entities,
            self.version.timestamp,
            now=self.now,
            available=self.version.available,
            delay=self._delay,
            ttl=self._ttl,
            slices=slices,
        ):
            yield from values_of(frame, self.keys, self.codec)

    @cached_property
    def sample(self) -> pl.DataFrame:
        """Keys of the table, the same ones for the same table."""
        keys = nan_as_null(self.table.select(self.version.entities)).drop_nulls().unique().collect(engine="streaming")
        return keys.sort(self.version.entities).sample(min(SAMPLE, keys.height), seed=0)

    def differing(self) -> list[str]:
        """Keys of the sample for which something else is found than is joined."""
        names, by = [name for name, _ in payload(self.version)], list(self.version.entities)
        near = self.table.join(self.sample.lazy(), on=by, how="semi").collect()
        if self.version.timestamp is None:
            joined = join_by_key(self.sample, near, by=by, columns=names)
        else:
            joined = join_as_of(
                self.sample.with_columns(pl.lit(self.now).alias(_NOW)),
                near,
                by=by,
                spine_time=_NOW,
                feature_time=self.version.timestamp,
                columns=names,
                max_age=self._ttl,
                delay=self._delay,
                available=self.version.available,
            )
        found = self.store.read({self.asked.view: keys_of(self.sample, self.keys)})[self.asked.view]
        if found is None or not found.version.same(self.version):
            return [_told(row) for row in self.sample.iter_rows(named=True)]
        rows = rows_as_of(found, self.now, None, self._delay)
        readable = [row if row is None or self.codec.reads(row) else None for row in rows]
        wrong = pl.Series([one is not other for one, other in zip(rows, readable, strict=True)], dtype=pl.Boolean)
        for series in self.codec.decode(readable, names):
            wrong = wrong | joined[series.name].ne_missing(series)
        return [_told(row) for row in self.sample.filter(wrong).iter_rows(named=True)]

    @property
    def _ttl(self) -> timedelta | None:
        return None if self.version.ttl is None else timedelta(seconds=self.version.ttl)

    @property
    def _delay(self) -> timedelta | None:
        return None if self.version.delay is None else timedelta(seconds=self.version.delay)


def _told(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items())
