"""Specs and code from real repositories: what is read, what is refused, and that nothing is run or followed."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError, SpecError, TerminalError, TransientError
from framework.backends.git.process import Git
from framework.backends.git.source import GitSource
from framework.backends.storage.code import CodeArchive
from framework.ports import Blob, CodeRef
from framework.specs.worktree import WORKTREE, WorktreeSource
from framework.specs.yaml.positions import MAX_BYTES
from tests.contract.repositories import ENVIRONMENT, stand_in


class Repository:
    """A repository of its own; git runs in it and nowhere else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", "--template=")

    def git(self, *arguments: str) -> str:
        here = {"GIT_DIR": str(self.root / ".git"), "GIT_WORK_TREE": str(self.root)}
        return subprocess.run(
            ["git", *arguments], cwd=self.root, env=ENVIRONMENT | here,
            check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        ).stdout.strip()  # fmt: skip

    def commit(self, files: dict[str, str | bytes], message: str = "change") -> str:
        for path, data in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(data.encode() if isinstance(data, str) else data)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "project")


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One for those that only read: FILES in its only commit."""
    repository = Repository(tmp_path_factory.mktemp("committed"))
    repository.commit(FILES)
    return repository


FILES: dict[str, str | bytes] = {
    "specs/b.yaml": "b: 1\n",
    "specs/a/ü x.yaml": "a: 1\n",
    "shop/__init__.py": "",
    "shop/code/__init__.py": "",
    "shop/code/features.py": "from shop.code.more import ANSWER\n",
    "shop/code/more.py": "ANSWER = 42\n",
    "other/x.py": "",
}


# -- revisions -------------------------------------------------------------------------------------------------------


def test_branches_tags_and_commits_resolve(repository: Repository) -> None:
    first = repository.commit(FILES)
    repository.git("tag", "-a", "v1.0", "-m", "annotated")
    repository.git("branch", "feature/x#1")
    second = repository.commit({"specs/b.yaml": "b: 2\n"})
    source = GitSource(repository.root)

    assert [source.resolve(name) for name in ("HEAD", "main", second, second[:12], "HEAD~0")] == [second] * 5
    assert [source.resolve(name) for name in ("v1.0", "feature/x#1", "HEAD~1", "main^", first)] == [first] * 5


@pytest.mark.parametrize(
    "revision",
    ["--output=/tmp/x", "-h", "", "main..HEAD", "HEAD@{1}", "HEAD^{tree} x", "HEAD:specs", "ext::sh -c x", "a b",
     "a\nb", "a\0b", "$(id)", "x" * 300, "../main", ":/message", "é"],
)  # fmt: skip
def test_unsafe_names_never_reach_git(committed: Repository, revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = GitSource(committed.root)
    monkeypatch.setattr(Git, "_start", lambda *arguments: pytest.fail(f"git ran: {arguments}"))

    with pytest.raises(ConfigurationError, match="is not the name of a branch, a tag or a commit"):
        source.resolve(revision)


@pytest.mark.parametrize("revision", ["mian", "0" * 40, "v9"])
def test_an_unknown_name_is_refused_with_a_guess(committed: Repository, revision: str) -> None:
    with pytest.raises(ConfigurationError, match="has no commit") as error:
        GitSource(committed.root).resolve(revision)

    assert ("did you mean 'main'?" in str(error.value)) is (revision == "mian")


def test_the_sha_of_a_file_is_no_commit(committed: Repository) -> None:
    blob = committed.git("rev-parse", "HEAD:specs/b.yaml")

    with pytest.raises(ConfigurationError, match="has no commit"):
        GitSource(committed.root).resolve(blob)


@pytest.mark.parametrize("commit", ["HEAD", "--help", "main", "abc123", "", "A" * 40])
def test_objects_are_read_at_full_commits_only(committed: Repository, commit: str) -> None:
    source = GitSource(committed.root)

    for read in (source.blobs, source.tree_digest, source.archive):
        with pytest.raises(ConfigurationError, match="is not a full commit SHA"):
            read(commit, "specs")
    with pytest.raises(ConfigurationError, match="is not a full commit SHA"):
        source.read([Blob("specs/b.yaml", commit)])


def test_no_repository(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigurationError, match="is not inside a git repository; run git init"):
            GitSource(root).resolve("HEAD")


def test_no_commit_yet(repository: Repository) -> None:
    with pytest.raises(ConfigurationError, match="has no commit yet"):
        GitSource(repository.root).resolve("HEAD")


def test_a_commit_that_is_gone(committed: Repository) -> None:
    with pytest.raises(ConfigurationError, match="commit 1111111111 is not in the repository"):
        GitSource(committed.root).blobs("1" * 40, "specs")


# -- files -----------------------------------------------------------------------------------------------------------


def test_files_come_from_the_commit_and_not_from_the_disk(repository: Repository) -> None:
    first = repository.commit(FILES)
    repository.commit({"specs/b.yaml": "b: 2\n"})
    (repository.root / "specs" / "b.yaml").write_text("b: 3\n")
    source = GitSource(repository.root)
    blobs = source.blobs(first, "specs")

    assert [blob.path for blob in blobs] == ["specs/a/ü x.yaml", "specs/b.yaml"]
    assert [source.read(blobs)[blob.sha] for blob in blobs] == [b"a: 1\n", b"b: 1\n"]
    assert [blob.path for blob in source.blobs(first, "specs/b.yaml")] == ["specs/b.yaml"]
    assert source.blobs(first, "nowhere") == []
    assert source.read([]) == {}


def test_the_work_tree_names_files_and_folders_as_git_does(repository: Repository) -> None:
    (repository.root / "run.sh").write_text("#!/bin/sh\n")
    (repository.root / "run.sh").chmod(0o755)
    commit = repository.commit({**FILES, "shop.d/x": "sorts between", "shop-x": "and before"})
    source, worktree = GitSource(repository.root), WorktreeSource(repository.root)

    for folder in ("", "specs", "shop", "shop/code", "shop/code/more.py", "other/x.py", "nowhere", "run.sh"):
        assert worktree.tree_digest(WORKTREE, folder) == source.tree_digest(commit, folder), folder
    assert source.tree_digest(commit, "shop") == repository.git("rev-parse", "HEAD:shop")
    assert worktree.archive(WORKTREE, "shop/code") == source.archive(commit, "shop/code")


def test_a_project_in_a_folder_of_a_larger_repository(repository: Repository) -> None:
    commit = repository.commit({f"team/{path}": data for path, data in FILES.items()})
    source = GitSource(repository.root / "team")

    assert source.resolve("HEAD") == commit
    assert [blob.path for blob in source.blobs(commit, "specs")] == ["specs/a/ü x.yaml", "specs/b.yaml"]
    assert source.tree_digest(commit, "") == repository.git("rev-parse", "HEAD:team")
    assert source.tree_digest(commit, "shop/code") == repository.git("rev-parse", "HEAD:team/shop/code")
    assert "shop/code/more.py" in zipfile.ZipFile(io.BytesIO(source.archive(commit, "shop/code"))).namelist()


@pytest.mark.parametrize("folder", ["../x", "/etc", "specs/../../x", "a\0b"])
def test_paths_stay_inside_the_project(committed: Repository, folder: str) -> None:
    commit = committed.git("rev-parse", "HEAD")
    source = GitSource(committed.root)

    for read in (source.blobs, source.tree_digest, source.archive):
        with pytest.raises(ConfigurationError, match="does not lie inside the project"):
            read(commit, folder)


def test_of_a_large_file_one_byte_too_many_is_read(repository: Repository) -> None:
    commit = repository.commit({"specs/a.yaml": b"x" * (MAX_BYTES + 5000), "specs/b.yaml": "b: 1\n"})
    source = GitSource(repository.root)
    large, small = source.blobs(commit, "specs")
    contents = source.read([large, small])

    assert len(contents[large.sha]) == MAX_BYTES + 1
    assert contents[small.sha] == b"b: 1\n"


def link(repository: Repository, path: str) -> None:
    (repository.root / path).parent.mkdir(parents=True, exist_ok=True)
    (repository.root / path).symlink_to("/etc/passwd")


def submodule(repository: Repository, path: str) -> None:
    head = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},{path}")
    repository.git("commit", "--quiet", "-m", "submodule")


@pytest.mark.parametrize(("make", "says"), [(link, "a symbolic link"), (submodule, "another repository (submodule)")])
@pytest.mark.parametrize("folder", ["specs", "shop/code"])
def test_links_and_submodules_are_refused(
    repository: Repository, make: Callable[[Repository, str], None], says: str, folder: str
) -> None:
    repository.commit(FILES)
    make(repository, f"{folder}/out")
    commit = repository.commit({}) if make is link else repository.git("rev-parse", "HEAD")
    source = GitSource(repository.root)

    for read in (source.blobs, source.archive):
        with pytest.raises(SpecError) as error:
            read(commit, folder)
        (problem,) = error.value.problems
        assert (problem.file, says in problem.message) == (f"{folder}/out", True)
    assert source.tree_digest(commit, f"{folder}/out") is None
    assert source.blobs(commit, "other")


@pytest.mark.parametrize("inner", ["specs", "specs/team"])
def test_a_folder_that_is_another_repository_or_lies_in_one_is_refused_in_a_work_tree(
    tmp_path: Path, inner: str
) -> None:
    (tmp_path / "specs" / "team").mkdir(parents=True)
    (tmp_path / "specs" / "team" / "a.yaml").write_text("kind: X\n")
    (tmp_path / inner / ".git").write_text("gitdir: ../elsewhere\n")
    for asked in ("specs", "specs/team"):
        with pytest.raises(SpecError) as error:
            WorktreeSource(tmp_path).blobs("", asked)
        (problem,) = error.value.problems
        assert (problem.file, "another repository (submodule)" in problem.message) == (inner, True)


@pytest.mark.parametrize("path", ["", "/nonexistent"])
def test_a_machine_without_git_is_told(committed: Repository, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    source = GitSource(committed.root)
    monkeypatch.setenv("PATH", path)
    with pytest.raises(ConfigurationError, match="git is not installed or not on the PATH"):
        source.resolve("HEAD")


def test_settings_of_machine_user_and_repository_change_nothing(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit(FILES)
    other = repository.git("commit-tree", "-m", "replacement", repository.git("mktree"))
    repository.git("replace", commit, other)
    (tmp_path / "config").write_text("[core]\n\tbare = nonsense\n[log]\n\tshowSignature = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    source = GitSource(repository.root)

    assert len(source.blobs(commit, "specs")) == 2
    assert source.subject(commit) == "change"


def test_a_git_that_is_started_inherits_no_switch_of_git_and_no_secret(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a hook, which has some of them set."""
    repository.commit(FILES)
    source = GitSource(repository.root)
    source.resolve("main")
    stand_in("git", f"env > {tmp_path}/inherited", tmp_path, monkeypatch)
    foreign = ("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_TRACE_CURL", "GIT_SSH_COMMAND",
               "GIT_SSL_NO_VERIFY", "MLOPS_GIT_TOKEN", "MLOPS_WEBHOOK_SECRET")  # fmt: skip
    for name in foreign:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("GIT_SSL_CAINFO", "/trusted")
    source.find("main")

    inherited = dict(line.split("=", 1) for line in (tmp_path / "inherited").read_text().splitlines() if "=" in line)
    assert not set(foreign) & set(inherited)
    assert (inherited["GIT_SSL_CAINFO"], inherited["GIT_ALLOW_PROTOCOL"]) == ("/trusted", "none")
    assert inherited["GIT_DIR"] == str(repository.root / ".git")


