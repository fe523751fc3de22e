"""Sources in a real store of objects: what reads them finds the store by environment variables alone."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from deltalake import write_deltalake

from framework import storage
from framework.api.errors import TerminalError
from framework.workloads.context import WorkloadError
from framework.workloads.features.sources import read_sources
from tests.lying import digest
from tests.services import s3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    with s3.served() as address:
        yield address


@pytest.fixture
def bucket(store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    for name, value in {**s3.VARIABLES, "AWS_ENDPOINT_URL": store}.items():
        monkeypatch.setenv(name, value)
    name = f"b{abs(hash(request.node.name))}"
    httpx.put(f"{store}/{name}").raise_for_status()
    return f"s3://{name}"


def read(**source: Any) -> pl.DataFrame:
    return read_sources({"only": source}, "/nowhere", {})["only"].collect()


FRAME = pl.DataFrame({"id": [1, 2], "Air [K]": [0.5, None], "é": ["a,b", 'say "hi"']})


@pytest.mark.parametrize("form", ["csv", "parquet", "ndjson", "arrow"])
def test_files_of_every_format_are_read_and_named(form: str, bucket: str) -> None:
    for number in (1, 2):
        buffer = io.BytesIO()
        getattr(FRAME, {"arrow": "write_ipc"}.get(form, f"write_{form}"))(buffer)
        storage.write_bytes(f"{bucket}/data/{number}.{form}", buffer.getvalue())
    source = {"format": form, "path": f"{bucket}/data/*.{form}"}
    assert read(**source).equals(pl.concat([FRAME, FRAME]))
    before = digest({"only": source}, "/nowhere")
    assert digest({"only": source}, "/nowhere") == before
    storage.write_bytes(f"{bucket}/data/3.{form}", buffer.getvalue())
    assert digest({"only": source}, "/nowhere") != before


def test_packed_text_is_read_and_a_ragged_row_named(bucket: str) -> None:
    storage.write_bytes(f"{bucket}/1.csv.gz", gzip.compress("id,é\n1,ü\n".encode()))
    assert read(format="csv", path=f"{bucket}/1.csv.gz").rows() == [(1, "ü")]
    storage.write_bytes(f"{bucket}/1.csv.gz", gzip.compress(b"id,x\n1,2\n3\n"))
    with pytest.raises(WorkloadError, match=r"only: s3://b\d+/1\.csv\.gz line 3 has 1 field, and the header has 2"):
        read(format="csv", path=f"{bucket}/1.csv.gz")


def test_a_delta_table_is_read_at_its_version(bucket: str) -> None:
    for part in (FRAME.head(1), FRAME.tail(1)):
        write_deltalake(f"{bucket}/table", part, mode="append", storage_options={"aws_conditional_put": "etag"})
    source = {"format": "delta", "path": f"{bucket}/table"}
    assert read(**source).sort("id").equals(FRAME)
    assert read(**source, options={"version": 0})["id"].to_list() == [1]
    named = digest({"only": source}, "/nowhere")
    write_deltalake(f"{bucket}/table", FRAME, mode="append", storage_options={"aws_conditional_put": "etag"})
    assert digest({"only": source}, "/nowhere") != named
    with pytest.raises(WorkloadError, match="source only: no Delta table at s3://"):
        read(format="delta", path=f"{bucket}/none")


def test_what_is_not_there_is_told(bucket: str) -> None:
    with pytest.raises(WorkloadError, match="source only: no file at s3://"):
        read(format="csv", path=f"{bucket}/none.csv")
    with pytest.raises(TerminalError, match="source only: no file at s3://"):
        digest({"only": {"format": "csv", "path": f"{bucket}/none.csv"}}, "/nowhere")


def test_a_pointer_in_the_place_of_data_is_told(bucket: str, tmp_path: Path) -> None:
    storage.write_bytes(f"{bucket}/1.parquet", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(WorkloadError, match=r"1\.parquet is a git-lfs pointer"):
        read(format="parquet", path=f"{bucket}/1.parquet")
