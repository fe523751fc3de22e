"""The form in which a version serves is what the deployment asks for, and only where it may."""

from __future__ import annotations

from typing import Any

from framework.planning.grammar import reasons
from tests.world import DEPLOYMENT, ENDPOINT, JOB, PROJECT, TRAINING, World

EXPORTS = f"{TRAINING}  export: {{onnx: auto}}\n"
AS_ONNX = DEPLOYMENT.replace("route: /delay", "route: /delay, form: onnx")


def world(deployment: str, job: str = EXPORTS) -> World:
    return World({**PROJECT, "mlops_specs/classifier.yaml": job, "mlops_specs/delay.yaml": deployment})


def served(found: World) -> tuple[str, str]:
    """The end of the file's name, and its format."""
    arguments: dict[str, Any] = found.state(ENDPOINT)["stable"]["arguments"]
    return arguments["artifact"].rpartition("/")[2], arguments["format"]


def test_it_serves_in_the_form_that_is_asked_for() -> None:
    found = world(DEPLOYMENT)
    found.run()
    assert served(found) == ("model", "lightgbm-text")
    found.commit(delay=AS_ONNX)
    found.run()
    assert served(found) == ("onnx", "onnx")
    assert found.reasons(ENDPOINT).count(reasons.ROLLOUT_STARTED) == 2, "another form is rolled out like a version"
    found.commit(delay=DEPLOYMENT)
    found.run()
    assert served(found) == ("model", "lightgbm-text")
    assert found.reasons(JOB).count(reasons.RUN_STARTED) == 1


def test_a_version_that_may_not_serve_so_is_waited_for_and_what_serves_goes_on() -> None:
    found = world(AS_ONNX)
    found.run()
    before = found.served()
    found.plane.forms = lambda payload: {"onnx": {"passed": False, "reason": "it answers otherwise"}}
    found.commit(classifier=EXPORTS.replace("rounds: 50", "rounds: 51"))
    for _ in range(5):
        found.steps(1)
    assert found.served() == before
    newest = found.built(found.head)
    assert found.message(ENDPOINT) == f"version {newest} cannot serve as onnx: it answers otherwise"
    assert found.status(ENDPOINT).conditions.reconciling.status
    found.commit(delay=DEPLOYMENT)
    found.run()
    assert found.served() == newest


def test_one_that_is_required_and_fails_is_no_version_to_deploy() -> None:
    found = world(DEPLOYMENT, EXPORTS.replace("auto", "required"))
    found.plane.forms = lambda payload: {"onnx": {"passed": False, "reason": "it answers otherwise"}}
    found.steps(5)
    assert "stable" not in found.state(ENDPOINT) or found.state(ENDPOINT)["stable"] is None
    assert "failed 1 of 2 gates: the graph of ONNX may not serve: it answers otherwise" in found.message(JOB)


def test_to_ask_for_the_native_form_by_name_changes_nothing() -> None:
    found = world(DEPLOYMENT)
    found.run()
    app = found.state(ENDPOINT)["stable"]["app"]
    found.commit(delay=DEPLOYMENT.replace("route: /delay", "route: /delay, form: native"))
    found.run()
    assert found.state(ENDPOINT)["stable"]["app"] == app
