"""CSV files together: dtypes from every value, no value changed on the way, and what cannot be read has a name."""

from __future__ import annotations

import gzip
import io
import math
import uuid
import zipfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from framework import storage
from framework.api.sources import ENCODINGS
from framework.workloads.context import WorkloadError
from framework.workloads.features.dtypes import DTYPES
from framework.workloads.features.sources import read_sources
from framework.workloads.features.transform import compute

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n"


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)


def read(root: Path, path: str = "*.csv", form: str = "csv", **options: Any) -> pl.DataFrame:
    source = {"format": form, "path": path, "options": options}
    return read_sources({"only": source}, str(root), {})["only"].collect()


def view(columns: Mapping[str, str], path: str = "*.csv", **more: Any) -> dict[str, Any]:
    return {
        "entities": ["id"],
        "timestamp": "t",
        "sources": {"rows": {"format": "csv", "path": path, "options": {"parseDates": True}}},
        "columns": [{"name": name, "dtype": dtype} for name, dtype in columns.items()],
        **more,
    }


COLUMNS = {"id": "Int64", "t": "Date", "x": "Float64", "note": "String"}


@pytest.mark.parametrize(
    "files",
    [
        {"1.csv": "id,t,x,note\n1,2024-01-01,10.5,a\n", "2.csv": "id,t,x,note\n"},
        {"1.csv": "id,t,x,note\n", "2.csv": "id,t,x,note\n1,2024-01-01,10.5,a\n"},
        {"1.csv": "id,t,x,note\n,,,\n", "2.csv": "id,t,x,note\n1,2024-01-01,10.5,a\n"},
        {"1.csv": "x,note,id,t\n", "2.csv": "id,t,x,note\n1,2024-01-01,10.5,a\n"},
        {f"{number:02}.csv": "id,t,x,note\n" for number in range(30)}
        | {"30.csv": "id,t,x,note\n1,2024-01-01,10.5,a\n"},
    ],
)
def test_a_file_without_values_says_nothing_of_dtypes(files: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path, files)
    found = read(tmp_path, parseDates=True).drop_nulls()
    assert dict(found.schema) == {"id": pl.Int64, "t": pl.Date, "x": pl.Float64, "note": pl.String}
    assert found.select("id", "t", "x", "note").rows() == [(1, date(2024, 1, 1), 10.5, "a")]


def test_a_column_without_any_value_takes_the_declared_dtype(tmp_path: Path) -> None:
    """By its own name or by that which a query gives it; however many rows there are."""
    rows = "".join(f"{number},2024-01-01,,\n" for number in range(200))
    write(tmp_path, {"1.csv": f"id,t,x,note\n{rows}", "2.csv": "id,t,x,note\n"})
    frame = compute(view(COLUMNS), str(tmp_path))
    assert frame.schema == {"id": pl.Int64, "t": pl.Date, "x": pl.Float64, "note": pl.String}
    assert (frame["x"].null_count(), frame["note"].null_count()) == (200, 200)
    computed = compute(view(COLUMNS, transform={"sql": "SELECT id, t, x + 1 AS x, note FROM rows"}), str(tmp_path))
    assert computed["x"].null_count() == 200
    renamed = view({"id": "Int64", "t": "Date", "y": "Float64"}, transform={"sql": "SELECT id, t, note AS y FROM rows"})
    assert compute(renamed, str(tmp_path)).schema["y"] == pl.Float64


