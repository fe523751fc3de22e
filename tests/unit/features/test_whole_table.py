"""SQL that goes by rows which come later is told with its place, and other SQL is not."""

from __future__ import annotations

import pytest

from framework.workloads.features.look import look
from framework.workloads.features.whole_table import looks


@pytest.mark.parametrize(
    ("sql", "told", "place"),
    [
        ("SELECT k, AVG(x) OVER () AS m FROM t", "AVG goes over all rows of the table", (1, 11)),
        ("SELECT k,\n  x - (SELECT AVG(x) FROM t) AS m\nFROM t", "AVG goes over all rows of the table", (2, 15)),
        ("SELECT AVG(x) OVER (PARTITION BY k) FROM t", "AVG goes over all rows of its partition", (1, 8)),
        ("SELECT x / m FROM t CROSS JOIN (SELECT ROUND(STDDEV(x), 2) AS m FROM t) s", "STDDEV goes over", (1, 46)),
        ("WITH s AS (SELECT max(x) AS m FROM t) SELECT x / m FROM t, s", "MAX goes over all rows", (1, 19)),
        ("SELECT LEAD(x) OVER (PARTITION BY k ORDER BY at) FROM t", "LEAD is a value of a later row", (1, 8)),
        ("SELECT SUM(x) OVER (ORDER BY at ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM t", "FOLLOWING", (1, 8)),
        ("SELECT * FROM t WHERE x > (SELECT AVG(x) FROM u WHERE k IN (SELECT k FROM v GROUP BY k))", "AVG", (1, 35)),
    ],
)
def test_a_look_at_later_rows_is_told(sql: str, told: str, place: tuple[int, int]) -> None:
    (found,) = looks(sql, "at")
    assert told in found.told
    assert (found.line, found.column) == place


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT k, SUM(x) OVER (PARTITION BY k ORDER BY at) FROM t",
        "SELECT k, at, AVG(x) AS m FROM t GROUP BY k, at",
        "WITH s AS (SELECT k, at, AVG(x) AS m FROM t GROUP BY k, at) SELECT * FROM s",
        "SELECT AVG(x) FROM (SELECT k FROM t)",
        "SELECT * FROM t WHERE at > (SELECT MAX(at) FROM t)",
        "SELECT AVG(x) OVER (PARTITION BY at) FROM t",
        "SELECT 'AVG(x) OVER ()' AS \"s\" FROM t -- AVG(x) OVER ()",
        "SELECT averaged(x), first_name, (a + b) FROM t)((",
    ],
)
def test_other_sql_is_not(sql: str) -> None:
    assert not list(looks(sql, "at"))


def test_validate_warns_where_the_view_has_event_times() -> None:
    asked = {
        "entities": ["k"],
        "timestamp": "at",
        "sources": {"t": {"function": "a.b:c"}},
        "transform": {"sql": "SELECT k, at,\n AVG(x) OVER () AS m FROM t"},
        "columns": [],
    }
    question = {"views": {}, "root": None, "whole": False}
    (found,) = look({"spec": asked, **question})
    assert (found.path, found.line, found.column, found.warning) == ("spec.transform.sql", 2, 2, True)
    assert "belongs to the model" in found.message
    assert not list(look({"spec": {**asked, "timestamp": None}, **question}))
