"""Where rows come from: formats, globs, options, and mistakes told by name."""

from __future__ import annotations

import gzip
import uuid
import zipfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from framework import storage
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


def of_format(form: str, frame: pl.DataFrame, path: Path) -> None:
    """``path`` with the rows of a frame."""
    if form == "stream":
        frame.write_ipc_stream(path)
    else:
        {"parquet": frame.write_parquet, "ndjson": frame.write_ndjson, "arrow": frame.write_ipc}[form](path)


FORMATS = {"parquet": "parquet", "ndjson": "ndjson", "arrow": "arrow", "stream": "arrow"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("remote", [False, True])
def test_files_of_every_format_are_read_together_wherever_they_lie(form: str, remote: bool, tmp_path: Path) -> None:
    for name, numbers in {"b[1]": [2], "a": [1, None], "c": []}.items():
        frame = pl.DataFrame({"Air [K]": numbers, "é": ["x"] * len(numbers)}, {"Air [K]": pl.Int64, "é": pl.String})
        of_format(form, frame, tmp_path / f"{name}.x")
    folder = f"memory://{uuid.uuid4().hex}" if remote else str(tmp_path)
    if remote:
        for item in tmp_path.iterdir():
            storage.write_bytes(f"{folder}/{item.name}", item.read_bytes())
    frame = read({"format": FORMATS[form], "path": f"{folder}/*.x" if remote else "*.x"}, tmp_path)
    assert frame.to_dict(as_series=False) == {"Air [K]": [1, None, 2], "é": ["x", "x", "x"]}
    assert frame.schema["Air [K]"] == pl.Int64


def test_a_stream_is_read_by_batches_and_only_what_is_asked_for(tmp_path: Path) -> None:
    rows = pa.table({"x": list(range(1000)), "y": ["a"] * 1000})
    with pa.ipc.new_stream(tmp_path / "a.arrows", rows.schema) as stream:
        stream.write_table(rows, max_chunksize=100)
    frame = read_sources({"only": {"format": "arrow", "path": "a.arrows"}}, str(tmp_path), {})["only"]
    assert frame.filter(pl.col("x") >= 150).select("x").head(100).collect()["x"].to_list() == list(range(150, 250))
    assert frame.tail(1).collect().rows() == [(999, "a")]


def test_lines_of_json_may_lack_keys_and_have_room_for_what_comes_late(tmp_path: Path) -> None:
    (tmp_path / "1.ndjson").write_text('{"id": 1, "x": 1, "none": null}\n' * 300 + '{"id": 2, "x": 2.5, "late": "é"}\n')
    (tmp_path / "2.ndjson").write_bytes(gzip.compress(b'{"id": 3, "x": 7, "more": true}\n'))
    frame = read({"format": "ndjson", "path": "*.ndjson"}, tmp_path)
    expected = {"id": pl.Int64, "x": pl.Float64, "none": pl.String, "late": pl.String, "more": pl.Boolean}
    assert dict(frame.schema) == expected
    assert frame.tail(2).rows() == [(2, 2.5, None, "é", None), (3, 7.0, None, None, True)]


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("form", "files", "reason", "told"),
    [
        ("ndjson", {"1.x": '{"a": 1}\n{"a": \n'}, "SourceUnreadable", r"1\.x is no NDJSON"),
        (
            "ndjson",
            {"1.x": '[{"a": 1}]'},
            "SourceUnreadable",
            r"1\.x is no NDJSON, which has a JSON object on each line",
        ),
        ("ndjson", {"1.x": LFS}, "SourceUnreadable", r"1\.x is a git-lfs pointer"),
        ("arrow", {"1.x": LFS}, "SourceUnreadable", r"1\.x is a git-lfs pointer"),
        ("arrow", {"1.x": "a,b\n1,2\n"}, "SourceUnreadable", r"1\.x is neither a file nor a stream of Arrow IPC"),
        ("arrow", {"1.x": ""}, "SourceUnreadable", r"1\.x is neither a file nor a stream of Arrow IPC"),
        ("arrow", {"1.x": "ARROW1 and then nothing"}, "SourceUnreadable", r"1\.x is neither a file nor a stream"),
        ("parquet", {"1.x": "a,b\n1,2\n"}, "SourceUnreadable", r"1\.x is no Parquet file"),
    ],
)
def test_a_file_of_another_kind_is_told(
    form: str, files: dict[str, str], reason: str, told: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(WorkloadError, match=f"source only: {told}") as caught:
        read({"format": form, "path": "*.x"}, tmp_path)
    assert caught.value.reason == reason


@pytest.mark.parametrize("form", FORMATS)
def test_awkward_names_are_given_others(form: str, tmp_path: Path) -> None:
    awkward = ["Air [K]", "a.b", "", "zwei Wörter"]
    of_format(form, pl.DataFrame({name: [number] for number, name in enumerate(awkward, 1)}), tmp_path / "1.x")
    source = {"format": FORMATS[form], "path": "1.x", "rename": dict(zip(awkward, "abcd", strict=True))}
    assert read(source, tmp_path).to_dicts() == [{"a": 1, "b": 2, "c": 3, "d": 4}]
    swapped = {**source, "rename": {"Air [K]": "a.b", "a.b": "Air [K]"}}
    assert read(swapped, tmp_path).columns == ["a.b", "Air [K]", "", "zwei Wörter"]


def test_a_source_that_changed_is_told_with_all_columns_that_are_gone_came_or_are_others(tmp_path: Path) -> None:
    must = {"id": "Int64", "air_k": "Float64", "note": "String", "at": "Datetime"}
    source = {"format": "csv", "path": "1.csv", "rename": {"Air [K]": "air_k"}, "columns": must}
    (tmp_path / "1.csv").write_text("id,Air [K],note,at\n1,2,,\n")
    frame = read(source, tmp_path)
    assert dict(frame.schema) == {"id": pl.Int64, "air_k": pl.Int64, "note": pl.String, "at": pl.Datetime("us", "UTC")}
    (tmp_path / "1.csv").write_text("id,Air [K],notes,at,more\n1,warm,x,2024,y\n")
    told = r"air_k is String .*; gone: 'note'; did you mean 'notes'\?; at is Int64 .*; added: notes, more$"
    with pytest.raises(
        WorkloadError, match=rf"source only: its columns are not those that the spec names: {told}"
    ) as caught:
        read(source, tmp_path)
    assert caught.value.reason == "SchemaChanged"


def test_arrow_files_that_differ_are_told_by_their_columns(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "b": ["x"]}).write_ipc(tmp_path / "1.arrow")
    pl.DataFrame({"a": [1.5], "c": ["x"]}).write_ipc_stream(tmp_path / "2.arrow")
    told = r"2\.arrow has a as Float64 and no a as Int64 and no b as String and c as String, other than 1\.arrow"
    with pytest.raises(WorkloadError, match=told):
        read({"format": "arrow", "path": "*.arrow"}, tmp_path)


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
        ({"format": "delta", "path": "none"}, "SourceMissing", "no Delta table at none"),
        (
            {"format": "delta", "path": "table", "options": {"version": 7}},
            "SourceUnreadable",
            "the Delta table at table",
        ),
        ({"sql": "SELECT 1"}, "ConnectionMissing", "connection is not known"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, source: dict, reason: str, told: str) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "broken.zip").write_bytes(b"PK not really")
    zipped(tmp_path / "empty.zip")
    write_deltalake(str(tmp_path / "table"), pl.DataFrame({"x": [1]}))
    with pytest.raises(WorkloadError, match=told) as caught:
        read(source, tmp_path)
    assert caught.value.reason == reason


def test_entrypoints_that_do_not_exist_are_named() -> None:
    with pytest.raises(WorkloadError, match=r"no module .examples\.nothing."):
        load_entrypoint("examples.nothing:f")
    with pytest.raises(WorkloadError, match="did you mean 'rows_of_function'"):
        load_entrypoint(f"{__name__}:rows_of_functions")