def test_a_value_far_down_counts(tmp_path: Path) -> None:
    write(tmp_path, {"1.csv": "id,x\n" + "1,\n" * 300 + "1,late\n", "2.csv": "id,x\n1,\n"})
    assert read(tmp_path)["x"].drop_nulls().to_list() == ["late"]


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        ("007", "AB", ["007", "AB"]),
        ("1.50", "n/a", ["1.50", "n/a"]),
        ("true", "2", ["true", "2"]),
        ("1", "2.5", [1.0, 2.5]),
        ("1", "18446744073709551615", [1, 18446744073709551615]),
        ("2024-01-01", "2024-01-02T03:00:00", [datetime(2024, 1, 1), datetime(2024, 1, 2, 3)]),  # noqa: DTZ001
        ("2024-01-01T00:00:00Z", "soon", ["2024-01-01T00:00:00Z", "soon"]),
        ("2024-01-01T00:00:00Z", "", [datetime(2024, 1, 1, tzinfo=UTC), None]),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_files_that_disagree_have_room_for_both_and_change_neither(
    one: str, other: str, values: list[Any], zipped: bool, tmp_path: Path
) -> None:
    files = {"1.csv": f"id,x\n1,{one}\n", "2.csv": f"id,x\n1,{other}\n"}
    if zipped:
        with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        write(tmp_path, files)
    assert read(tmp_path, "both.zip" if zipped else "*.csv", parseDates=True)["x"].to_list() == values


@pytest.mark.parametrize(
    "text", ["1e400", "-1e400", "+1E+400", "1.8e308", "9" * 400 + ".5", "1e-400", "-0.001e-330", "0." + "0" * 400 + "1"]
)
def test_a_number_that_no_float_is_near_to_is_refused_where_it_stands(text: str, tmp_path: Path) -> None:
    write(tmp_path, {"1.csv": "id,x,y\n1,0.5,0\n", "2.csv": f"id,x,y\n1,0.5,1\n2,{text},2\n3,,3\n4,0.0,4\n"})
    with pytest.raises(
        WorkloadError, match=r"source only: 2\.csv: x: 1 of 3 values is not to be had as Float64"
    ) as caught:
        read(tmp_path)
    assert (caught.value.reason, repr(text[:40])[:-1] in str(caught.value)) == ("WrongType", True)


def test_infinity_that_is_written_as_such_and_every_number_that_a_float_has_are_read(tmp_path: Path) -> None:
    texts = ["0.5", "inf", "-inf", "1.7e308", "5e-324", "0e0", "-0.0E-400", "0." + "0" * 400, "0e999"]
    write(tmp_path, {"1.csv": "x\n" + "".join(f"{text}\n" for text in texts)})
    assert read(tmp_path)["x"].to_list() == [float(text) for text in texts]


@pytest.mark.parametrize("encoding", [*ENCODINGS, None])
def test_every_encoding_that_is_allowed_is_read(encoding: str | None, tmp_path: Path) -> None:
    codec = {"latin1": "latin-1", "windows-1252": "cp1252", "utf16": "utf-16"}.get(encoding or "", "utf-8")
    write(tmp_path, {"1.csv": "id,naïve\n1,é\n".encode(codec)})
    options = {} if encoding is None else {"encoding": encoding}
    assert read(tmp_path, **options).rows(named=True) == [{"id": 1, "naïve": "é"}]


