"""What is known of the rows of an incremental table day by day, so that a version that replaces the last days names and
profiles those alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import polars as pl

from framework import storage
from framework.workloads import profiling
from framework.workloads.features.digests import Digests

BLOCK = 1 << 17
"""Rows that are profiled together, at least: whole days."""
_LENGTH = 16
MOMENT = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Block:
    """Days that one profile, at ``profile``, tells of, and their first and last event time."""

    first: datetime
    last: datetime
    profile: str


@dataclass(frozen=True)
class Days:
    """``days``: [rows, digest by column] by day in UTC; ``blocks`` in order; ``inputs``: what the sources were."""

    days: Mapping[str, tuple[int, Mapping[str, str]]]
    blocks: Sequence[Block]
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.days.values())

    def digests(self) -> dict[str, str]:
        """Of the whole table, by column: equal for equal rows, however many versions they came in."""
        told: dict[str, Any] = {}
        for day, (_, values) in sorted(self.days.items()):
            for column, digest in values.items():
                told.setdefault(column, sha256()).update(f"{day}:{digest}\n".encode())
        return {column: hashed.hexdigest()[:_LENGTH] for column, hashed in told.items()}

    def profile(self, when: datetime) -> bytes:
        """Of the whole table, as the bytes of a whylogs file."""
        return profiling.merged_bytes((storage.read_bytes(block.profile) or b"" for block in self.blocks), when)

    def kept(self, since: datetime, low: date | None) -> Days:
        """Of blocks that hold nothing from the day of ``since`` on, and nothing of days before ``low``."""
        blocks = [b for b in self.blocks if b.last.date() < since.date() and (low is None or b.first.date() >= low)]
        names = {day for block in blocks for day in _days(block)}
        return Days({day: told for day, told in self.days.items() if day in names}, blocks)

    def joined(self, other: Days) -> Days:
        """With what is known of ``other`` days."""
        blocks = sorted([*self.blocks, *other.blocks], key=lambda block: block.first)
        return Days({**self.days, **other.days}, blocks)

    def as_json(self) -> dict[str, Any]:
        blocks = [[block.first.isoformat(), block.last.isoformat(), block.profile] for block in self.blocks]
        return {"days": {day: list(told) for day, told in self.days.items()}, "blocks": blocks, "inputs": self.inputs}


def parse(value: Mapping[str, Any]) -> Days:
    blocks = [Block(datetime.fromisoformat(f), datetime.fromisoformat(u), p) for f, u, p in value["blocks"]]
    return Days({day: (rows, values) for day, (rows, values) in value["days"].items()}, blocks, value["inputs"])


def _days(block: Block) -> Iterator[str]:
    day = block.first.date()
    while day <= block.last.date():
        yield day.isoformat()
        day += timedelta(days=1)


def entered(batches: Iterable[pl.DataFrame], timestamp: str, keys: Sequence[str], place: str, when: datetime) -> Days:
    """What there is to be known of rows in canonical order; profiles of all but ``keys`` are written at ``place``."""
    book = _Book(timestamp, keys, place, when)
    for batch in batches:
        book.enter(batch)
    return book.closed()


class _Book:
    def __init__(self, timestamp: str, keys: Sequence[str], place: str, when: datetime) -> None:
        self._timestamp, self._keys, self._place, self._when = timestamp, keys, place, when
        self._days: dict[str, tuple[int, Mapping[str, str]]] = {}
        self._blocks: list[Block] = []
        self._day, self._values, self._rows = "", Digests(), 0
        self._waiting: list[pl.DataFrame] = []
        self._waits = 0
        self._view: Any = None
        self._first = self._last = when
        self._profiled = 0

    def enter(self, batch: pl.DataFrame) -> None:
        days = batch[self._timestamp].cast(MOMENT).dt.date().rle().struct.unnest()
        start = 0
        for length, day in days.iter_rows():
            self._enter(day.isoformat(), batch.slice(start, length))
            start += length

    def _enter(self, day: str, rows: pl.DataFrame) -> None:
        if day != self._day:
            self._close_day()
            self._day = day
        times = rows[self._timestamp].cast(MOMENT)
        if not self._waiting and self._view is None:
            self._first = times[0]
        self._last = times[-1]
        self._values.update(rows)
        self._rows += rows.height
        self._waiting.append(rows)
        self._waits += rows.height
        if self._waits >= BLOCK:
            self._profile()

    def _close_day(self) -> None:
        if self._rows:
            self._days[self._day] = (self._rows, self._values.values())
            self._values, self._rows = Digests(), 0
        if self._profiled + self._waits >= BLOCK:
            self._close_block()

    def _profile(self) -> None:
        rows = pl.concat(self._waiting).drop(self._keys)
        view = profiling.profile_frame(rows, self._when)
        self._view = view if self._view is None else self._view.merge(view)
        self._waiting, self._waits, self._profiled = [], 0, self._profiled + rows.height

    def _close_block(self) -> None:
        if self._waiting:
            self._profile()
        if self._view is None:
            return
        uri = f"{self._place}-{len(self._blocks)}.bin"
        storage.write_bytes(uri, bytes(self._view.serialize()))
        self._blocks.append(Block(self._first, self._last, uri))
        self._view, self._profiled = None, 0

    def closed(self) -> Days:
        self._close_day()
        self._close_block()
        return Days(self._days, self._blocks)
