"""Apps and rollouts that an earlier version of mlopsctl named go on under the names that they have."""

from __future__ import annotations

from typing import Any

import pytest

from framework.kinds.model_deployment import target
from framework.planning.grammar.changes import Verb
from framework.rollout import canary
from tests.builders import desired, model_version
from tests.unit.kinds.deployments import REF, Deployment, deployment_spec, serving

SERVING: dict[str, tuple[dict[str, Any], str]] = {
    "nothing set": ({}, "4868551f28"),
    "much set": (
        {"batching": {}, "transformer": "p.serving:tidy", "profiling": {"flush": "2s", "key": "flight"}},
        "7e649a636e",
    ),
    "in place": (
        {"resources": {"cpus": 2}, "replicas": {"max": 3}, "trial": {"rows": [{"a": 1.0}]}, "timeout": "5s"},
        "ed4ea8b514",
    ),
}
"""With the names that version 0.1.0 gave before fields at their default were left out."""


@pytest.fixture
def earlier(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(target, "_identity", target._former_identity)
    monkeypatch.setattr(canary, "fingerprint", canary._former_fingerprint)
    return monkeypatch


@pytest.mark.parametrize(("written", "name"), SERVING.values(), ids=SERVING)
def test_the_former_names_are_known(written: dict[str, Any], name: str) -> None:
    asked, model = desired(REF, deployment_spec(serving=written)), model_version("1" * 10)
    named = target.served(asked, model)
    assert named.identity != name
    assert target.served(asked, model, {name}).app == f"delay-{name}"
    assert target.served(asked, model, {name, named.identity}) == named, "what has both goes by the new one"


@pytest.mark.parametrize("written", [item for item, _ in SERVING.values()], ids=SERVING)
def test_what_serves_is_not_deployed_again(written: dict[str, Any], earlier: pytest.MonkeyPatch) -> None:
    deployment = serving("1", deployment_spec(serving=written))
    before = deployment.running
    earlier.undo()
    assert before != {deployment.app("1")}
    assert deployment.look().verb is Verb.NOOP
    assert (deployment.running, deployment.events) == (before, [])


def test_a_rollout_goes_on_where_it_is_and_what_was_left_returns(earlier: pytest.MonkeyPatch) -> None:
    deployment = serving("1")
    first = deployment.running
    deployment.want("2")
    deployment.run_until(50, "2")
    weights, events = deployment.weights, list(deployment.events)
    earlier.undo()
    deployment.look()
    assert (deployment.weights, deployment.events) == (weights, events)
    deployment.run()
    assert deployment.weights == {(weights.keys() - first).pop(): 100}
    deployment.want("1")
    deployment.run()
    assert set(deployment.weights) == first


def test_a_version_that_was_turned_away_is_not_tried_again(earlier: pytest.MonkeyPatch) -> None:
    deployment = serving("1")
    deployment.want("2")
    deployment.run(error_rate={deployment.app("2"): 0.5})
    assert deployment.state.quarantined
    before, rollouts = deployment.weights, deployment.events.count("RolloutStarted")
    earlier.undo()
    deployment.looks(10)
    assert deployment.events.count("RolloutStarted") == rollouts == 1
    assert deployment.weights == before


def test_what_comes_next_is_named_anew(earlier: pytest.MonkeyPatch) -> None:
    deployment: Deployment = serving("1")
    earlier.undo()
    deployment.want("3")
    deployment.run()
    assert set(deployment.weights) == {deployment.app("3")}
