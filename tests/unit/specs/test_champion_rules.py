"""Whose live model a gate compares with is said where there may be a doubt."""

from __future__ import annotations

import pytest

from tests.unit.specs.conftest import FILES, Project

JOB = "training/late.yaml"
LIVE = "evaluation: {gates: [{metric: auc, comparedTo: live, maxDrop: 0.01%s}]}"


def deployment(name: str, training: str = "late") -> str:
    text = FILES["deployments/late.yaml"].replace("name: late", f"name: {name}").replace("/late", f"/{name}")
    return text.replace("training: late", f"training: {training}")


def gated(project: Project, more: str = "", *others: str) -> None:
    project.edit(JOB, ("timeout: 1h", LIVE % more))
    for name in others:
        project.write(f"deployments/{name}.yaml", deployment(name))


@pytest.mark.parametrize(
    ("more", "others"), [("", ()), (", deployment: late", ()), (", deployment: late-eu", ("late-eu", "late-us"))]
)
def test_where_there_is_no_doubt_nothing_is_wrong(project: Project, more: str, others: tuple[str, ...]) -> None:
    gated(project, more, *others)
    assert project.problems() == []


def test_where_several_deployments_serve_its_models_one_is_named(project: Project) -> None:
    gated(project, "", "late-eu")
    problem = project.the_problem()
    assert problem.path == "spec.evaluation.gates[0]"
    assert "2 deployments serve models of this job: say by deployment whose live model is meant" in problem.message
    assert problem.allowed == ("late", "late-eu")


def test_deployments_of_other_jobs_are_no_doubt(project: Project) -> None:
    gated(project)
    project.write("training/other.yaml", FILES[JOB].replace("name: late", "name: other"))
    project.write("deployments/other.yaml", deployment("other", "other"))
    assert project.problems() == []


def test_another_deployment_makes_a_doubt_of_what_was_none(project: Project) -> None:
    """Also where the job itself did not change and was found right before."""
    gated(project)
    project.snapshot()
    project.write("deployments/late-eu.yaml", deployment("late-eu"))
    assert "2 deployments serve" in project.the_problem().message


@pytest.mark.parametrize("name", ["late-ue", "nobody"])
def test_a_deployment_that_serves_no_model_of_it_is_told(project: Project, name: str) -> None:
    gated(project, f", deployment: {name}", "late-eu")
    problem = project.the_problem()
    assert problem.path == "spec.evaluation.gates[0].deployment"
    assert f"ModelDeployment/{name} serves no model of this job" in problem.message
    assert problem.suggestion == ("late-eu" if name == "late-ue" else None)


@pytest.mark.parametrize(
    ("gates", "told"),
    [
        ("{metric: auc, min: 0.5, deployment: late}", "deployment needs comparedTo"),
        (
            "{metric: auc, comparedTo: live, maxDrop: 0.1, deployment: late},"
            " {metric: f1, comparedTo: live, maxDrop: 0.1, deployment: late-eu}",
            "gates compare with the live models of late and late-eu: a run compares with one",
        ),
    ],
)
def test_one_run_compares_with_one_model(project: Project, gates: str, told: str) -> None:
    project.edit(JOB, ("timeout: 1h", f"evaluation: {{gates: [{gates}]}}"))
    assert told in project.the_problem().message
