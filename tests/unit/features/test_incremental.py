"""Versions that compute the newest rows alone hold what the others would, and say so."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework import storage
from framework.sketches import load_whylogs
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.features import days, delta, materialize
from tests.unit.features.test_materialize import CATALOG, context

COLUMNS = [("carrier", "String"), ("at", "Datetime"), ("delay", "Float64")]
AT = datetime(2026, 3, 1, tzinfo=UTC)
SCHEMA = {"carrier": pl.String(), "at": pl.Int64(), "delay": pl.Int64()}


def spec(transform: dict[str, str] | None = None, **materialization: Any) -> dict[str, Any]:
    return {
        "entities": ["carrier"],
        "timestamp": "at",
        "sources": {"flights": {"format": "parquet", "path": "flights-*.parquet"}},
        "transform": transform,
        "columns": [{"name": name, "dtype": dtype} for name, dtype in COLUMNS],
        "expectations": [{"rows": {"min": 0}}, {"column": "delay", "between": [0, 1000]}],
        "materialization": {"mode": "incremental", **materialization},
    }


def rows(some: list[tuple[str, int, int]]) -> pl.DataFrame:
    """(carrier, hours from AT, delay)."""
    made = pl.DataFrame(some, schema=SCHEMA, orient="row")
    return made.with_columns(at=pl.lit(AT, dtype=pl.Datetime("us", "UTC")) + pl.duration(hours="at"))


def write(root: Path, number: int, some: list[tuple[str, int, int]]) -> None:
    rows(some).write_parquet(root / f"flights-{number}.parquet")


def run(root: Path, number: int, form: dict[str, Any], **payload: Any) -> tuple[delta.PublishedVersion, pl.DataFrame]:
    asked: RunContext = context(root, f"features-delays-{number}", form, **payload)
    result = materialize.run(asked)
    version = delta.current(result["uri"])
    assert version is not None
    read = delta.read(version.uri, version.version, COLUMNS).collect()
    assert read.height == result["rows"] == version.metadata["rows"]
    return version, read.sort("at", "carrier", "delay")


def named(frame: pl.DataFrame, root: Path) -> dict[str, str]:
    """What the digests are of a version that was computed at once."""
    return days.entered([frame], "at", ["at", "carrier"], str(root / "named"), AT).digests()


STEP = st.lists(
    st.tuples(st.sampled_from(["AA", "UA"]), st.integers(-60, 30), st.integers(0, 5)), min_size=1, max_size=8
)


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(STEP, min_size=1, max_size=4),
    lateness=st.sampled_from(["0s", "5h", "2d"]),
    retention=st.sampled_from([None, None, "3d"]),
    block=st.sampled_from([1, 4, 1 << 17]),
)
def test_from_the_watermark_less_lateness_on_a_table_is_the_full_one_and_before_it_stays(
    steps: list[list[tuple[str, int, int]]],
    lateness: str,
    retention: str | None,
    block: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Rows come in any order: new, late, and twice."""
    root, form = tmp_path_factory.mktemp("inc"), spec(lateness=lateness, retention=retention)
    allowed = {"0s": timedelta(0), "5h": timedelta(hours=5), "2d": timedelta(days=2)}[lateness]
    everything, expected, mark = rows([]), rows([]), None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(days, "BLOCK", block)
        for number, step in enumerate(steps):
            come = [(carrier, max(0, number * 24 + 60 + hours), delay) for carrier, hours, delay in step]
            write(root, number, come)
            everything = pl.concat([everything, rows(come)])
            since = AT - timedelta(days=1) if mark is None else mark - allowed
            kept, new = expected.filter(pl.col("at") < since), everything.filter(pl.col("at") >= since)
            made, mark = pl.concat([kept, new]), everything["at"].max()
            assert isinstance(mark, datetime)
            if retention is not None:
                low = (mark - timedelta(days=3)).date()
                made = made.filter(pl.col("at").dt.date() >= low)
            expected = made
            version, read = run(root, number, form)
            whole = expected.with_columns(pl.col("delay").cast(pl.Float64)).sort("at", "carrier", "delay")
            assert read.equals(whole)
            assert version.metadata["digests"] == named(whole, root)
            assert (version.metadata["since"] is None) == (number == 0)
            assert version.metadata["watermark"] == mark.isoformat()
            assert counted(version) == whole.height


