"""Sources of SQL, on a database that is a file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.api.errors import TerminalError, TransientError
from framework.api.statements import mistake, plain
from framework.workloads.features.sources import read_sources
from tests import lying

WAREHOUSE = {"name": "warehouse", "url": "sqlite:///shop.db"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute('CREATE TABLE orders (id INTEGER, "Price [EUR]" REAL, note TEXT, mixed)')
        rows = [(number, number / 4, f"é{number}", number) for number in range(3000)]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", [*rows, (3000, None, None, "late")])
    return tmp_path


def source(sql: str, connection: dict[str, Any] | None = WAREHOUSE, **more: Any) -> dict[str, Any]:
    return {"sql": sql, "connection": connection, **more}


def read(root: Path, sql: str, **more: Any) -> pl.DataFrame:
    return read_sources({"only": source(sql, **more)}, str(root), {})["only"].collect()


def test_rows_of_a_query_are_read_as_they_are_however_often_they_are_gone_through(root: Path) -> None:
    query = source('SELECT id, "Price [EUR]", note FROM orders -- all;', rename={"Price [EUR]": "price"})
    rows = read_sources({"only": query}, str(root), {})["only"]
    with sqlite3.connect(root / "shop.db") as database:
        database.execute("DELETE FROM orders")
    frame = rows.collect()
    assert dict(frame.schema) == {"id": pl.Int64, "price": pl.Float64, "note": pl.String}
    assert (frame.height, frame.row(4), frame.row(-1)) == (3001, (4, 1.0, "é4"), (3000, None, None))
    assert rows.join(rows, on="id").select(pl.len()).collect().item() == 3001


@pytest.mark.parametrize(
    ("sql", "connection", "reason", "told"),
    [
        ("SELECT nope FROM orders", WAREHOUSE, "QueryFailed", "connection warehouse: .*no such column: nope"),
        ("SELECT FROM orders", WAREHOUSE, "QueryFailed", "connection warehouse: .*syntax error"),
        ("SELECT mixed FROM orders", WAREHOUSE, "QueryFailed", "Type mismatch in column 0.*CAST"),
        ("WITH a AS (SELECT 1) DELETE FROM orders", WAREHOUSE, "QueryFailed", "readonly"),
        ("DROP TABLE orders", WAREHOUSE, "QueryFailed", "begins with DROP; a source is read by a SELECT"),
        ("SELECT 1; DELETE FROM orders", WAREHOUSE, "QueryFailed", "several statements"),
        ("SELECT 1", {"name": "w", "url": "sqlite:///none.db"}, "SourceMissing", "connection w: no SQLite database"),
        ("SELECT 1", {"name": "w", "url": "sqlite:///text.db"}, "QueryFailed", "connection w: .*not a database"),
    ],
)
def test_what_a_database_refuses_is_told_in_its_words(
    sql: str, connection: dict[str, Any], reason: str, told: str, root: Path
) -> None:
    (root / "text.db").write_text("id,x\n" * 500)
    with pytest.raises(TerminalError, match=told) as caught:
        read(root, sql, connection=connection)
    assert caught.value.reason == reason
    with sqlite3.connect(root / "shop.db") as database:
        assert database.execute("SELECT COUNT(*) FROM orders").fetchone() == (3001,)


HOLD = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
input()
"""


def test_a_database_that_is_locked_is_asked_again(root: Path) -> None:
    """By somebody else: locks of SQLite are those of a process."""
    command = [sys.executable, "-c", HOLD, str(root / "shop.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TransientError, match=r"connection warehouse: .*locked"):
            read(root, "SELECT id FROM orders")
        holder.communicate("\n")


def test_two_columns_of_one_name_are_told(root: Path) -> None:
    with pytest.raises(
        Exception, match="source only: the query yields several columns named id: give them others by AS"
    ):
        read(root, "SELECT a.id, b.id FROM orders a JOIN orders b ON a.id = b.id")


def test_rows_are_named_by_where_and_how_they_are_asked_for_and_by_what_says_that_they_changed(root: Path) -> None:
    def digest(**more: Any) -> str:
        asked = source("SELECT * FROM orders", **{"versionSql": "SELECT max(id) FROM orders", **more})
        return lying.digest({"only": asked}, root)

    first, unknown = digest(), digest(versionSql=None)
    assert first == digest() != unknown == digest(versionSql=None)
    (root / "other.db").write_bytes((root / "shop.db").read_bytes())
    assert digest(connection={**WAREHOUSE, "url": "sqlite:///other.db"}) != first
    with sqlite3.connect(root / "shop.db") as database:
        database.execute("INSERT INTO orders VALUES (3001, 1.0, 'new', 1)")
    assert (digest() != first, digest(versionSql=None)) == (True, unknown)
    with pytest.raises(TerminalError, match=r"source only: connection warehouse: .*no such column: nope"):
        digest(versionSql="SELECT max(nope) FROM orders")
    with pytest.raises(TerminalError, match="source only: its connection is not known"):
        digest(connection=None)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT 1", ""),
        ("  -- of it\n/* all; */ with a as (select 1) select * from a ;\n", ""),
        ("(SELECT 1) UNION (SELECT 2)", ""),
        ("SELECT 'a; DROP' || \"b;c\" || $$d;e$$ FROM t", ""),
        ("SELECT 1;; ", ""),
        ("SELECT 1; SELECT 2", "several"),
        ("SELECT 1; -- \nDROP TABLE t", "several"),
        ("UPDATE t SET a = 1", "begins with UPDATE"),
        ("/* SELECT */ DELETE FROM t", "begins with DELETE"),
        ("'SELECT'", "begins with nothing"),
        ("EXPLAIN SELECT 1", "begins with EXPLAIN"),
        ("", "begins with nothing"),
    ],
)
def test_one_statement_that_reads_is_told_from_everything_else(sql: str, told: str) -> None:
    assert (told in mistake(sql)) if told else mistake(sql) == ""


def test_a_statement_loses_its_comments_and_its_end_and_nothing_in_quotes() -> None:
    assert plain("SELECT '--a;', \"/*b\" -- c;\nFROM t; -- d\n") == "SELECT '--a;', \"/*b\"  \nFROM t"
