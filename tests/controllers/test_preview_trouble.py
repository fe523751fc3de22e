"""A preview where something fails, waits, is refused, or cannot be read: it says so, and still changes nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from controllers.cli.main import cli
from controllers.commands.preview import branch, preview
from controllers.commands.rehearsal import AsideRuns, AsideTables
from framework.api import layout
from framework.api.errors import ConfigurationError, SpecError, TerminalError
from framework.api.meta import Ref
from framework.planning.reports.preview import PreviewOutcome, PreviewReport, PreviewVerdict
from framework.ports import Capacity, FailureKind
from tests.controllers.test_preview import COMPUTED, STRICT, branched, job, opened, submitted, tried
from tests.unit.render.preview_samples import GOOD, PREVIEW
from tests.unit.render.test_preview import UNFINISHED
from tests.world import ANOTHER, BETTER, DEPARTURES, TRAINING, VIEW, World, environment, reconciled


def ending(world: World, kind: FailureKind, reason: str, message: str) -> Callable[[], None]:
    """The next run that is under way ends like this."""
    told: list[str] = []

    def fail() -> None:
        for run in world.ports.runs.active():
            if not told:
                told.append(run.name)
                world.ports.runs.fail(run.name, kind, reason, message)

    return fail


def test_a_run_that_fails_is_told_with_its_reason_and_place() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    world.ports.calls.clear()
    failing = ending(world, FailureKind.USER, "EntrypointFailed", "ValueError: no (trainers.py:7 in fit)")
    report = tried(world, commits, meanwhile=failing)
    found = job(report)
    assert (report.verdict, found.outcome) == (PreviewVerdict.FAILED, PreviewOutcome.FAILED)
    assert (found.reason, found.file) == ("EntrypointFailed", "mlops_specs/classifier.yaml")
    assert "trainers.py:7" in found.message
    assert "could not be built: TrainingJob/classifier" in report.conclusion
    assert len(submitted(world)) == 1


def test_what_cannot_be_trained_because_its_view_fails_is_told() -> None:
    world = reconciled()
    commits = branched(world, departures=COMPUTED)
    report = tried(world, commits, meanwhile=ending(world, FailureKind.USER, "ExpectationFailed", "17 rows"))
    assert [view.reason for view in report.views] == ["ExpectationFailed"]
    assert job(report).outcome is PreviewOutcome.FAILED
    assert job(report).message == "waits for FeatureView/departures"


def test_a_lost_run_is_tried_again() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    world.ports.calls.clear()
    report = tried(world, commits, meanwhile=ending(world, FailureKind.INFRASTRUCTURE, "RunLost", "gone"))
    assert report.verdict is PreviewVerdict.PASSED
    assert [run.rpartition("-")[2] for run in submitted(world)] == ["1", "2"]


def test_who_waits_no_longer_leaves_the_run_to_the_next_preview() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    world.plane.seconds = lambda run: 600.0
    world.ports.calls.clear()
    first = tried(world, commits, minutes=1)
    assert (first.verdict, job(first).outcome) == (PreviewVerdict.UNFINISHED, PreviewOutcome.UNDER_WAY)
    assert "goes on: TrainingJob/classifier" in first.conclusion
    second = tried(world, commits)
    assert (second.verdict, job(second).outcome) == (PreviewVerdict.PASSED, PreviewOutcome.BUILT)
    assert len(submitted(world)) == 1


def test_a_suspended_environment_trains_nothing() -> None:
    world = reconciled()
    world.commit(local=environment("suspend: true"))
    commits = branched(world, classifier=BETTER)
    world.ports.calls.clear()
    report = tried(world, commits)
    assert submitted(world) == []
    assert (report.verdict, job(report).reason) == (PreviewVerdict.FAILED, "Suspended")


def test_the_quota_of_the_environment_counts_what_it_trains_itself() -> None:
    world = reconciled(local=environment("quotas: {runs: 1}"))
    world.commit(classifier=ANOTHER)
    world.plane.seconds = lambda run: 60.0
    world.steps(2)
    assert len(world.ports.runs.active()) == 1
    together: list[int] = []

    def meanwhile() -> None:
        world.pass_()
        together.append(len(world.ports.runs.active()))

    other = TRAINING.replace("name: classifier", "name: second").replace("rounds: 50", "rounds: 51")
    report = tried(world, branched(world, second=other), meanwhile=meanwhile)
    assert report.verdict is PreviewVerdict.PASSED
    assert report.seconds > 100
    assert max(together) == 1


def test_it_waits_for_room_on_the_cluster() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    world.ports.runs.cluster = Capacity({"CPU": 2.0}, {"CPU": 0.0})
    begun = world.now

    def free() -> None:
        if world.now - begun > timedelta(minutes=2):
            world.ports.runs.cluster = Capacity({"CPU": 2.0}, {"CPU": 2.0})

    report = tried(world, commits, meanwhile=free)
    assert report.verdict is PreviewVerdict.PASSED
    assert report.seconds > 120


def test_what_would_be_refused_is_not_trained() -> None:
    world = reconciled()
    commits = branched(world, departures=DEPARTURES.replace("    - {name: distance, dtype: Float64}\n", ""))
    world.ports.calls.clear()
    with pytest.raises(SpecError):
        tried(world, commits)
    assert submitted(world) == []


def test_only_signed_branches_run_where_signatures_are_demanded() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    with pytest.raises(ConfigurationError, match="signature of an allowed signer is required"):
        tried(world, commits, allowed_signers=Path("/signers"))
    with pytest.raises(ConfigurationError, match="only signed commits"):
        tried(world, (commits[0], "worktree"), allowed_signers=Path("/signers"), revision="HEAD")


def test_a_record_that_cannot_be_read_is_no_reason_to_write_where_its_readers_are() -> None:
    world = reconciled()
    commits = branched(world, classifier=BETTER)
    uri = layout.feature_table("memory://store", VIEW.name, world.read(commits[0]).desired[VIEW].recipe)
    tables = world.ports.tables.versions(uri)
    assert tables
    world.ports.state.damage_record(VIEW, "no JSON")
    report = tried(world, commits)
    assert [view.apart for view in report.views] == [True]
    assert report.verdict is PreviewVerdict.PASSED
    assert world.ports.tables.versions(uri) == tables


def test_only_what_it_started_is_stopped_and_nothing_deleted() -> None:
    world = World()
    world.pass_()
    (run,) = world.ports.runs.active()
    AsideRuns(world.ports.runs, lambda: None, lambda asked: asked).stop(run.storage, run.name)
    assert world.ports.runs.active() == (run,)
    with pytest.raises(TerminalError, match="a preview deletes nothing"):
        AsideTables(world.ports.tables).delete("memory://store/features/departures/a")


def test_the_cluster_is_prepared_once_and_only_where_something_runs() -> None:
    world = reconciled()
    made, prepared = opened(world), list[str]()

    def run(commits: Iterable[str]) -> None:
        preview(
            made, branch(made, *commits), timeout=timedelta(minutes=5), prepare=lambda: prepared.append("started"),
            pause=lambda seconds: world.advance(1.0), steady=lambda: world.now.timestamp(),
        )  # fmt: skip

    run(branched(world, classifier=STRICT))
    assert prepared == []
    run(branched(world, classifier=BETTER, other=TRAINING.replace("name: classifier", "name: other")))
    assert prepared == ["started"]
    assert Ref("TrainingJob", "other") not in {record.ref for record in world.ports.state.records()}


@pytest.mark.parametrize(
    ("report", "output", "code", "words"),
    [
        (GOOD, "text", 0, "every gate is passed"),
        (PREVIEW, "json", 1, '"verdict": "failed"'),
        (UNFINISHED, "markdown", 3, "<!-- mlopsctl preview -->"),
    ],
)
def test_the_exit_code_says_what_it_came_to(
    monkeypatch: pytest.MonkeyPatch, report: PreviewReport, output: str, code: int, words: str
) -> None:
    asked: list[Any] = []

    def previewed(made: object, commits: object, **more: Any) -> PreviewReport:
        asked.append((commits, more["timeout"]))
        return report

    monkeypatch.setattr("controllers.cli.session.project_of", lambda options, **more: opened(World()))
    monkeypatch.setattr("controllers.commands.preview.branch", lambda made, base, head: (base, head))
    monkeypatch.setattr("controllers.commands.preview.preview", previewed)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    done = CliRunner().invoke(cli, ["preview", "--base", "b", "--timeout", "5m", "--output", output, "--quiet"])
    assert done.exit_code == code, done.output
    assert words in done.stdout
    assert asked == [(("b", "main"), timedelta(minutes=5))]
