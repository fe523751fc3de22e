"""What a branch would train is trained beside the environment, which stays as it is; a merge finds what was built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controllers.commands.preview import branch, preview
from controllers.commands.project import Project
from controllers.host.wiring import asides
from controllers.settings import Settings
from framework.kinds.feature_view.observed import FeatureViewState
from framework.planning.reports.preview import PreviewedJob, PreviewOutcome, PreviewReport, PreviewVerdict
from framework.ports import RunPhase
from tests.controllers.test_builds import OVER
from tests.controllers.test_builds import PROJECT as OVER_A_VIEW
from tests.controllers.test_passes import project
from tests.world import ANOTHER, BETTER, DEPARTURES, JOB, TRAINING, VIEW, World, environment, reconciled

COMPUTED = DEPARTURES + '  transform: {sql: "SELECT * FROM flights"}\n'
STRICT = TRAINING.replace("min: 0.6", "min: 0.9")


def opened(world: World, **settings: Any) -> Project:
    made = project(world)
    return replace(
        made, clock=world.clock, aside=asides(Settings(Path("/project")), world.clock),
        settings=replace(made.settings, **settings),
    )  # fmt: skip


def branched(world: World, **files: str | None) -> tuple[str, str]:
    """Base and head: ``main`` stays where it is, but for the commit."""
    before = {stem: world.files.get(f"mlops_specs/{stem}.yaml") for stem in files}
    head = world.commit(**files)
    return world.commit(**before), head


def tried(
    world: World,
    commits: tuple[str, str],
    *,
    minutes: float = 60,
    meanwhile: Callable[[], object] = lambda: None,
    **settings: Any,
) -> PreviewReport:
    """``meanwhile`` happens each time it waits."""

    def pause(seconds: float) -> None:
        meanwhile()
        world.advance(1.0)

    made = opened(world, **settings)
    return preview(
        made, branch(made, *commits), timeout=timedelta(minutes=minutes), pause=pause,
        steady=lambda: world.now.timestamp(),
    )  # fmt: skip


def stands(world: World) -> dict[str, Any]:
    """All that the environment remembers, and what readers and callers of it meet."""
    ports = world.ports
    records = ports.state.records()
    published = [
        state.uri
        for record in records
        if record.ref.kind == "FeatureView"
        and (state := FeatureViewState.model_validate(record.status["state"]).published)
    ]
    return {
        "records": [record.model_dump() for record in records],
        "lease": ports.state.lease(),
        "revisions": ports.state.revisions(),
        "events": ports.state.events(limit=10_000),
        "versions": ports.registry.versions(JOB.name),
        "apps": ports.serving.apps("delay"),
        "weights": world.weights(),
        "tables": {uri: ports.tables.versions(uri) for uri in published},
    }


def submitted(world: World) -> list[str]:
    return [call.subject for call in world.ports.calls.made if call.verb == "runs.submit"]


def merged(world: World, rounds: int = 12, **files: str | None) -> None:
    world.ports.calls.clear()
    world.commit(**files)
    world.steps(rounds)


def job(report: PreviewReport) -> PreviewedJob:
    (found,) = report.jobs
    return found


def test_nothing_changes_but_that_a_model_is_there_and_the_merge_trains_nothing() -> None:
    world = reconciled()
    commits, live = branched(world, classifier=BETTER), world.served()
    world.ports.calls.clear()
    before = stands(world)
    report = tried(world, commits)
    after = stands(world)
    assert {key: after[key] for key in before if after[key] != before[key]} == {}
    assert {call.verb for call in world.ports.calls.made} <= {"runs.submit", "code.ensure"}
    (run,) = submitted(world)
    assert run.startswith("train-classifier-")
    found = job(report)
    assert report.verdict is PreviewVerdict.PASSED
    assert (report.views, report.built) == ((), (JOB,))
    assert found.outcome is PreviewOutcome.BUILT
    assert found.model is not None
    assert found.beside is not None
    assert (found.beside.role, found.beside.row.model.version, found.beside.same_rows) == ("live", live, True)
    assert [(one.name, one.value, one.other) for one in found.figures] == [("auc", 0.7, 0.7)]
    assert [gate["passed"] for gate in found.gates] == [True]
    assert [(diff.path, diff.before, diff.after) for diff in found.diffs] == [("trainer.lightgbm.rounds", 50, 80)]
    assert found.cost is not None
    assert found.cost.cpus == 1.0

    merged(world, classifier=BETTER)
    assert submitted(world) == []
    assert world.built(world.head) == found.model.model.version
    assert world.status(JOB).state["version"] == found.model.model.version
    assert "RunStarted" not in [
        event.reason for event in world.ports.state.events(JOB, 10_000) if event.commit == world.head
    ]


def test_the_live_model_is_asked_the_same_rows_though_no_gate_wants_that() -> None:
    world = reconciled()
    commits, live = branched(world, classifier=BETTER), world.served()
    tried(world, commits)
    payload = world.ports.runs.spec(submitted(world)[-1].rpartition("-")[0]).payload
    assert payload["champion"]["version"] == live
    assert payload["compare"] is True
    assert payload["live_task"] == "binary"


def test_a_first_model_is_compared_with_nothing() -> None:
    world = World()
    commits = branched(world, classifier=BETTER)
    report = tried(world, commits)
    assert report.verdict is PreviewVerdict.PASSED
    assert job(report).beside is None
    assert [view.outcome for view in report.views] == [PreviewOutcome.BUILT]
    assert world.ports.state.records() == ()
    assert world.ports.registry.versions(JOB.name) == []


def test_a_gate_that_is_not_passed_fails_the_preview_and_says_what_it_wanted() -> None:
    world = reconciled()
    report = tried(world, branched(world, classifier=STRICT.replace("rounds: 50", "rounds: 80")))
    assert report.verdict is PreviewVerdict.FAILED
    assert "1 gate failed: TrainingJob/classifier: auc = 0.7000, bar >= 0.9" in report.conclusion
    assert job(report).outcome is PreviewOutcome.BUILT


@pytest.mark.parametrize(
    ("text", "verdict"), [(STRICT, PreviewVerdict.FAILED), (TRAINING.replace("0.6}", "0.65}"), None)]
)
def test_other_gates_judge_the_build_that_is_there(text: str, verdict: PreviewVerdict | None) -> None:
    world = reconciled()
    assert text != TRAINING
    commits = branched(world, classifier=text)
    world.ports.calls.clear()
    report = tried(world, commits)
    assert submitted(world) == []
    assert job(report).outcome is PreviewOutcome.THERE
    assert [one.value for one in job(report).figures] == [0.7]
    assert report.verdict is (verdict or PreviewVerdict.PASSED)
    if verdict is None:
        assert report.conclusion.startswith("nothing to train: all builds exist")


def test_the_second_preview_trains_nothing_and_says_the_same() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    first = job(tried(world, commits))
    world.ports.calls.clear()
    again = tried(world, commits)
    assert submitted(world) == []
    assert "all builds exist" in again.conclusion
    assert (job(again).figures, job(again).gates) == (first.figures, first.gates)


def test_a_branch_that_changes_no_model_has_nothing_to_show() -> None:
    world = reconciled()
    report = tried(world, branched(world, local=environment("quotas: {cpus: 16}")))
    assert (report.views, report.jobs, report.verdict) == ((), (), PreviewVerdict.PASSED)
    assert report.conclusion == "the branch changes no feature view and no training job"


def test_a_view_that_changes_is_computed_where_a_merge_finds_it() -> None:
    world = reconciled()
    commits = branched(world, departures=COMPUTED)
    world.ports.calls.clear()
    before = stands(world)
    report = tried(world, commits)
    assert stands(world) == before
    (view,) = report.views
    assert (view.ref, view.outcome, view.apart, view.rows) == (VIEW, PreviewOutcome.BUILT, False, 1000)
    assert sorted(run.partition("-")[0] for run in submitted(world)) == ["features", "train"]
    merged(world, departures=COMPUTED)
    assert submitted(world) == []
    assert world.status(VIEW).state["published"]["build"] == view.build


def test_a_view_whose_folder_readers_have_is_computed_in_another_one() -> None:
    """Only what it reads changes, so its recipe stays, and with it the folder that a monitor reads the newest of."""
    world = World(OVER_A_VIEW)
    world.run()
    text = OVER_A_VIEW["mlops_specs/departures.yaml"] + '  transform: {sql: "SELECT * FROM flights"}\n'
    commits = branched(world, departures=text)
    world.ports.calls.clear()
    before = stands(world)
    report = tried(world, commits)
    assert stands(world) == before
    views = {view.ref: view for view in report.views}
    assert (views[VIEW].apart, views[OVER].apart) == (False, True)
    assert job(report).outcome is PreviewOutcome.BUILT
    assert len(submitted(world)) == 3


def test_where_the_view_apart_comes_to_the_same_rows_the_merge_computes_it_and_trains_nothing() -> None:
    world = World(OVER_A_VIEW)
    world.plane.values = lambda asked: "the same"
    world.run()
    text = OVER_A_VIEW["mlops_specs/departures.yaml"] + '  transform: {sql: "SELECT * FROM flights"}\n'
    better = OVER_A_VIEW["mlops_specs/classifier.yaml"].replace("rounds: 50", "rounds: 80")
    commits = branched(world, departures=text, classifier=better)
    found = job(tried(world, commits))
    assert found.outcome is PreviewOutcome.BUILT
    merged(world, departures=text, classifier=better)
    assert [run for run in submitted(world) if run.startswith("train-")] == []
    assert found.model is not None
    assert world.status(JOB).state["version"] == found.model.model.version


def test_a_view_that_is_as_it_was_is_not_looked_at_again() -> None:
    """It would follow its sources, and publish for everybody."""
    world = World({**OVER_A_VIEW})
    world.run()
    world.ports.sources.files["data/flights.csv"] = "newer"
    world.advance(120)
    better = OVER_A_VIEW["mlops_specs/classifier.yaml"].replace("rounds: 50", "rounds: 80")
    commits = branched(world, classifier=better)
    world.ports.calls.clear()
    report = tried(world, commits)
    assert report.views == ()
    assert [run.partition("-")[0] for run in submitted(world)] == ["train"]


def test_a_controller_at_work_neither_stops_it_nor_takes_it_for_its_own() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    world.pass_()
    world.ports.calls.clear()
    world.plane.seconds = lambda run: 20.0
    before = [record.model_dump(exclude={"version"}) for record in world.ports.state.records()]
    report = tried(world, commits, meanwhile=world.pass_)
    assert report.verdict is PreviewVerdict.PASSED
    assert [call.verb for call in world.ports.calls.made if call.verb in {"runs.stop", "registry.register"}] == []
    assert len(submitted(world)) == 1
    assert [record.model_dump(exclude={"version"}) for record in world.ports.state.records()] == before
    assert world.standing().converged


def test_what_a_controller_trains_meanwhile_goes_on() -> None:
    world = reconciled()
    world.commit(classifier=ANOTHER)
    world.plane.seconds = lambda run: 30.0
    world.steps(2)
    (theirs,) = world.ports.runs.active()
    report = tried(world, branched(world, classifier=BETTER))
    assert job(report).outcome is PreviewOutcome.BUILT
    assert world.ports.runs.observe(theirs.storage, theirs.name).phase is RunPhase.SUCCEEDED
    assert "runs.stop" not in [call.verb for call in world.ports.calls.made]


def test_a_merge_while_it_trains_waits_for_the_same_run() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    world.plane.seconds = lambda run: 20.0
    world.ports.calls.clear()
    times = iter(range(1000))

    def meanwhile() -> None:
        if next(times) == 5:
            world.commit(classifier=BETTER)
        world.pass_()

    report = tried(world, commits, meanwhile=meanwhile)
    world.steps(5)
    assert len(set(submitted(world))) == 1
    assert world.status(JOB).state["version"] == job(report).model.model.version  # type: ignore[union-attr]
