"""From the rows that a model was trained on, and those it is asked about, to the verdict: through profiles, as they are
written and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from framework.backends.profiles.store import Profiles
from framework.drift.quality import QualityFinding, judge_quality
from framework.drift.verdict import ColumnVerdict, DriftFinding, DriftRules, judge_window
from framework.workloads import profiling

DAY = datetime(2026, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
RULES = DriftRules(threshold=0.2, false_alarm_rate=0.01, min_rows=200)
STATISTICS = ("psi", "js", "hellinger", "ks")


class Column:
    """``trained`` in time order, ``step`` apart, and the windows that come later."""

    def __init__(self, folder: Path, trained: pl.Series, step: timedelta = timedelta(minutes=1)) -> None:
        self.folder, self.files = folder, 0
        times = pl.Series("t", [DAY - timedelta(days=2_000) + step * number for number in range(len(trained))])
        frame = pl.DataFrame({"x": trained, "t": times})
        profiling.write_reference(str(folder / "profile"), profiling.reference_of(frame, "t", ["x"], WEEK))
        found = Profiles().reference(str(folder / "profile"))
        assert found is not None
        self.reference = found

    def judge(self, window: pl.Series, statistic: str = "psi", **rules: Any) -> ColumnVerdict:
        self.files += 1
        when, folder = DAY + timedelta(hours=self.files), self.folder / "windows"
        folder.mkdir(exist_ok=True)
        for part in range(2):
            data = profiling.profile_bytes(window.alias("x").gather_every(2, part).to_frame(), when)
            (folder / f"{int(when.timestamp() * 1000)}-r{part}-0.bin").write_bytes(data)
        self.seen = Profiles().window(str(folder), when, when + timedelta(hours=1), self.reference)
        (verdict,) = judge_window(replace(RULES, statistic=statistic, **rules), self.reference, self.seen).columns
        assert verdict.rows == len(window) or verdict.finding is DriftFinding.INCONCLUSIVE
        return verdict

    def quality(self, **bounds: Any) -> tuple[QualityFinding, ...]:
        """Of the window judged last."""
        given = {"max_null_rate": None, "unseen_categories": None, **bounds}
        return judge_quality(self.reference, self.seen, min_rows=200, **given)


A_DAY, ANOTHER = date(2026, 1, 5), date(2026, 1, 6)
KINDS: dict[str, tuple[Any, Any, Any]] = {
    "float": (pl.Float64, 5.0, 7.0),
    "lower": (pl.Float64, 5.0, np.nextafter(5.0, 0.0)),
    "narrow float": (pl.Float32, 0.1, 0.2),
    "huge": (pl.Float64, 1.7e308, -1.7e308),
    "infinite": (pl.Float64, float("inf"), 1.0),
    "integer": (pl.Int64, 5, 6),
    "unsigned": (pl.UInt64, 2**64 - 1, 0),
    "decimal": (pl.Decimal(10, 2), Decimal("5.00"), Decimal("7.00")),
    "boolean": (pl.Boolean, True, False),
    "other boolean": (pl.Boolean, False, True),
    "text": (pl.String, "a", "b"),
    "empty text": (pl.String, "", "b"),
    "day": (pl.Date, A_DAY, ANOTHER),
    "moment": (pl.Datetime("us", "UTC"), DAY, DAY + timedelta(seconds=1)),
    "duration": (pl.Duration("ms"), timedelta(seconds=5), timedelta(seconds=7)),
}


def always(dtype: Any, value: Any, rows: int) -> pl.Series:
    return pl.Series("x", [value] * rows, dtype=dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_from_always_one_value_to_always_another_is_drift(kind: str, tmp_path: Path) -> None:
    dtype, value, other = KINDS[kind]
    column = Column(tmp_path, always(dtype, value, 2_000))
    for statistic in STATISTICS:
        if statistic == "ks" and dtype == pl.String:
            continue
        same = column.judge(always(dtype, value, 400), statistic)
        assert (same.finding, same.value) == (DriftFinding.NO_DRIFT, 0.0)
        moved = column.judge(always(dtype, other, 400), statistic)
        assert moved.finding is DriftFinding.DRIFT
        assert moved.message.endswith("100.0% where training has nothing")
        some = pl.concat([always(dtype, value, 300), always(dtype, other, 100)])
        assert column.judge(some, statistic).finding is DriftFinding.DRIFT


ORDERED = [(kind, statistic) for kind in ("float", "integer", "boolean", "day") for statistic in STATISTICS]
UNORDERED = [("text", statistic) for statistic in STATISTICS if statistic != "ks"]


@pytest.mark.parametrize(("kind", "statistic"), [*ORDERED, *UNORDERED])
def test_missing_values_count_alike_for_every_type(kind: str, statistic: str, tmp_path: Path) -> None:
    dtype, value, other = KINDS[kind]
    present = pl.Series("x", [value, other] * 200, dtype=dtype)
    gone = always(dtype, None, 400)
    never = Column(tmp_path / "never", always(dtype, None, 2_000))
    assert never.judge(gone, statistic).finding is DriftFinding.NO_DRIFT
    came = never.judge(present, statistic)
    assert came.finding is DriftFinding.DRIFT
    assert "100.0% missing in training, 0.0% now" in came.message
    ever = Column(tmp_path / "ever", pl.Series("x", [value, other] * 1_000, dtype=dtype))
    assert ever.judge(gone, statistic).finding is DriftFinding.DRIFT
    assert [item.value for item in ever.quality(max_null_rate=0.05)] == [1.0]
    assert ever.judge(pl.concat([present[:200], gone[:200]]), statistic).finding is DriftFinding.DRIFT
    assert ever.judge(present, statistic).finding is DriftFinding.NO_DRIFT


def test_not_a_number_is_missing_as_null_is(tmp_path: Path) -> None:
    column = Column(tmp_path, pl.Series("x", [1.0, 2.0] * 1_000))
    nans = column.judge(pl.Series("x", [1.0, float("nan")] * 200))
    assert nans == column.judge(pl.Series("x", [1.0, None] * 200))


def normal(seed: int, rows: int, shift: float = 0.0) -> pl.Series:
    return pl.Series("x", np.random.default_rng(seed).normal(shift, 1.0, rows))


@pytest.mark.parametrize(
    ("step", "periods"),
    [(timedelta(seconds=1), 1), (timedelta(minutes=1), 1), (timedelta(hours=1), 18), (timedelta(days=1), 29)],
)
def test_a_clock_that_was_made_up_decides_nothing(step: timedelta, periods: int, tmp_path: Path) -> None:
    """Rows without a time of their own get one, a second or a day apart: from one period to thirty of them."""
    column = Column(tmp_path, normal(1, 6_000), step)
    assert len(column.reference.periods) == periods
    for statistic in STATISTICS:
        calm, moved = column.judge(normal(2, 1_300), statistic), column.judge(normal(3, 1_300, 1.0), statistic)
        assert (calm.finding, moved.finding) == (DriftFinding.NO_DRIFT, DriftFinding.DRIFT)
        assert moved.limit == 0.2, "the spec's threshold, and nothing that the clock made"
        assert (moved.natural is None) is (periods == 1)


def test_what_really_moves_from_week_to_week_is_learned(tmp_path: Path) -> None:
    weeks = [normal(week, 500, shift) for week, shift in enumerate([-1.0, 0.5, 1.0, -0.5, 0.0, 1.5, -1.5, 0.3])]
    column = Column(tmp_path, pl.concat(weeks), step=WEEK / 500)
    assert column.judge(normal(20, 500, 1.2)).finding is DriftFinding.NO_DRIFT
    assert column.judge(normal(21, 500, 8.0)).finding is DriftFinding.DRIFT


def numbered(seed: int, rows: int, of: int) -> pl.Series:
    return pl.Series("x", [f"c{number}" for number in np.random.default_rng(seed).integers(0, of, rows)])


@pytest.mark.parametrize(("of", "trained"), [(2_000, 20_000), (5_000, 40_000)])
def test_many_categories_are_judged_together(of: int, trained: int, tmp_path: Path) -> None:
    column = Column(tmp_path, numbered(1, trained, of))
    assert column.judge(numbered(2, 4_000, of)).finding is DriftFinding.NO_DRIFT
    assert column.quality(unseen_categories=0.05) == ()
    assert column.judge(numbered(3, 4_000, of // 2)).finding is DriftFinding.DRIFT


def test_categories_too_many_to_be_named_are_no_reason_to_call_anything_calm(tmp_path: Path) -> None:
    column = Column(tmp_path, numbered(1, 60_000, 20_000))
    same = column.judge(numbered(2, 4_000, 20_000))
    assert same.finding is DriftFinding.INCONCLUSIVE
    assert "too many categories to be named" in same.message
    assert column.quality(unseen_categories=0.05) == ()
    assert column.judge(numbered(3, 4_000, 1)).finding is DriftFinding.DRIFT
    assert column.judge(always(pl.String, None, 4_000)).finding is DriftFinding.DRIFT


def test_categories_that_training_never_had_are_found_among_many(tmp_path: Path) -> None:
    column = Column(tmp_path, numbered(1, 20_000, 2_000))
    known, strange = numbered(2, 3_600, 2_000), pl.Series("x", [f"new{number}" for number in range(400)])
    column.judge(pl.concat([known, strange]).shuffle(seed=1))
    (found,) = column.quality(unseen_categories=0.05)
    assert (found.count, found.rows) == (400, 4_000)
    column.judge(pl.Series("x", [f"new{number}" for number in range(2_000)]))
    (found,) = column.quality(unseen_categories=0.05)
    assert (found.count, found.rows) == (2_000, 2_000)


def test_a_string_longer_than_a_profile_names_is_known_by_its_beginning(tmp_path: Path) -> None:
    column = Column(tmp_path, always(pl.String, "é" * 300, 2_000))
    assert column.judge(always(pl.String, "é" * 300, 400)).finding is DriftFinding.NO_DRIFT
    assert column.quality(unseen_categories=0.01) == ()


def alarms(column: Column, windows: Sequence[pl.Series], **rules: Any) -> int:
    return sum(column.judge(window, **rules).finding is DriftFinding.DRIFT for window in windows)


def test_small_shifts_are_seen_and_none_is_not(tmp_path: Path) -> None:
    column = Column(tmp_path, normal(1, 20_000))
    windows = 40
    assert alarms(column, [normal(100 + seed, 1_000, 0.25) for seed in range(windows)], threshold=0.01) == windows
    assert alarms(column, [normal(200 + seed, 200, 0.5) for seed in range(windows)], threshold=0.01) >= windows - 1
    assert alarms(column, [normal(300 + seed, 1_000) for seed in range(windows)], threshold=0.01) <= 2
