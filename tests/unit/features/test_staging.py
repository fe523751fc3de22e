"""Rows between being computed and being published: in order and named alike, however few are held at a time."""

from __future__ import annotations

import errno
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.features import delta, digests, staging
from framework.workloads.features.digests import Digests
from framework.workloads.features.staging import Rows, scratch, stage

COLUMNS = [("id", "String"), ("at", "Datetime"), ("x", "Float64"), ("n", "UInt8")]
KEYS = ["at", "id"]
AT = datetime(2026, 3, 1, tzinfo=UTC)


def frame(rows: list[tuple[str, int, float | None, int | None]]) -> pl.DataFrame:
    schema = {"id": pl.String(), "at": pl.Int64(), "x": pl.Float64(), "n": pl.UInt8()}
    made = pl.DataFrame(rows, schema=schema, orient="row")
    return made.with_columns(at=pl.lit(AT, dtype=pl.Datetime("us", "UTC")) + pl.duration(minutes="at"))


def held(patch: pytest.MonkeyPatch, rows: int) -> None:
    """At most so many at a time."""
    patch.setattr(staging, "BATCH", rows)
    patch.setattr(staging, "_SAMPLED", 1)


def named(rows: Rows) -> dict[str, str]:
    values = Digests()
    for batch in rows.batches():
        values.update(batch)
    return values.values()


ROW = st.tuples(
    st.sampled_from(["a", "b", "ü"]),
    st.integers(0, 9),
    st.none() | st.sampled_from([0.0, -0.0, 1.5, float("inf"), float("nan")]),
    st.none() | st.integers(0, 3),
)


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROW, max_size=60), batch=st.sampled_from([1, 3, 8, 13, 1000]), ordered=st.booleans())
def test_rows_come_in_order_and_are_named_alike_however_few_are_held(
    rows: list[Any], batch: int, ordered: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    given = frame(rows)
    expected = given.with_columns(pl.col("x").fill_nan(None)).sort([*KEYS, "x", "n"])
    with pytest.MonkeyPatch.context() as patch, scratch(tmp_path_factory.mktemp("s") / "s") as folder:
        held(patch, batch)
        staged = stage((expected if ordered else given).lazy(), COLUMNS, KEYS, folder)
        batches = list(staged.batches())
        assert pl.concat(batches).equals(expected)
        assert named(staged) == digests.digests(expected)


def test_rows_that_are_in_the_order_of_time_are_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(monkeypatch, 4)
    rows = frame([(name, minute, 1.0, 1) for minute in range(10) for name in "bac"])
    found = stage(rows.lazy(), COLUMNS, KEYS, tmp_path / "a")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["computed.parquet"]
    assert max(part.height for part in found.batches()) <= 6, "equal times stay together, and no more"
    stage(rows.reverse().lazy(), COLUMNS, KEYS, tmp_path / "b")
    assert "computed.parquet" not in {path.name for path in (tmp_path / "b").iterdir()}


def test_one_moment_with_more_rows_than_are_held_is_ordered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(monkeypatch, 4)
    tied = frame([(str(number % 5), 0, float(number), None) for number in reversed(range(30))])
    found = stage(tied.lazy(), COLUMNS, KEYS, tmp_path)
    assert pl.concat(found.batches()).equals(tied.sort(["at", "id", "x"]))


@pytest.mark.parametrize("times", [[date(2026, 3, day) for day in (3, 1, 2) * 5]], ids=["Date"])
def test_a_date_may_be_the_event_time(times: list[date], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, 4)
    columns = [("id", "Int64"), ("day", "Date")]
    given = pl.DataFrame({"id": range(len(times)), "day": times})
    found = stage(given.lazy(), columns, ["day", "id"], tmp_path)
    assert pl.concat(found.batches()).equals(given.sort("day", "id"))


def test_the_names_of_values_are_what_they_were() -> None:
    """Tables that exist are named by them: other ones would train every model again."""
    rows = frame([("a", 1, None, 3), ("ünï", 2, -0.0, None), ("", 3, 2.5, 255)])
    assert digests.digests(rows) == PINNED


PINNED = {"id": "866341cc2df3e236", "at": "10f8336ba5c83c40", "x": "613e9f061006e5be", "n": "8c2fb8a058e6c5bb"}


def test_an_attempt_finds_its_scratch_empty_and_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "of-one-that-was-killed").write_text("x")
    with scratch(tmp_path / "s") as folder:
        assert not list(folder.iterdir())
        (folder / "x").write_text("x")
    assert not (tmp_path / "s").exists()


