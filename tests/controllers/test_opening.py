"""No commit, and nothing that becomes of the repository, takes the commands away: there is a way to the state."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controllers.commands.project import Project as Opened
from controllers.host.opening import AcceptedEnvironment
from controllers.host.wiring import open_project
from controllers.settings import Settings
from framework.api.errors import ConfigurationError, SpecError
from framework.kinds.environment.spec import EnvironmentSpec
from tests.controllers.test_cli import LOCAL, Project
from tests.controllers.test_history_cli import call, live

PROD = LOCAL.replace("name: local", "name: prod")
SOMEWHERE = LOCAL.replace("spec: {", "spec: {state: 'sqlite:///.mlops/elsewhere.db', ")
KUBERAY = LOCAL.replace("address: embedded", "address: kuberay")
KEPT = ".mlops/environment-local.json"


def opened(root: Path, **more: Any) -> Opened:
    return open_project(Settings(root=root, holder="test", **more), lambda: datetime.now(UTC))


def look(project: Opened) -> Any:
    """What a controller that starts finds in force."""
    leadership = project.leadership()
    assert leadership.acquire()
    try:
        source = project.source_controller(lambda: leadership.token)
        try:
            source.poll()
        except Exception:
            assert source.loaded is None
        return source
    finally:
        leadership.release()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that a controller has worked on."""
    project = Project(tmp_path_factory.mktemp("lived") / "project")
    live(project, datetime.now(UTC) - timedelta(days=1))
    assert look(opened(project.root)).loaded is not None
    return project.root


@pytest.fixture
def project(lived: Path, tmp_path: Path) -> Project:
    shutil.copytree(lived, tmp_path / "project", symlinks=True)
    found = Project.__new__(Project)
    found.root, found.specs = tmp_path / "project", tmp_path / "project" / "mlops_specs"
    return found


def lose(project: Project, name: str) -> None:
    sha = subprocess.run(
        ["git", "rev-parse", name], cwd=project.root, check=True, capture_output=True, text=True
    ).stdout.strip()
    (project.root / ".git" / "objects" / sha[:2] / sha[2:]).unlink()


def delete_environment(project: Project) -> None:
    project.write(prod=PROD)
    (project.specs / "local.yaml").unlink()
    project.commit()


def delete_specs(project: Project) -> None:
    shutil.rmtree(project.specs)
    project.specs.mkdir()
    (project.specs / "README").write_text("nothing")
    project.commit()


def corrupt_newest(project: Project) -> None:
    project.commit(classifier="kind: TrainingJob\n")
    lose(project, "HEAD")


BREAKAGES: dict[str, Callable[[Project], object]] = {
    "a key that is misspelt": lambda p: p.commit(local=LOCAL.replace("spec: {", "spec: {storag: x, ")),
    "no YAML": lambda p: p.commit(local="spec: {"),
    "a value that is no value": lambda p: p.commit(local=LOCAL.replace("servePort: 0", "servePort: 99999999")),
    "not executed by this version": lambda p: p.commit(local=KUBERAY),
    "another Environment alone": delete_environment,
    "no specs": delete_specs,
    "another file with a mistake": lambda p: p.commit(classifier="kind: TrainingJob\n"),
    "the commit is missing": corrupt_newest,
    "the Environment is missing": lambda p: (p.commit(local=LOCAL + "# x\n"), lose(p, "HEAD:mlops_specs/local.yaml")),
    "the specs folder is missing": lambda p: (p.commit(local=LOCAL + "# x\n"), lose(p, "HEAD:mlops_specs")),
    "the branch is deleted": lambda p: p.git("update-ref", "-d", "refs/heads/main"),
    "the repository is gone": lambda p: shutil.rmtree(p.root / ".git"),
    "objects are gone": lambda p: shutil.rmtree(p.root / ".git" / "objects"),
    "state elsewhere": lambda p: p.commit(local=SOMEWHERE),
}  # fmt: skip


