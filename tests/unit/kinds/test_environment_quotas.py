"""Quotas of an Environment, as far as a look at the specs tells that they cannot be kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.api.errors import Problem
from framework.kinds import KINDS
from framework.planning.grammar.kind import Kind
from tests.unit.specs.conftest import Project, place, project

__all__ = ["place", "project"]

HEAD = "apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {name: local}\nspec:\n"
JOB, DEPLOYMENT = "training/late.yaml", "deployments/late.yaml"


def allow(project: Project, quotas: str) -> None:
    project.write("environments/local.yaml", f"{HEAD}  quotas: {quotas}\n")


def told(project: Project, place: Callable[[Problem], str]) -> list[str]:
    return [f"{place(problem)}: {problem.message}" for problem in project.check().problems]


def test_every_kind_that_takes_something_says_where() -> None:
    nothing = Kind.__dataclass_fields__["needs"].default

    assert all(bool(kind.sized_by) == (kind.needs is not nothing) for kind in KINDS.values())


@pytest.mark.parametrize("quotas", ["{}", "{gpus: 0}", "{cpus: 1}", "{gpus: 0, cpus: 100, runs: 1}"])
def test_what_fits_is_fine(project: Project, quotas: str) -> None:
    allow(project, quotas)

    assert not project.problems()


def test_one_that_alone_needs_more_is_told_where_it_says_so(project: Project, place: Callable[[Problem], str]) -> None:
    """At its peak: the workers of its fit or the trials at a time, whichever are more; all replicas that it may grow
    to."""
    allow(project, "{gpus: 3, cpus: 6}")
    project.edit(
        JOB,
        (
            "timeout: 1h",
            """\
resources: {workers: 2, gpusPerWorker: 1}
  tune: {search: {eta: {uniform: [0, 1]}}, concurrency: 4}""",
        ),
    )
    project.edit(DEPLOYMENT, ("max: 2}", "max: 4}\n    resources: {cpus: 2}"))

    assert told(project, place) == [
        "deployments/late.yaml:6:3 spec.serving: needs 8 CPUs at its peak; the quota of Environment/local is 6",
        "training/late.yaml:14:3 spec.resources: needs 4 GPUs at its peak; the quota of Environment/local is 3",
    ]


def test_a_quota_of_none_refuses_whoever_asks(project: Project, place: Callable[[Problem], str]) -> None:
    allow(project, "{gpus: 0}")
    project.edit(JOB, ("timeout: 1h", "resources: {gpusPerWorker: 0.5}"))

    assert told(project, place) == [
        "training/late.yaml:14:3 spec.resources: needs 0.5 GPUs at its peak; the quota of Environment/local is 0"
    ]


def test_a_patch_that_asks_for_too_much_is_told_at_the_patch(project: Project, place: Callable[[Problem], str]) -> None:
    allow(
        project,
        """{cpus: 4}
  patches:
    - {target: {kind: ModelDeployment}, patch: {serving: {replicas: {max: 9}}}}""",
    )

    assert told(project, place) == [
        "environments/local.yaml:7:75 spec.serving: needs 4.5 CPUs at its peak; the quota of Environment/local is 4"
    ]


def deployment(name: str, replicas: str, gpus: float) -> str:
    return (
        f"apiVersion: mlops/v1alpha1\nkind: ModelDeployment\nmetadata: {{name: {name}}}\nspec:\n"
        f"  model: {{training: late}}\n"
        f"  serving: {{route: /{name}, replicas: {replicas}, resources: {{gpus: {gpus}}}}}\n"
        "  strategy: {canary: {steps: [{setWeight: 100}]}}\n"
    )


def test_replicas_that_never_fit_together(project: Project, place: Callable[[Problem], str]) -> None:
    allow(project, "{gpus: 3}")
    project.write("deployments/a.yaml", deployment("a", "{min: 2, max: 3}", 1))
    project.write("deployments/b.yaml", deployment("b", "{min: 1, max: 3}", 0.5))
    project.edit(JOB, ("timeout: 1h", "resources: {gpusPerWorker: 3}"))  # a run comes and goes

    assert not project.problems()
    project.edit("deployments/b.yaml", ("min: 1", "min: 3"))

    assert told(project, place) == [
        "environments/local.yaml:5:18 spec.quotas.gpus: all replicas together need 3.5 GPUs even at their fewest "
        "(ModelDeployment/a 2, ModelDeployment/b 1.5); the quota is 3"
    ]


def test_many_small_parts_add_up_to_a_whole(project: Project) -> None:
    """Three times 0.1 is 0.3, whatever floats say."""
    allow(project, "{gpus: 0.3}")
    for index in range(3):
        project.write(f"deployments/d{index}.yaml", deployment(f"d{index}", "{min: 1, max: 1}", 0.1))

    assert not project.problems()
