from __future__ import annotations

import io
import itertools
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from framework.backends.delta.tables import DeltaTables
from framework.backends.memory import MemoryProfiles
from framework.backends.profiles.store import Profiles
from framework.ports import ColumnSummary, LabelledWindow, ReferenceProfile, TableState
from framework.storage import write_bytes
from framework.workloads import profiling
from framework.workloads.features import delta
from tests.contract.suites.profiles import NOW, WEEK, Prediction, ProfileStoreContract, ProfileWorld, Row

EDGES = (-math.inf, *(float(edge) for edge in range(10, 100, 10)), math.inf)


def summaries(rows: Sequence[Row]) -> dict[str, ColumnSummary]:
    """Counted by hand, on fixed bins."""
    numbers = [row.distance for row in rows if row.distance is not None]
    places = Counter(bisect_left(EDGES, number) - 1 for number in numbers)
    counts = tuple(float(places[index]) for index in range(len(EDGES) - 1))
    carriers = Counter(row.carrier for row in rows if row.carrier is not None)
    named = {name: float(carriers[name]) for name in sorted(carriers)}
    return {
        "distance": ColumnSummary("distance", len(rows), len(rows) - len(numbers), EDGES, counts),
        "carrier": ColumnSummary("carrier", len(rows), len(rows) - carriers.total(), categories=named),
    }


class TestMemoryProfiles(ProfileStoreContract):
    """Performance is stated, not computed; the world here states what is true."""

    @pytest.fixture
    def world(self) -> ProfileWorld:
        profiles = MemoryProfiles()
        made: dict[str, list[tuple[datetime, Prediction]]] = {}

        def train(folder: str, weeks: Sequence[Sequence[Row]]) -> None:
            whole = summaries([row for rows in weeks for row in rows])
            profiles.references[folder] = ReferenceProfile(whole, tuple(summaries(rows) for rows in weeks))

        def flush(folder: str, when: datetime, replica: str, rows: Sequence[Row]) -> None:
            profiles.add_profile(folder, when, summaries(rows).values())

        def predict(folder: str, when: datetime, predictions: Sequence[Prediction]) -> None:
            made.setdefault(folder, []).extend((when, item) for item in predictions)

        def label(labels: Mapping[str, int]) -> TableState:
            for folder, items in made.items():
                for when, group in itertools.groupby(items, key=lambda item: item[0]):
                    window = stated(folder.rpartition("/")[2], [item for _, item in group], labels)
                    profiles.add_performance(folder, when, window)
            return TableState("memory://store/labels", 0, len(labels), "", "", "", NOW)

        return ProfileWorld(profiles, "memory://store", train, flush, predict, label)


def stated(app: str, predictions: Sequence[Prediction], labels: Mapping[str, int]) -> LabelledWindow:
    """AUC as the share of (0, 1) pairs in the right order, with an interval that is as wide as can be."""
    known = [(item.value, labels[item.key]) for item in predictions if item.key is not None and item.key in labels]
    pairs = [(no, yes) for no, zero in known for yes, one in known if (zero, one) == (0, 1)]
    value = sum(no < yes for no, yes in pairs) / len(pairs) if pairs else None
    low, high = (None, None) if value is None else (0.0, 1.0)
    return LabelledWindow(app, len(predictions), len(known), "auc", value, low, high)


class TestProfileFiles(ProfileStoreContract):
    """The files that the workloads write."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> ProfileWorld:
        numbers = itertools.count()

        def frame(rows: Sequence[Row]) -> pl.DataFrame:
            return pl.DataFrame(rows, schema={"distance": pl.Float64, "carrier": pl.String}, orient="row")

        def train(folder: str, weeks: Sequence[Sequence[Row]]) -> None:
            parts = [
                frame(rows).with_columns(pl.lit(NOW + index * WEEK).alias("at")) for index, rows in enumerate(weeks)
            ]
            profiling.write_reference(
                folder, profiling.reference_of(pl.concat(parts), "at", ["distance", "carrier"], WEEK)
            )

        def flush(folder: str, when: datetime, replica: str, rows: Sequence[Row]) -> None:
            data = profiling.profile_bytes(frame(rows), when)
            write_bytes(f"{folder}/{_name(when, replica, next(numbers))}.bin", data)

        def predict(folder: str, when: datetime, predictions: Sequence[Prediction]) -> None:
            schema = {"request_id": pl.String, "key": pl.String, "prediction": pl.Float64}
            log = pl.DataFrame(predictions, schema=schema, orient="row")
            data = io.BytesIO()
            log.with_columns(pl.lit(when).cast(pl.Datetime("us", "UTC")).alias("time")).write_parquet(data)
            write_bytes(f"{folder}/{_name(when, 'r1', next(numbers))}.parquet", data.getvalue())

        def label(labels: Mapping[str, int]) -> TableState:
            uri = str(tmp_path / "features" / "arrivals" / "i1")
            rows = pl.DataFrame({"flight": list(labels), "delayed": list(labels.values())})
            delta.publish(uri, [rows], [("flight", "String"), ("delayed", "Int64")], {"rows": len(labels)})
            state = DeltaTables().describe(uri)
            assert state is not None
            return state

        return ProfileWorld(Profiles(), str(tmp_path), train, flush, predict, label)


def _name(when: datetime, replica: str, number: int) -> str:
    return f"{int(when.timestamp() * 1000)}-{replica}-{number}"
