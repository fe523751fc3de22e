"""What tests of rules between resources have in common: one mistake in a project that was valid, and what is told."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.unit.specs.conftest import FILES, Project

VIEW, WEATHER, JOB = "features/trips.yaml", "features/weather.yaml", "training/late.yaml"
DEPLOYMENT, BATCH, MONITOR = "deployments/late.yaml", "batch/nightly.yaml", "monitors/late.yaml"
WATCH = """\
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec:
  deployment: late
  window: 5m
  drift: {columns: [rain], statistics: {rain: ks}}
"""


@pytest.fixture
def project(project: Project) -> Project:
    """The small project with a monitor and a batch: import it where rules about these are tried."""
    project.write(MONITOR, WATCH)
    project.write(BATCH, FILES[BATCH])
    return project


class Rule(NamedTuple):
    file: str
    old: str
    new: str
    path: str
    says: str
    meant: str | None = None
    allowed: str | None = None


def told(project: Project, rule: Rule) -> None:
    """That the mistake is told at its place, with what is allowed and what was meant."""
    if rule.says == "has no column 'late'":
        project.edit(JOB, ("spine: trips", "spine: trips\n    columns: [trip]"))
        project.edit(WEATHER, ("name: trip,", "name: stop,"), ("entities: [trip]", "entities: [stop]"))
        rule = rule._replace(says="FeatureView/weather has no column 'trip', which TrainingJob/late learns from")
    project.edit(rule.file, (rule.old, rule.new))
    mine = [one for one in project.check().errors if one.file == f"specs/{rule.file}"]

    assert rule.path in [one.path for one in mine], project.problems()
    problem = next(one for one in mine if one.path == rule.path)
    assert rule.says in problem.message
    assert problem.suggestion == rule.meant
    assert rule.allowed is None or rule.allowed in problem.allowed
    written = (project.root / "specs" / rule.file).read_text().splitlines()[problem.line - 1]
    assert 1 <= problem.column <= len(written) + 1
    last = rule.path.rpartition(".")[2].partition("[")[0]
    assert last in written or rule.path.endswith("]")
