"""Policies of an Environment: what they find wrong in specs, in themselves, and in what a commit asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from framework.api.categories import Category
from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.environment.policies import refusals
from framework.kinds.environment.selection import find, miss, parse
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar.changes import Change, Verb
from tests.unit.specs.conftest import Project, place, project

__all__ = ["place", "project"]

HEAD = "apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {name: local}\nspec:\n  policies:\n"
JOB, DEPLOYMENT, VIEW = "training/late.yaml", "deployments/late.yaml", "features/trips.yaml"


def hold(project: Project, *policies: str) -> None:
    project.write("environments/local.yaml", HEAD + "".join(f"    - {policy}\n" for policy in policies))


def told(project: Project, place: Callable[[Problem], str]) -> list[str]:
    return [f"{place(problem)}: {problem.message}" for problem in project.check().problems]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{kind: ModelDeployment, require: [strategy.canary, serving.replicas.max], message: m}", []),
        ("{kind: ModelDeployment, require: [serving.batching], message: batch it}",
         ["deployments/late.yaml:6:3 spec.serving.batching: batch it (Environment/local requires serving.batching)"]),
        ("{kind: ModelDeployment, require: [strategy.canary.sticky.header], message: m}",
         ["deployments/late.yaml:10:5 spec.strategy.canary.sticky.header: "
          "m (Environment/local requires strategy.canary.sticky.header)"]),
        # a default is not something that somebody set
        ("{kind: ModelDeployment, require: [serving.maxQueued], message: m}",
         ["deployments/late.yaml:6:3 spec.serving.maxQueued: m (Environment/local requires serving.maxQueued)"]),
        ("{kind: TrainingJob, require: [evaluation.gates], message: judge it}",
         ["training/late.yaml:4:1 spec.evaluation.gates: judge it (Environment/local requires evaluation.gates)"]),
        # items and keys
        ("{kind: TrainingJob, require: ['dataset.features[].maxAge'], message: m}",
         ["training/late.yaml:8:9 spec.dataset.features[0].maxAge: "
          "m (Environment/local requires dataset.features[].maxAge)"]),
        ("{kind: TrainingJob, require: ['dataset.features[].columns', 'dataset.window.from'], message: m}", []),
        ("{kind: FeatureView, require: [sources.*.options], message: m}",
         ["features/trips.yaml:8:5 spec.sources.raw.options: m (Environment/local requires sources.*.options)",
          "features/weather.yaml:7:13 spec.sources.raw.options: m (Environment/local requires sources.*.options)"]),
        ("{kind: FeatureView, forbid: ['expectations[0].unique'], message: m}",
         ["features/trips.yaml:15:8 spec.expectations[0].unique: "
          "m (Environment/local forbids expectations[0].unique)"]),
        # forbid
        ("{kind: ModelDeployment, forbid: [strategy.recreate, serving.batching, serving.maxQueued], message: m}", []),
        ("{kind: TrainingJob, forbid: [timeout, tune, trainer.xgboost], message: no bounds here}",
         ["training/late.yaml:14:12 spec.timeout: no bounds here (Environment/local forbids timeout)"]),
        ("{kind: TrainingJob, forbid: [trainer.lightgbm.params.max_depth], message: m}",
         ["training/late.yaml:13:36 spec.trainer.lightgbm.params.max_depth: "
          "m (Environment/local forbids trainer.lightgbm.params.max_depth)"]),
        # limits, of what is written and of defaults
        ("{kind: ModelDeployment, limits: [{path: serving.replicas.max, min: 2, max: 2}], message: m}", []),
        ("{kind: ModelDeployment, limits: [{path: serving.replicas.max, max: 1}], message: small}",
         ["deployments/late.yaml:8:29 spec.serving.replicas.max: "
          "small (Environment/local allows at most 1 for serving.replicas.max, found 2)"]),
        ("{kind: ModelDeployment, limits: [{path: serving.maxQueued, max: 100}], message: m}",
         ["deployments/late.yaml:6:3 spec.serving.maxQueued: "
          "m (Environment/local allows at most 100 for serving.maxQueued, found 200, the default)"]),
        ("{kind: TrainingJob, limits: [{path: resources.workers, min: 2}], message: m}",
         ["training/late.yaml:4:1 spec.resources.workers: "
          "m (Environment/local allows no less than 2 for resources.workers, found 1, the default)"]),
        ("{kind: TrainingJob, limits: [{path: tune.trials, max: 1}], message: m}", []),
        ("{kind: TrainingJob, limits: [{path: 'evaluation.gates[].min', min: 1}], message: m}", []),
        ("{kind: TrainingJob, limits: [{path: trainer.lightgbm.params.max_depth, max: 2.5}], message: m}",
         ["training/late.yaml:13:36 spec.trainer.lightgbm.params.max_depth: "
          "m (Environment/local allows at most 2.5 for trainer.lightgbm.params.max_depth, found 3)"]),
        # every kind: those that have such a field
        ("{kind: '*', require: [timeout, retries.limit], message: m}",
         ["training/late.yaml:4:1 spec.retries.limit: m (Environment/local requires retries.limit)"]),
        # what a plan is needed for says nothing about a spec
        ("{kind: '*', deny: [Delete, Retrain], message: m}", []),
    ],
)  # fmt: skip
def test_what_breaks_a_policy_is_told_where_it_does(
    project: Project, place: Callable[[Problem], str], policy: str, expected: list[str]
) -> None:
    hold(project, policy)

    assert told(project, place) == expected


@pytest.mark.parametrize(("value", "shown"), [("deep", "deep"), ("true", "true")])
def test_a_value_that_is_no_number_keeps_no_limit(
    project: Project, place: Callable[[Problem], str], value: str, shown: str
) -> None:
    project.edit(JOB, ("{max_depth: 3}", f"{{max_depth: {value}}}"))
    hold(project, "{kind: TrainingJob, limits: [{path: trainer.lightgbm.params.max_depth, max: 9}], message: m}")

    assert told(project, place) == [
        "training/late.yaml:13:36 spec.trainer.lightgbm.params.max_depth: "
        f"m (Environment/local allows at most 9 for trainer.lightgbm.params.max_depth, found {shown})"
    ]


def test_a_policy_looks_at_specs_as_the_environment_has_them(project: Project, place: Callable[[Problem], str]) -> None:
    """After its patches, and a patch that breaks it is to blame."""
    text = HEAD + "    - {kind: ModelDeployment, limits: [{path: serving.replicas.max, max: 2}], message: small}\n"
    project.write(
        "environments/local.yaml",
        f"""{text}  patches:
    - {{target: {{kind: ModelDeployment}}, patch: {{serving: {{replicas: {{max: 7}}}}}}}}
