"""The plan against what runs: the same functions as a pass, told with what they come from and what they come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from controllers.cli import session
from controllers.cli.main import cli
from controllers.commands.project import Project
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, Plan, Verb
from framework.planning.plan.estimate import FIRST_ANSWER
from framework.planning.plan.explained import EXISTS
from framework.ports import Capacity, Pin
from framework.render.markdown import plan_markdown
from framework.render.plan import plan_text
from framework.render.plan_document import plan_from_json, plan_json
from tests.controllers.test_passes import project as passes_project
from tests.world import BETTER, DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, PROJECT, TRAINING, VIEW, World, environment

WIDE = DEPARTURES + "    - {name: origin, dtype: String}\n"
TWO = Ref("ModelDeployment", "two")


def project(world: World, **settings: Any) -> Project:
    """On the world's own clock."""
    made = passes_project(world)
    return replace(made, settings=replace(made.settings, **settings), clock=world.clock)


def plan(world: World, **settings: Any) -> Plan:
    found = project(world, **settings).plan()
    text = plan_json(found)
    assert plan_from_json(text) == found
    return found


def changes(found: Plan) -> dict[Ref, Change]:
    return {change.ref: change for change in found.changes}


def words(found: Plan) -> dict[Ref, tuple[str, str]]:
    return {change.ref: (change.verb.value, change.category.label) for change in found.changes}


def run(world: World, seconds: float = 30.0) -> None:
    """Until nothing moves; a run takes so long."""
    world.plane.seconds = lambda run: seconds
    world.run()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def running(world: World) -> World:
    run(world)
    return world


# ------------------------------------------------------------------- what changes


def test_a_first_plan_creates_everything_and_knows_no_durations(world: World) -> None:
    found = plan(world)
    assert words(found) == {
        VIEW: ("Create", "Materialize"),
        JOB: ("Create", "Retrain"),
        ENDPOINT: ("Create", "Redeploy"),
    }
    assert changes(found)[JOB].waits_for == (VIEW,)
    assert (found.base, found.refusals) == ("", ())
    assert found.forecast is not None
    assert [(item.ref, item.stage, item.seconds) for item in found.forecast.work] == [
        (VIEW, 1, None),
        (JOB, 2, None),
        (ENDPOINT, 3, FIRST_ANSWER),
    ]
    assert found.forecast.seconds is None


def test_a_converged_environment_has_nothing_to_do(running: World) -> None:
    found = plan(running)
    assert set(words(found).values()) == {("NoOp", "NoOp")}
    assert found.base == found.commit == running.head
    assert found.forecast is not None
    assert (found.forecast.work, found.forecast.seconds, found.forecast.endpoints) == ((), 0.0, ())


def test_what_waits_for_others_is_shown_as_what_becomes_of_it_and_why(running: World) -> None:
    base = running.head
    running.commit(classifier=BETTER)
    found = plan(running)
    assert words(found) == {
        VIEW: ("NoOp", "NoOp"),
        JOB: ("Update", "Retrain"),
        ENDPOINT: ("Update", "Redeploy"),
    }
    assert changes(found)[ENDPOINT].causes == (JOB,)
    assert changes(found)[ENDPOINT].waits_for == (JOB,)
    assert found.base == base


def test_durations_come_from_what_ran_and_rollouts_from_their_spec(running: World) -> None:
    running.commit(classifier=BETTER)
    forecast = plan(running).forecast
    assert forecast is not None
    # A run of 30 s is seen ended when somebody looks: the world looks once a second.
    train, roll = forecast.work
    assert (train.ref, train.what, train.basis) == (JOB, "train", "its only run")
    assert train.seconds == pytest.approx(30.0, abs=2)
    assert (roll.ref, roll.what, roll.seconds) == (ENDPOINT, "roll out", 20.0)
    assert forecast.seconds == (train.seconds or 0) + 20.0


def test_labels_alone_are_an_update_that_runs_nothing(running: World) -> None:
    running.commit(delay=DEPLOYMENT.replace("{name: delay}", "{name: delay, owner: us}"))
    found = plan(running)
    assert words(found)[ENDPOINT] == ("Update", "Metadata")
    assert changes(found)[ENDPOINT].diffs[0].path == "metadata.owner"
    assert found.forecast is not None
    assert (found.forecast.work, found.forecast.endpoints) == ((), ())


def test_going_back_to_what_exists_builds_nothing(running: World) -> None:
    running.commit(departures=DEPARTURES + "    - {name: origin, dtype: String}\n")
    run(running)
    running.commit(departures=DEPARTURES)
    found = plan(running)
    assert words(found)[VIEW] == ("Update", "Metadata")
    assert words(found)[JOB] == ("Update", "Metadata")
    assert changes(found)[VIEW].reason == EXISTS
    assert changes(found)[JOB].causes == (VIEW,)
    assert found.forecast is not None
    assert [item.what for item in found.forecast.work] == ["roll out"]
    assert found.refusals == ()


