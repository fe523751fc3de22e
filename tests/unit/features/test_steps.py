"""A view's computation, gone through step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.workloads.features.steps import steps, tables_of

COLUMNS = [{"name": "carrier", "dtype": "String"}, {"name": "delay", "dtype": "Float64"}]


def spec(**more: Any) -> dict[str, Any]:
    sources = {
        "flights": {"format": "csv", "path": "flights.csv"},
        "carriers": {"format": "csv", "path": "carriers.csv"},
    }
    return {"entities": ["carrier"], "sources": sources, "columns": COLUMNS, **more}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "flights.csv").write_text("carrier,delay\nAA,1\nUA,\nXX,3\n")
    (tmp_path / "carriers.csv").write_text("carrier,name\nAA,American\nUA,United\n")
    return tmp_path


SQL = """
WITH known AS (SELECT f.* FROM flights f JOIN carriers c ON f.carrier = c.carrier), -- a note, with (
"in time" AS (SELECT carrier, delay FROM known WHERE delay < 10 OR ')' = '')
SELECT carrier, delay FROM "in time"
"""


def test_every_source_and_every_table_of_the_sql_is_a_step(root: Path) -> None:
    found = steps(spec(transform={"sql": SQL}), str(root), {})
    assert found.trouble == ""
    assert [(one.name, one.what, one.rows, one.reads) for one in found.steps] == [
        ("flights", "source", 3, ()),
        ("carriers", "source", 2, ()),
        ("known", "table of the SQL", 2, ("flights", "carriers")),
        ("in time", "table of the SQL", 1, ("known",)),
        ("the SQL", "transform", 1, ("in time",)),
        ("the columns of the view", "as published", 1, ("the SQL",)),
    ]
    assert [one.nulls for one in found.steps[2].columns] == [0, 1]
    assert found.steps[-1].columns[1].dtype == "Float64"


def test_what_fails_is_told_after_what_went_well(root: Path) -> None:
    found = steps(spec(transform={"sql": "SELECT dealy FROM flights"}), str(root), {})
    assert [one.name for one in found.steps] == ["flights", "carriers"]
    assert "dealy" in found.trouble
    (root / "carriers.csv").unlink()
    found = steps(spec(transform={"sql": SQL}), str(root), {})
    assert [one.name for one in found.steps] == ["flights"]
    assert found.trouble.startswith("SourceMissing: source carriers: ")


def test_columns_that_cannot_be_published_are_told_last(root: Path) -> None:
    found = steps(spec(transform={"sql": "SELECT delay AS carrier, delay FROM flights"}), str(root), {})
    assert found.steps[-1].name == "the SQL"
    assert found.trouble.startswith("WrongType: carrier is declared String")


def test_a_function_is_a_step_and_what_it_raises_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def join(flights: pl.LazyFrame, carriers: pl.LazyFrame) -> pl.LazyFrame:
        return flights.join(carriers, on="carrier").select("carrier", "delay")

    def fail(flights: pl.LazyFrame, carriers: pl.LazyFrame) -> pl.LazyFrame:
        raise ValueError("no such luck")

    monkeypatch.setattr("tests.unit.features.test_steps.join", join, raising=False)
    monkeypatch.setattr("tests.unit.features.test_steps.fail", fail, raising=False)
    found = steps(spec(transform={"function": f"{__name__}:join"}), str(root), {})
    assert [(one.rows, one.reads) for one in found.steps[2:]] == [
        (2, ("flights", "carriers")),
        (2, (f"{__name__}:join",)),
    ]
    assert "no such luck" in steps(spec(transform={"function": f"{__name__}:fail"}), str(root), {}).trouble


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "WITH RECURSIVE a AS (SELECT 1) SELECT 1", "WITH a AS (SELECT (1", "", "WITH"]
)
def test_sql_that_names_no_table_is_one_step(sql: str) -> None:
    assert [(one.name, one.sql) for one in tables_of(sql)] == [("", sql)]


def test_sql_that_reads_files_by_itself_is_refused_at_its_step(root: Path) -> None:
    sql = f"WITH a AS (SELECT * FROM read_csv('{root}/flights.csv')) SELECT * FROM a"
    found = steps(spec(transform={"sql": sql}), str(root), {})
    assert len(found.steps) == 2
    assert "reads a file that is no source" in found.trouble