GONE = {"the repository is gone", "objects are gone"}


@pytest.mark.parametrize("name", BREAKAGES)
def test_whatever_the_newest_commit_is_like_every_command_works(project: Project, name: str) -> None:
    BREAKAGES[name](project)
    told, commands = {}, [("events", "--limit", "1000"), ("history",), ("audit", "verify"), ("lineage",), ("down",)]
    if name not in GONE:
        commands += [("status",), ("why", "ModelDeployment/delay")]
    for command in commands:
        done = call(project, *command)
        assert done.returncode == 0, (command, done.stderr)
        told[command[0]] = done
        assert len(done.stderr.splitlines()) <= 1 + (name in GONE or name == "no YAML"), done.stderr
    assert "Promoted" in told["events"].stdout
    assert "status" not in told or "ModelDeployment/delay" in told["status"].stdout
    assert "delay" in told["lineage"].stdout
    assert told["down"].stdout.startswith("controller was not running")
    assert not (project.root / ".mlops" / "elsewhere.db").exists()


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_controller_that_starts_goes_on_with_what_was_in_force(project: Project, name: str) -> None:
    accepted = opened(project.root).ports.state.revisions(1)[0]
    BREAKAGES[name](project)
    made = opened(project.root, starts=True)
    made.ensure_startable()
    if name == "state elsewhere":
        assert made.environment is not None
        assert made.environment.state.endswith("elsewhere.db"), "nobody is at work, so that takes effect as a whole"
        return
    source = look(made)
    kept = source.loaded.commit if source.loaded else ""
    gone = name in GONE
    assert kept == ("" if gone else accepted.commit)
    assert source.problem is not None or source.unreachable or gone


def test_the_mistake_itself_is_told_with_its_place(project: Project) -> None:
    BREAKAGES["a key that is misspelt"](project)
    for command in (("plan",), ("validate",), ("reconcile", "--once", "--quiet")):
        if command[0] != "reconcile":
            done = call(project, *command)
            assert done.returncode == 1
            assert "mlops_specs/local.yaml:4:8: error: spec.storag: unknown key" in done.stderr + done.stdout
    (line,) = [line for line in call(project, "status").stderr.splitlines() if "WARNING" in line][:1]
    assert "mlops_specs/local.yaml:4:8: error: spec.storag" in line
    assert line.endswith("which is in force")


def test_a_rollback_works_over_a_commit_that_cannot_be_read(project: Project) -> None:
    first = opened(project.root).ports.state.revisions()[-1].commit
    BREAKAGES["a key that is misspelt"](project)
    done = call(project, "rollback", first, "--yes", "--no-commit")
    assert done.returncode == 0, done.stderr
    assert opened(project.root).ports.state.pin() is not None
    assert look(opened(project.root, starts=True)).loaded.commit == first


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"commit": 7}', '{"commit": "c", "environment": {"x": 1}}', "\x00" * 9]
)
def test_a_copy_that_is_damaged_is_told_and_made_anew(project: Project, text: str, caplog: Any) -> None:
    good = (project.root / KEPT).read_text()
    BREAKAGES["a key that is misspelt"](project)
    (project.root / KEPT).write_text(text)
    made = opened(project.root, starts=True)
    assert "going by the Environment of commit" in caplog.text
    assert ("environment-local.json cannot be read" in caplog.text) is (text != "null")
    assert look(made).loaded is not None
    assert json.loads((project.root / KEPT).read_text()) == json.loads(good)


def test_a_copy_from_before_there_was_one_is_not_needed(project: Project, caplog: Any) -> None:
    (project.root / KEPT).unlink()
    assert look(opened(project.root)).loaded is not None
    assert (project.root / KEPT).is_file()