@pytest.mark.parametrize(
    ("content", "options", "told"),
    [
        (b"", {}, r"data/2\.csv has no header: it is empty"),
        (b"id\n1\n", {"skipRows": 5}, r"data/\d\.csv has no header: .* skipRows"),
        (LFS.encode(), {}, r"data/2\.csv is a git-lfs pointer and not the data: run git lfs pull"),
        (LFS.encode(), {"encoding": "latin1"}, r"data/2\.csv is a git-lfs pointer"),
        ("id\n1\n".encode("utf-16"), {}, r"data/2\.csv looks like UTF-16: say options: \{encoding: utf16\}"),
        ("id\n1\n".encode("utf-16-le"), {}, r"data/2\.csv looks like UTF-16"),
        (b"id\n1\n", {"encoding": "utf16"}, r"data/\d\.csv is not utf-16"),
        (b"other\n1\n", {}, r"data/2\.csv has no column 'id' and a column 'other', other than data/1\.csv"),
        (b"id,more\n1,2\n", {}, r"data/2\.csv has a column 'more', other than data/1\.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_what_to_do(
    content: bytes, options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", {"1.csv": b"id\n1\n", "2.csv": content})
    with pytest.raises(WorkloadError, match=rf"source only: {told}") as caught:
        read(tmp_path, "data/*.csv", **options)
    assert caught.value.reason in ("SourceUnreadable", "MissingColumn")


def test_a_pointer_in_the_place_of_parquet_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"1.parquet": LFS})
    with pytest.raises(WorkloadError, match=r"1\.parquet is a git-lfs pointer"):
        read(tmp_path, "*.parquet", "parquet")


@pytest.mark.parametrize("dtype", ["Boolean", "Int8", "UInt64", "Float32", "Date", "Datetime"])
def test_every_dtype_can_be_without_a_value(dtype: str, tmp_path: Path) -> None:
    write(tmp_path, {"1.csv": "id,t,x\n1,2024-01-01,\n2,2024-01-01,\n"})
    found = compute(view({"id": "Int64", "t": "Date", "x": dtype}), str(tmp_path))
    assert (found.schema["x"], found["x"].to_list()) == (DTYPES[dtype], [None, None])


@pytest.mark.parametrize("encoding", ["utf8", "latin1", "utf16"])
@pytest.mark.parametrize("packed", ["gzip", "zstd"])
def test_a_packed_file_of_any_encoding_is_read(packed: str, encoding: str, tmp_path: Path) -> None:
    codec = {"utf8": "utf-8", "latin1": "latin-1", "utf16": "utf-16"}[encoding]
    write(tmp_path, {"1.csv": pa.Codec(packed).compress("id,x\n1,é\n".encode(codec), asbytes=True)})
    assert read(tmp_path, encoding=encoding).rows() == [(1, "é")]


def test_text_that_has_every_oddity_is_read_as_it_is(tmp_path: Path) -> None:
    """A mark of the byte order, CRLF, newlines in quotes, NaN and infinity as text, awkward and missing names."""
    text = '\ufeffid,Air temperature [K],a.b,,"zwei\nZeilen",é\r\n1,NaN,x,,"a\r\nb","say ""hi"""\r\n2,inf,y,,c,\r\n'
    write(tmp_path, {"1.csv": text})
    frame = read(tmp_path)
    assert frame.columns == ["id", "Air temperature [K]", "a.b", "", "zwei\nZeilen", "é"]
    assert frame["zwei\nZeilen"].to_list() == ["a\r\nb", "c"]
    assert frame["é"].to_list() == ['say "hi"', None]
    assert math.isnan(frame["Air temperature [K]"][0])
    assert math.isinf(frame["Air temperature [K]"][1])


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"1.csv.gz": gzip.compress(b"id\n1\n"), "2.csv.gz": gzip.compress(b"id\n2\n" + b"3\n" * 900)})
    assert read(tmp_path, "*.csv.gz")["id"].to_list()[:3] == [1, 2, 3]


def test_files_of_a_store_that_the_engine_cannot_open_are_read_for_it(tmp_path: Path) -> None:
    bucket = f"memory://{uuid.uuid4().hex}"
    storage.write_bytes(f"{bucket}/1.csv", b"id\n1\n")
    storage.write_bytes(f"{bucket}/2.csv", b"id\n2\n")
    pl.DataFrame({"id": [3]}).write_parquet(buffer := io.BytesIO())
    storage.write_bytes(f"{bucket}/3.parquet", buffer.getvalue())
    assert read(tmp_path, f"{bucket}/*.csv")["id"].to_list() == [1, 2]
    assert read(tmp_path, f"{bucket}/3.parquet", "parquet")["id"].to_list() == [3]
    storage.write_bytes(f"{bucket}/2.csv", LFS.encode())
    with pytest.raises(WorkloadError, match=r"/2\.csv is a git-lfs pointer"):
        read(tmp_path, f"{bucket}/*.csv")


def test_a_name_with_brackets_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"r[1].csv": "id\n7\n", "r1.csv": "id\n8\n"})
    pl.DataFrame({"id": [9]}).write_parquet(tmp_path / "p[1].parquet")
    assert read(tmp_path, "r[1].csv")["id"].to_list() == [7]
    assert read(tmp_path, "p[1].parquet", "parquet")["id"].to_list() == [9]
    with pytest.raises(WorkloadError, match=r"no file at q\[1\]\.csv, nor any that matches it as a pattern"):
        read(tmp_path, "q[1].csv")


