"""Following a branch of a repository elsewhere: what is fetched, what is refused, and what survives."""

from __future__ import annotations

import logging
import os
import subprocess
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from framework.api.errors import ConfigurationError, TransientError
from framework.backends.git.mirror import GitMirror
from framework.backends.git.remote import parse_remote
from tests.contract.repositories import Repository, stand_in

pytestmark = pytest.mark.slow

TOKEN = "s3cr3t-t0ken"


@pytest.fixture
def upstream(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "upstream")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "project" / ".mlops" / "mirror.git"


def mirror(upstream: Repository, folder: Path, branch: str = "main", interval: float = 0) -> GitMirror:
    remote = parse_remote(upstream.folder.as_uri())
    return GitMirror(folder, remote, branch, interval=timedelta(seconds=interval))


def history(upstream: Repository, count: int) -> list[str]:
    return [upstream.commit({"specs/a.yaml": f"a: {number}\n"}, f"commit {number}") for number in range(count)]


def commits(folder: Path) -> set[str]:
    listed = subprocess.run(
        ["git", "cat-file", "--batch-all-objects", "--batch-check"],
        env={"GIT_DIR": str(folder), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {line.split()[0] for line in listed.stdout.splitlines() if " commit " in line}


# -- what is fetched -------------------------------------------------------------------------------------------------


def test_it_starts_with_one_commit_and_brings_in_older_ones_when_they_are_asked_for(
    upstream: Repository, folder: Path
) -> None:
    made = history(upstream, 100)
    source = mirror(upstream, folder)
    assert source.resolve("main") == made[-1]
    assert commits(folder) == {made[-1]}

    assert source.tree_digest(made[50], "specs") == upstream.git("rev-parse", f"{made[50]}:specs")
    assert made[0] not in commits(folder)
    assert source.resolve("main~99") == made[0]
    assert source.info(made[0]).subject == "commit 0"


@pytest.mark.parametrize("ask", ["resolve", "short", "blobs", "digest", "archive", "info", "ancestor", "signature"])
def test_whatever_asks_for_an_old_commit_gets_it(upstream: Repository, folder: Path, ask: str) -> None:
    made = history(upstream, 5)
    source = mirror(upstream, folder)
    source.refresh()
    assert commits(folder) == {made[-1]}
    old = made[1]
    match ask:
        case "resolve":
            assert source.resolve(old) == old
        case "short":
            assert source.resolve(old[:12]) == old
        case "blobs":
            blobs = source.blobs(old, "specs")
            assert source.read(blobs) == {blobs[0].sha: b"a: 1\n"}
        case "digest":
            assert source.tree_digest(old, "") == upstream.git("rev-parse", f"{old}^{{tree}}")
        case "archive":
            assert b"a: 1\n" in source.archive(old, "specs")
        case "info":
            assert source.info(old).subject == "commit 1"
        case "ancestor":
            assert source.descends(made[-1], old)
        case "signature":
            assert source.signature(old).problem == "is not signed"


def test_a_new_commit_is_seen_at_the_next_refresh_and_not_before(upstream: Repository, folder: Path) -> None:
    first = upstream.commit({"a.yaml": "1"})
    source = mirror(upstream, folder)
    source.refresh()
    second = upstream.commit({"a.yaml": "2"})

    assert source.resolve("HEAD") == first
    source.refresh()
    assert source.resolve("HEAD") == source.resolve("main") == second
    assert source.descends(second, first)
    assert not source.descends(first, second)


def test_a_branch_that_did_not_move_is_not_fetched(
    upstream: Repository, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="framework.backends.git.mirror")
    upstream.commit({"a.yaml": "1"})
    source = mirror(upstream, folder)
    for _ in range(3):
        source.refresh()
    assert caplog.text.count("fetching main") == 1


def test_the_remote_is_asked_once_an_interval_unless_it_is_urgent(upstream: Repository, folder: Path) -> None:
    now = [0.0]
    upstream.commit({"a.yaml": "1"})
    source = GitMirror(
        folder, parse_remote(upstream.folder.as_uri()), "main", interval=timedelta(seconds=15), clock=lambda: now[0]
    )
    source.refresh()
    second = upstream.commit({"a.yaml": "2"})
    now[0] = 14.9
    source.refresh()
    assert source.resolve("main") != second
    now[0] = 15.0
    source.refresh()
    assert source.resolve("main") == second
    third = upstream.commit({"a.yaml": "3"})
    source.hurry()
    source.refresh()
    assert source.resolve("main") == third


def test_a_forced_push_is_followed_and_shows(upstream: Repository, folder: Path) -> None:
    made = history(upstream, 3)
    source = mirror(upstream, folder)
    source.refresh()
    upstream.git("update-ref", "refs/heads/main", made[1])
    amended = upstream.commit({"specs/a.yaml": "a: amended\n"})
    source.refresh()

    assert source.resolve("main") == amended
    assert not source.descends(amended, made[2])
    assert source.descends(amended, made[1])
    assert source.info(made[2]).subject == "commit 2"  # what was in force can still be read
    assert not source.descends(amended, "1" * 40)


def test_other_branches_tags_and_their_commits_stay_away(upstream: Repository, folder: Path) -> None:
    main = upstream.commit({"a.yaml": "1"})
    secret = upstream.commit({"a.yaml": "fork"}, branch="fork")
    upstream.git("tag", "v1", main)
    source = mirror(upstream, folder)
    source.refresh()

    assert commits(folder) == {main}
    for name in ("fork", "v1", "v1~1", "nowhere"):
        with pytest.raises(ConfigurationError, match="is not followed; name a commit of branch 'main'"):
            source.resolve(name)
    for commit in (secret, secret[:10], "1" * 40):
        with pytest.raises(ConfigurationError, match=r"branch 'main' of file://.* has no commit"):
            source.resolve(commit)
    for read in (source.blobs, source.tree_digest, source.archive):
        with pytest.raises(ConfigurationError, match="is not on branch 'main'"):
            read(secret, "")


def test_submodules_are_never_fetched_and_hooks_and_configuration_of_a_mirror_never_run(
    upstream: Repository, folder: Path, tmp_path: Path
) -> None:
    commit = upstream.commit({".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {tmp_path}/other\n'})
    source = mirror(upstream, folder)
    source.refresh()
    assert not (folder / "modules").exists()
    assert not list((folder / "hooks").glob("*")) if (folder / "hooks").exists() else True
    assert source.resolve("main") == commit


def test_a_project_in_a_folder_of_the_repository(upstream: Repository, folder: Path) -> None:
    commit = upstream.commit({"teams/flights/specs/a.yaml": "a: 1\n", "top.yaml": ""})
    source = GitMirror(folder, parse_remote(upstream.folder.as_uri()), "main", project="teams/flights")
    assert source.resolve("main") == commit
    assert [blob.path for blob in source.blobs(commit, "")] == ["specs/a.yaml"]


def test_a_branch_may_have_a_long_name(upstream: Repository, folder: Path) -> None:
    commit = upstream.commit({"a.yaml": "1"}, branch="release/2024.1#hot+fix")
    assert mirror(upstream, folder, "release/2024.1#hot+fix").resolve("HEAD") == commit


# -- what is refused -------------------------------------------------------------------------------------------------


def test_a_branch_that_is_not_there_is_told_with_a_guess(upstream: Repository, folder: Path) -> None:
    upstream.commit({"a.yaml": "1"})
    with pytest.raises(ConfigurationError, match="has no branch 'mian'; did you mean 'main'"):
        mirror(upstream, folder, "mian").resolve("HEAD")
    with pytest.raises(ConfigurationError, match=r"has no branch 'production' \(it has: main\)"):
        mirror(upstream, folder, "production").refresh()


@pytest.mark.parametrize("revision", ["--output=x", "main..HEAD", "main@{1}", "ext::x", "a b", "", "HEAD:specs"])
def test_unsafe_names_are_refused_before_anything_is_asked(upstream: Repository, folder: Path, revision: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the name of a branch, a tag or a commit"):
        mirror(upstream, folder).resolve(revision)
    assert not folder.exists()


def test_a_damaged_object_does_not_come_in(upstream: Repository, folder: Path) -> None:
    tree = upstream.git("mktree", "--missing", data=b"100644 blob e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\tx\n")
    upstream.git("hash-object", "-w", "--stdin", data=b"")
    raw = f"tree {tree}\nauthor Ada <ada@example.org 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\nx\n"
    bad = upstream.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw.encode())
    upstream.git("update-ref", "refs/heads/main", bad)
    with pytest.raises(TransientError, match="badEmail"):
        mirror(upstream, folder).refresh()


# -- what survives ---------------------------------------------------------------------------------------------------


def test_while_the_remote_is_away_what_was_fetched_stays_readable(
    upstream: Repository, folder: Path, tmp_path: Path
) -> None:
    commit = upstream.commit({"specs/a.yaml": "a: 1\n"})
    source = mirror(upstream, folder)
    assert not source.known()
    source.refresh()
    upstream.folder.rename(tmp_path / "away")

    with pytest.raises(TransientError, match="upstream"):
        source.refresh()
    again = mirror(upstream, folder)  # a controller that was started again
    assert again.known()
    assert again.resolve("HEAD") == commit
    assert [blob.path for blob in again.blobs(commit, "specs")] == ["specs/a.yaml"]
    (tmp_path / "away").rename(upstream.folder)
    newer = upstream.commit({"specs/a.yaml": "a: 2\n"})
    again.refresh()
    assert again.resolve("HEAD") == newer


def test_a_remote_that_was_never_reached_is_a_passing_error(upstream: Repository, folder: Path, tmp_path: Path) -> None:
    source = mirror(upstream, folder)
    upstream.folder.rename(tmp_path / "away")
    with pytest.raises(TransientError):
        source.resolve("HEAD")


def test_a_branch_that_vanishes_later_is_a_passing_error(upstream: Repository, folder: Path) -> None:
    commit = upstream.commit({"a.yaml": "1"})
    source = mirror(upstream, folder)
    source.refresh()
    upstream.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(TransientError, match="has no branch 'main' any more"):
        source.refresh()
    assert source.resolve("main") == commit


def damage(folder: Path, how: str) -> None:
    packs = [path for path in (folder / "objects").rglob("*") if path.is_file()]
    match how:
        case "objects":
            for path in packs:
                path.chmod(0o600)
                path.write_bytes(path.read_bytes()[:12])
        case "no objects":
            for path in packs:
                path.unlink()
        case "head":
            (folder / "HEAD").unlink()
        case "config":
            (folder / "config").write_bytes(b"\0\0\0")
        case "ref":
            (folder / "refs" / "heads" / "main").write_bytes(b"")


@pytest.mark.parametrize("how", ["objects", "no objects", "head", "config", "ref"])
def test_a_damaged_mirror_is_put_aside_and_made_again(upstream: Repository, folder: Path, how: str) -> None:
    upstream.commit({"specs/a.yaml": "a: 1\n"})
    mirror(upstream, folder).refresh()
    commit = upstream.commit({"specs/a.yaml": "a: 2\n"})
    damage(folder, how)

    source = mirror(upstream, folder)
    source.refresh()
    assert source.resolve("main") == commit
    assert source.read(source.blobs(commit, "specs")).popitem()[1] == b"a: 2\n"
    assert (folder.parent / "mirror.git.aside-1").is_dir() == (
        how in {"head", "config", "ref"}
    )  # the rest mends in place


def test_damage_that_shows_only_in_reading_is_mended_at_the_next_refresh(upstream: Repository, folder: Path) -> None:
    commit = upstream.commit({"specs/a.yaml": "a: 1\n"})
    source = mirror(upstream, folder)
    blobs = source.blobs(source.resolve("main"), "specs")
    (pack,) = (folder / "objects" / "pack").glob("*.pack")
    data = pack.read_bytes()
    for path in (folder / "objects" / "pack").iterdir():
        path.unlink()
    subprocess.run(["git", "unpack-objects", "-q"], env={**os.environ, "GIT_DIR": str(folder)}, input=data, check=True)
    (folder / "objects" / blobs[0].sha[:2] / blobs[0].sha[2:]).unlink()
    with pytest.raises(TransientError, match="is missing"):
        source.read(blobs)
    source.refresh()
    assert source.read(source.blobs(commit, "specs")) == {blobs[0].sha: b"a: 1\n"}
    assert (folder.parent / "mirror.git.aside-1").is_dir()


def test_the_disk_is_not_filled_with_damaged_mirrors(upstream: Repository, folder: Path) -> None:
    upstream.commit({"a.yaml": "1"})
    for _ in range(4):
        mirror(upstream, folder).refresh()
        damage(folder, "head")
    with pytest.raises(TransientError, match=r"remove mirror\.git\.aside-\* when you have looked at the disk"):
        mirror(upstream, folder).refresh()
    assert len(list(folder.parent.glob("mirror.git.aside-*"))) == 3


def test_another_remote_gets_another_mirror(upstream: Repository, folder: Path, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other")
    upstream.commit({"a.yaml": "1"})
    commit = other.commit({"b.yaml": "1"})
    mirror(upstream, folder).refresh()
    source = mirror(other, folder)
    assert not source.known()
    assert source.resolve("main") == commit
    assert [blob.path for blob in source.blobs(commit, "")] == ["b.yaml"]


def test_what_a_killed_git_left_locked_does_not_stop_the_next(upstream: Repository, folder: Path) -> None:
    upstream.commit({"a.yaml": "1"})
    source = mirror(upstream, folder)
    source.refresh()
    for name in ("shallow.lock", "config.lock", "packed-refs.lock", "refs/heads/main.lock"):
        (folder / name).write_text("")
    commit = upstream.commit({"a.yaml": "2"})
    source.refresh()
    assert source.resolve("main") == commit


def test_a_folder_that_cannot_be_written_is_told(upstream: Repository, tmp_path: Path) -> None:
    upstream.commit({"a.yaml": "1"})
    (tmp_path / "project").write_text("a file")
    with pytest.raises(TransientError, match="cannot be written"):
        mirror(upstream, tmp_path / "project" / ".mlops" / "mirror.git").refresh()


def test_a_remote_that_hangs_is_given_up_with_everything_it_started(
    upstream: Repository, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in("ssh", f"echo $$ > {tmp_path}/pid\nsleep 60 &\nwait", tmp_path, monkeypatch)
    source = GitMirror(folder, parse_remote("git@example.org:specs"), "main", fetch_seconds=0.5)
    with pytest.raises(TransientError, match=r"git ls-remote gave no answer within 0\.5 s"):
        source.refresh()
    pid = int((tmp_path / "pid").read_text())
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    _, alive = psutil.wait_procs([process], timeout=5)
    assert all(left.status() == psutil.STATUS_ZOMBIE for left in alive)  # nobody may be there to collect it


# -- credentials -----------------------------------------------------------------------------------------------------
