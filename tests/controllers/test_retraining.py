"""Triggers of a TrainingJob in a whole environment: what comes of them is a commit, and the model follows from that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from framework.api.errors import TransientError
from framework.api.meta import Ref
from framework.backends.git.source import GitSource
from framework.backends.git.writer import NOBODY, GitWriter, LocalBranches
from framework.backends.memory.faults import Crash, FaultInjector
from framework.planning.reports.health import Sync
from framework.planning.reports.overview import report
from framework.planning.reports.why import why
from framework.ports import Followed, MaterializeRequest, Pin
from framework.render.plan import plan_text
from framework.render.status import resource_text
from framework.render.why import why_text
from tests.builders import NOW
from tests.contract.repositories import Repository
from tests.world import DEPARTURES, DEPLOYMENT, JOB, TRAINING, VIEW, World, environment

EVERY = "  materialization: {every: 1m}\n"
NEW_DATA = "  retrain: {onNewData: true%s}\n"
BRANCH = "mlopsctl/retrain/classifier-1"
DIRECT = NEW_DATA % ", mode: direct"


def world_of(retrain: str, **more: str) -> World:
    files = {
        "mlops_specs/departures.yaml": DEPARTURES + EVERY,
        "mlops_specs/classifier.yaml": TRAINING + retrain,
        "mlops_specs/delay.yaml": DEPLOYMENT,
        **{f"mlops_specs/{stem}.yaml": text for stem, text in more.items()},
    }
    made = World(files)
    made.plane.values = lambda asked: holds(made, asked)
    made.run()
    made.ports.calls.clear()
    return made


def holds(world: World, asked: MaterializeRequest) -> str:
    return world.ports.sources.files["data/flights.csv"]


def later(world: World, content: str, steps: int = 12) -> None:
    world.ports.sources.files["data/flights.csv"] = content
    world.advance(61)
    world.steps(steps)


def merge(world: World, branch: str = BRANCH) -> None:
    """A person merges what was proposed."""
    source = world.ports.source
    world.files = {path: str(text) for path, text in source.files(source.resolve(branch)).items()}
    world.commit()


def trained(world: World) -> int:
    return [call.verb for call in world.ports.calls.made if "train-" in call.subject].count("runs.submit")


def told(world: World, reason: str) -> list[str]:
    return [event.message for event in world.ports.state.events(JOB, 10_000) if event.reason == reason]


def test_new_data_is_proposed_and_trains_nothing_before_the_merge() -> None:
    world = world_of(NEW_DATA % "")
    model = world.state(JOB)["version"]
    later(world, "v2")
    source = world.ports.source
    assert source.parent(source.resolve(BRANCH)) == world.head
    assert str(source.files(source.resolve(BRANCH))["mlops_specs/classifier.yaml"]).count("refresh: 1") == 1
    assert (trained(world), world.state(JOB)["version"]) == (0, model)
    assert len(told(world, "RetrainingAsked")) == 1
    assert f"proposed on branch {BRANCH}" in world.message(JOB)
    assert world.standing().converged, "the model that git asks for is in service"
    merge(world)
    world.run()
    assert trained(world) == 1
    assert world.state(JOB)["version"] == world.served() != model
    world.steps(20)
    assert trained(world) == 1


def test_a_revert_of_the_merge_goes_back_and_is_not_undone_by_the_trigger() -> None:
    world = world_of(NEW_DATA % "")
    before, model = dict(world.files), world.state(JOB)["version"]
    later(world, "v2")
    merge(world)
    world.run()
    world.files = before
    world.ports.calls.clear()
    world.commit()
    world.run()
    world.steps(20)
    assert (trained(world), world.served()) == (0, model)
    assert len(told(world, "RetrainingAsked")) == 1
    later(world, "v3")
    assert world.ports.source.has("mlopsctl/retrain/classifier-2"), "newer rows than those that were turned down"


def test_an_open_proposal_is_left_as_it_is_when_more_data_comes() -> None:
    world = world_of(NEW_DATA % "")
    later(world, "v2")
    first = world.ports.source.resolve(BRANCH)
    world.commit(departures=DEPARTURES + EVERY + "# a comment\n")
    later(world, "v3")
    assert world.ports.source.resolve(BRANCH) == first
    assert not world.ports.source.has("mlopsctl/retrain/classifier-2")
    assert world.standing().converged


def test_direct_commits_to_what_is_followed_and_the_loop_takes_it_up() -> None:
    world = world_of(DIRECT)
    model = world.state(JOB)["version"]
    later(world, "v2", steps=60)
    assert world.ports.source.resolve("main") != world.head
    assert (trained(world), world.status(JOB).commit) == (1, world.ports.source.resolve("main"))
    assert world.state(JOB)["version"] == world.served() != model
    assert "retraining is committed" not in world.message(JOB), "it is in force"


def test_where_nobody_can_commit_direct_is_refused_in_the_plan_and_trains_nothing() -> None:
    world = world_of(NEW_DATA % "")
    world.ports.source.followed = lambda: Followed("HEAD", "what is followed is checked out")  # type: ignore[method-assign]
    world.commit(classifier=TRAINING + DIRECT)
    change = next(one for one in world.plan().changes if one.ref == JOB)
    assert "retrain.mode: direct cannot commit: what is followed is checked out" in change.reason
    later(world, "v2")
    assert world.status(JOB).conditions.stalled.reason == "NoWriteAccess"
    assert world.status(JOB).conditions.ready.status, "the model serves all the same"
    assert not world.ports.source.has(BRANCH)


def test_a_field_that_an_environment_patches_is_not_raised_where_that_does_nothing() -> None:
    patch = "patches: [{target: {kind: TrainingJob, name: classifier}, patch: {dataset: {refresh: 4}}}]"
    world = world_of(DIRECT, local=environment(patch))
    later(world, "v2")
    assert "dataset.refresh of TrainingJob/classifier is set elsewhere" in world.message(JOB)
    assert world.ports.source.resolve("main") == world.head


def test_a_suspended_environment_asks_for_nothing_until_it_is_lifted() -> None:
    world = world_of(NEW_DATA % "", local=environment("suspend: false"))
    world.commit(local=environment("suspend: true"))
    world.steps(3)
    published = world.state(VIEW)
    world.commit(local=environment("suspend: false"))
    world.steps(2)
    world.ports.sources.files["data/flights.csv"] = "v2"
    world.advance(61)
    world.steps(3)
    assert world.state(VIEW) != published
    assert world.ports.source.has(BRANCH)
    other = world_of(NEW_DATA % "", local=environment("suspend: false"))
    other.ports.sources.files["data/flights.csv"] = "v2"
    other.advance(61)
    while other.state(VIEW)["published"]["version"] == 0:
        other.reconciler.reconcile(VIEW, other.source.desired[VIEW])
        other.advance()
    other.commit(local=environment("suspend: true"))
    other.steps(3)
    assert not other.ports.source.has(BRANCH)
    assert "the environment is suspended" in other.message(JOB)
    other.commit(local=environment("suspend: false"))
    other.steps(3)
    assert other.ports.source.has(BRANCH)


def test_under_a_pin_nothing_is_asked_for() -> None:
    world = world_of(NEW_DATA % "")
    first = world.head
    over = world.commit(classifier=TRAINING.replace("min: 0.6", "min: 0.61") + NEW_DATA % "")
    world.run()
    world.ports.state.set_pin(Pin(commit=first, over=over, actor="op", time=world.now))
    world.steps(3)
    later(world, "v2")
    assert not world.ports.source.has(BRANCH)
    assert "a rollback is in force" in world.message(JOB)
    world.ports.state.set_pin(None)
    world.steps(3)
    assert world.ports.source.has(BRANCH)


SCHEDULE = '  retrain: {schedule: "0 * * * *"}\n'


def test_a_due_time_on_equal_rows_trains_nothing_and_everything_tells_so() -> None:
    world = world_of(SCHEDULE)
    world.advance(3600)
    world.steps(3)
    assert (trained(world), world.ports.source.has(BRANCH)) == (0, False)
    assert len(told(world, "NothingDiffers")) == 1
    records = world.ports.state.records()
    found = report("local", world.source.desired, records, (), world.now)
    row = next(one for one in found.rows if one.ref == JOB)
    assert row.sync is Sync.SYNCED
    for text in (resource_text(row, world.now, width=500), why_text(why(JOB, found.rows), width=500)):
        assert "retrains next 2026-03-01 14:00 UTC by schedule (0 * * * * UTC) if rows differ" in text
        assert "due 2026-03-01 13:00 UTC by schedule (0 * * * * UTC): nothing differed, so nothing was trained" in text


def test_a_controller_that_was_down_asks_once_for_all_that_it_missed() -> None:
    world = world_of(SCHEDULE.replace("}", ", onDrift: []}"))
    world.ports.sources.files["data/flights.csv"] = "v2"
    world.now += timedelta(days=3)
    world.restart(world.ports)
    world.steps(20)
    assert len(told(world, "RetrainingAsked")) == 1
    assert world.ports.source.has(BRANCH)


def test_a_second_look_writes_nothing() -> None:
    world = world_of(SCHEDULE)
    world.steps(2)
    before = world.ports.state.records()
    world.steps(5)
    assert world.ports.state.records() == before


def test_a_due_time_is_planned_before_it_is_done() -> None:
    world = world_of(NEW_DATA % "")
    world.ports.sources.files["data/flights.csv"] = "v2"
    world.advance(61)
    while world.state(VIEW)["published"]["version"] == 0:
        world.reconciler.reconcile(VIEW, world.source.desired[VIEW])
        world.advance()
    text = plan_text(world.plan(), width=200)
    assert f"propose on branch {BRANCH} that dataset.refresh of TrainingJob/classifier is 1" in text


def crashed(retrain: str, call: int, *, after: bool) -> tuple[World, list[str]]:
    """A world in which newer data came, and whose controller was killed at its so-manieth changing call from then on
    (0: not at all), and started again; and the changing calls."""
    world, faults = world_of(retrain), FaultInjector()
    ports = faults.around(world.ports)
    world.restart(ports)
    world.ports.sources.files["data/flights.csv"] = "v2"
    world.advance(61)
    if call:
        faults.crash_at(call, after=after)
    try:
        world.steps(60)
    except Crash:
        faults.revive()
        world.restart(ports)
        world.steps(60)
    return world, faults.changing


@pytest.mark.parametrize("retrain", [NEW_DATA % "", DIRECT])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_around_the_commit_asks_once_and_tells_once(retrain: str, after: bool) -> None:
    calm, calls = crashed(retrain, 0, after=after)
    made = calls.index("writer.propose") + 1
    assert len(told(calm, "RetrainingAsked")) == 1
    for call in range(made - 2, made + 3):
        world, _ = crashed(retrain, call, after=after)
        assert told(world, "RetrainingAsked") == told(calm, "RetrainingAsked"), call
        assert trained(world) == trained(calm), call
        found = [dict(one.ports.source.files(one.ports.source.resolve("main"))) for one in (world, calm)]
        assert found[0] == found[1], call
        assert [one["refresh"] for one in world.state(JOB)["triggers"]["asked"]] == [1], call


def test_a_remote_that_is_away_is_tried_again_and_forgets_no_due_time() -> None:
    world = world_of(NEW_DATA % "")
    faults = FaultInjector()
    world.restart(faults.around(world.ports))
    faults.fail_on("writer.propose", TransientError("the remote cannot be reached"), times=3)
    later(world, "v2")
    assert world.ports.source.has(BRANCH)
    assert len(told(world, "RetrainingAsked")) == 1


def test_drift_of_a_monitor_asks_and_gpu_hours_are_counted() -> None:
    monitor = """
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec: {deployment: delay, window: 5m, drift: {threshold: 0.2}}
"""
    budget = ", budget: {gpuHours: 10, runs: 3}"
    text = TRAINING + f"  resources: {{gpusPerWorker: 2}}\n  retrain: {{onDrift: [watch]{budget}}}\n"
    world = world_of("", watch=monitor)
    world.commit(classifier=text)
    world.run()
    later(world, "v2")
    assert not world.ports.source.has(BRANCH)
    _drifts(world)
    world.steps(2)
    assert "ModelMonitor/watch sees drift: two columns" in told(world, "RetrainingAsked")[0]
    world.plane.seconds = lambda run: 3600.0 if run.name.startswith("train") else 0.0
    merge(world)
    world.pass_()
    world.ports.runs.start(next(run.name for run in world.ports.runs.active()))
    world.steps(10, seconds=600)
    asked = world.state(JOB)["triggers"]["asked"]
    assert [round(one["gpu_hours"], 1) for one in asked] == [2.3]
    assert "1 of 3 runs and 2.33 of 10 GPU-hours used in 7d" in world.message(JOB)


@pytest.mark.parametrize("mode", ["pullRequest", "direct"])
def test_in_a_real_repository_a_commit_is_made_and_taken_up(mode: str, tmp_path: Path) -> None:
    """Nothing but the cluster is in memory. People work in the same repository, on a branch of their own."""
    world = world_of(NEW_DATA % f", mode: {mode}")
    repository = Repository(tmp_path)
    repository.commit(world.files)
    repository.git("checkout", "--quiet", "-b", "ada")
    source = GitSource(tmp_path)
    writer = GitWriter(source, LocalBranches(source), lambda: NOBODY, lambda: NOW, revision="main")
    world.ports = replace(world.ports, source=source, writer=writer)  # type: ignore[arg-type]
    base = repository.git("rev-parse", "main")
    world.ports.calls.clear()
    world.restart(world.ports)
    later(world, "v2", steps=60)
    branch = "main" if mode == "direct" else BRANCH
    made = repository.git("rev-parse", branch)
    assert repository.git("rev-parse", f"{branch}~1") == base
    lines = repository.git("diff", "--unified=0", base, made).splitlines()
    assert [line for line in lines if line.startswith(("+", "-")) and line[1] != line[0]] == ["+    refresh: 1"]
    assert repository.git("show", "--no-patch", "--format=%B", made).splitlines()[-1] == "Proposed-By: mlopsctl"
    assert repository.git("status", "--porcelain") == ""
    if mode == "pullRequest":
        assert trained(world) == 0
        repository.git("update-ref", "refs/heads/main", made)
        world.steps(60)
    assert (trained(world), world.status(JOB).commit) == (1, made)
    assert world.served() == world.state(JOB)["version"]
    files = {path: str(text) for path, text in repository.files(base).items()}
    repository.commit(files, "Revert it")
    world.steps(60)
    assert trained(world) == 1
    assert repository.git("rev-parse", "main~1") == made, "a revert stands"


def _drifts(world: World) -> None:
    """A window of the monitor was judged, and an episode began."""
    record = world.ports.state.load(Ref("ModelMonitor", "watch"))
    assert record is not None
    episode = {"id": "watch-drift-1", "since": world.now.isoformat(), "title": "two columns"}
    state: dict[str, Any] = {**record.status["state"], "episodes": {"drift": episode}}
    world.ports.state.save(record.model_copy(update={"status": {**record.status, "state": state}}), world.token)