def counted(version: delta.PublishedVersion) -> int:
    """Rows that the profile of a version tells of."""
    load_whylogs()
    from whylogs.core.view.dataset_profile_view import DatasetProfileView

    data = storage.read_bytes(version.metadata["profile"])
    assert data is not None
    column = DatasetProfileView.deserialize(data).get_column("delay")
    return 0 if column is None else int(column.to_summary_dict()["counts/n"])


def test_only_rows_from_the_watermark_on_are_computed_and_late_ones_are_counted(tmp_path: Path) -> None:
    write(tmp_path, 0, [("AA", 0, 1), ("AA", 30, 2)])
    first, _ = run(tmp_path, 0, spec())
    assert first.metadata["why"] == "there is no version before"
    write(tmp_path, 1, [("AA", 31, 3), ("AA", 2, 9), ("UA", 3, 9)])
    second, read = run(tmp_path, 1, spec())
    assert read["delay"].to_list() == [1.0, 2.0, 3.0]
    assert (second.metadata["since"], second.metadata["late"]) == ((AT + timedelta(hours=30)).isoformat(), 2)
    assert (second.metadata["previous"], second.metadata["days"]) == (first.version, 2)
    assert delta.read(first.uri, first.version, COLUMNS).collect().height == 2, "the version before is there"


def test_a_run_again_of_equal_data_changes_no_name(tmp_path: Path) -> None:
    write(tmp_path, 0, [("AA", 0, 1), ("AA", 30, 2)])
    first, before = run(tmp_path, 0, spec(lateness="1d"))
    second, after = run(tmp_path, 1, spec(lateness="1d"))
    assert second.version > first.version
    assert (second.metadata["digests"], second.metadata["rows"]) == (first.metadata["digests"], 2)
    assert after.equals(before)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda root: write(root, 0, [("AA", 0, 7)]), r"flights-0\.parquet has changed, which held rows up to"),
        (lambda root: None, "git asks for something else"),
    ],
    ids=["old data", "another identity"],
)
def test_what_may_have_changed_older_rows_computes_all(tmp_path: Path, change: Any, why: str) -> None:
    write(tmp_path, 0, [("AA", 0, 1)])
    write(tmp_path, 1, [("AA", 30, 2)])
    run(tmp_path, 0, spec())
    change(tmp_path)
    identity = "1111111111" if "parquet" in why else "2222222222"
    version, read = run(tmp_path, 1, spec(), identity=identity)
    assert version.metadata["since"] is None
    assert re.search(why, version.metadata["why"])
    assert read["delay"].to_list()[0] == (7.0 if "parquet" in why else 1.0)


def test_a_file_that_grew_at_its_end_is_read_from_there(tmp_path: Path) -> None:
    write(tmp_path, 0, [("AA", 0, 1), ("AA", 30, 2)])
    run(tmp_path, 0, spec())
    write(tmp_path, 0, [("AA", 0, 1), ("AA", 30, 2), ("AA", 31, 3)])
    version, read = run(tmp_path, 1, spec())
    assert version.metadata["since"] is not None
    assert read["delay"].to_list() == [1.0, 2.0, 3.0]


def test_files_that_are_gone_take_no_rows_away(tmp_path: Path) -> None:
    write(tmp_path, 0, [("AA", 0, 1)])
    write(tmp_path, 1, [("AA", 30, 2)])
    run(tmp_path, 0, spec())
    (tmp_path / "flights-0.parquet").unlink()
    write(tmp_path, 2, [("AA", 40, 3)])
    _, read = run(tmp_path, 1, spec())
    assert read["delay"].to_list() == [1.0, 2.0, 3.0]