def test_a_zip_that_is_damaged_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", "id\n" + "1\n" * 5000)
    data = (tmp_path / "a.zip").read_bytes()
    for bad in (data[:40], b"PK" + data[2:50] + b"\0" * 9 + data[59:]):
        (tmp_path / "a.zip").write_bytes(bad)
        with pytest.raises(WorkloadError, match=r"a\.zip is not a zip file that can be read"):
            read(tmp_path, "a.zip")


# ---------------------------------------------------------------------- where rows cannot be computed


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ("id,t,x,note\n2,2024-01-01,n/a,b\n", r"x is String in 2\.csv and Float64 in 1\.csv"),
        ("id,t,x,note\n2,2024-01-01,1.5,b,c\n", r"2\.csv line 2 has 5 fields, and the header has 4"),
    ],
)
def test_the_file_that_spoils_a_table_is_named(second: str, told: str, tmp_path: Path) -> None:
    write(tmp_path, {"1.csv": "id,t,x,note\n1,2024-01-01,10.5,a\n", "2.csv": second})
    with pytest.raises(WorkloadError, match=told):
        compute(view(COLUMNS), str(tmp_path))


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("a,b,c\n1,2,3\n4,5\n", {}, r"line 3 has 2 fields, and the header has 3: '4,5'"),
        ("a,b,c\n1,2,3\n4,5,6,7\n", {}, r"line 3 has 4 fields, and the header has 3: '4,5,6,7'"),
        ("a,b,c\n1,2,3\n4,5,6,\n", {}, r"line 3 has 4 fields"),
        ("a,b,c\r\n1,2,3\r\n\r\n4,5\r\n", {}, r"line 4 has 2 fields"),
        ('a,b,c\n1,"2\n,,,\n",3\n4,5\n', {}, r"line 5 has 2 fields"),
        ("\ufeffa;b;c\n# n;o\n1;2;\n4;5\n", {"separator": ";", "commentPrefix": "#"}, r"line 4 has 2 fields"),
        ("by me\na,b,c\n1,2,\n4\n", {"skipRows": 1}, r"line 4 has 1 field, and the header has 3"),
        ("1,2,3\n4\n", {"hasHeader": False}, r"line 2 has 1 field, and the first row has 3"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_row_with_more_or_fewer_fields_is_refused_with_its_line(
    text: str, options: dict[str, Any], told: str, packed: bool, tmp_path: Path
) -> None:
    write(tmp_path, {"1.csv": gzip.compress(text.encode()) if packed else text})
    with pytest.raises(WorkloadError, match=rf"source only: 1\.csv {told}") as caught:
        read(tmp_path, **options)
    assert caught.value.reason == "SourceUnreadable"


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,2,\n4,,\n,,\n",
        'a,b,c\n1,2,"x\ny"\n4,5,\n',
        "a,b,c\r\n1,2,3\r\n4,5,\r\n",
        "a,b,c\n1,2,\n4,5,",
        "a\n1\n\n2\n",
    ],
)
def test_values_that_are_missing_at_the_end_of_a_row_are_no_fields_that_are(text: str, tmp_path: Path) -> None:
    write(tmp_path, {"1.csv": text})
    assert read(tmp_path).height >= 2


