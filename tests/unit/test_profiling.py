"""Our profiles are whylogs' profiles: read, merged and numbered the same."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from framework.sketches import load_whylogs
from framework.workloads.profiling import (
    profile_batches,
    profile_bytes,
    profile_frame,
    reference_of,
    split_periods,
    write_reference,
)

WHEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROWS = 900
COLUMNS = ("temp", "month", "origin", "late")


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    generator = np.random.default_rng(5)
    return pl.DataFrame(
        {
            "temp": [None if row % 17 == 5 else value for row, value in enumerate(generator.normal(20, 5, ROWS))],
            "month": generator.integers(1, 13, ROWS),
            "origin": generator.choice(["JFK", "LGA", "EWR"], ROWS, p=[0.5, 0.3, 0.2]),
            "late": generator.random(ROWS) < 0.3,
        },
        schema={"temp": pl.Float64, "month": pl.Int16, "origin": pl.String, "late": pl.Boolean},
    )


def stock(frame: pl.DataFrame):
    """What whylogs itself makes of the rows, one value at a time."""
    load_whylogs()
    from whylogs.core import DatasetProfile, DatasetSchema
    from whylogs.core.datatypes import AnyType, Fractional, Integral, String, TypeMapper

    class Types(TypeMapper):
        """The standard mapper asks for ``np.unicode_``, which numpy 2 has no more."""

        def __call__(self, dtype):
            return {float: Fractional, int: Integral, bool: Integral, str: String}.get(dtype, AnyType)()

    profile = DatasetProfile(schema=DatasetSchema(type_mapper=Types()), dataset_timestamp=WHEN)
    for row in frame.iter_rows(named=True):
        profile.track(row)
    return profile.view()


def summary(view, column: str) -> dict:
    """Every number that whylogs tells of a column; frequent items as item -> estimate."""
    told = dict(view.get_column(column).to_summary_dict())
    items = told.pop("frequent_items/frequent_strings", [])
    numbers = {name: value for name, value in told.items() if value is not None and not math.isnan(value)}
    return numbers | {f"item {item.value}": item.est for item in items}


def close(summary: dict):
    return pytest.approx(summary, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("column", COLUMNS)
def test_whylogs_would_have_seen_the_same(frame, column):
    ours, theirs = summary(profile_frame(frame, WHEN), column), summary(stock(frame), column)
    assert len(theirs) >= 18
    assert ours == close(theirs)


def test_whylogs_reads_the_file(frame, tmp_path):
    file = tmp_path / "one.bin"
    file.write_bytes(profile_bytes(frame, WHEN, {"replica": "7-1"}))
    view = load_whylogs().read(str(file)).view()
    assert sorted(view.get_columns()) == sorted(COLUMNS)
    assert view.dataset_timestamp == WHEN
    assert view.metadata["replica"] == "7-1"
    for column in COLUMNS:
        assert summary(view, column) == summary(profile_frame(frame, WHEN), column)


@pytest.mark.parametrize("theirs_first", [True, False])
def test_it_merges_with_profiles_that_whylogs_made(frame, tmp_path, theirs_first):
    file = tmp_path / "one.bin"
    file.write_bytes(profile_bytes(frame[:400], WHEN))
    ours, theirs = load_whylogs().read(str(file)).view(), stock(frame[400:])
    merged = theirs.merge(ours) if theirs_first else ours.merge(theirs)
    for column in COLUMNS:
        got, expected = summary(merged, column), summary(stock(frame), column)
        for name in [name for name in expected if name.startswith("cardinality/")]:  # the union estimates otherwise
            assert got.pop(name) == pytest.approx(expected.pop(name), rel=0.03)
        assert got == close(expected)


def test_batches_come_to_the_profile_of_the_whole(frame):
    parts = [frame.slice(start, 256) for start in range(0, ROWS, 256)]
    whole, merged = profile_frame(frame, WHEN), profile_batches(parts, WHEN)
    assert merged.dataset_timestamp == WHEN
    for column in COLUMNS:
        one, other = summary(whole, column), summary(merged, column)
        assert one.keys() == other.keys()
        assert other["counts/n"] == ROWS
        for key, value in one.items():
            estimate = key.startswith(("distribution/q", "distribution/median", "cardinality/"))
            near = pytest.approx(value, rel=0.02 if estimate else 1e-9) if isinstance(value, float) else value
            assert other[key] == near, key


def test_nan_is_null_infinity_is_counted_and_spoils_no_moment():
    told = summary(profile_frame(pl.DataFrame({"x": [1.0, 3.0, float("nan"), None, float("inf")]}), WHEN), "x")
    assert (told["counts/n"], told["counts/null"], told["counts/nan"], told["counts/inf"]) == (5, 2, 1, 1)
    assert told["distribution/mean"] == 2.0
    assert told["distribution/n"] == 3


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("x", [], dtype=pl.Float64),
        pl.Series("x", [None, None], dtype=pl.String),
        pl.Series("x", [None, None], dtype=pl.Boolean),
        pl.Series("x", [None, None], dtype=pl.Null),
        pl.Series("x", [2**64 - 1, 0], dtype=pl.UInt64),
        pl.Series("x", [Decimal("1.5"), None]),
        pl.Series("x", [date(2026, 1, 1), None]),
        pl.Series("x", [[1], [2, 3]]),
        pl.Series("x", ["a", None, "a"], dtype=pl.Categorical),
        pl.Series("x", ["é" * 500, ""]),
    ],
    ids=lambda series: str(series.dtype),
)
def test_any_column_can_be_profiled(column, tmp_path):
    file = tmp_path / "one.bin"
    file.write_bytes(profile_bytes(column.to_frame(), WHEN))
    told = summary(load_whylogs().read(str(file)).view(), "x")
    assert (told["counts/n"], told["counts/null"]) == (column.len(), column.null_count())


@pytest.mark.parametrize(("rare", "named"), [(6_000, 6_001), (20_000, 6_144)])
def test_many_distinct_strings_are_counted_exactly_the_frequent_ones_first(rare, named):
    values = [f"rare-{number}" for number in range(rare)] + ["often"] * 4_000
    told = summary(profile_frame(pl.DataFrame({"x": values}).sample(fraction=1.0, shuffle=True, seed=1), WHEN), "x")
    items = {name: count for name, count in told.items() if name.startswith("item ")}
    assert (items["item often"], len(items), sum(items.values())) == (4_000, named, 4_000 + named - 1)
    assert told["cardinality/est"] == pytest.approx(rare + 1, rel=0.05)


def test_of_equally_frequent_strings_the_same_are_counted_in_any_order():
    values = pl.DataFrame({"x": [f"c{number}" for number in range(8_000)]})
    shuffled = [values.sample(fraction=1.0, shuffle=True, seed=seed) for seed in range(2)]
    first, second = (summary(profile_frame(frame, WHEN), "x") for frame in shuffled)
    assert {name for name in first if name.startswith("item ")} == {name for name in second if name.startswith("item ")}


def test_times_are_numbers_of_seconds():
    moments = [datetime(1970, 1, 2, tzinfo=UTC), datetime(1970, 1, 3, tzinfo=UTC), None]
    columns = {
        "moment": pl.Series(moments, dtype=pl.Datetime("ms", "UTC")),
        "day": [date(1970, 1, 2), date(1970, 1, 3), None],
        "time": [time(0, 1), time(0, 2), None],
        "duration": pl.Series([timedelta(seconds=1), timedelta(seconds=2), None], dtype=pl.Duration("ns")),
    }
    frame = profile_frame(pl.DataFrame(columns), WHEN)
    for name, first in {"moment": 86_400.0, "day": 86_400.0, "time": 60.0, "duration": 1.0}.items():
        told = summary(frame, name)
        assert (told["distribution/min"], told["distribution/max"]) == pytest.approx((first, 2 * first))
        assert told["counts/null"] == 1


def days(*rows_per_day: int) -> pl.DataFrame:
    start = datetime(2013, 1, 1)  # noqa: DTZ001 - a column without a zone is UTC
    times = [
        start + timedelta(days=day, hours=hour % 24) for day, rows in enumerate(rows_per_day) for hour in range(rows)
    ]
    return pl.DataFrame({"time": times, "x": [float(number) for number in range(len(times))]})


@pytest.mark.parametrize(
    ("rows_per_day", "expected"),
    [
        ([300, 300, 300], [300, 300, 300]),
        ([300, 300, 50], [300, 350]),
        ([50, 300, 300], [350, 300]),
        ([300, 199, 300], [300, 499]),
        ([150] * 5, [300, 450]),
        ([10, 300, 10, 10, 300, 10], [310, 330]),
        ([4000, 4000, 4000, 900], [4000, 4000, 4900]),
        ([300, 0, 300], [300, 300]),
        ([10, 10], [20]),
    ],
)
def test_a_period_with_too_few_rows_joins_its_neighbour(rows_per_day, expected):
    frame = days(*rows_per_day).sample(fraction=1.0, shuffle=True, seed=1)
    parts = list(split_periods(frame, "time", timedelta(days=1)))
    assert [part.height for part in parts] == expected
    assert all(before["time"].max() < after["time"].min() for before, after in pairwise(parts))


def test_the_reference_has_the_whole_and_its_weeks(tmp_path):
    write_reference(str(tmp_path), reference_of(days(*[300] * 21), "time", ["x"], timedelta(days=7)))
    read = load_whylogs().read
    assert sorted(file.name for file in tmp_path.iterdir()) == [*(f"period-{k}.bin" for k in range(3)), "whole.bin"]
    weeks = [read(str(tmp_path / f"period-{k}.bin")).view() for k in range(3)]
    assert [week.dataset_timestamp for week in weeks] == [datetime(2013, 1, day, tzinfo=UTC) for day in (1, 8, 15)]
    assert [summary(week, "x")["distribution/min"] for week in weeks] == [0.0, 2100.0, 4200.0]
    whole = read(str(tmp_path / "whole.bin")).view()
    assert sorted(whole.get_columns()) == ["x"]
    assert summary(whole, "x")["counts/n"] == 6300


def test_columns_may_be_profiled_one_after_the_other(tmp_path):
    """What a model says is known later than what it was given, and comes to the same files."""
    frame = days(*[60] * 14).sample(fraction=1.0, shuffle=True, seed=1)  # few enough for a sketch to keep each value
    frame = frame.with_columns(word=pl.col("x").cast(pl.String), y=-pl.col("x"))
    week = timedelta(days=7)
    first, second = (
        reference_of(frame.select("time", *names), "time", names, week) for names in (["x", "word"], ["y"])
    )
    write_reference(str(tmp_path / "apart"), first, second)
    write_reference(str(tmp_path / "together"), reference_of(frame, "time", ["x", "word", "y"], week))
    for name in ("period-0.bin", "period-1.bin", "whole.bin"):
        apart, together = (
            load_whylogs().read(str(tmp_path / folder / name)).view() for folder in ("apart", "together")
        )
        assert apart.dataset_timestamp == together.dataset_timestamp
        for column in ("x", "word", "y"):
            ours, theirs = summary(apart, column), summary(together, column)
            for what in theirs:
                if not what.startswith("cardinality/"):  # which goes by the order of the distinct strings, too
                    assert ours[what] == theirs[what], what


def test_the_whole_is_written_last(tmp_path, monkeypatch):
    """A folder that has it is complete, whatever happened to the writer."""
    from framework.workloads import profiling

    written = []
    monkeypatch.setattr(profiling, "write_bytes", lambda uri, data: written.append(Path(uri).name))
    write_reference(str(tmp_path), reference_of(days(300, 300), "time", ["x"], timedelta(days=1)))
    assert written == ["period-0.bin", "period-1.bin", "whole.bin"]


def test_rows_without_a_time_belong_to_no_period_but_to_the_whole(tmp_path):
    frame = pl.concat([days(300), pl.DataFrame({"time": [None], "x": [7.0]}, schema=days(1).schema)])
    write_reference(str(tmp_path), reference_of(frame, "time", ["x"], timedelta(days=1)))
    read = load_whylogs().read
    assert summary(read(str(tmp_path / "period-0.bin")).view(), "x")["counts/n"] == 300
    assert summary(read(str(tmp_path / "whole.bin")).view(), "x")["counts/n"] == 301


def test_a_frame_without_any_time_is_refused():
    with pytest.raises(ValueError, match="no row has a time"):
        reference_of(days(300).with_columns(time=None), "time", ["x"], timedelta(days=1))


LOADING = """
import os, sys, time
from framework.sketches import load_whylogs
why = load_whylogs()
assert os.environ["WHYLOGS_NO_ANALYTICS"] == "1"
heavy = sorted(name for name in sys.modules if name.split(".")[0] in ("sklearn", "scipy"))
assert not heavy, heavy
from whylogs.api import usage_stats
assert usage_stats._TELEMETRY_DISABLED, "it would send usage statistics"
assert load_whylogs() is why
import scipy.stats, sklearn.linear_model
assert scipy.stats.norm.cdf(0) == 0.5
"""


@pytest.mark.slow
def test_loading_whylogs_leaves_heavy_packages_and_telemetry_out_and_spoils_neither():
    root = Path(__file__).parents[2]
    clean = {name: value for name, value in os.environ.items() if name != "WHYLOGS_NO_ANALYTICS"}
    process = subprocess.run(
        [sys.executable, "-c", LOADING],
        env={**clean, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
