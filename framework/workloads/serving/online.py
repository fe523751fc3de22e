"""Inputs that no caller sends: looked up by the keys in the request, in one round trip for all of its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, overload

import polars as pl

from framework.online import open_store
from framework.online.store import OnlineStore
from framework.ports import OnlineLookup, OnlinePlace
from framework.workloads.models import check_rows, frame_of, shown
from framework.workloads.online.lookup import Lookup, NotOnlineError, WantedView

Rows = Sequence[Mapping[str, Any]]

NOT_ONLINE = "NotOnline"
"""The type of a failure that is the online store's."""


def unavailable(error: NotOnlineError) -> bytes:
    """What the caller is told: which views, and not where they lie."""
    views = ", ".join(f"FeatureView/{view}" for view in error.views)
    message = f"{views} cannot be looked up now; try again"
    return json.dumps({"error": {"type": "unavailable", "message": message}}).encode()


class Enriched(Sequence[Mapping[str, Any]]):
    """Rows with what was found for them. They are put together when somebody looks at them, which is after the caller
    has the answer."""

    def __init__(self, rows: Rows, columns: Mapping[str, pl.Series]) -> None:
        self._rows, self._columns = rows, columns

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        return list(self)[place]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        found = {name: series.to_list() for name, series in self._columns.items()}
        for place, row in enumerate(self._rows):
            yield {**row, **{name: values[place] for name, values in found.items()}}


@dataclass(frozen=True)
class FoundInputs:
    """``columns`` are inputs by name, ``missing`` says by view for how many rows nothing was found, ``refused`` what
    the caller is told where that is refused."""

    columns: Mapping[str, pl.Series]
    missing: Mapping[str, int]
    refused: Sequence[str]


class OnlineInputs:
    """The part of a model's inputs that is looked up. ``names`` are these, ``rest`` the signature of the others."""

    def __init__(
        self,
        asked: OnlineLookup,
        signature: Mapping[str, Any],
        store: OnlineStore | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        place = OnlinePlace(store=asked.store, space=asked.space)
        self._refuses, self._clock = asked.refuses, clock
        self._owners = {name: view.view for view in asked.views for name in view.inputs}
        self._keys = dict(entity for view in asked.views for entity in view.asked_by)
        needed = [{"name": name, "dtype": word, "nullable": False} for name, word in self._keys.items()]
        self._key_signature = {"inputs": needed}
        self.names = frozenset(self._owners)
        self.rest = {**signature, "inputs": [one for one in signature["inputs"] if one["name"] not in self.names]}
        self._lookup = Lookup(
            open_store(place, asked.timeoutSeconds) if store is None else store,
            [
                WantedView(
                    view.view, view.entities, view.columns, _age(view.maxAge), _age(view.delay), view.keys, view.prefix
                )
                for view in asked.views
            ],
        )

    def problems(self, rows: Rows) -> list[str]:
        """The caller's mistakes: a key that is not there or is none, and an input that is looked up."""
        found = []
        for index, row in enumerate(rows):
            for name in self.names & row.keys():
                where = f"instances[{index}].{name}"
                found.append(f"{where} is looked up in FeatureView/{self._owners[name]}: leave it out")
        missing = check_rows(rows, self._key_signature)
        return [*missing, *sorted(found)]

    def given(self, rows: Rows) -> bool:
        """Whether rows have all that would be looked up, as those of a training set do."""
        return all(self.names <= row.keys() for row in rows)

    def find(self, rows: Rows) -> FoundInputs:
        """What is found for ``rows``, which have no ``problems``.

        Raises:
            NotOnlineError: it cannot be had now.
        """
        looked = self._lookup.find(frame_of(rows, self._key_signature), self._clock())
        columns = {series.name: series for found in looked.columns.values() for series in found}
        missing = {view: places for view, places in looked.missing.items() if places}
        refused = [
            f"instances[{place}] has a key that FeatureView/{view} knows no row of, found key {self._told(rows[place])}"
            for view, places in missing.items()
            for place in places
        ]
        return FoundInputs(
            columns, {view: len(places) for view, places in missing.items()}, refused if self._refuses else []
        )

    def _told(self, row: Mapping[str, Any]) -> str:
        return ", ".join(f"{name}={shown(row[name])}" for name in self._keys)


def _age(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
