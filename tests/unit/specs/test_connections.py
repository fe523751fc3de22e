"""Databases that views read: named by sources, described by the Environment, and with no password anywhere."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from framework.api.meta import Ref
from framework.kinds.feature_view.observed import FeatureViewObserved
from framework.planning.grammar.actions import SubmitRun
from framework.ports import RunPhase, RunState
from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import WEATHER

FILE = "environments/local.yaml"
WAREHOUSE = "warehouse: {url: 'postgresql://reader@db:5432/shop', passwordFrom: {env: WAREHOUSE_PASSWORD}}"
LAKE = "lake: {url: 'sqlite:///data/lake.db'}"


def connected(project: Project, source: str, *connections: str) -> Project:
    if connections:
        project.edit(FILE, ("spec: {", f"spec: {{connections: {{{', '.join(connections)}}}, "))
    project.edit(WEATHER, ("{format: csv, path: data/weather.csv}", f"{{{source}}}"))
    return project


@pytest.mark.parametrize(
    ("source", "connections"),
    [
        ("sql: SELECT * FROM weather, connection: warehouse", [WAREHOUSE, LAKE]),
        ("sql: SELECT * FROM weather", [LAKE]),
        ("sql: SELECT * FROM weather, versionSql: SELECT max(at) FROM weather", [WAREHOUSE]),
    ],
)
def test_a_source_of_sql_names_a_connection_of_the_environment_or_takes_its_only_one(
    source: str, connections: list[str], project: Project
) -> None:
    assert connected(project, source, *connections).problems() == []


@pytest.mark.parametrize(
    ("source", "connections", "path", "told", "meant"),
    [
        (
            "sql: SELECT 1, connection: warehous",
            [WAREHOUSE, LAKE],
            "connection",
            "no connection 'warehous'",
            "warehouse",
        ),
        ("sql: SELECT 1", [WAREHOUSE, LAKE], "sql", "which connection? The Environment has several", None),
        ("sql: SELECT 1", [], "sql", "the Environment has no connections", None),
        ("sql: DELETE FROM t", [LAKE], "sql", "begins with DELETE; a source is read by a SELECT", None),
        ("sql: SELECT 1; SELECT 2", [LAKE], "sql", "several statements", None),
        ("sql: SELECT 1, versionSql: VACUUM", [LAKE], "versionSql", "begins with VACUUM", None),
    ],
)
def test_what_the_environment_does_not_define_is_told_where_it_is_asked_for(
    source: str, connections: list[str], path: str, told: str, meant: str | None, project: Project
) -> None:
    (problem,) = connected(project, source, *connections).check().errors
    assert (problem.path, problem.suggestion) == (f"spec.sources.raw.{path}", meant)
    assert told in problem.message
    assert problem.file.endswith(WEATHER)


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        ("w: {url: 'postgresql://reader:hunter2hunter2@db/shop'}", "a password before the @"),
        ("w: {url: 'mysql://db/shop'}", "is not supported; a database is sqlite or postgresql"),
        ("w: {url: 'postgresql://db/shop', passwordFrom: {file: password.txt}}", "lies below .mlops/ or /run/secrets"),
    ],
)
def test_a_connection_that_cannot_be_is_refused(connection: str, told: str, project: Project) -> None:
    problems = connected(project, "sql: SELECT 1", connection).problems()
    assert any(told in problem for problem in problems), problems
    assert "hunter2hunter2" not in str(problems)


def test_a_run_is_told_where_the_password_is_and_never_what_it_is(project: Project) -> None:
    from framework.kinds import KINDS

    snapshot = connected(project, "sql: SELECT * FROM weather", WAREHOUSE).snapshot()
    view = snapshot.desired[Ref("FeatureView", "weather")]
    observed = FeatureViewObserved(view.ref, "/store", None, "d1", RunState(RunPhase.ABSENT), build="1111111111")
    change = KINDS["FeatureView"].plan(view, observed, None, datetime(2024, 1, 1, tzinfo=UTC))
    (run,) = (action.run for action in change.actions if isinstance(action, SubmitRun))
    assert run.payload["spec"]["sources"]["raw"]["connection"] == {
        "name": "warehouse",
        "url": "postgresql://reader@db:5432/shop",
        "passwordFrom": {"env": "WAREHOUSE_PASSWORD"},
    }


def test_another_address_of_a_connection_renames_no_view(project: Project) -> None:
    first = connected(project, "sql: SELECT * FROM weather", WAREHOUSE).snapshot()
    project.edit(FILE, ("@db:5432", "@standby:5432"))
    second = project.snapshot()
    ref = Ref("FeatureView", "weather")
    assert (first.desired[ref].identity, first.digest != second.digest) == (second.desired[ref].identity, True)
