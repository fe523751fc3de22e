"""Expectations as people meet them: in status, in the log and from Python, over real tables and without Ray."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from controllers.cli.main import cli
from controllers.client import Project
from framework.api.errors import ConfigurationError
from framework.planning.reports.convergence import Conclusion
from tests.notebook import commit, git, reconcile

VIEWS = """\
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: airports}
spec:
  entities: [code]
  timestamp: since
  sources: {raw: {format: csv, path: airports.csv, options: {parseDates: true}}}
  columns:
    - {name: code, dtype: String}
    - {name: since, dtype: Date}
---
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: flights}
spec:
  entities: [flight]
  timestamp: day
  sources: {raw: {format: csv, path: flights.csv, options: {parseDates: true}}}
  columns:
    - {name: flight, dtype: Int64}
    - {name: day, dtype: Date}
    - {name: origin, dtype: String}
    - {name: delay, dtype: Float64}
  expectations:
    - {references: {columns: [origin], view: airports, to: [code]}}
    - {column: delay, between: [-60, 600], severity: warn}
    - {rowsChange: {maxDrop: 0.5}}
  materialization: {every: 1ms}
---
apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: local}
spec: {storage: .mlops/store, ray: {address: embedded}}
"""
AIRPORTS = "code,since\nEWR,1928-10-01\nJFK,1948-07-01\n"
FLIGHTS = "flight,day,origin,delay\n1,2024-01-01,EWR,4.5\n2,2024-01-01,JFK,\n3,2024-01-02,EWR,900\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "mlops_specs").mkdir(parents=True)
    (root / "mlops_specs" / "all.yaml").write_text(VIEWS)
    (root / ".gitignore").write_text(".mlops/\n")
    (root / "airports.csv").write_text(AIRPORTS)
    (root / "flights.csv").write_text(FLIGHTS)
    git(root, "init", "--quiet", "--initial-branch", "main")
    commit(root)
    return root


def told(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(cli, ["--project", str(folder), *words], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_what_failed_is_shown_with_its_rows_and_readers_keep_what_they_have(folder: Path) -> None:
    reconcile(folder)
    shown = told(folder, "status", "FeatureView/flights")
    assert "Expectations on 3 rows" in shown
    assert "published as version 0" in shown
    assert "between of delay" in shown
    assert "warns" in shown
    assert "(flight 3, day 2024-01-02 has delay 900.0)" in shown

    (folder / "flights.csv").write_text(f"{FLIGHTS}4,2024-01-03,LGA,1\n")
    commit(folder)
    reconcile(folder, Conclusion.STALLED)
    shown = told(folder, "status", "FeatureView/flights")
    assert "Expectations on 4 rows" in shown
    assert "nothing was published" in shown
    found = json.loads(told(folder, "status", "FeatureView/flights", "--output", "json"))["expectations"]
    assert [(item["check"], item["passed"]) for item in found["results"]] == [
        ("references", False),
        ("between", False),
        ("rowsChange", True),
    ]
    assert found["results"][0]["offending"] == [{"flight": 4, "day": "2024-01-03", "origin": "LGA"}]
    events = [json.loads(line) for line in told(folder, "events", "--output", "json").splitlines()]
    by_reason = {item["reason"]: item for item in events}
    failed, warned = by_reason["ExpectationFailed"], by_reason["ExpectationWarned"]
    assert failed["data"]["failed"][0]["offending"] == [{"flight": 4, "day": "2024-01-03", "origin": "LGA"}]
    assert warned["data"]["failed"][0]["offending"] == [{"flight": 3, "day": "2024-01-02", "delay": 900.0}]

    project = Project(folder)
    assert project.table("flights").collect().height == 3
    history = project.expectations("flights")
    assert history["version"].to_list() == [None] * 3 + [0] * 3
    assert history.filter(check="references").select("rows", "passed").rows() == [(4, False), (3, True)]
    with pytest.raises(ConfigurationError, match="no run of FeatureView/airports has left"):
        project.expectations("airports")
    assert "expectations" not in told(folder, "status", "FeatureView/airports").lower()


def test_a_key_that_comes_to_the_other_view_mends_it(folder: Path) -> None:
    (folder / "airports.csv").write_text("code,since\nEWR,1928-10-01\n")
    commit(folder)
    reconcile(folder, Conclusion.STALLED)
    assert "1 of 3 rows have (origin) that is not in airports (code)" in told(folder, "status", "FeatureView/flights")
    (folder / "airports.csv").write_text(AIRPORTS)
    whole = "    - {name: since, dtype: Date}\n  expectations: [{rows: {min: 2}}]\n---"
    specs = VIEWS.replace("    - {name: since, dtype: Date}\n---", whole)
    (folder / "mlops_specs" / "all.yaml").write_text(specs)
    commit(folder)
    reconcile(folder)
    found = Project(folder).expectations("flights").filter(check="references")
    assert (found["passed"][0], found["passed"][-1]) == (True, False)
    assert Project(folder).table("flights").collect().select(pl.len()).item() == 3