def test_a_decimal_comma_is_read_where_it_is_said_and_asked_for_where_not(tmp_path: Path) -> None:
    write(tmp_path, {"1.csv": "id;t;x\n1;2024-01-01;298,1\n2;2024-01-01;-0,5\n3;2024-01-01;1,5e3\n"})
    assert read(tmp_path, separator=";", decimalComma=True)["x"].to_list() == [298.1, -0.5, 1500.0]
    write(tmp_path, {"1.csv": "id;t;x\n1;2024-01-01;298,1\n2;2024-01-01;1.234,5\n"})
    spec = view({"id": "Int64", "t": "Date", "x": "Float64"})
    spec["sources"]["rows"]["options"]["separator"] = ";"
    with pytest.raises(
        WorkloadError, match=r"1\.csv line 2, column 3 \(x\): '298,1' is no number; .*decimalComma: true"
    ):
        compute(spec, str(tmp_path))
    write(tmp_path, {"1.csv": "id;x\n1;1e3\n2;1,5e400\n"})
    with pytest.raises(
        WorkloadError, match=r"x: 1 of 2 values is not to be had as Float64 unchanged, e\.g\. '1\.5e400'"
    ):
        read(tmp_path, separator=";", decimalComma=True)


@pytest.mark.parametrize("codec", ["utf-8", "latin-1", "utf-16"])
def test_a_value_that_is_no_number_is_named_with_its_place(codec: str, tmp_path: Path) -> None:
    """Whatever the transform calls the column."""
    rows = "".join(f"{number},2024-01-01,{number}.5,é\n" for number in range(99))
    write(tmp_path, {"1.csv": f'id,t,Air [K],note\n1,2024-01-01,2,"a\nb"\n2,2024-01-01,n/a,é\n{rows}'.encode(codec)})
    spec = view(
        {"id": "Int64", "t": "Date", "y": "Float64"}, transform={"sql": 'SELECT id, t, "Air [K]" AS y FROM rows'}
    )
    encoding = {"utf-8": "utf8", "latin-1": "latin1", "utf-16": "utf16"}[codec]
    spec["sources"]["rows"]["options"]["encoding"] = encoding
    told = r"1\.csv line 4, column 3 \(Air \[K\]\): 'n/a' is no number, unlike 100 of 101 values"
    with pytest.raises(WorkloadError, match=told):
        compute(spec, str(tmp_path))


def test_where_no_file_is_odd_all_of_them_are_named(tmp_path: Path) -> None:
    write(tmp_path, {f"{number}.csv": "id,t,x,note\n1,2024-01-01,n/a,a\n" for number in range(5)})
    with pytest.raises(WorkloadError, match=r"e\.g\. 'n/a'; read from 0\.csv, 1\.csv, 2\.csv and 2 more$"):
        compute(view(COLUMNS), str(tmp_path))


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    for name in ("1", "2"):
        pl.DataFrame({"id": [1], "t": [date(2024, 1, 1)]}).write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "2.parquet").write_bytes((tmp_path / "2.parquet").read_bytes()[:-20])
    spec = view({"id": "Int64", "t": "Date"})
    spec["sources"] = {"rows": {"format": "parquet", "path": "*.parquet"}}
    with pytest.raises(WorkloadError, match=r"source rows: 2\.parquet: "):
        compute(spec, str(tmp_path))


@pytest.mark.parametrize("transform", [None, {"sql": "SELECT id, t + x * INTERVAL '1 minute' AS t FROM rows"}])
def test_a_source_without_rows_is_told_where_that_is_why(transform: dict[str, str] | None, tmp_path: Path) -> None:
    """However the engine stumbles over it."""
    write(tmp_path, {"1.csv": "id,t,x,note\n"})
    spec = view({"id": "Int64", "t": "Datetime"}, transform=transform)
    if transform is None:
        assert compute(spec, str(tmp_path)).is_empty()
    else:
        with pytest.raises(WorkloadError, match=r"source rows: there are no rows in 1\.csv"):
            compute(spec, str(tmp_path))


def test_a_view_of_a_view_meets_no_nan(tmp_path: Path) -> None:
    from deltalake import write_deltalake

    write_deltalake(str(tmp_path / "table"), pl.DataFrame({"x": [1.0, math.nan]}))
    pinned = {"above": {"uri": str(tmp_path / "table"), "version": 0}}
    frame = read_sources({"above": {"featureView": "above"}}, str(tmp_path), pinned)["above"]
    assert frame.select(pl.col("x") > 0).collect()["x"].to_list() == [True, None]