def test_where_nothing_ever_took_effect_the_mistake_is_an_error(tmp_path: Path) -> None:
    fresh = Project(tmp_path / "fresh")
    BREAKAGES["a key that is misspelt"](fresh)
    with pytest.raises(SpecError, match="storag"):
        opened(fresh.root)
    BREAKAGES["not executed by this version"](fresh)
    with pytest.raises(ConfigurationError, match="not executed by this version"):
        opened(fresh.root)


def test_a_copy_that_cannot_be_written_is_told_once_and_tried_again(project: Project, caplog: Any) -> None:
    made = opened(project.root)
    (project.root / KEPT).unlink()
    (project.root / KEPT).mkdir()
    leadership = made.leadership()
    assert leadership.acquire()
    source = made.source_controller(lambda: leadership.token)
    for _ in range(3):
        source.poll()
    assert caplog.text.count("what is in force cannot be noted") == 1
    (project.root / KEPT).rmdir()
    source.poll()
    assert (project.root / KEPT).is_file()
    leadership.release()


# ------------------------------------------------------------------- state that moves


def test_while_a_controller_is_at_work_nobody_goes_where_the_newest_commit_says(project: Project) -> None:
    working = opened(project.root)
    leadership = working.leadership()
    assert leadership.acquire()
    try:
        project.commit(local=SOMEWHERE)
        for starts in (True, False):
            made = opened(project.root, starts=starts)
            assert made.environment is not None
            assert "elsewhere" not in made.environment.state
            assert made.leader() is not None
        source = working.source_controller(lambda: leadership.token)
        source.poll()
        assert "mlopsctl down, then mlopsctl up" in str(source.problem)
    finally:
        leadership.release()
    made = opened(project.root, starts=True)
    assert made.environment is not None
    assert "elsewhere" in made.environment.state
    source = look(made)
    assert source.loaded.environment == made.environment
    assert "elsewhere" in json.loads((project.root / KEPT).read_text())["environment"]["state"]
    assert opened(project.root).ports.state.revisions(1)[0].accepted, "and who only looks goes there from now on"


def test_a_commit_that_moves_the_state_and_is_wrong_moves_nothing(project: Project) -> None:
    project.commit(local=SOMEWHERE, classifier="kind: TrainingJob\n")
    made = opened(project.root, starts=True)
    assert made.environment is not None
    assert "elsewhere" not in made.environment.state
    assert look(made).loaded is not None


def test_where_it_cannot_be_told_whether_one_is_at_work_nobody_starts(project: Project) -> None:
    (project.root / ".mlops" / "state.db").write_bytes(b"garbage" * 1000)
    project.commit(local=SOMEWHERE)
    with pytest.raises(ConfigurationError, match=r"cannot be told: .*; remove .*environment-local.json if none is"):
        opened(project.root, starts=True)
    (project.root / KEPT).unlink()
    assert opened(project.root, starts=True).environment is not None


# ------------------------------------------------------------------- the copy


def test_what_is_kept_says_where_everything_is(tmp_path: Path) -> None:
    spec = EnvironmentSpec.model_validate(
        {
            "storage": "s3://bucket/x", "state": "sqlite:///a.db", "suspend": True,
            "ray": {"address": "embedded", "cpus": 3, "servePort": 0},
            "windows": [{"deny": "* 3 * * *"}], "quotas": {"cpus": 2.5}, "deletion": {"maxShare": 0.25},
            "patches": [{"target": {"kind": "FeatureView"}, "jsonPatch": [{"op": "remove", "path": "/spec"}]}],
        }
    )  # fmt: skip
    kept = AcceptedEnvironment(tmp_path / "new", "prod")
    assert kept.load() is None
    kept.keep("c" * 40, spec)
    found = AcceptedEnvironment(tmp_path / "new", "prod").load()
    assert found is not None
    assert (found.commit, found.environment) == ("c" * 40, spec.model_copy(update={"patches": (), "policies": ()}))
    assert AcceptedEnvironment(tmp_path / "new", "local").load() is None
