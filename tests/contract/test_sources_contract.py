from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from framework.api.errors import TerminalError
from framework.backends.git.source import GitSource
from framework.backends.git.tracked import TrackedFiles
from framework.backends.memory import MemorySource, MemorySources, SymbolicLink
from framework.sources.catalog import GitSources
from framework.sources.contents import Contents
from framework.specs.worktree import WORKTREE
from tests.contract.repositories import Repository
from tests.contract.suites.sources import SourceCatalogContract, SourcesWorld

Files = Mapping[str, str | SymbolicLink]


class TestMemorySources(SourceCatalogContract):
    @pytest.fixture
    def world(self) -> SourcesWorld:
        source = MemorySource()
        sources = MemorySources(source)

        def write(path: str, text: str | None) -> None:
            sources.files.pop(path, None)
            if text is not None:
                sources.files[path] = text

        return SourcesWorld(sources, "/project", source.commit, write)


def on_disk(project: Path, source: GitSource, repository: Repository, prefix: str = "") -> SourcesWorld:
    def write(path: str, text: str | None) -> None:
        file = project / path
        file.unlink(missing_ok=True)
        if text is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def commit(files: Files) -> str:
        return repository.commit({"top.txt": "", **{f"{prefix}{path}": text for path, text in files.items()}})

    catalog = GitSources(source, Contents(), TrackedFiles(), str(project.parent / "store"), WORKTREE)
    return SourcesWorld(catalog, str(project), commit, write)


class TestGitSources(SourceCatalogContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> SourcesWorld:
        project = tmp_path / "project"
        repository = Repository(project)
        return on_disk(project, GitSource(project), repository)

    @pytest.mark.parametrize("path", ["../outside.csv", "/etc/hostname"])
    def test_sources_stay_below_the_project(self, world: SourcesWorld, path: str) -> None:
        with pytest.raises(TerminalError) as raised:
            world.files(world.commit({}), path)
        assert raised.value.reason == "PathOutsideRoot"


class TestGitSourcesOfAFolder(SourceCatalogContract):
    """The project is a folder of a larger repository."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourcesWorld:
        repository, project = Repository(tmp_path / "all"), tmp_path / "all" / "teams" / "flights"
        os.makedirs(project)
        return on_disk(project, GitSource(project), repository, "teams/flights/")


class TestGitSourcesOfABareRepository(SourceCatalogContract):
    """The repository is another one, without a work tree, and the project's folder is in none."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SourcesWorld:
        repository = Repository(tmp_path / "specs.git", bare=True)
        (tmp_path / "project").mkdir()
        return on_disk(tmp_path / "project", GitSource(repository.folder, folder="flights"), repository, "flights/")
