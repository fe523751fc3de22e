"""Training sets of tables that never had an event time, whose rows become known late, or that go by other names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.training.dataset import build, extents
from framework.workloads.training.split import divided, split
from tests.unit.training.tables import published

NOON = datetime(2013, 1, 5, 12, tzinfo=UTC)
MOMENT = pl.Datetime("us", "UTC")


def hours(*values: float) -> pl.Series:
    return pl.Series([NOON + timedelta(hours=value) for value in values], dtype=MOMENT)


@pytest.fixture
def views(tmp_path: Path) -> dict[str, Any]:
    trips = pl.DataFrame({"trip": range(4), "at": hours(0, 1, 2, 3), "origin": ["a", "b", "a", "c"],
                          "dest": ["b", "a", "c", None], "late": [True, False, True, False]})  # fmt: skip
    machines = pl.DataFrame({"udi": range(20), "kind": ["L", "M"] * 10, "fails": [0, 1] * 10})
    places = pl.DataFrame({"place": ["a", "b"], "height": [10.0, 20.0]})
    notes = pl.DataFrame({"place": ["a", "a"], "seen": hours(-2, -1), "noted": hours(-1, 1.5), "wind": [3.0, 4.0]})
    return {
        "trips": published(tmp_path, "trips", trips, ["trip"], "at"),
        "machines": published(tmp_path, "machines", machines, ["udi"], None),
        "kinds": published(tmp_path, "kinds", pl.DataFrame({"kind": ["L"], "power": [5.0]}), ["kind"], None),
        "places": published(tmp_path, "places", places, ["place"], None),
        "notes": {**published(tmp_path, "notes", notes, ["place"], "seen"), "available": "noted"},
    }


def test_a_table_without_event_times_is_learned_from_by_its_keys(views: dict[str, Any]) -> None:
    asked = {"spine": "machines", "label": "fails", "columns": ["kind"], "features": [{"view": "kinds"}],
             "split": {"by": "random", "fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}}}  # fmt: skip
    found = build(asked, views)
    assert (found.time, found.inputs, found.nullable) == (None, ("kind", "power"), ("power",))
    assert found.frame.select("udi", "power").rows() == [(n, None if n % 2 else 5.0) for n in range(20)]
    assert build(asked, views).digest == found.digest
    parts = split(found, divided(asked), 7)
    assert sorted(n for part in parts.values() for n in part["udi"]) == list(range(20))
    assert extents(views)["machines"] == {"rows": 20, "since": None, "until": None}


def test_without_event_times_nothing_can_be_divided_by_them_or_known_as_of_them(views: dict[str, Any]) -> None:
    by_time = {"by": "time", "fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}}
    found = build({"spine": "machines", "label": "fails", "columns": ["kind"]}, views)
    with pytest.raises(WorkloadError, match="by: time divides rows by event time, and the spine has none") as raised:
        split(found, by_time, 7)
    assert raised.value.reason == "NoEventTime"
    asked = {"spine": "machines", "label": "fails", "features": [{"view": "trips", "keys": {"trip": "udi"}}]}
    with pytest.raises(WorkloadError, match="FeatureView/trips has event times and the spine has none"):
        build(asked, views)


def test_one_view_is_joined_twice_under_other_names(views: dict[str, Any]) -> None:
    features = [{"view": "places", "keys": {"place": end}, "prefix": f"{end}_"} for end in ("origin", "dest")]
    found = build({"spine": "trips", "label": "late", "features": features}, views)
    assert found.inputs == ("origin_height", "dest_height")
    assert found.frame["origin_height"].to_list() == [10.0, 20.0, 10.0, None]
    assert found.frame["dest_height"].to_list() == [20.0, 10.0, None, None]


def test_a_row_counts_from_when_it_became_known(views: dict[str, Any]) -> None:
    asked = {"spine": "trips", "label": "late", "features": [{"view": "notes", "keys": {"place": "origin"}}]}
    found = build(asked, views)
    assert found.inputs == ("wind",)
    assert found.frame["wind"].to_list() == [3.0, None, 4.0, None]


def test_rows_whose_label_is_not_final_are_left_out(views: dict[str, Any]) -> None:
    asked = {"spine": "trips", "label": "late", "columns": ["origin"], "labelDelay": "90m"}
    found = build(asked, views)
    assert (found.frame["trip"].to_list(), found.dropped) == ([0, 1], 2)
    with pytest.raises(WorkloadError, match="no labelled row at all, of which 4 are younger than 1d"):
        build({**asked, "labelDelay": "1d"}, {**views})
    by_time = {"by": "time", "fractions": {"train": 0.5}}
    assert divided({**asked, "split": by_time})["gap"] == "90m"
    assert divided({**asked, "split": {**by_time, "gap": "2h"}})["gap"] == "2h"
    assert "gap" not in divided({**asked, "split": {"by": "random"}})
