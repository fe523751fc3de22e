"""What is said of a repository that does not have what it should, and that all is well once it has it again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError, MlopsError, TransientError
from framework.backends.git.source import GitSource
from tests.contract.repositories import ENVIRONMENT
from tests.unit.test_git_source import Repository

pytestmark = pytest.mark.slow

HEX = "1" * 40
ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "project")
    for text in ("one", "two", "three"):
        made.commit({"specs/a.yaml": text, "p/code.py": text})
    return made


def file_of(repository: Repository, name: str) -> Path:
    sha = repository.git("rev-parse", name)
    return repository.root / ".git" / "objects" / sha[:2] / sha[2:]


def said(ask: Callable[[], object], kind: type[MlopsError]) -> str:
    with pytest.raises(MlopsError) as raised:
        ask()
    assert type(raised.value) is kind, raised.value
    assert "no answer" not in str(raised.value)
    return str(raised.value)


def clone(repository: Repository, folder: Path, *options: str) -> GitSource:
    repository.git("config", "uploadpack.allowFilter", "true")
    command = ["git", "clone", "--quiet", *options, repository.root.as_uri(), str(folder)]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
    return GitSource(folder)


@pytest.mark.parametrize("away", [".git", ".git/objects", ".git/HEAD", ".git/refs"])
def test_a_repository_that_is_gone_is_called_gone_and_found_again(repository: Repository, away: str) -> None:
    source = GitSource(repository.root)
    commit = source.resolve("main")
    (repository.root / away).rename(repository.root / "away")
    for ask in (lambda: source.resolve("main"), lambda: source.blobs(commit, "specs"), lambda: source.info(commit)):
        message = said(ask, ConfigurationError)
        assert "is gone: not a git repository" in message
        assert "no commit yet" not in message
    (repository.root / "away").rename(repository.root / away)
    assert source.resolve("main") == commit
    assert [blob.path for blob in source.blobs(commit, "specs")] == ["specs/a.yaml"]


def test_a_head_that_says_nothing_is_no_missing_commit(repository: Repository) -> None:
    (repository.root / ".git" / "HEAD").write_text("x\n")
    assert "is gone: not a git repository" in said(
        lambda: GitSource(repository.root).resolve("main"), ConfigurationError
    )


def test_a_branch_that_was_deleted_is_not_one_without_commits(repository: Repository, tmp_path: Path) -> None:
    commit = repository.git("rev-parse", "main")
    source = GitSource(repository.root)
    repository.git("update-ref", "-d", "refs/heads/main")
    assert "has no branch 'main' any more" in said(lambda: source.resolve("main"), ConfigurationError)
    assert "branch 'main' was deleted, or" in said(lambda: source.resolve("HEAD"), ConfigurationError)
    assert "has no branch 'main' any more" in said(lambda: source.resolve("main~1"), ConfigurationError)
    repository.git("update-ref", "refs/heads/other", commit)
    assert "was deleted, or nothing was committed to it; it has other" in said(
        lambda: source.resolve("HEAD"), ConfigurationError
    )
    assert "no commit, branch or tag 'main'; it has other" in said(lambda: source.resolve("main"), ConfigurationError)
    repository.git("update-ref", "refs/heads/main", commit)
    assert source.resolve("main") == source.resolve("HEAD") == commit


def test_before_the_first_commit_there_is_none_yet(tmp_path: Path) -> None:
    source = GitSource(Repository(tmp_path / "new").root)
    for name in ("HEAD", "main", "HEAD~1"):
        assert "has no commit yet" in said(lambda name=name: source.resolve(name), ConfigurationError)


def test_what_a_branch_stands_at_may_be_missing_or_damaged(repository: Repository) -> None:
    source, commit = GitSource(repository.root), file_of(repository, "main")
    kept = commit.read_bytes()
    sha = source.resolve("main")
    commit.unlink()
    for name in ("main", "HEAD", "main~1"):
        message = said(lambda name=name: source.resolve(name), TransientError)
        assert f"stands at commit {sha[:10]}, which cannot be read" in message
    commit.write_bytes(b"garbage")
    assert "is corrupt" in said(lambda: source.resolve("main"), TransientError)
    commit.unlink()
    commit.write_bytes(kept)
    assert source.resolve("main") == sha


@pytest.mark.parametrize("name", ["main:specs", "main:specs/a.yaml", "main:p"])
def test_what_a_commit_holds_may_be_missing(repository: Repository, name: str) -> None:
    source, lost = GitSource(repository.root), file_of(repository, name)
    commit = source.resolve("main")
    kept = lost.read_bytes()
    lost.unlink()

    def read() -> object:
        return [source.read(source.blobs(commit, folder)) for folder in ("specs", "p")]

    message = said(read, TransientError)
    assert "cannot be read from the repository" in message
    assert "is not in the repository" not in message
    lost.write_bytes(kept)
    assert read()


def test_a_name_never_is_what_was_likely_meant_by_itself(repository: Repository) -> None:
    repository.git("update-ref", f"refs/heads/{HEX}", "main")
    source = GitSource(repository.root)
    message = said(lambda: source.resolve(HEX), ConfigurationError)
    assert f"a branch of that name: call it refs/heads/{HEX}" in message
    assert "did you mean" not in message
    assert source.resolve(f"refs/heads/{HEX}") == source.resolve("main")
    assert "has no commit" in said(lambda: source.resolve("2" * 40), ConfigurationError)


def test_a_history_that_ends_is_no_unknown_name(repository: Repository) -> None:
    message = said(lambda: GitSource(repository.root).resolve("main~9"), ConfigurationError)
    assert "has no commit 'main~9': the history of 'main' does not go back so far" in message
    assert "shallow" not in message


@pytest.mark.parametrize("revision", ["HEAD~1", "main~1", "origin/main~2", "feature", "2" * 40])
def test_a_shallow_clone_says_that_it_is_and_what_to_do(repository: Repository, tmp_path: Path, revision: str) -> None:
    source = clone(repository, tmp_path / "clone", "--depth=1")
    message = said(lambda: source.resolve(revision), ConfigurationError)
    assert "this clone is shallow; fetch more of it (git fetch --unshallow, or fetch-depth: 0" in message
    first = repository.git("rev-parse", "main~2")
    assert "this clone is shallow" in said(lambda: source.blobs(first, "specs"), ConfigurationError)
    subprocess.run(["git", "fetch", "--quiet", "--unshallow"], cwd=tmp_path / "clone", env=ENVIRONMENT, check=True)
    assert source.resolve("HEAD~2") == first


@pytest.mark.parametrize("left_out", ["blob:none", "tree:0"])
def test_a_partial_clone_says_that_it_is_and_what_it_says_to_do_helps(
    repository: Repository, tmp_path: Path, left_out: str
) -> None:
    source = clone(repository, tmp_path / "clone", f"--filter={left_out}", "--no-checkout")
    commit = source.resolve("HEAD")

    def read() -> object:
        return source.read(source.blobs(commit, "specs"))

    message = said(read, TransientError)
    assert "this clone is partial" in message
    remedy = message.partition("fetch all of it (")[2].partition(")")[0]
    assert remedy.startswith("git fetch --refetch")
    subprocess.run(
        remedy.replace("git ", "git -c protocol.file.allow=always ").split(),
        cwd=tmp_path / "clone", env=ENVIRONMENT, check=True, capture_output=True,
    )  # fmt: skip
    assert read()


def test_variables_of_git_neither_help_nor_harm(repository: Repository) -> None:
    """As a hook, a CI runner or a person has them."""
    script = (
        "import sys; from framework.backends.git.source import GitSource; source = GitSource(sys.argv[1]);"
        "commit = source.resolve('main'); print(commit, len(source.read(source.blobs(commit, 'specs'))))"
    )
    nowhere = dict.fromkeys(
        ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE", "GIT_NAMESPACE",
         "GIT_CEILING_DIRECTORIES", "GIT_PYTHON_GIT_EXECUTABLE", "GIT_CONFIG_GLOBAL", "GIT_SHALLOW_FILE"),
        "/nonexistent",
    ) | {"GIT_PYTHON_REFRESH": "error", "GIT_TRACE": "1", "LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script, str(repository.root)],
        env={**os.environ, **nowhere}, cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == [repository.git("rev-parse", "main"), "1"], done.stderr


def test_a_linked_work_tree_is_read_as_what_it_is(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "--quiet", "-b", "beside", str(tmp_path / "beside"), "main~1")
    source = GitSource(tmp_path / "beside" / "p", folder=None)
    assert source.resolve("HEAD") == repository.git("rev-parse", "main~1")
    assert source.prefix == "p/"
    shutil.rmtree(repository.root / ".git" / "worktrees")
    assert "is gone" in said(lambda: source.resolve("HEAD"), ConfigurationError)


def test_a_repository_above_a_damaged_one_is_not_meant(repository: Repository) -> None:
    inner = repository.root / "inner"
    (inner / ".git").mkdir(parents=True)
    assert "is gone" in said(lambda: GitSource(inner).resolve("main"), ConfigurationError)
    (inner / ".git").rmdir()
    (inner / ".git").write_text("no pointer")
    assert "is not inside a git repository" in said(lambda: GitSource(inner).resolve("main"), ConfigurationError)


@pytest.mark.parametrize("date", ["@99999999999999 +0000", "@253402300800 +0000", "@0 +0000"])
def test_a_commit_of_an_absurd_time_is_a_commit(repository: Repository, date: str) -> None:
    tree = repository.git("rev-parse", "main^{tree}")
    body = f"tree {tree}\nauthor a <a@b> {date[1:]}\ncommitter a <a@b> {date[1:]}\n\nfrom the future\n"
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        input=body, cwd=repository.root, env=ENVIRONMENT, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    info = GitSource(repository.root).info(made)
    assert (info.subject, info.author, info.time.tzinfo is not None) == ("from the future", "a", True)