def test_a_table_without_event_time_that_changes_computes_all(tmp_path: Path) -> None:
    form = spec({"sql": "SELECT carrier, at, delay + bonus AS delay FROM flights JOIN extra USING (carrier)"})
    form["sources"]["extra"] = {"format": "parquet", "path": "extra.parquet"}
    pl.DataFrame({"carrier": ["AA"], "bonus": [10]}).write_parquet(tmp_path / "extra.parquet")
    write(tmp_path, 0, [("AA", 0, 1)])
    run(tmp_path, 0, form)
    write(tmp_path, 1, [("AA", 30, 2)])
    assert run(tmp_path, 1, form)[0].metadata["since"] is not None
    pl.DataFrame({"carrier": ["AA"], "bonus": [20]}).write_parquet(tmp_path / "extra.parquet")
    version, read = run(tmp_path, 2, form)
    assert version.metadata["why"] == "extra.parquet has changed and has no event time"
    assert read["delay"].to_list() == [21.0, 22.0]


def test_a_transform_gets_what_it_looks_back_on_and_no_more(tmp_path: Path) -> None:
    sql = "SELECT carrier, at, COUNT(*) OVER (PARTITION BY carrier) AS delay FROM flights"
    write(tmp_path, 0, [("AA", hour, 1) for hour in (0, 10, 30)])
    form = spec({"sql": sql}, lookback="20h")
    run(tmp_path, 0, form)
    write(tmp_path, 1, [("AA", 31, 1)])
    version, read = run(tmp_path, 1, form)
    assert read["delay"].to_list() == [3.0, 3.0, 3.0, 3.0], "10, 30 and 31 are seen"
    assert version.metadata["late"] is None


def test_what_fails_of_the_new_rows_publishes_nothing(tmp_path: Path) -> None:
    write(tmp_path, 0, [("AA", 0, 1)])
    first, _ = run(tmp_path, 0, spec())
    write(tmp_path, 1, [("AA", 30, 5000)])
    with pytest.raises(WorkloadError, match="1 of 2 values lie outside"):
        run(tmp_path, 1, spec())
    current = delta.current(first.uri)
    assert current is not None
    assert current.version == first.version


def test_the_event_time_may_be_a_date_with_a_name_of_any_kind(tmp_path: Path) -> None:
    days = {'Day of "flight"': [date(2026, 3, day) for day in (1, 2, 3)], "id": [1, 2, 3]}
    form = {
        **spec(lateness="12h", retention="20d"),
        "entities": ["id"],
        "timestamp": 'Day of "flight"',
        "columns": [{"name": 'Day of "flight"', "dtype": "Date"}, {"name": "id", "dtype": "Int64"}],
        "expectations": [],
    }
    pl.DataFrame(days).write_parquet(tmp_path / "flights-0.parquet")
    materialize.run(context(tmp_path, "a", form))
    pl.DataFrame(days).with_columns(pl.all().shift(0)).tail(1).with_columns(
        pl.lit(date(2026, 3, 4)).alias('Day of "flight"')
    ).write_parquet(tmp_path / "flights-1.parquet")
    result = materialize.run(context(tmp_path, "b", form))
    assert result["rows"] == 4
    state = CATALOG.describe(result["uri"])
    assert state is not None
    assert state.rows == 4


def read_of(version: delta.PublishedVersion) -> dict[str, Any]:
    return {"uri": version.uri, "version": version.version, "content": str(sorted(version.metadata["digests"].items()))}


