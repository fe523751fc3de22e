"""Rows of views found by their keys, as they count at a moment: what training joins, for now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from framework.api.errors import MlopsError
from framework.online.store import FoundRows, OnlineStore
from framework.ports import OnlineVersion
from framework.workloads.features.dtypes import Columns
from framework.workloads.online.rows import RowCodec, keys_of, row_as_of
from framework.workloads.training.as_of import offset

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)
_EVER, _NEVER = 2**63, -(2**63)
"""Later and earlier than any moment, in microseconds since 1970."""


class NotOnlineError(Exception):
    """The rows of ``views`` cannot be had now."""

    def __init__(self, views: Sequence[str], message: str) -> None:
        super().__init__(f"{', '.join(f'FeatureView/{view}' for view in views)}{message}")
        self.views = tuple(views)


@dataclass(frozen=True)
class WantedView:
    """What is wanted of one view: ``columns`` (name, dtype word), found by ``entities``. ``max_age``, ``delay``, the
    ``keys`` that have the entities under other names and the ``prefix`` before the names of the columns are those of
    the training set."""

    view: str
    entities: Columns
    columns: Columns
    max_age: timedelta | None = None
    delay: timedelta | None = None
    keys: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def asked_by(self) -> Columns:
        """The keys as who asks calls them."""
        words = [word for _, word in self.entities]
        return tuple(zip(self.keys, words, strict=True)) if self.keys else self.entities


@dataclass(frozen=True)
class LookedUp:
    """By view its ``columns``, a value for each row that was asked about, and the numbers of those that nothing was
    found for."""

    columns: Mapping[str, Sequence[pl.Series]]
    missing: Mapping[str, Sequence[int]]


class Lookup:
    """Looks ``views`` up in one round trip. Safe for several threads, as its store is."""

    def __init__(self, store: OnlineStore, views: Sequence[WantedView]) -> None:
        self._store, self._views = store, tuple(views)
        self._codecs: dict[Columns, RowCodec] = {}

    def find(self, rows: pl.DataFrame, now: datetime) -> LookedUp:
        """``rows`` have the keys of every view, at their dtypes and none missing.

        Raises:
            NotOnlineError: the store does not answer, a view is not there, or is there as another one than was asked.
        """
        keys = {asked.view: keys_of(rows, asked.asked_by) for asked in self._views}
        try:
            found = self._store.read(keys)
        except MlopsError as error:
            raise NotOnlineError(list(keys), f": {error}") from error
        columns, missing = {}, {}
        for asked in self._views:
            there = found[asked.view]
            if there is None:
                raise NotOnlineError([asked.view], " holds nothing online")
            self._ensure_fits(asked, there.version)
            of_keys = rows_as_of(there, now, asked.max_age, asked.delay)
            try:
                decoded = self._codec(there.version).decode(of_keys, [name for name, _ in asked.columns])
            except ValueError as error:
                raise NotOnlineError([asked.view], f" holds a damaged row: {error}") from error
            columns[asked.view] = [series.alias(f"{asked.prefix}{series.name}") for series in decoded]
            missing[asked.view] = [place for place, row in enumerate(of_keys) if row is None]
        return LookedUp(columns, missing)

    def _ensure_fits(self, asked: WantedView, there: OnlineVersion) -> None:
        have = dict(there.columns)
        keys = tuple((name, have[name]) for name in there.entities)
        wrong = [name for name, word in asked.columns if have.get(name) != word]
        if keys != tuple(asked.entities) or wrong:
            what = f"no {wrong[0]} as it was trained on" if wrong else "other keys than those that it was trained on"
            raise NotOnlineError([asked.view], f" has {what}")

    def _codec(self, version: OnlineVersion) -> RowCodec:
        columns = payload(version)
        if columns not in self._codecs:
            self._codecs = {columns: RowCodec(columns), **dict(list(self._codecs.items())[: len(self._views)])}
        return self._codecs[columns]


def payload(version: OnlineVersion) -> tuple[tuple[str, str], ...]:
    """The columns that a row has: all but the keys, by which it is found."""
    return tuple((name, word) for name, word in version.columns if name not in version.entities)


def rows_as_of(
    found: FoundRows, now: datetime, max_age: timedelta | None = None, delay: timedelta | None = None
) -> list[bytes | None]:
    """Of each key the row that counts at ``now``: what ``as_of.join_as_of`` finds at that moment, and no row that is
    older than its view lets rows be."""
    version, ttl = found.version, found.version.ttl
    if version.timestamp is None:
        return [row_as_of(value, _EVER, _NEVER) for value in found.values]
    ages = [age for age in (max_age, timedelta(seconds=ttl) if ttl is not None else None) if age is not None]
    latest = (now - offset(version.available, delay) - _EPOCH) // _MICROSECOND
    earliest = min(latest, (now - min(ages) - _EPOCH) // _MICROSECOND) if ages else _NEVER
    return [row_as_of(value, latest, earliest) for value in found.values]
