"""The training set: what was known at the moment of each row, and nothing later."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.training.as_of import join_as_of
from framework.workloads.training.dataset import build, extents
from tests.unit.training.tables import published

NOON = datetime(2013, 1, 5, 12, tzinfo=UTC)
MOMENT = pl.Datetime("us", "UTC")


def hours(*values: float) -> list[datetime]:
    return [NOON + timedelta(hours=value) for value in values]


def joined(events: list[datetime], rows: list[datetime], values: list[Any], **rules: timedelta) -> list[Any]:
    spine = pl.DataFrame({"key": ["a"] * len(events), "at": pl.Series(events, dtype=MOMENT)})
    features = pl.DataFrame({"key": ["a"] * len(rows), "seen": pl.Series(rows, dtype=MOMENT), "value": values})
    found = join_as_of(spine, features, by=["key"], spine_time="at", feature_time="seen", columns=["value"], **rules)
    return found["value"].to_list()


def test_the_newest_earlier_row_is_taken_and_the_order_is_kept() -> None:
    assert joined(hours(3, 1, -1), hours(0, 2, 4), [0, 2, 4]) == [2, 0, None]


def test_the_same_instant_does_not_count_unless_a_delay_says_so() -> None:
    assert joined(hours(2), hours(0, 2), [0, 2]) == [0]
    assert joined(hours(2), hours(0, 2), [0, 2], delay=timedelta(0)) == [2]


def test_a_row_counts_from_its_delay_on() -> None:
    delay = timedelta(hours=1)
    early = [NOON + timedelta(hours=1) - timedelta(microseconds=1)]
    assert joined(early, hours(0), [0], delay=delay) == [None]
    assert joined(hours(1), hours(0), [0], delay=delay) == [0]


@pytest.mark.parametrize("delay", [None, timedelta(0), timedelta(hours=1)])
def test_age_is_measured_from_the_event(delay: timedelta | None) -> None:
    rules = {} if delay is None else {"delay": delay}
    assert joined(hours(3), hours(0), [0], max_age=timedelta(hours=3), **rules) == [0]
    over = [NOON + timedelta(hours=3, microseconds=1)]
    assert joined(over, hours(0), [0], max_age=timedelta(hours=3), **rules) == [None]


def test_ties_go_to_the_last_row_in_column_order_whatever_the_table_order() -> None:
    for values in ([1, 3, 2], [3, None, 1], [2, 1, 3]):
        assert joined(hours(1), hours(0, 0, 0), values) == [3]


def test_a_day_is_known_when_it_is_over() -> None:
    events = [datetime(2013, 1, 5, 23, tzinfo=UTC), datetime(2013, 1, 6, tzinfo=UTC)]
    spine = pl.DataFrame({"key": ["a", "a"], "at": pl.Series(events, dtype=MOMENT)})
    features = pl.DataFrame({"key": ["a", "a"], "day": [date(2013, 1, 4), date(2013, 1, 5)], "value": [4, 5]})
    found = join_as_of(spine, features, by=["key"], spine_time="at", feature_time="day", columns=["value"])
    assert found["value"].to_list() == [4, 5]


@pytest.fixture
def views(tmp_path: Path) -> dict[str, Any]:
    flights = pl.DataFrame(
        {
            "flight": pl.Series(range(6), dtype=pl.Int64),
            "at": pl.Series(hours(0, 1, 2, 3, 4, 30), dtype=MOMENT),
            "carrier": ["AA", "AA", "UA", "UA", "AA", "AA"],
            "distance": [100.0, 200.0, 300.0, 400.0, 500.0, 600.0],
            "delayed": [True, False, None, True, False, True],
        }
    )
    delays = pl.DataFrame(
        {
            "carrier": ["AA", "AA", "UA"],
            "seen": pl.Series(hours(-1, 1, -30), dtype=MOMENT),
            "mean": [1.0, 2.0, 3.0],
            "count": pl.Series([1, 2, 3], dtype=pl.UInt32),
        }
    )
    return {
        "flights": published(tmp_path, "flights", flights, ["flight"], "at"),
        "delays": published(tmp_path, "delays", delays, ["carrier"], "seen"),
    }


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "spine": "flights",
        "columns": ["carrier", "distance"],
        "features": [{"view": "delays", "columns": "all", "maxAge": "1d"}],
        "label": "delayed",
        "window": {"from": "2013-01-05", "to": "2013-01-06"},
        **changes,
    }


def test_the_set_has_labelled_rows_of_the_window_with_joined_columns(views: dict[str, Any]) -> None:
    found = build(spec(), views)
    assert found.inputs == ("carrier", "distance", "mean", "count")
    assert found.nullable == ("mean", "count")
    assert found.dropped == 1
    assert found.frame["flight"].to_list() == [0, 1, 3, 4]
    assert found.frame["delayed"].to_list() == [1, 0, 1, 0]
    assert found.frame["mean"].to_list() == [1.0, 1.0, None, 2.0]
    assert found.frame.schema["count"] == pl.UInt32


def test_a_window_can_follow_the_newest_row(views: dict[str, Any]) -> None:
    found = build(spec(window={"last": "26h"}), views)
    assert found.frame["flight"].to_list() == [4, 5]


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_a_window_follows_the_newest_row_that_has_a_label(unknown: float | None, tmp_path: Path) -> None:
    flights = pl.DataFrame(
        {
            "flight": pl.Series(range(6), dtype=pl.Int64),
            "at": pl.Series(hours(0, 1, 2, 3, 90, 95), dtype=MOMENT),
            "delayed": [1.0, 0.0, unknown, 1.0, unknown, unknown],
        }
    )
    views = {"flights": published(tmp_path, "flights", flights, ["flight"], "at")}
    asked = spec(columns=["flight"], features=[], window={"last": "2h"})
    found = build(asked, views)
    assert (found.frame["flight"].to_list(), found.dropped) == ([1, 3], 1)
    views = {"flights": published(tmp_path, "none", flights.tail(2), ["flight"], "at")}
    with pytest.raises(WorkloadError, match="no labelled row in the last 2h"):
        build(asked, views)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (pl.Series([0, 1, 2, 3, 4, 4], dtype=pl.Int32), "Int32; .*, and 4 of 6 labelled rows .* e.g. 2, 3, 4$"),
        (pl.Series([0.0, 1.0, math.nan, 0.5, None, -math.inf]), "and 2 of 4 labelled rows .* e.g. 0.5, -inf$"),
        (pl.Series(["0", "1"] * 3), "is String; for task binary it must be Boolean, or a number that is 0 or 1$"),
    ],
)
def test_a_label_that_is_no_yes_or_no_is_told_with_what_it_holds(values: pl.Series, told: str, tmp_path: Path) -> None:
    flights = pl.DataFrame({"flight": range(6), "at": pl.Series(hours(*range(6)), dtype=MOMENT), "delayed": values})
    views = {"flights": published(tmp_path, "flights", flights, ["flight"], "at")}
    with pytest.raises(WorkloadError, match=told) as caught:
        build(spec(columns=["flight"], features=[], task="binary"), views)
    assert caught.value.reason == "WrongLabel"


def test_a_nan_in_a_table_is_missing_to_a_training_set(tmp_path: Path) -> None:
    flights = pl.DataFrame(
        {
            "flight": pl.Series(range(3), dtype=pl.Int64),
            "at": pl.Series(hours(0, 1, 2), dtype=MOMENT),
            "wind": [1.0, math.nan, None],
            "delayed": [True, False, True],
        }
    )
    views = {"flights": published(tmp_path, "flights", flights, ["flight"], "at")}
    found = build(spec(columns=["wind"], features=[]), views)
    assert found.frame["wind"].to_list() == [1.0, None, None]


def test_equal_versions_give_equal_bytes(views: dict[str, Any]) -> None:
    first = build(spec(), views)
    assert build(spec(), views).digest == first.digest
    assert build(spec(features=[]), views).digest != first.digest


@pytest.mark.parametrize(
    ("changes", "reason", "told"),
    [
        ({"label": "delay"}, "MissingColumn", "did you mean 'delayed'"),
        ({"columns": ["carier"]}, "MissingColumn", "did you mean 'carrier'"),
        ({"columns": ["delayed"]}, "LabelIsInput", "delayed"),
        ({"columns": [], "features": []}, "NoInputs", "nothing to learn from"),
        (
            {"label": "distance", "task": "binary"},
            "WrongLabel",
            "Float64; .* 5 of 5 labelled rows .* e.g. 100.0, 200.0, 300.0",
        ),
        ({"window": {"from": "2014-01-01", "to": "2014-02-01"}}, "EmptyWindow", "2014-01-01, 2014-02-01"),
        ({"features": [{"view": "delays", "columns": ["median"]}]}, "MissingColumn", "'median'"),
        ({"features": [{"view": "delays"}, {"view": "delays"}]}, "AmbiguousColumn", "mean, count"),
        ({"features": [{"view": "delays", "maxAge": "1h", "delay": "2h"}]}, "MaxAgeBelowDelay", "after 2h .* after 1h"),
    ],
)
def test_mistakes_are_named(views: dict[str, Any], changes: dict[str, Any], reason: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=told) as caught:
        build(spec(**changes), views)
    assert caught.value.reason == reason


def test_what_there_was_to_be_read_is_told_by_rows_and_time(tmp_path: Path) -> None:
    spine = pl.DataFrame({"key": ["a", "b", "c"], "at": pl.Series(hours(2, 0, 1), dtype=MOMENT)})
    days = pl.DataFrame({"key": ["a"], "day": [date(2013, 1, 4)]})
    views = {
        "spine": published(tmp_path, "spine", spine, ["key"], "at"),
        "days": published(tmp_path, "days", days, ["key"], "day"),
        "none": published(tmp_path, "none", spine.clear(), ["key"], "at"),
    }
    midnight = "2013-01-04T00:00:00+00:00"
    assert extents(views) == {
        "spine": {"rows": 3, "since": "2013-01-05T12:00:00+00:00", "until": "2013-01-05T14:00:00+00:00"},
        "days": {"rows": 1, "since": midnight, "until": midnight},
        "none": {"rows": 0, "since": None, "until": None},
    }
