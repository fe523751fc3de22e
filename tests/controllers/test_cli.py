"""Mistakes of a person or a machine end in one clear message and an exit code, and change nothing."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.world import DEPARTURES, DEPLOYMENT, TRAINING, environment

LOCAL = environment("ray: {address: embedded, dashboardPort: 0, servePort: 0}")


class Project:
    """A real repository, driven by the real command."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.specs = root / "mlops_specs"
        self.specs.mkdir(parents=True)
        (root / ".gitignore").write_text(".mlops/\n")
        self.write(local=LOCAL, departures=DEPARTURES, classifier=TRAINING, delay=DEPLOYMENT)
        (root / "data").mkdir()
        (root / "data" / "flights.csv").write_text("flight,at,distance,delayed\n")
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()

    def write(self, **files: str) -> None:
        for stem, text in files.items():
            (self.specs / f"{stem}.yaml").write_text(text)

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self, **files: str) -> None:
        self.write(**files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")

    def call(
        self, *arguments: str, before: Callable[[], None] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "controllers.cli.main", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=120,
            preexec_fn=before,
            check=False,
            env={**os.environ, "MLOPS_KEEPER": str(os.getpid()), **environment},
        )
        assert not done.stderr.startswith("Traceback"), done.stderr
        assert "controllers/cli/main.py" not in done.stderr, done.stderr
        return done

    @property
    def daemon_runs(self) -> bool:
        return (self.root / ".mlops" / "ray" / "daemon.json").exists()


def test_a_first_plan_says_what_would_be_made_without_starting_anything(project: Project) -> None:
    done = project.call("plan")
    assert done.returncode == 2
    assert "FeatureView/departures" in done.stdout
    assert "TrainingJob/classifier" in done.stdout
    assert not project.daemon_runs
    document = json.loads(project.call("plan", "--output", "json").stdout)
    assert document["changes"][0]["ref"] == "FeatureView/departures"


def test_outside_a_repository_there_is_nothing_to_work_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "controllers.cli.main", "status"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
    )
    assert done.returncode == 1
    assert "not inside a git repository" in done.stderr


def test_a_wrong_spec_is_told_with_its_place_and_nothing_is_started(project: Project) -> None:
    project.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    for command in (["plan"], ["reconcile", "--once", "--quiet"], ["up"]):
        done = project.call(*command)
        assert done.returncode == 1, command
        assert "mlops_specs/classifier.yaml:12:" in done.stderr
        assert "did you mean 'rounds'" in done.stderr
    assert not project.daemon_runs


def test_an_unknown_module_is_told_with_its_place(project: Project) -> None:
    text = DEPARTURES.replace("  columns:", "  transform: {function: nowhere.features:tidy}\n  columns:", 1)
    project.commit(departures=text)
    done = project.call("plan")
    assert done.returncode == 1
    assert "mlops_specs/departures.yaml:9:" in done.stderr
    assert "nowhere.features" in done.stderr


def test_an_unknown_environment_names_those_that_exist(project: Project) -> None:
    done = project.call("--env", "prod", "plan")
    assert done.returncode == 1
    assert "prod" in done.stderr
    assert "local" in done.stderr


def test_what_is_not_executed_is_refused_rather_than_ignored(project: Project) -> None:
    project.commit(local=LOCAL.replace("address: embedded", "address: kuberay"))
    done = project.call("reconcile", "--once", "--quiet")
    assert done.returncode == 1
    assert "spec.ray.kuberay" in done.stderr
    assert not project.daemon_runs


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("setting", ["dashboardPort", "servePort"])
def test_a_busy_port_is_named_with_the_setting_that_moves_it(project: Project, taken: int, setting: str) -> None:
    project.commit(local=LOCAL.replace(f"{setting}: 0", f"{setting}: {taken}"))
    done = project.call("reconcile", "--once", "--quiet")
    assert done.returncode == 1
    assert str(taken) in done.stderr
    assert f"ray.{setting}" in done.stderr
    assert not project.daemon_runs


def test_no_room_for_the_store_is_told_and_nothing_is_started(project: Project) -> None:
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = project.call("reconcile", "--once", "--quiet", before=full)
    assert done.returncode == 1
    assert "state.db" in done.stderr
    assert not project.daemon_runs


def test_a_store_that_cannot_be_written_is_told(project: Project) -> None:
    (project.root / ".mlops").write_text("not a folder")
    done = project.call("status")
    assert done.returncode == 1
    assert "state.db" in done.stderr


def test_a_ray_that_does_not_start_is_told_with_its_log(project: Project, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "ray"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('this installation is broken')\n")
    done = project.call("reconcile", "--once", "--quiet", PYTHONPATH=str(broken.parent))
    assert done.returncode == 1
    assert "did not start" in done.stderr
    assert "this installation is broken" in done.stderr
    assert "ray.log" in done.stderr


def test_an_unknown_command_is_told_with_the_nearest(project: Project) -> None:
    done = project.call("reconsile")
    assert done.returncode == 1
    assert "reconcile" in done.stderr


def test_a_resource_that_nobody_knows(project: Project) -> None:
    for command in ("status", "why"):
        done = project.call(command, "FeatureView/nothing")
        assert done.returncode == 1
        assert "neither in git nor on record" in done.stderr
    assert project.call("why", "nothing").returncode == 1


def test_logs_that_are_not_there_are_told_for_what_they_are(project: Project) -> None:
    for subject, told in (
        ("FeatureView/nothing", "neither in git nor on record"),
        ("TrainingJob/classifier", "nothing has run for TrainingJob/classifier yet"),
        ("controller", "mlopsctl up has started no controller here"),
        ("classifier", "not of the form Kind/name"),
    ):
        done = project.call("logs", subject)
        assert done.returncode == 1, subject
        assert told in done.stderr
    assert not project.daemon_runs