def test_a_commit_that_is_taken_up_but_not_done_is_under_way(running: World) -> None:
    running.commit(classifier=BETTER)
    running.pass_()
    found = plan(running)
    assert found.base == found.commit
    assert words(found)[JOB] == ("Wait", "Retrain")
    assert found.forecast is not None
    assert [item.ref for item in found.forecast.work if item.what == "train"] == [JOB]


def test_what_was_rejected_is_not_shown_as_coming(running: World) -> None:
    stable = next(iter(running.weights()))
    running.error_rate = lambda app: 0.0 if app == stable else 0.3
    running.commit(classifier=BETTER)
    run(running)
    found = plan(running)
    assert changes(found)[ENDPOINT].verb is Verb.WAIT
    assert found.forecast is not None
    assert found.forecast.work == ()


def test_a_dropped_table_is_materialised_again_without_a_change_in_git(running: World) -> None:
    table = running.state(VIEW)["published"]["uri"]
    running.ports.tables.delete(table)
    found = plan(running)
    assert words(found)[VIEW] == ("Update", "Materialize")
    assert changes(found)[VIEW].causes == ()


def test_a_changed_environment_is_a_change(running: World) -> None:
    running.commit(local=environment("deletion: {maxShare: 0.9}"))
    found = plan(running)
    assert words(found)[Ref("Environment", "local")] == ("Update", "Metadata")


# ------------------------------------------------------------------- who notices, and on what it runs


def test_endpoints_with_their_share_of_what_the_routers_counted(running: World) -> None:
    running.commit(classifier=BETTER)
    endpoint = _only(plan(running).forecast)
    assert (endpoint.ref, endpoint.route, endpoint.share, endpoint.first_weight) == (ENDPOINT, "/delay", 1.0, 10)


def test_the_share_is_that_among_all_endpoints() -> None:
    two = DEPLOYMENT.replace("name: delay", "name: two").replace("/delay", "/two").replace("classifier", "other")
    other = TRAINING.replace("name: classifier", "name: other")
    world = World(PROJECT | {"mlops_specs/two.yaml": two, "mlops_specs/other.yaml": other})
    run(world)
    world.ports.serving.send(TWO.name, 10_000_000)
    world.commit(classifier=BETTER)
    endpoint = _only(plan(world).forecast)
    assert endpoint.ref == ENDPOINT
    assert endpoint.share is not None
    assert 0.0 < endpoint.share < 0.5


def _only(forecast: Any) -> Any:
    (endpoint,) = forecast.endpoints
    return endpoint


def test_it_says_whether_the_cluster_has_what_is_needed(running: World) -> None:
    running.commit(classifier=BETTER + "  resources: {workers: 4, gpusPerWorker: 1}\n")
    running.ports.runs.cluster = Capacity({"CPU": 16.0, "GPU": 2.0}, {"CPU": 15.0, "GPU": 2.0})
    forecast = plan(running).forecast
    assert forecast is not None
    assert (forecast.extra_gpus, forecast.extra_cpus) == (4.0, 4.0)
    assert forecast.lacking == ("4 GPUs at the peak, and the cluster has 2",)
    assert forecast.gpu_hours == pytest.approx(4 * 30 / 3600, rel=0.1)


def test_what_no_node_is_labelled_for_waits_with_the_reason(running: World) -> None:
    running.commit(classifier=BETTER + "  resources: {labels: {pool: training}}\n")
    running.ports.runs.cluster = Capacity({"CPU": 9.0}, {"CPU": 9.0}, {}, (), ({"pool": "serving"},))
    found = plan(running)
    assert words(found)[JOB] == ("Wait", "Retrain")
    assert changes(found)[JOB].reason == "no node of the cluster has pool: training (pool is serving)"


def test_what_has_no_room_now_says_so_where_it_stands(running: World) -> None:
    (app,) = running.ports.serving.apps("delay")
    full = Capacity({"CPU": 2.0}, {"CPU": 0.8}, {f"app:{app}": {"CPU": 0.5}, "route:delay": {"CPU": 0.1}})
    running.commit(classifier=BETTER)
    running.ports.runs.cluster = full
    found = plan(running)
    assert words(found)[JOB] == ("Wait", "Retrain")
    assert changes(found)[JOB].reason.startswith(
        "needs 1 CPU; 0.8 of 2 CPUs are free (ModelDeployment/delay holds 0.6, somebody"
    )
    assert "does not fit: 1 CPU" not in plan_text(found).partition("What will run")[0]

    running.commit(departures=WIDE)
    later = plan(running)
    assert changes(later)[JOB].reason == "waits for FeatureView/departures"
    told = plan_text(later).partition("What will run")[0].partition("TrainingJob/classifier")[2]
    assert "does not fit: 1 CPU, of which 0.8 of 2 are free now" in told
    assert "does not fit: 1 CPU, of which" in plan_markdown(later).replace("\\", "")


