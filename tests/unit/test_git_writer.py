"""Proposals in real repositories: what is written, what is left alone, and who may not."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError, ConflictError, MlopsError, TransientError
from framework.backends.git.mirror import GitMirror
from framework.backends.git.remote import Credentials, parse_remote
from framework.backends.git.source import GitSource
from framework.backends.git.writer import (
    NOBODY,
    TRAILER,
    Author,
    GitWriter,
    LocalBranches,
    RemoteBranches,
    configured_author,
)
from framework.ports import Proposal
from tests.builders import NOW
from tests.contract.repositories import Repository
from tests.git_server import GitServer, git_server

pytestmark = pytest.mark.slow

TOKEN = "s3cr3t-t0ken"


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    """A repository with a work tree, where somebody is in the middle of something."""
    repository = Repository(tmp_path / "work")
    repository.commit({"specs/a.yaml": "a: 1\n", "specs/b.yaml": "b: 1\n"})
    repository.git("reset", "--hard", "--quiet")
    (repository.folder / "specs" / "a.yaml").write_text("a: half written\n")
    (repository.folder / "specs" / "b.yaml").write_text("b: staged\n")
    (repository.folder / "untracked").write_text("x")
    repository.git("add", "specs/b.yaml")
    return repository


def local(repository: Repository, author: Author = NOBODY) -> GitWriter:
    source = GitSource(repository.folder)
    return GitWriter(source, LocalBranches(source), lambda: author, lambda: NOW)


def test_a_commit_can_be_put_on_what_is_followed_where_that_is_a_branch_that_nobody_works_on(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "work")
    repository.commit({"specs/a.yaml": "a: 1\n"})
    repository.git("reset", "--hard", "--quiet")
    repository.git("branch", "release")
    repository.git("tag", "v1")
    source = GitSource(repository.folder)

    def problem(revision: str, doubt: str = "") -> str:
        writer = GitWriter(source, LocalBranches(source), lambda: NOBODY, lambda: NOW, revision=revision, doubt=doubt)
        return writer.followed().problem

    assert "checked out, and nobody's work tree is written to" in problem("HEAD")
    assert problem("main") == "branch 'main', which is followed, is checked out in a work tree"
    assert problem("v1") == "'v1', which is followed, is no branch"
    assert problem("release") == ""
    assert problem("release", "only signed commits take effect") == "only signed commits take effect"


def change(base: str, branch: str = "mlopsctl/change", text: str = "a: 2\n") -> Proposal:
    return Proposal(base, branch, "Change a", {"specs/a.yaml": text.encode()})


def write_hook(folder: Path, name: str, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


# -- what is left alone ----------------------------------------------------------------------------------------------


def test_nobodys_work_is_touched(work: Repository) -> None:
    def state() -> dict[str, object]:
        files = [path for path in work.folder.rglob("*") if path.is_file() and ".git" not in path.parts]
        index = work.folder / ".git" / "index"
        return {
            "files": {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files},
            "index": (index.read_bytes(), index.stat().st_mtime_ns),
            "head": (work.folder / ".git" / "HEAD").read_bytes(),
            "main": work.head("main"),
        }

    before = state()
    done = local(work).propose(change(work.git("rev-parse", "main")))
    assert state() == before
    assert sorted(work.git("status", "--porcelain").splitlines()) == [
        "?? untracked",
        "M  specs/b.yaml",
        "M specs/a.yaml",
    ]
    assert work.files(done.commit) == {"specs/a.yaml": "a: 2\n", "specs/b.yaml": "b: 1\n"}


def test_a_branch_that_somebody_works_on_is_refused(work: Repository, tmp_path: Path) -> None:
    base = work.git("rev-parse", "main")
    work.git("worktree", "add", "--quiet", "-b", "theirs", str(tmp_path / "linked"))
    work.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "unborn"))
    subprocess.run(
        ["git", "symbolic-ref", "HEAD", "refs/heads/unborn"], cwd=tmp_path / "unborn", check=True, env=dict(os.environ)
    )
    for branch in ("main", "theirs", "unborn"):
        with pytest.raises(ConflictError, match=f"'{branch}' is checked out in a work tree"):
            local(work).propose(change(base, branch))
    assert (work.head("main"), work.head("theirs"), work.head("unborn")) == (base, base, None)
    assert local(work).propose(change(base, "free")).branch == "free"


def test_from_a_linked_work_tree(work: Repository, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    work.git("worktree", "add", "--quiet", "-b", "theirs", str(linked))
    source = GitSource(linked)
    writer = GitWriter(source, LocalBranches(source), lambda: NOBODY)
    base = source.resolve("HEAD")
    assert work.head("mlopsctl/change") is None
    assert writer.propose(change(base)).commit == work.head("mlopsctl/change")
    with pytest.raises(ConflictError, match="is checked out"):
        writer.propose(change(base, "theirs"))


def test_no_hook_runs_and_no_setting_of_the_repository_runs_a_program(work: Repository, tmp_path: Path) -> None:
    hooks = work.folder / ".git" / "hooks"
    for name in ("pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change", "pre-push"):
        write_hook(hooks, name, f"touch {tmp_path}/ran-{name}")
    write_hook(tmp_path, "program", f"touch {tmp_path}/ran-program")
    for setting in ("core.fsmonitor", "gpg.program", "gpg.ssh.program", "core.editor", "filter.x.clean"):
        work.git("config", setting, str(tmp_path / "program"))
    work.git("config", "commit.gpgSign", "true")
    work.git("config", "trailer.x.command", str(tmp_path / "program"))
    (work.folder / ".git" / "info").mkdir(exist_ok=True)
    (work.folder / ".git" / "info" / "attributes").write_text("* filter=x\n")
    work.git("-c", "core.fsmonitor=", "config", "core.hooksPath", str(hooks))
    for path in tmp_path.glob("ran-*"):
        path.unlink()

    done = local(work).propose(change(work.git("rev-parse", "main")))
    assert list(tmp_path.glob("ran-*")) == []
    assert b"gpgsig" not in work.git("cat-file", "commit", done.commit).encode()


def test_a_file_stays_executable_and_bytes_stay_bytes(work: Repository) -> None:
    work.git("-c", "core.fileMode=true", "update-index", "--chmod=+x", "specs/a.yaml")
    base = work.git("commit-tree", "-p", "main", "-m", "x", work.git("write-tree"))
    data = b"\xff\xfe\r\nno newline"
    done = local(work).propose(replace(change(base), files={"specs/a.yaml": data, "specs/new": data}))
    assert work.git("ls-tree", done.commit, "specs/a.yaml").startswith("100755 ")
    assert work.git("ls-tree", done.commit, "specs/new").startswith("100644 ")
    read = GitSource(work.folder)
    assert set(
        read.read([blob for blob in read.blobs(done.commit, "specs") if "b.yaml" not in blob.path]).values()
    ) == {data}


@pytest.mark.parametrize("path", [".git/config", "specs/.git/hooks/x", ".GIT/config"])
def test_what_git_keeps_for_itself_is_not_written(work: Repository, path: str) -> None:
    base = work.git("rev-parse", "main")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        local(work).propose(replace(change(base), files={path: b"x"}))
    assert work.head("mlopsctl/change") is None


def test_a_branch_whose_name_is_a_folder_of_branches_is_told(work: Repository) -> None:
    base = work.git("rev-parse", "main")
    work.git("branch", "mlopsctl", base)
    with pytest.raises(ConfigurationError, match="'mlopsctl/change' cannot be written"):
        local(work).propose(change(base))


def test_of_many_at_once_one_wins(work: Repository) -> None:
    base, writer = work.git("rev-parse", "main"), local(work)
    outcomes: list[str] = []

    def propose(number: int) -> None:
        try:
            outcomes.append(writer.propose(change(base, text=f"a: 1{number}\n")).commit)
        except ConflictError:
            outcomes.append("conflict")

    threads = [threading.Thread(target=propose, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("conflict") == 5
    assert work.head("mlopsctl/change") in outcomes


# -- who and what it says --------------------------------------------------------------------------------------------


def test_a_commit_names_its_author_its_time_and_where_it_is_from(work: Repository) -> None:
    base = work.git("rev-parse", "main")
    done = local(work, Author("Grace Hopper", "grace@example.org")).propose(change(base))
    shown = work.git("log", "-1", "--format=%an <%ae>|%cn <%ce>|%aI|%B", done.commit)
    who, committer, when, message = shown.split("|")
    assert who == committer == "Grace Hopper <grace@example.org>"
    assert when == NOW.strftime("%Y-%m-%dT%H:%M:%S+00:00") or when == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert message.rstrip() == f"Change a\n\n{TRAILER}"


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("One line", f"One line\n\n{TRAILER}\n"),
        ("One line\n\nA body.\n\n\n", f"One line\n\nA body.\n\n{TRAILER}\n"),
        (
            "Title\n\nBody\n\nEvidence: x\nReviewed-By: y\n",
            f"Title\n\nBody\n\nEvidence: x\nReviewed-By: y\n{TRAILER}\n",
        ),
        (f"Title\n\n{TRAILER}", f"Title\n\n{TRAILER}\n"),
        ("delay: promote", f"delay: promote\n\n{TRAILER}\n"),
    ],
)
def test_trailers_stay_together(work: Repository, message: str, kept: str) -> None:
    base = work.git("rev-parse", "main")
    done = local(work).propose(replace(change(base), message=message))
    assert work.git("cat-file", "commit", done.commit).partition("\n\n")[2] + "\n" == kept
    assert TRAILER.partition(": ")[2] in work.git(
        "log", "-1", "--format=%(trailers:key=Proposed-By,valueonly)", done.commit
    )


@pytest.mark.parametrize("message", ["", " \n\n", "x" * 70_000])
def test_a_message_is_needed(work: Repository, message: str) -> None:
    with pytest.raises(ConfigurationError, match="needs a message"):
        local(work).propose(replace(change(work.git("rev-parse", "main")), message=message))


@pytest.mark.parametrize("text", ["Grace", "Grace <>", "<g@example.org>", "Grace <g@example.org> x", "A\nB <a@b>", ""])
def test_an_author_is_a_name_and_an_address(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MLOPS_GIT_AUTHOR"):
        Author.parse(text)


def test_the_author_is_whom_the_users_git_names(
    work: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    git = GitSource(work.folder).git
    assert configured_author(git) == NOBODY
    (tmp_path / "home" / ".gitconfig").write_text("[user]\n\tname = Grace\n\temail = grace@example.org\n")
    assert configured_author(git) == Author("Grace", "grace@example.org")
    work.git("config", "user.name", "Here")
    assert configured_author(git) == Author("Here", "grace@example.org")


# -- at the remote ---------------------------------------------------------------------------------------------------


@pytest.fixture
def upstream(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "upstream", bare=True)
    for number in range(3):
        repository.commit({"specs/a.yaml": f"a: {number}\n"})
    return repository


class Race(RemoteBranches):
    """Somebody pushes between our look and our push."""

    def __init__(self, mirror: GitMirror, upstream: Repository) -> None:
        super().__init__(mirror)
        self._upstream = upstream

    def move(self, branch: str, new: str, old: str | None) -> None:
        self._upstream.commit({"theirs.yaml": "1"}, branch=branch)
        super().move(branch, new, old)


def remote(tmp_path: Path, url: str, token: str | None = None) -> GitMirror:
    return GitMirror(tmp_path / "mirror.git", parse_remote(url, Credentials(token=token)), "main")


def writer(mirror: GitMirror) -> GitWriter:
    return GitWriter(mirror, RemoteBranches(mirror), lambda: NOBODY, lambda: NOW)


@pytest.mark.parametrize("branch", ["mlopsctl/change", "main"])
def test_a_push_never_overwrites_what_came_in_between(upstream: Repository, tmp_path: Path, branch: str) -> None:
    mirror = remote(tmp_path, upstream.folder.as_uri())
    base = mirror.resolve("main")
    with pytest.raises(ConflictError, match=f"branch '{branch}' of file://.* moved meanwhile"):
        GitWriter(mirror, Race(mirror, upstream), lambda: NOBODY).propose(change(base, branch, "a: 7\n"))
    assert "theirs.yaml" in upstream.files(upstream.head(branch) or "")


def test_a_proposal_from_an_old_commit_of_a_shallow_mirror_is_pushed(upstream: Repository, tmp_path: Path) -> None:
    mirror = remote(tmp_path, upstream.folder.as_uri())
    mirror.refresh()
    base = upstream.git("rev-parse", "main~2")
    done = writer(mirror).propose(change(base, text="a: 7\n"))
    assert upstream.parent(done.commit) == base
    assert upstream.git("rev-list", "--count", done.commit) == "2"
    assert not (upstream.folder / "shallow").exists()


def test_a_push_onto_the_followed_branch_is_what_the_next_refresh_finds(upstream: Repository, tmp_path: Path) -> None:
    mirror = remote(tmp_path, upstream.folder.as_uri())
    done = writer(mirror).propose(change(mirror.resolve("main"), "main", "a: 7\n"))
    mirror.refresh()
    assert mirror.resolve("main") == done.commit == upstream.head("main")


def test_what_a_server_declines_is_told_with_its_reason(upstream: Repository, tmp_path: Path) -> None:
    write_hook(
        upstream.folder / "hooks", "pre-receive", "echo 'main is protected: \033[31mopen a pull request' >&2; exit 1"
    )
    mirror = remote(tmp_path, upstream.folder.as_uri())
    with pytest.raises(ConfigurationError) as error:
        writer(mirror).propose(change(mirror.resolve("main"), text="a: 7\n"))
    assert "does not take branch 'mlopsctl/change'" in str(error.value)
    assert "main is protected" in str(error.value)
    assert "\033" not in str(error.value)


def test_a_remote_that_is_away_is_a_passing_error(upstream: Repository, tmp_path: Path) -> None:
    mirror = remote(tmp_path, upstream.folder.as_uri())
    base = mirror.resolve("main")
    upstream.folder.rename(tmp_path / "away")
    with pytest.raises(TransientError):
        writer(mirror).propose(change(base, text="a: 7\n"))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    with git_server(tmp_path) as running:
        monkeypatch.setenv("GIT_SSL_CAINFO", str(running.certificate))
        yield running


def test_a_token_lets_a_proposal_in_and_a_branch_that_moved_is_left_alone(
    upstream: Repository, tmp_path: Path, server: GitServer
) -> None:
    server.password = TOKEN
    mirror = remote(tmp_path, f"{server.url}/upstream", TOKEN)
    base = mirror.resolve("main")
    done = writer(mirror).propose(change(base, text="a: 7\n"))
    assert (upstream.head(done.branch), upstream.parent(done.commit)) == (done.commit, base)
    assert upstream.files(done.commit) == {"specs/a.yaml": "a: 7\n"}
    assert writer(mirror).propose(change(base, text="a: 7\n")) == done
    theirs = upstream.commit({"theirs.yaml": "1"}, branch=done.branch)
    with pytest.raises(ConflictError):
        writer(mirror).propose(change(base, text="a: 8\n"))
    assert upstream.head(done.branch) == theirs


def test_who_may_read_but_not_push_is_told(upstream: Repository, tmp_path: Path, server: GitServer) -> None:
    upstream.git("config", "http.receivepack", "false")
    mirror = remote(tmp_path, f"{server.url}/upstream", TOKEN)
    base = mirror.resolve("main")
    with pytest.raises(MlopsError, match="no right to push") as error:
        writer(mirror).propose(change(base, text="a: 7\n"))
    assert isinstance(error.value, ConfigurationError)
    assert TOKEN not in str(error.value)
    assert upstream.head("mlopsctl/change") is None
