"""Files of a commit in a real repository: where they are read, and what points elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.api.errors import TerminalError, TransientError
from framework.backends.git.source import GitSource
from framework.backends.git.tracked import TrackedFiles
from framework.ports import SourceFile
from framework.sources.catalog import GitSources
from framework.sources.contents import Contents
from framework.sources.exports import KEPT_SECONDS, Exports
from framework.specs.worktree import WORKTREE
from framework.workloads.features.sources import read_sources
from tests import lying
from tests.unit.test_uncommitted import git

ONE, TWO = "x\n1\n", "x\n22\n"


@dataclass
class Checkout:
    root: Path
    catalog: GitSources

    def write(self, **files: str) -> None:
        for name, text in files.items():
            file = self.root / "data" / f"{name}.csv"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)

    def commit(self) -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--allow-empty", "--message", "a commit")
        return git(self.root, "rev-parse", "HEAD")

    def located(self, commit: str, path: str = "data/*.csv") -> list[SourceFile]:
        asked: Any = {"rows": {"format": "csv", "path": path}}
        held = self.catalog.held(asked, str(self.root), commit)
        return list(self.catalog.located(held, asked, str(self.root), commit).files["rows"])

    def texts(self, commit: str, path: str = "data/*.csv") -> dict[str, str]:
        """What a run reads, by label."""
        files = self.located(commit, path)
        self.catalog.export(files)
        return {file.label: Path(file.uri).read_text() for file in files}

    @property
    def exports(self) -> list[str]:
        folder = self.root.parent / "store" / "exports"
        return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


@pytest.fixture
def here(tmp_path: Path) -> Checkout:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet")
    catalog = GitSources(GitSource(root), Contents(), TrackedFiles(), str(tmp_path / "store"), WORKTREE)
    return Checkout(root, catalog)


def test_what_lies_there_as_the_commit_has_it_is_read_in_its_place(here: Checkout) -> None:
    here.write(a=ONE)
    (found,) = here.located(here.commit())
    assert found.uri == str(here.root / "data" / "a.csv")
    assert here.exports == []


def test_what_was_edited_or_deleted_is_read_as_the_commit_has_it_and_exported_once(here: Checkout) -> None:
    here.write(a=ONE, b=TWO)
    commit = here.commit()
    here.write(a=TWO)
    (here.root / "data" / "b.csv").unlink()
    assert here.texts(commit) == {"data/a.csv": ONE, "data/b.csv": TWO}
    assert here.exports == ["a.csv", "b.csv"]
    before = [file.stat().st_mtime_ns for file in (here.root.parent / "store").rglob("*.csv")]
    assert here.texts(commit) == {"data/a.csv": ONE, "data/b.csv": TWO}
    assert [file.stat().st_mtime_ns for file in (here.root.parent / "store").rglob("*.csv")] == before


def test_two_branches_with_different_data_at_one_path_do_not_disturb_each_other(here: Checkout) -> None:
    here.write(a=ONE)
    first = here.commit()
    git(here.root, "checkout", "--quiet", "-b", "other")
    here.write(a=TWO, b=ONE)
    second = here.commit()
    for _ in range(2):
        assert here.texts(first) == {"data/a.csv": ONE}, "what the other branch tracks is none of it"
        assert here.texts(second) == {"data/a.csv": TWO, "data/b.csv": ONE}
        git(here.root, "checkout", "--quiet", first)


def test_a_file_that_git_is_told_of_and_that_is_not_committed_is_not_there(here: Checkout) -> None:
    commit = here.commit()
    here.write(a=ONE)
    git(here.root, "add", "data/a.csv")
    with pytest.raises(TerminalError, match=r"git tracks data/a\.csv in the work tree: commit it"):
        here.located(commit, "data/a.csv")


def test_line_ends_that_git_changes_on_the_way_out_do_not_count(here: Checkout) -> None:
    (here.root / ".gitattributes").write_text("*.csv text eol=crlf\n")
    here.write(a=ONE)
    commit = here.commit()
    (here.root / "data" / "a.csv").unlink()
    git(here.root, "checkout", "--quiet", "--", "data/a.csv")
    assert (here.root / "data" / "a.csv").read_bytes() == b"x\r\n1\r\n"
    assert here.texts(commit) == {"data/a.csv": ONE}


def test_while_git_is_at_work_nobody_says_what_is_in_no_commit(here: Checkout) -> None:
    commit = here.commit()
    here.write(a=ONE)
    lock = here.root / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(TransientError, match="git is at work"):
        here.located(commit)
    lock.unlink()
    assert here.texts(commit) == {"data/a.csv": ONE}


def test_a_submodule_is_told(here: Checkout, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    (other / "a.csv").write_text(ONE)
    git(other, "add", "--all")
    git(other, "commit", "--quiet", "--message", "one")
    git(here.root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "data")
    commit = here.commit()
    for path in ("data/a.csv", "data/*.csv", "data", "*/a.csv"):
        with pytest.raises(TerminalError, match=r"another repository \(submodule\)") as raised:
            here.located(commit, path)
        assert raised.value.reason == "SourceNotInGit"


def test_a_blob_that_is_gone_is_transient_and_leaves_nothing(here: Checkout) -> None:
    here.write(a=ONE)
    commit = here.commit()
    here.write(a=TWO)
    files = here.located(commit)
    sha = files[0].digest.partition(":")[2]
    (here.root / ".git" / "objects" / sha[:2] / sha[2:]).unlink()
    with pytest.raises(TransientError):
        here.catalog.export(files)
    assert here.exports == []


def test_exports_that_nobody_asks_for_go(here: Checkout) -> None:
    here.write(a=ONE, b=TWO)
    commit = here.commit()
    shutil.rmtree(here.root / "data")
    here.texts(commit)
    store, now = here.root.parent / "store", (here.root / ".git").stat().st_mtime
    for folder in (store / "exports").iterdir():
        os.utime(folder, (now - KEPT_SECONDS - 1,) * 2)
    first = here.located(commit, "data/a.csv")
    Exports(GitSource(here.root), str(store), lambda: now).ensure(first)
    assert here.exports == ["a.csv"]


def test_a_delta_table_is_read_at_the_version_that_was_named_and_another_one_in_its_place_is_other_data(
    tmp_path: Path,
) -> None:
    asked, rows = {"rows": {"format": "delta", "path": "t"}}, pl.DataFrame({"x": [1]})
    rows.write_delta(tmp_path / "t")
    named = lying.data(asked, tmp_path)
    rows.write_delta(tmp_path / "t", mode="append")
    assert lying.digest(asked, tmp_path) != named.digest
    assert read_sources(asked, str(tmp_path), {}, files=named.files)["rows"].collect().height == 1
    shutil.rmtree(tmp_path / "t")
    rows.write_delta(tmp_path / "t")
    assert lying.digest(asked, tmp_path) != named.digest


# -- pointers --------------------------------------------------------------------------------------------------------


def dvc(here: Checkout, name: str, digest: str, *lines: str) -> None:
    (here.root / f"{name}.dvc").write_text("\n".join([f"outs:\n- md5: {digest}", *lines, f"  path: {name}\n"]))


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def ignored(here: Checkout) -> Checkout:
    (here.root / ".gitignore").write_text("/data\n/a.csv\n")
    return here


def test_data_that_dvc_keeps_is_held_to_its_hash(ignored: Checkout) -> None:
    dvc(ignored, "a.csv", md5(ONE), "  size: 4", "  hash: md5")
    commit = ignored.commit()
    for text in (None, TWO, "x\n2\n"):
        (ignored.root / "a.csv").write_text(text) if text is not None else None
        with pytest.raises(TerminalError) as raised:
            ignored.located(commit, "a.csv")
        expected = f"source rows: a.csv is not what a.csv.dvc names at commit {commit[:7]}: dvc pull, or dvc checkout"
        assert (raised.value.reason, str(raised.value)) == ("SourceNotHere", expected)
    (ignored.root / "a.csv").write_text(ONE)
    assert ignored.texts(commit, "a.csv") == {"a.csv": ONE}


def test_before_dvc_3_line_ends_did_not_count(ignored: Checkout) -> None:
    dvc(ignored, "a.csv", md5(ONE), "  size: 6")
    commit = ignored.commit()
    (ignored.root / "a.csv").write_bytes(ONE.replace("\n", "\r\n").encode())
    (found,) = ignored.located(commit, "a.csv")
    assert found.digest == f"lines:{md5(ONE)}"


def test_a_folder_that_dvc_keeps_is_held_to_the_hash_of_all_of_it(ignored: Checkout) -> None:
    """``dvc add data`` of DVC 3 calls these two files so."""
    ignored.write(a=ONE, b=TWO)
    listed = [{"md5": md5(text), "relpath": name} for name, text in (("a.csv", ONE), ("b.csv", TWO))]
    dvc(ignored, "data", f"{md5(json.dumps(listed))}.dir", "  nfiles: 2", "  hash: md5")
    commit = ignored.commit()
    assert ignored.texts(commit) == {"data/a.csv": ONE, "data/b.csv": TWO}
    assert ignored.texts(commit, "data/b.csv") == {"data/b.csv": TWO}
    (ignored.root / "data" / "gone.csv").symlink_to("nowhere.csv")
    assert ignored.texts(commit) == {"data/a.csv": ONE, "data/b.csv": TWO}, "a link to nothing is no file"
    ignored.write(c=ONE)
    with pytest.raises(TerminalError, match=r"data is not what data\.dvc names"):
        ignored.located(commit)


def test_data_of_git_lfs_is_taken_from_where_it_is(here: Checkout) -> None:
    oid = hashlib.sha256(ONE.encode()).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(ONE)}\n"
    here.write(a=pointer)
    commit = here.commit()
    with pytest.raises(TerminalError, match=r"a\.csv is a git-lfs pointer in commit \w+, .*: git lfs pull") as raised:
        here.located(commit)
    assert raised.value.reason == "SourceNotHere"
    kept = here.root / ".git" / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
    kept.parent.mkdir(parents=True)
    kept.write_text(ONE)
    assert [(file.digest, file.uri) for file in here.located(commit)] == [(f"sha256:{oid}", str(kept))]
    kept.write_text(TWO)
    with pytest.raises(TerminalError, match="git lfs pull"):
        here.located(commit)
    here.write(a=ONE)  # as git lfs checks it out
    assert [file.uri for file in here.located(commit)] == [str(here.root / "data" / "a.csv")]