# ------------------------------------------------------------------- its digest


def test_the_digest_names_what_would_be_done_and_not_when_or_for_which_commit(running: World) -> None:
    running.commit(classifier=BETTER)
    first = plan(running)
    running.now += timedelta(hours=1)
    running.commit(classifier=BETTER.replace("    columns: [distance]", "    # a word\n    columns: [distance]"))
    again = plan(running)
    assert again.commit != first.commit
    assert again.digest == first.digest
    running.commit(classifier=BETTER.replace("80", "81"))
    assert plan(running).digest != first.digest
    assert replace(first, environment="prod").digest != first.digest


def test_a_plan_changes_nothing(running: World) -> None:
    running.commit(classifier=BETTER)
    before = running.ports.calls.made
    plan(running)
    assert running.ports.calls.made == before


# ------------------------------------------------------------------- the command


@pytest.fixture
def call(running: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr(session, "project_of", lambda options, **settings: project(running, **settings))
    return lambda *arguments: CliRunner().invoke(cli, ["plan", *arguments])


def test_exit_codes_tell_nothing_changes_and_refused_apart(running: World, call: Callable[..., Result]) -> None:
    assert call().exit_code == 0
    running.commit(classifier=BETTER)
    assert call().exit_code == 2
    running.commit(classifier=None, delay=None)
    refused = call()
    assert refused.exit_code == 1
    assert "REFUSED for 1 reason" in refused.stdout
    assert "TrainingJob/classifier" in refused.stdout


def test_what_it_writes_is_what_it_shows(running: World, call: Callable[..., Result], tmp_path: Path) -> None:
    running.commit(classifier=BETTER)
    shown = call("--output", "json", "--out", str(tmp_path / "plan.json"))
    assert (tmp_path / "plan.json").read_text() == shown.stdout


def test_explaining_follows_it_to_the_end(running: World, call: Callable[..., Result]) -> None:
    running.commit(classifier=BETTER)
    calls = running.ports.calls.made
    text = call("--explain").stdout
    stages = text.partition("Plan: ")[2]
    assert stages.index("start run train-classifier-") < stages.index("route /delay: 90 % to")
    assert "100 % to" in stages
    assert running.ports.calls.made == calls


def test_a_plan_says_for_how_long_windows_close(running: World, call: Callable[..., Result]) -> None:
    running.commit(local=environment('windows: [{deny: "* 22-23 * * *"}]'))

    assert "its windows close for 2h at a time at most, 732h of a year" in " ".join(call().stdout.split())


def test_a_commit_that_has_to_wait_is_planned_and_the_reason_told(running: World, call: Callable[..., Result]) -> None:
    running.commit(local=environment('windows: [{deny: "* 12-14 * * *"}]'))
    run(running)
    running.commit(classifier=BETTER)
    told = call()
    assert told.exit_code == 2
    assert "not now: no new commit takes effect until" in told.stderr


def test_the_first_commit_waits_for_its_own_window(
    call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = World({**PROJECT, "mlops_specs/local.yaml": environment('windows: [{deny: "* 12-14 * * *"}]')})
    monkeypatch.setattr(session, "project_of", lambda options, **settings: project(new, **settings))
    assert "not now: no new commit takes effect until" in call().stderr


def test_a_newer_commit_is_not_said_to_wait_for_the_pin_that_it_ends(
    running: World, call: Callable[..., Result]
) -> None:
    first = running.head
    running.commit(classifier=BETTER)
    run(running)
    running.ports.state.set_pin(Pin(commit=first, over=running.head, actor="ana", time=running.now))
    run(running)
    assert "ana pinned commit" in call().stderr
    running.commit(classifier=BETTER.replace("80", "81"))
    assert "pinned" not in call().stderr


def test_a_plan_of_what_was_not_read_says_so(
    running: World, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        session,
        "project_of",
        lambda options, **settings: project(running, allowed_signers=Path("/signers"), **settings),
    )
    running.commit(classifier=BETTER)
    told = call("--explain")
    assert told.exit_code == 1
    assert "SignatureRequired" in told.stdout
    assert f"Refused plan: commit {running.head[:7]} was not read." in told.stdout
    assert "the commit was not read" in call("--output", "markdown").stdout