def test_a_full_disk_while_rows_are_staged_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "computed.parquet").symlink_to("/dev/full")
    with pytest.raises(WorkloadError, match="no room left") as caught:
        stage(frame([("a", 1, 1.0, 1)]).lazy(), COLUMNS, KEYS, tmp_path)
    assert (caught.value.reason, caught.value.kind) == ("DiskFull", FailureKind.INFRASTRUCTURE)


def test_a_disk_that_fills_in_the_middle_of_a_version_leaves_the_one_before(tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    good = frame([("a", 1, 1.0, 1)])
    delta.publish(uri, [good], COLUMNS, {"run": "one"})

    def fills():
        yield good
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WorkloadError, match="no room left") as caught:
        delta.publish(uri, fills(), COLUMNS, {"run": "two"})
    assert caught.value.reason == "DiskFull"
    current = delta.current(uri)
    assert current is not None
    assert (current.version, current.metadata["run"]) == (0, "one")
    assert delta.read(uri, 0, COLUMNS).collect().equals(good)


def test_what_no_table_can_hold_is_told_from_whatever_batch_it_is_in(tmp_path: Path) -> None:
    columns = [("at", "Datetime"), ("big", "UInt64")]
    batches = [
        pl.DataFrame({"at": [AT + timedelta(hours=n % 5)], "big": pl.Series([n], dtype=pl.UInt64)}) for n in (1, 2**63)
    ]
    with pytest.raises(WorkloadError, match="big: 1 of 1 values is too large for Delta"):
        delta.publish(str(tmp_path / "t"), batches, columns, {})
    assert delta.current(str(tmp_path / "t")) is None


def test_rows_lie_in_the_table_as_they_came_and_each_file_says_what_it_holds(tmp_path: Path) -> None:
    rows = frame([(name, minute, None if minute == 2 else 1.0, minute) for minute in range(9) for name in "ab"])
    made = delta.publish(str(tmp_path / "t"), rows.iter_slices(5), COLUMNS, {})
    assert delta.read(made.uri, made.version, COLUMNS).collect().equals(rows)
    late = delta.overlapping(made, "at", AT + timedelta(minutes=7), None)
    assert len(late) == 2
    assert sum(file.rows(made.uri, COLUMNS).collect().height for file in late) == 8
    assert len(delta.overlapping(made, "at", AT + timedelta(days=9), None)) == 0


@pytest.mark.parametrize("form", ["all", "some", "first"])
def test_of_two_who_write_at_once_one_is_told(form: str, tmp_path: Path) -> None:
    uri, files = str(tmp_path / "t"), None
    if form != "first":
        made = delta.publish(uri, [frame([("a", 1, 1.0, 1)])], COLUMNS, {"run": "one"})
        files = delta.overlapping(made, "at", AT, None) if form == "some" else None

    def overtaken():
        yield frame([("b", 2, 1.0, 1)])
        delta.publish(uri, [frame([("c", 3, 1.0, 1)])], COLUMNS, {"run": "other"}, files)

    with pytest.raises(WorkloadError, match="another run wrote") as caught:
        delta.publish(uri, overtaken(), COLUMNS, {"run": "two"}, files)
    assert (caught.value.reason, caught.value.kind) == ("PublishConflict", FailureKind.INFRASTRUCTURE)
    current = delta.current(uri)
    assert current is not None
    assert current.metadata["run"] == "other"
    assert delta.read(uri, current.version, COLUMNS).collect()["id"].to_list() == ["c"]
