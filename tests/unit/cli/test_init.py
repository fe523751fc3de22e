"""mlopsctl init: a project that runs, or a clear word on why not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controllers.cli.main import cli

IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com"}
IDENTITY |= {"GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com"}


@pytest.fixture(autouse=True)
def _own_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of whoever runs the tests stay out."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)


def init(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["init", *map(str, arguments)])


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_folder_becomes_a_project_with_one_commit(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "parcels"
    done = init(folder)
    assert done.exit_code == 0, done.output
    assert git(folder, "rev-list", "--count", "HEAD") == "1"
    assert git(folder, "status", "--porcelain", "--ignored") == ""
    assert git(folder, "branch", "--show-current") == "main"
    assert (folder / "parcels" / "features.py").is_file()
    assert f"cd {folder}" in done.output
    assert git(folder, "rev-parse", "HEAD")[:10] in done.output


def test_ignore_rules_of_the_user_leave_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ignored").write_text("data/\n*.csv\n")
    (tmp_path / "config").write_text(f"[core]\n\texcludesFile = {tmp_path / 'ignored'}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    assert init(tmp_path / "parcels").exit_code == 0
    assert "data/deliveries.csv" in git(tmp_path / "parcels", "ls-files")


def test_what_was_made_as_json(tmp_path: Path) -> None:
    folder = tmp_path / "parcels"
    found = json.loads(init(folder, "--output", "json").output)
    assert found["commit"] == git(folder, "rev-parse", "HEAD")
    assert sorted(found["files"]) == sorted(git(folder, "ls-files").splitlines())
    assert (found["format"], found["name"], found["kept"], found["note"]) == (1, "parcels", [], None)
    assert found["repository"] == found["folder"] == str(folder)


@pytest.mark.parametrize(
    ("source", "pin"),
    [
        ("1.2.3", "mlopsctl[embedded]==1.2.3"),
        ("git+https://example.com/mlopsctl@v1", "mlopsctl[embedded] @ git+https://example.com/mlopsctl@v1"),
        ("https://example.com/mlopsctl-1.whl", "mlopsctl[embedded] @ https://example.com/mlopsctl-1.whl"),
    ],
)
def test_the_project_installs_mlopsctl_from_where_it_is_to_be_had(tmp_path: Path, source: str, pin: str) -> None:
    init(tmp_path / "parcels", "--source", source)
    lines = (tmp_path / "parcels" / "requirements.txt").read_text().splitlines()

    assert [line for line in lines if not line.startswith("#")] == [pin]


def test_a_file_of_this_machine_is_named_as_pip_takes_it(tmp_path: Path) -> None:
    wheel = tmp_path / "mlopsctl-1.whl"
    wheel.touch()
    init(tmp_path / "parcels", "--source", wheel)

    assert f"mlopsctl[embedded] @ file://{wheel}" in (tmp_path / "parcels" / "requirements.txt").read_text()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("git+https://user:word@example.com/x", "credentials"),
        ("somewhere", "no version, no URL and no file"),
        ("https://a b", "no version"),
    ],
)
def test_a_source_that_nobody_can_install_from_is_refused(tmp_path: Path, source: str, says: str) -> None:
    done = init(tmp_path / "parcels", "--source", source)

    assert (done.exit_code, says in done.output, "word" in done.output) == (2, True, False)
    assert not (tmp_path / "parcels").exists()


def test_quiet_says_nothing(tmp_path: Path) -> None:
    assert init(tmp_path / "parcels", "--quiet").output == ""


@pytest.mark.slow
def test_the_project_is_valid_without_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "parcels"
    init(folder)
    done = CliRunner().invoke(cli, ["--project", str(folder), "validate", "--output", "json"])
    found = json.loads(done.output)
    assert (done.exit_code, found["problems"]) == (0, [])
    assert found["objects"] == 7


def test_without_a_commit(tmp_path: Path) -> None:
    folder = tmp_path / "parcels"
    done = init(folder, "--no-commit")
    assert "nothing is committed yet" in done.output
    assert subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, check=False).returncode != 0
    assert (folder / ".git").is_dir()


@pytest.mark.parametrize("there", [["notes.txt"], ["a", "b", "c", "d", "e", "f", "g"]])
def test_a_folder_that_is_not_empty_is_refused_with_what_is_in_the_way(tmp_path: Path, there: list[str]) -> None:
    for name in there:
        (tmp_path / name).write_text("mine")
    done = init(tmp_path, "--name", "parcels")
    assert done.exit_code == 1
    assert f"it holds {', '.join(there[:5])}" in done.output
    assert ("and 2 more" in done.output) == (len(there) == 7)
    assert "--force" in done.output
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted(there)


def test_force_keeps_every_file_that_exists(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "notes.txt").write_text("mine")
    done = init(tmp_path, "--name", "parcels", "--force")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "README.md").read_text() == "mine"
    assert "kept as they were: .gitignore, README.md" in done.output
    assert "should ignore .mlops/" in done.output
    assert "notes.txt" not in git(tmp_path, "ls-files")
    assert "mlops_specs/environments/local.yaml" in git(tmp_path, "ls-files")


def test_force_writes_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "parcels"
    folder.mkdir()
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    done = init(folder, "--force")
    assert done.exit_code == 1
    assert f"{folder / 'data'} leads out of" in done.output
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert [item.name for item in folder.iterdir()] == ["data"]


def test_force_names_a_file_that_would_have_to_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    done = init(tmp_path, "--name", "parcels", "--force")
    assert done.exit_code == 1
    assert f"{tmp_path / 'data'} is a file" in done.output
    assert [item.name for item in tmp_path.iterdir()] == ["data"]


def test_an_empty_repository_gets_the_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk")
    assert init(tmp_path, "--name", "parcels").exit_code == 0
    assert git(tmp_path, "branch", "--show-current") == "trunk"
    assert git(tmp_path, "rev-list", "--count", "HEAD") == "1"


def test_a_folder_of_a_repository_with_history_is_left_to_its_owner_to_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    done = init(tmp_path / "ml" / "parcels")
    assert done.exit_code == 0, done.output
    assert git(tmp_path, "rev-list", "--count", "HEAD") == "1"
    assert not (tmp_path / "ml" / "parcels" / ".git").exists()
    assert "nothing is committed yet" in done.output
    assert "top folder only" in done.output


def test_a_project_in_a_folder_of_a_repository_is_found_from_within(tmp_path: Path) -> None:
    from controllers.settings import find_root

    git(tmp_path, "init", "--quiet")
    folder = tmp_path / "ml" / "parcels"
    init(folder, "--no-commit")
    assert find_root(folder / "parcels") == folder
    assert find_root(tmp_path) == tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("output", ["github", "sarif"])
def test_its_mistakes_are_marked_where_github_looks(tmp_path: Path, output: str) -> None:
    """Annotations and code scanning name files from the top of the repository."""
    git(tmp_path, "init", "--quiet")
    folder = tmp_path / "ml" / "parcels"
    init(folder, "--no-commit")
    spec = folder / "mlops_specs" / "training" / "late-classifier.yaml"
    spec.write_text(spec.read_text().replace("estimator:", "estimater:"))
    done = CliRunner().invoke(cli, ["--project", str(folder), "validate", "--output", output])
    assert done.exit_code == 1
    assert "ml/parcels/mlops_specs/training/late-classifier.yaml" in done.output


def test_who_commits_where_git_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in IDENTITY:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    done = init(tmp_path / "parcels")
    assert done.exit_code == 0, done.output
    assert git(tmp_path / "parcels", "log", "-1", "--format=%an") == "mlopsctl init"
    assert "git config user.name" in done.output


def test_a_surrounding_git_command_does_not_lead_astray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a hook: GIT_DIR and GIT_INDEX_FILE are those of another repository."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert init(tmp_path / "parcels").exit_code == 0
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert git(tmp_path / "parcels", "rev-list", "--count", "HEAD") == "1"
    assert git(other, "status", "--porcelain") == ""


def test_a_commit_that_a_hook_refuses_is_told_and_the_files_stay(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    hook = tmp_path / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\necho not on a Friday >&2\nexit 1\n")
    hook.chmod(0o755)
    done = init(tmp_path, "--name", "parcels")
    assert done.exit_code == 1
    assert "not on a Friday" in str(done.exception)
    assert (tmp_path / "README.md").exists()


@pytest.mark.parametrize(
    ("folder", "arguments", "words"),
    [
        ("parcels", ["--name", "Parcels"], "'Parcels' must be lower-case"),
        ("json", [], "the name 'json', made from 'json', is taken"),
        ("...x", ["--name", "class"], "cannot be imported"),
    ],
)
def test_names_that_do_not_work_are_refused_before_anything_is_written(
    tmp_path: Path, folder: str, arguments: list[str], words: str
) -> None:
    done = init(tmp_path / folder, *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert not (tmp_path / folder).exists()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "parcels").write_text("mine")
    done = init(tmp_path / "parcels")
    assert done.exit_code == 2
    assert "is a file" in done.output
