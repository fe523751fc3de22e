"""What every ProfileStore promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from framework.ports import LabelledWindow, LabelTable, ProfileStore, ProfileWindow, ReferenceProfile, TableState

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)

OUTPUT = {"name": "delayed", "kind": "probability", "task": "binary"}


class Row(NamedTuple):
    distance: float | None
    carrier: str | None


class Prediction(NamedTuple):
    request: str
    key: str | None
    value: float


TRAINING: tuple[tuple[Row, ...], ...] = tuple(
    tuple(Row(float(number % 100), "AA" if number % 4 else "UA") for number in range(300 + 4 * week))
    for week in range(3)
)
"""Three weeks; a quarter of the rows is UA."""


@dataclass(frozen=True)
class ProfileWorld:
    """What training and serving write: ``train`` (folder, rows by week), ``flush`` (folder, time, replica, rows),
    ``predict`` (folder, time, predictions), and ``label`` gives a table of 0 and 1 by key in a column ``delayed``."""

    profiles: ProfileStore
    storage: str
    train: Callable[[str, Sequence[Sequence[Row]]], None]
    flush: Callable[[str, datetime, str, Sequence[Row]], None]
    predict: Callable[[str, datetime, Sequence[Prediction]], None]
    label: Callable[[Mapping[str, int]], TableState]

    @property
    def folder(self) -> str:
        return f"{self.storage}/profiles/delay/delay-one"

    def reference(self) -> ReferenceProfile:
        folder = f"{self.storage}/models/delay/v1/profile"
        self.train(folder, TRAINING)
        found = self.profiles.reference(folder)
        assert found is not None
        return found

    def window(self, since: datetime, until: datetime, reference: ReferenceProfile) -> ProfileWindow:
        return self.profiles.window(self.folder, since, until, reference)

    def performance(self, labels: TableState, since: datetime = NOW, until: datetime = NOW + HOUR) -> LabelledWindow:
        folder = f"{self.storage}/predictions/delay/delay-one"
        known = LabelTable(labels, "flight", "delayed")
        return self.profiles.performance(folder, known, "auc", OUTPUT, since, until)

    def predicted(self, when: datetime, predictions: Sequence[Prediction]) -> None:
        self.predict(f"{self.storage}/predictions/delay/delay-one", when, predictions)


class ProfileStoreContract:
    """Subclass it and provide a fixture ``world``."""

    def test_there_is_no_reference_where_none_was_written(self, world: ProfileWorld) -> None:
        assert world.profiles.reference(f"{world.storage}/models/delay/never/profile") is None

    def test_the_reference_is_whole_and_by_period(self, world: ProfileWorld) -> None:
        reference = world.reference()
        total = sum(len(rows) for rows in TRAINING)
        assert set(reference.whole) == {"distance", "carrier"}
        distance, carrier = reference.whole["distance"], reference.whole["carrier"]
        assert (distance.count, distance.nulls, sum(distance.counts)) == (total, 0, total)
        assert len(distance.edges) == len(distance.counts) + 1
        assert list(distance.edges) == sorted(set(distance.edges))
        assert min(distance.counts[1:-1]) > 0
        assert carrier.categories == {"AA": total * 3 / 4, "UA": total / 4}
        assert not carrier.edges
        assert [period["distance"].count for period in reference.periods] == [len(rows) for rows in TRAINING]
        assert all(period["distance"].edges == distance.edges for period in reference.periods)
        added = [sum(counts) for counts in zip(*(item["distance"].counts for item in reference.periods), strict=True)]
        assert added == list(distance.counts)

    def test_a_window_holds_what_was_flushed_within_it(self, world: ProfileWorld) -> None:
        reference = world.reference()
        moments = [NOW - timedelta(seconds=1), NOW, NOW + HOUR - timedelta(seconds=1), NOW + HOUR]
        for size, when in enumerate(moments, start=1):
            world.flush(world.folder, when, "r1", [Row(float(10 * size), "AA")] * 10**size)
        found = world.window(NOW, NOW + HOUR, reference)
        assert found["distance"].count == 100 + 1000
        assert found["distance"].edges == reference.whole["distance"].edges
        assert sum(found["distance"].counts) == 1100
        assert found["carrier"].categories == {"AA": 1100.0}
        assert not world.window(NOW + WEEK, NOW + 2 * WEEK, reference)
        assert not world.profiles.window(f"{world.folder}-other", NOW, NOW + HOUR, reference)

    def test_replicas_merge_to_the_same_in_any_order(self, world: ProfileWorld) -> None:
        reference = world.reference()
        parts = [
            [Row(float(number), "AA") for number in range(40)],
            [Row(float(2 * number), "UA") for number in range(50)],
            [Row(None, "DL")],
        ]
        found = []
        for index, order in enumerate(itertools.permutations(range(3))):
            folder = f"{world.folder}-{index}"
            for place, part in enumerate(order):
                world.flush(folder, NOW + place * timedelta(minutes=20), f"r{place % 2}", parts[part])
            found.append(world.profiles.window(folder, NOW, NOW + HOUR, reference))
        assert all(item == found[0] for item in found)
        distance = found[0]["distance"]
        assert (distance.count, distance.nulls, sum(distance.counts)) == (91, 1, 90)
        assert found[0]["carrier"].categories == {"AA": 40.0, "DL": 1.0, "UA": 50.0}

    def test_the_training_rows_have_the_references_shape(self, world: ProfileWorld) -> None:
        reference = world.reference()
        for week, rows in enumerate(TRAINING):
            world.flush(world.folder, NOW + week * timedelta(minutes=1), f"r{week}", rows)
        found = world.window(NOW, NOW + HOUR, reference)
        assert found == reference.whole

    def test_nulls_are_counted(self, world: ProfileWorld) -> None:
        reference = world.reference()
        world.flush(world.folder, NOW, "r1", [Row(None, "AA"), Row(1.0, None), Row(2.0, None)])
        found = world.window(NOW, NOW + HOUR, reference)
        distance, carrier = found["distance"], found["carrier"]
        assert (distance.count, distance.nulls, sum(distance.counts)) == (3, 1, 2)
        assert (carrier.count, carrier.nulls, carrier.categories) == (3, 2, {"AA": 1.0})

    def test_values_beyond_the_reference_are_not_lost(self, world: ProfileWorld) -> None:
        reference = world.reference()
        world.flush(world.folder, NOW, "r1", [Row(-1e9, "new")] * 3 + [Row(1e9, "new")] * 4)
        found = world.window(NOW, NOW + HOUR, reference)
        assert (found["distance"].counts[0], found["distance"].counts[-1]) == (3.0, 4.0)
        assert found["carrier"].categories == {"new": 7.0}

    def test_performance_is_of_the_predictions_whose_labels_came(self, world: ProfileWorld) -> None:
        world.predicted(NOW - HOUR, [Prediction("r0", "f9", 0.9)])
        world.predicted(NOW, [Prediction("r1", f"f{number}", number / 10) for number in range(8)])
        labels = world.label({"f0": 0, "f1": 1, "f2": 0, "f3": 1, "f9": 1, "unseen": 0})
        found = world.performance(labels)
        assert (found.app, found.predictions, found.labelled, found.metric) == ("delay-one", 8, 4, "auc")
        assert found.value == pytest.approx(3 / 4)  # of the four pairs, only (f2, f1) is the wrong way round
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high

    def test_without_labels_there_is_no_performance(self, world: ProfileWorld) -> None:
        world.predicted(NOW, [Prediction("r1", "f1", 0.3), Prediction("r2", None, 0.4)])
        found = world.performance(world.label({"f7": 1}))
        assert (found.predictions, found.labelled, found.value, found.low, found.high) == (2, 0, None, None, None)
        one_class = world.performance(world.label({"f1": 1}))
        assert (one_class.labelled, one_class.value) == (1, None)
        nothing = world.performance(world.label({"f1": 1}), since=NOW + WEEK, until=NOW + 2 * WEEK)
        assert (nothing.predictions, nothing.labelled, nothing.value) == (0, 0, None)