def test_a_view_over_an_incremental_view_computes_what_that_computed(tmp_path: Path) -> None:
    below, above = tmp_path, tmp_path / "above"
    above.mkdir()
    over = spec({"sql": "SELECT carrier, at, delay * 2 AS delay FROM low"})
    over["sources"] = {"low": {"featureView": "low"}}
    write(below, 0, [("AA", 0, 1), ("AA", 30, 2)])
    low, _ = run(below, 0, spec(lateness="10h"))
    run(above, 0, over, upstream={"low": read_of(low)})
    write(below, 1, [("AA", 21, 3), ("AA", 41, 4)])
    low, _ = run(below, 1, spec(lateness="10h"))
    version, read = run(above, 1, over, upstream={"low": read_of(low)})
    assert version.metadata["since"] == low.metadata["since"] == (AT + timedelta(hours=20)).isoformat()
    assert read["delay"].to_list() == [2.0, 6.0, 4.0, 8.0], "what came late below came late above"
    write(below, 0, [("AA", 0, 9)])
    low, _ = run(below, 2, spec(lateness="10h"))
    again, read = run(above, 2, over, upstream={"low": read_of(low)})
    assert again.metadata["why"] == "the view low was computed anew since"
    assert read["delay"].to_list() == [18.0, 6.0, 8.0]


def test_versions_below_that_nobody_can_look_through_any_more_compute_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "_LOOKED_THROUGH", 2)
    below, above = tmp_path, tmp_path / "above"
    above.mkdir()
    over = spec({"sql": "SELECT carrier, at, delay FROM low"})
    over["sources"] = {"low": {"featureView": "low"}}
    write(below, 0, [("AA", 0, 1), ("AA", 10, 2)])
    low, _ = run(below, 0, spec(lateness="10h"))
    run(above, 0, over, upstream={"low": read_of(low)})
    for number, at in enumerate((1, 20, 30), start=1):
        write(below, number, [("AA", at, 10 * number)])
        low, _ = run(below, number, spec(lateness="10h"))
    version, read = run(above, 1, over, upstream={"low": read_of(low)})
    assert version.metadata["why"] == "the view low was computed anew since"
    assert read["delay"].to_list() == [1.0, 10.0, 2.0, 20.0, 30.0], "what came late first is not lost"


def test_what_was_let_pass_stays_in_sight_and_a_share_is_one_of_the_whole_table(tmp_path: Path) -> None:
    form = spec()
    form["expectations"] = [
        {"column": "delay", "between": [0, 100], "severity": "warn"},
        {"column": "delay", "between": [0, 1000], "tolerance": 0.4},
    ]
    write(tmp_path, 0, [("AA", hour, 500 if hour == 0 else 1) for hour in range(4)])
    run(tmp_path, 0, form)
    write(tmp_path, 1, [("AA", 10, 5000)])
    version, _ = run(tmp_path, 1, form)
    assert version.metadata["mode"] == "incremental"
    warned, tolerated = version.metadata["expectations"]
    assert (warned["passed"], warned["failing"]) == (False, 0.4), "of all five rows two lie outside"
    assert (tolerated["passed"], tolerated["failing"]) == (True, 0.2)


def test_a_version_below_that_is_gone_has_a_name_and_leaves_what_is_published(tmp_path: Path) -> None:
    over = spec({"sql": "SELECT carrier, at, delay FROM low"})
    over["sources"] = {"low": {"featureView": "low"}}
    with pytest.raises(WorkloadError) as caught:
        run(tmp_path, 0, over, upstream={"low": {"uri": str(tmp_path / "none"), "version": 3}})
    assert caught.value.reason in {"UpstreamMissing", "TransformFailed"}
    assert "low" in str(caught.value)


def test_a_table_whose_newest_version_readers_left_is_computed_anew(tmp_path: Path) -> None:
    write(tmp_path, 0, [("AA", 0, 1), ("AA", 30, 2)])
    first, _ = run(tmp_path, 0, spec())
    write(tmp_path, 1, [("AA", 31, 666)])
    run(tmp_path, 1, spec())
    (tmp_path / "flights-1.parquet").unlink()
    write(tmp_path, 2, [("AA", 50, 3)])
    keys = {"entities": ["carrier"], "timestamp": "at", "columns": COLUMNS}
    version, read = run(tmp_path, 2, spec(), previous={"uri": first.uri, "version": first.version, **keys})
    assert version.metadata["why"] == "readers went back to version 0"
    assert read["delay"].to_list() == [1.0, 2.0, 3.0]
