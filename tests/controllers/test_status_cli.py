"""status, why, plan and validate as people call them: what is, beside what was, in a project where little runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from framework.backends.state.database import open_database
from framework.backends.state.store import SqlStateStore
from framework.ports import Heartbeat, Outage
from framework.process import identity
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import STARTED, call, head, live
from tests.world import BETTER, TRAINING, environment


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """All is recorded to be as git asks, and nothing runs any more."""
    project = Project(tmp_path_factory.mktemp("lived") / "project")
    live(project, STARTED)
    return project


@pytest.fixture
def mine(lived: Project, tmp_path: Path) -> Project:
    shutil.copytree(lived.root, tmp_path / "project")
    project = Project.__new__(Project)
    project.root, project.specs = tmp_path / "project", tmp_path / "project" / "mlops_specs"
    return project


@contextmanager
def store(project: Project) -> Iterator[SqlStateStore]:
    database = open_database("sqlite:///.mlops/state.db", str(project.root))
    yield SqlStateStore(database, "local")
    database.close()


def beat(project: Project, ago: float = 1.0, **more: Any) -> None:
    """A controller, this very process, says that it looked at everything so many seconds ago."""
    now = datetime.now(UTC)
    seen = now - timedelta(seconds=ago)
    with store(project) as state:
        lease = state.acquire("test", 15.0, now)
        assert lease is not None
        state.beat(
            Heartbeat(holder="test", process=identity(), started=seen, time=now, every=5, resync=10, seen=seen, **more),
            lease.token,
        )
        state.release(lease)


def shown(project: Project) -> dict[str, Any]:
    done = call(project, "status", "--output", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def words(project: Project) -> dict[str, str]:
    return {item["kind"]: f"{item['sync']} {item['reason']}" for item in shown(project)["resources"]}


UNSEEN = {
    "FeatureView": "Unknown NotLookedAt",
    "TrainingJob": "Unknown NotLookedAt",
    "ModelDeployment": "Unknown RayUnavailable",
}


def test_with_nothing_running_nothing_is_synced(lived: Project) -> None:
    assert words(lived) == UNSEEN
    text = call(lived, "status").stdout
    assert "Controller: none has ever looked" in text
    assert "Ray: does not answer now: Ray is not running" in text
    assert "Synced." not in text
    assert "was: classifier@" in text
    why = call(lived, "why", "ModelDeployment/delay").stdout
    assert "Nothing blocks" not in why
    assert "no controller runs" in why.lower()
    assert "mlopsctl up" in why
    one = json.loads(call(lived, "status", "ModelDeployment/delay", "--output", "json").stdout)
    assert (one["sync"], one["current"]) == ("Unknown", False)


def test_what_a_controller_at_work_looked_at_is_synced_but_for_what_a_dead_ray_serves(mine: Project) -> None:
    beat(mine)
    assert words(mine) == {**UNSEEN, "FeatureView": "Synced Published", "TrainingJob": "Synced ModelReady"}
    document = shown(mine)
    assert (document["controller"]["presence"], document["controller"]["here"]) == ("AtWork", True)
    assert (document["ray"]["answers"], document["ray"]["message"]) == (False, "Ray is not running")
    assert call(mine, "why", "FeatureView/departures").stdout.startswith("Nothing blocks")


def test_a_pass_that_has_just_ended_counts_and_one_that_ended_long_ago_does_not(mine: Project) -> None:
    ended = datetime.now(UTC)
    beat(mine, ended=ended)
    assert words(mine)["FeatureView"] == "Synced Published"
    why = call(mine, "why", "FeatureView/departures").stdout
    assert why.startswith("FeatureView/departures is Synced for ")
    assert "No controller runs; mlopsctl up starts one" in why
    assert "Nothing blocks" not in why
    beat(mine, ago=3600, ended=ended)
    assert words(mine) == UNSEEN


@pytest.mark.parametrize("how", ["killed", "clock ahead"])
def test_a_controller_that_is_gone_vouches_for_nothing(mine: Project, how: str) -> None:
    beat(mine)
    with store(mine) as state:
        found = state.heartbeat()
        assert found is not None
        change = (
            {"process": {**found.process, "pid": 4194304, "birth": "1"}}
            if how == "killed"
            else {"time": found.time + timedelta(days=365), "seen": found.time + timedelta(days=365)}
        )
        lease = state.acquire("test", 15.0, datetime.now(UTC))
        assert lease is not None
        state.beat(found.model_copy(update=change), lease.token)
    assert words(mine) == UNSEEN
    assert ("died" if how == "killed" else "is dated") in call(mine, "status").stdout


def test_a_mirror_that_lags_behind_is_a_warning_and_nothing_else(mine: Project) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    beat(mine, mirror=Outage(since=since, message="MLflow: no route to host"))
    told = " ".join(call(mine, "status").stdout.split())
    assert f"Since {since:%Y-%m-%d %H:%M} UTC models are not mirrored: MLflow: no route to host" in told
    assert shown(mine)["controller"]["mirror"]["message"] == "MLflow: no route to host"
    assert words(mine)["TrainingJob"] == "Synced ModelReady"


# ------------------------------------------------------------------- commits


def test_a_newest_commit_that_is_wrong_is_told_although_nobody_has_looked_at_it(mine: Project) -> None:
    beat(mine)
    mine.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    done = call(mine, "status")
    assert f'Commit {head(mine)[:7]} "change" is wrong and will be refused' in done.stdout
    assert "mlops_specs/classifier.yaml:12:" in done.stdout
    assert "did you mean 'rounds'" in " ".join(done.stdout.split())
    document = shown(mine)
    assert (document["asked"]["stand"], document["asked"]["commit"]) == ("Wrong", head(mine))
    assert "ruonds" in document["asked"]["problems"][0]
    assert call(mine, "status", "--exit-code").returncode == 4


def test_a_newest_commit_that_nobody_has_looked_at_is_told(mine: Project) -> None:
    mine.commit(classifier=BETTER.replace("80", "81"))
    assert f'Commit {head(mine)[:7]} "change" is not in force: no controller runs' in call(mine, "status").stdout
    beat(mine)
    assert "is not in force: no controller has looked at it yet" in call(mine, "status").stdout
    assert words(mine)["TrainingJob"] == "OutOfSync NotTakenUp"
    mine.commit(local=environment(""))
    assert shown(mine)["asked"]["stand"] == "NotLookedAt"


def test_a_refusal_is_told_of_what_git_asks_now_and_of_nothing_else(mine: Project) -> None:
    from framework.ports import Revision

    good = head(mine)
    mine.commit(delay=TRAINING.replace("name: classifier", "name: other"))
    with store(mine) as state:
        lease = state.acquire("test", 15.0, datetime.now(UTC))
        assert lease is not None
        problems = ("it would remove 1 of 3 resources",)
        state.save_revision(
            Revision(commit=head(mine), digest="", accepted=False, time=datetime.now(UTC), problems=problems),
            lease.token,
        )
        state.release(lease)
    beat(mine)
    refused = shown(mine)
    assert (refused["asked"]["stand"], refused["refused"]["commit"]) == ("Refused", head(mine))
    assert words(mine)["ModelDeployment"] == "OutOfSync CommitRefused"
    why = call(mine, "why", "ModelDeployment/delay").stdout
    assert "it would remove 1 of 3 resources" in why
    mine.git("reset", "--quiet", "--hard", good)
    assert shown(mine)["refused"] is None
    assert shown(mine)["asked"]["stand"] == "InForce"


# ------------------------------------------------------------------- exit codes


def test_exit_codes_are_for_whoever_asks_for_them(mine: Project) -> None:
    assert call(mine, "status").returncode == 0
    assert call(mine, "status", "--exit-code").returncode == 4, "nobody can tell"
    beat(mine)
    assert call(mine, "status", "FeatureView/departures", "--exit-code").returncode == 0
    mine.commit(classifier=BETTER.replace("80", "81"))
    assert call(mine, "status", "TrainingJob/classifier", "--exit-code").returncode == 3
    done = call(mine, "status", "--watch", "--exit-code")
    assert (done.returncode, "--exit-code is for one look" in done.stderr) == (1, True)


# ------------------------------------------------------------------- what is not committed


def test_files_that_differ_from_the_commit_are_named(mine: Project) -> None:
    assert "not looked at" not in call(mine, "status").stdout
    (mine.specs / "classifier.yaml").write_text(BETTER.replace("80", "90"))
    (mine.specs / "new.yaml").write_text("")
    files = "mlops_specs/classifier.yaml, mlops_specs/new.yaml (untracked)"
    told = f"2 files differ from commit {head(mine)[:7]} and are not looked at: {files}"
    assert told in " ".join(call(mine, "status").stdout.split())
    assert shown(mine)["uncommitted"] == {
        "commit": head(mine),
        "files": ["mlops_specs/classifier.yaml", "mlops_specs/new.yaml"],
        "how": {"mlops_specs/classifier.yaml": "modified", "mlops_specs/new.yaml": "untracked"},
        "untracked": [],
    }
    plan = call(mine, "plan")
    assert told in plan.stderr
    assert "mlopsctl plan --base HEAD --head worktree" in plan.stderr
    assert told in call(mine, "plan", "--base", "HEAD").stderr
    assert "differ" not in call(mine, "plan", "--base", "HEAD", "--head", "worktree").stderr
    assert "differ" not in call(mine, "plan", "--base", "HEAD", "--head", "HEAD").stderr
    (mine.specs / "new.yaml").unlink()
    validated = call(mine, "validate")
    assert f"note: 1 file differs from commit {head(mine)[:7]}, and what runs follows commits" in validated.stderr
    assert call(mine, "--quiet", "validate").stderr == ""


def test_data_that_a_spec_names_and_git_has_counts_and_what_git_ignores_does_not(mine: Project) -> None:
    (mine.root / "data" / "flights.csv").write_text("cut")
    (mine.root / "data" / "other.csv").write_text("of no interest")
    assert shown(mine)["uncommitted"]["files"] == ["data/flights.csv"]
    (mine.root / ".gitignore").write_text(".mlops/\ndata/\n")
    mine.git("rm", "--quiet", "--cached", "-r", "data")
    mine.git("commit", "--quiet", "--all", "--message", "data elsewhere")
    assert shown(mine)["uncommitted"]["files"] == []


def test_where_another_branch_is_followed_the_work_tree_is_nobodys_business(
    mine: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mine.specs / "new.yaml").write_text("")
    monkeypatch.setenv("MLOPS_BRANCH", "main")
    assert shown(mine)["uncommitted"] is None
