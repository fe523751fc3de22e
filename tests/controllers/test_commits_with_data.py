"""Data that git tracks moves with commits: at once, whatever is waited for otherwise, and with nothing made twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from framework.api.meta import Ref
from framework.planning.plan.compare import compare
from framework.ports import MaterializeRequest
from tests.controllers.test_builds import PROJECT, published, submitted
from tests.world import DEPARTURES, JOB, VIEW, World

DATA = "data/flights.csv"


def made(departures: str = DEPARTURES) -> World:
    """A view of a file that is committed, and in the work tree another one."""
    world = World({**PROJECT, "mlops_specs/departures.yaml": departures, DATA: "v1"})
    world.ports.sources.files[DATA] = "edited"
    world.plane.values = lambda asked: _read(world, asked)
    world.run()
    world.ports.calls.clear()
    return world


def _read(world: World, asked: MaterializeRequest) -> Any:
    """Of all that a run is to read the digests."""
    return [file.digest for files in asked.files.values() for file in files]


def commit(world: World, **data: str) -> str:
    world.files |= {f"data/{name}.csv": text for name, text in data.items()}
    world.head = world.ports.source.commit(world.files)
    return world.head


@pytest.mark.parametrize("every", ["", "  materialization: {every: 30d}\n"])
def test_a_commit_with_other_data_is_taken_up_at_once(every: str) -> None:
    world = made(DEPARTURES + every)
    before = published(world, VIEW)
    commit(world, flights="v2")
    world.run()
    assert submitted(world) == ["features-departures", "features-recent"]
    assert published(world, VIEW).version == before.version + 1
    assert world.standing().converged
    asked: Mapping[str, Any] = world.ports.runs.spec(f"features-departures-{published(world, VIEW).build}").payload
    (file,) = asked["files"]["flights"]
    place = f"memory://store/exports/{file['digest'].removeprefix('git:')}/{DATA}"
    assert (file["label"], file["uri"], file["size"]) == (DATA, place, 2)
    assert file["digest"] in world.ports.sources.exported
    world.ports.calls.clear()
    commit(world, flights="v1")
    world.run()
    assert submitted(world) == []
    assert (published(world, VIEW).version, published(world, VIEW).build) == (before.version, before.build)


def test_an_edit_that_nobody_commits_is_no_new_data() -> None:
    world = made(DEPARTURES + "  materialization: {every: 1m}\n")
    world.ports.sources.files[DATA] = "edited again"
    world.advance(61)
    world.steps(20)
    assert submitted(world) == []


def test_a_commit_supersedes_what_is_computed_of_the_data_before() -> None:
    world = World({**PROJECT, "mlops_specs/departures.yaml": DEPARTURES, DATA: "v1"})
    world.source.poll()
    world.pass_()
    first = world.state(VIEW)["run"]
    commit(world, flights="v2")
    world.source.poll()
    world.pass_()
    assert world.state(VIEW)["run"] not in (None, first)
    assert ("runs.stop", first) in [(call.verb, call.subject) for call in world.ports.calls.made]


def test_a_plan_between_commits_tells_what_came_changed_and_went() -> None:
    many = DEPARTURES.replace("path: data/flights.csv", 'path: "data/*.csv"')
    world = World({**PROJECT, "mlops_specs/departures.yaml": many, DATA: "v1", "data/gone.csv": "1"})
    before = world.read(world.head).desired
    del world.files["data/gone.csv"]
    after = world.read(commit(world, flights="longer", new="12345")).desired
    changes = {change.ref: change for change in compare(before, after, world.kinds)}
    (diff,) = changes[VIEW].diffs
    assert (diff.path, diff.before) == ("data.flights", "2 files, 3 B")
    assert diff.after == "2 files, 11 B (1 new file, 5 B; 1 changed, 6 B; 1 gone)"
    assert changes[VIEW].category.label == "Materialize"
    assert changes[JOB].diffs == changes[Ref("FeatureView", "recent")].diffs == ()
