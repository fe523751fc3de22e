"""An Environment's patches: merged before specs are understood, and their mistakes told where the patch stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from framework.api.errors import Problem
from framework.specs.overlays import merge
from tests.unit.specs.conftest import Project

LOCAL = "apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {name: local}\nspec:\n  patches:\n"
PRODUCTION = LOCAL.replace("local", "production")


def patches(project: Project, *entries: str, environment: str = LOCAL, file: str = "environments/local.yaml") -> None:
    project.write(file, environment + "".join(f"    - {entry}\n" for entry in entries))


@pytest.mark.parametrize(
    ("base", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, [1], [1]),
    ],
)
def test_merge_follows_rfc_7386(base: Any, patch: Any, merged: Any) -> None:
    before = repr((base, patch))

    assert merge(base, patch) == merged
    assert repr((base, patch)) == before


def test_a_patch_changes_only_its_environment(project: Project) -> None:
    patches(project, "{target: {kind: ModelDeployment, name: late}, patch: {serving: {replicas: {max: 5}}}}",
            environment=PRODUCTION, file="environments/production.yaml")  # fmt: skip
    limits = [
        project.spec("ModelDeployment", "late", environment).serving.replicas.max
        for environment in ("production", "local", "production")  # one after the other, from one cache
    ]

    assert limits == [5, 2, 5]
    assert project.snapshot("local").digest != project.snapshot("production").digest


def test_a_patch_without_name_is_merged_into_every_object_of_its_kind(project: Project) -> None:
    patches(project, "{target: {kind: FeatureView}, patch: {deletion: delete}}")
    snapshot = project.snapshot()

    views = {ref.name: one.spec for ref, one in snapshot.resources.items() if ref.kind == "FeatureView"}
    deletion = {name: spec.model_dump()["deletion"] for name, spec in views.items()}
    assert deletion == {"trips": "delete", "weather": "delete"}


def test_later_patches_win_and_null_removes(project: Project) -> None:
    patches(
        project,
        "{target: {kind: TrainingJob}, patch: {seed: 1, timeout: null}}",
        "{target: {kind: TrainingJob, name: late}, "
        "patch: {seed: 2, trainer: {lightgbm: null, sklearn: {estimator: sklearn.a.B}}}}",
    )
    spec = project.spec("TrainingJob", "late")

    assert (spec.seed, spec.timeout, spec.trainer.name) == (2, None, "sklearn")


def marked(project: Project, entry: str) -> str:
    """Write ``entry`` as the only patch, without the sign ``§`` in it; where that stood is where a problem belongs."""
    patches(project, entry.replace("§", ""))
    return f"environments/local.yaml:6:{len('    - ') + entry.index('§') + 1}"


@pytest.mark.parametrize(
    ("target", "says", "meant"),
    [
        ("target: {kind: ModelDeployment, name: §lat}", "matches nothing: no ModelDeployment is named 'lat'", "late"),
        ("§target: {kind: BatchInference}", "matches nothing: there is no BatchInference", None),
        ("target: {kind: §Nothing}", "unknown kind 'Nothing'", None),
        ("target: {kind: §ModelDeploymnet}", "unknown kind 'ModelDeploymnet'", "ModelDeployment"),
        ("target: {kind: §Environment}", "an Environment is not patched", None),
        ("target: {kind: §Environment, name: local}", "an Environment is not patched", None),
    ],
)
def test_a_patch_that_matches_nothing_is_a_mistake(
    project: Project, place: Callable[[Problem], str], target: str, says: str, meant: str | None
) -> None:
    expected = marked(project, f"{{{target}, patch: {{}}}}")
    problem = project.the_problem()

    assert place(problem).split(" ")[0] == expected
    assert says in problem.message
    assert problem.suggestion == meant
    assert problem.path.startswith("spec.patches[0].target")


@pytest.mark.parametrize(
    ("patch", "path", "says"),
    [
        ("{serving: {replicas: {max: §0}}}", "spec.serving.replicas.max", "must be at least 1"),
        ("{serving: {§replicsa: {max: 3}}}", "spec.serving.replicsa", "unknown key 'replicsa'"),
        ("{serving: {replicas: {min: §3}}}", "spec.serving.replicas", "min must not exceed max"),
        ("{serving: §null}", "spec.serving", "is missing"),
        ("{serving: §3}", "spec.serving", "expected a mapping, found the number 3"),
        ("{model: {training: §early}}", "spec.model.training", "no TrainingJob named"),
        ("{strategy: {§recreate: {}}}", "spec.strategy", "found canary and recreate"),
    ],
)
def test_a_mistake_inside_a_patch_is_told_at_the_patch(
    project: Project, place: Callable[[Problem], str], patch: str, path: str, says: str
) -> None:
    expected = marked(project, f"{{target: {{kind: ModelDeployment, name: late}}, patch: {patch}}}")
    problem = project.the_problem()

    assert place(problem) == f"{expected} {path}"
    assert says in problem.message


def test_of_two_patches_the_later_one_is_told(project: Project, place: Callable[[Problem], str]) -> None:
    entry = "{target: {kind: TrainingJob}, patch: {seed: x}}"
    patches(project, entry, entry)

    assert place(project.the_problem()).startswith("environments/local.yaml:7:")


def test_a_mistake_of_the_object_itself_stays_at_the_object(project: Project, place: Callable[[Problem], str]) -> None:
    patches(project, "{target: {kind: ModelDeployment}, patch: {serving: {maxQueued: 0}}}")
    project.edit("deployments/late.yaml", ("error_rate", "errors"))

    assert {place(problem) for problem in project.check().problems} == {
        "deployments/late.yaml:12:27 spec.strategy.canary.analysis[0].metric",
        "environments/local.yaml:6:70 spec.serving.maxQueued",
    }


def test_a_patch_can_mend_what_is_wrong_without_it(project: Project) -> None:
    project.edit("deployments/late.yaml", ("max: 2", "max: 0"))
    assert project.the_problem().path == "spec.serving.replicas.max"
    patches(project, "{target: {kind: ModelDeployment}, patch: {serving: {replicas: {max: 1}}}}")

    assert not project.problems()


def test_a_mistake_of_one_environment_names_it(project: Project) -> None:
    patches(project, "{target: {kind: TrainingJob}, patch: {seed: x}}", environment=PRODUCTION, file="production.yaml")

    assert project.the_problem().message.endswith("(in environment production)")
    assert project.snapshot("local")


def test_a_patch_of_a_broken_object_is_no_second_mistake(project: Project) -> None:
    patches(project, "{target: {kind: ModelDeployment, name: late}, patch: {}}")
    project.write("deployments/late.yaml", "kind: ModelDeployment\nmetadata:\n  name: late\nspec: {a: [\n")

    assert [problem.file for problem in project.check().problems] == ["specs/deployments/late.yaml"]
