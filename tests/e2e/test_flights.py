"""The demo's path on a sample of the flights, on a real Ray, with the controller killed where it hurts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.flights.demo import APRIL, ENDPOINT, MODEL, MONITOR, SUMMER, SUMMER_BATCH
from examples.flights.stage import Stage
from examples.flights.story import BETTER_MODEL, BROKEN_CANDIDATE

ROOT = Path(__file__).resolve().parents[2]
SHORTER = """
  patches:
    - target: {kind: TrainingJob, name: delay-classifier}
      patch: {tune: {trials: 3}}
    - target: {kind: ModelDeployment, name: delay}
      patch:
        strategy:
          canary:
            steps: [{setWeight: 10}, {analyze: {for: 3s}}, {setWeight: 50}, {analyze: {for: 3s}}, {setWeight: 100}]
            scaleDownDelay: 3s
    - target: {kind: ModelMonitor, name: delay-monitor}
      patch: {window: 6s}
"""
"""Nobody watches here: what the demo takes its time for goes faster."""


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("MLOPS_KEEPER", str(os.getpid()))
    made = Stage(tmp_path / "demo", ROOT, rate=40.0, every=4, free_ports=True, local=SHORTER)
    yield made
    made.stop_traffic()
    print(made.mlopsctl("down"))


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_from_a_commit_to_a_watched_model_and_back(stage: Stage) -> None:
    first = stage.prepare()
    stage.mlopsctl("up")
    stage.until_settled(first, 240)
    one = stage.live_version()

    stage.start_traffic(*APRIL)
    better = stage.commit(BETTER_MODEL)
    stage.until_reason(MODEL, {"Training"}, 60)
    stage.kill_controller()  # in mid-training
    stage.mlopsctl("up")
    stage.until_weight(10, 240)
    stage.kill_controller()  # in mid-canary
    stage.mlopsctl("up")
    stage.until_settled(better, 240)
    two = stage.live_version()
    assert two.version != one.version
    assert two.metrics["auc"] > one.metrics["auc"]
    assert stage.weights_seen(ENDPOINT) == "10 -> 50 -> 100"
    assert stage.reasons().count("RunStarted") == 6, "a killed controller started something twice"

    broken = stage.commit(BROKEN_CANDIDATE)
    stage.until_settled(broken, 180)
    assert "error_rate" in stage.message(ENDPOINT)
    assert stage.live_version() == two
    stage.stop_traffic()

    stage.start_traffic(*SUMMER, batch=SUMMER_BATCH)
    assert stage.land(*SUMMER) > 0
    stage.until_judged(MONITOR, 120)
    stage.stop_traffic()
    assert "AUC" in stage.summary(MONITOR)
    assert stage.alerts() == 1
    assert "PerformanceDegraded" in stage.reasons()

    trainings = stage.reasons().count("RunStarted")
    reverted = stage.revert(broken, better)
    stage.until_answered_by(one.version, 60)
    stage.until_settled(reverted, 60)
    assert stage.reasons().count("RunStarted") - trainings <= 1, "a revert trained something"

    stage.until_drained(ENDPOINT, 60)
    stage.mlopsctl("down", "--keep-ray")
    result = json.loads(stage.mlopsctl("reconcile", "--once", "--quiet", "--output", "json"))
    assert result["outcome"] == "Converged"
    assert result["changing_calls"] == {}
    assert stage.mlopsctl("plan").startswith("Nothing to do")
    assert stage.tally.sent > 500
    assert stage.tally.failures == 0, str(stage.tally)
