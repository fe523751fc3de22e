"""A simulated pass in words and in JSON."""

from __future__ import annotations

import json

from framework.api.meta import Ref
from framework.planning.grammar.actions import DeleteApp, DeleteRoute, StopRun
from framework.planning.grammar.steps import Ending, SimulatedPass, SimulatedStep
from framework.render.steps import steps_json, steps_text
from framework.render.wording import lasting

VIEW, ENDPOINT = Ref("FeatureView", "departures"), Ref("ModelDeployment", "delay")


def sequence(*steps: SimulatedStep, settled: bool = True, assumed: tuple[Ref, ...] = ()) -> SimulatedPass:
    ending = Ending(ENDPOINT, "held", "10 % on a@1", "waits for a person: mlopsctl rollout promote")
    return SimulatedPass("local", "a" * 40, steps, steps[-1].at if steps else 0.0, settled, (ending,), assumed)


LATE = SimulatedStep(65.0, 1, VIEW, "superseded", (StopRun("store", "features-departures-1"),))
EARLY = SimulatedStep(3.0, 2, ENDPOINT, "removed", (DeleteRoute("delay"), DeleteApp("delay-1")))


def test_stages_come_in_order_whatever_happened_first() -> None:
    text = steps_text(sequence(EARLY, LATE))
    assert text.index("Stage 1") < text.index("features-departures-1") < text.index("Stage 2") < text.index("delay-1")
    assert "+1m05s  FeatureView/departures: stop run features-departures-1" in text
    assert "3 actions, the last after about 1m05s" in text


def test_what_does_not_end_ready_is_told_with_its_reason() -> None:
    text = steps_text(sequence(LATE))
    assert "ModelDeployment/delay ends held" in text
    assert "mlopsctl rollout promote" in text


def test_assumptions_are_named() -> None:
    assert "FeatureView/departures take: a minute is assumed" in steps_text(sequence(LATE, assumed=(VIEW,)))
    assert "minute" not in steps_text(sequence(LATE))
    assert "Cut off" in steps_text(sequence(LATE, settled=False))


def test_nothing_to_do_is_one_sentence() -> None:
    assert "to commit aaaaaaa: nothing to do." in steps_text(sequence())
    assert "Simulated" not in steps_text(sequence())


def test_json_has_every_action_with_its_key() -> None:
    (found,) = json.loads(steps_json(sequence(EARLY)))["sequences"]
    assert found["steps"][0]["ref"] == "ModelDeployment/delay"
    assert [item["key"] for item in found["steps"][0]["actions"]] == ["delete-route/delay", "delete-app/delay-1"]
    assert found["endings"][0]["word"] == "held"


def test_times_after_the_start() -> None:
    words = {0: "0s", 0.2: "1s", 59.4: "59s", 60: "1m", 65: "1m05s", 3599: "59m59s", 3720: "1h02m", 90000: "1d01h"}
    assert {seconds: lasting(seconds) for seconds in words} == words
