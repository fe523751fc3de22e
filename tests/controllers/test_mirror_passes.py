"""A mirror beside the loop: it delays no pass, whatever becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from controllers.commands.project import Project
from controllers.host import passes
from controllers.host.passes import lead
from framework.api.errors import TransientError
from framework.backends.memory import MemoryMirror
from framework.ports import TrackedVersion, TrackingMirror
from tests.controllers.test_passes import MINUTE, at_work, project, world
from tests.waiting import until
from tests.world import JOB, World, environment

__all__ = ["world"]

AT = "http://mlflow:5000"
TRACKED = environment(f'tracking: "{AT}"')


class Hanging(MemoryMirror):
    """Answers nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let, self.asked = threading.Event(), threading.Event()

    def put(self, version: TrackedVersion) -> None:
        self.asked.set()
        assert self.let.wait(20)
        super().put(version)


def tracking(world: World, mirror: TrackingMirror, made: Callable[[World], Project] = project) -> Project:
    if "env" not in world.files:
        world.commit(env=TRACKED)
    return replace(made(world), mirror=lambda address: mirror)


def test_one_pass_leaves_everything_there(world: World) -> None:
    mirror = MemoryMirror()
    lead(tracking(world, mirror), wait=True, timeout=MINUTE, listen=lambda result: None)
    (model,) = world.ports.registry.versions(JOB.name)
    assert list(mirror.versions) == [f"{JOB.name}@{model.version}"]
    assert mirror.aliases == {JOB.name: {"champion": model.version}}


def test_one_that_is_down_delays_no_pass_and_is_a_warning(world: World) -> None:
    mirror = MemoryMirror()
    mirror.failure = TransientError("MLflow: no route to host")
    made = tracking(world, mirror)
    lead(made, wait=True, timeout=MINUTE, listen=lambda result: None)
    began = time.monotonic()
    result = lead(made, wait=True, timeout=MINUTE, listen=lambda result: None)
    assert time.monotonic() - began < 5
    assert result.text().startswith("Nothing to do")
    beat = world.ports.state.heartbeat()
    assert beat is not None
    assert beat.mirror is not None
    assert beat.mirror.message == "MLflow: no route to host"


def test_one_that_hangs_holds_up_neither_the_loop_nor_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "FAREWELL", 0.05)
    monkeypatch.setattr("controllers.host.mirroring.EVERY", 0.02)
    mirror = Hanging()
    made = tracking(world, mirror)
    try:
        with at_work(made):
            assert mirror.asked.wait(20)
            changed = world.commit(env=environment(f'tracking: "{AT}", quotas: {{gpus: 0}}'))
            until(lambda: changed in [item.commit for item in world.ports.state.revisions() if item.accepted])
    finally:
        mirror.let.set()


def test_a_commit_that_names_another_address_is_followed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllers.host.mirroring.EVERY", 0.02)
    mirrors = {AT: MemoryMirror(), "http://elsewhere": MemoryMirror()}
    world.commit(env=TRACKED)
    made = replace(project(world), mirror=mirrors.__getitem__)
    with at_work(made):
        until(lambda: bool(mirrors[AT].versions))
        world.commit(env=environment('tracking: "http://elsewhere"'))
        until(lambda: mirrors["http://elsewhere"].versions == mirrors[AT].versions)
