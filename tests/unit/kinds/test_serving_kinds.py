"""What the serving kinds refer to, what they refuse, and the mistakes they find between resources."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.batch_inference.spec import BatchInferenceSpec
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.kinds.model_monitor.spec import ModelMonitorSpec
from tests.builders import feature_view_spec, training_spec
from tests.unit.kinds.deployments import deployment_spec

DEPLOYMENT, MONITOR = KINDS["ModelDeployment"], KINDS["ModelMonitor"]
STEP = {"setWeight": 10}
ANALYZE = {"analyze": {"for": "10s"}}
LAST = {"setWeight": 100}


def monitor_spec(**more: Any) -> ModelMonitorSpec:
    return ModelMonitorSpec.model_validate({"deployment": "delay", "window": "1h", "drift": {}, **more})


def labels(view: str = "departures", key: str = "carrier", column: str = "delayed") -> dict[str, Any]:
    return {"labels": {"view": view, "key": key, "column": column}}


def snapshot(**specs: BaseModel) -> dict[Ref, BaseModel]:
    kinds = {kind.spec: name for name, kind in KINDS.items()}
    return {Ref(kinds[type(spec)], name): spec for name, spec in specs.items()}


def test_every_kind_of_the_language_is_registered_under_its_name() -> None:
    assert list(KINDS) == [
        "Environment",
        "FeatureView",
        "TrainingJob",
        "ModelDeployment",
        "ModelMonitor",
        "BatchInference",
    ]
    assert all(name == kind.name for name, kind in KINDS.items())


def test_references_give_the_order() -> None:
    (training,) = DEPLOYMENT.references(deployment_spec())
    assert (training.ref, training.path) == (Ref("TrainingJob", "delay-classifier"), "spec.model.training")
    assert [str(item.ref) for item in MONITOR.references(monitor_spec())] == ["ModelDeployment/delay"]
    watched = MONITOR.references(monitor_spec(performance=labels()))
    assert [(str(item.ref), item.path) for item in watched] == [
        ("ModelDeployment/delay", "spec.deployment"),
        ("FeatureView/departures", "spec.performance.labels.view"),
    ]


def test_user_code_is_named_with_its_path() -> None:
    spec = deployment_spec(serving={"transformer": "flights.serving:transform"})
    assert DEPLOYMENT.entrypoints(spec) == {"spec.serving.transformer": "flights.serving:transform"}
    assert DEPLOYMENT.entrypoints(deployment_spec()) == {}
    assert MONITOR.entrypoints(monitor_spec()) == {}


@pytest.mark.parametrize(
    ("strategy", "path"),
    [
        ({"blueGreen": {}}, "spec.strategy.blueGreen"),
        ({"shadow": {"for": "1h"}}, "spec.strategy.shadow"),
        ({"abTest": {"weight": 50, "for": "1h", "sticky": {"header": "x-user"}}}, "spec.strategy.abTest"),
        ({"recreate": {}}, "spec.strategy.recreate"),
    ],
)
def test_strategies_that_are_not_executed_are_refused(strategy: dict[str, Any], path: str) -> None:
    spec = ModelDeploymentSpec.model_validate(
        {"model": {"training": "t"}, "serving": {"route": "/t"}, "strategy": strategy}
    )
    assert DEPLOYMENT.unsupported(spec) == (path,)


def test_other_fields_that_are_not_executed_are_refused() -> None:
    assert DEPLOYMENT.unsupported(deployment_spec()) == ()
    spec = deployment_spec(
        analysis=[{"metric": "error_rate", "max": 0.1}, {"metric": "prediction_drift", "max": 0.1}],
    )
    assert DEPLOYMENT.unsupported(spec) == ("spec.strategy.canary.analysis[1].metric",)
    assert MONITOR.unsupported(monitor_spec()) == ()
    everything = monitor_spec(
        segments=["origin"], reference={"window": "7d"}, actions=[{"on": "drift", "retrain": "delay-classifier"}]
    )
    assert MONITOR.unsupported(everything) == ("spec.segments", "spec.reference.window", "spec.actions")


def test_batch_inference_is_not_executed_and_says_so() -> None:
    kind = KINDS["BatchInference"]
    assert kind.spec is BatchInferenceSpec
    assert kind.unsupported(None) == ("spec",)


def test_a_route_is_claimed_and_may_not_lie_within_another_one() -> None:
    (claim,) = DEPLOYMENT.claims(deployment_spec(serving={"route": "/delay/v2/x"}))
    assert (claim.path, claim.value, claim.taken) == (
        "spec.serving.route", "/delay/v2/x", "serves /delay/v2/x already",
    )  # fmt: skip
    assert claim.within == ("/delay", "/delay/v2")
    assert DEPLOYMENT.claims(deployment_spec())[0].within == ()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"steps": [STEP, ANALYZE, LAST], "analysis": []}, "nothing to analyze"),
        ({"steps": [ANALYZE, STEP, LAST]}, "the candidate has no traffic here"),
        ({"steps": [STEP, LAST, ANALYZE]}, "stable has no traffic at 100 %"),
    ],
)
def test_an_analysis_that_could_see_nothing_is_a_mistake(more: dict[str, Any], words: str) -> None:
    (problem,) = DEPLOYMENT.check(deployment_spec(**more), {})
    assert words in problem.message
    assert problem.path.endswith(".analyze")


@pytest.mark.parametrize(
    "more",
    [
        {"steps": [STEP, ANALYZE, LAST]},
        {"steps": [ANALYZE, LAST], "match": {"header": {"x-canary": "yes"}}},
        {"steps": [LAST, ANALYZE], "analysis": [{"metric": "error_rate", "max": 0.05}]},
        {"steps": [STEP, {"pause": {"for": "5m"}}, LAST]},
        {"steps": [STEP, {"pause": {}}, LAST]},
        {"steps": [{"pause": {"for": "5m"}}, STEP, ANALYZE, LAST]},
        {"steps": [STEP, LAST], "analysis": []},
    ],
)
def test_an_analysis_that_sees_traffic_is_none(more: dict[str, Any]) -> None:
    assert DEPLOYMENT.check(deployment_spec(**more), {}) == ()


@pytest.mark.parametrize(
    "more",
    [
        {"steps": [STEP, LAST]},
        {"steps": [LAST]},
        {"steps": [{"pause": {"for": "5m"}}, STEP, LAST]},
        {"steps": [STEP, LAST, {"pause": {"for": "5m"}}]},
        {"steps": [STEP, {"pause": {"for": "0s"}}, LAST]},
        {"steps": [STEP, {"setWeight": 50}, LAST], "match": {"header": {"x-canary": "yes"}}},
    ],
)
def test_an_analysis_that_no_step_waits_for_is_a_mistake(more: dict[str, Any]) -> None:
    (problem,) = DEPLOYMENT.check(deployment_spec(**more), {})
    assert problem.path == "spec.strategy.canary.analysis"
    assert "ever looked at" in problem.message


def test_labels_need_columns_of_their_view_and_a_logged_key() -> None:
    keyed = deployment_spec(serving={"profiling": {"key": "carrier"}})
    specs = snapshot(departures=feature_view_spec(), delay=keyed)
    assert MONITOR.check(monitor_spec(performance=labels()), specs) == ()
    (problem,) = MONITOR.check(monitor_spec(performance=labels(column="late")), specs)
    assert problem.path == "spec.performance.labels.column"
    assert "no column 'late'" in problem.message
    assert "delayed" in problem.allowed
    (problem,) = MONITOR.check(monitor_spec(performance=labels()), {**specs, **snapshot(delay=deployment_spec())})
    assert (problem.path, "serving.profiling.key" in problem.message) == ("spec.performance.labels.key", True)


def test_labels_of_something_that_is_not_there_are_left_to_the_reference_check() -> None:
    assert MONITOR.check(monitor_spec(performance=labels(view="nowhere")), snapshot(t=training_spec())) == ()


def test_a_monitor_that_watches_nothing_is_a_mistake() -> None:
    (problem,) = MONITOR.check(monitor_spec(drift=None), {})
    assert (problem.message, problem.allowed) == ("watches nothing", ("drift", "performance", "quality"))


@pytest.mark.parametrize(
    "steps",
    [
        [STEP],
        [LAST, STEP],
        [{"setWeight": 50}, STEP, LAST],
        [{"setWeight": 101}, LAST],
        [{"setWeight": 5, "pause": {}}, LAST],
        [],
    ],
)
def test_steps_that_lead_nowhere_are_refused_at_once(steps: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="canary"):
        deployment_spec(steps=steps)
