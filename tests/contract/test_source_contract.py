from __future__ import annotations

from pathlib import Path

import pytest

from framework.backends.git.mirror import GitMirror
from framework.backends.git.remote import parse_remote
from framework.backends.git.source import GitSource
from framework.backends.memory import MemorySource, SymbolicLink
from framework.specs.worktree import WorktreeSource
from tests.contract.repositories import Repository
from tests.contract.suites.source import (
    CODE,
    CommittedSourceContract,
    Files,
    RepositoryContract,
    RepositoryWorld,
    SourceWorld,
    SpecSourceContract,
)


class TestMemorySource(CommittedSourceContract):
    @pytest.fixture
    def world(self) -> SourceWorld:
        source = MemorySource()
        return SourceWorld(source, source.commit)


class TestGitSource(CommittedSourceContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        repository = Repository(tmp_path)
        return SourceWorld(GitSource(tmp_path), repository.commit)


class TestGitSourceInAFolder(CommittedSourceContract):
    """The project is a folder of a larger repository."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        repository = Repository(tmp_path)
        project = tmp_path / "teams" / "flights"
        project.mkdir(parents=True)

        def commit(files: Files) -> str:
            return repository.commit({"top.txt": "", **{f"teams/flights/{path}": text for path, text in files.items()}})

        return SourceWorld(GitSource(project), commit)


class TestGitSourceOnABareRepository(CommittedSourceContract):
    """The project is a folder of a repository without a work tree."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        repository = Repository(tmp_path / "specs.git", bare=True)

        def commit(files: Files) -> str:
            return repository.commit({"top.txt": "", **{f"flights/{path}": text for path, text in files.items()}})

        return SourceWorld(GitSource(repository.folder, folder="flights"), commit)


@pytest.mark.slow
class TestGitMirror(CommittedSourceContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        repository, source = mirrored(tmp_path)

        def commit(files: Files) -> str:
            made = repository.commit(files)
            source.refresh()
            return made

        return SourceWorld(source, commit)


class TestMemoryRepository(RepositoryContract):
    @pytest.fixture
    def repository(self) -> RepositoryWorld:
        source = MemorySource()

        def commit(files: Files, message: str = "") -> str:
            return source.commit(files, message=message)

        return RepositoryWorld(source, commit, lambda to: source.point("main", to))


class TestGitRepository(RepositoryContract):
    @pytest.fixture(params=[False, True])
    def repository(self, tmp_path: Path, request: pytest.FixtureRequest) -> RepositoryWorld:
        real = Repository(tmp_path, bare=request.param)
        return RepositoryWorld(GitSource(tmp_path), real.commit, real.force)


@pytest.mark.slow
class TestMirroredRepository(RepositoryContract):
    @pytest.fixture
    def repository(self, tmp_path: Path) -> RepositoryWorld:
        real, source = mirrored(tmp_path)
        return RepositoryWorld(source, real.commit, real.force)


def mirrored(folder: Path) -> tuple[Repository, GitMirror]:
    repository = Repository(folder / "upstream")
    return repository, GitMirror(folder / "mirror.git", parse_remote(repository.folder.as_uri()), "main")


class TestWorktree(SpecSourceContract):
    """A folder as it is now has no history."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourceWorld:
        source = WorktreeSource(tmp_path)
        written: set[Path] = set()

        def commit(files: Files) -> str:
            for path in written:
                path.unlink()
            written.clear()
            for name, content in files.items():
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, SymbolicLink):
                    path.symlink_to(content.target)
                else:
                    path.write_text(content)
                written.add(path)
            return source.resolve("main")

        return SourceWorld(source, commit)


def test_both_name_and_pack_the_same_files_the_same_way(tmp_path: Path) -> None:
    memory, repository = MemorySource(), Repository(tmp_path)
    files = {**CODE, "package/__init__.py": "", "package/part/a.py": "a = 'ä'\n", "package/part/a-b.py": ""}
    ours, real = memory.commit(files), repository.commit(files)
    git = GitSource(tmp_path)
    for folder in ("", "code", "package", "package/part", "package/part/a.py"):
        assert memory.tree_digest(ours, folder) == git.tree_digest(real, folder)
        assert list(memory.blobs(ours, folder)) == list(git.blobs(real, folder))
    assert memory.archive(ours, "package/part") == git.archive(real, "package/part")
