"""What patches of an Environment come to, through whole projects."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.api.errors import Problem
from tests.unit.specs.conftest import Project
from tests.unit.specs.test_overlays import PRODUCTION, patches


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

    views = {ref.name: one.spec for ref, one in snapshot.desired.items() if ref.kind == "FeatureView"}
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
        ("target: {kind: TrainingJob, §labels: {tier: prod}}", "no TrainingJob carries tier=prod", "tier=production"),
        ("target: {kind: TrainingJob, §labels: {tier: production, x: z}}", "carries tier=production and x=z", None),
        ("target: {kind: TrainingJob, name: late, §labels: {a: b}}", "TrainingJob/late does not carry a=b", None),
        ("target: {kind: FeatureView, §labels: {a: b}}", "matches nothing: no FeatureView carries a=b", None),
        ("target: {kind: §Environment}", "an Environment is not patched", None),
        ("target: {kind: §Environment, name: local}", "an Environment is not patched", None),
    ],
)
def test_a_patch_that_matches_nothing_is_a_mistake(
    project: Project, place: Callable[[Problem], str], target: str, says: str, meant: str | None
) -> None:
    project.edit("training/late.yaml", ("{name: late}", "{name: late, labels: {tier: production, team: b}}"))
    expected = marked(project, f"{{{target}, patch: {{}}}}")
    problem = project.the_problem()

    assert place(problem).split(" ")[0] == expected
    assert says in problem.message
    assert problem.suggestion == meant
    assert problem.path.startswith("spec.patches[0].target")


@pytest.mark.parametrize(
    ("kind", "patch", "path", "says"),
    [
        ("ModelDeployment", "{serving: {replicas: {max: §0}}}", "spec.serving.replicas.max", "must be at least 1"),
        ("ModelDeployment", "{serving: {§replicsa: {max: 3}}}", "spec.serving.replicsa", "unknown key 'replicsa'"),
        ("ModelDeployment", "{serving: {replicas: {min: §3}}}", "spec.serving.replicas", "min must not exceed max"),
        ("ModelDeployment", "{serving: §null}", "spec.serving", "is missing"),
        ("ModelDeployment", "{serving: §3}", "spec.serving", "expected a mapping, found the number 3"),
        ("ModelDeployment", "{model: {training: §early}}", "spec.model.training", "no TrainingJob named"),
        ("ModelDeployment", "{strategy: {§recreate: {}}}", "spec.strategy", "found canary and recreate"),
        # in a merged list, at its item
        ("TrainingJob", "{dataset: {features: [{view: weather, maxAge: §soon}]}}",
         "spec.dataset.features[0].maxAge", "a duration"),
        ("TrainingJob", "{dataset: {features: [{view: weather, §maxAeg: 3h}]}}",
         "spec.dataset.features[0].maxAeg", "unknown key"),
        ("TrainingJob", "{dataset: {features: [{view: §nothing}]}}",
         "spec.dataset.features[1].view", "no FeatureView named"),
        ("TrainingJob", "{dataset: {features: [{$patch: replace}, {view: §nothing}]}}",
         "spec.dataset.features[0].view", "no Feature"),
        ("TrainingJob", "{evaluation: {gates: [{metric: auc, min: §x}]}}",
         "spec.evaluation.gates[0].min", "expected a number"),
        ("TrainingJob", "{evaluation: {gates: [§{metric: auc}]}}",
         "spec.evaluation.gates[0]", "a gate needs min, max or comparedTo"),
        ("TrainingJob", "{dataset: {features: [{view: weather, $patch: delete}, {view: trips, maxAge: §1}]}}",
         "spec.dataset.features[0].maxAge", "a duration"),
    ],
)  # fmt: skip
def test_a_mistake_inside_a_patch_is_told_at_the_patch(
    project: Project, place: Callable[[Problem], str], kind: str, patch: str, path: str, says: str
) -> None:
    expected = marked(project, f"{{target: {{kind: {kind}, name: late}}, patch: {patch}}}")
    problem = project.the_problem()

    assert place(problem) == f"{expected} {path}"
    assert says in problem.message


def test_what_a_merged_list_lost_is_told_at_the_item_that_removed_it(
    project: Project, place: Callable[[Problem], str]
) -> None:
    columns = "{columns: [§{name: trip, $patch: delete}, {name: more, dtype: String}]}"
    expected = marked(project, f"{{target: {{kind: FeatureView, name: trips}}, patch: {columns}}}")

    assert place(project.the_problem()) == f"{expected} spec"
    assert project.the_problem().message == "columns lack trip, which entities and timestamp name"


def test_what_a_merged_list_kept_is_told_where_it_was_written(
    project: Project, place: Callable[[Problem], str]
) -> None:
    """The view that both files speak of is gone: it is the object that names it."""
    patches(
        project,
        "{target: {kind: TrainingJob}, patch: {dataset: {features: [{view: weather, maxAge: 3h}]}}}",
        "{target: {kind: TrainingJob}, jsonPatch: [{op: add, path: /dataset/features/0, value: {view: trips}}]}",
    )
    project.remove("features/weather.yaml")

    assert project.the_problem().path == "spec.dataset.features[1].view"
    assert place(project.the_problem()).startswith("environments/local.yaml:6:")
    project.edit("training/late.yaml", ("- {view: weather", "- {view: trips, maxAge: 1h}\n      - {view: weather"))
    patches(project, "{target: {kind: TrainingJob}, jsonPatch: [{op: remove, path: /dataset/features/0}]}")

    assert place(project.the_problem()) == "training/late.yaml:9:16 spec.dataset.features[0].view"


@pytest.mark.parametrize(
    ("operation", "path", "says"),
    [
        ("{op: replace, path: /serving/replicas/max, value: §0}", "spec.serving.replicas.max", "must be at least 1"),
        ("{op: add, path: §/serving/replicsa, value: 1}", "spec.serving.replicsa", "unknown key 'replicsa'"),
        ("{op: add, path: /serving/batching, value: {§maxsize: 3}}", "spec.serving.batching.maxsize", "unknown key"),
        ("{op: add, path: /serving/batching, §value: []}", "spec.serving.batching", "expected a mapping, found a list"),
        ("{op: remove, path: §/serving/route}", "spec.serving.route", "is missing"),
        ("{op: replace, path: /serving/replicas/min, value: §3}", "spec.serving.replicas", "min must not exceed max"),
        ("{op: add, path: /strategy/canary/steps/0, value: {setWeight: §x}}",
         "spec.strategy.canary.steps[0].setWeight", "expected a whole number"),
        ("{op: remove, path: §/strategy/canary/steps/2}", "spec.strategy.canary", "the last setWeight must be 100"),
        ("{op: move, from: /serving/replicas, path: §/replicas}", "spec.replicas", "unknown key 'replicas'"),
        ("{op: copy, from: /serving/replicas, path: §/serving/batching}", "spec.serving.batching.max", "unknown key"),
        # the operation itself
        ("{op: replace, path: §/serving/replica, value: 0}", "spec.patches[0].jsonPatch[0].path", "path not found"),
        ("{op: test, path: /serving/route, value: §/early}", "spec.patches[0].jsonPatch[0].value",
         "the test failed: /serving/route is '/late', expected '/early' (patching ModelDeployment/late)"),
        ("{op: move, from: §/nowhere, path: /x}", "spec.patches[0].jsonPatch[0].from", "path not found"),
        ("{op: §ad, path: /x, value: 1}", "spec.patches[0].jsonPatch[0].op", "'ad' is not allowed here"),
        ("{op: add, path: §serving.route, value: 1}", "spec.patches[0].jsonPatch[0].path", "is not a JSON pointer"),
        ("{op: add, path: §/a~b, value: 1}", "spec.patches[0].jsonPatch[0].path", "'~' is written '~0'"),
        ("§{op: add, path: /x}", "spec.patches[0].jsonPatch[0]", "add needs a value"),
        ("§{op: copy, path: /x}", "spec.patches[0].jsonPatch[0]", "copy needs a from"),
        ("§{op: remove, path: /x, value: 1}", "spec.patches[0].jsonPatch[0]", "remove takes no value"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_json_patch_is_told_at_the_operation(
    project: Project, place: Callable[[Problem], str], operation: str, path: str, says: str
) -> None:
    expected = marked(project, f"{{target: {{kind: ModelDeployment, name: late}}, jsonPatch: [{operation}]}}")
    problems = project.check().problems

    assert f"{expected} {path}" in {place(problem) for problem in problems}
    assert {problem.file for problem in problems} == {"specs/environments/local.yaml"}
    assert any(says in problem.message for problem in problems)


def test_patches_of_both_forms_apply_in_order(project: Project) -> None:
    wind = (
        (project.root / "specs/features/weather.yaml").read_text().replace("weather", "wind").replace("rain", "gusts")
    )
    project.write("features/wind.yaml", wind)
    patches(
        project,
        "{target: {kind: TrainingJob}, patch: {seed: 1, dataset: {features: [{view: wind}]}}}",
        "{target: {kind: TrainingJob}, jsonPatch: [{op: test, path: /seed, value: 1}, "
        "{op: replace, path: /seed, value: 2}, {op: move, from: /dataset/features/1, path: /dataset/features/0}]}",
        "{target: {kind: TrainingJob}, patch: {dataset: {features: [{view: wind, maxAge: 1h}]}}}",
    )
    spec = project.spec("TrainingJob", "late")

    assert spec.seed == 2
    assert [(one.view, one.maxAge is None) for one in spec.dataset.features] == [("wind", False), ("weather", True)]


def test_labels_choose_who_is_patched(project: Project) -> None:
    project.edit("features/trips.yaml", ("{name: trips}", "{name: trips, labels: {tier: gold, team: a}}"))
    project.edit("features/weather.yaml", ("{name: weather}", "{name: weather, labels: {tier: gold, team: b}}"))
    patches(
        project,
        "{target: {kind: FeatureView, labels: {tier: gold}}, patch: {materialization: {every: 1h}}}",
        "{target: {kind: FeatureView, labels: {tier: gold, team: b}}, patch: {deletion: delete}}",
    )
    specs = {name: project.spec("FeatureView", name) for name in ("trips", "weather")}

    assert {name: spec.deletion for name, spec in specs.items()} == {"trips": "keep", "weather": "delete"}
    assert all(spec.materialization.every is not None for spec in specs.values())


@pytest.mark.parametrize("named", ["name: late", "labels: {a: b}"])
def test_a_patch_of_a_broken_object_is_no_second_mistake(project: Project, named: str) -> None:
    patches(project, f"{{target: {{kind: ModelDeployment, {named}}}, patch: {{}}}}")
    project.write("deployments/late.yaml", "kind: ModelDeployment\nmetadata:\n  name: late\nspec: {a: [\n")

    assert [problem.file for problem in project.check().problems] == ["specs/deployments/late.yaml"]


def test_what_fails_on_many_objects_is_told_once(project: Project) -> None:
    patches(project, "{target: {kind: FeatureView}, jsonPatch: [{op: remove, path: /nothing}]}",
            "{target: {kind: FeatureView}, patch: {deletion: nonsense}}")  # fmt: skip
    problem = project.the_problem()

    assert (
        problem.message == "path not found: /nothing ('nothing' is not there) (patching FeatureView/trips and 1 more)"
    )


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
