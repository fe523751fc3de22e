"""Where rows come from: formats, globs, options, and mistakes told by name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from framework.workloads.context import WorkloadError
from framework.workloads.entrypoints import load_entrypoint
from framework.workloads.features.sources import read_sources

CSV = "carrier,delay\nAA,5\nUA,NA\n"


def read(source: dict, root: Path, upstream: dict | None = None) -> pl.DataFrame:
    return read_sources({"only": source}, str(root), upstream or {})["only"].collect()


def zipped(path: Path, **members: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)


def rows_of_function() -> pl.LazyFrame:
    return pl.LazyFrame({"carrier": ["AA"]})


def no_frame() -> int:
    return 3


def test_csv_reads_null_values_and_keeps_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    frame = read({"format": "csv", "path": "a.csv", "options": {"nullValues": "NA"}}, tmp_path)
    assert frame.to_dicts() == [{"carrier": "AA", "delay": 5}, {"carrier": "UA", "delay": None}]


def test_csv_dtype_comes_from_all_rows_not_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n" + "1\n" * 500 + "1.5\n")
    assert read({"format": "csv", "path": "a.csv"}, tmp_path)["x"].sum() == 501.5


def test_csv_inside_a_zip_is_read_with_all_its_members(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", b="carrier,delay\nUA,7\n", a=CSV)
    frame = read({"format": "csv", "path": "a.zip", "options": {"nullValues": "NA"}}, tmp_path)
    assert frame["carrier"].to_list() == ["AA", "UA", "UA"]


def test_a_glob_reads_every_file_in_order_and_no_draft(tmp_path: Path) -> None:
    for name in ("b", "a", ".draft"):
        pl.DataFrame({"name": [name]}).write_parquet(tmp_path / f"{name}.parquet")
    assert read({"format": "parquet", "path": "*.parquet"}, tmp_path)["name"].to_list() == ["a", "b"]


def test_a_published_view_is_read_at_its_pinned_version(tmp_path: Path) -> None:
    uri = str(tmp_path / "table")
    for value in (1, 2):
        write_deltalake(uri, pl.DataFrame({"x": [value]}), mode="overwrite")
    pinned = {"weather": {"uri": uri, "version": 0}}
    assert read({"featureView": "weather"}, tmp_path, pinned)["x"].to_list() == [1]
    assert read({"format": "delta", "path": "table"}, tmp_path)["x"].to_list() == [2]
    with pytest.raises(WorkloadError, match="the view weather is not published") as caught:
        read({"featureView": "weather"}, tmp_path)
    assert caught.value.reason == "UpstreamMissing"


def test_a_function_is_a_source(tmp_path: Path) -> None:
    assert read({"function": f"{__name__}:rows_of_function"}, tmp_path)["carrier"].to_list() == ["AA"]
    with pytest.raises(WorkloadError, match="returned int"):
        read({"function": f"{__name__}:no_frame"}, tmp_path)


@pytest.mark.parametrize(
    ("source", "reason", "told"),
    [
        ({"format": "csv", "path": "none.csv"}, "SourceMissing", "none.csv"),
        (
            {"format": "csv", "path": "a.csv", "options": {"nullvalues": "NA"}},
            "UnknownOption",
            "did you mean 'nullValues'",
        ),
        ({"format": "csv", "path": "../a.csv"}, "PathOutsideRoot", "leaves the project's root"),
        ({"format": "csv", "path": "/etc/passwd"}, "PathOutsideRoot", "leaves the project's root"),
        ({"format": "csv", "path": "broken.zip"}, "SourceUnreadable", "not a zip"),
        ({"format": "csv", "path": "empty.zip"}, "SourceUnreadable", "no .csv"),
        ({"sql": "SELECT 1"}, "UnsupportedSource", "sql"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, source: dict, reason: str, told: str) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "broken.zip").write_bytes(b"PK not really")
    zipped(tmp_path / "empty.zip")
    with pytest.raises(WorkloadError, match=told) as caught:
        read(source, tmp_path)
    assert caught.value.reason == reason


def test_entrypoints_that_do_not_exist_are_named() -> None:
    with pytest.raises(WorkloadError, match=r"no module .examples\.nothing."):
        load_entrypoint("examples.nothing:f")
    with pytest.raises(WorkloadError, match="did you mean 'rows_of_function'"):
        load_entrypoint(f"{__name__}:rows_of_functions")
