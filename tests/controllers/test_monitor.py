"""What is wrong with labels, profiles or the log never keeps a monitor from judging the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.api import layout
from framework.api.errors import TerminalError, TransientError
from framework.api.meta import Ref
from framework.kinds.model_monitor.observed import MonitorState
from framework.ports import ColumnSummary, LabelledWindow, ReferenceProfile
from tests.unit.drift.columns import numeric, reference
from tests.world import DEPARTURES, DEPLOYMENT, ENDPOINT, PROJECT, World

WATCH = Ref("ModelMonitor", "watch")
MONITOR = """
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec:
  deployment: delay
  window: 1m
  drift: {threshold: 0.2}
  quality: {maxNullRate: 0.05}
  performance: {labels: {view: arrivals, key: flight, column: delayed}}
"""
MOVED = numeric([80, 5, 5, 5, 5], nulls=50)


class Watched(World):
    """A deployment with a monitor; drift and missing values in each of its windows."""

    def __init__(self) -> None:
        serving = DEPLOYMENT.replace("route: /delay", "route: /delay, profiling: {key: flight}")
        arrivals = DEPARTURES.replace("name: departures", "name: arrivals")
        files = {"delay": serving, "watch": MONITOR, "arrivals": arrivals}
        super().__init__({**PROJECT, **{f"mlops_specs/{stem}.yaml": text for stem, text in files.items()}})
        self.run()
        stable = self.state(ENDPOINT)["stable"]
        live = self.ports.registry.get(stable["training"], stable["version"])
        assert live is not None
        self.profile, self.app = live.profile, stable["app"]
        self.ports.profiles.references[self.profile] = reference(numeric([2_000] * 5))

    def watch(self, *columns: ColumnSummary) -> MonitorState:
        """Until two windows are over."""
        folder = layout.profile_folder(layout.seen(self.ports.storage, "local"), "delay", self.app)
        for _ in range(15):
            self.ports.profiles.add_profile(folder, self.now, columns or [MOVED])
            self.pass_()
            self.advance(10.0)
        return MonitorState.model_validate(self.state(WATCH))


@pytest.fixture
def world() -> Watched:
    return Watched()


def refuse(error: Exception) -> Callable[..., LabelledWindow]:
    def performance(*_: object) -> LabelledWindow:
        raise error

    return performance


@pytest.mark.parametrize(
    "error",
    [TerminalError("ColumnMissing", "the label table has no column delayed"), TransientError("cannot read labels")],
    ids=["terminal", "transient"],
)
def test_labels_that_cannot_be_used_cost_the_verdict_on_performance_alone(error: Exception, world: Watched) -> None:
    world.ports.profiles.performance = refuse(error)  # type: ignore[method-assign]
    state = world.watch()
    assert set(state.episodes) == {"drift", "quality"}
    assert state.performance is not None
    assert (state.performance.finding, state.performance.message) == ("Inconclusive", str(error))
    conditions = world.status(WATCH).conditions
    assert conditions.ready.status
    assert not conditions.stalled.status
    assert str(error) in conditions.ready.message


def test_a_training_profile_that_is_damaged_leaves_quality_and_performance(world: Watched) -> None:
    def damaged(profile: str) -> ReferenceProfile:
        raise TerminalError("ProfileDamaged", f"{profile}/whole.bin: cut short")

    world.ports.profiles.reference = damaged  # type: ignore[method-assign]
    folder = layout.prediction_folder(layout.seen(world.ports.storage, "local"), "delay", world.app)
    world.ports.profiles.add_performance(folder, world.now, LabelledWindow(world.app, 900, 900, "auc", 0.5, 0.48, 0.52))
    state = world.watch()
    assert set(state.episodes) == {"quality", "performance"}
    conditions = world.status(WATCH).conditions
    assert (conditions.ready.status, conditions.stalled.status) == (False, True)
    assert "whole.bin: cut short" in conditions.ready.message
    assert world.standing().settled, "nobody waits for what will not come"


def test_a_missing_training_profile_is_nothing_to_wait_for(world: Watched) -> None:
    del world.ports.profiles.references[world.profile]
    world.watch()
    assert world.standing().stalled == (WATCH,)
    assert world.standing().settled
    world.ports.profiles.references[world.profile] = reference(numeric([2_000] * 5))
    assert set(world.watch().episodes) == {"drift", "quality"}
    assert world.standing().converged


def test_what_another_environment_on_the_same_storage_saw_is_not_judged(world: Watched) -> None:
    elsewhere = layout.profile_folder(layout.seen(world.ports.storage, "other"), "delay", world.app)
    world.ports.profiles.add_profile(elsewhere, world.now, [MOVED])
    here = layout.profile_folder(layout.seen(world.ports.storage, "local"), "delay", world.app)
    assert here != elsewhere
    state = world.watch(numeric([200] * 5))
    assert "drift" not in state.episodes
