"""Sources of SQL, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.api.errors import TerminalError, TransientError
from framework.ports import FailureKind
from framework.sources.databases import asked
from framework.workloads.context import WorkloadError
from framework.workloads.failures import failure_of
from framework.workloads.features import materialize
from framework.workloads.features.sources import read_sources
from tests import lying
from tests.services import postgresql
from tests.services.postgresql import PASSWORD, Postgres
from tests.unit.features.test_materialize import context

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgresql.served() as server:
        server.execute(
            "CREATE TABLE orders (id bigint, at timestamptz, local timestamp, day date, price numeric(10, 2),"
            ' total numeric, "Weight [kg]" double precision, small smallint, paid boolean, note text, tag uuid,'
            " extra jsonb, took interval)",
            "INSERT INTO orders SELECT n, timestamptz '2024-01-01 01:00+01' + n * interval '1 minute', '2024-01-01',"
            " '2024-01-02', n / 4.0, n / 3.0, n / 8.0, 1, n % 2 = 0, 'é' || n, gen_random_uuid(), '{\"a\": 1}', '1 day'"
            " FROM generate_series(1, 200000) n",
            "INSERT INTO orders (id) VALUES (0)",
        )
        yield server


@pytest.fixture
def warehouse(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", PASSWORD)
    return {"name": "warehouse", "url": server.url, "passwordFrom": {"env": "WAREHOUSE_PASSWORD", "file": None}}


def read(sql: str, warehouse: dict[str, Any], root: Path) -> pl.DataFrame:
    return read_sources({"only": {"sql": sql, "connection": warehouse}}, str(root), {})["only"].collect()


KEPT = 'id, at, local, day, price, "Weight [kg]", small, paid, note, extra'


def test_what_a_table_can_hold_is_read_as_it_is(warehouse: dict[str, Any], tmp_path: Path) -> None:
    frame = read(f"SELECT {KEPT} FROM orders ORDER BY id", warehouse, tmp_path)
    assert frame.height == 200_001
    assert frame.row(0) == (0, *[None] * 9)
    assert frame.row(2) == (
        2, datetime(2024, 1, 1, 0, 2, tzinfo=UTC), datetime(2024, 1, 1), date(2024, 1, 2), frame["price"][2],  # noqa: DTZ001
        0.25, 1, True, "é2", '{"a": 1}',
    )  # fmt: skip
    assert (frame.schema["price"], float(frame["price"][2])) == (pl.Decimal(10, 2), 0.5)
    assert read("SELECT total FROM orders WHERE id = 3", warehouse, tmp_path).schema["total"] == pl.String
    assert read("SELECT id, note FROM orders WHERE false", warehouse, tmp_path).schema == {
        "id": pl.Int64,
        "note": pl.String,
    }


def test_rows_come_in_batches(warehouse: dict[str, Any], tmp_path: Path) -> None:
    with asked(warehouse, "SELECT * FROM orders", str(tmp_path)) as reader:
        assert sum(1 for _ in reader) > 1


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT nope FROM orders", 'column "nope" does not exist$'),
        ("SELECT FROM FROM orders", "syntax error at or near"),
        ("SELECT 1 / 0", "division by zero$"),
        ("WITH gone AS (DELETE FROM orders RETURNING id) SELECT * FROM gone", "read-only transaction$"),
        ("SELECT set_config('transaction_read_only', 'off', true)", "must be set before any query$"),
        ("SELECT 1) TO PROGRAM 'true' --", "syntax error"),
    ],
)
def test_nothing_is_changed_and_what_is_wrong_is_told_in_the_databases_words(
    sql: str, told: str, warehouse: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(TerminalError, match=rf"^connection warehouse: .*{told}") as caught:
        read(sql, warehouse, tmp_path)
    assert (caught.value.reason, failure_of(caught.value)["kind"]) == ("QueryFailed", FailureKind.USER)


@pytest.mark.parametrize("column", ["took", "tag"])
def test_a_column_that_no_table_holds_is_named(column: str, warehouse: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(
        WorkloadError, match=rf"source only: {column} is \w+, which no table holds: CAST it in the query"
    ):
        read(f"SELECT id, {column} FROM orders", warehouse, tmp_path)


def test_a_connection_that_drops_is_tried_again(server: Postgres, warehouse: dict[str, Any], tmp_path: Path) -> None:
    with (  # noqa: PT012
        pytest.raises(TransientError, match=r"^connection warehouse: ") as caught,
        asked(warehouse, "SELECT * FROM orders", str(tmp_path)) as reader,
    ):
        next(reader)
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE '%orders%' AND pid <> pg_backend_pid()"
        )
        reader.read_all()
    assert failure_of(caught.value)["kind"] == FailureKind.INFRASTRUCTURE


@pytest.mark.parametrize(
    ("change", "transient", "told"),
    [
        ({"passwordFrom": {"env": "NOT_SET"}}, False, "the environment variable NOT_SET is not set"),
        ({"passwordFrom": {"env": "HOME"}}, True, "password authentication failed"),
        ({"url": "postgresql://boss@127.0.0.1:1/postgres"}, True, "Connection refused"),
    ],
)
def test_a_database_that_cannot_be_reached_is_told_without_its_password(
    change: dict[str, Any], transient: bool, told: str, warehouse: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(TransientError if transient else TerminalError, match=told) as caught:
        read("SELECT 1", {**warehouse, **change}, tmp_path)
    kept = failure_of(caught.value)
    assert PASSWORD not in str(kept)
    assert "p%40ss" not in str(kept)


def test_a_view_is_published_and_its_rows_are_named_by_the_query_for_that(
    server: Postgres, warehouse: dict[str, Any], tmp_path: Path
) -> None:
    form = {
        "entities": ["id"],
        "timestamp": "at",
        "sources": {"orders": {
            "sql": "SELECT id, at, price, note FROM orders WHERE id BETWEEN 1 AND 5000",
            "versionSql": "SELECT max(id) FROM orders",
            "connection": warehouse,
            "columns": {"id": "Int64", "price": "Float64"},
        }},
        "columns": [
            {"name": "id", "dtype": "Int64"}, {"name": "at", "dtype": "Datetime"}, {"name": "price", "dtype": "Float64"}
        ],
    }  # fmt: skip
    result = materialize.run(context(tmp_path, form=form))
    named = lying.digest(form["sources"], tmp_path)
    assert (result["rows"], result["source_digest"]) == (5000, named)
    assert pl.read_delta(result["uri"])["price"].sum() == sum(range(1, 5001)) / 4
    assert PASSWORD not in "".join(path.read_text() for path in Path(result["uri"]).glob("_delta_log/*.json"))
    server.execute("INSERT INTO orders (id) VALUES (300000)")
    assert lying.digest(form["sources"], tmp_path) != named
    server.execute("DELETE FROM orders WHERE id = 300000")