""",
    )

    assert told(project, place) == [
        "environments/local.yaml:8:75 spec.serving.replicas.max: "
        "small (Environment/local allows at most 2 for serving.replicas.max, found 7)"
    ]
    project.edit("environments/local.yaml", ("max: 7", "max: 1"))
    project.edit(DEPLOYMENT, ("max: 2", "max: 9"))

    assert not project.problems()


def test_an_environment_holds_only_itself_to_its_policies(project: Project) -> None:
    policy = "    - {kind: ModelDeployment, require: [serving.batching], message: production batches}\n"
    project.write("environments/production.yaml", HEAD.replace("local", "production") + policy)

    assert project.the_problem().message == (
        "production batches (Environment/production requires serving.batching) (in environment production)"
    )
    assert project.snapshot("local")


@pytest.mark.parametrize(
    ("policy", "path", "says", "meant", "allowed"),
    [
        ("{kind: §ModelDeploy, require: [x], message: m}", "kind", "unknown kind 'ModelDeploy'", "ModelDeployment",
         "TrainingJob"),
        ("{kind: §Nothing, require: [x], message: m}", "kind", "unknown kind 'Nothing'", None, "*"),
        ("{kind: §Environment, require: [x], message: m}", "kind", "not for the Environment", None, "FeatureView"),
        ("{kind: ModelDeployment, require: [§strategy.canry], message: m}", "require[0]",
         "there is no 'canry' in strategy, so strategy.canry names nothing (looked into the spec of ModelDeployment)",
         "strategy.canary", "canary"),
        ("{kind: ModelDeployment, forbid: [serving, §servng.replicas.max], message: m}", "forbid[1]",
         "there is no 'servng'", "serving.replicas.max", "strategy"),
        ("{kind: ModelDeployment, require: [§spec.strategy.canary], message: m}", "require[0]", "there is no 'spec'",
         "strategy.canary", "strategy"),
        ("{kind: ModelDeployment, require: [§replicas.max], message: m}", "require[0]", "there is no 'replicas'",
         "serving.replicas.max", "serving"),
        ("{kind: TrainingJob, require: [§dataset.features.maxAge], message: m}", "require[0]",
         "dataset.features is a list; say which items", "dataset.features[].maxAge", None),
        ("{kind: TrainingJob, require: [§timeout.seconds], message: m}", "require[0]",
         "there is no 'seconds' in timeout", None, None),
        ("{kind: TrainingJob, require: [§'a b'], message: m}", "require[0]", "'a b' is not a dotted path", None, None),
        ("{kind: TrainingJob, require: [§''], message: m}", "require[0]", "'' is not a dotted path", None, None),
        ("{kind: TrainingJob, require: [§evaluation.], message: m}", "require[0]", "is not a dotted path", None, None),
        ("{kind: TrainingJob, limits: [{path: §resources.gpus, max: 1}], message: m}", "limits[0].path",
         "there is no 'gpus' in resources", "resources.gpusPerWorker", "workers"),
        ("{kind: TrainingJob, limits: [{path: §timeout, max: 1}], message: m}", "limits[0].path",
         "timeout is not a number but a duration", None, None),
        ("{kind: TrainingJob, limits: [{path: §resources, max: 1}], message: m}", "limits[0].path",
         "resources is not a number but a mapping", None, None),
        ("{kind: '*', require: [§strategy.canry], message: m}", "require[0]", "(looked into the spec of any kind)",
         "strategy.canary", None),
        ("{kind: TrainingJob, limits: [§{path: seed}], message: m}", "limits[0]", "a limit needs min or", None, None),
        ("{kind: TrainingJob, limits: [§{path: seed, min: 2, max: 1}], message: m}", "limits[0]",
         "min must not exceed max", None, None),
        ("§{kind: TrainingJob, message: m}", "", "needs at least one of require, forbid, limits, deny", None, None),
        ("{kind: TrainingJob, deny: [§Retrian], message: m}", "deny[0]", "'Retrian' is not allowed here", "Retrain",
         "Breaking"),
        ("{kind: TrainingJob, deny: [Create], message: §''}", "message", "must not be empty", None, None),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_meant_is_told_in_the_environment(
    project: Project,
    place: Callable[[Problem], str],
    policy: str,
    path: str,
    says: str,
    meant: str | None,
    allowed: str | None,
) -> None:
    hold(project, policy.replace("§", ""))
    problem = project.the_problem()
    column = len("    - ") + policy.index("§") + 1

    assert place(problem) == f"environments/local.yaml:6:{column} spec.policies[0]{path and '.'}{path}"
    assert says in problem.message
    assert problem.suggestion == meant
    assert allowed is None or allowed in problem.allowed


@pytest.mark.parametrize(
    "path",
    [
        "strategy.canary.steps[].setWeight", "strategy.canary.steps[1].analyze.for", "strategy.canary.match.header.x-a",
        "strategy.canary.match.header.*", "serving.onlineFeatures[]", "strategy",
    ],
)  # fmt: skip
def test_paths_that_a_kind_has(path: str) -> None:
    assert miss(KINDS["ModelDeployment"].spec, path) is None


def test_what_is_found_carries_its_path() -> None:
    spec = KINDS["ModelDeployment"].spec.model_validate(
        {
            "model": {"training": "a"},
            "serving": {"route": "/a"},
            "strategy": {
                "canary": {"steps": [{"setWeight": 5}, {"analyze": {"for": "1m"}}, {"setWeight": 100}], "shield": False}
            },
        }
    )

    def found(path: str) -> list[tuple[str, Any, bool]]:
        return [(".".join(map(str, one.path)), one.value, one.is_set) for one in find(spec, parse(path))]

    assert found("strategy.canary.steps[].setWeight") == [
        ("strategy.canary.steps.0.setWeight", 5, True),
        ("strategy.canary.steps.1.setWeight", None, False),
        ("strategy.canary.steps.2.setWeight", 100, True),
    ]
    assert found("strategy.canary.steps[1].analyze.for")[0][0] == "strategy.canary.steps.1.analyze.for"
    assert found("strategy.canary.steps[7].setWeight") == []
    assert found("strategy.canary.shield") == [("strategy.canary.shield", False, True)]
    assert found("serving.replicas.max") == [("serving.replicas.max", 1, False)]
    assert found("strategy.blueGreen.analyze.for") == [("strategy.blueGreen.analyze.for", None, False)]
    assert found("strategy.canary.match.header.*") == [("strategy.canary.match.header", None, False)]


# -- what a commit asks for ------------------------------------------------------------------------------------------


def change(ref: str, verb: Verb, category: Category) -> Change:
    return Change(Ref.parse(ref), verb, category, "Changed", None)


def policies(*entries: dict[str, Any]) -> EnvironmentSpec:
    return EnvironmentSpec.model_validate({"policies": [{"message": "ask first", **entry} for entry in entries]})


@pytest.mark.parametrize(
    ("asked", "denied"),
    [
        (change("TrainingJob/a", Verb.NOOP, Category.NOOP), set()),
        (change("TrainingJob/a", Verb.NOOP, Category.RETRAIN), set()),
        (change("TrainingJob/a", Verb.WAIT, Category.RETRAIN), set()),
        (change("TrainingJob/a", Verb.CREATE, Category.RETRAIN), {"Create"}),
        (change("TrainingJob/a", Verb.UPDATE, Category.RETRAIN), {"Update", "Retrain"}),
        (change("TrainingJob/a", Verb.REPLACE, Category.RETRAIN), {"Update", "Retrain"}),
        (change("TrainingJob/a", Verb.UPDATE, Category.METADATA), {"Update"}),
        (change("ModelDeployment/a", Verb.UPDATE, Category.REDEPLOY), {"Update", "Redeploy"}),
        (change("FeatureView/a", Verb.UPDATE, Category.MATERIALIZE), {"Update", "Materialize"}),
        (change("FeatureView/a", Verb.UPDATE, Category.BREAKING), {"Update", "Materialize", "Breaking"}),
        (change("FeatureView/a", Verb.DELETE, Category.MATERIALIZE), {"Delete"}),
        (change("FeatureView/a", Verb.DELETE, Category.BREAKING), {"Delete", "Breaking"}),
    ],
)
def test_a_change_answers_to_its_verb_and_its_cost(asked: Change, denied: set[str]) -> None:
    words = ("Create", "Update", "Delete", "Redeploy", "Materialize", "Retrain", "Breaking")

    assert {word for word in words if refusals(policies({"kind": "*", "deny": [word]}), [asked], KINDS)} == denied


def test_refusals_name_the_resource_and_say_what_the_policy_says() -> None:
    spec = policies(
        {"kind": "TrainingJob", "deny": ["Retrain"]},
        {"kind": "*", "deny": ["Delete"], "message": "nothing goes away"},
        {"kind": "TrainingJob", "require": ["timeout"]},
    )
    changes = [
        change("TrainingJob/b", Verb.UPDATE, Category.RETRAIN),
        change("ModelDeployment/a", Verb.UPDATE, Category.REDEPLOY),
        change("ModelMonitor/a", Verb.DELETE, Category.NOOP),
    ]

    assert [(str(one.ref), one.reason, one.message) for one in refusals(spec, changes, KINDS)] == [
        ("TrainingJob/b", "DeniedByPolicy",
         "ask first (a policy denies Retrain of TrainingJob in this environment)"),
        ("ModelMonitor/a", "DeniedByPolicy",
         "nothing goes away (a policy denies Delete of ModelMonitor in this environment)"),
    ]  # fmt: skip
    assert refusals(EnvironmentSpec(), changes, KINDS) == ()


def test_a_policy_never_keeps_anybody_from_changing_it() -> None:
    spec = policies({"kind": "*", "deny": ["Update"]})

    assert refusals(spec, [change("Environment/local", Verb.UPDATE, Category.METADATA)], KINDS) == ()


def test_thousands_of_policies_cost_no_more_than_the_paths_that_they_name() -> None:
    """Each of them looked into each of the specs, a million times in all."""
    monitors: dict[Ref, Any] = {
        Ref("ModelMonitor", f"m{number}"): KINDS["ModelMonitor"].spec.model_validate(
            {"deployment": "late", "window": "5m", "drift": {}}
        )
        for number in range(200)
    }
    rules = ({"require": ["drift"]}, {"forbid": ["segments"]}, {"limits": [{"path": "minRows", "max": 1000}]})
    spec = policies(*({"kind": "ModelMonitor", **rules[number % 3]} for number in range(5000)))
    began = time.process_time()

    assert KINDS["Environment"].check(spec, {**monitors, Ref("Environment", "local"): spec}) == ()
    assert time.process_time() - began < 2
    lax = policies(*[{"kind": "ModelMonitor", "require": ["quality"]}] * 5000)
    found = KINDS["Environment"].check(lax, {**monitors, Ref("Environment", "local"): lax})
    assert len(found) == 1001
    assert found[-1].message == "999,000 more breaches of policies; mend those that are told first"
    assert len(refusals(policies(*[{"kind": "*", "deny": ["Delete"]}] * 5000), [GONE] * 200, KINDS)) == 1000


GONE = change("ModelMonitor/a", Verb.DELETE, Category.NOOP)