def test_in_a_shallow_clone_nothing_is_said_about_what_is_not_there(repository: Repository, tmp_path: Path) -> None:
    first, second, third = (repository.commit({"a": text}) for text in "123")
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=2", repository.root.as_uri(), str(tmp_path / "clone")],
        env=ENVIRONMENT, check=True, capture_output=True,
    )  # fmt: skip
    source = GitSource(tmp_path / "clone")
    assert source.descends(third, second)
    with pytest.raises(ConfigurationError, match="is shallow; fetch all of it"):
        source.descends(third, first)


def test_reading_leaves_the_repository_as_it_was(repository: Repository) -> None:
    commit = repository.commit(FILES)
    before = sorted((path, path.stat().st_mtime_ns) for path in repository.root.rglob("*"))
    source = GitSource(repository.root)
    source.read(source.blobs(source.resolve("main"), "specs"))
    source.archive(commit, "shop/code")

    assert sorted((path, path.stat().st_mtime_ns) for path in repository.root.rglob("*")) == before


def test_a_git_that_hangs_is_given_up(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = repository.commit(FILES)
    source = GitSource(repository.root, timeout_seconds=0.2)
    blobs = source.blobs(commit, "specs")
    stand_in("git", "exec sleep 20", tmp_path, monkeypatch)

    with pytest.raises(TransientError, match=r"git rev-parse gave no answer within 0\.2 s"):
        source.resolve("main")
    with pytest.raises(TransientError, match=r"git cat-file gave no answer within 0\.2 s"):
        source.read(blobs)


# -- code ------------------------------------------------------------------------------------------------------------


def test_an_archive_holds_the_folder_and_imports_from_another_place(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit(FILES)
    file = tmp_path / "code.zip"
    file.write_bytes(GitSource(repository.root).archive(commit, "shop/code"))
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked")

    assert [name for name in names if not name.endswith("/")] == [
        "shop/__init__.py",
        "shop/code/__init__.py",
        "shop/code/features.py",
        "shop/code/more.py",
    ]
    assert len({name.split("/")[0] for name in names}) > 1  # Ray would strip a lone top folder
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; sys.path.insert(0, sys.argv[1]); "
         "from shop.code.features import ANSWER; print(ANSWER)", str(tmp_path / "unpacked")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "42\n", done.stderr


def test_an_archive_keeps_what_may_be_executed(repository: Repository) -> None:
    (repository.root / "shop/code").mkdir(parents=True)
    (repository.root / "shop/code/run.sh").write_text("#!/bin/sh\n")
    (repository.root / "shop/code/run.sh").chmod(0o755)
    commit = repository.commit(FILES)
    archive = zipfile.ZipFile(io.BytesIO(GitSource(repository.root).archive(commit, "shop/code")))
    modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}

    assert (modes["shop/code/run.sh"], modes["shop/code/more.py"]) == (0o755, 0o644)


def test_code_that_is_missing_or_too_large(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = repository.commit(FILES)
    source = GitSource(repository.root)
    with pytest.raises(TerminalError, match="has no folder shop/cod") as missing:
        source.archive(commit, "shop/cod")
    monkeypatch.setattr("framework.backends.git.source.MAX_ARCHIVE_BYTES", 10)
    with pytest.raises(TerminalError) as large:
        source.archive(commit, "shop/code")

    assert (missing.value.reason, large.value.reason) == ("CodeMissing", "CodeTooLarge")


def test_an_archive_is_published_once_under_the_name_of_its_bytes(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit(FILES)
    source = GitSource(repository.root)
    digest = source.tree_digest(commit, "shop/code")
    assert digest is not None
    code = CodeRef(commit, "shop/code", digest)
    uri = CodeArchive(source, str(tmp_path / "store")).ensure(code)
    file = Path(uri.removeprefix("file://"))
    written = file.stat().st_mtime_ns

    assert digest in uri
    assert file.read_bytes() == source.archive(commit, "shop/code")
    assert CodeArchive(source, str(tmp_path / "store")).ensure(code) == uri
    assert file.stat().st_mtime_ns == written
    with pytest.raises(ConfigurationError, match="does not name code"):
        CodeArchive(source, str(tmp_path / "store")).ensure(CodeRef(commit, "shop/code", "../../x"))
