"""mlopsctl reproduce: a version trained again from what is kept with it, compared, and nothing else changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controllers.cli import reproduce as command
from controllers.commands.reproduction import PATIENCE, Rerun, reproduced, rerun_of
from framework.api.errors import ConfigurationError, TransientError
from framework.kinds.training_job.recipe import KEY
from framework.planning.reports.reproduction import MetricAgain, Reproduction, reproduction
from framework.ports import FailureKind, ModelVersion, RunState, TrainRequest
from framework.render.reproduction import reproduction_json, reproduction_text
from framework.render.terminal import cells
from tests.builders import NOW, model_version
from tests.controllers.shelf import everything
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import STARTED, call, live
from tests.controllers.test_train_cli import CODE, FUNCTION
from tests.unit.render.test_widths import WIDTHS
from tests.world import JOB, PROJECT, TRAINING, World

HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> World:
    return settled(World({**PROJECT, **CODE, "mlops_specs/classifier.yaml": FUNCTION}))


def settled(world: World) -> World:
    world.run()
    world.ports.calls.clear()
    return world


def model_of(world: World) -> ModelVersion:
    return world.ports.registry.versions(JOB.name)[0]


def prepared(world: World, name: str = "classifier") -> Rerun:
    return rerun_of(world.ports, world.read, name, world.now)


def again(world: World, told: list[str] | None = None, timeout: timedelta = HOUR) -> Reproduction:
    """Time passes only while it waits."""

    def pause(seconds: float) -> None:
        world.now += timedelta(seconds=seconds)
        world.plane.advance(timedelta(seconds=seconds))

    tell = ([] if told is None else told).append
    return reproduced(prepared(world), world.ports, timeout, tell, lambda: world.now.timestamp(), pause)


def changed(world: World, **lineage: Any) -> None:
    """As if the newest version had been registered with this in its lineage; None takes something out of it."""
    model = model_of(world)
    merged = {name: value for name, value in {**model.lineage, **lineage}.items() if value is not None}
    world.ports.registry.forget(JOB.name, world.token)
    world.ports.registry.register(model.model_copy(update={"lineage": merged}), world.token)


def request(found: Rerun) -> TrainRequest:
    return TrainRequest.model_validate(dict(found.run.payload))


def test_it_is_asked_for_what_the_first_run_was_but_for_its_name_and_its_place(world: World) -> None:
    model = model_of(world)
    first = world.ports.runs.spec(f"train-classifier-{model.version}")
    world.commit(classifier=TRAINING)  # what git asks for now does not matter
    found = prepared(world, f"classifier@{model.version[:6]}")
    before, after = TrainRequest.model_validate(dict(first.payload)), request(found)
    assert found.run.name != first.name
    assert after.model_folder == f"memory://store/runs/{found.run.name}/model"
    operating = {"retries", "timeout", "retrain", "deletion"}
    assert {key: value for key, value in after.spec.items() if key not in operating} == {
        key: value for key, value in before.spec.items() if key not in operating
    }
    assert (after.views, after.seed, after.commit) == (before.views, before.seed, before.commit)
    assert found.run.code is not None
    assert first.code is not None
    assert (found.run.code, set(found.run.code.files)) == (first.code, set(first.code.files))


def test_what_comes_out_the_same_is_reproduced_and_leaves_nothing(world: World) -> None:
    versions, records = world.ports.registry.versions(JOB.name), world.ports.state.records()
    lease, told = world.ports.state.lease(), list[str]()
    found = again(world, told)
    assert (found.reproduced, found.same_bytes) == (True, True)
    assert [call.verb for call in world.ports.calls.made] == ["runs.submit", "tables.delete"]
    assert [call.subject for call in world.ports.calls.made][1] == f"memory://store/runs/{found.run}"
    assert (world.ports.registry.versions(JOB.name), world.ports.state.records()) == (versions, records)
    assert world.ports.state.lease() == lease
    assert told == ["pending"]


def test_a_metric_that_is_off_is_told_by_how_much(world: World) -> None:
    world.auc = lambda identity: 0.75
    found = again(world)
    assert not found.reproduced
    assert [(one.name, one.difference) for one in found.metrics] == [("auc", pytest.approx(0.05))]
    text = reproduction_text(found, world.now)
    assert "not reproduced: metrics differ" in text
    assert "metrics: 0 of 1 equal" in text
    assert "+0.05" in text


@pytest.mark.parametrize(
    ("before", "after", "equal"),
    [
        (0.7, 0.7 + 9e-10, True), (0.7, 0.7 + 2e-9, False), (None, 0.7, False), (0.7, None, False),
        (float("nan"), float("nan"), True), (float("nan"), 0.7, False), (float("inf"), float("inf"), True),
        (float("inf"), float("-inf"), False),
    ],
)  # fmt: skip
def test_equal_is_within_a_tolerance(before: float | None, after: float | None, equal: bool) -> None:
    assert MetricAgain("auc", before, after).equal is equal


def test_nothing_measured_is_nothing_reproduced() -> None:
    model = model_version().model_copy(update={"metrics": {}})
    assert not reproduction(model, "run", {"sha256": model.sha256}, None).reproduced


def test_a_version_from_before_goes_by_its_commit(world: World) -> None:
    first = request(prepared(world))
    changed(world, meanings=None, **{KEY: None})
    world.commit(classifier=TRAINING)
    found = request(prepared(world))
    assert (found.spec["trainer"], found.seed) == (first.spec["trainer"], first.seed)
    assert found.views["departures"].model_copy(update={"columns": ()}) == first.views["departures"].model_copy(
        update={"columns": ()}
    )
    assert dict(found.views["departures"].columns) == dict(first.views["departures"].columns)
    changed(world, commit=None)
    model = model_of(world).model_copy(update={"commit": "d" * 40})
    world.ports.registry.forget(JOB.name, world.token)
    world.ports.registry.register(model, world.token)
    with pytest.raises(ConfigurationError, match="is not recorded, and its commit ddddddd cannot be read"):
        prepared(world)


def test_a_table_that_is_gone_is_named(world: World) -> None:
    world.ports.tables.drop_by_hand(model_of(world).read["departures"].uri)
    with pytest.raises(ConfigurationError, match="trained on version 0 of FeatureView/departures, which is gone"):
        prepared(world)
    assert not world.ports.calls.made


def test_code_that_is_gone_is_named(world: World) -> None:
    found = prepared(world)
    assert found.run.code is not None
    lost = Rerun(found.model, replace(found.run, code=replace(found.run.code, commit="e" * 40, digest="f" * 40)))
    with pytest.raises(ConfigurationError, match=r"the code of classifier@\w+ is not to be had"):
        reproduced(lost, world.ports, HOUR, lambda said: None, lambda: 0.0, lambda seconds: None)
    assert "runs.submit" not in [call.verb for call in world.ports.calls.made]


def test_data_that_was_never_recorded_is_told(world: World) -> None:
    changed(world, views={})
    with pytest.raises(ConfigurationError, match="was trained on is not recorded"):
        prepared(world)


def test_a_spec_that_is_not_taken_any_more_is_told(world: World) -> None:
    kept = model_of(world).lineage[KEY]
    changed(world, **{KEY: {**kept, "spec": {**kept["spec"], "trainer": {"oracle": {}}}}})
    with pytest.raises(ConfigurationError, match="does not take the spec"):
        prepared(world)


def test_a_run_that_fails_is_told_with_its_reason(world: World) -> None:
    found = prepared(world)

    def fail(seconds: float) -> None:
        world.ports.runs.fail(found.run.name, FailureKind.USER, "EmptyWindow", "there is no row")

    with pytest.raises(ConfigurationError, match="again failed: EmptyWindow: there is no row"):
        reproduced(found, world.ports, HOUR, lambda said: None, lambda: 0.0, fail)


def test_a_run_that_takes_too_long_is_stopped(world: World) -> None:
    world.plane.seconds = lambda run: 600
    with pytest.raises(ConfigurationError, match="longer than --timeout"):
        again(world, timeout=timedelta(seconds=5))
    assert world.changed() == ["runs.submit", "runs.stop"]
    assert world.ports.runs.active() == ()


def test_a_run_is_stopped_where_a_person_interrupts(world: World) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduced(prepared(world), world.ports, HOUR, lambda said: None, lambda: 0.0, interrupt)
    assert world.changed() == ["runs.submit", "runs.stop"]


@pytest.mark.parametrize("silent", [PATIENCE - 1, PATIENCE])
def test_a_cluster_may_be_silent_for_a_while(world: World, silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[str, str], RunState] = world.ports.runs.observe
    left = [silent]

    def observe(storage: str, run: str) -> RunState:
        left[0] -= 1
        if left[0] >= 0:
            raise TransientError("no answer")
        return real(storage, run)

    monkeypatch.setattr(world.ports.runs, "observe", observe)
    if silent < PATIENCE:
        assert again(world).reproduced
    else:
        with pytest.raises(TransientError):
            again(world)


# ------------------------------------------------------------------- what is told


def result(**lineage: Any) -> Mapping[str, Any]:
    return {"sha256": "1" * 64, "metrics": {"auc": 0.7}, "lineage": lineage}


def known(**lineage: Any) -> ModelVersion:
    return model_version().model_copy(update={"lineage": lineage})


THEN = known(
    dataset="ab" * 32, libraries={"python": "3.11.9", "numpy": "2.0"},
    machine={"processor": "A very long name of a processor @ 2.20GHz", "threads": 1},
)  # fmt: skip
NEW = result(
    dataset="cd" * 32, libraries={"python": "3.12.0", "numpy": "2.0", "scipy": "1.0"},
    machine={"processor": "Another long name of a processor @ 3.10GHz", "threads": 1},
)  # fmt: skip


def test_what_differs_is_told_and_what_was_not_recorded_too() -> None:
    found = reproduction(THEN, "reproduce-x", NEW, 3.25)
    lines = [" ".join(line.split()) for line in reproduction_text(found, NOW + HOUR).splitlines()]
    for line in (
        "delay-classifier@aaaaaaaaaa, trained 1h ago for commit ccccccc, trained again in 3.2 s",
        "reproduced: every metric is equal within 1e-09",
        "bytes: differ, SHA-256 000000000000 then and 111111111111 now",
        "training set: differs, SHA-256 abababababab then and cdcdcdcdcdcd now",
        "metrics: 1 of 1 equal",
        "libraries: 1 differs, 1 not recorded",
        "python 3.11.9 3.12.0",
        "machine: 1 differs",
    ):
        assert line in lines, line
    old = reproduction_text(reproduction(known(), "reproduce-x", NEW, None), NOW)
    for line in ("training set: not recorded", "libraries: not recorded", "machine: not recorded"):
        assert line in old
    same = reproduction(THEN, "x", {**NEW, "sha256": THEN.sha256, "lineage": THEN.lineage}, None)
    text = reproduction_text(same, NOW)
    for line in ("bytes: equal, SHA-256 000000000000", "training set: equal", "libraries: equal", "machine: equal"):
        assert line in text


def test_programs_are_told_the_same() -> None:
    found = json.loads(reproduction_json("local", reproduction(THEN, "reproduce-x", NEW, None)))
    assert (found["format"], found["reproduced"], found["bytes"]["equal"]) == (1, True, False)
    assert found["metrics"]["auc"] == {"equal": True, "before": 0.7, "after": 0.7, "difference": 0.0}
    assert {name: one["equal"] for name, one in found["libraries"].items()} == {
        "numpy": True, "python": False, "scipy": None,
    }  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for model in (THEN, known()):
        text = reproduction_text(reproduction(model, "run", {**NEW, "metrics": {"auc": 0.1}}, 1.0), NOW, width=width)
        assert [line for line in text.splitlines() if cells(line) > width] == []


# ------------------------------------------------------------------- as people call it


def test_what_is_gone_is_told_before_ray_is_started(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = Project(tmp_path_factory.mktemp("again") / "project")
    live(project, STARTED)
    call(project, "models", "list")
    before = everything(project.root / ".mlops")
    for name, told in (
        ("classifier", "cannot read the table"),
        ("clasifier", "did you mean"),
        ("classifier@zz", "no version"),
    ):
        done = call(project, "reproduce", name)
        assert (done.returncode, done.stdout) == (1, ""), name
        assert told in done.stderr
    assert not project.daemon_runs
    assert everything(project.root / ".mlops") == before
    assert command.EXIT_DIFFERS == 1
